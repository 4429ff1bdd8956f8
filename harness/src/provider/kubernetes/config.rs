//! How a cluster is reached: the kubeconfig that `kubectl` would use, or the service account of the pod this runs in.

use std::{
    env,
    ffi::OsString,
    path::{Path, PathBuf},
    time::Duration,
};

use kube::{
    Client, Config,
    config::{KubeConfigOptions, Kubeconfig, KubeconfigError},
};

use super::KubernetesError;
use crate::{environment::Cluster, provider::is_program};

/// How long the API server may take to take a connection, and to answer.
const CONNECT_LIMIT: Duration = Duration::from_secs(5);
const ANSWER_LIMIT: Duration = Duration::from_secs(15);
/// The variable that a pod has, and by which a service account is found.
const IN_CLUSTER: &str = "KUBERNETES_SERVICE_HOST";

/// A cluster and how to talk to it.
#[derive(Clone)]
pub(super) struct Connection {
    /// As the environment names it.
    pub(super) named: Cluster,
    /// As it is found again from anywhere, whatever the current context is then.
    pub(super) cluster: Cluster,
    /// The API server's address.
    pub(super) server: String,
    pub(super) client: Client,
    /// Whether the server is asked to carry nothing out.
    pub(super) dry_run: bool,
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connection")
            .field("cluster", &self.cluster)
            .field("server", &self.server)
            .finish_non_exhaustive()
    }
}

/// Where credentials come from.
enum Source {
    /// These files, merged as `kubectl` does, and the context of them.
    Files(Box<Kubeconfig>, Cluster),
    /// The service account of this pod.
    Pod,
}

impl Connection {
    /// Gets ready to talk to a cluster. Nothing is asked of it.
    pub(super) async fn open(named: &Cluster) -> Result<Self, KubernetesError> {
        // The client wants the process to have a provider of TLS; one that was chosen already is as good.
        drop(rustls::crypto::ring::default_provider().install_default());
        let (mut config, cluster) = match find(named)? {
            Source::Pod => {
                let config = Config::incluster()
                    .map_err(|error| KubernetesError::InCluster(Box::new(error)))?;
                (config, Cluster::default())
            }
            Source::Files(kubeconfig, cluster) => {
                let options = KubeConfigOptions {
                    context: cluster.context.clone(),
                    ..KubeConfigOptions::default()
                };
                let config = Config::from_custom_kubeconfig(*kubeconfig, &options)
                    .await
                    .map_err(|source| unusable(&cluster, source))?;
                (config, cluster)
            }
        };
        config.connect_timeout = Some(CONNECT_LIMIT);
        config.read_timeout = Some(ANSWER_LIMIT);
        config.reset_reader_on_write = true;
        // It would try for minutes what a server puts off, such as an eviction that a budget does not allow: whoever calls has
        // limits of its own, and says what became of them.
        config.default_retry = false;
        let server = config.cluster_url.to_string();
        let client = Client::try_from(config).map_err(|source| KubernetesError::Client {
            cluster: cluster.clone(),
            source: Box::new(source),
        })?;
        Ok(Self {
            named: named.clone(),
            cluster,
            server,
            client,
            dry_run: false,
        })
    }
}

fn unusable(cluster: &Cluster, source: KubeconfigError) -> KubernetesError {
    KubernetesError::Kubeconfig {
        cluster: cluster.clone(),
        source: Box::new(source),
    }
}

/// What is missing to reach a cluster, as far as this machine shows it, and how it would be reached. Nothing is asked of it.
pub(super) fn missing(named: &Cluster) -> (Cluster, Vec<String>) {
    let (kubeconfig, cluster) = match find(named) {
        Ok(Source::Pod) => return (Cluster::default(), Vec::new()),
        Ok(Source::Files(kubeconfig, cluster)) => (kubeconfig, cluster),
        Err(error) => return (named.clone(), vec![crate::causes::with_causes(&error)]),
    };
    let context = kubeconfig
        .contexts
        .iter()
        .find(|context| Some(&context.name) == cluster.context.as_ref())
        .and_then(|context| context.context.as_ref());
    let user = context.and_then(|context| context.user.as_ref());
    let user = user.and_then(|user| {
        let mut users = kubeconfig.auth_infos.iter();
        users.find(|known| known.name == *user)?.auth_info.as_ref()
    });
    let Some(user) = user else {
        return (
            cluster,
            vec!["the kubeconfig has no credentials for this context".to_owned()],
        );
    };
    let mut missing = Vec::new();
    let files = [&user.token_file, &user.client_certificate, &user.client_key];
    for file in files.into_iter().flatten() {
        if !Path::new(file).exists() {
            missing.push(format!(
                "the file `{file}` with its credentials is not there"
            ));
        }
    }
    let program = user.exec.as_ref().and_then(|exec| exec.command.as_ref());
    if let Some(program) = program
        && !is_program(program)
    {
        missing.push(format!(
            "the program `{program}`, which gets its credentials, is not in PATH"
        ));
    }
    (cluster, missing)
}

/// Finds the credentials of a cluster, and the context that is meant.
fn find(named: &Cluster) -> Result<Source, KubernetesError> {
    let Some(files) = files(named.kubeconfig.as_deref()) else {
        if named.context.is_none() && env::var_os(IN_CLUSTER).is_some() {
            return Ok(Source::Pod);
        }
        return Err(KubernetesError::NoKubeconfig);
    };
    let list =
        env::join_paths(&files).map_or_else(|_| named.kubeconfig.clone(), |list| Some(list.into()));
    let mut cluster = Cluster {
        kubeconfig: list,
        context: named.context.clone(),
    };
    let mut merged = Kubeconfig::default();
    for file in &files {
        let read = Kubeconfig::read_from(file);
        merged = read
            .and_then(|read| merged.merge(read))
            .map_err(|source| unusable(&cluster, source))?;
    }
    let context = named.context.clone().or(merged.current_context.clone());
    let names = || merged.contexts.iter().map(|context| context.name.clone());
    let Some(context) = context.filter(|context| !context.is_empty()) else {
        return Err(KubernetesError::NoContext {
            cluster,
            known: names().collect(),
        });
    };
    cluster.context = Some(context.clone());
    if !names().any(|name| name == context) {
        return Err(KubernetesError::UnknownContext {
            cluster,
            known: names().collect(),
        });
    }
    Ok(Source::Files(Box::new(merged), cluster))
}

/// The kubeconfigs: the one that is named, or those of `KUBECONFIG`, or the one in the home folder if it is there. Those of a list
/// that are not there are left out, as `kubectl` does, unless none is.
fn files(named: Option<&Path>) -> Option<Vec<PathBuf>> {
    let set = |name: &str| env::var_os(name).filter(|value| !value.is_empty());
    let list: Option<OsString> = named
        .map(|path| path.as_os_str().to_owned())
        .or_else(|| set("KUBECONFIG"));
    let absolute = |path: PathBuf| std::path::absolute(&path).unwrap_or(path);
    let Some(list) = list else {
        let home = PathBuf::from(set("HOME")?).join(".kube/config");
        return home.exists().then(|| vec![absolute(home)]);
    };
    let listed: Vec<PathBuf> = env::split_paths(&list)
        .filter(|path| !path.as_os_str().is_empty())
        .map(absolute)
        .collect();
    let there: Vec<PathBuf> = listed
        .iter()
        .filter(|path| path.exists())
        .cloned()
        .collect();
    Some(if there.is_empty() { listed } else { there })
}
