//! The texts that `init` writes.

use std::net::IpAddr;

use blackstart_lab::part::system_name_server;

/// What is known of the service.
pub(super) struct Setup {
    pub(super) url: String,
    pub(super) host: String,
    pub(super) name: String,
    /// What may be broken, if anything may.
    pub(super) broken: Option<Broken>,
    pub(super) answer: Answer,
}

/// What a first drill breaks.
pub(super) enum Broken {
    Container(String),
    Service {
        service: String,
        project: Option<String>,
    },
}

/// What the service answered.
pub(super) struct Answer {
    /// A header and what it contains.
    pub(super) mark: Option<(String, String)>,
    pub(super) status: u16,
}

/// A file that is to be written.
pub(super) struct File {
    pub(super) path: String,
    pub(super) about: &'static str,
    pub(super) text: String,
}

/// A text of YAML, which a text of JSON is.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

impl Setup {
    /// The files, each at its place below the folder.
    pub(super) fn files(&self) -> Vec<File> {
        let name = &self.name;
        let mut files = vec![File {
            path: format!("drills/environments/{name}.yaml"),
            about: "the service: how it is looked at, what may be broken",
            text: self.environment(),
        }];
        if self.broken.is_none() {
            files.push(File {
                path: format!("drills/environments/{name}-lab.yaml"),
                about: "a stand-in for it on this machine: two servers behind a failover record",
                text: self.lab(),
            });
        }
        files.push(File {
            path: self.drill_path(),
            about: "a first drill",
            text: if self.broken.is_some() {
                self.container_drill()
            } else {
                self.lab_drill()
            },
        });
        files
    }

    /// What to type next, and what that does.
    pub(super) fn next(&self) -> [(String, &'static str); 4] {
        let drill = self.drill_path();
        [
            (
                format!("blackstart watch {} --for 30s", self.name),
                "see the service as users do; breaks nothing",
            ),
            (
                format!("blackstart check {drill}"),
                "find mistakes in both files",
            ),
            (
                format!("blackstart plan {drill}"),
                "what the drill would do, and how it is undone",
            ),
            (format!("blackstart run {drill}"), "do it"),
        ]
    }

    fn drill_path(&self) -> String {
        let what = if self.broken.is_some() {
            "restart"
        } else {
            "failover"
        };
        format!("drills/{}-{what}.yaml", self.name)
    }

    fn environment(&self) -> String {
        let Self { name, url, .. } = self;
        let url = quoted(url);
        let requests = if self.answer.status == 200 {
            String::new()
        } else {
            format!(
                "  requests:\n    read: {{ good-status: [{}] }}     # what it answered when it was looked at\n",
                self.answer.status
            )
        };
        let recognise = match &self.answer.mark {
            Some((header, contains)) => {
                format!(
                    "header: {{ name: {header}, contains: {} }}",
                    quoted(contains)
                )
            }
            None => "header: { name: date, contains: \":\" }".to_owned(),
        };
        let dns = match (self.host_is_a_name(), system_name_server()) {
            (true, Ok(server)) => format!(
                "  # What this machine's name server says. Give authorities of your zone the same way, to see when they switch.\n\
                 \x20 - dns: {{ name: resolver, server: {}, every: 1s }}\n",
                quoted(&server.to_string())
            ),
            _ => String::new(),
        };
        let (docker, targets) = self.targets();
        format!(
            "# The service `{name}`: what users ask for, who may answer, how to look, and what may be broken.\n\
             # Every key: docs/files.md of Blackstart. Mistakes: `blackstart check`.\n\
             environment: {name}\n\
             about: {name} as users see it.\n\
             service:\n\
             \x20 url: {url}\n\
             {requests}\
             \n\
             # Who may answer, the preferred one first. A tier is recognised by something that only its answers have: a header, a text in\n\
             # the body, a name in the certificate. Give the standby a line of its own as soon as there is one.\n\
             tiers:\n\
             \x20 - {{ tier: live, recognise: {{ {recognise} }} }}\n\
             # - {{ tier: standby, recognise: {{ body: \"back soon\" }} }}\n\
             \n\
             probes:\n\
             \x20 # What users see who come now: a new connection each time. Good is an expected status within 800 ms.\n\
             \x20 - http: {{ name: read, every: 1s }}\n\
             \x20 # What a client sees that keeps its connection.\n\
             \x20 - http: {{ name: keep-alive, connection: keep-alive, every: 1s }}\n\
             {dns}\
             {docker}\
             \n\
             # What drills may break here.\n\
             {targets}\
             \n\
             # What bounds every drill here, whatever it says.\n\
             limits:\n\
             \x20 max-fault: 5m                     # after that everything is put back\n\
             abort-if:\n\
             \x20 - outage-longer-than: 2m\n\
             # protected: true                   # then a drill runs only with `--confirm {name}`\n\
             \n\
             # Who is told while a drill runs. Secrets come from variables; an empty one tells nobody.\n\
             # notify:\n\
             #   - slack: {{ url: \"${{SLACK_WEBHOOK:-}}\", from: warning }}\n\
             #   - pagerduty: {{ routing-key: \"${{PAGERDUTY_ROUTING_KEY:-}}\" }}\n"
        )
    }

    fn host_is_a_name(&self) -> bool {
        let host = self.host.trim_matches(['[', ']']);
        host.parse::<IpAddr>().is_err() && host != "localhost"
    }

    /// `docker:` and `targets:`.
    fn targets(&self) -> (String, String) {
        match &self.broken {
            Some(Broken::Container(container)) => (
                String::new(),
                format!("targets:\n  app: {{ docker: {{ container: {} }} }}\n", quoted(container)),
            ),
            Some(Broken::Service { service, project }) => {
                let docker = project.as_ref().map_or_else(String::new, |project| {
                    format!("\n# The Compose project that services are of.\ndocker: {{ project: {} }}\n", quoted(project))
                });
                let targets = format!(
                    "targets:\n  app: {{ docker: {{ service: {} }} }}     # every replica of it\n",
                    quoted(service)
                );
                (docker, targets)
            }
            None => (
                String::new(),
                "# targets:\n\
                 #   app: { docker: { container: shop-app } }       # by name\n\
                 #   web: { docker: { service: web } }              # every replica of a Compose service\n"
                    .to_owned(),
            ),
        }
    }

    fn container_drill(&self) -> String {
        let name = &self.name;
        format!(
            "# A first drill: what users see while a container is restarted.\n\
             drill: {name}-restart\n\
             about: The application is stopped for ten seconds; users are back soon after it starts again.\n\
             environment: {name}\n\
             tags: [weekly]                      # `blackstart run --tag weekly`\n\
             steady-state: {{ for: 10s }}          # else nothing is broken: a drill on a sick system proves nothing\n\
             faults:\n\
             \x20 - stop: {{ target: app }}           # what it was is written down first, and put back on every way out\n\
             hold: 10s\n\
             expect:                             # each line is a test case\n\
             \x20 outage: {{ within: 1m }}\n\
             \x20 failback: {{ to: live, within: 1m }}\n\
             # As soon as there is a standby, this is what it is for:\n\
             # rto: {{ within: 30s }}\n\
             # path: [live, down, standby]\n"
        )
    }

    /// The name that users type in the stand-in, its zone, and the names of both servers.
    fn lab_host(&self) -> (String, String) {
        let labels = self.host.split('.').count();
        let is_dns = self.host_is_a_name() && self.host.is_ascii();
        match labels {
            3.. if is_dns => {
                let zone = self.host.split_once('.').map_or("", |(_, zone)| zone);
                (self.host.to_ascii_lowercase(), zone.to_ascii_lowercase())
            }
            2 if is_dns => {
                let zone = self.host.to_ascii_lowercase();
                (format!("www.{zone}"), zone)
            }
            _ => {
                let zone = format!(
                    "{}.test",
                    self.name.to_ascii_lowercase().replace(['_', '.'], "-")
                );
                (format!("www.{zone}"), zone)
            }
        }
    }

    fn lab(&self) -> String {
        let name = &self.name;
        let (host, zone) = self.lab_host();
        format!(
            "# A stand-in for `{name}` on this machine: two servers behind a failover record, as Route 53 would have it. Nothing outside\n\
             # this machine is touched, and nothing needs privileges. Change it into what you have: fixtures/environments of Blackstart\n\
             # has load balancers, clusters, distributions and more.\n\
             environment: {name}-lab\n\
             about: Two servers behind a failover record, in place of {name}.\n\
             speed: 20                           # its time runs so many times as fast; every duration is the architecture's own\n\
             service: {{ url: \"http://{host}/\" }}\n\
             tiers:\n\
             \x20 - {{ tier: first, about: the server that serves, recognise: {{ header: {{ name: server, contains: first }}, dns: first-server.{zone} }} }}\n\
             \x20 - {{ tier: second, about: its standby, recognise: {{ header: {{ name: server, contains: second }}, dns: second-server.{zone} }} }}\n\
             probes:\n\
             \x20 - http: {{ name: read, every: 2s }}\n\
             \x20 - http: {{ name: standby, host: second-server.{zone}, standby: second, every: 2s }}\n\
             \x20 - dns: {{ name: authority, server: authority, every: 2s }}\n\
             observers: [ {{ observer: health-check, watches: check }} ]\n\
             targets:\n\
             \x20 first: {{ lab: {{ virtual-machine: first }} }}\n\
             \x20 check: {{ lab: {{ health-check: first }} }}\n\
             stack:\n\
             \x20 zones:\n\
             \x20   - zone: {zone}\n\
             \x20     records:\n\
             \x20       - {{ name: {host}, type: CNAME, ttl: 60s, failover: primary, health-check: first, value: first-server.{zone} }}\n\
             \x20       - {{ name: {host}, type: CNAME, ttl: 60s, failover: secondary, value: second-server.{zone} }}\n\
             \x20 health-checks:\n\
             \x20   first: {{ protocol: http, fqdn: first-server.{zone}, path: /, request-interval: 10s, failure-threshold: 2 }}\n\
             \x20 virtual-machines:\n\
             \x20   first: {{ dns-name: first-server.{zone}, server: first/1.0, serves: {{ application: {{ context-path: /, database: first }} }} }}\n\
             \x20   second: {{ dns-name: second-server.{zone}, server: second/1.0, serves: {{ application: {{ context-path: /, database: second }} }} }}\n"
        )
    }

    fn lab_drill(&self) -> String {
        let name = &self.name;
        format!(
            "# A first drill, in the stand-in. Once `{name}` has a standby and targets, the same file runs there: `--env {name}`.\n\
             drill: {name}-failover\n\
             about: The server that serves is powered off; users are on the standby in time and return by themselves.\n\
             environment: {name}-lab\n\
             tags: [weekly]                      # `blackstart run --tag weekly`\n\
             steady-state: {{ for: 10s, served-by: first }}   # else nothing is broken\n\
             faults:\n\
             \x20 - stop: {{ target: first }}         # what it was is written down first, and put back on every way out\n\
             hold: until stable                  # or a duration\n\
             expect:                             # each line is a test case\n\
             \x20 # 2 x (10 s + 4 s) until the check is sure, up to 5 s until the name servers know, a TTL of 60 s, 7 s for the measurement.\n\
             \x20 rto: {{ within: 100s }}\n\
             \x20 path: [first, down, second]\n\
             \x20 failback: {{ to: first, within: 3m }}\n"
        )
    }
}
