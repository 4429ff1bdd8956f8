//! What each probe saw, as the report draws it.

use std::time::Duration;

use super::{Bounds, Lane, Seen, Spell, record::Probe, word, words};
use crate::{
    environment::{Connection, DnsView},
    episode::{
        course::{Edge, State, Stretch},
        span::Span,
        tally::Gap,
    },
    timeline::ProbeKind,
};

/// Describes what a probe saw. `users` tells whether it is the users' own.
pub(super) fn lane(probe: &Probe, users: bool) -> Lane {
    let watch = &probe.watch;
    let tally = watch.tally();
    let counts = tally.all();
    let (stalls, longest_stall) = watch.stalls();
    let mut void: std::collections::BTreeMap<String, u64> = tally
        .void()
        .iter()
        .map(|(reason, count)| (word(reason), *count))
        .collect();
    if tally.lost() > 0 {
        void.insert("missing".to_owned(), tally.lost());
    }
    let latency = tally.latency(0.5).zip(tally.latency(0.99));
    Lane {
        probe: probe.started.name.clone(),
        label: label(&probe.started.kind, users),
        spells: spells(watch.stretches(), tally.gaps(), watch.epsilon()),
        samples: counts.usable() + void.values().sum::<u64>(),
        good: counts.good,
        bad: tally
            .bad()
            .iter()
            .map(|(class, count)| (word(class), *count))
            .collect(),
        void,
        stalls,
        longest_stall_s: words::rounded(longest_stall),
        latency_s: latency
            .map(|(median, p99)| [median, p99, tally.largest_latency()].map(words::rounded)),
        healthy_bound_s: words::rounded(watch.healthy_bound()),
        late_p99_s: words::rounded(tally.late_p99()) / watch.speed(),
    }
}

fn label(kind: &ProbeKind, users: bool) -> String {
    match kind {
        ProbeKind::Http { .. } if users => "served by".to_owned(),
        ProbeKind::Http {
            standby: Some(tier),
            ..
        } => format!("standby {tier}"),
        ProbeKind::Http {
            connection: Connection::KeepAlive,
            ..
        } => "keep-alive".to_owned(),
        ProbeKind::Http { writes: true, .. } => "writes".to_owned(),
        ProbeKind::Http { request, .. } => request.clone(),
        ProbeKind::Dns { view, .. } => match view {
            DnsView::Authority => "dns authority",
            DnsView::Recursive => "dns resolver",
            DnsView::Cached => "dns cached",
        }
        .to_owned(),
    }
}

/// Run-length encoded, in order and without gaps: where nothing was known for a while, that is a spell of its own.
fn spells(stretches: &[Stretch], gaps: &[Gap], epsilon: Duration) -> Vec<Spell> {
    let mut spells: Vec<Spell> = Vec::new();
    let mut gaps = gaps.iter().peekable();
    let mut position = 0;
    for stretch in stretches {
        let mut from = edge(stretch.from, epsilon);
        let seen = seen(stretch);
        let end = position + stretch.samples;
        while let Some(gap) = gaps.next_if(|gap| gap.position < end) {
            let before = gap.position.saturating_sub(position);
            if before > 0 {
                spells.push(spell(from, time(gap.from), seen.clone(), before));
            } else if let Some(last) = spells.last_mut() {
                last.to = time(gap.from);
            }
            spells.push(spell(
                time(gap.from),
                time(gap.to),
                Seen::Unknown,
                gap.samples,
            ));
            from = time(gap.to);
            position += before;
        }
        let to = match stretch.to {
            Some(to) => edge(to, epsilon),
            None => Bounds::from(Span::after(stretch.last)),
        };
        spells.push(spell(from, to, seen, end.saturating_sub(position)));
        position = end;
    }
    for gap in gaps {
        if let Some(last) = spells.last_mut() {
            last.to = time(gap.from);
        }
        let open = Bounds::from(Span::after(gap.to));
        spells.push(spell(time(gap.from), open, Seen::Unknown, gap.samples));
    }
    spells
}

fn spell(from: Bounds, to: Bounds, seen: Seen, samples: u64) -> Spell {
    Spell {
        from,
        to,
        seen,
        samples,
    }
}

fn edge(edge: Edge, epsilon: Duration) -> Bounds {
    // Where the watching began is known.
    if edge.span.hi == Some(edge.span.lo) {
        edge.span.into()
    } else {
        edge.span.widened(epsilon).into()
    }
}

fn time(at: Duration) -> Bounds {
    Span::at(at).into()
}

fn seen(stretch: &Stretch) -> Seen {
    match &stretch.state {
        State::Tier(tier) => Seen::Tier(tier.clone()),
        State::Other(answer) => Seen::Other(answer.clone()),
        State::Down => Seen::Down(stretch.class().map(word).unwrap_or_default()),
    }
}
