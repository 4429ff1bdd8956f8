//! What of a resource a fault changes, and how that is read and written: one module for each kind of it.

mod machine;
mod rule;
mod switch;
mod website;

use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::time::{Instant, sleep};

use super::{
    AzureError,
    arm::Connection,
    change::{Action, Change},
};
use crate::environment::{AzureKind, AzureResource};

use machine::Power;
pub(super) use machine::{id as machine_id, machine};
pub(super) use rule::{OURS, Rule, group, id as group_id};
pub(super) use switch::{Switch, switch};
pub(super) use website::{Website, id as website_id, website};

/// From one look at what changes by itself to the next.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// From one request that is put off, since something else is under way, to the next.
const ASK_EVERY: Duration = Duration::from_secs(2);

/// What of a resource a fault changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Part {
    /// Whether a machine runs.
    Power(Power),
    /// Whether a rule of ours is there.
    Rule(Rule),
    /// Whether it is switched on.
    Switch(Switch),
    /// The static website, as it is set.
    Website(Website),
    /// Something in the place of what a fault changes, that is not ours: what.
    Foreign(String),
    /// The resource is not there, or another one under its name.
    Gone,
}

/// A resource as it was found: its id, what no other resource ever has, and the part as it is and as the fault leaves it.
pub(super) struct Taken {
    /// The id by which Azure Resource Manager knows it.
    pub(super) id: String,
    /// The id that a resource made anew under its name does not have, where there is such a thing.
    pub(super) unique: Option<String>,
    pub(super) before: Part,
    pub(super) after: Part,
}

/// Reads what a fault will change, and works out what it will make of that.
pub(super) async fn take(connection: &Connection, change: &Change) -> Result<Taken, AzureError> {
    let resource = &change.resource;
    match (&resource.kind, &change.action) {
        (_, Action::Stop { deallocate }) => machine::take(connection, resource, *deallocate).await,
        (_, Action::BlockIngress(ports)) => rule::take(connection, resource, ports).await,
        (AzureKind::StaticWebsite { .. }, Action::Disable) => {
            website::take(connection, resource).await
        }
        (_, Action::Disable) => switch::take(connection, resource).await,
    }
}

/// Where a part is: the resource, and its ids as they were when it was captured.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place<'a> {
    pub(super) connection: &'a Connection,
    pub(super) resource: &'a AzureResource,
    pub(super) id: &'a str,
    pub(super) unique: Option<&'a str>,
}

impl Place<'_> {
    /// Whether what was read is another resource under the same name.
    fn is_another(&self, unique: Option<&str>) -> bool {
        matches!((self.unique, unique), (Some(then), Some(now)) if then != now)
    }
}

impl Part {
    /// The same part as it is now.
    pub(super) async fn read(&self, place: Place<'_>) -> Result<Self, AzureError> {
        match self {
            Self::Power(_) => machine::read(place).await,
            Self::Rule(rule) => rule.read(place).await,
            Self::Switch(_) => switch::read(place).await,
            Self::Website(_) => website::read(place).await,
            Self::Foreign(_) | Self::Gone => Ok(self.clone()),
        }
    }

    /// Brings the resource to this, once whatever else is under way is over. What differs from `expected`, if anything is, is left
    /// alone, and is an error.
    pub(super) async fn apply(
        &self,
        place: Place<'_>,
        expected: Option<&Self>,
    ) -> Result<(), AzureError> {
        let limit = place.connection.account.timeout;
        let deadline = place.connection.deadline(limit);
        loop {
            let now = self.read(place).await?;
            if now == *self {
                return Ok(());
            }
            let (reason, pause) = if now.is_passing(expected) {
                (now.words(), LOOK_EVERY)
            } else {
                if let Some(expected) = expected.filter(|expected| **expected != now) {
                    return Err(AzureError::Changed {
                        resource: place.resource.to_string(),
                        was: expected.words(),
                        now: now.words(),
                    });
                }
                match self.write(place).await {
                    // Also what was begun between the look and the request, such as what a harness asked for that is gone.
                    Err(error) if error.is_for_now() => (error.to_string(), ASK_EVERY),
                    done => return done,
                }
            };
            if Instant::now() + pause > deadline {
                return Err(AzureError::StillBusy {
                    resource: place.resource.to_string(),
                    reason,
                    limit,
                });
            }
            sleep(pause).await;
        }
    }

    /// Whether it changes by itself, so that it is waited for. Where something is expected, only what is that but for an operation of
    /// somebody else's: anything else would be taken for the fault when it has arrived.
    fn is_passing(&self, expected: Option<&Self>) -> bool {
        let Self::Power(power) = self else {
            return false;
        };
        *power == Power::Busy || (expected.is_none() && power.is_moving())
    }

    async fn write(&self, place: Place<'_>) -> Result<(), AzureError> {
        match self {
            Self::Power(power) => power.apply(place).await,
            Self::Rule(rule) => rule.apply(place).await,
            Self::Switch(switch) => switch.apply(place).await,
            Self::Website(website) => website.apply(place).await,
            Self::Foreign(_) | Self::Gone => Ok(()),
        }
    }

    /// Whether this is on the way from what was captured to what the fault sets, or back.
    pub(super) fn is_between(&self, after: &Self) -> bool {
        match (self, after) {
            (Self::Power(now), Self::Power(after)) => now.is_on_the_way_to(*after),
            _ => false,
        }
    }

    /// What it is, in words.
    pub(super) fn words(&self) -> String {
        match self {
            Self::Power(power) => format!("the power state {power}"),
            Self::Rule(rule) => rule.words(),
            Self::Switch(switch) => switch.words(),
            Self::Website(website) => website.words(),
            Self::Foreign(what) => what.clone(),
            Self::Gone => "nothing: it is gone, or was made anew".to_owned(),
        }
    }

    /// What restoring it does, in words that a person could follow, with the command that does it by hand.
    pub(super) fn orders(&self, resource: &AzureResource, id: &str) -> String {
        match self {
            Self::Power(_) => format!("start {resource} (`az vm start --ids {id}`)"),
            Self::Rule(rule) => format!(
                "delete the rule `{}` of {resource} (`az network nsg rule delete --subscription {} --resource-group {} --nsg-name {} --name {}`)",
                rule.name,
                resource.account.subscription,
                resource.resource_group,
                id.rsplit('/').next().unwrap_or_default(),
                rule.name
            ),
            Self::Switch(switch) => format!(
                "set {} of {resource} to {} (`az resource update --ids {id} --set properties.{}={}`)",
                switch.property,
                switch.value(),
                switch.property,
                switch.value()
            ),
            Self::Website(website) => website.orders(resource),
            Self::Foreign(_) | Self::Gone => format!("look at {resource}"),
        }
    }
}

/// The id of a resource of a resource group.
pub(super) fn id_of(resource: &AzureResource, path: &str) -> String {
    format!(
        "/subscriptions/{}/resourceGroups/{}/providers/{path}",
        resource.account.subscription, resource.resource_group
    )
}

/// That there is no such resource, and what shows what there is.
pub(super) fn not_found(resource: &AzureResource) -> AzureError {
    AzureError::NotFound {
        resource: format!("{resource}, {}", resource.account),
        hint: format!(
            "az resource list --subscription {} --resource-group {} --output table",
            resource.account.subscription, resource.resource_group
        ),
    }
}
