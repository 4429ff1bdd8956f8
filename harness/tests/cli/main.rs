//! The program as people and other programs use it: arguments in; streams, files and an exit code out.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod begin;
mod commands;
mod lab;
mod people;
mod program;
mod reports;
mod runs;
mod secrets;
mod terminal;
mod trouble;
mod watch;

use std::{fs, process::Output, sync::OnceLock};

use program::Workplace;

fn code(output: &Output) -> i32 {
    output
        .status
        .code()
        .unwrap_or_else(|| panic!("killed: {output:?}"))
}

/// A run of the quick drill, made once for all tests that only look at what it left.
fn quick() -> &'static (Workplace, Output) {
    static QUICK: OnceLock<(Workplace, Output)> = OnceLock::new();
    QUICK.get_or_init(|| {
        let workplace = Workplace::new();
        let output = workplace.measured(&mut workplace.run("quick", &["--seed", "7"]));
        (workplace, output)
    })
}

/// A copy of the quick drill's run that a test may change.
fn copy_of_quick() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for entry in fs::read_dir(quick().0.only_run()).unwrap() {
        let path = entry.unwrap().path();
        fs::copy(&path, folder.path().join(path.file_name().unwrap())).unwrap();
    }
    folder
}
