//! Which engine is meant, and how it is reached: `DOCKER_HOST`, Docker contexts, sockets, TLS.

use std::{
    env, fs,
    path::{Path, PathBuf},
};

use bollard::{API_DEFAULT_VERSION, Docker};
use serde_json::Value;

use super::DockerError;

/// How long an engine may take to answer: a container has ten seconds to stop, and its time may be longer.
const TIMEOUT_SECONDS: u64 = 120;

/// The context that stands for no context.
const DEFAULT_CONTEXT: &str = "default";

/// A Docker context: an engine by name.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Context {
    name: String,
    host: String,
    /// Where its certificates are, if it has any.
    certificates: Option<PathBuf>,
}

/// The address of the engine that is meant.
pub(super) fn address() -> Result<String, DockerError> {
    let named = |name: &str| env::var(name).ok().filter(|value| !value.is_empty());
    if let Some(host) = named("DOCKER_HOST") {
        return Ok(host);
    }
    if let Some(folder) = configuration()
        && let Some(name) = named("DOCKER_CONTEXT").or_else(|| current_context(&folder))
        && name != DEFAULT_CONTEXT
    {
        let context = contexts(&folder)
            .into_iter()
            .find(|context| context.name == name);
        return context
            .map(|context| context.host)
            .ok_or(DockerError::NoContext(name));
    }
    let podman = named("XDG_RUNTIME_DIR").map(|folder| format!("{folder}/podman/podman.sock"));
    let sockets = [
        Some("/var/run/docker.sock".to_owned()),
        podman,
        Some("/run/podman/podman.sock".to_owned()),
    ];
    let mut sockets = sockets.into_iter().flatten();
    let first = sockets.next().unwrap_or_default();
    let socket = if Path::new(&first).exists() {
        first
    } else {
        sockets
            .find(|socket| Path::new(socket).exists())
            .unwrap_or(first)
    };
    Ok(format!("unix://{socket}"))
}

/// A client for the engine at an address, which is not asked yet.
pub(super) fn client(address: &str) -> Result<Docker, DockerError> {
    let failed = |source| DockerError::no_engine(address, source);
    let (scheme, _) = address.split_once("://").unwrap_or_default();
    match scheme {
        "unix" => Docker::connect_with_unix(address, TIMEOUT_SECONDS, API_DEFAULT_VERSION),
        "tcp" | "http" | "https" => match certificates(address) {
            Some(folder) => return with_tls(address, &folder),
            None if scheme == "https" => {
                return with_tls(address, &configuration().unwrap_or_default());
            }
            None => Docker::connect_with_http(address, TIMEOUT_SECONDS, API_DEFAULT_VERSION),
        },
        _ => return Err(DockerError::NoAddress(address.to_owned())),
    }
    .map_err(failed)
}

fn with_tls(address: &str, folder: &Path) -> Result<Docker, DockerError> {
    let [key, certificate, authority] =
        ["key.pem", "cert.pem", "ca.pem"].map(|name| folder.join(name));
    for file in [&authority, &certificate, &key] {
        if !file.is_file() {
            return Err(DockerError::NoCertificates {
                address: address.to_owned(),
                missing: file.display().to_string(),
            });
        }
    }
    Docker::connect_with_ssl(
        address,
        &key,
        &certificate,
        &authority,
        TIMEOUT_SECONDS,
        API_DEFAULT_VERSION,
    )
    .map_err(|source| DockerError::no_engine(address, source))
}

/// The folder with the certificates for an engine, if it is to be asked with TLS. Whoever has only the address, such as the guard,
/// finds them by it.
fn certificates(address: &str) -> Option<PathBuf> {
    let verify = env::var_os("DOCKER_TLS_VERIFY").is_some_and(|value| !value.is_empty());
    if verify {
        return env::var_os("DOCKER_CERT_PATH")
            .filter(|path| !path.is_empty())
            .map(PathBuf::from)
            .or_else(configuration);
    }
    contexts(&configuration()?)
        .into_iter()
        .find(|context| context.host == address)?
        .certificates
}

/// The folder of the Docker configuration.
fn configuration() -> Option<PathBuf> {
    env::var_os("DOCKER_CONFIG")
        .map(PathBuf::from)
        .or_else(|| env::home_dir().map(|home| home.join(".docker")))
}

/// The context that `docker context use` chose.
fn current_context(folder: &Path) -> Option<String> {
    let name = read(&folder.join("config.json"))?["currentContext"]
        .as_str()?
        .to_owned();
    Some(name).filter(|name| !name.is_empty())
}

/// All contexts of a configuration: each has a folder named by a checksum of its name.
fn contexts(folder: &Path) -> Vec<Context> {
    let Ok(entries) = fs::read_dir(folder.join("contexts/meta")) else {
        return Vec::new();
    };
    let context = |entry: fs::DirEntry| {
        let meta = read(&entry.path().join("meta.json"))?;
        let certificates = folder
            .join("contexts/tls")
            .join(entry.file_name())
            .join("docker");
        Some(Context {
            name: meta["Name"].as_str()?.to_owned(),
            host: meta["Endpoints"]["docker"]["Host"].as_str()?.to_owned(),
            certificates: certificates.is_dir().then_some(certificates),
        })
    };
    entries.filter_map(|entry| context(entry.ok()?)).collect()
}

fn read(path: &Path) -> Option<Value> {
    serde_json::from_slice(&fs::read(path).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn configuration_with(name: &str, host: &str) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        let meta = folder.path().join("contexts/meta/abc");
        fs::create_dir_all(&meta).unwrap();
        let text = serde_json::json!({
            "Name": name,
            "Endpoints": { "docker": { "Host": host, "SkipTLSVerify": false } },
        });
        fs::write(meta.join("meta.json"), text.to_string()).unwrap();
        folder
    }

    #[test]
    fn a_context_has_its_address_and_its_certificates() {
        let folder = configuration_with("far", "tcp://far.test:2376");
        let expected = |certificates| Context {
            name: "far".to_owned(),
            host: "tcp://far.test:2376".to_owned(),
            certificates,
        };
        assert_eq!(contexts(folder.path()), [expected(None)]);
        let certificates = folder.path().join("contexts/tls/abc/docker");
        fs::create_dir_all(&certificates).unwrap();
        assert_eq!(contexts(folder.path()), [expected(Some(certificates))]);
    }

    #[test]
    fn the_context_in_use_is_the_one_that_the_configuration_names() {
        let folder = configuration_with("far", "tcp://far.test:2376");
        assert_eq!(current_context(folder.path()), None);
        let write = |text: &str| fs::write(folder.path().join("config.json"), text).unwrap();
        write(r#"{"auths": {}}"#);
        assert_eq!(current_context(folder.path()), None);
        write(r#"{"currentContext": "far"}"#);
        assert_eq!(current_context(folder.path()).as_deref(), Some("far"));
        write("no json");
        assert_eq!(current_context(folder.path()), None);
    }

    #[test]
    fn an_address_that_cannot_be_reached_from_here_is_told_with_what_to_do() {
        let error = client("ssh://root@far.test").unwrap_err();
        assert!(error.to_string().contains("DOCKER_HOST=unix://"), "{error}");
        assert!(client("far.test:2375").is_err());
    }

    #[test]
    fn certificates_that_are_missing_are_named() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("ca.pem"), "").unwrap();
        let error = with_tls("tcp://far.test:2376", folder.path()).unwrap_err();
        assert!(error.to_string().contains("cert.pem"), "{error}");
    }
}
