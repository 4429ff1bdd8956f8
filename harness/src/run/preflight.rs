//! Looking at every tier that the drill leans on before anything is broken: the worst thing to learn from a failover is that the
//! standby has been dead for weeks.

use std::{sync::Arc, time::Duration};

use tokio::{sync::mpsc, time::sleep};

use super::{
    RunError,
    engine::{Engine, Halt},
    looking::Looking,
};
use crate::{
    plan::{How, Plan},
    probe::{Look, Probe},
    provider::site::Site,
    timeline::{Event, TierChecked},
};

/// How often a tier that is asked directly may fail before it counts as dead.
const ATTEMPTS: u64 = 3;

/// A tier that is asked directly.
pub(super) struct DirectLook {
    tier: String,
    asked: String,
    probe: Arc<dyn Probe>,
    /// From one attempt to the next, in real time.
    pause: Duration,
}

/// Sets up the looks at the tiers that are asked directly.
pub(super) fn direct_looks(plan: &Plan, site: &Site) -> Result<Vec<DirectLook>, RunError> {
    let mut looks = Vec::new();
    let user = plan.environment.user_probe();
    let timeout = user.map_or(Duration::from_secs(2), |probe| probe.timeout);
    let pause = user.map_or(Duration::ZERO, |probe| plan.real(probe.every));
    for check in &plan.preflight {
        if let How::Direct(request) = &check.how {
            looks.push(DirectLook {
                tier: check.tier.clone(),
                asked: check.how.words(),
                probe: site.prepare_direct(&check.tier, request, timeout)?,
                pause,
            });
        }
    }
    Ok(looks)
}

impl DirectLook {
    /// Asks the tier, again if it fails, and sends what came of it.
    pub(super) async fn ask(self, events: mpsc::UnboundedSender<Event>) {
        let mut result = Err(String::new());
        for attempt in 0..ATTEMPTS {
            if attempt > 0 {
                sleep(self.pause).await;
            }
            result = alive(&self.probe.look(attempt).await, &self.tier);
            if result.is_ok() {
                break;
            }
        }
        let good = Some(result.is_ok());
        let (Ok(detail) | Err(detail)) = result;
        // Nobody listens any more once the run is over.
        drop(events.send(Event::Preflight(TierChecked {
            tier: self.tier,
            probe: None,
            asked: self.asked,
            good,
            detail: Some(detail),
        })));
    }
}

impl Engine<'_> {
    /// Makes sure that every tier the drill leans on is alive and the service is steady.
    pub(super) async fn preflight(&mut self, looking: &mut Looking) -> Result<(), Halt> {
        let steady = self.watch_steady_state(looking).await;
        self.record_what_probes_show();
        steady
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
