//! Drills from plan to report: each in a place of its own, recorded in a folder of its own, judged from what is on disk.

mod folder;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

pub use folder::{RunFolder, RunId};
use tokio::{
    runtime::{Builder, Handle, Runtime},
    sync::Semaphore,
    task::JoinSet,
};

use crate::{
    catalog,
    plan::{Plan, PlanError, plan},
    provider::{
        lab::Attached,
        site::{Site, SiteError},
    },
    report::Report,
    run::{Options, RunError, StepLimits, Stop, run, seed_for},
    source::Variables,
    timeline::{Entry, Event, file::Reader},
    verdict::Judge,
};

/// The timeline's file in the folder of a drill.
pub const EVENTS: &str = "events.ndjson";
/// The copy of the drill.
pub const DRILL: &str = "drill.yaml";
/// The copy of the environment.
pub const ENVIRONMENT: &str = "environment.yaml";

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
    /// The command line, for the record.
    pub command: Vec<String>,
    /// Where it runs.
    pub place: Place,
}

/// Where a drill runs.
#[derive(Debug, Clone)]
pub enum Place {
    /// In a lab of its own, which is started on these threads and ends with the drill.
    Own(Handle),
    /// In a lab that outlives this process.
    Attached {
        /// The lab.
        lab: Box<Attached>,
        /// The program that guards it: this one, for those who have `blackstart` as a program.
        guard: PathBuf,
    },
}

/// A drill was not run, or what was recorded of it cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum SuiteError {
    /// The plan cannot be made.
    #[error("could not plan the drill")]
    Plan(#[from] PlanError),
    /// The environment cannot be opened.
    #[error("could not open the environment; nothing was injected")]
    Site(#[from] SiteError),
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

/// Runs one drill in a place of its own and judges what was recorded.
///
/// # Errors
/// If nothing could be recorded, or what was recorded not be read. A drill that could not be carried out is no error: its report
/// says so.
pub async fn conduct(
    assignment: &Assignment,
    stop: Stop,
    on_event: &mut (dyn FnMut(&Entry) + Send),
) -> Result<Report, SuiteError> {
    let catalog::Entry { drill, environment } = &assignment.entry;
    let speed = match &assignment.place {
        Place::Own(_) => assignment.speed,
        Place::Attached { lab, .. } => Some(lab.description.speed),
    };
    let plan = plan(Arc::new(drill.clone()), Arc::clone(environment), speed)?;
    let write = |name: &str, text: &str| {
        let path = assignment.folder.join(name);
        std::fs::write(&path, text).map_err(|source| SuiteError::Write { path, source })
    };
    write(DRILL, &drill.text)?;
    write(ENVIRONMENT, &environment.text)?;
    let site = match &assignment.place {
        Place::Own(threads) => {
            let seed = seed_for(assignment.seed, &drill.name);
            Site::open(Arc::clone(environment), plan.speed, seed, threads).await?
        }
        Place::Attached { lab, .. } => Site::attach(Arc::clone(environment), lab.as_ref().clone())?,
    };
    let result = run_in(&plan, &site, assignment, stop, on_event).await;
    site.close().await;
    result?;
    judge(&assignment.folder, drill, environment)
}

async fn run_in(
    plan: &Plan,
    site: &Site,
    assignment: &Assignment,
    stop: Stop,
    on_event: &mut (dyn FnMut(&Entry) + Send),
) -> Result<(), RunError> {
    let options = Options {
        run_id: assignment.run_id.to_string(),
        folder: assignment.folder.clone(),
        seed: assignment.seed,
        command: assignment.command.clone(),
        started_at: jiff::Timestamp::now().to_string(),
        limits: StepLimits::default(),
        guard: match &assignment.place {
            Place::Own(_) => None,
            Place::Attached { guard, .. } => Some(guard.clone()),
        },
    };
    // What became of it is in the timeline, which is what is judged.
    run(plan, site, &options, stop, on_event).await.map(drop)
}

/// Runs drills, so many at once, each in a place of its own. Yields what came of them in the order of the assignments.
pub async fn conduct_all(
    assignments: Vec<Assignment>,
    at_once: usize,
    stop: Stop,
    on_event: impl Fn(&str, &Entry) + Clone + Send + Sync + 'static,
) -> Vec<(String, Result<Report, SuiteError>)> {
    let places = Arc::new(Semaphore::new(at_once.max(1)));
    let mut names = Vec::new();
    let mut tasks = JoinSet::new();
    for assignment in assignments {
        let name = assignment.entry.drill.name.clone();
        let (stop, places, on_event) = (stop.clone(), Arc::clone(&places), on_event.clone());
        let drill = name.clone();
        let task = tasks.spawn(async move {
            let _place = places.acquire().await;
            conduct(&assignment, stop, &mut |entry| on_event(&drill, entry)).await
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
        let threads = |name: &str| {
            Builder::new_multi_thread()
                .enable_all()
                .thread_name(name)
                .build()
        };
        Ok(Self {
            drills: threads("drills")?,
            labs: threads("labs")?,
        })
    }

    /// Runs something to its end on the drills' threads.
    pub fn block_on<T>(&self, future: impl Future<Output = T>) -> T {
        self.drills.block_on(future)
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
    let mut started = None;
    for entry in Reader::open(&path)? {
        let entry = entry?;
        judge.push(&entry);
        if let Event::Run(run) = entry.event {
            started = Some(run);
        }
    }
    let started = started.ok_or(SuiteError::NoRun(path))?;
    Ok(Report::new(
        &started,
        drill,
        environment,
        judge.finish(),
        folder,
    ))
}

/// Rebuilds the report of a drill from the files of its run alone.
///
/// # Errors
/// If they cannot be read.
pub fn rebuild(folder: &Path, variables: Variables<'_>) -> Result<Report, SuiteError> {
    let (entry, problems) =
        catalog::load_recorded(&folder.join(DRILL), &folder.join(ENVIRONMENT), variables);
    let entry = entry.ok_or_else(|| SuiteError::Copies {
        folder: folder.to_owned(),
        problems: problems.render(crate::source::Coloring::Plain),
    })?;
    judge(folder, &entry.drill, &entry.environment)
}
