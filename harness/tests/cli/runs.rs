//! Drills that run to their end.

use std::{
    fs,
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
};

use blackstart::{journal, timeline::Event};

use crate::{
    code,
    program::{Workplace, blackstart, entries, stderr, stdout},
    quick,
};

#[test]
fn a_run_prints_its_report_on_stdout_and_what_happens_on_stderr() {
    let (_, output) = quick();
    let (report, live) = (stdout(output), stderr(output));
    assert_eq!(code(output), 0, "{report}{live}");
    assert!(
        report.starts_with("DRILL  quick") && report.contains("PASS"),
        "{report}"
    );
    assert!(
        report.contains("restored   1 of 1 fault reverted and verified (first)"),
        "{report}"
    );
    for word in [
        "PHASE    steady-state",
        "FAULT ",
        "PHASE    hold",
        "REVERT ",
        "END      completed",
    ] {
        assert!(live.contains(word), "no `{word}` in {live}");
        assert!(!report.contains(word), "`{word}` in {report}");
    }
    assert!(
        !report.contains('\u{1b}') && !live.contains('\u{1b}'),
        "colours on a pipe"
    );
}

#[test]
fn a_run_leaves_its_files_and_latest_points_at_them() {
    let (workplace, _) = quick();
    let run = workplace.only_run();
    for name in [
        "events.ndjson",
        "undo.ndjson",
        "drill.yaml",
        "environment.yaml",
        "report.json",
        "report.html",
        "TEST-drills.xml",
        "summary.md",
        "blackstart.prom",
    ] {
        assert!(
            fs::metadata(run.join(name)).is_ok_and(|file| file.len() > 0),
            "{name}"
        );
    }
    let same = |copy: &str, original: &str| {
        fs::read(run.join(copy)).unwrap() == fs::read(workplace.path().join(original)).unwrap()
    };
    assert!(same("drill.yaml", "drills/quick.yaml"));
    assert!(same(
        "environment.yaml",
        "drills/environments/two-machines.yaml"
    ));
    let latest = fs::canonicalize(workplace.path().join("reports/latest")).unwrap();
    assert_eq!(latest, fs::canonicalize(&run).unwrap());
    let journal = journal::read(&run.join(journal::FILE_NAME)).unwrap();
    assert_eq!(journal.captured().len(), 1, "{journal:?}");
    assert!(
        journal.leftovers().is_empty() && !journal.torn,
        "{journal:?}"
    );
    assert_eq!(journal.damaged, []);
}

#[test]
fn a_drill_on_a_sick_system_breaks_nothing() {
    let workplace = Workplace::new();
    let output = workplace.run("sick", &[]).output().unwrap();
    assert_eq!(code(&output), 3, "{}{}", stdout(&output), stderr(&output));
    assert!(
        stdout(&output).contains("steady state not met") && stdout(&output).contains("`standby`"),
        "{}",
        stdout(&output)
    );
    let run = workplace.only_run();
    let journal = journal::read(&run.join(journal::FILE_NAME)).unwrap();
    assert!(journal.header().is_some() && journal.captured().is_empty());
    assert!(
        !entries(&run)
            .iter()
            .any(|entry| matches!(entry.event, Event::Fault { .. }))
    );
}

#[test]
fn several_drills_have_a_folder_each_and_an_index_of_all_and_quiet_is_quiet() {
    let workplace = Workplace::new();
    let arguments = [
        "run", "--tag", "quick", "--tag", "sick", "--quiet", "--format", "json",
    ];
    let output = blackstart(workplace.path(), arguments).output().unwrap();
    assert_eq!(code(&output), 3, "{}{}", stdout(&output), stderr(&output));
    let run = workplace.only_run();
    for (folder, drills) in [("quick", 1), ("sick", 1), ("", 2)] {
        let folder = run.join(folder);
        let junit = fs::read_to_string(folder.join("TEST-drills.xml")).unwrap();
        let junit = quick_junit::Report::deserialize_from_str(&junit).unwrap();
        assert_eq!(junit.test_suites.len(), drills);
        assert!(folder.join("report.json").exists());
    }
    let printed = fs::read_to_string(run.join("report.json")).unwrap();
    assert_eq!(stdout(&output).trim_end(), printed.trim_end());
    assert!(!stderr(&output).contains("PHASE"), "{}", stderr(&output));
}

/// Every file that a page of a run leads to, by where it is said.
fn links(run: &Path) -> Vec<(PathBuf, bool)> {
    let mut found = Vec::new();
    for folder in [run.to_owned(), run.join("01"), run.join("02")] {
        let Ok(page) = fs::read_to_string(folder.join("report.html")) else {
            continue;
        };
        let links = page.split("href=\"").skip(1);
        let links = links.filter_map(|rest| rest.split('"').next());
        found.extend(links.filter(|link| !link.starts_with('#')).map(|link| {
            let file = folder.join(link);
            let is_there = file.is_file();
            (file, is_there)
        }));
    }
    found
}

#[test]
fn however_many_runs_of_a_drill_there_are_one_report_is_over_all_of_them() {
    for runs in [1, 2] {
        let workplace = Workplace::new();
        let repeat = runs.to_string();
        let more = ["--repeat", &repeat, "--quiet", "--format", "json"];
        let output = workplace.measured(&mut workplace.run("quick", &more));
        assert_eq!(code(&output), 0, "{}{}", stdout(&output), stderr(&output));
        let run = workplace.only_run();
        let links = links(&run);
        assert_eq!(links.len(), 2 * runs, "to each run and back: {links:?}");
        for (file, is_there) in links {
            assert!(is_there, "a dead link to {}", file.display());
        }
        let printed: serde_json::Value = serde_json::from_str(stdout(&output)).unwrap();
        assert_eq!(printed["drills"].as_array().map(Vec::len), Some(runs));
        assert_eq!(printed["repeats"][0]["done"], runs);
        assert_eq!(printed["repeats"][0]["rates"][0]["passed"], runs);
        let written = || fs::read_to_string(run.join("report.json")).unwrap();
        let first = written();
        assert!(stdout(&output) == first, "another report than the file's");
        let folder = format!("reports/{}", run.file_name().unwrap().to_str().unwrap());
        let again = blackstart(workplace.path(), ["report", &folder])
            .output()
            .unwrap();
        assert_eq!(code(&again), 0, "{}", stderr(&again));
        assert!(written() == first, "rebuilt as something else");
    }
}

#[test]
fn arguments_need_not_be_text() {
    let workplace = Workplace::new();
    let reports = std::ffi::OsStr::from_bytes(b"rep\xffrts");
    let mut command = workplace.run("quick", &["--quiet", "--reports"]);
    let output = workplace.measured(command.arg(reports));
    assert_eq!(code(&output), 0, "{}{}", stdout(&output), stderr(&output));
    assert!(
        workplace
            .path()
            .join(reports)
            .join("latest/report.json")
            .exists()
    );
}

#[test]
fn without_a_place_for_the_report_nothing_is_injected() {
    let workplace = Workplace::new();
    fs::write(workplace.path().join("file"), "").unwrap();
    let output = workplace
        .run("quick", &["--reports", "file/reports"])
        .output()
        .unwrap();
    assert_eq!((code(&output), stdout(&output)), (3, ""));
    assert!(
        stderr(&output).contains("file/reports")
            && stderr(&output).contains("nothing was injected"),
        "{}",
        stderr(&output)
    );
}
