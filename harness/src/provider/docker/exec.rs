//! Programs that run inside containers: the `command` fault.

use bollard::exec::{CreateExecOptions, StartExecResults};
use futures_util::{StreamExt, future::try_join_all};
use serde::{Deserialize, Serialize};
use tokio::time::timeout;

use super::{
    DockerError,
    engine::{Engine, asked},
    found::Status,
    snapshot::{Known, Of},
};
use crate::{
    drill::Command,
    hostile::shell_words,
    provider::{
        ProviderError,
        command::{CommandError, Ended, environment},
    },
};

/// What exec says when there is no such program, or it may not be run.
const NOT_FOUND: [i64; 2] = [126, 127];

/// Whether what a command breaks is broken.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Commanded {
    pub(super) command: Command,
    pub(super) is_in_place: bool,
}

/// Asks `verify` in each container.
pub(super) async fn read(
    engine: &Engine,
    containers: &[(String, String)],
    command: &Command,
) -> Result<Of<Commanded>, ProviderError> {
    let read = containers.iter().map(|(name, id)| async move {
        let is = match engine.status(id).await? {
            None => None,
            Some(status) => {
                must_run(name, status)?;
                let ended = run(engine, id, command, &command.verify).await?;
                Some(Commanded {
                    command: command.clone(),
                    is_in_place: ended.says_in_place(&command.verify)?,
                })
            }
        };
        let known = Known { id: id.clone(), is };
        Ok::<_, ProviderError>((name.clone(), known))
    });
    Ok(try_join_all(read).await?.into_iter().collect())
}

/// Runs `inject` or `revert` in a container.
pub(super) async fn set(
    engine: &Engine,
    id: &str,
    wanted: &Commanded,
) -> Result<(), ProviderError> {
    let command = &wanted.command;
    let Some(status) = engine.status(id).await? else {
        return Ok(());
    };
    must_run(id, status)?;
    let program = if wanted.is_in_place {
        &command.inject
    } else {
        &command.revert
    };
    run(engine, id, command, program)
        .await?
        .succeeded(program)?;
    Ok(())
}

fn must_run(container: &str, status: Status) -> Result<(), DockerError> {
    match status {
        Status::Running => Ok(()),
        Status::Paused | Status::Stopped => Err(DockerError::DoesNotRun(container.to_owned())),
    }
}

/// Runs a program in a container and waits until it ends.
async fn run(
    engine: &Engine,
    id: &str,
    command: &Command,
    program: &[String],
) -> Result<Ended, ProviderError> {
    let variables = environment(command)?;
    let variables = variables
        .into_iter()
        .map(|(name, value)| format!("{name}={value}"));
    let options = CreateExecOptions {
        attach_stdout: Some(true),
        attach_stderr: Some(true),
        cmd: Some(program.to_vec()),
        env: Some(variables.collect()),
        ..CreateExecOptions::default()
    };
    let running = async {
        let client = engine.client();
        let created = client
            .create_exec(id, options)
            .await
            .map_err(asked("preparing a command in a container"))?;
        let mut ended = Ended::default();
        let started = client
            .start_exec(&created.id, None)
            .await
            .map_err(asked("starting a command in a container"))?;
        if let StartExecResults::Attached { mut output, .. } = started {
            while let Some(piece) = output.next().await {
                let piece = piece.map_err(asked("reading what a command printed"))?;
                ended.output.take(&piece.into_bytes());
            }
        }
        let inspected = client
            .inspect_exec(&created.id)
            .await
            .map_err(asked("inspecting a command in a container"))?;
        ended.code = inspected.exit_code;
        Ok::<_, DockerError>(ended)
    };
    let ended = timeout(command.timeout, running)
        .await
        .map_err(|_| CommandError::TooSlow {
            program: shell_words(program),
            limit: command.timeout,
            then: ", and goes on in its container, where the engine has no way to end it",
        })??;
    if ended.code.is_some_and(|code| NOT_FOUND.contains(&code)) {
        return Err(CommandError::NotStarted {
            program: shell_words(program),
            reason: ended.output.line(),
        }
        .into());
    }
    Ok(ended)
}
