//! moto as a process, somebody who looks at it without the harness, and environments with a target in it.

use std::{
    fmt::Write,
    fs,
    net::TcpListener,
    path::PathBuf,
    process::{Child, Command, ExitCode, Stdio},
    time::Duration,
};

use blackstart::{
    drill::Fault,
    environment::{self, Environment},
    provider::{self, Bindings, Current, Provider, ProviderError, Undo},
    source::{Coloring, process_variable},
};
use form_urlencoded::Serializer;
use tempfile::TempDir;
use tokio::time::{Instant, sleep};

/// How long moto may take to start.
const STARTED: Duration = Duration::from_mins(1);
/// The account that moto stands in for.
pub(crate) const ACCOUNT: &str = "123456789012";
pub(crate) const REGION: &str = "eu-central-1";
/// Says that the process has the settings of the tests.
const SET: &str = "BLACKSTART_TEST_AWS_SETTINGS";

/// Profiles for the tests, and the variables that lead to them alone.
pub(crate) struct Settings(TempDir);

impl Settings {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let config = "[default]\nregion = eu-central-1\n[profile keys]\nregion = eu-central-1\n[profile nobody]\nregion = eu-central-1\n\
                      [profile nowhere]\n";
        fs::write(folder.path().join("config"), config).unwrap();
        let keys = "aws_access_key_id = testing\naws_secret_access_key = hidden-secret\n";
        let credentials = format!("[default]\n{keys}[keys]\n{keys}[nowhere]\n{keys}");
        fs::write(folder.path().join("credentials"), credentials).unwrap();
        Self(folder)
    }

    pub(crate) fn are_there() -> bool {
        process_variable(SET).is_some()
    }

    /// Runs this program again, with these settings.
    pub(crate) fn run_again(&self) -> ExitCode {
        let program = std::env::current_exe().unwrap();
        let mut command = Command::new(program);
        command.args(std::env::args_os().skip(1));
        let status = self.give_to(&mut command).status().unwrap();
        ExitCode::from(u8::try_from(status.code().unwrap_or(1)).unwrap_or(1))
    }

    fn give_to<'c>(&self, command: &'c mut Command) -> &'c mut Command {
        for name in [
            "AWS_ACCESS_KEY_ID",
            "AWS_SECRET_ACCESS_KEY",
            "AWS_SESSION_TOKEN",
            "AWS_PROFILE",
            "AWS_REGION",
            "AWS_DEFAULT_REGION",
            "AWS_ENDPOINT_URL",
        ] {
            command.env_remove(name);
        }
        command
            .env(SET, "1")
            .env("AWS_CONFIG_FILE", self.0.path().join("config"))
            .env(
                "AWS_SHARED_CREDENTIALS_FILE",
                self.0.path().join("credentials"),
            )
            .env("AWS_EC2_METADATA_DISABLED", "true")
    }
}

/// What all trials share.
pub(crate) struct Rig {
    pub(crate) endpoint: String,
    client: reqwest::Client,
    moto: Child,
}

impl Drop for Rig {
    fn drop(&mut self) {
        drop(self.moto.kill());
        drop(self.moto.wait());
    }
}

impl Rig {
    /// Starts moto.
    pub(crate) async fn start() -> Result<Self, String> {
        let path = process_variable("PATH").unwrap_or_default();
        let program = std::env::split_paths(&path)
            .map(|folder| folder.join("moto_server"))
            .find(|program| program.is_file())
            .ok_or("no `moto_server` in PATH: `pip install 'moto[server]'` brings it")?;
        // The process needs a provider of TLS; one that was chosen already is as good.
        drop(rustls::crypto::ring::default_provider().install_default());
        // Somebody else may take the port in between, and then another one is tried.
        for _ in 0..3 {
            if let Some(rig) = Self::start_once(&program).await {
                return Ok(rig);
            }
        }
        Err(format!("{} does not answer", program.display()))
    }

    async fn start_once(program: &PathBuf) -> Option<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        drop(listener);
        let moto = Command::new(program)
            .args(["-H", "127.0.0.1", "-p", &port.to_string()])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut rig = Self {
            endpoint: format!("http://127.0.0.1:{port}"),
            client: reqwest::Client::builder()
                .no_proxy()
                .timeout(STARTED)
                .build()
                .unwrap(),
            moto,
        };
        let deadline = Instant::now() + STARTED;
        while Instant::now() < deadline {
            if rig.moto.try_wait().unwrap().is_some() {
                return None;
            }
            let asked = rig.client.get(format!("{}/moto-api/", rig.endpoint)).send();
            if asked.await.is_ok_and(|answer| answer.status().is_success()) {
                return Some(rig);
            }
            sleep(Duration::from_millis(100)).await;
        }
        None
    }

    /// Asks moto for something, as somebody else.
    pub(crate) async fn ask(&self, service: &str, action: &str, pairs: &[(&str, &str)]) -> String {
        // Only here two services have the same name.
        let version = (service == "elasticloadbalancing").then_some(("Version", "2015-12-01"));
        let body = Serializer::new(String::new())
            .append_pair("Action", action)
            .extend_pairs(version)
            .extend_pairs(pairs)
            .finish();
        let request = self
            .client
            .post(&self.endpoint)
            .header("authorization", authorization(service))
            .header("content-type", "application/x-www-form-urlencoded")
            .body(body);
        let answer = request.send().await.unwrap();
        let status = answer.status();
        let text = answer.text().await.unwrap();
        assert!(status.is_success(), "{action}: {text}");
        text
    }

    /// Asks Route 53 or CloudFront as moto has them, as somebody else.
    pub(crate) async fn rest(&self, method: &str, path: &str, body: &str) -> String {
        let service = if path.starts_with("/2013-04-01/") {
            "route53"
        } else {
            "cloudfront"
        };
        let request = self
            .client
            .request(method.parse().unwrap(), format!("{}{path}", self.endpoint))
            .header("authorization", authorization(service))
            .header("content-type", "application/xml")
            .body(body.to_owned());
        let answer = request.send().await.unwrap();
        let status = answer.status();
        let text = answer.text().await.unwrap();
        assert!(status.is_success(), "{method} {path}: {text}");
        text
    }

    /// An environment whose only target, `it`, is this.
    pub(crate) fn environment(&self, target: &str) -> Environment {
        environment_at(&self.endpoint, target)
    }

    /// Captures a fault on the only target.
    pub(crate) async fn capture(
        &self,
        target: &str,
        fault: &Fault,
    ) -> Result<Captured, ProviderError> {
        capture(&self.environment(target), fault).await
    }
}

/// What tells moto which service is meant. Nobody verifies it.
fn authorization(service: &str) -> String {
    format!(
        "AWS4-HMAC-SHA256 Credential=other/20260101/{REGION}/{service}/aws4_request, SignedHeaders=host, Signature=0"
    )
}

/// An environment with this target at this address.
pub(crate) fn environment_at(endpoint: &str, target: &str) -> Environment {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("environment.yaml");
    let text = format!(
        "environment: cloud\n\
         service: {{ url: http://127.0.0.1:1/ }}\n\
         tiers: [ {{ tier: cloud, recognise: {{ body: ok }} }} ]\n\
         probes: [ {{ http: {{ name: read }} }} ]\n\
         aws: {{ region: {REGION}, endpoint: {endpoint} }}\n\
         targets: {{ it: {{ aws: {{ {target} }} }} }}\nprotected: true\n"
    );
    fs::write(&path, text).unwrap();
    let (environment, problems) = environment::load(&path, &process_variable);
    environment.unwrap_or_else(|| panic!("{}", problems.render(Coloring::Plain)))
}

/// A fault and what restores it.
pub(crate) struct Captured {
    pub(crate) bindings: Bindings,
    pub(crate) fault: Box<dyn provider::Fault>,
    pub(crate) undo: Undo,
}

pub(crate) async fn capture(
    environment: &Environment,
    fault: &Fault,
) -> Result<Captured, ProviderError> {
    let attached = provider::attach(environment, None).await;
    let attached = attached.unwrap_or_else(|error| panic!("{error}"));
    let fault = attached.bindings.resolve(environment, fault)?;
    let undo = fault.capture().await?;
    Ok(Captured {
        bindings: attached.bindings,
        fault,
        undo,
    })
}

impl Captured {
    pub(crate) async fn current(&self) -> Current {
        self.fault.current(&self.undo).await.unwrap()
    }

    /// Injects it twice and undoes it twice, the second by somebody who has nothing but the journal.
    pub(crate) async fn there_and_back(&self, seen: impl AsyncFn(bool)) {
        assert_eq!(self.current().await, Current::AsCaptured);
        for _ in 0..2 {
            self.fault.inject().await.unwrap();
            assert_eq!(self.current().await, Current::AsInjected);
        }
        seen(true).await;
        // As it is on disk.
        let written = serde_json::to_string(&self.undo).unwrap();
        assert!(!written.contains("hidden-secret"), "{written}");
        let undo: Undo = serde_json::from_str(&written).unwrap();
        let recalled = self.bindings.recall(&undo).unwrap();
        for _ in 0..2 {
            recalled.revert(&undo).await.unwrap();
            assert_eq!(recalled.current(&undo).await.unwrap(), Current::AsCaptured);
        }
        seen(false).await;
    }
}

/// The text between the first of these tags.
pub(crate) fn text_of<'x>(xml: &'x str, tag: &str) -> &'x str {
    all_texts(xml, tag).into_iter().next().unwrap_or_default()
}

/// The texts between all of these tags.
pub(crate) fn all_texts<'x>(xml: &'x str, tag: &str) -> Vec<&'x str> {
    let (mut open, mut close) = (String::new(), String::new());
    write!(open, "<{tag}>").unwrap();
    write!(close, "</{tag}>").unwrap();
    let parts = xml.split(open.as_str()).skip(1);
    parts
        .map(|part| part.split(close.as_str()).next().unwrap_or_default())
        .collect()
}
