//! Drills that wait for people, where there are none, and those who are told.

use std::{fs, net::TcpListener};

use nix::sys::signal::Signal;
use wiremock::{
    Mock, MockServer, ResponseTemplate,
    matchers::{method, path},
};

use crate::{
    code,
    program::{Workplace, blackstart, stderr, stdout},
};

/// The quick drill, which waits for a person after its fault.
fn waiting() -> Workplace {
    let workplace = Workplace::new();
    let file = workplace.path().join("drills/quick.yaml");
    let text = fs::read_to_string(&file).unwrap();
    let text = text.replace(
        "status: 503 }\n",
        "status: 503 }\n  - pause: call the network team\n    role: network\n    within: 30s\n",
    );
    fs::write(&file, text).unwrap();
    workplace
}

#[test]
fn a_drill_that_waits_for_a_person_is_not_begun_where_nobody_can_be_asked() {
    let workplace = waiting();
    for (more, words) in [
        (
            &[][..],
            "drills/quick.yaml:7: call the network team (network)",
        ),
        (&["--interactive"], "`--interactive` needs a terminal"),
    ] {
        let output = workplace.run("quick", more).output().unwrap();
        assert_eq!(code(&output), 2, "{}", stderr(&output));
        assert!(stderr(&output).contains(words), "{}", stderr(&output));
        assert!(
            stderr(&output).contains("nothing was touched"),
            "{}",
            stderr(&output)
        );
        assert!(
            stderr(&output).contains("--skip-pauses"),
            "{}",
            stderr(&output)
        );
        assert!(!workplace.path().join("reports").exists());
    }
}

#[test]
fn a_time_that_counts_from_what_a_person_says_needs_one() {
    let workplace = Workplace::new();
    let file = workplace.path().join("drills/quick.yaml");
    let text = fs::read_to_string(&file).unwrap();
    let expect = "expect:\n  rto: { within: 15m, from: declared }\n";
    fs::write(&file, text.replace("expect:\n", expect)).unwrap();
    let check = blackstart(workplace.path(), ["check"]).output().unwrap();
    assert_eq!(code(&check), 0, "{}", stderr(&check));
    let output = workplace.run("quick", &[]).output().unwrap();
    assert_eq!(code(&output), 2, "{}", stderr(&output));
    for words in [
        "drills/quick.yaml:10: declare the incident, from which `rto` counts",
        "nothing was touched",
        "`--interactive` on a terminal asks",
    ] {
        assert!(stderr(&output).contains(words), "{}", stderr(&output));
    }
}

#[test]
fn a_drill_that_skips_its_pauses_says_so_in_every_report() {
    let workplace = waiting();
    let output = workplace.measured(&mut workplace.run("quick", &["--skip-pauses"]));
    assert_eq!(code(&output), 0, "{}{}", stdout(&output), stderr(&output));
    assert!(
        stdout(&output).contains("asked: call the network team"),
        "{}",
        stdout(&output)
    );
    assert!(
        stderr(&output).contains("network: call the network team (within 30s)"),
        "{}",
        stderr(&output)
    );
    let run = workplace.only_run();
    for (file, words) in [
        ("report.json", r#""what": "skipped""#),
        ("report.html", "What people did"),
        ("summary.md", "network +"),
    ] {
        let text = fs::read_to_string(run.join(file)).unwrap();
        assert!(text.contains(words), "{file}: {text}");
    }
}

#[test]
fn people_are_told_what_happens_and_the_secret_stays_with_them() {
    let threads = tokio::runtime::Runtime::new().unwrap();
    let server = threads.block_on(async {
        let server = MockServer::start().await;
        Mock::given(method("POST"))
            .and(path("/services/a-secret-of-the-channel"))
            .respond_with(ResponseTemplate::new(200))
            .mount(&server)
            .await;
        server
    });
    let workplace = Workplace::new();
    let file = workplace
        .path()
        .join("drills/environments/two-machines.yaml");
    let text = fs::read_to_string(&file).unwrap();
    let notify = "notify:\n  - slack: { url: \"${SLACK_WEBHOOK}\", from: information }\n";
    fs::write(&file, format!("{text}{notify}")).unwrap();
    let secret = format!("{}/services/a-secret-of-the-channel", server.uri());
    let mut command = workplace.run("quick", &[]);
    let output = workplace.measured(
        command
            .env("SLACK_WEBHOOK", &secret)
            .env_remove("http_proxy")
            .env_remove("HTTP_PROXY"),
    );
    assert_eq!(code(&output), 0, "{}{}", stdout(&output), stderr(&output));
    assert!(
        !stderr(&output).contains("could not tell"),
        "{}",
        stderr(&output)
    );
    let told = threads.block_on(server.received_requests()).unwrap();
    let told: Vec<String> = told
        .iter()
        .map(|request| String::from_utf8_lossy(&request.body).into_owned())
        .collect();
    for words in ["begins on", "it begins to break things", "passed"] {
        assert!(
            told.iter().any(|text| text.contains(words)),
            "{words}: {told:?}"
        );
    }
    for entry in fs::read_dir(workplace.only_run()).unwrap() {
        let path = entry.unwrap().path();
        let text = fs::read_to_string(&path).unwrap();
        assert!(
            !text.contains("a-secret-of-the-channel"),
            "{}",
            path.display()
        );
    }

    let mut plan = blackstart(workplace.path(), ["plan", "drills/quick.yaml"]);
    let output = plan.env("SLACK_WEBHOOK", &secret).output().unwrap();
    assert!(
        stdout(&output).contains("slack      from information on, within 10s, such as"),
        "{}",
        stdout(&output)
    );
    assert!(!stdout(&output).contains("a-secret-of-the-channel"));

    let mut rehearsal = workplace.run("quick", &["--dry-run", "--quiet"]);
    let output = rehearsal.env("SLACK_WEBHOOK", &secret).output().unwrap();
    assert!(
        stderr(&output).contains("would tell slack of two-machines: POST "),
        "{}",
        stderr(&output)
    );
    assert!(
        !stderr(&output).contains("a-secret-of-the-channel"),
        "{}",
        stderr(&output)
    );
    let after = threads.block_on(server.received_requests()).unwrap();
    assert_eq!(after.len(), told.len(), "a dry run tells nobody");
}

#[test]
fn whoever_leaves_at_once_is_kept_two_seconds_for_those_who_are_to_be_told() {
    let threads = tokio::runtime::Runtime::new().unwrap();
    let channel = threads.block_on(async {
        let server = MockServer::start().await;
        Mock::given(method("POST"))
            .respond_with(ResponseTemplate::new(200))
            .mount(&server)
            .await;
        server
    });
    // It takes connections and never answers, for as long as it may take.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let workplace = Workplace::new();
    let file = workplace
        .path()
        .join("drills/environments/two-machines.yaml");
    let text = fs::read_to_string(&file).unwrap();
    let notify = format!(
        "notify:\n  - webhook: {{ url: \"{}\" }}\n  - webhook: {{ url: \"http://{}/\", within: 5m }}\n",
        channel.uri(),
        silent.local_addr().unwrap()
    );
    fs::write(&file, text + &notify).unwrap();
    let running = workplace.start_endless();
    for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP] {
        running.signal(signal);
    }
    // This waits for a minute at most.
    let (status, _, said) = running.end();
    // Whichever of them was heard first: the kernel keeps no order of signals.
    assert!(matches!(status.code(), Some(130 | 143)), "{status}: {said}");
    assert!(said.contains("for the third time: leaving"), "{said}");
    assert!(
        said.contains("not everything could be told in time"),
        "{said}"
    );
    let told = threads.block_on(channel.received_requests()).unwrap();
    let last = String::from_utf8_lossy(&told.last().unwrap().body).into_owned();
    assert!(last.contains("for the third time: leaving"), "{last}");
}

#[test]
fn a_channel_whose_variable_is_empty_is_off_and_a_plan_says_so() {
    let workplace = Workplace::new();
    let file = workplace
        .path()
        .join("drills/environments/two-machines.yaml");
    let text = fs::read_to_string(&file).unwrap();
    let channels = [
        "slack: { url: \"${NOBODY:-}\" }",
        "pagerduty: { routing-key: \"${NOBODY:-}\" }",
        "webhook: { url: \"${NOBODY:-}\" }",
    ];
    let notify = channels.map(|channel| format!("  - {channel}\n")).concat();
    fs::write(&file, format!("{text}notify:\n{notify}")).unwrap();
    let mut plan = blackstart(workplace.path(), ["plan", "drills/quick.yaml"]);
    for nobody in [None, Some("")] {
        let output = plan
            .envs(nobody.map(|nobody| ("NOBODY", nobody)))
            .output()
            .unwrap();
        assert_eq!(code(&output), 0, "{}", stderr(&output));
        let off = stdout(&output).matches("off: a variable that says where is empty");
        assert_eq!(off.count(), 3, "{}", stdout(&output));
    }
}
