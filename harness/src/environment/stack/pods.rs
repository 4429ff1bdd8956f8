//! What the pods of a workload are held to, in the `stack:` block. The defaults of probes are those of Kubernetes.

use std::time::Duration;

use blackstart_lab::stack::{Autoscaling, Capacity, MOST_REPLICAS, PodProbe};

use crate::source::Item;

pub(super) fn probe(item: Item<'_>) -> Option<PodProbe> {
    let mut probe = item.mapping()?;
    let path = probe.require("path", Item::path);
    let initial_delay = probe.default("initial-delay", Duration::ZERO, Item::duration);
    let period = probe.default("period", Duration::from_secs(10), Item::positive_duration);
    let timeout = probe.default("timeout", Duration::from_secs(1), Item::positive_duration);
    let threshold = |threshold: Item<'_>| threshold.whole(1..=100);
    let failure_threshold = probe.default("failure-threshold", 3, threshold);
    let success_threshold = probe.default("success-threshold", 1, threshold);
    probe.finish();
    Some(PodProbe {
        path: path?,
        initial_delay: initial_delay?,
        period: period?,
        timeout: timeout?,
        failure_threshold: failure_threshold?,
        success_threshold: success_threshold?,
    })
}

/// Kubernetes takes no other `successThreshold` than 1 for liveness.
pub(super) fn liveness(item: Item<'_>) -> Option<PodProbe> {
    let probe = probe(item)?;
    if probe.success_threshold != 1 {
        item.report("the `success-threshold` of a liveness probe is 1");
        return None;
    }
    Some(probe)
}

pub(super) fn capacity(item: Item<'_>) -> Option<Capacity> {
    let mut capacity = item.mapping()?;
    let requests_per_minute = capacity.require("requests-per-minute", |requests| {
        requests.whole(1..=1_000_000)
    });
    let autoscaling = capacity.maybe("autoscaling", |item| {
        let mut scaling = item.mapping()?;
        let maximum = scaling.require("maximum", |maximum| maximum.whole(1..=MOST_REPLICAS));
        let delay = scaling.default("delay", Duration::from_mins(1), Item::duration);
        scaling.finish();
        Some(Autoscaling {
            maximum: maximum?,
            delay: delay?,
        })
    });
    capacity.finish();
    Some(Capacity {
        requests_per_minute: requests_per_minute?,
        autoscaling: autoscaling?,
    })
}
