//! Targets that are resources of Azure: `azure:` at the top of an environment file and in its targets.

use std::{fmt, time::Duration};

use blackstart_lab::stack::DurationText;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::decode;
use crate::source::{Item, Mapping};

/// How long an operation may take unless the file says otherwise.
const TIMEOUT: Duration = Duration::from_mins(10);
/// The longest that may be given.
const LONGEST: Duration = Duration::from_hours(1);

/// Where the resources of Azure are that targets name.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Azure {
    /// The id of the subscription of targets that name none.
    pub subscription: Option<String>,
    /// The resource group of targets that name none.
    pub resource_group: Option<String>,
    /// Where credentials come from. Default: the first of `environment`, `workload-identity`, `cli` and `managed-identity` that this
    /// machine shows.
    pub credentials: Option<AzureCredentials>,
    /// How long an operation may take that Azure carries out by itself, such as starting a machine, in real time, `1h` at most. Default
    /// `10m`.
    #[schemars(with = "Option<DurationText>")]
    pub timeout: Option<Duration>,
    /// The address of a stand-in for Azure Resource Manager, for tests. Needs `token-variable`, because credentials of Azure are sent to
    /// Azure alone.
    pub endpoint: Option<String>,
    /// The variable that has the token for the stand-in.
    pub token_variable: Option<String>,
}

/// Where credentials for Azure come from.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum AzureCredentials {
    /// `AZURE_TENANT_ID`, `AZURE_CLIENT_ID` and `AZURE_CLIENT_SECRET`.
    Environment,
    /// The token that Kubernetes puts into the file `AZURE_FEDERATED_TOKEN_FILE`.
    WorkloadIdentity,
    /// Whoever is logged in with `az login`.
    Cli,
    /// The identity of the machine that this runs on.
    ManagedIdentity,
}

/// How a subscription is reached.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct AzureAccount {
    /// The id of the subscription.
    pub subscription: String,
    /// Where credentials come from; the first that there are, if that is not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credentials: Option<AzureCredentials>,
    /// How long an operation may take that Azure carries out by itself.
    pub timeout: Duration,
    /// What stands in for Azure.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stand_in: Option<AzureStandIn>,
}

/// What stands in for Azure Resource Manager in a test.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct AzureStandIn {
    /// Its address.
    pub endpoint: String,
    /// The variable that has the token it takes.
    pub token_variable: String,
}

/// A resource of Azure.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct AzureResource {
    /// How its subscription is reached.
    pub account: AzureAccount,
    /// The resource group that it is in.
    pub resource_group: String,
    /// What it is.
    pub kind: AzureKind,
}

/// A kind of resource with what finds one of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AzureKind {
    /// A virtual machine.
    VirtualMachine {
        /// Its name.
        name: String,
        /// Whether `stop` gives its hardware back.
        deallocate: bool,
    },
    /// A network security group.
    NetworkSecurityGroup {
        /// Its name.
        name: String,
        /// The ports that `block-ingress` shuts; every one if there is none.
        ports: Vec<u16>,
    },
    /// An endpoint of a Traffic Manager profile.
    TrafficManagerEndpoint {
        /// The profile.
        profile: String,
        /// The endpoint's name, whatever its type.
        endpoint: String,
    },
    /// An endpoint of an Azure Front Door profile.
    FrontDoorEndpoint {
        /// The profile.
        profile: String,
        /// The endpoint's name.
        endpoint: String,
    },
    /// A route of such an endpoint.
    FrontDoorRoute {
        /// The profile.
        profile: String,
        /// The endpoint's name.
        endpoint: String,
        /// The route's name.
        route: String,
    },
    /// An origin of an Azure Front Door profile.
    FrontDoorOrigin {
        /// The profile.
        profile: String,
        /// The origin group.
        group: String,
        /// The origin's name.
        origin: String,
    },
    /// The static website of a storage account.
    StaticWebsite {
        /// The storage account.
        account: String,
    },
}

impl Default for AzureKind {
    fn default() -> Self {
        Self::StaticWebsite {
            account: String::new(),
        }
    }
}

impl AzureCredentials {
    /// All there are, in the order in which they are looked for.
    pub const ALL: [Self; 4] = [
        Self::Environment,
        Self::WorkloadIdentity,
        Self::Cli,
        Self::ManagedIdentity,
    ];

    /// The word of the file.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Environment => "environment",
            Self::WorkloadIdentity => "workload-identity",
            Self::ManagedIdentity => "managed-identity",
            Self::Cli => "cli",
        }
    }
}

impl AzureResource {
    /// The words of the faults that can be applied.
    pub fn faults(&self) -> &'static [&'static str] {
        match self.kind {
            AzureKind::VirtualMachine { .. } => &["stop"],
            AzureKind::NetworkSecurityGroup { .. } => &["block-ingress"],
            AzureKind::TrafficManagerEndpoint { .. }
            | AzureKind::FrontDoorEndpoint { .. }
            | AzureKind::FrontDoorRoute { .. }
            | AzureKind::FrontDoorOrigin { .. }
            | AzureKind::StaticWebsite { .. } => &["disable"],
        }
    }
}

impl fmt::Display for AzureAccount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the subscription {}", self.subscription)?;
        match &self.stand_in {
            Some(stand_in) => write!(f, " at the stand-in {}", stand_in.endpoint),
            None => Ok(()),
        }
    }
}

impl fmt::Display for AzureKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::VirtualMachine { name, .. } => write!(f, "virtual-machine/{name}"),
            Self::NetworkSecurityGroup { name, .. } => write!(f, "network-security-group/{name}"),
            Self::TrafficManagerEndpoint { profile, endpoint } => {
                write!(f, "traffic-manager-endpoint/{profile}/{endpoint}")
            }
            Self::FrontDoorEndpoint { profile, endpoint } => {
                write!(f, "front-door-endpoint/{profile}/{endpoint}")
            }
            Self::FrontDoorRoute {
                profile,
                endpoint,
                route,
            } => write!(f, "front-door-route/{profile}/{endpoint}/{route}"),
            Self::FrontDoorOrigin {
                profile,
                group,
                origin,
            } => write!(f, "front-door-origin/{profile}/{group}/{origin}"),
            Self::StaticWebsite { account } => write!(f, "static-website/{account}"),
        }
    }
}

impl fmt::Display for AzureResource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} in {}", self.kind, self.resource_group)
    }
}

/// The `azure:` mapping at the top of an environment file.
pub(super) fn decode(item: Item<'_>) -> Option<Azure> {
    let mut mapping = item.mapping()?;
    let subscription = mapping.maybe("subscription", name);
    let resource_group = mapping.maybe("resource-group", name);
    let credentials = mapping.maybe("credentials", |credentials| {
        credentials.word(&AzureCredentials::ALL.map(|known| (known.as_str(), known)))
    });
    let timeout = mapping.maybe("timeout", timeout);
    let endpoint = mapping.maybe("endpoint", decode::url);
    let token_variable = mapping.maybe("token-variable", Item::text);
    mapping.finish();
    let (endpoint, token_variable) = (endpoint?, token_variable?);
    let missing = match (&endpoint, &token_variable) {
        (Some(_), None) => Some("`token-variable` is missing beside `endpoint`"),
        (None, Some(_)) => Some("`endpoint` is missing beside `token-variable`"),
        (Some(_), Some(_)) | (None, None) => None,
    };
    if let Some(missing) = missing {
        item.context().push(
            item.problem(missing).with_hint(
                "a stand-in gets a token of its own; without both, Azure itself is meant",
            ),
        );
        return None;
    }
    Some(Azure {
        subscription: subscription?,
        resource_group: resource_group?,
        credentials: credentials?,
        timeout: timeout?,
        endpoint,
        token_variable,
    })
}

fn timeout(item: Item<'_>) -> Option<Duration> {
    let timeout = item.positive_duration()?;
    if timeout > LONGEST {
        item.report(format!("{} is longer than 1h", item.shown()));
        return None;
    }
    Some(timeout)
}

/// What a resource is called: one step of a path, whatever is written.
fn name(item: Item<'_>) -> Option<String> {
    let text = item.text()?;
    let is_name = |text: &str| {
        text.len() <= 260
            && text
                .chars()
                .all(|letter| letter.is_alphanumeric() || "-_.()".contains(letter))
            && text.chars().any(char::is_alphanumeric)
    };
    if !is_name(&text) && !item.may_stand_for_a_secret() {
        item.report(format!(
            "{} is not the name of a resource of Azure: letters, digits, `-`, `_`, `.` and brackets",
            item.shown()
        ));
        return None;
    }
    Some(text)
}

/// What a target's `azure:` says.
pub(super) fn resource(item: Item<'_>, common: Option<&Azure>) -> Option<AzureResource> {
    let mut mapping = item.mapping()?;
    let subscription = mapping.maybe("subscription", name);
    let resource_group = mapping.maybe("resource-group", name);
    let kind = kind(&mut mapping, item);
    mapping.finish();
    let common = common.cloned().unwrap_or_default();
    let (kind, subscription, resource_group) = (kind?, subscription?, resource_group?);
    let missing = |key: &str, what: &str| {
        item.context().push(
            item.problem(format!("{kind} has no {what}"))
                .with_hint(format!(
                    "add `{key}: …` here, or for all targets in `azure:` at the top"
                )),
        );
    };
    let subscription = subscription.or(common.subscription);
    let resource_group = resource_group.or(common.resource_group);
    if subscription.is_none() {
        missing("subscription", "subscription");
    }
    if resource_group.is_none() {
        missing("resource-group", "resource group");
    }
    let stand_in = common.endpoint.zip(common.token_variable);
    Some(AzureResource {
        account: AzureAccount {
            subscription: subscription?,
            credentials: common.credentials,
            timeout: common.timeout.unwrap_or(TIMEOUT),
            stand_in: stand_in.map(|(endpoint, token_variable)| AzureStandIn {
                endpoint,
                token_variable,
            }),
        },
        resource_group: resource_group?,
        kind,
    })
}

/// The keys that say what a resource is.
const KINDS: [&str; 5] = [
    "virtual-machine",
    "network-security-group",
    "traffic-manager-profile",
    "front-door-profile",
    "static-website",
];

/// What a resource is, of which exactly one thing must be said, and what goes with that.
fn kind<'a>(mapping: &mut Mapping<'a>, item: Item<'a>) -> Option<AzureKind> {
    let named = KINDS.map(|word| mapping.maybe(word, name));
    let mut beside = |word: &'static str| mapping.maybe(word, name);
    let (endpoint, route) = (beside("endpoint"), beside("route"));
    let (group, origin) = (beside("origin-group"), beside("origin"));
    let deallocate = mapping.maybe("deallocate", Item::boolean);
    let ports = mapping.maybe("ports", |ports| ports.filled_list_of(Item::port));
    let named: Option<Vec<_>> = named.into_iter().collect();
    let mut named = KINDS
        .into_iter()
        .zip(named?)
        .filter_map(|(word, name)| Some((word, name?)));
    let (word, name) = match (named.next(), named.next()) {
        (Some(only), None) => only,
        (None, _) => {
            item.report(format!("one of `{}` is missing", KINDS.join("`, `")));
            return None;
        }
        (Some(_), Some(_)) => {
            item.report(format!("must have only one of `{}`", KINDS.join("`, `")));
            return None;
        }
    };
    let (deallocate, ports) = (deallocate?, ports?);
    let beside = Beside {
        item,
        word,
        given: [
            ("endpoint", endpoint?),
            ("route", route?),
            ("origin-group", group?),
            ("origin", origin?),
            ("deallocate", deallocate.map(|_| String::new())),
            ("ports", ports.as_ref().map(|_| String::new())),
        ],
    };
    match word {
        "virtual-machine" => {
            beside.only(&["deallocate"])?;
            Some(AzureKind::VirtualMachine {
                name,
                deallocate: deallocate.unwrap_or(false),
            })
        }
        "network-security-group" => {
            beside.only(&["ports"])?;
            Some(AzureKind::NetworkSecurityGroup {
                name,
                ports: ports.unwrap_or_default(),
            })
        }
        "traffic-manager-profile" => {
            beside.only(&["endpoint"])?;
            Some(AzureKind::TrafficManagerEndpoint {
                profile: name,
                endpoint: beside.must("endpoint")?,
            })
        }
        "front-door-profile" => front_door(&beside, name),
        _ => {
            beside.only(&[])?;
            Some(AzureKind::StaticWebsite { account: name })
        }
    }
}

fn front_door(beside: &Beside<'_>, profile: String) -> Option<AzureKind> {
    if beside.has("origin-group") || beside.has("origin") {
        beside.only(&["origin-group", "origin"])?;
        return Some(AzureKind::FrontDoorOrigin {
            profile,
            group: beside.must("origin-group")?,
            origin: beside.must("origin")?,
        });
    }
    beside.only(&["endpoint", "route"])?;
    let endpoint = beside.must("endpoint")?;
    Some(match beside.get("route") {
        Some(route) => AzureKind::FrontDoorRoute {
            profile,
            endpoint,
            route,
        },
        None => AzureKind::FrontDoorEndpoint { profile, endpoint },
    })
}

/// What is given beside the key that says what a resource is.
struct Beside<'a> {
    item: Item<'a>,
    word: &'static str,
    given: [(&'static str, Option<String>); 6],
}

impl Beside<'_> {
    fn get(&self, key: &str) -> Option<String> {
        let mut given = self.given.iter();
        given.find(|(known, _)| *known == key)?.1.clone()
    }

    fn has(&self, key: &str) -> bool {
        self.get(key).is_some()
    }

    /// Refuses what does not belong to such a resource.
    fn only(&self, keys: &[&str]) -> Option<()> {
        let mut given = self.given.iter();
        let stray = given.find(|(key, value)| value.is_some() && !keys.contains(key));
        let Some((stray, _)) = stray else {
            return Some(());
        };
        self.item
            .report(format!("`{stray}` does not go with `{}`", self.word));
        None
    }

    fn must(&self, key: &str) -> Option<String> {
        let value = self.get(key);
        if value.is_none() {
            self.item
                .report(format!("`{key}` is missing beside `{}`", self.word));
        }
        value
    }
}
