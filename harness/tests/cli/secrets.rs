//! What variables hold: kept out of everything that a run shows and leaves, and the same when its report is rebuilt.

use std::{fs, path::Path, process::Command};

use crate::{
    code,
    program::{Workplace, blackstart, stderr, stdout},
};

/// Values that need escaping wherever they go, none of which is part of another word.
const SECRETS: [(&str, &str); 6] = [
    ("ANSWER", r#"an "answer" & <more>"#),
    ("TOKEN", r#"Bearer to\ken<&>'1""#),
    ("OWNER", "owner=42&x"),
    ("SEEN", "what-was/seen"),
    ("WHOSE", "the machine of mister X"),
    ("SITE", "http://www.shop.test/?key=hidden-in-the-url"),
];

fn exchange(file: &Path, pairs: &[(&str, &str)]) {
    let mut text = fs::read_to_string(file).unwrap();
    for (old, new) in pairs {
        assert!(text.contains(old), "{} has no `{old}`", file.display());
        text = text.replace(old, new);
    }
    fs::write(file, text).unwrap();
}

/// A workplace whose quick drill and environment are full of secrets.
fn workplace() -> Workplace {
    let workplace = Workplace::new();
    exchange(
        &workplace
            .path()
            .join("drills/environments/two-machines.yaml"),
        &[
            (
                "  url: http://www.shop.test/\n",
                concat!(
                    "  url: \"${SITE}\"\n",
                    "  requests:\n",
                    "    read: { headers: { authorization: \"${TOKEN}\", x-seen: \"${SEEN}\" } }\n",
                    "    order: { method: POST, path: /owners/new, form: { firstName: \"${OWNER}\" }, good-status: [200, 302, 400] }\n",
                ),
            ),
            (
                "probes:\n",
                "probes:\n  - http: { name: order, request: order, every: 2s }\n",
            ),
            ("about: the machine that serves", "about: \"${WHOSE}\""),
        ],
    );
    exchange(
        &workplace.path().join("drills/quick.yaml"),
        &[
            ("status: 503 }", "status: 200, body: \"${ANSWER}\" }"),
            (
                "expect:\n",
                "expect:\n  body: { contains: \"${ANSWER}\" }\n  header: { name: server, contains: \"${SEEN}\" }\n",
            ),
            ("about: The machine", "about: \"${WHOSE}: the machine"),
            ("anywhere else.\n", "anywhere else.\"\n"),
        ],
    );
    workplace
}

fn assert_hidden(what: &str, text: &str) {
    for (name, value) in SECRETS {
        let json = serde_json::to_string(value).unwrap();
        let xml = value
            .replace('&', "&amp;")
            .replace('<', "&lt;")
            .replace('>', "&gt;");
        for spelling in [value, &json[1..json.len() - 1], &xml] {
            assert!(!text.contains(spelling), "{name} is in {what}:\n{text}");
        }
    }
    assert!(!text.contains("hidden-in-the-url"), "{what}:\n{text}");
}

/// Every file of a run with its text.
fn files(folder: &Path) -> Vec<(String, String)> {
    let files = fs::read_dir(folder).unwrap().map(|entry| {
        let path = entry.unwrap().path();
        let text = fs::read_to_string(&path).unwrap();
        (path.display().to_string(), text)
    });
    files.collect()
}

#[test]
fn what_variables_hold_is_nowhere_in_what_a_run_shows_and_leaves() {
    let workplace = workplace();
    let with_secrets = |mut command: Command| command.envs(SECRETS).output().unwrap();
    for command in ["plan", "list", "check"] {
        let output = with_secrets(blackstart(workplace.path(), [command, "drills/quick.yaml"]));
        assert_eq!(code(&output), 0, "{}{}", stdout(&output), stderr(&output));
        assert_hidden(command, stdout(&output));
        assert_hidden(command, stderr(&output));
        let expectation = stdout(&output).contains(r#"body contains "${ANSWER}""#);
        assert_eq!(expectation, command != "check", "{}", stdout(&output));
    }
    let mut command = workplace.run("quick", &["--speed", "60"]);
    let output = workplace.measured(command.envs(SECRETS));
    let (shown, told) = (stdout(&output), stderr(&output));
    // The header is not what was expected, which is told too.
    assert_eq!(code(&output), 1, "{shown}{told}");
    assert_hidden("stdout", shown);
    assert_hidden("stderr", told);
    let run = workplace.only_run();
    let left = files(&run);
    assert!(left.len() >= 6, "{left:?}");
    for (name, text) in &left {
        assert_hidden(name, text);
    }
    // The body was recognised all the same.
    assert!(
        shown.contains(r#"PASS  body contains "${ANSWER}""#),
        "{shown}"
    );
    assert!(shown.contains("does not contain `${SEEN}`"), "{shown}");

    // Without the variables, and with others, the report is the same.
    let rebuilt = |value: Option<&str>| {
        let mut command = blackstart(workplace.path(), ["report", run.to_str().unwrap()]);
        if let Some(value) = value {
            command.envs(SECRETS.map(|(name, _)| (name, value)));
        }
        let output = command.output().unwrap();
        assert_eq!(code(&output), 1, "{}{}", stdout(&output), stderr(&output));
        fs::read_to_string(run.join("report.json")).unwrap()
    };
    let once = rebuilt(None);
    assert_eq!(once, rebuilt(Some("something else")));
    assert_hidden("the rebuilt report", &once);
}

#[test]
fn a_report_is_rebuilt_with_the_values_that_were_in_force() {
    let workplace = Workplace::new();
    exchange(
        &workplace.path().join("drills/quick.yaml"),
        &[
            ("within: 2m", "within: \"${LIM:-3m}\""),
            ("hold: 10s", "hold: \"${HOLD:-10s}\""),
        ],
    );
    let mut first = workplace.run("quick", &["--quiet"]);
    let output = workplace.measured(first.env("LIM", "45s"));
    assert_eq!(code(&output), 0, "{}{}", stdout(&output), stderr(&output));
    let run = workplace.only_run();
    let report = || fs::read_to_string(run.join("report.json")).unwrap();
    let written = report();
    assert!(
        written.contains("failback to first within 45s"),
        "{written}"
    );
    let folder = run.file_name().unwrap().to_str().unwrap();
    let given = format!("reports/{folder}");
    for variables in [&[][..], &[("LIM", "5s"), ("HOLD", "1s")], &[("LIM", "")]] {
        let mut command = blackstart(workplace.path(), ["report", &given]);
        let output = command.envs(variables.iter().copied()).output().unwrap();
        assert_eq!(code(&output), 0, "{}{}", stdout(&output), stderr(&output));
        assert_eq!(report(), written);
    }
}
