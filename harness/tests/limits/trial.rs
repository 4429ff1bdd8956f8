//! A drill on two machines in a lab of its own, with limits, conditions and a binding that may go wrong.

use std::{
    fs,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use blackstart::{
    catalog::{self, Selection},
    drill,
    environment::{Environment, Thing, Touched},
    exit_code::ExitCode,
    journal::{self, Journal},
    plan::plan,
    probe::BoxFuture,
    provider::{Current, Fault, Health, Provider, ProviderError, Undo, site::Site},
    report::{Report, Style, junit, terminal},
    run::{self, Options, StepLimits, Stopper, Terms},
    source::Coloring,
    suite,
    timeline::{Entry, Event, FaultStep, file::Reader},
};
use blackstart_lab::control::{Resource, ResourceKind, Settings};
use tempfile::TempDir;

const FIXTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../fixtures");

/// How a binding goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Binding {
    /// It does not.
    Sound,
    /// The fault is in place, and the control plane never says so.
    Hangs,
    /// The control plane says yes and does nothing.
    Pretends,
    /// What it touches is not what was planned.
    TouchesAnother,
}

/// A drill that is about to be run.
#[derive(Debug)]
pub(crate) struct Trial {
    pub(crate) folder: TempDir,
    environment: String,
    fault: String,
    hold: String,
    abort_if: String,
    expect: String,
    pub(crate) terms: Terms,
    binding: Binding,
    /// Set while the drill runs, to have the first machine fail by itself.
    pub(crate) fails_by_itself: Arc<AtomicBool>,
}

/// A drill that was run.
#[derive(Debug)]
pub(crate) struct Tried {
    pub(crate) report: Report,
    pub(crate) entries: Vec<Entry>,
    pub(crate) journal: Journal,
    before: Vec<Settings>,
    after: Vec<Settings>,
}

impl Trial {
    /// The first machine answers 503 for ten minutes.
    pub(crate) fn new() -> Self {
        let file = Path::new(FIXTURES).join("library-user/drills/environments/two-machines.yaml");
        let text = fs::read_to_string(file).unwrap();
        Self {
            folder: tempfile::tempdir().unwrap(),
            environment: text,
            fault: "respond: { target: first, status: 503 }".to_owned(),
            hold: "10m".to_owned(),
            abort_if: String::new(),
            expect: "outage: { within: 9m }".to_owned(),
            terms: Terms::default(),
            binding: Binding::Sound,
            fails_by_itself: Arc::default(),
        }
        .exchanged("speed: 30", "speed: 60")
        .exchanged("ttl: 60s", "ttl: 5s")
        .exchanged(
            "targets:\n",
            "targets:\n  second: { lab: { virtual-machine: second } }\n",
        )
    }

    /// With another text in the environment file.
    pub(crate) fn exchanged(mut self, old: &str, new: &str) -> Self {
        assert!(self.environment.contains(old), "{old}");
        self.environment = self.environment.replace(old, new);
        self
    }

    /// With more in the environment file.
    pub(crate) fn with(self, more: &str) -> Self {
        self.exchanged("stack:\n", &format!("{more}\nstack:\n"))
    }

    pub(crate) fn breaking(mut self, fault: &str) -> Self {
        fault.clone_into(&mut self.fault);
        self
    }

    pub(crate) fn holding(mut self, hold: &str) -> Self {
        hold.clone_into(&mut self.hold);
        self
    }

    /// Aborted under a condition that stands in the drill.
    pub(crate) fn aborted_if(mut self, condition: &str) -> Self {
        let list = match self.abort_if.as_str() {
            "" => "abort-if:\n",
            list => list,
        };
        self.abort_if = format!("{list}  - {condition}\n");
        self
    }

    pub(crate) fn expecting(mut self, expect: &str) -> Self {
        expect.clone_into(&mut self.expect);
        self
    }

    pub(crate) fn bound(mut self, binding: Binding) -> Self {
        self.binding = binding;
        self
    }

    /// With a static page as the last tier, which is asked like this before anything is broken.
    pub(crate) fn with_page(self, preflight: &str) -> Self {
        let page = Path::new(FIXTURES).join("pages/maintenance.html");
        let site = format!(
            "  static-sites:\n    page: {{ dns-name: page.shop.test, protocol: http, port: 80, page: {} }}\n",
            page.display()
        );
        let tier = format!(
            "  - {{ tier: page, about: a static page, recognise: {{ header: {{ name: server, contains: Windows }} }}, preflight: {preflight} }}\n"
        );
        self.exchanged("probes:\n", &format!("{tier}probes:\n"))
            .exchanged(
                "  virtual-machines:\n",
                &format!("{site}  virtual-machines:\n"),
            )
            .expecting("path: [first, down, page]")
    }

    /// Writes the files of the drill. Yields the drill's.
    pub(crate) fn write(&self) -> std::path::PathBuf {
        let drills = self.folder.path().join("drills");
        fs::create_dir_all(drills.join("environments")).unwrap();
        fs::write(
            drills.join("environments/two-machines.yaml"),
            &self.environment,
        )
        .unwrap();
        let text = format!(
            "drill: trial\nenvironment: two-machines\nfaults:\n  - {}\nhold: {}\n{}expect:\n  {}\n",
            self.fault, self.hold, self.abort_if, self.expect
        );
        let file = drills.join("trial.yaml");
        fs::write(&file, text).unwrap();
        file
    }

    pub(crate) async fn run(self) -> Tried {
        self.run_watched(&mut |_| {}).await
    }

    pub(crate) async fn run_watched(self, on_event: &mut (dyn FnMut(&Entry) + Send)) -> Tried {
        let selection = Selection {
            paths: vec![self.write()],
            ..Selection::default()
        };
        let (mut catalog, problems) = catalog::load(&selection, &|_| None);
        assert!(
            !problems.has_errors(),
            "{}",
            problems.render(Coloring::Plain)
        );
        let entry = catalog.entries.remove(0);
        let mut plan = plan(
            Arc::new(entry.drill.clone()),
            Arc::clone(&entry.environment),
            None,
        )
        .unwrap();
        // Nothing here depends on when in the period of a check it breaks.
        plan.limits.phase = Duration::ZERO;
        let labs = tokio::runtime::Handle::current();
        let site = Site::open(Arc::clone(&entry.environment), plan.speed, 1, &labs)
            .await
            .unwrap();
        let binding = self.binding;
        let fails_by_itself = Arc::clone(&self.fails_by_itself);
        let site = site.with_provider(|lab| {
            Arc::new(Wrapped {
                lab,
                binding,
                fails_by_itself,
            })
        });
        let before = settings(&site);
        let folder = self.folder.path().join("records");
        fs::create_dir(&folder).unwrap();
        let options = Options {
            run_id: "trial".to_owned(),
            folder: folder.clone(),
            seed: 1,
            repeat: None,
            drill_commit: None,
            command: Vec::new(),
            started_at: "2026-01-01T00:00:00Z".to_owned(),
            limits: StepLimits {
                verify: Duration::from_millis(300),
                ..StepLimits::default()
            },
            terms: self.terms.clone(),
            guard: None,
        };
        let (_stopper, stop) = Stopper::new();
        run::run(&plan, &site, &options, stop, on_event)
            .await
            .unwrap();
        let after = settings(&site);
        site.close().await;
        let reader = Reader::open(folder.join(suite::EVENTS)).unwrap();
        Tried {
            report: suite::judge(&folder, &entry.drill, &entry.environment).unwrap(),
            entries: reader.map(Result::unwrap).collect(),
            journal: journal::read(&folder.join(journal::FILE_NAME)).unwrap(),
            before,
            after,
        }
    }
}

/// What is set of everything that a fault here can touch.
fn settings(site: &Site) -> Vec<Settings> {
    let lab = site.lab().unwrap();
    let resources = [
        Resource::new(ResourceKind::VirtualMachine, "first"),
        Resource::new(ResourceKind::VirtualMachine, "second"),
        Resource::new(ResourceKind::HealthCheck, "first"),
    ];
    resources
        .iter()
        .map(|resource| lab.control(resource).unwrap().settings)
        .collect()
}

impl Tried {
    pub(crate) fn exit_code(&self) -> ExitCode {
        ExitCode::from(&self.report.judgement)
    }

    /// How often a fault went through a step.
    pub(crate) fn steps(&self, wanted: FaultStep) -> usize {
        let is =
            |entry: &&Entry| matches!(&entry.event, Event::Fault { step, .. } if *step == wanted);
        self.entries.iter().filter(is).count()
    }

    /// When a fault first went through a step.
    pub(crate) fn time_of(&self, wanted: FaultStep) -> Duration {
        let is =
            |entry: &&Entry| matches!(&entry.event, Event::Fault { step, .. } if *step == wanted);
        self.entries.iter().find(is).unwrap().at
    }

    /// Everything is set as it was before the drill.
    pub(crate) fn assert_nothing_is_left(&self) {
        assert_eq!(self.before, self.after);
        assert!(self.report.judgement.restored);
    }

    pub(crate) fn terminal(&self) -> String {
        terminal::render(std::slice::from_ref(&self.report), &Style::default())
    }

    pub(crate) fn junit(&self) -> String {
        junit::render(std::slice::from_ref(&self.report))
    }
}

#[derive(Debug)]
struct Wrapped {
    lab: Arc<dyn Provider>,
    binding: Binding,
    fails_by_itself: Arc<AtomicBool>,
}

impl Provider for Wrapped {
    fn resolve(
        &self,
        environment: &Environment,
        fault: &drill::Fault,
    ) -> Result<Box<dyn Fault>, ProviderError> {
        Ok(Box::new(WrappedFault {
            fault: self.lab.resolve(environment, fault)?,
            binding: self.binding,
        }))
    }

    fn recall(&self, undo: &Undo) -> Result<Box<dyn Fault>, ProviderError> {
        self.lab.recall(undo)
    }

    fn health<'a>(
        &'a self,
        environment: &'a Environment,
        target: &'a str,
    ) -> BoxFuture<'a, Result<Health, ProviderError>> {
        Box::pin(async move {
            // Observers are read again and again, so this is soon after it was set.
            if self.fails_by_itself.swap(false, Ordering::Relaxed) {
                let target = "first".to_owned();
                let failure = drill::Fault::Kill { target };
                self.lab.resolve(environment, &failure)?.inject().await?;
            }
            self.lab.health(environment, target).await
        })
    }
}

#[derive(Debug)]
struct WrappedFault {
    fault: Box<dyn Fault>,
    binding: Binding,
}

impl Fault for WrappedFault {
    fn describe(&self) -> String {
        self.fault.describe()
    }

    fn touches(&self) -> Touched {
        let touched = self.fault.touches();
        match self.binding {
            Binding::TouchesAnother => Touched {
                thing: Thing::Lab(Resource::new(ResourceKind::Workload, "another")),
                ..touched
            },
            Binding::Sound | Binding::Hangs | Binding::Pretends => touched,
        }
    }

    fn capture(&self) -> BoxFuture<'_, Result<Undo, ProviderError>> {
        self.fault.capture()
    }

    fn inject(&self) -> BoxFuture<'_, Result<(), ProviderError>> {
        Box::pin(async move {
            match self.binding {
                Binding::Sound | Binding::TouchesAnother => self.fault.inject().await,
                Binding::Pretends => Ok(()),
                Binding::Hangs => {
                    self.fault.inject().await?;
                    std::future::pending().await
                }
            }
        })
    }

    fn current<'a>(&'a self, undo: &'a Undo) -> BoxFuture<'a, Result<Current, ProviderError>> {
        self.fault.current(undo)
    }

    fn revert<'a>(&'a self, undo: &'a Undo) -> BoxFuture<'a, Result<(), ProviderError>> {
        self.fault.revert(undo)
    }
}
