//! The undo journal: what restores each target, on disk before the target is touched, and what became of it.
//!
//! A journal is a file of one record a line, appended and synced by whoever acts: the harness, its guard, `blackstart revert`.
//! Reading it is pure. What is left to be restored is what was captured and not verified as restored since; a record that is
//! damaged is named and never guessed at.

mod disk;
mod file;
mod line;
mod owner;

use std::{net::SocketAddr, path::PathBuf};

pub use file::{Held, Writer, read};
pub(crate) use owner::host_name;
pub use owner::{Liveness, Owner, Place};
use serde::{Deserialize, Deserializer, Serialize};

use crate::{
    environment::{AwsAccount, AzureAccount, Binding, Cluster},
    provider::Undo,
    timeline::FaultStep,
};

/// The file's name in the folder of a drill.
pub const FILE_NAME: &str = "undo.ndjson";

/// A line of a journal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Record {
    /// The run began. Always the first record.
    Opened(Box<Header>),
    /// A target was captured and may be touched from now on.
    Captured {
        /// The fault's number in the drill.
        id: usize,
        /// When, by the wall's clock, RFC 3339 in UTC.
        at: String,
        /// What restores the target.
        undo: Box<Undo>,
    },
    /// A later step in the life of a fault.
    Step {
        /// The fault's number in the drill.
        id: usize,
        /// Who took the step.
        by: Actor,
        /// When, by the wall's clock, RFC 3339 in UTC.
        at: String,
        /// The step.
        step: FaultStep,
        /// More about it, for example the error.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        detail: Option<String>,
    },
    /// Somebody else reverts from now on: whoever acted before must not inject any more.
    TakenOver {
        /// Who.
        by: Actor,
        /// When, by the wall's clock, RFC 3339 in UTC.
        at: String,
        /// Why.
        why: String,
    },
    /// A guard watches over the run from now on.
    Guarded {
        /// The number of its process.
        process: u32,
    },
    /// Targets are gone, and with them whatever was broken in them.
    Gone {
        /// The binding of those targets; all of them where none is named.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        binding: Option<String>,
        /// Why that is known.
        why: String,
    },
    /// A person has looked at what damaged lines may have been about, and takes it as restored.
    Settled {
        /// The numbers of the lines, from 1.
        lines: Vec<usize>,
    },
}

/// What is known when a journal is opened. Holds no secrets.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Header {
    /// The run's name.
    pub run_id: String,
    /// The drill's name.
    pub drill: String,
    /// The environment's name.
    pub environment: String,
    /// The environment's file.
    pub environment_file: PathBuf,
    /// How the targets are reached by somebody who has nothing but this journal: each system once. Journals of before there were
    /// several have the one as it is.
    #[serde(deserialize_with = "one_or_several")]
    pub access: Vec<Access>,
    /// The timeline's file, in the journal's own folder.
    pub events: String,
    /// Whose run it is.
    pub owner: Owner,
    /// The wall's clock when the run's own clock was at zero, RFC 3339 in UTC.
    pub started_at: String,
    /// How many times as fast as the wall's clock the architecture's time runs.
    pub speed: f64,
}

/// How targets are reached. Secrets are named by where they are kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Access {
    /// They lived in the harness's own process and are gone with it.
    InProcess,
    /// A lab in a process of its own.
    Lab {
        /// Where its admin API listens.
        address: SocketAddr,
        /// Which lab it is: another one may listen there later.
        id: String,
        /// The file that has the token, as `lab up --token-file` wrote it.
        token_file: PathBuf,
        /// The lab's process.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        process: Option<Box<Owner>>,
    },
    /// Containers of an engine.
    Docker {
        /// The engine's address, for example `unix:///var/run/docker.sock`.
        engine: String,
        /// The Compose project that is drilled, or nothing if targets are containers of any.
        project: Option<String>,
    },
    /// A Kubernetes cluster.
    Kubernetes {
        /// The kubeconfig and context that lead there; credentials stay where those name them.
        cluster: Cluster,
        /// The API server's address: a context may lead elsewhere later.
        server: String,
    },
    /// An account of AWS.
    Aws {
        /// The profile, region and endpoint that lead there; credentials stay where the AWS tools keep them.
        account: AwsAccount,
        /// The account's number: a profile may lead to another one later.
        number: String,
    },
    /// A subscription of Azure.
    Azure {
        /// What leads there; credentials stay where this says that they are.
        account: AzureAccount,
    },
    /// Programs of the user's own, which the undo records name.
    Command {
        /// The environment that they are of: what they reach is not known otherwise.
        environment: String,
    },
}

/// Who acts on targets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Actor {
    /// The run itself.
    Harness,
    /// The guard beside it.
    Guard,
    /// `blackstart revert`.
    Revert,
}

/// A journal as it was read.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Journal {
    /// The records that can be trusted, in order.
    pub records: Vec<Record>,
    /// The lines that cannot.
    pub damaged: Vec<Damage>,
    /// Whether the last line was cut off, as by a crash while it was written. What it was to announce was not begun.
    pub torn: bool,
}

/// A line that is not what was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damage {
    /// The number of the line, from 1.
    pub line: usize,
    /// What is wrong with it, as a fragment that fits after "line 3".
    pub what: String,
}

/// A target that was captured and is not verified as restored.
#[derive(Debug, Clone, PartialEq)]
pub struct Leftover {
    /// The fault's number in the drill.
    pub id: usize,
    /// What restores the target.
    pub undo: Undo,
    /// Why the last attempt to restore it failed, if there was one.
    pub failed: Option<String>,
    /// Whether an injection was begun and not answered with yes: it may still be on its way, or have got half-way.
    pub in_doubt: bool,
    /// Whether it is to be restored still.
    is_owed: bool,
}

impl Leftover {
    fn take(&mut self, step: FaultStep, detail: Option<&str>) {
        match step {
            FaultStep::Restored => self.is_owed = false,
            FaultStep::Issued | FaultStep::InjectFailed => {
                self.is_owed = true;
                self.in_doubt = true;
            }
            FaultStep::Acknowledged | FaultStep::Verified | FaultStep::NotVerified => {
                self.is_owed = true;
                self.in_doubt = false;
            }
            FaultStep::RevertFailed => {
                self.is_owed = true;
                self.failed = detail.map(str::to_owned);
            }
            FaultStep::Captured
            | FaultStep::RevertIssued
            | FaultStep::Reverted
            | FaultStep::Rehearsed => {}
        }
    }

    /// Whether it has been verified as restored, and nothing was done to it since.
    pub fn is_restored(&self) -> bool {
        !self.is_owed
    }
}

/// What is broken again has in it what an earlier fault left of the same thing: restoring the later one alone would bring that back.
fn owe_what_is_beneath(captured: &mut [Leftover], at: usize) {
    let (earlier, rest) = captured.split_at_mut(at);
    let of_same = |undo: &Undo| {
        (&undo.binding, &undo.resource) == (&rest[0].undo.binding, &rest[0].undo.resource)
    };
    for left in earlier.iter_mut().filter(|left| of_same(&left.undo)) {
        left.is_owed = true;
    }
}

impl Access {
    /// Whether both lead to the same system, which outlives the harness.
    pub fn is_same_system(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Lab { id: one, .. }, Self::Lab { id: other, .. }) => one == other,
            (Self::Docker { .. }, Self::Docker { .. }) => self == other,
            (Self::Kubernetes { server: one, .. }, Self::Kubernetes { server: other, .. }) => {
                one == other
            }
            (
                Self::Aws { account, number },
                Self::Aws {
                    account: other,
                    number: other_number,
                },
            ) => (&account.endpoint, number) == (&other.endpoint, other_number),
            (Self::Command { environment: one }, Self::Command { environment: other }) => {
                one == other
            }
            (Self::Azure { account: one }, Self::Azure { account: other }) => {
                one.subscription == other.subscription && one.stand_in == other.stand_in
            }
            (
                Self::InProcess
                | Self::Lab { .. }
                | Self::Docker { .. }
                | Self::Kubernetes { .. }
                | Self::Aws { .. }
                | Self::Command { .. }
                | Self::Azure { .. },
                _,
            ) => false,
        }
    }

    /// The binding that it is of.
    pub fn binding(&self) -> Binding {
        match self {
            Self::InProcess | Self::Lab { .. } => Binding::Lab,
            Self::Docker { .. } => Binding::Docker,
            Self::Kubernetes { .. } => Binding::Kubernetes,
            Self::Aws { .. } => Binding::Aws,
            Self::Command { .. } => Binding::Command,
            Self::Azure { .. } => Binding::Azure,
        }
    }

    /// Whether what is broken there stays broken when the harness is gone.
    pub fn outlives_the_harness(&self) -> bool {
        match self {
            Self::InProcess => false,
            Self::Lab { .. }
            | Self::Docker { .. }
            | Self::Kubernetes { .. }
            | Self::Aws { .. }
            | Self::Command { .. }
            | Self::Azure { .. } => true,
        }
    }
}

impl Header {
    /// Whether what is broken of a binding's targets stays broken when the harness is gone. A binding that the header does not
    /// name counts as what it does name.
    pub fn outlives_the_harness(&self, binding: &str) -> bool {
        let of_binding = |access: &&Access| access.binding().as_str() == binding;
        let is_named = self.access.iter().any(|access| of_binding(&access));
        let mut accesses = self.access.iter();
        accesses.any(|access| access.outlives_the_harness() && (!is_named || of_binding(&access)))
    }
}

/// What an earlier version wrote is one, as it is.
fn one_or_several<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Access>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum OneOrSeveral {
        Several(Vec<Access>),
        One(Access),
    }
    Ok(match OneOrSeveral::deserialize(deserializer)? {
        OneOrSeveral::Several(accesses) => accesses,
        OneOrSeveral::One(access) => vec![access],
    })
}

impl Journal {
    /// What is known of the run, unless that record is missing or damaged.
    pub fn header(&self) -> Option<&Header> {
        self.records.iter().find_map(|record| match record {
            Record::Opened(header) => Some(header.as_ref()),
            Record::Captured { .. }
            | Record::Step { .. }
            | Record::TakenOver { .. }
            | Record::Guarded { .. }
            | Record::Gone { .. }
            | Record::Settled { .. } => None,
        })
    }

    /// What was captured and not verified as restored since, in the order of capture. A step of an injection after that, by a
    /// harness that stood still meanwhile, makes it a leftover again.
    pub fn leftovers(&self) -> Vec<Leftover> {
        let mut captured = self.captured();
        captured.retain(|left| left.is_owed);
        captured
    }

    /// Everything that was captured and not gone since, restored or not, in the order of capture.
    pub fn captured(&self) -> Vec<Leftover> {
        let mut captured: Vec<Leftover> = Vec::new();
        for record in &self.records {
            match record {
                Record::Captured { id, undo, .. } => {
                    captured.retain(|left| left.id != *id);
                    captured.push(Leftover {
                        id: *id,
                        undo: undo.as_ref().clone(),
                        failed: None,
                        in_doubt: false,
                        is_owed: true,
                    });
                }
                Record::Step {
                    id, step, detail, ..
                } => {
                    let Some(at) = captured.iter().position(|left| left.id == *id) else {
                        continue;
                    };
                    captured[at].take(*step, detail.as_deref());
                    if captured[at].is_owed {
                        owe_what_is_beneath(&mut captured, at);
                    }
                }
                Record::Gone { binding, .. } => captured.retain(|left| {
                    binding
                        .as_ref()
                        .is_some_and(|gone| *gone != left.undo.binding)
                }),
                Record::Opened(_)
                | Record::TakenOver { .. }
                | Record::Guarded { .. }
                | Record::Settled { .. } => {}
            }
        }
        captured
    }

    /// Whether a fault was verified as restored.
    pub fn is_restored(&self, id: usize) -> bool {
        !self.leftovers().iter().any(|left| left.id == id)
    }

    /// Why somebody else reverts, if somebody does.
    pub fn taken_over(&self) -> Option<&str> {
        self.records.iter().rev().find_map(|record| match record {
            Record::TakenOver { why, .. } => Some(why.as_str()),
            Record::Opened(_)
            | Record::Captured { .. }
            | Record::Step { .. }
            | Record::Guarded { .. }
            | Record::Gone { .. }
            | Record::Settled { .. } => None,
        })
    }

    /// The damaged lines that nobody has settled yet.
    pub fn unsettled(&self) -> impl Iterator<Item = &Damage> {
        self.damaged.iter().filter(|damage| {
            !self
                .records
                .iter()
                .any(|record| matches!(record, Record::Settled { lines } if lines.contains(&damage.line)))
        })
    }

    /// Whether nothing in it waits for anybody: all that was captured is restored, or was gone with its harness. One without its
    /// beginning is about nobody knows what, until a person has settled it.
    pub fn is_clean(&self) -> bool {
        if self.unsettled().next().is_some() {
            return false;
        }
        match self.header() {
            Some(header) => {
                let leftovers = self.leftovers();
                let mut bindings = leftovers.iter().map(|left| &left.undo.binding);
                !bindings.any(|binding| header.outlives_the_harness(binding))
            }
            None => self.is_settled() && self.leftovers().is_empty(),
        }
    }

    /// Whether a person has looked at what it does not tell.
    pub fn is_settled(&self) -> bool {
        let mut records = self.records.iter();
        records.any(|record| matches!(record, Record::Settled { .. }))
    }
}

#[cfg(test)]
mod tests;
#[cfg(test)]
pub(crate) use tests::sample;
