//! Drills from plan to report: each in a place of its own, recorded in a folder of its own, judged from what is on disk.

mod commit;
mod folder;
mod room;
mod series;

use std::{
    collections::BTreeMap,
    panic::catch_unwind,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

pub use folder::{RunFolder, RunId};
use nix::sys::signal::Signal;
pub use room::Room;
pub use series::Series;
use tokio::{
    runtime::{Builder, Handle, Runtime},
    signal::unix::{SignalKind, signal},
    task::JoinSet,
};

use crate::{
    catalog,
    causes::with_causes,
    drill::exercise::read_meta,
    hostile::revert_command,
    plan::{Plan, PlanError, plan},
    provider::{
        Attached,
        site::{Site, SiteError, with_authorities},
    },
    recovery,
    report::{Recorder, Report},
    run::{Finished, Options, Refusal, RunError, StepLimits, Stop, Terms, run, seed_for, started},
    timeline::{
        Entry, Event, Outcome, Phase, Repeat,
        file::{Reader, Writer},
    },
    verdict::Judge,
};

/// The timeline's file in the folder of a drill.
pub const EVENTS: &str = "events.ndjson";
/// The copy of the drill.
pub const DRILL: &str = "drill.yaml";
/// The copy of the environment.
pub const ENVIRONMENT: &str = "environment.yaml";

/// The copy of what people say of the drill beside the drill itself.
pub const META: &str = "meta.yaml";

/// What one drill's run is told.
#[derive(Debug, Clone)]
pub struct Assignment {
    /// The drill and its environment.
    pub entry: catalog::Entry,
    /// The architecture's speed, if not the environment's own.
    pub speed: Option<f64>,
    /// The run's name.
    pub run_id: RunId,
    /// The folder for this drill's files.
    pub folder: PathBuf,
    /// The seed of everything random in it.
    pub seed: u64,
    /// Which of several runs of the drill it is.
    pub repeat: Option<Repeat>,
    /// The runs that it is one of.
    pub series: Option<Arc<Series>>,
    /// The command line, for the record.
    pub command: Vec<String>,
    /// Where it runs.
    pub place: Place,
    /// What somebody has allowed.
    pub terms: Terms,
}

/// Where a drill runs.
#[derive(Debug, Clone)]
pub enum Place {
    /// In a lab of its own, which is started on these threads and ends with the drill.
    Own(Handle),
    /// In systems that outlive this process.
    Attached {
        /// The systems.
        systems: Box<Attached>,
        /// The program that guards them: this one, for those who have `blackstart` as a program.
        guard: PathBuf,
        /// Where runs are that may have left something broken there.
        reports: PathBuf,
        /// Threads beside those of the drills, also of a lab that is started beside the systems.
        threads: Handle,
    },
}

impl Place {
    /// The threads of the lab that would be started here.
    pub fn labs(&self) -> Option<&Handle> {
        match self {
            Self::Own(labs) => Some(labs),
            Self::Attached { .. } => None,
        }
    }
}

/// A drill was not run, or what was recorded of it cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum SuiteError {
    /// The drill must not be begun.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The plan cannot be made.
    #[error("could not plan the drill")]
    Plan(#[from] PlanError),
    /// The environment cannot be opened.
    #[error("could not open the environment; nothing was injected")]
    Site(#[from] SiteError),
    /// Something is broken there already.
    #[error("a run has left something broken there; nothing was injected; finish that with `{}`", revert_command(.0))]
    Leftovers(PathBuf),
    /// The run could not be begun.
    #[error("could not begin the run")]
    Run(#[from] RunError),
    /// A file could not be written.
    #[error("could not write `{path}`")]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The timeline cannot be read.
    #[error("could not read the timeline")]
    Timeline(#[from] crate::timeline::io::Error),
    /// The timeline does not begin as one.
    #[error("`{0}` does not begin with a `run` event, so it is no timeline of a drill")]
    NoRun(PathBuf),
    /// The runs before it have decided what all of them show.
    #[error("another run would change nothing")]
    NotNeeded,
    /// The drill was stopped before it was begun.
    #[error("stopped by {0} before it was begun; nothing was injected")]
    Stopped(String),
    /// Targets are not verified as restored, and the timeline that would say so cannot be read.
    #[error("NOT RESTORED: {0}")]
    NotRestored(String),
    /// The drill ended in a panic, which is a defect of ours.
    #[error(
        "the drill ended in a panic: {0}; whether its targets are restored is not known, see undo.ndjson of the run"
    )]
    Panicked(tokio::task::JoinError),
    /// The copies of the drill and its environment cannot be read.
    #[error("the copies of drill and environment in `{folder}` cannot be used:\n{problems}")]
    Copies {
        /// The folder.
        folder: PathBuf,
        /// What is wrong with them.
        problems: String,
    },
}

/// The command line of this process, for the record: what of it is no text is shown as well as can be.
pub fn command_line() -> Vec<String> {
    std::env::args_os()
        .map(|argument| argument.to_string_lossy().into_owned())
        .collect()
}

/// Runs one drill in a place of its own and judges what was recorded.
///
/// # Errors
/// If nothing could be recorded, or what was recorded not be read. A drill that could not be carried out is no error, nor one that
/// could not even be begun: its report says so.
pub async fn conduct(
    assignment: &Assignment,
    stop: Stop,
    on_event: &mut (dyn FnMut(&Entry) + Send),
) -> Result<Report, SuiteError> {
    let catalog::Entry { drill, environment } = &assignment.entry;
    assignment.terms.permit(environment)?;
    assignment.terms.permit_pauses(drill)?;
    let speed = match &assignment.place {
        // Only a lab's clock can run at another speed, and one that is there already runs at its own.
        _ if environment.stack.is_none() => None,
        Place::Own(_) => assignment.speed,
        Place::Attached { systems, .. } => match &systems.description {
            Some(lab) => Some(lab.speed),
            None => assignment.speed,
        },
    };
    let probed = with_authorities(environment).await?;
    let plan = plan(Arc::new(drill.clone()), probed, speed)?;
    let write = |name: &str, text: &str| {
        let path = assignment.folder.join(name);
        std::fs::write(&path, text).map_err(|source| SuiteError::Write { path, source })
    };
    write(DRILL, &drill.text)?;
    write(ENVIRONMENT, &environment.text)?;
    let options = Options {
        run_id: assignment.run_id.to_string(),
        folder: assignment.folder.clone(),
        seed: assignment.seed,
        repeat: assignment.repeat,
        drill_commit: commit::commit_of(&drill.file).await,
        command: assignment.command.clone(),
        started_at: jiff::Timestamp::now().to_string(),
        limits: StepLimits::default(),
        terms: assignment.terms.clone(),
        guard: match &assignment.place {
            Place::Own(_) => None,
            Place::Attached { guard, .. } => Some(guard.clone()),
        },
    };
    let finished = match open_and_run(&plan, assignment, &options, stop, on_event).await {
        Ok(finished) => finished,
        Err(error) => {
            record_not_begun(&plan, &options, &error, on_event)?;
            return judge(&assignment.folder, drill, environment);
        }
    };
    let secrets = plan.secrets();
    let left_broken: Vec<String> = finished
        .left_broken
        .iter()
        .map(|text| secrets.hide(text).into_owned())
        .collect();
    // From what was kept, in which no secret is: whatever is rebuilt later is the same.
    let judged = rebuild(&assignment.folder);
    let mut report = match judged {
        Ok(report) => report,
        Err(error) if left_broken.is_empty() => return Err(error),
        Err(_) => return Err(SuiteError::NotRestored(left_broken.join("; "))),
    };
    // The runner knows what it restored and what it left, also where the disk would not take the record of it.
    let judgement = &mut report.judgement;
    if judgement.restored != left_broken.is_empty() {
        judgement.restored = left_broken.is_empty();
        judgement.reasons.extend(left_broken);
        if let Outcome::CouldNotRun { reason, .. } = finished.outcome {
            judgement
                .reasons
                .insert(0, secrets.hide(&reason).into_owned());
        }
    }
    Ok(report)
}

async fn open_and_run(
    plan: &Plan,
    assignment: &Assignment,
    options: &Options,
    mut stop: Stop,
    on_event: &mut (dyn FnMut(&Entry) + Send),
) -> Result<Finished, SuiteError> {
    let waiting = stop.clone();
    let site = tokio::select! {
        biased;
        signal = stop.wait() => return Err(SuiteError::Stopped(signal)),
        site = open(plan, assignment) => site?,
    };
    let result = run(plan, &site, options, waiting, on_event).await;
    site.close().await;
    Ok(result?)
}

async fn open(plan: &Plan, assignment: &Assignment) -> Result<Site, SuiteError> {
    let environment = Arc::clone(&plan.environment);
    let seed = seed_for(assignment.seed, &plan.drill.name);
    match &assignment.place {
        Place::Own(threads) => Ok(Site::open(environment, plan.speed, seed, threads).await?),
        Place::Attached {
            systems,
            threads,
            reports,
            ..
        } => {
            // A drill before this one in the same run may have.
            let journals = recovery::journals_in(reports).map_err(|source| SuiteError::Write {
                path: reports.clone(),
                source,
            })?;
            if let Some(run) = recovery::left_in(&journals, &systems.access) {
                return Err(SuiteError::Leftovers(run));
            }
            let systems = systems.as_ref().clone();
            Ok(Site::open_beside(systems, environment, plan.speed, seed, threads).await?)
        }
    }
}

/// Records a drill that could not be begun, so that its report says so like any other, unless the runner has done it already.
fn record_not_begun(
    plan: &Plan,
    options: &Options,
    error: &SuiteError,
    on_event: &mut (dyn FnMut(&Entry) + Send),
) -> Result<(), SuiteError> {
    let path = options.folder.join(EVENTS);
    if path.exists() {
        return Ok(());
    }
    let mut writer = Writer::create(path)?;
    let outcome = if let SuiteError::Stopped(signal) = error {
        Outcome::Interrupted {
            signal: signal.clone(),
        }
    } else {
        Outcome::CouldNotRun {
            phase: Phase::SteadyState,
            reason: with_causes(error),
        }
    };
    let started = Event::Run(Box::new(started(plan, options)));
    let ended = Event::Ended {
        outcome,
        clock_drift_ms: 0.0,
    };
    for event in [started, ended] {
        let entry = Entry {
            at: Duration::ZERO,
            event,
        }
        .without(&plan.secrets());
        writer.append(&entry)?;
        on_event(&entry);
    }
    Ok(())
}

impl Assignment {
    /// What it is called while it goes on: the drill, and which of its runs.
    pub fn label(&self) -> String {
        let name = &self.entry.drill.name;
        match self.repeat {
            Some(repeat) => format!("{name}@{}", folder::numbered(repeat)),
            None => name.clone(),
        }
    }
}

/// Runs drills, so many at once at most, each in a place of its own. Yields what came of them in the order of the assignments. They are
/// begun in that order too, and runs of a series that is decided are not begun at all: [`SuiteError::NotNeeded`].
pub async fn conduct_all(
    assignments: Vec<Assignment>,
    at_once: usize,
    stop: Stop,
    on_event: impl Fn(&str, &Entry) + Clone + Send + Sync + 'static,
) -> Vec<(String, Result<Report, SuiteError>)> {
    let room = Room::new(at_once);
    let mut names = Vec::new();
    let mut tasks = JoinSet::new();
    for assignment in assignments {
        let name = assignment.label();
        let (stop, on_event) = (stop.clone(), on_event.clone());
        let drill = name.clone();
        let place = room.enter(assignment.place.labs()).await;
        let task = tasks.spawn(async move {
            let _place = place;
            let series = assignment.series.as_ref();
            if series.is_some_and(|series| series.is_over()) {
                return Err(SuiteError::NotNeeded);
            }
            // One that was waiting when the wish to stop came is recorded as stopped, and opens nothing.
            let result = conduct(&assignment, stop, &mut |entry| on_event(&drill, entry)).await;
            if let Some(series) = series {
                series.take(result.as_ref().ok());
            }
            result
        });
        names.push((task.id(), name));
    }
    let mut results = Vec::new();
    while let Some(joined) = tasks.join_next_with_id().await {
        let (id, result) = match joined {
            Ok((id, result)) => (id, result),
            Err(error) => (error.id(), Err(SuiteError::Panicked(error))),
        };
        if let Some(position) = names.iter().position(|(known, _)| *known == id) {
            results.push((position, names[position].1.clone(), result));
        }
    }
    results.sort_by_key(|(position, ..)| *position);
    results
        .into_iter()
        .map(|(_, name, result)| (name, result))
        .collect()
}

/// The threads that drills and labs run on, apart from each other: a prober that shared its threads with what it looks at would
/// stand still whenever that is busy, and call itself late.
#[derive(Debug)]
pub struct Threads {
    drills: Runtime,
    labs: Runtime,
}

impl Threads {
    /// Starts them.
    ///
    /// # Errors
    /// If the kernel does not let us.
    pub fn start() -> std::io::Result<Self> {
        // tokio panics where the kernel gives it no thread.
        let threads = |name: &str| {
            let build = || {
                Builder::new_multi_thread()
                    .enable_all()
                    .thread_name(name)
                    .build()
            };
            catch_unwind(build)
                .unwrap_or_else(|_| Err(std::io::Error::other("the kernel gives no more threads")))
        };
        let (drills, labs) = (threads("drills")?, threads("labs")?);
        let here = drills.enter();
        // A file that may not grow any more is an error like a full disk, and no reason to end with something broken. Once somebody
        // listens the signal does nothing else, for as long as the process lives.
        drop(signal(SignalKind::from_raw(Signal::SIGXFSZ as i32))?);
        drop(here);
        Ok(Self { drills, labs })
    }

    /// Runs something to its end on the drills' threads.
    pub fn block_on<T>(&self, future: impl Future<Output = T>) -> T {
        self.drills.block_on(future)
    }

    /// Leaves without waiting for anything that still goes on, on a disk that does not answer for example.
    pub fn abandon(self) {
        self.drills.shutdown_background();
        self.labs.shutdown_background();
    }

    /// The labs' threads.
    pub fn labs(&self) -> Handle {
        self.labs.handle().clone()
    }
}

/// Judges what was recorded in the folder of a drill, event by event.
///
/// # Errors
/// If the timeline cannot be read or does not begin as one.
pub fn judge(
    folder: &Path,
    drill: &crate::drill::Drill,
    environment: &crate::environment::Environment,
) -> Result<Report, SuiteError> {
    let path = folder.join(EVENTS);
    let mut judge = Judge::new(drill, environment);
    let mut recorder = Recorder::new(drill, environment);
    let mut started = None;
    let mut reader = Reader::open(&path)?;
    for entry in &mut reader {
        let entry = entry?;
        judge.push(&entry);
        recorder.push(&entry);
        if let Event::Run(run) = entry.event {
            started = Some(run);
        }
    }
    if let Some(line) = reader.torn() {
        judge.torn(line);
    }
    let started = started.ok_or_else(|| SuiteError::NoRun(path.clone()))?;
    let mut report = Report::new(&started, drill, environment, judge.finish(), folder);
    report.recorded = recorder.finish(&path);
    report.operator = std::mem::take(&mut report.recorded.operator);
    Ok(report)
}

/// Rebuilds the report of a drill from the files of its run alone.
///
/// # Errors
/// If they cannot be read.
pub fn rebuild(folder: &Path) -> Result<Report, SuiteError> {
    let kept = recorded(folder)?;
    let mut report = judge(folder, &kept.drill, &kept.environment)?;
    let meta = folder.join(META);
    if meta.exists() {
        let (exercise, problems) = read_meta(&meta);
        let said = exercise.ok_or_else(|| SuiteError::Copies {
            folder: folder.to_owned(),
            problems: problems.render(crate::source::Coloring::Plain),
        })?;
        let own = report.drill.exercise.take().unwrap_or_default();
        report.drill.exercise = Some(own.overlaid(said));
    }
    Ok(report)
}

/// Loads the copies of a drill and its environment, with the variables that were in force.
fn recorded(folder: &Path) -> Result<catalog::Entry, SuiteError> {
    // A timeline without a beginning is left to the judge.
    let (variables, file) = match Reader::open(folder.join(EVENTS))?.next() {
        Some(Ok(Entry {
            event: Event::Run(run),
            ..
        })) => (run.variables, run.drill_file),
        Some(_) | None => (BTreeMap::new(), String::new()),
    };
    let (drill, environment) = (folder.join(DRILL), folder.join(ENVIRONMENT));
    let (mut entry, problems) = catalog::load_recorded(&drill, &environment, &variables);
    if let Some(entry) = entry.as_mut().filter(|_| !file.is_empty()) {
        entry.drill.file = file.into();
    }
    entry.ok_or_else(|| SuiteError::Copies {
        folder: folder.to_owned(),
        problems: problems.render(crate::source::Coloring::Plain),
    })
}
