//! Reports made by hand, for the tests of everything that shows or counts them.

use std::collections::BTreeMap;

use super::{
    DrillFacts, EnvironmentFacts, FORMAT_VERSION, Measurement, Recorded, Report, RunFacts, Tool,
    recorded::{Latency, ProbeFacts, Reading, Step},
};
use crate::{
    drill::exercise::{Action, Exercise, Overall, Participant, SignOff, Signed},
    timeline::{Commit, Phase, TierChecked},
    verdict::{
        Aborted, Bounds, Check, CheckStatus, Durations, FaultReport, Finding, Judgement, Lane,
        Moments, Part, PhaseSpan, Seen, Spell, Verdict,
    },
};

/// What systems under test should never get printed as it is.
pub(crate) const HOSTILE: [&str; 12] = [
    "\u{1b}[2J\u{1b}[31mred",
    "\u{1b}]0;title\u{7}",
    "\u{9b}31mC1",
    "]]>",
    "<script>alert(1)</script>",
    "::error::boom",
    "\n::error file=x::boom",
    "  ::stop-commands::x",
    "a\rPASS",
    "\u{202e}ssap",
    "zero\u{200b}width\u{feff}",
    "\0\u{fffe}\u{ffff} \" ' & ##[error]x ##vso[task.complete]",
];

pub(crate) fn bounds(lo: f64, hi: f64) -> Bounds {
    Bounds { lo, hi: Some(hi) }
}

fn around(middle: f64, half_width: f64) -> Bounds {
    bounds((middle - half_width).max(0.0), middle + half_width)
}

/// A lane from pairs of what was seen and when it ended; the last one does not end.
fn lane(label: &str, half_width: f64, parts: &[(&str, f64)]) -> Lane {
    let mut from = bounds(0.0, 0.0);
    let mut spells = Vec::new();
    for (place, (seen, end)) in parts.iter().enumerate() {
        let mut to = around(*end, half_width);
        if place + 1 == parts.len() {
            to.hi = None;
        }
        spells.push(Spell {
            from,
            to,
            seen: match seen.split_once(' ') {
                Some(("down", class)) => Seen::Down(class.to_owned()),
                Some(("other", answer)) => Seen::Other(answer.to_owned()),
                Some((_, _)) | None if *seen == "unknown" => Seen::Unknown,
                Some((_, _)) | None => Seen::Tier((*seen).to_owned()),
            },
            samples: 10,
        });
        from = to;
    }
    Lane {
        probe: label.replace(' ', "-"),
        label: label.to_owned(),
        spells,
        samples: 190,
        good: 130,
        bad: BTreeMap::from([("http5xx".to_owned(), 60)]),
        void: BTreeMap::from([("late".to_owned(), 1)]),
        stalls: 1,
        longest_stall_s: 1.5,
        latency_s: Some([0.004, 0.02, 0.1]),
        healthy_bound_s: 0.2,
        late_p99_s: 0.0018,
    }
}

fn fault(target: &str, issued: f64, restored: Option<f64>) -> FaultReport {
    FaultReport {
        kind: "scale".to_owned(),
        target: target.to_owned(),
        describe: format!("scale {target} to 0"),
        issued_s: Some(issued),
        acknowledged_s: Some(issued + 0.2),
        verified_s: Some(issued + 0.4),
        restored_s: restored,
        rehearsed: None,
        trouble: None,
    }
}

fn part(name: &str, seconds: f64, about: &str) -> Part {
    Part {
        bounds: Bounds {
            lo: seconds,
            hi: Some(seconds),
        },
        settings: Vec::new(),
        name: name.to_owned(),
        seconds,
        about: about.to_owned(),
    }
}

/// An expectation that holds.
fn check(kind: &str, name: &str, line: u32, actual: &str, message: &str) -> Check {
    Check {
        kind: kind.to_owned(),
        name: name.to_owned(),
        line,
        status: CheckStatus::Pass,
        actual: actual.to_owned(),
        message: message.to_owned(),
        value: None,
        limit_s: None,
        pass_rate: None,
        evidence: Vec::new(),
    }
}

fn strings(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

/// What was recorded besides, of the same run.
fn recorded() -> Recorded {
    let mut latency = Latency::default();
    for (at, seconds) in [
        (1.0, 0.004),
        (2.0, 0.005),
        (132.0, 0.02),
        (133.0, 0.9),
        (350.0, 0.004),
    ] {
        latency.push(at, seconds);
    }
    let reading = |at_s, before_s, healthy| Reading {
        at_s,
        before_s,
        healthy,
        detail: None,
    };
    let step = |at_s, who: &str, what: &str, came: &str| Step {
        at_s,
        who: who.to_owned(),
        what: what.to_owned(),
        came: came.to_owned(),
    };
    Recorded {
        operator: Vec::new(),
        probes: vec![ProbeFacts {
            name: "dns-authority".to_owned(),
            what: "asks the authority 127.0.0.2:53".to_owned(),
            every_s: 2.0,
            timeout_s: 4.0,
            ttl_s: Some([30, 60]),
        }],
        observers: vec![(
            "health-check".to_owned(),
            vec![
                reading(0.1, None, Some(true)),
                reading(72.0, Some(68.6), Some(false)),
                reading(300.0, Some(297.0), Some(true)),
            ],
        )],
        steps: vec![
            step(0.0, "harness", "steady state", "begins"),
            step(12.0, "harness", "scale web to 0", "sent"),
            step(12.2, "web", "scale web to 0", "acknowledged"),
        ],
        unlisted: 0,
        notes: vec![(
            12.4,
            "scale web: the system itself says that it happened at 12.2 s".to_owned(),
        )],
        latency,
        drill_sha256: None,
        drill_text: "drill: scale-to-zero\nenvironment: three-tier\n".to_owned(),
        environment_text: "environment: three-tier\n".to_owned(),
        events: 1700,
        events_sha256: Some("ab".repeat(32)),
    }
}

/// Three tiers, both workloads of the first one scaled to nothing, everything as it should be.
pub(crate) fn passing_failover() -> Report {
    let mut checks = vec![
        check(
            "detected",
            "detected within 70s",
            13,
            "58 s [56 .. 60]",
            "60 s <= 70 s",
        ),
        check(
            "rto",
            "rto within 135s",
            15,
            "118 s [116 .. 120]",
            "120 s <= 135 s",
        ),
        check(
            "path",
            "path primary -> down -> vm",
            16,
            "primary -> down -> vm",
            "",
        ),
        check("never", "never maintenance", 17, "never seen", ""),
        check("writes", "writes served by vm", 18, "vm, last at 240 s", ""),
        check(
            "failback",
            "failback to primary within 4m",
            19,
            "90 s [87 .. 93]",
            "93 s <= 240 s",
        ),
    ];
    for (place, value, limit) in [
        (0, bounds(56.0, 60.0), 70.0),
        (1, bounds(115.8, 119.9), 135.0),
        (5, bounds(87.2, 92.9), 240.0),
    ] {
        checks[place].value = Some(value);
        checks[place].limit_s = Some(limit);
    }
    Report {
        format_version: FORMAT_VERSION.to_owned(),
        tool: Tool {
            name: "blackstart".to_owned(),
            version: "0.1.0".to_owned(),
        },
        run: RunFacts {
            id: "2026-08-24T10-02-11Z-k3f9".to_owned(),
            started_at: "2026-08-24T10:02:11Z".to_owned(),
            real_duration_s: 12.4,
            command: strings(&["blackstart", "run", "drills/scale-to-zero.yaml"]),
            host: "runner-1".to_owned(),
            seed: 7,
            repeat: None,
            folder: "reports/2026-08-24T10-02-11Z-k3f9".to_owned(),
        },
        drill: DrillFacts {
            name: "scale-to-zero".to_owned(),
            about: "Every pod of the primary region is gone; readers and writers are on the standby machine in time.".to_owned(),
            file: "drills/scale-to-zero.yaml".to_owned(),
            commit: Some(Commit {
                id: "3f2c91a0d4b15e6f708192a3b4c5d6e7f8091a2b".to_owned(),
                changed: false,
            }),
            tags: strings(&["weekly", "dns-failover"]),
            exercise: None,
        },
        environment: EnvironmentFacts {
            name: "three-tier".to_owned(),
            about: "A cluster, then a virtual machine in another cloud, then a static page.".to_owned(),
            speed: 30.0,
            tiers: vec![
                ("primary".to_owned(), "the application in the cluster".to_owned()),
                ("vm".to_owned(), "the same on a virtual machine".to_owned()),
                ("maintenance".to_owned(), "a static page".to_owned()),
            ],
            way: None,
        },
        measurement: Measurement {
            probe: "served-by".to_owned(),
            every_s: 2.0,
            good_within_s: 3.0,
            timeout_s: 4.0,
            resolution_s: 2.1,
            samples: 1640,
            void: 3,
            late_p99_s: 0.0018,
        },
        judgement: Judgement {
            verdict: Verdict::Pass,
            reasons: Vec::new(),
            restored: true,
            interrupted_by: None,
            aborted: None,
            dry_run: false,
            preflight: Vec::new(),
            checks,
            moments: Moments {
                fault: Some(bounds(12.0, 12.6)),
                impact: Some(bounds(12.1, 14.2)),
                detected: Some(bounds(68.6, 72.0)),
                switched: Some(bounds(74.0, 76.1)),
                propagated: Some(bounds(126.0, 128.1)),
                first_success: Some(bounds(128.4, 131.9)),
                recovered: Some(bounds(128.4, 131.9)),
                declared: None,
                reverted: Some(bounds(250.0, 250.8)),
                failed_back: Some(bounds(338.0, 342.9)),
            },
            durations: Durations {
                impact_delay: Some(bounds(0.0, 2.2)),
                detection: Some(bounds(56.0, 60.0)),
                dns_switch: Some(bounds(61.4, 64.1)),
                propagation: Some(bounds(49.9, 54.1)),
                dns_disagreement: None,
                first_success: Some(bounds(115.8, 119.9)),
                recovery: Some(bounds(115.8, 119.9)),
                outage: Some(bounds(114.2, 119.8)),
                since_declared: None,
                failback: Some(bounds(87.2, 92.9)),
            },
            parts: vec![
                part("detect", 58.0, "the health check asks every 30 s and must fail twice"),
                part("decide", 4.7, "from unhealthy to the new answer at the authority"),
                part("caches", 52.0, "the record's ttl is 60 s"),
                part("connect", 3.1, "the first request on the new address"),
            ],
            path: strings(&["primary", "down", "vm"]),
            whole_path: strings(&["primary", "down", "vm", "primary"]),
            blips: 0,
            flaps: 0,
            availability: Some(bounds(49.0, 51.2)),
            faults: vec![fault("web", 12.0, Some(252.0)), fault("was", 12.1, Some(252.4))],
            phases: vec![PhaseSpan {
                phase: Phase::SteadyState,
                from_s: 0.0,
                to_s: 12.0,
            }],
            lanes: vec![
                lane("served by", 1.05, &[("primary", 13.0), ("down http5xx", 130.2), ("vm", 340.4), ("primary", 362.0)]),
                lane("keep-alive", 1.05, &[("primary", 13.0), ("down http5xx", 320.0), ("primary", 362.0)]),
                lane("writes", 2.5, &[("primary", 13.0), ("down http5xx", 130.2), ("vm", 340.4), ("primary", 362.0)]),
                lane("dns authority", 1.0, &[("primary", 75.0), ("vm", 286.0), ("primary", 362.0)]),
                lane("dns resolver", 1.0, &[("primary", 127.0), ("other 192.0.2.9", 127.5), ("vm", 338.0), ("unknown", 346.0), ("primary", 362.0)]),
            ],
            findings: Vec::new(),
            length_s: 362.0,
            clock_drift_ms: Some(0.2),
        },
        operator: Vec::new(),
        recorded: recorded(),
    }
}

/// Two regions on the wall's clock; the caches kept users away for longer than the objective.
pub(crate) fn failing_rto() -> Report {
    let mut report = passing_failover();
    "drills/region-failover.yaml".clone_into(&mut report.drill.file);
    "region-failover".clone_into(&mut report.drill.name);
    "The first region stops answering.".clone_into(&mut report.drill.about);
    "docker-two-regions".clone_into(&mut report.environment.name);
    report.environment.speed = 1.0;
    report.environment.tiers.truncate(2);
    "reports/2026-08-24T10-02-11Z-k3f9/region-failover".clone_into(&mut report.run.folder);
    report.run.real_duration_s = 82.0;
    report.measurement = Measurement {
        probe: "served-by".to_owned(),
        every_s: 0.05,
        good_within_s: 0.8,
        timeout_s: 0.8,
        resolution_s: 0.06,
        samples: 1640,
        void: 0,
        late_p99_s: 0.0018,
    };
    let judgement = &mut report.judgement;
    judgement.verdict = Verdict::Fail;
    judgement.reasons = strings(&["rto within 40s does not hold"]);
    let mut rto = check(
        "rto",
        "rto within 40s",
        21,
        "47.6 s [47.4 .. 47.7]",
        "47.4 s > 40 s, over by 7.4 .. 7.7 s",
    );
    rto.status = CheckStatus::Fail;
    rto.value = Some(bounds(47.4, 47.7));
    rto.limit_s = Some(40.0);
    rto.evidence = strings(&[
        "read #952 sent at 52.64 s is the last that failed: unreachable",
        "read #953 sent at 52.69 s is the first of 101 good ones, by vm",
    ]);
    let mut rpo = check(
        "rpo",
        "rpo within 5s",
        30,
        "not measured",
        "no probe writes numbered rows",
    );
    rpo.status = CheckStatus::NotRun;
    judgement.checks = vec![
        rto,
        check(
            "path",
            "path primary -> down -> vm",
            24,
            "primary -> down -> vm",
            "",
        ),
        check("flaps", "flaps at most 0", 27, "0", "0 <= 0"),
        rpo,
    ];
    judgement.moments = Moments {
        fault: Some(bounds(5.0, 5.2)),
        impact: Some(bounds(5.1, 5.2)),
        detected: Some(bounds(15.2, 17.2)),
        switched: Some(bounds(22.7, 23.0)),
        propagated: Some(bounds(51.6, 52.0)),
        first_success: Some(bounds(52.6, 52.7)),
        recovered: Some(bounds(52.6, 52.7)),
        declared: None,
        reverted: Some(bounds(58.0, 58.2)),
        failed_back: Some(bounds(70.3, 70.5)),
    };
    judgement.durations = Durations {
        impact_delay: Some(bounds(0.0, 0.2)),
        detection: Some(bounds(10.2, 12.2)),
        dns_switch: Some(bounds(17.7, 18.0)),
        propagation: Some(bounds(28.6, 29.3)),
        dns_disagreement: Some(bounds(0.2, 0.6)),
        first_success: Some(bounds(47.4, 47.7)),
        recovery: Some(bounds(47.4, 47.7)),
        outage: Some(bounds(47.4, 47.6)),
        since_declared: None,
        failback: Some(bounds(12.3, 12.5)),
    };
    judgement.parts = vec![
        part(
            "detect",
            11.2,
            "the health check asks every 5 s and must fail twice",
        ),
        part(
            "decide",
            6.7,
            "from unhealthy to the new answer at the authority",
        ),
        part("caches", 28.9, "the record's ttl is 30 s"),
        part("connect", 0.8, "the first request on the new address"),
    ];
    judgement.faults = vec![fault("edge-a", 5.0, Some(58.4))];
    judgement.length_s = 75.0;
    judgement.lanes = vec![
        lane(
            "served by",
            0.05,
            &[
                ("primary", 5.1),
                ("down unreachable", 52.6),
                ("vm", 70.4),
                ("primary", 75.0),
            ],
        ),
        lane(
            "dns ns1",
            0.05,
            &[("primary", 23.0), ("vm", 66.0), ("primary", 75.0)],
        ),
        lane(
            "dns r1",
            0.05,
            &[("primary", 52.0), ("vm", 70.0), ("primary", 75.0)],
        ),
    ];
    judgement.findings = vec![Finding {
        code: "stale-dns".to_owned(),
        text:
            "Resolver r1 went on answering with the old address for 4 s after its ttl had run out."
                .to_owned(),
        evidence: strings(&["r1 #412 at 49.0 s: ttl 0"]),
        next: "Ask whose resolver this is.".to_owned(),
    }];
    report
}

/// The limit lies within the bounds of the measured value.
pub(crate) fn inconclusive() -> Report {
    let mut report = passing_failover();
    let judgement = &mut report.judgement;
    judgement.verdict = Verdict::Inconclusive;
    judgement.reasons = strings(&["rto within 118s cannot be decided"]);
    let rto = &mut judgement.checks[1];
    "rto within 118s".clone_into(&mut rto.name);
    rto.limit_s = Some(118.0);
    rto.status = CheckStatus::Inconclusive;
    "118 s lies within [115.8 .. 119.9]: probing every 0.8 s would decide it"
        .clone_into(&mut rto.message);
    report
}

/// The service was ill before anything was broken.
pub(crate) fn invalid() -> Report {
    let mut report = passing_failover();
    let judgement = &mut report.judgement;
    judgement.verdict = Verdict::Invalid;
    judgement.reasons = strings(&[
        "steady state not met: `read` answered 503 in 7 of 20 samples; nothing was injected",
    ]);
    for check in &mut judgement.checks {
        check.status = CheckStatus::NotRun;
        check.actual.clear();
        "nothing was injected".clone_into(&mut check.message);
        check.value = None;
    }
    judgement.moments = Moments::default();
    judgement.durations = Durations::default();
    judgement.parts.clear();
    judgement.path = strings(&["primary"]);
    for fault in &mut judgement.faults {
        (
            fault.issued_s,
            fault.acknowledged_s,
            fault.verified_s,
            fault.restored_s,
        ) = (None, None, None, None);
    }
    judgement.lanes.truncate(1);
    judgement.lanes = vec![lane(
        "served by",
        1.05,
        &[("primary", 20.0), ("down http5xx", 34.0), ("primary", 40.0)],
    )];
    judgement.length_s = 40.0;
    report
}

/// Everything held, and one of the two workloads did not come back.
pub(crate) fn not_restored() -> Report {
    let mut report = passing_failover();
    let judgement = &mut report.judgement;
    judgement.restored = false;
    judgement.faults[1].restored_s = None;
    judgement.faults[1].trouble = Some("docker: no such container".to_owned());
    report
}

/// What people may say of a drill, each with the same text.
fn said(text: &str) -> Exercise {
    let text = || Some(text.to_owned());
    let list = || vec![text().unwrap_or_default()];
    let signed = || {
        Some(Signed {
            name: text().unwrap_or_default(),
            date: text(),
        })
    };
    Exercise {
        organisation: text(),
        system: text(),
        owner: text(),
        objective: text(),
        third_parties: list(),
        out_of_scope: list(),
        assumptions: list(),
        references: list(),
        participants: vec![Participant {
            name: text().unwrap_or_default(),
            role: text(),
            organisation: text(),
            present: text(),
        }],
        observers: list(),
        declared: text(),
        escalation: text(),
        communication: text(),
        actions: vec![Action {
            finding: text().unwrap_or_default(),
            severity: text(),
            action: text(),
            owner: text(),
            due: text(),
        }],
        sign_off: Some(SignOff {
            prepared: signed(),
            reviewed: signed(),
            acknowledged: signed(),
        }),
        overall: Some(Overall::PassedWithConditions),
        next_test: text(),
    }
}

/// A report with a text from outside in every place that takes one.
pub(crate) fn hostile(text: &str) -> Report {
    let text = || text.to_owned();
    let mut report = failing_rto();
    report.format_version = text();
    (report.tool.name, report.tool.version) = (text(), text());
    report.run = RunFacts {
        id: text(),
        started_at: text(),
        command: vec![text()],
        host: text(),
        folder: text(),
        ..report.run
    };
    report.drill = DrillFacts {
        name: text(),
        about: text(),
        file: text(),
        commit: Some(Commit {
            id: text(),
            changed: true,
        }),
        tags: vec![text()],
        exercise: Some(said(&text())),
    };
    (report.environment.name, report.environment.about) = (text(), text());
    report.environment.tiers = vec![(text(), text())];
    report.measurement.probe = text();
    let judgement = &mut report.judgement;
    judgement.reasons = vec![text(), text()];
    judgement.interrupted_by = Some(text());
    judgement.aborted = Some(Aborted {
        condition: text(),
        reason: text(),
    });
    judgement.preflight = [Some(true), Some(false), None]
        .map(|good| TierChecked {
            tier: text(),
            probe: Some(text()),
            asked: text(),
            good,
            detail: Some(text()),
        })
        .to_vec();
    judgement.path = vec![text(), text()];
    judgement.whole_path = vec![text()];
    for check in &mut judgement.checks {
        (check.kind, check.name, check.actual, check.message) = (text(), text(), text(), text());
        check.evidence = vec![text(), text()];
    }
    // Kinds that more is shown of.
    "rto".clone_into(&mut judgement.checks[0].kind);
    for part in &mut judgement.parts {
        (part.name, part.about) = (text(), text());
    }
    for fault in &mut judgement.faults {
        (fault.kind, fault.target, fault.describe) = (text(), text(), text());
        (fault.rehearsed, fault.trouble) = (Some(text()), Some(text()));
    }
    for lane in &mut judgement.lanes {
        (lane.probe, lane.label) = (text(), text());
        lane.bad = BTreeMap::from([(text(), 1)]);
        lane.void = BTreeMap::from([(text(), 1)]);
        lane.spells[0].seen = Seen::Tier(text());
        lane.spells[1].seen = Seen::Down(text());
        lane.spells[2].seen = Seen::Other(text());
    }
    let recorded = &mut report.recorded;
    for probe in &mut recorded.probes {
        (probe.name, probe.what) = (text(), text());
    }
    for (name, readings) in &mut recorded.observers {
        *name = text();
        readings[0].detail = Some(text());
    }
    for step in &mut recorded.steps {
        (step.who, step.what, step.came) = (text(), text(), text());
    }
    (recorded.drill_text, recorded.environment_text) = (text(), text());
    for finding in &mut judgement.findings {
        (finding.code, finding.text) = (text(), text());
        finding.evidence = vec![text()];
    }
    report
}
