//! Every shipped drill on an architecture with a mistake in it: it fails on exactly those expectations that the mistake breaks.
//!
//! The mistakes are such that their effect is far from every limit, so that no case depends on when in the period of a check or a
//! cache the fault falls.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::{fs, path::Path, process::ExitCode, sync::Arc};

use blackstart::{
    catalog::{self, Selection},
    exit_code,
    report::{Report, Style, terminal},
    run::{Stopper, Terms},
    source::Coloring,
    suite::{self, Assignment, Place, Room, RunId, Threads},
    verdict::CheckStatus,
};
use libtest_mimic::{Arguments, Failed, Trial};

/// How many cases run at once at most: they mostly wait, but each has a lab whose answers must not be late, so that a further one begins
/// only while the machine keeps time.
const AT_ONCE: usize = 3;

/// How fast the architecture runs, and how fast where the machine turned out to be too busy for that.
const SPEEDS: [f64; 2] = [30.0, 10.0];

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

/// A mistake in the architecture and what the drill is to say of it.
struct Case {
    /// What is wrong with the architecture, and what follows.
    name: &'static str,
    drill: &'static str,
    /// Texts of the environment file and what stands there instead.
    mistake: &'static [(&'static str, &'static str)],
    says: Says,
}

/// What a drill is to say.
enum Says {
    /// These expectations fail, and all others pass but for those that may go either way.
    Fails {
        fails: &'static [&'static str],
        either: &'static [&'static str],
    },
    /// The drill is not begun, for a reason with this text in it.
    NotSteady(&'static str),
    /// The drill is ended early by a condition of this kind, and everything is put back.
    Aborted(&'static str),
}

const fn fails(fails: &'static [&'static str]) -> Says {
    Says::Fails { fails, either: &[] }
}

const CASES: &[Case] = &[
    Case {
        name: "a health check that needs ten failures is too slow",
        drill: "scale-to-zero",
        mistake: &[("failure-threshold: 2", "failure-threshold: 10")],
        says: fails(&["detected", "rto", "path", "writes"]),
    },
    Case {
        name: "a resolver that keeps every answer for ten minutes keeps users where nobody is, however soon the switch",
        drill: "scale-to-zero",
        mistake: &[("stack:\n", "stack:\n  resolver: { minimum-ttl: 10m }\n")],
        says: fails(&["rto", "path", "writes"]),
    },
    Case {
        name: "a controller that sets the replicas back takes the drill away",
        drill: "scale-to-zero",
        mistake: &[
            (
                "web: { replicas: 2, zones: [a, b], start-up: 20s",
                "web: { reconciled-after: 20s, replicas: 2, zones: [a, b], start-up: 20s",
            ),
            (
                "    was:\n      replicas: 2",
                "    was:\n      reconciled-after: 20s\n      replicas: 2",
            ),
        ],
        says: Says::Fails {
            fails: &["path", "writes"],
            either: &["detected", "rto", "never", "failback"],
        },
    },
    Case {
        name: "a secondary record that points nowhere sends users nowhere",
        drill: "block-ingress",
        mistake: &[(
            "failover: secondary, value: d1petclinic.cloudfront.test",
            "failover: secondary, value: forgotten.example.test",
        )],
        says: fails(&["rto", "path", "dns-switch"]),
    },
    Case {
        name: "a distribution that lacks the alias of the service refuses everybody",
        drill: "block-ingress",
        mistake: &[(
            "aliases: [www.petclinic.test, dr.petclinic.test]",
            "aliases: [dr.petclinic.test]",
        )],
        says: fails(&["rto", "path"]),
    },
    Case {
        name: "a distribution that knows the machine alone has no last resort",
        drill: "double-failure",
        mistake: &[(
            "origin: azure-failover, methods: read-and-options",
            "origin: azure-vm, methods: read-and-options",
        )],
        says: fails(&["rto", "path", "body"]),
    },
    Case {
        name: "a health check of the standby on the secondary record sends users back to the dead primary",
        drill: "double-failure",
        mistake: &[
            (
                "failover: secondary, value",
                "failover: secondary, health-check: standby, value",
            ),
            (
                "      failure-threshold: 2\n",
                "      failure-threshold: 2\n    standby: { protocol: http, fqdn: vm.azure.test, path: /petclinic/, request-interval: 10s, failure-threshold: 1 }\n",
            ),
        ],
        says: fails(&["rto", "path", "body"]),
    },
    Case {
        name: "without an origin group the death of the standby is an outage",
        drill: "double-failure-in-sequence",
        mistake: &[(
            "origin: azure-failover, methods: read-and-options",
            "origin: azure-vm, methods: read-and-options",
        )],
        // The watching ends a minute after the machine died, which is before the limit of a recovery that never comes.
        says: Says::Fails {
            fails: &["path", "served-by"],
            either: &["rto"],
        },
    },
    Case {
        name: "pods that start for ten minutes keep users on the standby",
        drill: "failback",
        mistake: &[(
            "web: { replicas: 2, zones: [a, b], start-up: 20s",
            "web: { replicas: 2, zones: [a, b], start-up: 10m",
        )],
        says: fails(&["failback"]),
    },
    Case {
        name: "a nervous health check moves users for a blip",
        drill: "health-blip",
        mistake: &[
            ("request-interval: 30s", "request-interval: 10s"),
            ("failure-threshold: 2", "failure-threshold: 1"),
            ("stack:\n", "stack:\n  resolver: { maximum-ttl: 1s }\n"),
        ],
        says: fails(&["no-failover", "never"]),
    },
    Case {
        name: "an alias that evaluates its target's health takes failing open for dead",
        drill: "break-health-path",
        mistake: &[
            (
                "type: CNAME, ttl: 60s, failover: primary, health-check: primary, value",
                "type: A, alias: { evaluate-target-health: true }, failover: primary, value",
            ),
            (
                "type: CNAME, ttl: 60s, failover: secondary, value",
                "type: A, alias: { evaluate-target-health: false }, failover: secondary, value",
            ),
            ("stack:\n", "stack:\n  resolver: { maximum-ttl: 5s }\n"),
        ],
        says: fails(&["no-failover", "path"]),
    },
    Case {
        name: "a health check of the primary that asks the standby moves users away from a sound primary",
        drill: "stop-vm-only",
        mistake: &[
            (
                "      protocol: https\n      fqdn: petclinic.elb.test",
                "      protocol: http\n      fqdn: vm.azure.test",
            ),
            ("request-interval: 30s", "request-interval: 10s"),
            ("failure-threshold: 2", "failure-threshold: 1"),
            ("stack:\n", "stack:\n  resolver: { maximum-ttl: 5s }\n"),
        ],
        says: fails(&["no-failover", "path", "max-errors"]),
    },
    Case {
        name: "writes that match the behaviour of reads are refused as forbidden",
        drill: "writes-do-not-fail-over",
        mistake: &[
            (
                "        - { path: /owners/*, origin: azure-vm, methods: all }\n",
                "",
            ),
            (
                "        - { path: /petclinic/owners/*, origin: azure-vm, methods: all }\n",
                "",
            ),
        ],
        says: fails(&["writes"]),
    },
    Case {
        name: "without the function that rewrites the Host header the storage refuses everybody, which is found beforehand",
        drill: "region-outage-static-site",
        mistake: &[(
            "edge-function: { rewrite-host: petclinic.web.core.test }",
            "minimum-ttl: 0s",
        )],
        says: Says::NotSteady("`standby`"),
    },
    Case {
        name: "a distribution without the service's name breaks off with everybody who asks for it",
        drill: "region-outage-static-site",
        mistake: &[("aliases: [www.petclinic.test]", "aliases: []")],
        says: Says::Fails {
            fails: &["rto", "path", "body"],
            either: &["status"],
        },
    },
    Case {
        name: "an alias that does not evaluate its target's health never notices what the target group asks",
        drill: "break-health-path-static-site",
        mistake: &[(
            "alias: { evaluate-target-health: true }",
            "alias: { evaluate-target-health: false }",
        )],
        says: fails(&["dns-switch", "path"]),
    },
    Case {
        name: "a check that asks the other server never fails",
        drill: "block-security-group",
        mistake: &[(
            "fqdn: server.eu-central-1.compute.test",
            "fqdn: server.us-east-1.compute.test",
        )],
        says: Says::Fails {
            fails: &["detected", "dns-switch", "rto", "path", "served-by"],
            either: &["failback"],
        },
    },
    Case {
        name: "a load balancer that asks once a minute and ten times sends users to the lost zone for ten minutes",
        drill: "zone-loss",
        mistake: &[(
            "interval: 10s, timeout: 5s, healthy-threshold: 2, unhealthy-threshold: 2",
            "interval: 60s, timeout: 5s, healthy-threshold: 2, unhealthy-threshold: 10",
        )],
        says: Says::Fails {
            fails: &["rto", "outage", "max-errors"],
            either: &["served-by", "failback"],
        },
    },
    Case {
        name: "a nervous health check moves users at each blip",
        drill: "flapping-health",
        mistake: &[
            ("request-interval: 30s", "request-interval: 10s"),
            ("failure-threshold: 2", "failure-threshold: 1"),
            ("stack:\n", "stack:\n  resolver: { maximum-ttl: 1s }\n"),
        ],
        says: Says::Fails {
            fails: &["no-failover", "never"],
            either: &["availability", "failback"],
        },
    },
    Case {
        name: "an alias that evaluates its target's health fails over whatever becomes of the check",
        drill: "manual-failover-disabled",
        mistake: &[
            (
                "type: CNAME, ttl: 60s, failover: primary, health-check: primary, value",
                "type: A, alias: { evaluate-target-health: true }, failover: primary, value",
            ),
            (
                "type: CNAME, ttl: 60s, failover: secondary, value",
                "type: A, alias: { evaluate-target-health: false }, failover: secondary, value",
            ),
            ("stack:\n", "stack:\n  resolver: { maximum-ttl: 5s }\n"),
        ],
        says: Says::Fails {
            fails: &["no-failover", "never", "path"],
            either: &["failback"],
        },
    },
    Case {
        name: "a primary record without its check does not care for what is inverted",
        drill: "manual-failover-inverted",
        mistake: &[(
            "failover: primary, health-check: primary, value",
            "failover: primary, value",
        )],
        says: fails(&["dns-switch", "path", "writes"]),
    },
    Case {
        name: "a distribution that knows the bucket alone does not read from its replica",
        drill: "bucket-region-loss",
        mistake: &[(
            "origin: both, methods: read",
            "origin: source, methods: read",
        )],
        says: Says::Fails {
            fails: &["outage", "path", "served-by"],
            either: &["failback"],
        },
    },
    Case {
        name: "a check of the primary region that asks the secondary never fails",
        drill: "region-failover",
        mistake: &[(
            "fqdn: demo.ap-east-2.elb.test",
            "fqdn: demo.ap-northeast-1.elb.test",
        )],
        says: Says::Fails {
            fails: &["detected", "dns-switch", "rto", "path", "writes"],
            either: &["failback"],
        },
    },
    Case {
        name: "a secondary region that serves nothing is found before anything is broken",
        drill: "region-failover",
        mistake: &[(
            "server: genai (ap-northeast-1), serves: { application: { context-path: /,",
            "server: genai (ap-northeast-1), serves: { application: { context-path: /elsewhere/,",
        )],
        says: Says::NotSteady("tokyo"),
    },
    Case {
        name: "a check that looks for no text takes any 200 for health",
        drill: "content-mismatch",
        mistake: &[(
            "fqdn: demo.ap-east-2.elb.test\n      path: /actuator/health\n      search-string: UP",
            "fqdn: demo.ap-east-2.elb.test\n      path: /actuator/health",
        )],
        says: Says::Fails {
            fails: &["detected", "rto", "path", "body"],
            either: &["failback"],
        },
    },
    Case {
        name: "an inverted check has moved users long before",
        drill: "expired-certificate",
        mistake: &[(
            "fqdn: demo.ap-east-2.elb.test",
            "inverted: true\n      fqdn: demo.ap-east-2.elb.test",
        )],
        says: Says::NotSteady("`read`"),
    },
    Case {
        name: "a check that asks the other region is answered fast",
        drill: "slow-region",
        mistake: &[(
            "fqdn: demo.ap-east-2.elb.test",
            "fqdn: demo.ap-northeast-1.elb.test",
        )],
        says: Says::Fails {
            fails: &["detected", "rto", "path"],
            either: &["failback"],
        },
    },
    Case {
        name: "without a check of the secondary its record is answered, be it dead",
        drill: "both-regions-down",
        mistake: &[(
            "failover: secondary, health-check: tokyo, value",
            "failover: secondary, value",
        )],
        says: fails(&["served-by"]),
    },
    Case {
        name: "a latency record without a check is answered, be its region dead",
        drill: "nearest-region-lost",
        mistake: &[(
            "region: ap-east-2, health-check: taipei, value",
            "region: ap-east-2, value",
        )],
        says: Says::Fails {
            fails: &["served-by"],
            either: &["failback"],
        },
    },
    Case {
        name: "a standby that is behind loses what was acknowledged",
        drill: "database-failover",
        mistake: &[(
            "standby: { replication: synchronous }",
            "standby: { replication: asynchronous, lag: 30s }",
        )],
        says: fails(&["rpo"]),
    },
    Case {
        name: "an application whose health includes the database is dead as long as the database is",
        drill: "database-failover",
        mistake: &[
            (
                "health-includes-database: false",
                "health-includes-database: true",
            ),
            ("promotion: 60s", "promotion: 10m"),
        ],
        says: Says::Fails {
            fails: &["max-errors", "served-by"],
            either: &["rpo", "outage"],
        },
    },
    Case {
        name: "pods without liveness hang for as long as nobody looks",
        drill: "frozen-pods",
        mistake: &[(
            "      liveness: { path: /actuator/health/liveness, initial-delay: 30s, period: 10s, timeout: 5s, failure-threshold: 3 }\n",
            "",
        )],
        says: Says::Fails {
            fails: &["rto", "path", "served-by"],
            either: &["flaps"],
        },
    },
    Case {
        name: "a lost node whose address is answered for ten minutes fails every other user for as long",
        drill: "load-balancer-node-loss",
        mistake: &[(
            "zones: [a, b]\n      listeners",
            "zones: [a, b]\n      node-withdrawal: 10m\n      listeners",
        )],
        says: Says::Fails {
            fails: &["rto"],
            either: &["max-errors", "served-by"],
        },
    },
    Case {
        name: "an edge that keeps the page for ten minutes hides the standby that has recovered",
        drill: "standby-comes-back",
        mistake: &[("default-ttl: 0s", "default-ttl: 10m")],
        says: Says::Fails {
            fails: &["path", "served-by"],
            either: &["failback"],
        },
    },
    Case {
        name: "a single checker that needs a single failure moves everybody at the first error",
        drill: "gray-failure",
        mistake: &[
            (
                "request-interval: 30s",
                "request-interval: 10s\n      checkers: 1",
            ),
            ("failure-threshold: 2", "failure-threshold: 1"),
            ("stack:\n", "stack:\n  resolver: { maximum-ttl: 1s }\n"),
        ],
        says: fails(&["no-failover", "never"]),
    },
    Case {
        name: "AAAA records that are not failed over leave the users of IPv6 behind",
        drill: "client-habits",
        mistake: &[
            (
                "type: AAAA, ttl: 20s, failover: primary, health-check: frankfurt, value",
                "type: AAAA, ttl: 20s, value",
            ),
            (
                "        - { name: www.people.test, type: AAAA, ttl: 20s, failover: secondary, value: server.us-east-1.compute.test }\n",
                "",
            ),
        ],
        says: fails(&["dns-switch", "served-by"]),
    },
    Case {
        name: "a standby at half the size that does not grow refuses every other user",
        drill: "small-standby",
        mistake: &[(
            "capacity: { requests-per-minute: 8, autoscaling: { maximum: 6, delay: 60s } }",
            "capacity: { requests-per-minute: 8 }",
        )],
        says: Says::Fails {
            fails: &["rto"],
            either: &["served-by", "failback"],
        },
    },
    Case {
        name: "a replica that is four minutes behind loses more than a minute",
        drill: "database-region-failover",
        mistake: &[("lag: 20s", "lag: 4m")],
        says: Says::Fails {
            fails: &["rpo"],
            either: &["failback"],
        },
    },
    Case {
        name: "a region that is green and serves nothing is rolled back from",
        drill: "gradual-failback",
        mistake: &[
            (
                "    preflight: { url: https://demo.ap-east-2.elb.test/, host-header: shift.genai.test }\n",
                "",
            ),
            (
                "server: genai (ap-east-2), serves: { application: { context-path: /,",
                "server: genai (ap-east-2), serves: { application: { context-path: /elsewhere/,",
            ),
            (
                "fqdn: demo.ap-east-2.elb.test, path: /actuator/health",
                "fqdn: demo.ap-east-2.elb.test, path: /elsewhere/actuator/health",
            ),
        ],
        says: Says::Aborted("errors"),
    },
    Case {
        name: "a primary record without its check stays where it is, whatever the runbook inverts",
        drill: "manual-failover-runbook",
        mistake: &[(
            "failover: primary, health-check: taipei, value",
            "failover: primary, value",
        )],
        says: fails(&["dns-switch", "path", "writes"]),
    },
    Case {
        name: "a standby that serves nothing is found before anything is broken",
        drill: "double-failure-in-sequence",
        mistake: &[(
            "serves: { application: { context-path: /petclinic/, database: azure-mysql } }",
            "serves: { application: { context-path: /elsewhere/, database: azure-mysql } }",
        )],
        says: Says::NotSteady("`standby`"),
    },
];

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    arguments.test_threads.get_or_insert(AT_ONCE);
    let threads = Arc::new(Threads::start().unwrap());
    let room = Room::new(AT_ONCE);
    let mut trials = vec![Trial::test(
        "every shipped drill has a case",
        every_drill_has_a_case,
    )];
    trials.extend(CASES.iter().map(|case| {
        let (threads, room) = (Arc::clone(&threads), room.clone());
        Trial::test(format!("{}: {}", case.drill, case.name), move || {
            case.prove(&threads, &room)
        })
    }));
    libtest_mimic::run(&arguments, trials).exit_code()
}

fn every_drill_has_a_case() -> Result<(), Failed> {
    for entry in fs::read_dir(Path::new(ROOT).join("drills"))? {
        let path = entry?.path();
        let drill = path
            .file_stem()
            .and_then(|stem| stem.to_str())
            .unwrap_or_default();
        if path
            .extension()
            .is_some_and(|extension| extension == "yaml")
            && !CASES.iter().any(|case| case.drill == drill)
        {
            return Err(Failed::from(format!(
                "nothing shows that `{drill}` can fail"
            )));
        }
    }
    Ok(())
}

impl Case {
    fn prove(&self, threads: &Threads, room: &Room) -> Result<(), Failed> {
        let [fast, slow] = SPEEDS;
        let mut speeds = [fast, slow, slow].into_iter().peekable();
        let (report, wrong) = loop {
            let speed = speeds.next().unwrap_or(slow);
            let report = self.conduct(threads, room, speed)?;
            let wrong = match self.says {
                Says::Fails { fails, either } => wrong_checks(&report, fails, either),
                Says::NotSteady(reason) => wrongly_begun(&report, reason),
                Says::Aborted(condition) => wrongly_ended(&report, condition),
            };
            if wrong.is_empty() {
                return Ok(());
            }
            if !report.is_of_a_late_prober() || speeds.peek().is_none() {
                break (report, wrong);
            }
        };
        let shown = terminal::render(std::slice::from_ref(&report), &Style::default());
        Err(Failed::from(format!("{}\n\n{shown}", wrong.join("\n"))))
    }

    fn conduct(&self, threads: &Threads, room: &Room, speed: f64) -> Result<Report, Failed> {
        let folder = tempfile::tempdir()?;
        let selection = Selection {
            paths: vec![
                Path::new(ROOT)
                    .join("drills")
                    .join(self.drill)
                    .with_extension("yaml"),
            ],
            environment: Some(self.environment(folder.path())?),
            speed: Some(speed),
        };
        let (mut catalog, problems) = catalog::load(&selection, &|_| None);
        if problems.has_errors() {
            return Err(Failed::from(problems.render(Coloring::Plain)));
        }
        let records = folder.path().join("records");
        fs::create_dir(&records)?;
        let assignment = Assignment {
            entry: catalog.entries.remove(0),
            speed: Some(speed),
            run_id: RunId::new(jiff::Timestamp::now(), &mut fastrand::Rng::new()),
            folder: records,
            seed: fastrand::u64(..1_000_000),
            repeat: None,
            series: None,
            command: Vec::new(),
            place: Place::Own(threads.labs()),
            terms: Terms::default(),
        };
        let (_stopper, stop) = Stopper::new();
        let conducting = async {
            let _place = room.enter(assignment.place.labs()).await;
            suite::conduct(&assignment, stop, &mut |_| {}).await
        };
        Ok(threads.block_on(conducting)?)
    }

    /// The name of the environment that the drill is written for.
    fn environment_of_drill(&self) -> Result<String, Failed> {
        let file = Path::new(ROOT)
            .join("drills")
            .join(self.drill)
            .with_extension("yaml");
        let text = fs::read_to_string(file)?;
        let mut lines = text.lines();
        let name = lines.find_map(|line| line.strip_prefix("environment: "));
        name.map(str::to_owned)
            .ok_or_else(|| Failed::from("the drill names no environment"))
    }

    /// Writes the environment with the mistake in it, where it finds its pages as the sound one does. Yields its path.
    fn environment(&self, folder: &Path) -> Result<String, Failed> {
        let fixtures = Path::new(ROOT).join("fixtures");
        let sound = fixtures
            .join("environments")
            .join(self.environment_of_drill()?)
            .with_extension("yaml");
        let mut text = fs::read_to_string(sound)?;
        for (sound, mistaken) in self.mistake {
            let times = text.matches(sound).count();
            if times != 1 {
                return Err(Failed::from(format!(
                    "`{sound}` stands {times} times in the environment"
                )));
            }
            text = text.replace(sound, mistaken);
        }
        // At the lower speed the real-time floors are no help against a busy machine, so that users are more patient.
        let usual = "good-within: 3s, timeout: 4s";
        assert!(
            text.contains(usual),
            "`{usual}` stands nowhere in the environment"
        );
        text = text.replace(usual, "good-within: 20s, timeout: 22s");
        for kind in ["environments", "pages"] {
            fs::create_dir(folder.join(kind))?;
        }
        fs::copy(
            fixtures.join("pages/maintenance.html"),
            folder.join("pages/maintenance.html"),
        )?;
        let file = folder.join("environments/mistaken.yaml");
        fs::write(&file, text)?;
        Ok(file.display().to_string())
    }
}

fn wrong_checks(report: &Report, fails: &[&str], either: &[&str]) -> Vec<String> {
    let judgement = &report.judgement;
    let mut wrong = Vec::new();
    for check in &judgement.checks {
        let kind = check.kind.as_str();
        let expected = if fails.contains(&kind) {
            CheckStatus::Fail
        } else {
            CheckStatus::Pass
        };
        if check.status != expected && !either.contains(&kind) {
            wrong.push(format!(
                "`{}` is {:?} instead of {expected:?}: {}",
                check.name, check.status, check.message
            ));
        }
    }
    for kind in fails {
        if !judgement.checks.iter().any(|check| check.kind == *kind) {
            wrong.push(format!("the drill does not expect `{kind}`"));
        }
    }
    let code = exit_code::ExitCode::from(judgement);
    if code != exit_code::ExitCode::Failed {
        wrong.push(format!(
            "the exit code is {}: {}",
            code.code(),
            judgement.reasons.join("; ")
        ));
    }
    wrong
}

fn wrongly_ended(report: &Report, condition: &str) -> Vec<String> {
    let judgement = &report.judgement;
    let mut wrong = Vec::new();
    let code = exit_code::ExitCode::from(judgement);
    if code != exit_code::ExitCode::CouldNotRun {
        wrong.push(format!("the exit code is {}", code.code()));
    }
    if !judgement
        .reasons
        .iter()
        .any(|said| said.contains(condition))
    {
        wrong.push(format!(
            "the reasons do not name {condition}: {:?}",
            judgement.reasons
        ));
    }
    let touched = judgement
        .faults
        .iter()
        .filter(|fault| fault.issued_s.is_some());
    if touched.clone().count() == 0 {
        wrong.push("no step was taken".to_owned());
    }
    if touched.clone().any(|fault| fault.restored_s.is_none()) {
        wrong.push("a step was not put back".to_owned());
    }
    wrong
}

fn wrongly_begun(report: &Report, reason: &str) -> Vec<String> {
    let judgement = &report.judgement;
    let mut wrong = Vec::new();
    let code = exit_code::ExitCode::from(judgement);
    if code != exit_code::ExitCode::CouldNotRun {
        wrong.push(format!("the exit code is {}", code.code()));
    }
    if !judgement
        .reasons
        .iter()
        .any(|said| said.contains("steady state not met") && said.contains(reason))
    {
        wrong.push(format!(
            "the reasons do not name {reason}: {:?}",
            judgement.reasons
        ));
    }
    if judgement
        .faults
        .iter()
        .any(|fault| fault.issued_s.is_some())
    {
        wrong.push("a fault was injected".to_owned());
    }
    wrong
}
