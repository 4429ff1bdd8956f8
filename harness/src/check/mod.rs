//! A drill against its environment: whether what one names exists in the other, can be done, can be seen and can be decided.

mod answerable;
mod aws;
mod cadence;
mod pages;
mod safety;
mod traps;

use crate::{
    drill::{After, DrillFile, Expect, Hold, Writes, duration_words},
    environment::{Environment, EnvironmentFile, Probe, RESERVED},
    source::{
        Context, Node, Place, Problem, Problems,
        Step::{Index, Key},
        one_of, shown,
    },
};

/// What is wrong with an environment at the speed it runs at, whatever the drill.
pub(crate) fn environment(file: &EnvironmentFile) -> Problems {
    let context = Context::new(&file.document.file);
    cadence::environment(&context, file);
    pages::environment(&context, file);
    traps::environment(&context, file);
    aws::environment(&context, file);
    context.into_problems()
}

/// What is wrong with a drill in an environment.
pub(crate) fn drill(file: &DrillFile, environment: &Environment) -> Problems {
    let context = Context::new(&file.document.file);
    let checker = Checker {
        context: &context,
        file,
        environment,
    };
    checker.steady_state();
    checker.faults();
    checker.hold();
    safety::drill(&checker);
    aws::drill(&checker);
    traps::drill(&checker);
    for expectation in &file.drill.expect {
        let node = file
            .document
            .follow(&[Key("expect"), Key(expectation.value.kind())]);
        checker.names(&expectation.value, node);
        answerable::expectation(&checker, &expectation.value, node);
        cadence::expectation(&checker, &expectation.value, node);
        traps::recovery(&checker, &expectation.value, node);
        traps::clients(&checker, &expectation.value, node);
    }
    context.into_problems()
}

struct Checker<'a> {
    context: &'a Context<'a>,
    file: &'a DrillFile,
    environment: &'a Environment,
}

/// How an expectation learns which tier answered.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Seen {
    ByHttp,
    ByDns,
}

impl<'a> Checker<'a> {
    fn push(&self, problem: Problem) {
        self.context.push(problem);
    }

    fn error(&self, node: &Node, message: impl Into<String>) -> Problem {
        Problem::error(self.context.file(), node.place, message)
    }

    fn warning(&self, node: &Node, message: impl Into<String>) -> Problem {
        Problem::warning(self.context.file(), node.place, message)
    }

    fn steady_state(&self) {
        if let Some(tier) = &self.file.drill.steady_state.served_by {
            let node = self
                .file
                .document
                .follow(&[Key("steady-state"), Key("served-by")]);
            self.tier(tier, node, Seen::ByHttp);
        }
    }

    fn faults(&self) {
        for (step_index, step) in self.file.drill.faults.iter().enumerate() {
            for (fault_index, fault) in step.faults.iter().enumerate() {
                let kind = fault.value.kind();
                let entry = self
                    .file
                    .document
                    .follow(&[Key("faults"), Index(step_index)]);
                let entry = match entry.get("together") {
                    Some(list) => list.follow(&[Index(fault_index)]),
                    None => entry,
                };
                let name = fault.value.target();
                let target_node = entry.follow(&[Key(kind), Key("target")]);
                let Some(target) = self.environment.targets.get(name) else {
                    let known = self.environment.targets.keys().map(String::as_str);
                    self.context.report_unknown(target_node, "target", known);
                    continue;
                };
                if !target.faults().contains(&kind) {
                    let message = format!("`{kind}` cannot be done to {}", shown(target_node));
                    self.push(
                        Problem::error(self.context.file(), entry.place_of_key(kind), message)
                            .with_hint(format!("what can: {}", target.faults().join(", "))),
                    );
                }
            }
        }
    }

    fn hold(&self) {
        let node = self.file.document.follow(&[Key("hold")]);
        let drill = &self.file.drill;
        let limits = drill
            .expect
            .iter()
            // An outage is measured to its end, be that after the revert.
            .filter(|expectation| {
                drill.hold == Hold::UntilStable
                    || !matches!(expectation.value, Expect::Outage { .. })
            })
            .filter_map(|expectation| expectation.value.limit_while_held());
        let longest = limits.max();
        // Limits count from the first fault: a step that waits for users to recover has had the time of all of them already.
        let waits = drill
            .faults
            .iter()
            .any(|step| step.after == After::Recovered);
        match (drill.hold, longest) {
            (Hold::UntilStable, None) => self.push(
                self.error(node, "nothing ends `hold: until stable` if the service stays down")
                    .with_hint("hold for a duration, such as `4m`, or expect something with a limit, such as `rto`"),
            ),
            (Hold::For(hold), Some(limit)) if limit > hold && !waits => self.push(
                self.warning(
                    node,
                    format!(
                        "the faults are reverted after {}, before the limit of {} has passed",
                        duration_words(hold),
                        duration_words(limit)
                    ),
                )
                .with_hint("hold longer than the longest limit, or what comes late cannot be told from what never comes"),
            ),
            (Hold::UntilStable, Some(_)) | (Hold::For(_), _) => {}
        }
    }

    /// The tiers and probes that an expectation names.
    fn names(&self, expect: &Expect, node: &Node) {
        let at = |key| node.follow(&[Key(key)]);
        match expect {
            Expect::Path(steps) => {
                for (index, step) in steps.iter().enumerate() {
                    if !RESERVED.contains(&step.as_str()) {
                        self.tier(step, node.follow(&[Index(index)]), Seen::ByHttp);
                    }
                }
            }
            Expect::Never(tiers) => {
                for (index, tier) in tiers.iter().enumerate() {
                    self.tier(tier, node.follow(&[Index(index)]), Seen::ByHttp);
                }
            }
            Expect::ServedBy(probes) => {
                for (probe, tier) in probes {
                    let tier_node = node.follow(&[Key(probe)]);
                    let seen = match self.environment.probe(probe) {
                        Some(Probe::Http(_)) => Seen::ByHttp,
                        Some(Probe::Dns(_)) => Seen::ByDns,
                        None => {
                            self.unknown_probe_key(probe, node.place_of_key(probe));
                            continue;
                        }
                    };
                    self.tier(tier, tier_node, seen);
                }
            }
            Expect::Writes(Writes::ServedBy(tier)) => {
                self.tier(tier, node.follow(&[Key("served-by")]), Seen::ByHttp);
            }
            Expect::Failback { to, .. } => self.tier(to, at("to"), Seen::ByHttp),
            Expect::DnsSwitch { probe, to, .. } => {
                self.probe(probe.as_deref(), at("probe"));
                if let Some(to) = to {
                    self.tier(to, at("to"), Seen::ByDns);
                }
            }
            Expect::StaleDns { probe, .. }
            | Expect::MaxErrors { probe, .. }
            | Expect::Header { probe, .. }
            | Expect::Body { probe, .. }
            | Expect::Status { probe, .. } => self.probe(probe.as_deref(), at("probe")),
            Expect::Detected { by: Some(by), .. } => {
                let observer = self
                    .environment
                    .observers
                    .iter()
                    .any(|observer| observer.name == *by);
                let known = self
                    .environment
                    .observers
                    .iter()
                    .map(|observer| observer.name.as_str())
                    .chain(self.standby_probes());
                if !observer && self.environment.probe(by).is_none() {
                    self.context.report_unknown(at("by"), "observer", known);
                }
            }
            Expect::Detected { by: None, .. }
            | Expect::Rto { .. }
            | Expect::Outage { .. }
            | Expect::Writes(Writes::FailWith(_))
            | Expect::Availability { .. }
            | Expect::NoFailover
            | Expect::Flaps { .. }
            | Expect::Rpo { .. } => {}
        }
    }

    fn standby_probes(&self) -> impl Iterator<Item = &'a str> + Clone {
        self.environment
            .probes
            .iter()
            .filter_map(|probe| match &probe.value {
                Probe::Http(probe) if probe.standby.is_some() => Some(probe.name.as_str()),
                Probe::Http(_) | Probe::Dns(_) => None,
            })
    }

    fn tier(&self, name: &str, node: &Node, seen: Seen) {
        let tiers = &self.environment.tiers;
        let Some(tier) = tiers.iter().find(|tier| tier.name == name) else {
            let known = tiers.iter().map(|tier| tier.name.as_str());
            self.context.report_unknown(node, "tier", known);
            return;
        };
        let (recognised, how) = match seen {
            Seen::ByHttp => (
                tier.recognise.by_http(),
                "a `header`, `body` or `certificate`",
            ),
            Seen::ByDns => (tier.recognise.dns.is_some(), "`dns`"),
        };
        if !recognised {
            let message = format!("nothing shows that an answer came from {}", shown(node));
            let hint = format!(
                "give the tier {how} under `recognise:` in {}",
                self.environment.file.display()
            );
            self.push(self.error(node, message).with_hint(hint));
        }
    }

    fn probe(&self, name: Option<&str>, node: &Node) {
        if let Some(name) = name
            && self.environment.probe(name).is_none()
        {
            let known = self
                .environment
                .probes
                .iter()
                .map(|probe| probe.value.name());
            self.context.report_unknown(node, "probe", known);
        }
    }

    fn unknown_probe_key(&self, name: &str, place: Place) {
        let known = || {
            self.environment
                .probes
                .iter()
                .map(|probe| probe.value.name())
        };
        let message = format!("unknown probe `{name}`, expected {}", one_of(known()));
        self.push(Problem::error(self.context.file(), place, message).with_nearest(name, known()));
    }
}
