//! A model of a system whose calls fail in every way that a control plane's do, and what is left of it.

use std::{
    collections::{BTreeMap, VecDeque},
    path::Path,
    sync::{Arc, Mutex},
};

use futures_util::FutureExt;
use proptest::prelude::*;

use super::*;
use crate::{
    environment::{Thing, Touched},
    journal::{Access, Header, Owner, Record, Writer},
    probe::BoxFuture,
    provider::ProviderError,
};
use blackstart_lab::control::{Resource, ResourceKind};

/// How a call goes.
#[derive(Debug, Clone, Copy)]
enum Act {
    /// It does what it says.
    Work,
    /// It is refused, and nothing happens.
    Refuse,
    /// It is done, and refused all the same.
    WorkAndRefuse,
    /// It says yes, and nothing happens.
    Pretend,
    /// It says nothing for ever, and nothing happens.
    Hang,
    /// It is refused, and lands a while later.
    Late,
    /// It says nothing for ever, and lands a while later.
    HangLate,
}

const ACTS: [Act; 7] = [
    Act::Work,
    Act::Refuse,
    Act::WorkAndRefuse,
    Act::Pretend,
    Act::Hang,
    Act::Late,
    Act::HangLate,
];

const LIMITS: StepLimits = StepLimits {
    capture: Duration::from_millis(100),
    inject: Duration::from_millis(100),
    verify: Duration::from_millis(100),
    revert: Duration::from_millis(100),
    revert_attempts: 3,
    revert_backoff: Duration::from_millis(10),
    doubt: Duration::from_secs(1),
    lock: Duration::from_secs(1),
};

/// When what is late lands: while a target in doubt is watched.
const LATE: Duration = Duration::from_millis(600);

#[derive(Debug, Default)]
struct System {
    values: BTreeMap<usize, u32>,
    acts: VecDeque<Act>,
    /// The resources that were written, in this order.
    written: Vec<usize>,
}

/// What sets a fault apart from a usual one.
#[derive(Debug, Clone, Copy, Default)]
struct Traits {
    patience: Option<Duration>,
    doubt: Option<Duration>,
    /// How long a reading takes of what is not as it was.
    reading: Duration,
    /// How much later what is late lands.
    later: Duration,
}

#[derive(Debug, Clone)]
struct ModelFault {
    system: Arc<Mutex<System>>,
    resource: usize,
    sets: u32,
    traits: Traits,
}

impl ModelFault {
    fn value(&self) -> u32 {
        self.system.lock().unwrap().values[&self.resource]
    }

    async fn set(&self, value: u32) -> Result<(), ProviderError> {
        let (system, resource, late) = (
            Arc::clone(&self.system),
            self.resource,
            LATE + self.traits.later,
        );
        let act = system.lock().unwrap().acts.pop_front().unwrap_or(Act::Work);
        let land = move || {
            let mut system = system.lock().unwrap();
            system.values.insert(resource, value);
            system.written.push(resource);
        };
        match act {
            Act::Work | Act::WorkAndRefuse => land(),
            Act::Late | Act::HangLate => drop(tokio::spawn(async move {
                sleep(late).await;
                land();
            })),
            Act::Refuse | Act::Pretend | Act::Hang => {}
        }
        match act {
            Act::Work | Act::Pretend => Ok(()),
            Act::Hang | Act::HangLate => std::future::pending().await,
            Act::Refuse | Act::WorkAndRefuse | Act::Late => Err(ProviderError::UnknownTarget {
                target: "refused".to_owned(),
            }),
        }
    }
}

impl Fault for ModelFault {
    fn describe(&self) -> String {
        format!("set resource-{} to {}", self.resource, self.sets)
    }

    fn touches(&self) -> Touched {
        let name = format!("resource-{}", self.resource);
        Touched {
            thing: Thing::Lab(Resource::new(ResourceKind::Workload, &name)),
            target: name,
        }
    }

    fn capture(&self) -> BoxFuture<'_, Result<Undo, ProviderError>> {
        let (name, value) = (format!("resource-{}", self.resource), self.value());
        Box::pin(async move {
            Ok(Undo {
                target: name.clone(),
                binding: "model".to_owned(),
                words: format!("set {name} to {value}"),
                resource: name,
                state: value.into(),
                injected: self.sets.into(),
            })
        })
    }

    fn inject(&self) -> BoxFuture<'_, Result<(), ProviderError>> {
        Box::pin(self.set(self.sets))
    }

    fn current<'a>(&'a self, undo: &'a Undo) -> BoxFuture<'a, Result<Current, ProviderError>> {
        let value = self.value();
        Box::pin(async move {
            if undo.state != value {
                sleep(self.traits.reading).await;
            }
            Ok(if undo.state == value {
                Current::AsCaptured
            } else if undo.injected == value {
                Current::AsInjected
            } else {
                Current::Otherwise(format!("it is {value}"))
            })
        })
    }

    fn patience(&self) -> Option<Duration> {
        self.traits.patience
    }

    fn doubt(&self) -> Option<Duration> {
        self.traits.doubt
    }

    fn revert<'a>(&'a self, undo: &'a Undo) -> BoxFuture<'a, Result<(), ProviderError>> {
        let value = undo.state.as_u64().and_then(|value| value.try_into().ok());
        Box::pin(async move { self.set(value.unwrap()).await })
    }
}

/// Nobody looks on.
struct Alone;

impl Witness for Alone {
    fn record(&mut self, _: Event) {}

    async fn during<T: Send>(&mut self, work: impl Future<Output = T> + Send) -> T {
        work.await
    }
}

fn journal(folder: &Path) -> Writer {
    let header = Header {
        run_id: "model".into(),
        drill: "model".into(),
        environment: "model".into(),
        environment_file: "model.yaml".into(),
        access: vec![Access::InProcess],
        events: "events.ndjson".into(),
        owner: Owner::this(),
        started_at: "2026-01-01T00:00:00Z".into(),
        speed: 1.0,
    };
    Writer::create(folder, header)
        .now_or_never()
        .unwrap()
        .unwrap()
}

/// A folder in memory, where there is such a thing: the disk is not what this is about.
fn folder() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").unwrap_or_else(|_| tempfile::tempdir().unwrap())
}

/// Breaks a system as the runner does, each fault with its act, and changes something behind its back. Yields the faults.
async fn break_it(
    system: &Arc<Mutex<System>>,
    journal: &mut Writer,
    faults: &[(usize, u32, Act, Traits)],
) -> Vec<(ModelFault, Undo)> {
    let mut broken = Vec::new();
    for &(resource, sets, act, traits) in faults {
        let fault = ModelFault {
            system: Arc::clone(system),
            resource,
            sets,
            traits,
        };
        let undo = fault.capture().await.unwrap();
        if undo.state == undo.injected {
            continue;
        }
        let id = broken.len();
        let captured = Record::Captured {
            id,
            at: "2026-01-01T00:00:00Z".into(),
            undo: Box::new(undo.clone()),
        };
        journal.append(&captured).await.unwrap();
        let issued = journal.step(id, Actor::Harness, FaultStep::Issued, None);
        issued.await.unwrap();
        system.lock().unwrap().acts = [act].into();
        let injected = attempt(LIMITS.inject, async { fault.inject().await }).await;
        let answer = match injected {
            Ok(()) => FaultStep::Acknowledged,
            Err(_) => FaultStep::InjectFailed,
        };
        let answered = journal.step(id, Actor::Harness, answer, None);
        answered.await.unwrap();
        broken.push((fault, undo));
        if injected.is_err() {
            break;
        }
    }
    broken
}

async fn revert(
    journal: &mut Writer,
    broken: &[(ModelFault, Undo)],
    others: Others,
) -> Vec<String> {
    let captured = journal::read(journal.path()).unwrap().captured();
    let owed = broken.iter().zip(&captured).enumerate().rev();
    let owed = owed.map(|(id, ((fault, undo), left))| Owed {
        id,
        undo,
        fault: Ok(fault),
        standing: left.standing(),
    });
    let reverting = Reverting {
        journal,
        actor: Actor::Harness,
        limits: LIMITS,
        others,
        witness: Alone,
        reverted: Reverted::default(),
    };
    reverting.all(owed.collect()).await.left_broken
}

/// Three resources as they are.
fn whole() -> BTreeMap<usize, u32> {
    (0..3).map(|resource| (resource, 10)).collect()
}

/// Breaks a system and reverts it. Yields what is left, and the system when whatever was late has landed.
async fn there_and_back(faults: &[(usize, u32, Act, Traits)]) -> (Vec<String>, System) {
    let folder = folder();
    let mut journal = journal(folder.path());
    let system = Arc::new(Mutex::new(System {
        values: whole(),
        ..System::default()
    }));
    let broken = break_it(&system, &mut journal, faults).await;
    system.lock().unwrap().written.clear();
    let left = revert(&mut journal, &broken, Others::Respected).await;
    sleep(Duration::from_mins(1)).await;
    let system = std::mem::take(&mut *system.lock().unwrap());
    (left, system)
}

#[tokio::test(start_paused = true)]
async fn what_takes_minutes_is_put_back_after_everything_else() {
    let quick = Traits::default();
    let long = Traits {
        patience: Some(Duration::from_mins(20)),
        ..quick
    };
    let faults = [
        (0, 1, Act::Work, quick),
        (1, 1, Act::Work, long),
        (1, 2, Act::Work, long),
        (2, 1, Act::Work, quick),
    ];
    let (left, system) = there_and_back(&faults).await;
    assert_eq!(left, Vec::<String>::new());
    // Those of one resource in the reverse order, or it would have what the first of them set.
    assert_eq!(system.written, [2, 0, 1, 1]);
    assert_eq!(system.values, whole());
}

#[tokio::test(start_paused = true)]
async fn a_call_without_an_answer_is_watched_for_as_long_as_its_fault_says() {
    let later = Traits {
        later: Duration::from_secs(10),
        ..Traits::default()
    };
    let (_, system) = there_and_back(&[(0, 1, Act::HangLate, later)]).await;
    assert_eq!(system.values[&0], 1, "nobody would be watching any more");
    let watched = Traits {
        doubt: Some(Duration::from_secs(15)),
        ..later
    };
    let (left, system) = there_and_back(&[(0, 1, Act::HangLate, watched)]).await;
    assert_eq!(left, Vec::<String>::new());
    assert_eq!(system.values, whole());
}

#[tokio::test(start_paused = true)]
async fn the_reading_before_a_revert_has_the_patience_of_the_fault() {
    let slow = Traits {
        reading: LIMITS.revert * 2,
        ..Traits::default()
    };
    let (left, _) = there_and_back(&[(0, 1, Act::Work, slow)]).await;
    assert!(left[0].contains("no answer within"), "{left:?}");
    let patient = Traits {
        patience: Some(Duration::from_mins(20)),
        ..slow
    };
    let (left, system) = there_and_back(&[(0, 1, Act::Work, patient)]).await;
    assert_eq!(left, Vec::<String>::new());
    assert_eq!(system.values, whole());
}

fn any_act() -> impl Strategy<Value = Act> {
    prop_oneof![2 => Just(Act::Work), 3 => prop::sample::select(ACTS.to_vec())]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn whatever_fails_the_system_is_as_before_or_what_differs_is_named_and_a_second_time_finishes(
        faults in prop::collection::vec(((0_usize..3), (1_u32..4), any_act()), 1..6),
        acts in prop::collection::vec(any_act(), 0..10),
        meddled in prop::option::weighted(0.2, 0_usize..3),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
        runtime.block_on(async {
            let folder = folder();
            let mut journal = journal(folder.path());
            let before = whole();
            let faults: Vec<_> = faults
                .into_iter()
                .map(|(resource, sets, act)| (resource, sets, act, Traits::default()))
                .collect();
            let system = Arc::new(Mutex::new(System {
                values: before.clone(),
                ..System::default()
            }));
            let broken = break_it(&system, &mut journal, &faults).await;
            if let Some(resource) = meddled {
                system.lock().unwrap().values.insert(resource, 99);
            }
            system.lock().unwrap().acts = acts.into();
            let left = revert(&mut journal, &broken, Others::Respected).await;
            // Whatever is still on its way lands before anybody looks.
            sleep(LATE * 2).await;
            let differing = |system: &Arc<Mutex<System>>| -> Vec<usize> {
                let values = system.lock().unwrap().values.clone();
                let differs = |resource: &usize| values[resource] != before[resource];
                (0..3).filter(differs).collect()
            };
            for resource in differing(&system) {
                let is_ours = broken.iter().any(|(fault, _)| fault.resource == resource);
                let is_named = left.iter().any(|words| words.contains(&format!("`resource-{resource}`")));
                assert!(is_named || !is_ours, "resource-{resource} is not named: {left:?}");
            }
            system.lock().unwrap().acts.clear();
            let again = revert(&mut journal, &broken, Others::Overwritten).await;
            assert_eq!(again, Vec::<String>::new());
            let untouched = |resource: &usize| broken.iter().all(|(fault, _)| fault.resource != *resource);
            assert!(differing(&system).iter().all(untouched), "{:?}", system.lock().unwrap().values);
        });
    }
}
