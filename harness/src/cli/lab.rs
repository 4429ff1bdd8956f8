//! `lab up`: an environment's lab in the foreground, and how to try it by hand.

use std::{
    io::Write,
    path::{Path, PathBuf},
    sync::Arc,
};

use tokio::runtime::Handle;

use super::{Terminal, files, print, signals::Signals, tell, tell_error};
use crate::{
    environment::Environment,
    exit_code::ExitCode,
    journal::Owner,
    provider::{lab::TokenFile, site::Site},
    suite::Threads,
};

pub(super) fn up(
    name: &str,
    speed: f64,
    token_file: Option<&Path>,
    terminal: Terminal,
) -> ExitCode {
    let environment = match files::load_environment(name, terminal) {
        Ok(environment) => environment,
        Err(code) => return code,
    };
    let secrets = environment.secrets();
    let threads = match Threads::start() {
        Ok(threads) => threads,
        Err(error) => {
            tell_error(&error, &secrets);
            return ExitCode::CouldNotRun;
        }
    };
    threads.block_on(keep_up(
        Arc::new(environment),
        speed,
        token_file,
        threads.labs(),
    ))
}

async fn keep_up(
    environment: Arc<Environment>,
    speed: f64,
    token_file: Option<&Path>,
    labs: Handle,
) -> ExitCode {
    let secrets = environment.secrets();
    let mut signals = match Signals::listen() {
        Ok(signals) => signals,
        Err(error) => {
            tell_error(&error, &secrets);
            return ExitCode::CouldNotRun;
        }
    };
    let opening = Site::open(Arc::clone(&environment), speed, fastrand::u64(..), &labs);
    let site = tokio::select! {
        opened = opening => match opened {
            Ok(site) => site,
            Err(error) => {
                tell_error(&error, &secrets);
                return ExitCode::CouldNotRun;
            }
        },
        _ = signals.next() => return ExitCode::Interrupted,
    };
    let certificate = match write_certificate(&site) {
        Ok(path) => path,
        Err(error) => {
            tell(&format!(
                "error: could not write the lab's root certificate to `{}`: {error}",
                std::env::temp_dir().display()
            ));
            site.close().await;
            return ExitCode::CouldNotRun;
        }
    };
    let told = instructions(&site, &environment, &certificate).and_then(|text| {
        // Whoever waits for the file may use the lab once it is there.
        if let Some(path) = token_file {
            write_token(&site, path)
                .map_err(|error| format!("could not write `{}`: {error}", path.display()))?;
        }
        Ok(text)
    });
    let code = match told {
        Ok(text) => {
            print(&secrets.hide(&text));
            let signal = signals.next().await;
            tell(&format!("{signal}: the lab is down"));
            ExitCode::Passed
        }
        Err(reason) => {
            tell(&format!("error: {reason}"));
            ExitCode::CouldNotRun
        }
    };
    site.close().await;
    // Neither is of use to anybody any more. A token file that could not be written may be somebody else's.
    let token_file = token_file.filter(|_| code == ExitCode::Passed);
    for file in token_file.into_iter().chain([certificate.as_path()]) {
        drop(std::fs::remove_file(file));
    }
    code
}

/// Writes how the lab is reached, now that it is.
fn write_token(site: &Site, path: &Path) -> std::io::Result<()> {
    let Some(lab) = site.lab() else { return Ok(()) };
    let (address, token) = lab.admin();
    let token = token.to_owned();
    let process = Some(Box::new(Owner::this()));
    TokenFile {
        address,
        token,
        process,
    }
    .write(path)
}

/// Writes the lab's root certificate where curl can read it.
fn write_certificate(site: &Site) -> std::io::Result<PathBuf> {
    let pem = site
        .lab()
        .map(|lab| lab.ca_pem().to_owned())
        .unwrap_or_default();
    let path = std::env::temp_dir().join(format!("blackstart-lab-{:016x}.pem", fastrand::u64(..)));
    // Made anew: a link that somebody laid there is not followed.
    let mut file = std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(&path)?;
    file.write_all(pem.as_bytes())?;
    Ok(path)
}

fn instructions(
    site: &Site,
    environment: &Environment,
    certificate: &Path,
) -> Result<String, String> {
    let lab = site.lab().ok_or("the environment is no lab")?;
    let url: reqwest::Url = environment
        .service
        .url
        .parse()
        .map_err(|error| format!("{error}"))?;
    let host = url.host_str().ok_or("the URL has no host")?;
    let logical = url.port_or_known_default().ok_or("the URL has no port")?;
    let port = lab
        .port(logical)
        .ok_or_else(|| format!("nothing in the stack listens on port {logical}"))?;
    let (admin, token) = lab.admin();
    let (authority, resolver) = (lab.authority(), lab.resolver());
    let dig = |server: std::net::SocketAddr, more: &str| {
        format!("dig @{} -p {} {host} {more}", server.ip(), server.port())
    };
    let ask = dig(resolver, "+short");
    let trust = if url.scheme() == "https" {
        format!("--cacert {} ", certificate.display())
    } else {
        String::new()
    };
    let mut text = format!(
        "lab of {}, at {} times the wall's clock\n\n\
         what the authority answers, and what users get from their resolver\n  {}\n  {}\n\n\
         the service as users reach it\n  \
         curl -si {trust}--connect-to {host}:{logical}:$({ask} | tail -1):{port} {url}\n\n\
         the control plane: read, break, put back\n",
        environment.name,
        site.speed(),
        dig(authority, "+norecurse"),
        ask,
    );
    let api = format!("http://{admin}/v1");
    let bearer = format!("-H 'Authorization: Bearer {token}'");
    let mut lines = vec![format!("curl -s {bearer} {api}/resources")];
    let workloads = environment.stack.iter().flat_map(|stack| &stack.workloads);
    if let Some((name, workload)) = workloads.into_iter().next() {
        let scale = |replicas| {
            format!(
                "curl -s {bearer} -X PATCH -d '{{\"replicas\": {replicas}}}' {api}/workload/{name}"
            )
        };
        lines.push(format!("curl -s {bearer} {api}/workload/{name}"));
        lines.extend([scale(0), scale(workload.replicas)]);
    }
    for line in lines {
        text.push_str("  ");
        text.push_str(&line);
        text.push('\n');
    }
    text.push_str("\nCtrl-C takes it down\n");
    Ok(text)
}
