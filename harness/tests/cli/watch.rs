//! `watch`: looking without breaking.

use std::{
    fs,
    io::{Read, Write},
    net::TcpListener,
    process::Stdio,
    thread,
};

use blackstart::timeline::{Entry, Event, Outcome};
use nix::sys::signal::Signal;

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
