//! Restoring without the run that broke something: from its journal alone, by its guard or by `blackstart revert`.
//!
//! - [`Recovery::restore`] finishes what a journal says is left.
//! - `guard` is the process that does so by itself when the harness is gone or stands still, `guarding` its other end.
//! - [`lock`] lets one harness at a time have a system that outlives it.
//! - [`journals_in`] finds the journals of all runs.

pub(crate) mod guard;
mod guarding;
pub mod lock;
mod witness;

use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

pub use guarding::GuardingError;
pub(crate) use guarding::{Guarding, Pulse};
use tokio::time::sleep;
use witness::Scribe;

use crate::{
    causes::with_causes,
    environment::Binding,
    journal::{self, Access, Actor, Header, Journal, Leftover, Record, Writer},
    provider::{Fault, Provider, ReachError, Reached, reach},
    run::{Others, Owed, Reverted, Reverting, StepLimits},
};

/// How something is restored from a journal.
#[derive(Debug, Clone)]
pub struct Request<'a> {
    /// Who asks.
    pub actor: Actor,
    /// Why, for the record: a fragment that begins with who.
    pub why: &'a str,
    /// Whether what others changed meanwhile is overwritten, and damaged lines are taken as settled.
    pub force: bool,
    /// Whether what is restored already is looked at again: a harness that stood still may have gone on with an injection.
    pub again: bool,
    /// How long somebody else may have the journal.
    pub lock: Duration,
}

/// What came of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Recovered {
    /// The targets that are verified as restored now and were not before.
    pub restored: Vec<String>,
    /// Those that are not, with the reason, and damaged lines.
    pub left_broken: Vec<String>,
    /// Why the targets are gone with everything that was broken in them, if they are.
    pub gone: Option<String>,
    /// Why what was done could not be written down, if it could not.
    pub unrecorded: Option<String>,
    /// Whether another attempt may do better.
    pub is_worth_another: bool,
}

/// How often a system is asked whether it is there, before that counts as an answer.
const REACH_ATTEMPTS: u32 = 3;
/// From the first time to the second; doubled each time.
const REACH_BACKOFF: Duration = Duration::from_millis(500);

/// The ways to the targets of a journal, or why there is none.
type Ways = BTreeMap<Binding, Result<Reached, String>>;

/// A journal and the way to its targets, held open: what is deleted or moved meanwhile keeps nobody from restoring.
#[derive(Debug)]
pub struct Recovery {
    writer: Writer,
    /// What was reached in the beginning.
    held: BTreeMap<Binding, Arc<dyn Provider>>,
}

impl Recovery {
    /// Opens a journal. Its targets are looked for when they are needed.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn open(journal: &Path) -> io::Result<Self> {
        Ok(Self {
            writer: Writer::open(journal)?,
            held: BTreeMap::new(),
        })
    }

    /// Reaches the targets now, so that nothing else is needed later.
    ///
    /// # Errors
    /// Why that cannot be done.
    pub async fn reach(&mut self) -> Result<(), String> {
        let journal = self.writer.read().map_err(|error| error.to_string())?;
        let header = journal.header().ok_or("the journal has no beginning")?;
        for (binding, reached) in reach(header).await {
            match reached {
                Ok(Reached::Here(provider)) => drop(self.held.insert(binding, provider)),
                Ok(Reached::Gone(why)) => return Err(why),
                Err(error) => return Err(with_causes(&error)),
            }
        }
        Ok(())
    }

    /// What the journal says now.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn journal(&self) -> io::Result<Journal> {
        self.writer.read()
    }

    /// Restores what the journal says is left. Doing it twice is doing it once.
    ///
    /// # Errors
    /// If the journal cannot be read or locked. That something could not be restored is no error: the result names it.
    pub async fn restore(&mut self, request: &Request<'_>) -> io::Result<Recovered> {
        match (self.writer.hold(request.lock).await, request.actor) {
            (Ok(_), _) => {}
            // A harness that stands still with the lock in its hand would keep everybody from restoring. It finds out when it goes on.
            (Err(error), Actor::Guard) if error.kind() == io::ErrorKind::TimedOut => {}
            (Err(error), Actor::Harness | Actor::Guard | Actor::Revert) => return Err(error),
        }
        let journal = self.writer.read();
        let recovered = match journal {
            Ok(journal) => Ok(self.restore_held(&journal, request).await),
            Err(error) => Err(error),
        };
        self.writer.release();
        recovered
    }

    async fn restore_held(&mut self, journal: &Journal, request: &Request<'_>) -> Recovered {
        let mut recovered = Recovered::default();
        self.settle(journal, request, &mut recovered).await;
        let mut leftovers = if request.again {
            journal.captured()
        } else {
            journal.leftovers()
        };
        if leftovers.is_empty() {
            return recovered;
        }
        let Some(header) = journal.header() else {
            recovered.left_broken.extend(leftovers.iter().map(|left| {
                format!(
                    "`{}` cannot be reached, as the journal does not tell how; by hand: {}",
                    left.undo.target, left.undo.words
                )
            }));
            return recovered;
        };
        // What was in the harness's own process is nobody else's to restore, and ends with it.
        leftovers.retain(|left| header.outlives_the_harness(&left.undo.binding));
        let ways = self.find(header, request).await;
        for (binding, way) in &ways {
            let (Ok(Reached::Gone(why)), name) = (way, binding.as_str()) else {
                continue;
            };
            let gone = Record::Gone {
                binding: Some(name.to_owned()),
                why: why.clone(),
            };
            self.record(&gone, &mut recovered).await;
            leftovers.retain(|left| left.undo.binding != name);
            recovered.gone = Some(why.clone());
        }
        if leftovers.is_empty() {
            return recovered;
        }
        let taken_over = Record::TakenOver {
            by: request.actor,
            at: jiff::Timestamp::now().to_string(),
            why: request.why.to_owned(),
        };
        self.record(&taken_over, &mut recovered).await;
        self.revert(&leftovers, header, &ways, request, &mut recovered)
            .await;
        recovered
    }

    async fn revert(
        &mut self,
        leftovers: &[Leftover],
        header: &Header,
        ways: &Ways,
        request: &Request<'_>,
        recovered: &mut Recovered,
    ) {
        let recall = |left: &Leftover| {
            let binding = &left.undo.binding;
            let way = Binding::named(binding).and_then(|binding| ways.get(&binding));
            match way {
                Some(Ok(Reached::Here(provider))) => provider
                    .recall(&left.undo)
                    .map_err(|error| error.to_string()),
                Some(Ok(Reached::Gone(reason)) | Err(reason)) => Err(reason.clone()),
                None => Err(format!(
                    "the journal does not tell how targets of `{binding}` are reached"
                )),
            }
        };
        let faults: Vec<Result<Box<dyn Fault>, String>> = leftovers.iter().map(recall).collect();
        let owed = leftovers
            .iter()
            .zip(&faults)
            .rev()
            .map(|(left, fault)| Owed {
                id: left.id,
                undo: &left.undo,
                fault: fault.as_deref().map_err(Clone::clone),
                standing: left.standing(),
            })
            .collect();
        let mut scribe = Scribe::begin(request.actor, request.why);
        let reverting = Reverting {
            journal: &mut self.writer,
            actor: request.actor,
            limits: StepLimits::default(),
            others: if request.force {
                Others::Overwritten
            } else {
                Others::Respected
            },
            witness: &mut scribe,
            reverted: Reverted::default(),
        };
        let reverted = reverting.all(owed).await;
        // Only now: a timeline that is hours long, or a disk that does not answer, keeps nobody waiting for a restoration.
        scribe.write(self.writer.path(), header).await;
        let was_left =
            |left: &&Leftover| !left.is_restored() && reverted.restored.contains(&left.id);
        recovered.restored.extend(
            leftovers
                .iter()
                .filter(was_left)
                .map(|left| format!("`{}`: {}", left.undo.target, left.undo.words)),
        );
        recovered.left_broken.extend(reverted.left_broken);
        recovered.is_worth_another |= reverted.is_worth_another;
        if recovered.unrecorded.is_none() {
            recovered.unrecorded = reverted.unrecorded;
        }
    }

    /// Finds the targets, with what is held already if they cannot be found anew.
    async fn find(&self, header: &Header, request: &Request<'_>) -> Ways {
        let mut backoff = REACH_BACKOFF;
        let mut tried = 1;
        let found = loop {
            let mut found = reach(header).await;
            for (binding, way) in &mut found {
                if let (Err(_), Some(provider)) = (&way, self.held.get(binding)) {
                    *way = Ok(Reached::Here(Arc::clone(provider)));
                }
            }
            if tried >= REACH_ATTEMPTS || found.values().all(Result::is_ok) {
                break found;
            }
            sleep(backoff).await;
            backoff *= 2;
            tried += 1;
        };
        let settled = |(binding, way): (Binding, Result<Reached, ReachError>)| {
            let way = way.or_else(|error| {
                let reason = with_causes(&error);
                if !request.force || binding != Binding::Lab {
                    return Err(reason);
                }
                let why =
                    format!("a person takes the lab as gone, which cannot be reached: {reason}");
                Ok(Reached::Gone(why))
            });
            (binding, way)
        };
        found.into_iter().map(settled).collect()
    }

    /// Writes down what is done. Where that is not possible it is done all the same.
    async fn record(&mut self, record: &Record, recovered: &mut Recovered) {
        if let Err(error) = self.writer.append(record).await {
            recovered
                .unrecorded
                .get_or_insert_with(|| error.to_string());
        }
    }

    /// Names what the journal does not tell, or takes it as settled if that is what is asked for.
    async fn settle(
        &mut self,
        journal: &Journal,
        request: &Request<'_>,
        recovered: &mut Recovered,
    ) {
        let damaged: Vec<_> = journal.unsettled().collect();
        let is_headless = journal.header().is_none() && !journal.is_settled();
        if damaged.is_empty() && !is_headless {
            return;
        }
        if request.force {
            let lines = damaged.iter().map(|damage| damage.line).collect();
            self.record(&Record::Settled { lines }, recovered).await;
            return;
        }
        let path = self.writer.path().display();
        recovered.left_broken.extend(damaged.iter().map(|damage| {
            format!(
                "line {} of `{path}` {}; if it was of a captured target, what restores that is not known: look at the targets of \
                 the drill, and then settle it with `blackstart revert --force`",
                damage.line, damage.what
            )
        }));
        if is_headless && damaged.is_empty() {
            recovered.left_broken.push(format!(
                "`{path}` has no beginning, so what it was about is not known: look at the targets of the drill, and then settle \
                 it with `blackstart revert --force`"
            ));
        }
    }
}

/// The journals of all runs in a folder of reports, the oldest run first.
///
/// # Errors
/// If the folder is there and cannot be read.
pub fn journals_in(reports: &Path) -> io::Result<Vec<PathBuf>> {
    let mut journals = Vec::new();
    for run in folders_in(reports)? {
        journals.extend(journals_of(&run)?);
    }
    Ok(journals)
}

/// Whether one of some journals has something left in one of some systems, or may have: that of which nobody knows what it is about counts.
/// Yields the folder.
pub fn left_in(journals: &[PathBuf], accesses: &[Access]) -> Option<PathBuf> {
    let is_among = |left: &Access| accesses.iter().any(|access| access.is_same_system(left));
    let is_left = |path: &&PathBuf| match journal::read(path) {
        Ok(journal) => match journal.header() {
            Some(header) => header.access.iter().any(is_among) && !journal.is_clean(),
            None => !journal.is_clean(),
        },
        Err(_) => true,
    };
    let left = journals.iter().find(is_left)?;
    Some(left.parent().unwrap_or(left).to_owned())
}

/// The journals of one run: of its one drill, or of each of several.
///
/// # Errors
/// If its folder is there and cannot be read.
pub fn journals_of(run: &Path) -> io::Result<Vec<PathBuf>> {
    let mut folders = vec![run.to_owned()];
    folders.extend(folders_in(run)?);
    let journals = folders.iter().map(|folder| folder.join(journal::FILE_NAME));
    // Whatever has that name counts: one that cannot be read may be of something that is left.
    Ok(journals
        .filter(|journal| journal.symlink_metadata().is_ok())
        .collect())
}

/// Adds the journals of a run that are not among some journals yet, by whatever path those are named.
pub fn add_others(journals: &mut Vec<PathBuf>, run: &Path) {
    let place = |journal: &PathBuf| std::path::absolute(journal).ok();
    let known: Vec<_> = journals.iter().map(place).collect();
    let others = journals_of(run).unwrap_or_default().into_iter();
    journals.extend(others.filter(|other| !known.contains(&place(other))));
}

/// The folders in a folder, by name, without symbolic links: `latest` is one of the others.
fn folders_in(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut folders = Vec::new();
    for entry in entries {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            folders.push(entry.path());
        }
    }
    folders.sort();
    Ok(folders)
}
