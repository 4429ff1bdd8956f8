//! Clients that came later than others, or not at all, because of how they look names up.

use super::{
    super::{
        Finding,
        record::{Probe, Record, name},
        words,
    },
    described, finding, whole,
};
use crate::{
    environment::{self, DnsCache, Family, HttpProbe},
    episode::{course::Stretch, span::Span},
    timeline::ProbeKind,
};

/// The first stretch on which a probe was served by another tier than before the fault.
pub(super) fn moved<'p>(record: &Record<'_>, probe: &'p Probe) -> Option<&'p Stretch> {
    let issued = record.issued()?;
    let before = record.steady_state(probe).cloned();
    let mut stretches = record.held(probe).iter();
    stretches.find(|stretch| {
        stretch.is_good() && stretch.first >= issued && Some(&stretch.state) != before.as_ref()
    })
}

/// When a probe arrived there.
pub(super) fn arrived(record: &Record<'_>, probe: &Probe) -> Option<Span> {
    let stretch = moved(record, probe)?;
    Some(stretch.from.span.widened(probe.watch.epsilon()))
}

pub(super) fn find(record: &Record<'_>) -> Vec<Finding> {
    let Some(users) = record.users() else {
        return Vec::new();
    };
    let Some(to) = moved(record, users) else {
        return Vec::new();
    };
    let Some(by) = arrived(record, users).and_then(|time| time.hi) else {
        return Vec::new();
    };
    let late = record.probes.iter().filter_map(|probe| {
        let setup = setup(record, probe).filter(|setup| setup.standby.is_none())?;
        let (code, who) = match (setup.family, setup.dns_cache) {
            (Family::Ipv6, _) => ("ipv6-left-behind", "users of IPv6".to_owned()),
            (Family::Ipv4, DnsCache::None) => return None,
            (Family::Ipv4, cache) => (
                "dns-cache-stragglers",
                format!(
                    "clients that keep DNS answers by the habit `{}`",
                    cache.as_str()
                ),
            ),
        };
        let at = &probe.started.name;
        let end = record.hold_end();
        let (behind, until) = match arrived(record, probe) {
            Some(time) => (time.lo.saturating_sub(by), ""),
            None => (
                end.saturating_sub(by),
                " and did not until the faults were taken away",
            ),
        };
        if behind <= probe.watch.every() * 2 {
            return None;
        }
        let text = if until.is_empty() {
            format!(
                "{who} (`{at}`) came to {} {} after users who ask each time",
                name(&to.state),
                words::seconds(whole(behind))
            )
        } else {
            format!(
                "{who} (`{at}`) had not come to {} {} after users who ask each time had,{until}",
                name(&to.state),
                words::seconds(whole(behind))
            )
        };
        let mut evidence = vec![format!(
            "`{}` was on {} by {:.1} s",
            users.started.name,
            name(&to.state),
            by.as_secs_f64()
        )];
        let stretches = record.held(probe).iter();
        evidence.extend(
            stretches
                .filter(|stretch| stretch.last >= by)
                .take(4)
                .map(|stretch| format!("`{at}`: {}", described(stretch))),
        );
        Some(finding(code, text, evidence))
    });
    late.collect()
}

/// How a probe is set up that sends what users send.
fn setup<'r>(record: &'r Record<'_>, probe: &Probe) -> Option<&'r HttpProbe> {
    let ProbeKind::Http { writes: false, .. } = probe.started.kind else {
        return None;
    };
    match record.environment.probe(&probe.started.name)? {
        environment::Probe::Http(setup) => Some(setup),
        environment::Probe::Dns(_) => None,
    }
}
