//! `lab up`.

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader},
    process::{Command, Stdio},
};

use nix::sys::signal::Signal;

use crate::program::{Running, blackstart, repository, stderr, stdout};

fn is_installed(program: &str) -> bool {
    Command::new(program)
        .arg("--version")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok()
}

#[test]
fn a_lab_in_the_foreground_can_be_tried_by_hand_until_sigterm() {
    let mut command = blackstart(&repository(), ["lab", "up", "three-tier"]);
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap())
        .lines()
        .map(Result::unwrap);
    let running = Running(child);
    let printed: Vec<String> = lines
        .take_while(|line| !line.starts_with("Ctrl-C"))
        .collect();
    let commands: Vec<&str> = printed
        .iter()
        .map(|line| line.trim())
        .filter(|line| line.starts_with("dig ") || line.starts_with("curl "))
        .collect();
    assert_eq!(commands.len(), 7, "{printed:?}");
    let mut answers = BTreeMap::new();
    for command in &commands {
        let wanted = ["dig", "curl"]
            .into_iter()
            .filter(|program| command.contains(program));
        if let Some(missing) = wanted.into_iter().find(|program| !is_installed(program)) {
            #[expect(
                clippy::print_stderr,
                reason = "a test that does not test everything says so"
            )]
            {
                eprintln!("not tried, because {missing} is not installed: {command}");
            }
            continue;
        }
        let output = Command::new("sh").args(["-c", command]).output().unwrap();
        assert!(
            output.status.success(),
            "{command}: {}{}",
            stdout(&output),
            stderr(&output)
        );
        answers.insert(*command, stdout(&output).to_owned());
    }
    for (command, answer) in &answers {
        let expected = match *command {
            command if command.starts_with("dig") => "petclinic.elb.test",
            command if command.contains("--connect-to") => "Apache-Coyote",
            command if command.ends_with("/v1/resources") => r#"{"kind":"workload","name":"web"}"#,
            command if command.contains(r#""replicas": 0"#) => r#""replicas":0"#,
            _ => r#""replicas":2"#,
        };
        assert!(answer.contains(expected), "{command}: {answer}");
    }
    running.signal(Signal::SIGTERM);
    let (status, _, told) = running.end();
    assert_eq!(status.code(), Some(0), "{told}");
    assert!(told.contains("SIGTERM: the lab is down"), "{told}");
}
