use std::{collections::BTreeSet, fs, path::Path};

use super::*;
use crate::{
    cli,
    drill::{decode, expectations::EXPECTATIONS},
    source::{Coloring, Document, Reading},
};

/// Topics that are neither faults nor expectations: exit codes, findings, traps, and what bounds a drill.
const OTHERS: [&str; 56] = [
    "abort-if",
    "aborted",
    "certificate-not-checked",
    "clock-jump",
    "compare",
    "control-plane-needed",
    "disabled-is-healthy",
    "dns-cache-stragglers",
    "dry-run",
    "exercise",
    "exit-0",
    "exit-1",
    "exit-130",
    "exit-143",
    "exit-2",
    "exit-3",
    "exit-4",
    "exit-5",
    "fail-open",
    "false-negative",
    "false-positive",
    "fault-undone",
    "gray-failure",
    "guard",
    "health-check-blind",
    "inconclusive",
    "interactive",
    "ipv6-left-behind",
    "keep-alive-stragglers",
    "kill-switch",
    "limits",
    "max-fault",
    "notify",
    "page-outlives-recovery",
    "pass-rate",
    "preflight",
    "prober-late",
    "protected",
    "readiness-coupled",
    "redirect-checked",
    "repeats",
    "revert",
    "rto-cache-wait",
    "serve",
    "speed",
    "standby-dead",
    "standby-overloaded",
    "standby-unused",
    "steady-state",
    "tiers",
    "trend",
    "variables",
    "watch",
    "where-the-time-went",
    "writes-do-not-fail-over",
    "writes-forbidden",
];

#[test]
fn every_fault_expectation_exit_code_finding_and_trap_has_a_page_and_there_is_no_other() {
    let wanted: BTreeSet<&str> = decode::FAULTS
        .into_iter()
        .chain(EXPECTATIONS)
        .chain(OTHERS)
        .collect();
    assert_eq!(topics().collect::<BTreeSet<_>>(), wanted);
    assert!(topics().is_sorted());
}

#[test]
fn every_file_of_the_folder_is_a_page() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/explain");
    let files: BTreeSet<String> = fs::read_dir(folder)
        .expect("the folder is there")
        .map(|entry| {
            let path = entry.expect("an entry can be read").path();
            path.file_stem()
                .expect("a file has a name")
                .to_string_lossy()
                .into_owned()
        })
        .collect();
    assert_eq!(files, topics().map(str::to_owned).collect());
}

#[test]
fn pages_fit_a_screen_and_start_with_their_topic() {
    for page in PAGES {
        let lines: Vec<&str> = page.text.lines().collect();
        assert!(
            (8..=30).contains(&lines.len()),
            "{}: {} lines",
            page.topic,
            lines.len()
        );
        for line in &lines {
            assert!(line.chars().count() <= 104, "{}: {line}", page.topic);
        }
        let topic = page.topic.replace("exit-", "exit ");
        assert!(
            lines[0].starts_with(&format!("{topic} - ")),
            "{}: {}",
            page.topic,
            lines[0]
        );
        assert!(!page.title().is_empty());
    }
}

/// The blocks of a page that are indented by four spaces, without their indentation.
fn examples(page: &Page) -> Vec<String> {
    let mut blocks = vec![String::new()];
    for line in page.text.lines() {
        match (line.strip_prefix("    "), blocks.last_mut()) {
            (Some(line), Some(block)) => {
                block.push_str(line);
                block.push('\n');
            }
            _ => blocks.push(String::new()),
        }
    }
    blocks.retain(|block| !block.is_empty());
    blocks
}

#[test]
fn the_examples_on_the_pages_can_be_read() {
    let mut read = 0;
    for page in PAGES {
        for example in examples(page) {
            let has = |key: &str| example.lines().any(|line| line.starts_with(key));
            if !["faults:", "expect:", "steady-state:"]
                .iter()
                .any(|key| has(key))
            {
                continue;
            }
            let mut text = format!("drill: example\nenvironment: any\nhold: 1m\n{example}");
            if !has("faults:") {
                text.push_str("faults: [ { stop: { target: vm } } ]\n");
            }
            if !has("expect:") {
                text.push_str("expect: { rto: { within: 1m } }\n");
            }
            let (document, problems) = Document::parse(
                Path::new(page.topic),
                text.into(),
                Reading::Original(&|_| None),
            );
            assert!(problems.is_empty(), "{}", problems.render(Coloring::Plain));
            let (_, problems) = decode::decode(&document.expect("it is YAML"));
            assert!(problems.is_empty(), "{}", problems.render(Coloring::Plain));
            read += 1;
        }
    }
    assert!(read > 25, "only {read} examples were found");
}

#[test]
fn pages_name_only_commands_and_options_that_there_are() {
    let program = cli::command();
    let commands: BTreeSet<String> = program
        .get_subcommands()
        .map(|command| command.get_name().to_owned())
        .collect();
    let mut options = BTreeSet::from(["help".to_owned(), "version".to_owned()]);
    let mut unseen = vec![&program];
    while let Some(command) = unseen.pop() {
        options.extend(
            command
                .get_arguments()
                .filter_map(|argument| argument.get_long().map(str::to_owned)),
        );
        unseen.extend(command.get_subcommands());
    }
    let word = |text: &str| {
        let ends = |character: char| !character.is_ascii_lowercase() && character != '-';
        text.split(ends).next().unwrap_or_default().to_owned()
    };
    let mut named = 0;
    for page in PAGES {
        for after in page.text.split("`blackstart ").skip(1) {
            assert!(commands.contains(&word(after)), "{}: {after}", page.topic);
            named += 1;
        }
        // Options of other programs do not stand between backticks.
        for after in page.text.split("`--").skip(1) {
            assert!(options.contains(&word(after)), "{}: {after}", page.topic);
            named += 1;
        }
        let inside = page.text.split('`').skip(1).step_by(2);
        for command in inside.filter(|text| text.starts_with("blackstart ")) {
            for after in command.split(" --").skip(1) {
                assert!(options.contains(&word(after)), "{}: {command}", page.topic);
            }
        }
    }
    assert!(named > 3, "only {named} were found");
}

#[test]
fn a_misspelt_topic_leads_to_the_nearest() {
    assert_eq!(page("rto").map(|page| page.topic), Some("rto"));
    assert_eq!(page("rtp"), None);
    assert_eq!(nearest("rtp"), Some("rto"));
    assert_eq!(nearest("standby-daed"), Some("standby-dead"));
    assert_eq!(nearest("weather"), None);
}
