//! Engines that are reached by TLS, by variables and by a Docker context, and the words for those that are not.

use std::{
    fs,
    os::unix::process::CommandExt,
    path::Path,
    process::{Command, Output},
    sync::{Arc, PoisonError},
};

use blackstart::provider::docker::Engine;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::{
    RootCertStore, ServerConfig,
    crypto::ring,
    pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
    server::WebPkiClientVerifier,
};
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, UnixStream},
};
use tokio_rustls::TlsAcceptor;

use crate::{Shared, rig::Rig};

/// Who can do nothing.
const NOBODY: u32 = 65534;

type Issuer = CertifiedIssuer<'static, KeyPair>;

pub(crate) fn an_engine_is_reached_by_tls_by_variables_and_by_a_context(shared: &Shared, _: &Rig) {
    let _alone = shared
        .sweeping
        .lock()
        .unwrap_or_else(PoisonError::into_inner);
    let engine = shared.threads.block_on(Engine::connect()).unwrap();
    let socket = engine
        .address()
        .strip_prefix("unix://")
        .expect("the engine of these tests has a socket on this machine")
        .to_owned();
    let authority = authority();
    let port = shared.threads.block_on(proxy(&authority, socket.clone()));
    let address = format!("tcp://127.0.0.1:{port}");
    let folder = tempfile::tempdir().unwrap();
    let certificates = folder.path().join("certificates");
    write_certificates(&authority, &certificates);

    let variables = |path: &Path| {
        let mut asked = asking();
        asked
            .env("DOCKER_HOST", &address)
            .env("DOCKER_TLS_VERIFY", "1")
            .env("DOCKER_CERT_PATH", path);
        asked.output().unwrap()
    };
    must_succeed(&variables(&certificates));

    let context = folder.path().join("configuration");
    write_context(&context, "far", &address);
    write_certificates(&authority, &context.join("contexts/tls/abc/docker"));
    let by_context = |name: Option<&str>| {
        let mut asked = asking();
        asked.env("DOCKER_CONFIG", &context);
        asked.envs(name.map(|name| ("DOCKER_CONTEXT", name)));
        asked.output().unwrap()
    };
    must_succeed(&by_context(None));
    must_succeed(&by_context(Some("far")));
    must_say(&by_context(Some("nowhere")), "no Docker context `nowhere`");

    let nothing = folder.path().join("nothing");
    fs::create_dir(&nothing).unwrap();
    must_say(&variables(&nothing), "ca.pem");
    let strangers = folder.path().join("strangers");
    write_certificates(&self::authority(), &strangers);
    must_say(&variables(&strangers), "no container engine answers");

    let mut without = asking();
    without.env("DOCKER_HOST", &address);
    must_say(&without.output().unwrap(), "no container engine answers");
    let mut absent = asking();
    absent.env("DOCKER_HOST", "unix:///nowhere/engine.sock");
    must_say(
        &absent.output().unwrap(),
        "no container engine answers at `unix:///nowhere/engine.sock`",
    );
    let mut ssh = asking();
    ssh.env("DOCKER_HOST", "ssh://somebody@far.test");
    must_say(&ssh.output().unwrap(), "forward the engine's socket");
    if nix::unistd::geteuid().is_root() {
        // The program itself may be where nobody else may look.
        let program = folder.path().join("blackstart");
        fs::copy(env!("CARGO_BIN_EXE_blackstart"), &program).unwrap();
        let open = |path: &Path| {
            let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
            fs::set_permissions(path, mode).unwrap();
        };
        open(folder.path());
        open(&program);
        let mut forbidden = Command::new(&program);
        forbidden
            .args(["lab", "down"])
            .env("DOCKER_HOST", format!("unix://{socket}"))
            .uid(NOBODY)
            .gid(NOBODY);
        must_say(
            &forbidden.output().unwrap(),
            "may not be asked by this user",
        );
    }
}

/// What asks the engine and does nothing else where nothing was left.
fn asking() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_blackstart"));
    command.args(["lab", "down"]);
    for variable in [
        "DOCKER_HOST",
        "DOCKER_CONTEXT",
        "DOCKER_CONFIG",
        "DOCKER_TLS_VERIFY",
        "DOCKER_CERT_PATH",
    ] {
        command.env_remove(variable);
    }
    command
}

fn must_succeed(output: &Output) {
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
}

fn must_say(output: &Output, words: &str) {
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && said.contains(words), "{said}");
}

fn authority() -> Issuer {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

/// What Docker's client has in such a folder.
fn write_certificates(authority: &Issuer, folder: &Path) {
    fs::create_dir_all(folder).unwrap();
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec!["client".to_owned()]).unwrap();
    let certificate = params.signed_by(&key, authority).unwrap();
    for (name, text) in [
        ("ca.pem", authority.pem()),
        ("cert.pem", certificate.pem()),
        ("key.pem", key.serialize_pem()),
    ] {
        fs::write(folder.join(name), text).unwrap();
    }
}

/// What `docker context create` and `docker context use` write.
fn write_context(folder: &Path, name: &str, address: &str) {
    let meta = folder.join("contexts/meta/abc");
    fs::create_dir_all(&meta).unwrap();
    let text = serde_json::json!({
        "Name": name,
        "Metadata": {},
        "Endpoints": { "docker": { "Host": address, "SkipTLSVerify": false } },
    });
    fs::write(meta.join("meta.json"), text.to_string()).unwrap();
    let configuration = serde_json::json!({ "currentContext": name });
    fs::write(folder.join("config.json"), configuration.to_string()).unwrap();
}

/// An engine that is asked with TLS and wants to know who asks, on a port of loopback.
async fn proxy(authority: &Issuer, socket: String) -> u16 {
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
    let certificate = params.signed_by(&key, authority).unwrap();
    let provider = Arc::new(ring::default_provider());
    let mut roots = RootCertStore::empty();
    roots.add(authority.der().clone()).unwrap();
    let known = WebPkiClientVerifier::builder_with_provider(roots.into(), provider.clone())
        .build()
        .unwrap();
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_client_cert_verifier(known)
        .with_single_cert(vec![certificate.der().clone()], key)
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (acceptor, socket) = (acceptor.clone(), socket.clone());
            tokio::spawn(async move {
                // A client that nobody knows is sent away, and that is its affair.
                if let Ok(mut client) = acceptor.accept(stream).await
                    && let Ok(mut engine) = UnixStream::connect(&socket).await
                {
                    drop(copy_bidirectional(&mut client, &mut engine).await);
                }
            });
        }
    });
    port
}
