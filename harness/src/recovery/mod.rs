//! Restoring without the run that broke something: from its journal alone, by its guard or by `blackstart revert`.
//!
//! - [`restore`] finishes what a journal says is left.
//! - [`guard`] is the process that does so by itself when the harness is gone or stands still, `guarding` its other end.
//! - [`lock`] lets one harness at a time have a system that outlives it.
//! - [`journals_in`] finds the journals of all runs.

pub(crate) mod guard;
mod guarding;
pub mod lock;
mod witness;

use std::{
    io,
    path::{Path, PathBuf},
    time::Duration,
};

pub(crate) use guarding::Guarding;
pub use guarding::GuardingError;
use witness::Scribe;

use crate::{
    causes::with_causes,
    journal::{self, Actor, Held, Journal, Record, Writer},
    provider::{Fault, Reached, reach},
    run::{Others, Owed, Reverting, StepLimits},
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
}

/// Restores what a journal says is left. Doing it twice is doing it once.
///
/// # Errors
/// If the journal cannot be read or locked. That something could not be restored is no error: the result names it.
pub async fn restore(path: &Path, request: &Request<'_>) -> io::Result<Recovered> {
    let mut writer = Writer::open(path)?;
    let journal = match (writer.hold(request.lock).await, request.actor) {
        (Ok(Held::Changed(journal)), _) => *journal,
        (Ok(Held::Unchanged), _) => Journal::default(),
        // A harness that stands still with the lock in its hand would keep everybody from restoring. It finds out when it goes on.
        (Err(error), Actor::Guard) if error.kind() == io::ErrorKind::TimedOut => {
            journal::read(path)?
        }
        (Err(error), Actor::Harness | Actor::Guard | Actor::Revert) => return Err(error),
    };
    let recovered = restore_held(&mut writer, &journal, request).await;
    writer.release();
    recovered
}

async fn restore_held(
    writer: &mut Writer,
    journal: &Journal,
    request: &Request<'_>,
) -> io::Result<Recovered> {
    let mut recovered = Recovered::default();
    settle(writer, journal, request, &mut recovered)?;
    let leftovers = if request.again {
        journal.captured()
    } else {
        journal.leftovers()
    };
    if leftovers.is_empty() {
        return Ok(recovered);
    }
    let Some(header) = journal.header() else {
        recovered.left_broken.extend(leftovers.iter().map(|left| {
            format!(
                "`{}` cannot be reached, as the journal does not tell how; by hand: {}",
                left.undo.target, left.undo.words
            )
        }));
        return Ok(recovered);
    };
    let provider = match reach(header).await {
        Ok(Reached::Here(provider)) => Ok(provider),
        Ok(Reached::Gone(why)) => {
            writer.append(&Record::Gone { why: why.clone() })?;
            recovered.gone = Some(why);
            return Ok(recovered);
        }
        Err(error) => Err(with_causes(&error)),
    };
    writer.append(&Record::TakenOver {
        by: request.actor,
        at: jiff::Timestamp::now().to_string(),
        why: request.why.to_owned(),
    })?;
    let faults: Vec<Result<Box<dyn Fault>, String>> = leftovers
        .iter()
        .map(|left| match &provider {
            Ok(provider) => provider
                .recall(&left.undo)
                .map_err(|error| error.to_string()),
            Err(reason) => Err(reason.clone()),
        })
        .collect();
    let owed: Vec<_> = leftovers
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
    let scribe = Scribe::begin(writer.path(), header, request.actor, request.why);
    let others = if request.force {
        Others::Overwritten
    } else {
        Others::Respected
    };
    let mut reverting = Reverting {
        journal: writer,
        actor: request.actor,
        limits: StepLimits::default(),
        others,
        witness: scribe,
    };
    let left_broken = reverting.all(owed).await;
    let still_left = journal::read(writer.path())?.leftovers();
    recovered.restored.extend(
        leftovers
            .iter()
            .filter(|left| !still_left.iter().any(|still| still.id == left.id))
            .map(|left| format!("`{}`: {}", left.undo.target, left.undo.words)),
    );
    recovered.left_broken.extend(left_broken);
    Ok(recovered)
}

/// Names the damaged lines, or takes them as settled if that is what is asked for.
fn settle(
    writer: &mut Writer,
    journal: &Journal,
    request: &Request<'_>,
    recovered: &mut Recovered,
) -> io::Result<()> {
    let damaged: Vec<_> = journal.unsettled().collect();
    if damaged.is_empty() {
        return Ok(());
    }
    if request.force {
        return writer.append(&Record::Settled {
            lines: damaged.iter().map(|damage| damage.line).collect(),
        });
    }
    recovered.left_broken.extend(damaged.iter().map(|damage| {
        format!(
            "line {} of `{}` {}; if it was of a captured target, what restores that is not known: look at the targets of the \
             drill, and then settle it with `blackstart revert --force`",
            damage.line,
            writer.path().display(),
            damage.what
        )
    }));
    Ok(())
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

/// The journals of one run: of its one drill, or of each of several.
///
/// # Errors
/// If its folder is there and cannot be read.
pub fn journals_of(run: &Path) -> io::Result<Vec<PathBuf>> {
    let mut folders = vec![run.to_owned()];
    folders.extend(folders_in(run)?);
    let journals = folders.iter().map(|folder| folder.join(journal::FILE_NAME));
    Ok(journals.filter(|journal| journal.is_file()).collect())
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
