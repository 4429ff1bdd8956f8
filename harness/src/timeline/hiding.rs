//! Events without what variables of the process environment held.
//!
//! Texts are looked through; words of the format and names that files define are left as they are, so that what is written can be read
//! again whatever a variable held.

use super::{
    Act, Entry, Event, FaultPlanned, Outcome, ProbeKind, ProbeStarted, RunStarted, Sample,
};
use crate::source::Secrets;

impl Entry {
    /// The same with `${NAME}` for every secret in it. Nothing is recorded or shown before it went through here.
    #[must_use]
    pub fn without(mut self, secrets: &Secrets) -> Self {
        if secrets.is_empty() {
            return self;
        }
        match &mut self.event {
            Event::Run(run) => hide_in_run(run, secrets),
            Event::Phase { phase: _ } => {}
            Event::Sample(sample) => hide_in_sample(sample, secrets),
            Event::Fault {
                id: _,
                step: _,
                detail,
            }
            | Event::Observed {
                observer: _,
                before: _,
                healthy: _,
                detail,
            }
            | Event::Ledger {
                before: _,
                found: _,
                detail,
            } => hide(detail, secrets),
            Event::Preflight(checked) => {
                hide([&mut checked.asked], secrets);
                hide(&mut checked.detail, secrets);
            }
            Event::Aborted { condition, reason } => hide([condition, reason], secrets),
            Event::Operator { role, act } => {
                hide(role, secrets);
                match act {
                    Act::Asked { text, within: _ } | Act::Noted(text) => hide([text], secrets),
                    Act::Done | Act::Skipped | Act::Unanswered | Act::Marked(_) => {}
                }
            }
            Event::Note { text } => hide([text], secrets),
            Event::Interrupted { signal: _ } => {}
            Event::Ended {
                outcome,
                clock_drift_ms: _,
            } => match outcome {
                Outcome::CouldNotRun { phase: _, reason } => hide([reason], secrets),
                Outcome::Aborted { condition, reason } => hide([condition, reason], secrets),
                Outcome::Completed | Outcome::Interrupted { signal: _ } => {}
            },
        }
        self
    }
}

fn hide<'a>(texts: impl IntoIterator<Item = &'a mut String>, secrets: &Secrets) {
    for text in texts {
        if let std::borrow::Cow::Owned(shown) = secrets.hide(text) {
            *text = shown;
        }
    }
}

fn hide_in_run(run: &mut RunStarted, secrets: &Secrets) {
    let RunStarted {
        format_version: _,
        tool_version: _,
        run_id: _,
        drill: _,
        drill_file,
        drill_commit: _,
        environment: _,
        started_at: _,
        command,
        host,
        seed: _,
        repeat: _,
        speed: _,
        tiers: _,
        probes,
        observers: _,
        faults,
        variables,
        dry_run: _,
    } = run;
    hide(command, secrets);
    hide([host, drill_file], secrets);
    hide(variables.values_mut(), secrets);
    for ProbeStarted { kind, .. } in probes {
        match kind {
            ProbeKind::Http { .. } => {}
            ProbeKind::Dns { view: _, server } => hide([server], secrets),
        }
    }
    for FaultPlanned { describe, .. } in faults {
        hide([describe], secrets);
    }
}

fn hide_in_sample(sample: &mut Sample, secrets: &Secrets) {
    let Sample {
        probe: _,
        seq: _,
        scheduled: _,
        start: _,
        end: _,
        verdict: _,
        tier: _,
        phases: _,
        status: _,
        address: _,
        headers,
        found,
        answers,
        ttl: _,
        response_code: _,
        detail,
    } = sample;
    hide(headers.values_mut(), secrets);
    hide(found, secrets);
    hide(answers, secrets);
    hide(detail, secrets);
}
