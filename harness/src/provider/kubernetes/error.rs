//! What can go wrong with a cluster, in words that say what to do.

use kube::config::KubeconfigError;

use crate::environment::Cluster;

/// A cluster cannot be reached, or would not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum KubernetesError {
    /// Nothing says how the cluster is reached.
    #[error(
        "there is no kubeconfig: name one with KUBECONFIG or `kubernetes: {{ kubeconfig: … }}`, or run in a pod of the cluster"
    )]
    NoKubeconfig,
    /// The kubeconfig has no current context.
    #[error(
        "the kubeconfig has no current context: name one with `kubernetes: {{ context: … }}`; there are {}", list(.known)
    )]
    NoContext {
        /// The kubeconfig.
        cluster: Cluster,
        /// The contexts that it has.
        known: Vec<String>,
    },
    /// The kubeconfig has no such context.
    #[error("there is no {cluster}: there are {}", list(.known))]
    UnknownContext {
        /// What was looked for.
        cluster: Cluster,
        /// The contexts that there are.
        known: Vec<String>,
    },
    /// The kubeconfig cannot be used.
    #[error("{cluster} cannot be used")]
    Kubeconfig {
        /// What was looked for.
        cluster: Cluster,
        /// Why.
        source: Box<KubeconfigError>,
    },
    /// The pod's service account cannot be used.
    #[error("the service account of this pod cannot be used")]
    InCluster(#[source] Box<kube::config::InClusterError>),
    /// The client could not be set up.
    #[error("the client of {cluster} could not be set up")]
    Client {
        /// The cluster.
        cluster: Cluster,
        /// Why.
        source: Box<kube::Error>,
    },
    /// The cluster could not be opened in the beginning.
    #[error("{cluster} cannot be reached: {reason}")]
    Unopened {
        /// The cluster.
        cluster: Cluster,
        /// Why.
        reason: String,
    },
    /// The context leads elsewhere than it did when something was captured.
    #[error("{cluster} leads to {now} now, and what was captured was at {then}")]
    OtherServer {
        /// The cluster.
        cluster: Cluster,
        /// Where it led.
        then: String,
        /// Where it leads.
        now: String,
    },
    /// The API server does not answer.
    #[error("{what}: the API server at {server} does not answer")]
    Unreachable {
        /// What was asked.
        what: String,
        /// Where.
        server: String,
        /// Why.
        source: Box<kube::Error>,
    },
    /// The user may not do this.
    #[error(
        "{what}: this user may not: {message}; `blackstart plan --permissions` shows what is needed"
    )]
    Forbidden {
        /// What was asked.
        what: String,
        /// What the server said.
        message: String,
    },
    /// The API server said no.
    #[error("{what}: the API server answered {code}: {message}")]
    Refused {
        /// What was asked.
        what: String,
        /// The HTTP status.
        code: u16,
        /// What it said.
        message: String,
    },
    /// There is no such object.
    #[error("there is no {objects} at {server}: `{hint}` shows what there is")]
    NotFound {
        /// What was looked for.
        objects: String,
        /// Where.
        server: String,
        /// What shows what there is.
        hint: String,
    },
    /// The user may not do what the fault needs.
    #[error(
        "this user may not {}; `blackstart plan --permissions` prints the role that is needed", .denied.join(", ")
    )]
    Denied {
        /// What it may not.
        denied: Vec<String>,
    },
    /// The object has no number of replicas.
    #[error("{object} has no scale subresource, so it cannot be scaled")]
    NoScale {
        /// The object.
        object: String,
    },
    /// No container of the object has a probe to break.
    #[error(
        "no container of {object} has a readiness probe with `httpGet`, so there is no path to break"
    )]
    NoProbe {
        /// The object.
        object: String,
    },
    /// A policy lets in what another was to shut out.
    #[error(
        "the NetworkPolicy `{policy}` lets somebody in to the pods of {object}, and policies add up: one more that lets nothing in \
         would shut nobody out"
    )]
    LetsIn {
        /// The object.
        object: String,
        /// The policy.
        policy: String,
    },
    /// No node is in the zone.
    #[error("no {objects} is in the zone `{zone}`: there are {}", list(.known))]
    NoZone {
        /// What was looked through.
        objects: String,
        /// The zone.
        zone: String,
        /// The zones that there are.
        known: Vec<String>,
    },
    /// Something is there under a name that a fault needs.
    #[error("there is a {what} already that this program did not make, so it is left alone")]
    Foreign {
        /// What is there.
        what: String,
    },
    /// A pod stays.
    #[error("pod/{pod} cannot be evicted: {reason}")]
    NotEvicted {
        /// The pod.
        pod: String,
        /// What the server says.
        reason: String,
    },
    /// Somebody else has changed an object after it was captured.
    #[error(
        "{object} was changed after it was captured, so it is left alone: it had {was}, and has {now}"
    )]
    Changed {
        /// The object.
        object: String,
        /// What it had.
        was: String,
        /// What it has.
        now: String,
    },
}

/// Names in a sentence.
fn list(names: &[String]) -> String {
    if names.is_empty() {
        return "none".to_owned();
    }
    format!("`{}`", names.join("`, `"))
}
