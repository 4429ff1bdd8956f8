//! `watch`: looking without breaking.

use std::{
    fs,
    io::{Read, Write},
    net::TcpListener,
    process::Stdio,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

use blackstart::timeline::{Entry, Event, Outcome};
use nix::sys::signal::Signal;
use wiremock::{Mock, MockServer, ResponseTemplate, matchers::method};

use crate::{
    code,
    program::{Running, Workplace, blackstart, stderr, stdout, wait_until},
};

const WATCH: [&str; 2] = ["watch", "two-machines"];

#[test]
fn a_service_is_watched_for_so_long_and_its_objectives_decide_the_exit_code() {
    let workplace = Workplace::new();
    for (slo, expected, word) in [
        ("availability=50,outage=10m,standby:median=1m", 0, "PASS"),
        ("read:max=1ms", 1, "FAIL"),
    ] {
        let arguments = WATCH.into_iter().chain(["--for", "60s", "--slo", slo]);
        let output = blackstart(workplace.path(), arguments).output().unwrap();
        assert_eq!(
            code(&output),
            expected,
            "{}{}",
            stdout(&output),
            stderr(&output)
        );
        assert!(stdout(&output).contains(word), "{}", stdout(&output));
        assert!(stdout(&output).contains(" of "), "{}", stdout(&output));
        assert!(stderr(&output).contains("WATCH"), "{}", stderr(&output));
        assert!(!stderr(&output).contains("FAULT"), "{}", stderr(&output));
    }
    assert!(
        !workplace.path().join("reports").exists(),
        "nothing is written"
    );
}

#[test]
fn an_objective_that_cannot_be_read_is_told_before_anything_is_started() {
    let workplace = Workplace::new();
    for (slo, words) in [
        (
            "reed:p99=1s",
            "there is no probe `reed`: there are read, standby, authority",
        ),
        ("p9=1s", "did you mean `p99`?"),
    ] {
        let arguments = WATCH.into_iter().chain(["--slo", slo]);
        let output = blackstart(workplace.path(), arguments).output().unwrap();
        assert_eq!(code(&output), 2);
        assert!(stderr(&output).contains(words), "{}", stderr(&output));
    }
}

#[test]
fn every_event_is_a_line_of_json_and_the_summary_is_the_last() {
    let workplace = Workplace::new();
    let arguments = WATCH
        .into_iter()
        .chain(["--for", "30s", "--format", "ndjson", "--quiet"]);
    let output = blackstart(workplace.path(), arguments).output().unwrap();
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    let mut lines: Vec<&str> = stdout(&output).lines().collect();
    let summary: serde_json::Value = serde_json::from_str(lines.pop().unwrap()).unwrap();
    assert_eq!(summary["type"], "summary");
    assert_eq!(summary["watch"]["probes"][0]["probe"], "read");
    let entries: Vec<Entry> = lines
        .iter()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert!(matches!(entries[0].event, Event::Run(_)));
    let samples = entries
        .iter()
        .filter(|entry| matches!(&entry.event, Event::Sample(sample) if sample.probe == "read"));
    assert!(samples.count() >= 10);
    assert!(matches!(
        entries.last().unwrap().event,
        Event::Ended {
            outcome: Outcome::Completed,
            ..
        }
    ));
}

#[test]
fn ctrl_c_ends_it_with_the_summary() {
    let workplace = Workplace::new();
    let seen = workplace.path().join("seen");
    let child = blackstart(
        workplace.path(),
        WATCH.into_iter().chain(["--format", "ndjson"]),
    )
    .stdout(fs::File::create(&seen).unwrap())
    .stderr(Stdio::null())
    .spawn()
    .unwrap();
    let running = Running(child);
    let read = || fs::read_to_string(&seen).unwrap_or_default();
    wait_until("something was seen", || {
        read().contains(r#""probe":"read""#)
    });
    running.signal(Signal::SIGINT);
    let (status, ..) = running.end();
    assert_eq!(status.code(), Some(0));
    assert!(
        read()
            .trim_end()
            .lines()
            .last()
            .unwrap()
            .contains(r#""type":"summary""#)
    );
}

/// A service on this machine that nobody started for a drill.
fn service() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for mut connection in listener.incoming().map_while(Result::ok) {
            let mut asked = [0; 1024];
            drop(connection.read(&mut asked));
            drop(connection.write_all(
                b"HTTP/1.1 200 OK\r\nserver: mine/1.0\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok",
            ));
        }
    });
    port
}

/// A service on this machine that answers well until it is told otherwise.
struct Switched {
    port: u16,
    is_well: Arc<AtomicBool>,
}

impl Switched {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let is_well = Arc::new(AtomicBool::new(true));
        let state = Arc::clone(&is_well);
        thread::spawn(move || {
            for mut connection in listener.incoming().map_while(Result::ok) {
                let mut asked = [0; 1024];
                drop(connection.read(&mut asked));
                let status = if state.load(Ordering::SeqCst) {
                    "200 OK"
                } else {
                    "503 Service Unavailable"
                };
                let answer = format!(
                    "HTTP/1.1 {status}\r\nserver: mine/1.0\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
                );
                drop(connection.write_all(answer.as_bytes()));
            }
        });
        Self { port, is_well }
    }

    fn answer(&self, is_well: bool) {
        self.is_well.store(is_well, Ordering::SeqCst);
    }
}

#[test]
fn an_outage_that_is_watched_is_told_by_its_severity_and_so_is_its_end() {
    let threads = tokio::runtime::Runtime::new().unwrap();
    let channels = threads.block_on(async {
        let server = MockServer::start().await;
        Mock::given(method("POST"))
            .respond_with(ResponseTemplate::new(202))
            .mount(&server)
            .await;
        server
    });
    let service = Switched::start();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("mine.yaml");
    let environment = format!(
        "environment: mine\nservice: {{ url: \"http://127.0.0.1:{}/\" }}\n\
         tiers:\n  - {{ tier: live, recognise: {{ header: {{ name: server, contains: mine }} }} }}\n\
         probes:\n  - http: {{ name: read, every: 100ms }}\n\
         targets: {{}}\n\
         notify:\n  - pagerduty: {{ routing-key: \"${{KEY}}\", url: \"{uri}/pagerduty\" }}\n\
         \x20 - webhook: {{ url: \"{uri}/all\", from: information }}\n",
        service.port,
        uri = channels.uri()
    );
    fs::write(&file, environment).unwrap();
    let child = blackstart(folder.path(), ["watch", "mine.yaml", "--quiet"])
        .env("KEY", "a-key-of-pagerduty")
        .env_remove("http_proxy")
        .env_remove("HTTP_PROXY")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let running = Running(child);
    let told = |path: &str| -> Vec<serde_json::Value> {
        let requests = threads.block_on(channels.received_requests()).unwrap();
        let requests = requests.iter().filter(|request| request.url.path() == path);
        requests
            .map(|request| serde_json::from_slice(&request.body).unwrap())
            .collect()
    };
    let is_told = |event: &str| told("/all").iter().any(|body| body["event"] == event);
    wait_until("the watch begins", || is_told("began"));
    service.answer(false);
    wait_until("the outage is told", || is_told("users-down"));
    service.answer(true);
    wait_until("its end is told", || is_told("served-again"));
    wait_until("the incident is resolved", || told("/pagerduty").len() == 2);
    running.signal(Signal::SIGINT);
    let (status, _, said) = running.end();
    assert_eq!((status.code(), said.as_str()), (Some(0), ""));
    let all = told("/all");
    let events: Vec<&str> = all
        .iter()
        .map(|body| body["event"].as_str().unwrap())
        .collect();
    assert_eq!(events, ["began", "users-down", "served-again", "ended"]);
    assert_eq!(all[1]["severity"], "critical");
    assert!(all.iter().all(|body| body["occasion"] == "watch"));
    // From critical on, and the end of what was told.
    let incident = told("/pagerduty");
    let actions: Vec<_> = incident.iter().map(|body| &body["event_action"]).collect();
    assert_eq!(actions, ["trigger", "resolve"]);
    assert_eq!(incident[0]["dedup_key"], incident[1]["dedup_key"]);
}

#[test]
fn a_service_of_ones_own_is_written_down_and_watched_without_any_target() {
    let port = service();
    let folder = tempfile::tempdir().unwrap();
    let url = format!("http://127.0.0.1:{port}/");
    let init = ["init", "--url", &url, "--name", "mine"];
    let written = blackstart(folder.path(), init).output().unwrap();
    assert_eq!(code(&written), 0, "{}", stderr(&written));
    assert_eq!(stderr(&written), "");
    let file = folder.path().join("drills/environments/mine.yaml");
    let text = fs::read_to_string(file).unwrap();
    assert!(
        text.contains(r#"{ name: server, contains: "mine" }"#),
        "{text}"
    );
    let watch = ["watch", "mine", "--for", "3s", "--format", "json"];
    let output = blackstart(folder.path(), watch).output().unwrap();
    assert_eq!(code(&output), 0, "{}{}", stdout(&output), stderr(&output));
    let summary: serde_json::Value = serde_json::from_str(stdout(&output)).unwrap();
    let read = &summary["watch"]["probes"][0];
    assert_eq!(read["answered_by"], serde_json::json!(["live"]), "{read}");
    assert!(read["parts_s"]["connect"].is_number(), "{read}");
}
