//! The plan: everything a drill will do, worked out beforehand. Touches nothing.

mod page;
mod preflight;

use std::{sync::Arc, time::Duration};

use crate::{
    drill::{AbortIf, After, Drill, Hold, InconclusivePolicy, SteadyState, Step},
    environment::{
        Breach, Environment, GOOD_WITHIN_FLOOR, Probe, TIMEOUT_FLOOR, Touched, real_limit,
    },
    provider::{self, Need, ProviderError},
    source::{FilledIn, Secrets},
    timeline::{FaultPlanned, ProbeKind, ProbeStarted},
};

pub(crate) use preflight::tier_checks;
pub use preflight::{How, TierCheck};

/// A stable run needs at least so many good samples in a row (DESIGN.md, "Clocks and the error of sampling").
pub const STABLE_SAMPLES: u32 = 5;
/// A steady state needs at least so many good samples: they are also what the healthy latency is measured by.
pub const STEADY_SAMPLES: u32 = 20;
/// How long users may take to return after the revert where no expectation says so.
const FAILBACK_LIMIT: Duration = Duration::from_mins(5);
/// How long to hold where nothing in the drill sets a limit.
const HOLD_LIMIT: Duration = Duration::from_mins(5);

/// A drill in its environment, ready to be run.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The drill.
    pub drill: Arc<Drill>,
    /// The environment.
    pub environment: Arc<Environment>,
    /// How many times as fast as the wall's clock the architecture's time will run.
    pub speed: f64,
    /// The faults by number, in the order of the file.
    pub faults: Vec<PlannedFault>,
    /// The probes.
    pub probes: Vec<PlannedProbe>,
    /// The tiers that the drill leans on, and how they are seen to be alive before anything is broken.
    pub preflight: Vec<TierCheck>,
    /// The systems that are reached for it, and what is missing on this machine to reach them.
    pub needs: Vec<Need>,
    /// How long each phase takes at most, in the architecture's time.
    pub limits: Limits,
}

/// A fault that will be injected.
#[derive(Debug, Clone, PartialEq)]
pub struct PlannedFault {
    /// What the timeline will say of it.
    pub facts: FaultPlanned,
    /// The binding and what of it is touched: `lab workload/web`.
    pub touches: String,
    /// What reverting does, in words.
    pub revert: String,
    /// What may keep it from doing what is expected of it.
    pub warnings: Vec<String>,
    /// The step of the drill it belongs to.
    pub step: usize,
}

/// A probe that will look.
#[derive(Debug, Clone, PartialEq)]
pub struct PlannedProbe {
    /// What the timeline will say of it.
    pub facts: ProbeStarted,
    /// The half width of the bounds it leaves on a duration, without the latency of the service.
    pub resolution: Duration,
}

/// How long the phases take at most, in the architecture's time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// How long the steady state is watched.
    pub steady_state: Duration,
    /// Up to so much longer, at random: a fault that always meets the checks and caches of a system at the same point of their
    /// periods is always found after the same time, which no real failure is (DESIGN.md, "A random phase").
    pub phase: Duration,
    /// How long `after: recovered` is waited for.
    pub recovered: Duration,
    /// How long the faults stay after the last was acknowledged.
    pub hold: Duration,
    /// How long users may take to return.
    pub failback: Duration,
    /// How long a run of good samples must be to count as stable.
    pub stable: Duration,
}

/// A plan cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// A fault cannot be carried out.
    #[error("{file}:{line}: fault {number} cannot be carried out")]
    Fault {
        /// The drill's file.
        file: String,
        /// The line.
        line: u32,
        /// The fault's number, from 1.
        number: usize,
        /// Why.
        #[source]
        source: ProviderError,
    },
    /// A fault would touch what the environment's limits do not allow.
    #[error("{file}:{line}: fault {number} is outside the limits of the environment")]
    Limits {
        /// The drill's file.
        file: String,
        /// The line.
        line: u32,
        /// The fault's number, from 1.
        number: usize,
        /// The limit that it would break.
        #[source]
        source: Box<Breach>,
    },
    /// The environment has no probe that looks at the service as users do.
    #[error(
        "{environment}: no probe sends the `read` request on new connections, so nothing would see what users see"
    )]
    NoUserProbe {
        /// The environment's name.
        environment: String,
    },
}

/// Works out what a drill will do in its environment, at the environment's speed or another.
///
/// # Errors
/// If a fault cannot be carried out there, or nobody would see what users see.
pub fn plan(
    drill: Arc<Drill>,
    environment: Arc<Environment>,
    speed: Option<f64>,
) -> Result<Plan, PlanError> {
    let speed = speed.unwrap_or(environment.speed);
    let Some(user) = environment.user_probe() else {
        return Err(PlanError::NoUserProbe {
            environment: environment.name.clone(),
        });
    };
    let mut faults = Vec::new();
    for (step, fault) in drill
        .faults
        .iter()
        .enumerate()
        .flat_map(|(step, entry)| entry.faults.iter().map(move |fault| (step, fault)))
    {
        let change =
            provider::planned(&environment, &fault.value).map_err(|source| PlanError::Fault {
                file: drill.file.display().to_string(),
                line: fault.at.line,
                number: faults.len() + 1,
                source,
            })?;
        let touched = Touched {
            target: fault.value.target().to_owned(),
            thing: change.thing,
        };
        let broken = faults
            .iter()
            .map(|fault: &PlannedFault| fault.facts.target.as_str());
        environment
            .limits
            .permit(&touched, broken)
            .map_err(|source| PlanError::Limits {
                file: drill.file.display().to_string(),
                line: fault.at.line,
                number: faults.len() + 1,
                source: Box::new(source),
            })?;
        faults.push(PlannedFault {
            facts: FaultPlanned {
                kind: fault.value.kind().to_owned(),
                target: fault.value.target().to_owned(),
                describe: change.describe,
                line: fault.at.line,
            },
            touches: change.touches,
            revert: change.describe_revert,
            warnings: change.warnings,
            step,
        });
    }
    let limits = limits(&drill, &environment, user.every, speed);
    let probes = environment
        .probes
        .iter()
        .map(|probe| planned_probe(&probe.value, &environment, speed))
        .collect();
    let preflight = tier_checks(&drill, &environment);
    let needs = provider::needs(&environment);
    Ok(Plan {
        drill,
        environment,
        speed,
        faults,
        probes,
        preflight,
        needs,
        limits,
    })
}

/// Works out how an environment is looked at while nothing is broken, at its own speed or another.
///
/// # Errors
/// If nobody would see what users see.
pub fn watching(environment: Arc<Environment>, speed: Option<f64>) -> Result<Plan, PlanError> {
    let drill = Drill {
        name: environment.name.clone(),
        about: environment.about.clone(),
        environment: environment.name.clone(),
        tags: Vec::new(),
        steady_state: SteadyState {
            r#for: Duration::ZERO,
            served_by: None,
        },
        faults: Vec::new(),
        hold: Hold::UntilStable,
        abort_if: Vec::new(),
        expect: Vec::new(),
        inconclusive: InconclusivePolicy::Fail,
        exercise: None,
        file: environment.file.clone(),
        text: String::new(),
        variables: FilledIn::default(),
    };
    plan(Arc::new(drill), environment, speed)
}

fn planned_probe(probe: &Probe, environment: &Environment, speed: f64) -> PlannedProbe {
    let real = |limit, floor| real_limit(limit, speed, floor).mul_f64(speed);
    let facts = match probe {
        Probe::Http(probe) => ProbeStarted {
            name: probe.name.clone(),
            kind: ProbeKind::Http {
                request: probe.request.clone(),
                writes: environment
                    .service
                    .requests
                    .get(&probe.request)
                    .is_some_and(|request| request.writes),
                connection: probe.connection,
                standby: probe.standby.clone(),
            },
            every: probe.every,
            timeout: real(probe.timeout, TIMEOUT_FLOOR),
            good_within: real(probe.good_within, GOOD_WITHIN_FLOOR),
        },
        Probe::Dns(probe) => {
            let timeout = real(probe.timeout, TIMEOUT_FLOOR);
            ProbeStarted {
                name: probe.name.clone(),
                kind: ProbeKind::Dns {
                    view: probe.view,
                    server: probe.server.clone(),
                },
                every: probe.every,
                timeout,
                good_within: timeout,
            }
        }
    };
    PlannedProbe {
        resolution: facts.every,
        facts,
    }
}

fn limits(drill: &Drill, environment: &Environment, every: Duration, speed: f64) -> Limits {
    // A stable run is five samples and five seconds at least, or ten samples where they are rare (DESIGN.md, "Clocks and the error of sampling").
    let stable = (every * 10).max(Duration::from_secs(5));
    let longest = drill
        .expect
        .iter()
        .filter_map(|expectation| expectation.value.limit_while_held())
        .max();
    // A sample that times out is known late: what the limit still has to show may be under way when it passes.
    let late = real_limit(Duration::ZERO, speed, TIMEOUT_FLOOR).mul_f64(speed);
    let recovered = longest.unwrap_or(HOLD_LIMIT) + stable + late;
    let failback = drill
        .expect
        .iter()
        .find_map(|expectation| expectation.value.failback_limit());
    Limits {
        steady_state: drill.steady_state.r#for.max(every * STEADY_SAMPLES),
        phase: longest_period(environment).max(every),
        recovered,
        hold: match drill.hold {
            Hold::For(duration) => duration,
            Hold::UntilStable => recovered,
        },
        failback: failback.unwrap_or(FAILBACK_LIMIT) + stable + late,
        stable,
    }
}

/// How long faults may be in place if the drill is carried out to its end. Nothing without a probe that looks as users do.
pub(crate) fn longest_fault(drill: &Drill, environment: &Environment) -> Option<Duration> {
    let user = environment.user_probe()?;
    let limits = limits(drill, environment, user.every, environment.speed);
    Some(faults_in_place(drill, &limits))
}

fn faults_in_place(drill: &Drill, limits: &Limits) -> Duration {
    let first = drill.steps_before_the_first_fault();
    let later = drill.faults.iter().skip(first + 1);
    later
        .map(|step| longest_step(step, limits))
        .sum::<Duration>()
        + limits.hold
}

/// How long a step may be waited for, its person included.
fn longest_step(step: &Step, limits: &Limits) -> Duration {
    let person = step.pause.as_ref().map(|pause| pause.value.within);
    longest_wait(step.after, limits) + person.unwrap_or_default()
}

fn longest_wait(after: After, limits: &Limits) -> Duration {
    match after {
        After::Immediately => Duration::ZERO,
        After::Delay(delay) => delay,
        After::Recovered => limits.recovered,
        After::GoodFor(good) => good.saturating_mul(After::PATIENCE),
    }
}

/// The longest period of a check or a cache that the environment names.
fn longest_period(environment: &Environment) -> Duration {
    let stack = environment.stack.iter();
    let intervals = stack
        .clone()
        .flat_map(|stack| stack.health_checks.values())
        .map(|check| check.request_interval);
    let ttls = stack
        .flat_map(|stack| &stack.zones)
        .flat_map(|zone| &zone.records)
        .map(|record| record.ttl);
    intervals.chain(ttls).max().unwrap_or_default()
}

impl Plan {
    /// The longest the drill takes, in the architecture's time, if the service is steady at once and control planes answer at once.
    pub fn longest(&self) -> Duration {
        let until_the_first = self.drill.steps_before_the_first_fault() + 1;
        let first: Duration = self
            .drill
            .faults
            .iter()
            .take(until_the_first)
            .map(|step| longest_step(step, &self.limits))
            .sum();
        self.limits.steady_state
            + self.limits.phase
            + first
            + faults_in_place(&self.drill, &self.limits)
            + self.limits.failback
    }

    /// The longest that faults are in place if nothing ends the drill early, from the first one, in the architecture's time.
    pub fn faults_in_place(&self) -> Duration {
        faults_in_place(&self.drill, &self.limits)
    }

    /// What ends the drill early: what the environment says, then what the drill says.
    pub fn abort_if(&self) -> impl Iterator<Item = &AbortIf> {
        let conditions = [&self.environment.abort_if, &self.drill.abort_if];
        conditions
            .into_iter()
            .flatten()
            .map(|condition| &condition.value)
    }

    /// What a duration of the architecture takes on the wall's clock.
    pub fn real(&self, duration: Duration) -> Duration {
        duration.div_f64(self.speed)
    }

    /// The probes that watch a standby, each with the tier it reaches while all is well.
    pub fn standbys(&self) -> impl Iterator<Item = (&str, &str)> {
        self.probes
            .iter()
            .filter_map(|probe| match &probe.facts.kind {
                ProbeKind::Http {
                    standby: Some(tier),
                    ..
                } => Some((probe.facts.name.as_str(), tier.as_str())),
                ProbeKind::Http { standby: None, .. } | ProbeKind::Dns { .. } => None,
            })
    }

    /// What must not be shown of it, nor kept.
    pub fn secrets(&self) -> Secrets {
        self.environment.secrets_with(&self.drill)
    }

    /// The name of the users' own probe.
    pub fn user_probe(&self) -> &str {
        self.environment
            .user_probe()
            .map_or("", |probe| &probe.name)
    }
}
