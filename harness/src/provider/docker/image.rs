//! The image `blackstart-lab`: one static program and nothing else, built through the engine without pulling anything.

use std::{
    fs, io,
    path::{Path, PathBuf},
    process::Command,
};

use bollard::{body_full, query_parameters::BuildImageOptions};
use futures_util::StreamExt;

use super::{
    DockerError,
    engine::{Engine, asked},
};

/// The program's name, in the image and beside `blackstart`.
const PROGRAM: &str = "blackstart-lab";

const DOCKERFILE: &str = "FROM scratch
LABEL blackstart.image=lab
COPY blackstart-lab /blackstart-lab
ENTRYPOINT [\"/blackstart-lab\"]
";

/// The image could not be built.
#[derive(Debug, thiserror::Error)]
pub enum ImageError {
    /// There is no static program to put into it.
    #[error(
        "there is no static `blackstart-lab` here: name one with `--program`, or run this in a checkout of the project, which builds it"
    )]
    NoProgram,
    /// The program cannot be read.
    #[error("could not read `{path}`")]
    Unreadable {
        /// The program.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The program would not start in an empty image.
    #[error(
        "`{0}` needs shared libraries, and an empty image has none: build it with RUSTFLAGS=\"-C target-feature=+crt-static\" and `--target`"
    )]
    NotStatic(PathBuf),
    /// Cargo did not build the program.
    #[error("building `blackstart-lab` failed: {0}")]
    Build(String),
    /// The engine did not build the image.
    #[error("the engine did not build the image: {0}")]
    Engine(String),
    /// The engine could not be asked.
    #[error(transparent)]
    Docker(#[from] DockerError),
}

/// An image that was built.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Built {
    /// Its name.
    pub name: String,
    /// How many bytes it has.
    pub bytes: u64,
}

/// Builds the image from a static program: the one that is named, else the one beside this program, else one that cargo builds in the
/// checkout of the project around this folder.
///
/// # Errors
/// If there is no such program, or the engine refuses.
pub async fn build(engine: &Engine, program: Option<&Path>) -> Result<Built, ImageError> {
    let program = match program {
        Some(program) => read_static(program)?,
        None => find()?,
    };
    let name = super::engine::image();
    let archive = archive(&[
        ("Dockerfile", DOCKERFILE.as_bytes(), 0o644),
        (PROGRAM, &program, 0o755),
    ]);
    let options = BuildImageOptions {
        t: Some(name.clone()),
        rm: true,
        forcerm: true,
        ..BuildImageOptions::default()
    };
    let mut steps = engine
        .client()
        .build_image(options, None, Some(body_full(archive.into())));
    while let Some(step) = steps.next().await {
        let step = step.map_err(asked("building the image"))?;
        if let Some(detail) = step.error_detail {
            return Err(ImageError::Engine(detail.message.unwrap_or_default()));
        }
    }
    drop(steps);
    let inspected = engine
        .client()
        .inspect_image(&name)
        .await
        .map_err(asked("inspecting the image"))?;
    Ok(Built {
        name,
        bytes: inspected
            .size
            .and_then(|size| u64::try_from(size).ok())
            .unwrap_or_default(),
    })
}

/// Whether the engine has the image.
pub async fn is_there(engine: &Engine) -> bool {
    let name = super::engine::image();
    engine.client().inspect_image(&name).await.is_ok()
}

fn find() -> Result<Vec<u8>, ImageError> {
    let beside = std::env::current_exe()
        .ok()
        .map(|own| own.with_file_name(PROGRAM));
    if let Some(beside) = beside.filter(|beside| beside.is_file())
        && let Ok(program) = read_static(&beside)
    {
        return Ok(program);
    }
    read_static(&cargo_build()?)
}

/// Builds the program in the checkout that the current folder is in.
fn cargo_build() -> Result<PathBuf, ImageError> {
    let is_checkout = |folder: &&Path| folder.join("fixtures/lab/Cargo.toml").is_file();
    let here = std::env::current_dir().map_err(|error| ImageError::Build(error.to_string()))?;
    let root = here
        .ancestors()
        .find(is_checkout)
        .ok_or(ImageError::NoProgram)?;
    let failed = |error: &dyn std::fmt::Display| ImageError::Build(error.to_string());
    let version = Command::new("rustc")
        .arg("-vV")
        .output()
        .map_err(|error| failed(&error))?;
    let version = String::from_utf8_lossy(&version.stdout).into_owned();
    let target = version
        .lines()
        .find_map(|line| line.strip_prefix("host: "))
        .ok_or_else(|| failed(&"`rustc -vV` names no host"))?;
    // With `--target`, the flag for a static program does not reach build scripts and macros.
    let output = Command::new("cargo")
        .current_dir(root)
        .env("RUSTFLAGS", "-C target-feature=+crt-static")
        .args([
            "build",
            "--locked",
            "--profile",
            "image",
            "--target",
            target,
        ])
        // What runs in the containers reaches no cloud.
        .args(["--package", "blackstart", "--no-default-features"])
        .args(["--bin", PROGRAM])
        .output()
        .map_err(|error| failed(&error))?;
    if !output.status.success() {
        return Err(failed(&String::from_utf8_lossy(&output.stderr)));
    }
    let folder = std::env::var_os("CARGO_TARGET_DIR")
        .map_or_else(|| root.join("target"), |folder| root.join(folder));
    Ok(folder.join(target).join("image").join(PROGRAM))
}

fn read_static(path: &Path) -> Result<Vec<u8>, ImageError> {
    let program = fs::read(path).map_err(|source| ImageError::Unreadable {
        path: path.to_owned(),
        source,
    })?;
    if !is_static(&program) {
        return Err(ImageError::NotStatic(path.to_owned()));
    }
    Ok(program)
}

/// Whether a 64-bit ELF program names no interpreter, which loads shared libraries.
fn is_static(program: &[u8]) -> bool {
    const INTERPRETER: u32 = 3;
    let half = |at: usize| {
        let bytes = program.get(at..at + 2)?;
        Some(u16::from_le_bytes(bytes.try_into().ok()?))
    };
    let headers = || -> Option<bool> {
        if !program.starts_with(b"\x7fELF\x02\x01") {
            return None;
        }
        let start = u64::from_le_bytes(program.get(32..40)?.try_into().ok()?);
        let (start, size) = (usize::try_from(start).ok()?, usize::from(half(54)?));
        for index in 0..usize::from(half(56)?) {
            let at = start + index * size;
            let kind = u32::from_le_bytes(program.get(at..at + 4)?.try_into().ok()?);
            if kind == INTERPRETER {
                return None;
            }
        }
        Some(true)
    };
    headers().is_some()
}

/// A tar archive (POSIX ustar) of these files, with their modes.
fn archive(files: &[(&str, &[u8], u32)]) -> Vec<u8> {
    const BLOCK: usize = 512;
    let mut archive = Vec::new();
    for (name, content, mode) in files {
        let mut header = [0; BLOCK];
        let mut put = |at: usize, text: &str| {
            header[at..at + text.len()].copy_from_slice(text.as_bytes());
        };
        put(0, name);
        put(100, &format!("{mode:07o}"));
        put(108, "0000000");
        put(116, "0000000");
        put(124, &format!("{:011o}", content.len()));
        put(136, "00000000000");
        // The checksum is taken with itself as spaces.
        put(148, "        ");
        put(156, "0");
        put(257, "ustar\x0000");
        let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
        let sum = format!("{sum:06o}\0 ");
        header[148..156].copy_from_slice(sum.as_bytes());
        archive.extend(header);
        archive.extend(*content);
        archive.resize(archive.len().next_multiple_of(BLOCK), 0);
    }
    archive.resize(archive.len() + 2 * BLOCK, 0);
    archive
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_archive_is_what_tar_reads() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.tar");
        let content = vec![7; 1000];
        fs::write(
            &path,
            archive(&[("one", b"1", 0o644), ("two", &content, 0o755)]),
        )
        .unwrap();
        let status = Command::new("tar")
            .arg("-xf")
            .arg(&path)
            .current_dir(folder.path())
            .status()
            .unwrap();
        assert!(status.success());
        assert_eq!(fs::read(folder.path().join("one")).unwrap(), b"1");
        assert_eq!(fs::read(folder.path().join("two")).unwrap(), content);
    }

    #[test]
    fn what_needs_shared_libraries_or_is_no_program_is_not_static() {
        // Test programs are linked dynamically.
        let own = fs::read(std::env::current_exe().unwrap()).unwrap();
        assert!(!is_static(&own));
        assert!(!is_static(b"#!/bin/sh"));
        assert!(!is_static(b"\x7fELF\x02\x01"));
        let mut empty = vec![0; 64];
        empty[..6].copy_from_slice(b"\x7fELF\x02\x01");
        assert!(
            is_static(&empty),
            "a program without headers names no interpreter"
        );
    }
}
