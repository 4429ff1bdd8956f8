//! Looking at every tier that the drill leans on before anything is broken: the worst thing to learn from a failover is that the
//! standby has been dead for weeks.

use std::{sync::Arc, time::Duration};

use tokio::time::sleep;

use super::{
    RunError,
    engine::{Engine, Halt, Looking},
};
use crate::{
    plan::{How, Plan, TierCheck},
    probe::{Look, Probe},
    provider::site::Site,
    timeline::{Event, TierChecked},
};

/// How often a tier that is asked directly may fail before it counts as dead.
const ATTEMPTS: u32 = 3;

/// A tier that is asked directly.
#[derive(Clone)]
pub(super) struct DirectLook {
    check: TierCheck,
    probe: Arc<dyn Probe>,
}

/// Sets up the looks at the tiers that are asked directly.
pub(super) fn direct_looks(plan: &Plan, site: &Site) -> Result<Vec<DirectLook>, RunError> {
    let mut looks = Vec::new();
    let timeout = plan
        .environment
        .user_probe()
        .map_or(Duration::from_secs(2), |probe| probe.timeout);
    for check in &plan.preflight {
        if let How::Direct(request) = &check.how {
            looks.push(DirectLook {
                check: check.clone(),
                probe: site.prepare_direct(&check.tier, request, timeout)?,
            });
        }
    }
    Ok(looks)
}

impl Engine<'_> {
    /// Makes sure that every tier the drill leans on is alive and the service is steady.
    pub(super) async fn preflight(&mut self, looking: &mut Looking) -> Result<(), Halt> {
        let mut dead = Vec::new();
        for look in self.direct_looks.clone() {
            self.may_go_on()?;
            if let Err(detail) = self.ask(looking, &look).await {
                dead.push(format!(
                    "{} has been dead before anything was broken: {detail}",
                    self.plan.tier_in_words(&look.check.tier)
                ));
            }
        }
        let steady = self.watch_steady_state(looking).await;
        self.record_what_probes_show();
        match steady {
            Err(Halt::Trouble(reason)) => {
                dead.insert(0, reason);
                Err(Halt::Trouble(dead.join("; ")))
            }
            Err(halt @ (Halt::Stopped(_) | Halt::Aborted(_))) => Err(halt),
            Ok(()) if dead.is_empty() => Ok(()),
            Ok(()) => Err(Halt::Trouble(format!(
                "{}; nothing was injected",
                dead.join("; ")
            ))),
        }
    }

    /// Asks one tier, again if it fails. Yields why it counts as dead.
    async fn ask(&mut self, looking: &mut Looking, look: &DirectLook) -> Result<(), String> {
        let tier = look.check.tier.as_str();
        let pause = self
            .plan
            .environment
            .user_probe()
            .map_or(Duration::ZERO, |probe| self.plan.real(probe.every));
        let mut seq = 0;
        let result = loop {
            let looked =
                Self::meanwhile(&mut self.recorder, looking, look.probe.look(u64::from(seq))).await;
            let result = alive(&looked, tier);
            seq += 1;
            if result.is_ok() || seq >= ATTEMPTS {
                break result;
            }
            Self::meanwhile(&mut self.recorder, looking, sleep(pause)).await;
        };
        let (Ok(detail) | Err(detail)) = &result;
        self.recorder.record(Event::Preflight(TierChecked {
            tier: tier.to_owned(),
            probe: None,
            asked: look.check.how.words(),
            good: Some(result.is_ok()),
            detail: Some(detail.clone()),
        }));
        result.map(drop)
    }

    /// Says of the other tiers what their probes see at the end of the steady state.
    fn record_what_probes_show(&mut self) {
        for check in &self.plan.preflight {
            let (probe, good, detail) = match &check.how {
                How::Direct(_) => continue,
                How::Nothing => (
                    None,
                    None,
                    Some("give the tier `preflight:` in the environment".to_owned()),
                ),
                How::Probe(probe) => {
                    let tier = self.recorder.watch(probe).and_then(|watch| watch.tier());
                    let detail = match tier {
                        Some(tier) => format!("answered by {tier}"),
                        None => "no good answer".to_owned(),
                    };
                    (
                        Some(probe.clone()),
                        Some(tier == Some(check.tier.as_str())),
                        Some(detail),
                    )
                }
            };
            self.recorder.record(Event::Preflight(TierChecked {
                tier: check.tier.clone(),
                probe,
                asked: check.how.words(),
                good,
                detail,
            }));
        }
    }
}

/// Whether a look shows the tier alive, with what it answered.
fn alive(look: &Look, tier: &str) -> Result<String, String> {
    if look.trouble.is_some() {
        return Err(look
            .detail
            .clone()
            .unwrap_or_else(|| "no reason known".to_owned()));
    }
    match &look.tier {
        Some(answered) if answered == tier => Ok(look.status.map_or_else(
            || "an answer".to_owned(),
            |status| format!("status {status}"),
        )),
        Some(answered) => Err(format!("answered by {answered}")),
        None => Err("an answer from nobody that a tier recognises".to_owned()),
    }
}
