//! Which setting of the environment explains which part of a recovery: the health check, the record, the edge, the probe.
//!
//! Read from the file's tree and not from the stack, so that a report that is made again from a run's copy has the same words.

use crate::source::{
    Document, Node, Step,
    Step::{Index, Key},
    Value,
};

/// What governs the parts of a recovery.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Governs(Vec<Setting>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Setting {
    part: &'static str,
    text: String,
    line: u32,
}

impl Governs {
    /// The settings behind a part, each with its line: `request-interval 30s x failure-threshold 2 of the health check primary
    /// (environment line 61)`.
    pub fn in_words(&self, part: &str) -> Vec<String> {
        let settings = self.0.iter().filter(|setting| setting.part == part);
        settings
            .map(|setting| format!("{} (environment line {})", setting.text, setting.line))
            .collect()
    }

    /// Finds them in the file of an environment whose users ask for `host`.
    pub(super) fn of(document: &Document, host: &str) -> Self {
        let mut found = Self::default();
        let stack = document.follow(&[Key("stack")]);
        found.record(stack, host);
        found.resolver(stack);
        found.edge(stack);
        found.balancers(stack);
        found.capacity(stack);
        found.users(&document.root);
        found
    }

    fn add(&mut self, part: &'static str, node: &Node, text: String) {
        let line = node.place.at.line;
        self.0.push(Setting { part, text, line });
    }

    /// The record that decides about the service's name, its TTL and its check.
    fn record(&mut self, stack: &Node, host: &str) {
        for zone in 0.. {
            let zones = [Key("zones"), Index(zone)];
            let Some(records) = node_at(stack, &zones).and_then(|zone| zone.get("records")) else {
                return;
            };
            for index in 0.. {
                let Some(record) = node_at(records, &[Index(index)]) else {
                    break;
                };
                let is = |key: &str, wanted: &str| text(record, key).as_deref() == Some(wanted);
                let decides = is("failover", "primary")
                    || record.get("region").is_some()
                    || record.get("weight").is_some();
                if is("name", host) && decides && !is("type", "AAAA") {
                    self.of_record(stack, record);
                    return;
                }
            }
        }
    }

    fn of_record(&mut self, stack: &Node, record: &Node) {
        if let Some(ttl) = record.get("ttl") {
            let words = format!("the record's ttl {}", written(ttl).unwrap_or_default());
            self.add("caches", ttl, words);
        } else if let Some(alias) = record.get("alias") {
            let words = "the alias has the TTL of what it points at: 60s for a load balancer";
            self.add("caches", alias, words.to_owned());
            let evaluates = text(alias, "evaluate-target-health");
            if evaluates.as_deref() == Some("true") {
                self.add("detect", alias, "evaluate-target-health true".to_owned());
            }
        }
        let Some(name) = text(record, "health-check") else {
            return;
        };
        let Some(check) = node_at(stack, &[Key("health-checks"), Key(&name)]) else {
            return;
        };
        let or = |key: &str, usual: &str| text(check, key).unwrap_or_else(|| usual.to_owned());
        let place = check.get("request-interval").unwrap_or(check);
        let words = format!(
            "request-interval {} x failure-threshold {} of the health check {name}",
            or("request-interval", "30s"),
            or("failure-threshold", "3")
        );
        self.add("detect", place, words);
        let place = check.get("propagation").unwrap_or(check);
        let words = format!("propagation up to {} of {name}", or("propagation", "5s"));
        self.add("decide", place, words);
    }

    fn resolver(&mut self, stack: &Node) {
        for key in ["minimum-ttl", "maximum-ttl"] {
            let resolver = [Key("resolver"), Key(key)];
            if let Some(setting) = node_at(stack, &resolver) {
                let value = written(setting).unwrap_or_default();
                self.add("caches", setting, format!("the resolver's {key} {value}"));
            }
        }
    }

    /// The first origins of groups, which are asked before the second, and how long an edge keeps what it got.
    fn edge(&mut self, stack: &Node) {
        for (name, distribution) in entries(stack, "distributions") {
            for (_, group) in entries(distribution, "origin-groups") {
                let first = node_at(group, &[Key("members"), Index(0)]).and_then(written);
                let Some(first) = first else { continue };
                let Some(origin) = node_at(distribution, &[Key("origins"), Key(&first)]) else {
                    continue;
                };
                let or =
                    |key: &str, usual: &str| text(origin, key).unwrap_or_else(|| usual.to_owned());
                let words = format!(
                    "connection-attempts {} x connection-timeout {} of the origin {first}",
                    or("connection-attempts", "3"),
                    or("connection-timeout", "10s")
                );
                self.add("connect", origin, words);
            }
            for index in 0.. {
                let behaviors = [Key("behaviors"), Index(index)];
                let Some(behavior) = node_at(distribution, &behaviors) else {
                    break;
                };
                let path = text(behavior, "path").unwrap_or_default();
                let ttl = text(behavior, "default-ttl").unwrap_or_else(|| "24h".to_owned());
                let words = format!("default-ttl {ttl} of the behaviour {path} of {name}");
                self.add("edge", behavior, words);
            }
        }
    }

    fn balancers(&mut self, stack: &Node) {
        for (name, group) in entries(stack, "target-groups") {
            let or = |key: &str, usual: &str| text(group, key).unwrap_or_else(|| usual.to_owned());
            let words = format!(
                "interval {} x unhealthy-threshold {} of the target group {name}",
                or("interval", "30s"),
                or("unhealthy-threshold", "2")
            );
            let place = group.get("interval").unwrap_or(group);
            self.add("targets", place, words);
        }
    }

    fn capacity(&mut self, stack: &Node) {
        for (name, workload) in entries(stack, "workloads") {
            let Some(capacity) = workload.get("capacity") else {
                continue;
            };
            let each = text(capacity, "requests-per-minute").unwrap_or_default();
            let pods = text(workload, "replicas").unwrap_or_default();
            let words = format!("requests-per-minute {each} x replicas {pods} of {name}");
            self.add("capacity", capacity, words);
            if let Some(scaling) = capacity.get("autoscaling") {
                let delay = text(scaling, "delay").unwrap_or_else(|| "60s".to_owned());
                let start = text(workload, "start-up").unwrap_or_else(|| "20s".to_owned());
                let words = format!("autoscaling delay {delay} and start-up {start} of {name}");
                self.add("capacity", scaling, words);
            }
        }
    }

    /// The users' own probe, whose cadence is the least that any of this is known by.
    fn users(&mut self, root: &Node) {
        for index in 0.. {
            let Some(probe) = node_at(root, &[Key("probes"), Index(index)]) else {
                return;
            };
            let Some(http) = probe.get("http") else {
                continue;
            };
            let every = text(http, "every").unwrap_or_else(|| "1s".to_owned());
            let name = text(http, "name").unwrap_or_default();
            let words = format!(
                "{name} looks every {every}; stable is five good samples, 5s and ten looks at least"
            );
            self.add("connect", http, words);
            return;
        }
    }
}

/// What is at a place, if there is such a place.
fn node_at<'n>(node: &'n Node, steps: &[Step<'_>]) -> Option<&'n Node> {
    let mut at = node;
    for step in steps {
        at = match step {
            Key(key) => at.get(key)?,
            Index(index) => at.items().get(*index)?,
        };
    }
    Some(at)
}

/// A value as it is written. That of a variable is nobody's business here.
fn written(node: &Node) -> Option<String> {
    if node.filled {
        return Some("of a variable".to_owned());
    }
    if let Value::Boolean(value) = node.value {
        return Some(value.to_string());
    }
    node.scalar()
}

fn text(node: &Node, key: &str) -> Option<String> {
    node.get(key).and_then(written)
}

fn entries<'n>(node: &'n Node, key: &str) -> impl Iterator<Item = (&'n str, &'n Node)> {
    node.get(key).into_iter().flat_map(Node::entries)
}
