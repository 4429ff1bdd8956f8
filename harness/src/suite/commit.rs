//! The commit of a drill's file, for the report: which version of it was run.

use std::{path::Path, process::Stdio, time::Duration};

use tokio::{process::Command, time::timeout};

use crate::timeline::Commit;

/// How long git may take. A run waits for it before anything is begun.
const LIMIT: Duration = Duration::from_secs(2);

/// The commit in which a file was changed last. `None` where git does not say: there is no repository, the file is not in it, git is not
/// installed, refuses, or takes too long. No drill depends on it.
pub(super) async fn commit_of(file: &Path) -> Option<Commit> {
    let asked = async {
        let id = ask(file, &["log", "-1", "--format=%H"]).await?;
        let is_hash = id.len() >= 40 && id.chars().all(|digit| digit.is_ascii_hexdigit());
        let changed = ask(file, &["status", "--porcelain"]).await?;
        is_hash.then_some(Commit {
            id,
            changed: !changed.is_empty(),
        })
    };
    timeout(LIMIT, asked).await.ok().flatten()
}

/// Asks git about one file. It takes no lock and starts no helper.
async fn ask(file: &Path, question: &[&str]) -> Option<String> {
    let (name, folder) = (file.file_name()?, file.parent()?);
    let here = Path::new(".");
    let folder = if folder.as_os_str().is_empty() {
        here
    } else {
        folder
    };
    let mut command = Command::new("git");
    command
        .args(["-c", "core.fsmonitor=false", "--no-optional-locks"])
        .args(question)
        .arg("--")
        .arg(name)
        .current_dir(folder)
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true);
    let output = command.output().await.ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    /// A repository with one committed drill. `None` where there is no git.
    fn repository() -> Option<(tempfile::TempDir, PathBuf)> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("drill.yaml");
        std::fs::write(&file, "drill: one\n").unwrap();
        for arguments in [
            &["init", "--quiet"][..],
            &["add", "drill.yaml"],
            &["commit", "--quiet", "--message", "one"],
        ] {
            let done = std::process::Command::new("git")
                .args(["-c", "user.name=test", "-c", "user.email=test@example.com"])
                .args(["-c", "commit.gpgsign=false"])
                .args(arguments)
                .current_dir(folder.path())
                .env("GIT_CONFIG_GLOBAL", "/dev/null")
                .status()
                .ok()?;
            assert!(done.success(), "{arguments:?}");
        }
        Some((folder, file))
    }

    #[tokio::test]
    async fn a_committed_file_has_its_commit_and_a_change_is_told() {
        let Some((folder, file)) = repository() else {
            return;
        };
        let committed = commit_of(&file).await.expect("a commit");
        assert!(committed.id.len() >= 40 && !committed.changed);
        // Another file does not matter.
        std::fs::write(folder.path().join("other.yaml"), "").unwrap();
        assert_eq!(commit_of(&file).await.as_ref(), Some(&committed));
        std::fs::write(&file, "drill: two\n").unwrap();
        let changed = commit_of(&file).await.expect("a commit");
        assert_eq!((changed.id, changed.changed), (committed.id, true));
        assert_eq!(commit_of(&folder.path().join("other.yaml")).await, None);
    }

    #[tokio::test]
    async fn outside_a_repository_there_is_none() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("drill.yaml");
        std::fs::write(&file, "").unwrap();
        assert_eq!(commit_of(&file).await, None);
        assert_eq!(commit_of(Path::new("/nonexistent/drill.yaml")).await, None);
        assert_eq!(commit_of(Path::new("")).await, None);
    }
}
