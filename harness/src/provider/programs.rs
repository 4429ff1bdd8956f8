//! The command binding: programs beside the harness that break a target, put it back and tell how it is, for what there is no other
//! binding for. No shell reads their arguments.
//!
//! The undo record has the programs themselves, so that guard and `revert` need nothing else but them and their variables.

use std::{process::Stdio, time::Duration};

use nix::{
    sys::signal::{Signal, killpg},
    unistd::Pid,
};
use serde::{Deserialize, Serialize};
use tokio::{
    io::{AsyncRead, AsyncReadExt},
    process::{Child, Command as Process},
    time::timeout,
};

use super::{
    Current, Fault, Health, Need, Planned, Provider, ProviderError, Undo,
    command::{CommandError, Ended, Output, variables},
};
use crate::{
    drill::{self, Command},
    environment::{Binding, Environment, Programs, Target, Thing, Touched},
    hostile::shell_words,
    probe::BoxFuture,
};

/// What every program gets of the harness's own environment: what it is found by, and where its settings are.
const KEPT: [&str; 4] = ["PATH", "HOME", "LANG", "TMPDIR"];
/// How long what a program has started may still print when the program itself has ended.
const LAST_WORDS: Duration = Duration::from_millis(200);

/// Runs the programs that an environment names.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct ProgramsProvider;

/// What is captured: the programs, and whether what they break is broken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct State {
    command: Command,
    is_in_place: bool,
}

/// What a fault will do, for a plan. Runs nothing.
///
/// # Errors
/// If the target has no programs for it.
pub(super) fn planned(programs: &Programs, fault: &drill::Fault) -> Result<Planned, ProviderError> {
    let command = command(programs, fault)?;
    Ok(Planned {
        describe: format!("run `{}`", shell_words(&command.inject)),
        describe_revert: format!("run `{}`", shell_words(&command.revert)),
        touches: "whatever the programs touch".to_owned(),
        thing: Thing::Command,
        warnings: vec![
            "what the programs touch is not limited by anything but their own permissions"
                .to_owned(),
        ],
    })
}

/// What is missing on this machine to run the programs of an environment.
pub(super) fn needs(environment: &Environment) -> Vec<Need> {
    let mut missing = Vec::new();
    for target in environment.targets.values() {
        let Target::Command(programs) = target else {
            continue;
        };
        let faults = programs.faults.values().flat_map(|command| {
            let argv = [&command.inject, &command.revert, &command.verify];
            argv.map(|argv| (argv, &command.environment))
        });
        let health = programs
            .health
            .iter()
            .map(|health| (&health.run, &health.environment));
        for (argv, names) in faults.chain(health) {
            let program = argv.first().map(String::as_str).unwrap_or_default();
            if !super::is_program(program) {
                missing.push(format!("the program `{program}` is not in PATH"));
            }
            let unset = names.iter().filter(|name| std::env::var_os(name).is_none());
            missing.extend(unset.map(|name| format!("the variable `{name}` is not set")));
        }
    }
    missing.sort();
    missing.dedup();
    vec![Need {
        binding: Binding::Command,
        system: "programs on this machine".to_owned(),
        missing,
    }]
}

fn command(programs: &Programs, fault: &drill::Fault) -> Result<Command, ProviderError> {
    programs
        .command(fault)
        .ok_or_else(|| ProviderError::Unsupported {
            fault: fault.kind().to_owned(),
            resource: "a target with `command:`".to_owned(),
            can: programs.faults().join(", "),
        })
}

fn programs<'a>(environment: &'a Environment, target: &str) -> Result<&'a Programs, ProviderError> {
    let Some(Target::Command(programs)) = environment.targets.get(target) else {
        return Err(ProviderError::UnknownTarget {
            target: target.to_owned(),
        });
    };
    Ok(programs)
}

impl Provider for ProgramsProvider {
    fn resolve(
        &self,
        environment: &Environment,
        fault: &drill::Fault,
    ) -> Result<Box<dyn Fault>, ProviderError> {
        Ok(Box::new(ProgramFault {
            target: fault.target().to_owned(),
            command: command(programs(environment, fault.target())?, fault)?,
        }))
    }

    fn recall(&self, undo: &Undo) -> Result<Box<dyn Fault>, ProviderError> {
        undo.must_be_of(Binding::Command.as_str())?;
        let state: State = undo.captured()?;
        Ok(Box::new(ProgramFault {
            target: undo.target.clone(),
            command: state.command,
        }))
    }

    fn health<'a>(
        &'a self,
        environment: &'a Environment,
        target: &'a str,
    ) -> BoxFuture<'a, Result<Health, ProviderError>> {
        Box::pin(async move {
            let programs = programs(environment, target)?;
            let health = programs
                .health
                .as_ref()
                .ok_or_else(|| ProviderError::Unsupported {
                    fault: "health".to_owned(),
                    resource: "a target without `health:`".to_owned(),
                    can: programs.faults().join(", "),
                })?;
            let ended = run(&health.run, &health.environment, health.timeout).await?;
            Ok(Health {
                healthy: ended.says_in_place(&health.run)?,
                detail: ended.output.line(),
            })
        })
    }
}

#[derive(Debug)]
struct ProgramFault {
    target: String,
    command: Command,
}

impl ProgramFault {
    async fn run(&self, program: &[String]) -> Result<Ended, CommandError> {
        run(program, &self.command.environment, self.command.timeout).await
    }

    fn state(&self, is_in_place: bool) -> Result<serde_json::Value, ProviderError> {
        let state = State {
            command: self.command.clone(),
            is_in_place,
        };
        serde_json::to_value(state).map_err(|error| ProviderError::BadUndo {
            target: self.target.clone(),
            reason: error.to_string(),
        })
    }

    async fn is_in_place(&self) -> Result<bool, CommandError> {
        let verify = &self.command.verify;
        self.run(verify).await?.says_in_place(verify)
    }
}

impl Fault for ProgramFault {
    fn describe(&self) -> String {
        format!("run `{}`", shell_words(&self.command.inject))
    }

    fn touches(&self) -> Touched {
        Touched {
            target: self.target.clone(),
            thing: Thing::Command,
        }
    }

    fn capture(&self) -> BoxFuture<'_, Result<Undo, ProviderError>> {
        Box::pin(async move {
            let is_in_place = self.is_in_place().await?;
            Ok(Undo {
                target: self.target.clone(),
                binding: Binding::Command.as_str().to_owned(),
                resource: format!("`{}`", shell_words(&self.command.verify)),
                words: format!("run `{}`", shell_words(&self.command.revert)),
                state: self.state(is_in_place)?,
                injected: self.state(true)?,
            })
        })
    }

    fn inject(&self) -> BoxFuture<'_, Result<(), ProviderError>> {
        Box::pin(async move {
            let inject = &self.command.inject;
            Ok(self.run(inject).await?.succeeded(inject)?)
        })
    }

    fn current<'a>(&'a self, _: &'a Undo) -> BoxFuture<'a, Result<Current, ProviderError>> {
        Box::pin(async move {
            Ok(if self.is_in_place().await? {
                Current::AsInjected
            } else {
                Current::AsCaptured
            })
        })
    }

    fn revert<'a>(&'a self, _: &'a Undo) -> BoxFuture<'a, Result<(), ProviderError>> {
        Box::pin(async move {
            let revert = &self.command.revert;
            Ok(self.run(revert).await?.succeeded(revert)?)
        })
    }
}

/// Runs a program until it ends, or until its time is over: then it is killed with everything that it has started.
async fn run(program: &[String], names: &[String], limit: Duration) -> Result<Ended, CommandError> {
    let not_started = |reason: String| CommandError::NotStarted {
        program: shell_words(program),
        reason,
    };
    let (first, arguments) = program
        .split_first()
        .ok_or_else(|| not_started("it has no name".to_owned()))?;
    let kept = KEPT
        .iter()
        .filter_map(|name| Some((*name, std::env::var_os(name)?)));
    let mut child = Process::new(first)
        .args(arguments)
        .env_clear()
        .envs(kept)
        .envs(variables(names)?)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| not_started(error.to_string()))?;
    let mut group = Group::of(&child);
    match timeout(limit, to_its_end(&mut child)).await {
        Ok(ended) => {
            // What it has started may be what it is for.
            group.0 = None;
            ended.map_err(|error| not_started(error.to_string()))
        }
        Err(_) => Err(CommandError::TooSlow {
            program: shell_words(program),
            limit,
            then: ", and was killed",
        }),
    }
}

/// The processes of a program that has not ended, which are killed when this is dropped, also by a step that is given up.
struct Group(Option<Pid>);

impl Group {
    fn of(child: &Child) -> Self {
        let process = child.id().and_then(|id| i32::try_from(id).ok());
        Self(process.map(Pid::from_raw))
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(group) = self.0 {
            // It may have ended at this very moment.
            let _gone_already = killpg(group, Signal::SIGKILL);
        }
    }
}

/// Reads what a program prints until it has ended.
async fn to_its_end(child: &mut Child) -> std::io::Result<Ended> {
    let (mut out, mut err) = (child.stdout.take(), child.stderr.take());
    let mut output = Output::default();
    let status = {
        let reading = async {
            let (mut from_out, mut from_err) = ([0; 1024], [0; 1024]);
            while out.is_some() || err.is_some() {
                tokio::select! {
                    read = next(&mut out, &mut from_out), if out.is_some() => output.take(&from_out[..read]),
                    read = next(&mut err, &mut from_err), if err.is_some() => output.take(&from_err[..read]),
                }
            }
        };
        tokio::pin!(reading);
        tokio::select! {
            status = child.wait() => {
                // What it has started may hold its output open for ever.
                drop(timeout(LAST_WORDS, &mut reading).await);
                status?
            }
            () = &mut reading => child.wait().await?,
        }
    };
    Ok(Ended {
        code: status.code().map(i64::from),
        output,
    })
}

/// Reads on; at the end the reader is gone.
async fn next(reader: &mut Option<impl AsyncRead + Unpin>, buffer: &mut [u8]) -> usize {
    let Some(open) = reader else { return 0 };
    let read = open.read(buffer).await.unwrap_or_default();
    if read == 0 {
        *reader = None;
    }
    read
}

#[cfg(test)]
mod tests {
    use super::*;

    fn argv(words: &[&str]) -> Vec<String> {
        words.iter().map(|word| (*word).to_owned()).collect()
    }

    async fn sh(script: &str, names: &[String], limit: Duration) -> Result<Ended, CommandError> {
        run(&argv(&["sh", "-c", script]), names, limit).await
    }

    const LONG: Duration = Duration::from_secs(30);

    #[tokio::test]
    async fn what_a_program_prints_and_how_it_ends_is_kept() {
        let ended = sh("echo out; echo err >&2; exit 3", &[], LONG)
            .await
            .unwrap();
        assert_eq!(ended.code, Some(3));
        let line = ended.output.line();
        assert!(line.contains("out") && line.contains("err"), "{line}");
    }

    #[tokio::test]
    async fn no_shell_reads_arguments_and_no_variable_is_there_that_is_not_named() {
        let ended = run(&argv(&["echo", "$HOME; exit 1"]), &[], LONG)
            .await
            .unwrap();
        assert_eq!(
            (ended.code, ended.output.line().as_str()),
            (Some(0), "$HOME; exit 1")
        );
        // Every test has this one.
        let name = "CARGO_MANIFEST_DIR";
        let script = format!("echo \"[${name}]\"");
        let without = sh(&script, &[], LONG).await.unwrap();
        assert_eq!(without.output.line(), "[]");
        let with = sh(&script, &[name.to_owned()], LONG).await.unwrap();
        assert_eq!(
            with.output.line(),
            format!("[{}]", env!("CARGO_MANIFEST_DIR"))
        );
    }

    #[tokio::test]
    async fn a_program_that_takes_too_long_is_killed_with_what_it_has_started() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("alive");
        let script = format!("(sleep 2; echo yes > {}) & sleep 60", file.display());
        let error = sh(&script, &[], Duration::from_millis(200))
            .await
            .unwrap_err();
        assert!(matches!(error, CommandError::TooSlow { .. }), "{error}");
        tokio::time::sleep(Duration::from_millis(2500)).await;
        assert!(!file.exists());
    }

    #[tokio::test]
    async fn what_a_program_leaves_in_the_background_holds_nobody_up() {
        let ended = sh("sleep 5 & echo done", &[], LONG).await;
        let ended = ended.unwrap();
        assert_eq!(
            (ended.code, ended.output.line().as_str()),
            (Some(0), "done")
        );
    }

    #[tokio::test]
    async fn a_program_that_is_not_there_is_named() {
        let error = run(&argv(&["blackstart-no-such-program", "x"]), &[], LONG).await;
        let words = error.unwrap_err().to_string();
        assert!(
            words.contains("`blackstart-no-such-program x` could not be started"),
            "{words}"
        );
    }
}
