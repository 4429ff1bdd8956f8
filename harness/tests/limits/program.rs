//! The real program: what it refuses before it begins.

use std::{
    process::{Command, Output, Stdio},
    sync::Arc,
};

use blackstart::{
    exit_code::ExitCode,
    plan::{PlanError, plan},
    run::Refusal,
};

use super::trial::Trial;

fn run(trial: &Trial, arguments: &[&str], variables: &[(&str, &str)]) -> Output {
    let file = trial.write();
    Command::new(env!("CARGO_BIN_EXE_blackstart"))
        .arg("run")
        .arg(file)
        .args(arguments)
        .current_dir(trial.folder.path())
        .env_remove("BLACKSTART_KILL_SWITCH")
        .envs(variables.iter().copied())
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

/// Refused with a code and these words, and without a trace in the reports.
fn assert_refused(trial: &Trial, output: &Output, code: i32, words: &str) {
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{stderr}");
    assert!(stderr.contains(words), "{stderr}");
    assert!(!trial.folder.path().join("reports").exists());
}

#[test]
fn a_protected_environment_wants_its_own_name_and_takes_it_from_nowhere_else() {
    let trial = Trial::new().with("protected: true").holding("10s");
    for arguments in [
        &[][..],
        &["--confirm", "two"],
        &["--confirm", "TWO-MACHINES"],
    ] {
        let output = run(&trial, arguments, &[("BLACKSTART_CONFIRM", "two-machines")]);
        assert_refused(
            &trial,
            &output,
            2,
            "the environment `two-machines` is protected and was not confirmed",
        );
    }
    let output = run(&trial, &["--confirm", "two-machines"], &[]);
    assert_eq!(
        output.status.code(),
        Some(0),
        "{}",
        String::from_utf8_lossy(&output.stdout)
    );
}

#[test]
fn a_protected_environment_cannot_be_reached_round_the_command_line() {
    let trial = Trial::new().with("protected: true");
    let selection = blackstart::catalog::Selection {
        paths: vec![trial.write()],
        ..Default::default()
    };
    let (catalog, _) = blackstart::catalog::load(&selection, &|_| None);
    let environment = &catalog.entries[0].environment;
    assert!(matches!(
        trial.terms.permit(environment),
        Err(Refusal::NotConfirmed { .. })
    ));
}

#[test]
fn a_plan_outside_the_limits_names_the_line() {
    let trial = Trial::new();
    let selection = blackstart::catalog::Selection {
        paths: vec![trial.write()],
        ..Default::default()
    };
    let (mut catalog, _) = blackstart::catalog::load(&selection, &|_| None);
    let mut entry = catalog.entries.remove(0);
    let limits = &mut Arc::make_mut(&mut entry.environment).limits;
    limits.targets = Some(vec!["second".to_owned()]);
    let error = plan(Arc::new(entry.drill), entry.environment, None).unwrap_err();
    assert!(matches!(error, PlanError::Limits { number: 1, .. }));
    let (words, cause) = (
        error.to_string(),
        std::error::Error::source(&error).unwrap().to_string(),
    );
    assert!(
        words.ends_with("trial.yaml:4: fault 1 is outside the limits of the environment"),
        "{words}"
    );
    assert_eq!(
        cause,
        "`limits: targets` does not name `first`: only second may be touched"
    );
}

#[test]
fn nothing_begins_while_a_kill_switch_is_on() {
    let trial = Trial::new();
    let switch = trial.folder.path().join("stop-all");
    let path = switch.display().to_string();
    let named = Trial::new().with(&format!("limits: {{ kill-switch: {path} }}"));
    std::fs::write(&switch, "").unwrap();
    let code = i32::from(ExitCode::CouldNotRun.code());
    let output = run(&trial, &[], &[("BLACKSTART_KILL_SWITCH", &path)]);
    assert_refused(&trial, &output, code, "the kill switch is on");
    let output = run(&named, &[], &[]);
    assert_refused(&named, &output, code, "the kill switch is on");
    let output = run(&named, &["--dry-run"], &[]);
    assert_refused(&named, &output, code, "the kill switch is on");
}
