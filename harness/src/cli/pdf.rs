//! A report as PDF, printed by a Chromium that is installed. Nothing is installed for it, and without one the page itself can be printed.

use std::{
    env::split_paths,
    ffi::{OsStr, OsString},
    io,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use crate::report::html;

/// The names under which it is known, on Debian first.
const NAMES: [&str; 7] = [
    "chromium",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
    "chrome",
    "microsoft-edge",
    "microsoft-edge-stable",
];

/// How long it may take. A page takes it a few seconds.
const LIMIT: Duration = Duration::from_mins(2);

/// A page was not printed.
#[derive(Debug, thiserror::Error)]
pub(super) enum PdfError {
    /// A file could not be written, or the browser not be started.
    #[error("could not print `{path}`")]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The browser was started and did not do it.
    #[error("`{browser}` did not print `{path}`: {trouble}")]
    Browser {
        /// The browser.
        browser: PathBuf,
        /// The file that was wanted.
        path: PathBuf,
        /// What it said, or that it took too long.
        trouble: String,
    },
}

/// The browser that would print, if one is in a folder of `PATH`.
pub(super) fn browser(path: Option<&OsStr>) -> Option<PathBuf> {
    let folders: Vec<PathBuf> = split_paths(path?).collect();
    NAMES
        .iter()
        .flat_map(|name| folders.iter().map(move |folder| folder.join(name)))
        .find(|file| file.is_file())
}

/// Prints a page into a folder, and yields the file.
pub(super) async fn print(browser: &Path, folder: &Path, page: &str) -> Result<PathBuf, PdfError> {
    let path = folder.join("report.pdf");
    let trouble = |source| PdfError::File {
        path: path.clone(),
        source,
    };
    let folder = folder.canonicalize().map_err(trouble)?;
    // A page of its own: `report.html` leaves the paper to whoever prints it. The profile is one that nobody uses.
    let work = folder.join(".report.pdf.part");
    drop(std::fs::remove_dir_all(&work));
    std::fs::create_dir(&work).map_err(trouble)?;
    let printed = print_in(browser, &work, page).await;
    let result = match printed {
        Ok(file) => std::fs::rename(file, folder.join("report.pdf")).map_err(trouble),
        Err(Trouble::Io(source)) => Err(trouble(source)),
        Err(Trouble::Said(words)) => Err(PdfError::Browser {
            browser: browser.to_owned(),
            path: path.clone(),
            trouble: words,
        }),
    };
    drop(std::fs::remove_dir_all(&work));
    result.map(|()| path)
}

enum Trouble {
    Io(io::Error),
    Said(String),
}

async fn print_in(browser: &Path, work: &Path, text: &str) -> Result<PathBuf, Trouble> {
    let (page, file) = (work.join("report.html"), work.join("report.pdf"));
    std::fs::write(&page, text).map_err(Trouble::Io)?;
    let option = |name: &str, path: &Path| {
        let mut option = OsString::from(name);
        option.push(path);
        option
    };
    let mut command = Command::new(browser);
    command
        .args([
            "--headless",
            "--disable-gpu",
            "--disable-extensions",
            "--no-first-run",
            "--no-pdf-header-footer",
        ])
        .arg(option("--user-data-dir=", &work.join("profile")))
        .arg(option("--print-to-pdf=", &file))
        .stdin(Stdio::null())
        .stdout(Stdio::null());
    // Chromium refuses to run as root in its sandbox. The page is our own and has no script in it.
    if nix::unistd::geteuid().is_root() {
        command.arg("--no-sandbox");
    }
    command.arg(html::file_address(&page));
    let mut command = tokio::process::Command::from(command);
    command.kill_on_drop(true);
    let output = tokio::time::timeout(LIMIT, command.output())
        .await
        .map_err(|_| Trouble::Said(format!("it took longer than {} s", LIMIT.as_secs())))?
        .map_err(Trouble::Io)?;
    if file.is_file() && output.status.success() {
        return Ok(file);
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let last = said.lines().rev().find(|line| !line.trim().is_empty());
    Err(Trouble::Said(match last {
        Some(line) => format!("{}; it said: {line}", output.status),
        None => output.status.to_string(),
    }))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    /// A program that does what a script says, in a folder that is a `PATH`.
    fn stand_in(name: &str, script: &str) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join(name);
        std::fs::write(&file, format!("#!/bin/sh\n{script}\n")).unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o755)).unwrap();
        (folder, file)
    }

    #[test]
    fn a_browser_is_looked_for_on_the_path_and_nowhere_else() {
        let (folder, file) = stand_in("google-chrome", "exit 0");
        let path = std::env::join_paths([Path::new("/nowhere"), folder.path()]).unwrap();
        assert_eq!(browser(Some(&path)), Some(file));
        assert_eq!(browser(Some(OsStr::new("/nowhere"))), None);
        assert_eq!(browser(None), None);
    }

    #[tokio::test]
    async fn what_the_browser_wrote_becomes_the_report_and_nothing_else_is_left() {
        let writes = r#"for word in "$@"; do case "$word" in --print-to-pdf=*) echo pdf > "${word#*=}";; esac; done"#;
        let (_folder, browser) = stand_in("chromium", writes);
        let run = tempfile::tempdir().unwrap();
        let file = print(&browser, run.path(), "a page").await.unwrap();
        assert_eq!(std::fs::read_to_string(file).unwrap(), "pdf\n");
        assert_eq!(std::fs::read_dir(run.path()).unwrap().count(), 1);
    }

    #[tokio::test]
    async fn a_browser_that_fails_is_quoted() {
        let (_folder, browser) = stand_in("chromium", "echo no display >&2; exit 3");
        let run = tempfile::tempdir().unwrap();
        let error = print(&browser, run.path(), "a page")
            .await
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("exit status: 3; it said: no display"),
            "{error}"
        );
        assert_eq!(std::fs::read_dir(run.path()).unwrap().count(), 0);
    }
}
