//! `lab image` and `lab down`: what labs in containers need, and what they leave.

use std::{future::Future, path::Path};

use super::{print, tell};
use crate::{
    causes::with_causes,
    exit_code::ExitCode,
    provider::docker::{Engine, image, sweep},
    suite::Threads,
};

pub(super) fn image(program: Option<&Path>) -> ExitCode {
    carry_out(async {
        let engine = Engine::connect()
            .await
            .map_err(|error| with_causes(&error))?;
        let built = image::build(&engine, program)
            .await
            .map_err(|error| with_causes(&error))?;
        #[expect(
            clippy::cast_precision_loss,
            reason = "an image is no thousand terabytes"
        )]
        let megabytes = built.bytes as f64 / 1_000_000.0;
        print(&format!("{}: {megabytes:.1} MB\n", built.name));
        Ok(())
    })
}

pub(super) fn down(dry_run: bool) -> ExitCode {
    carry_out(async {
        let failed = |error| with_causes(&error);
        let engine = Engine::connect().await.map_err(failed)?;
        let left = sweep::leftovers(&engine).await.map_err(failed)?;
        if !dry_run {
            sweep::remove(&engine, &left).await.map_err(failed)?;
        }
        let verb = if dry_run { "left" } else { "removed" };
        for leftover in &left {
            print(&format!("{verb} {leftover}\n"));
        }
        if left.is_empty() {
            tell(&format!("nothing is left at {}", engine.address()));
        }
        Ok(())
    })
}

/// What there is to know of the container engine.
pub(super) struct Looked {
    /// Where it is.
    pub(super) engine: String,
    /// What processes that are gone left there.
    pub(super) left: Vec<sweep::Leftover>,
    /// Whether the lab's image is there.
    pub(super) has_image: bool,
}

/// Looks at the container engine.
///
/// # Errors
/// If none answers.
pub(super) fn look() -> Result<Looked, String> {
    let threads = Threads::start().map_err(|error| format!("could not start: {error}"))?;
    threads.block_on(async {
        let failed = |error| with_causes(&error);
        let engine = Engine::connect().await.map_err(failed)?;
        Ok(Looked {
            left: sweep::leftovers(&engine).await.map_err(failed)?,
            has_image: image::is_there(&engine).await,
            engine: engine.address().to_owned(),
        })
    })
}

fn carry_out(work: impl Future<Output = Result<(), String>>) -> ExitCode {
    let outcome = Threads::start()
        .map_err(|error| format!("could not start: {error}"))
        .and_then(|threads| threads.block_on(work));
    match outcome {
        Ok(()) => ExitCode::Passed,
        Err(message) => {
            tell(&format!("error: {message}"));
            ExitCode::CouldNotRun
        }
    }
}
