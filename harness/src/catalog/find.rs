//! Where the files are.

use std::{
    collections::BTreeSet,
    fs, io,
    path::{Path, PathBuf},
};

use crate::{
    drill::DrillFile,
    source::{Place, Problem, Problems, Step::Key},
};

/// The folder that is read if no path is given.
const DRILLS: &str = "drills";

/// The folders in which an environment is looked for by name, from the folder of the drill.
const BESIDE_THE_DRILL: [&str; 3] = ["environments", "../environments", "../fixtures/environments"];

/// The folder in which it is looked for last, from the current one.
const LAST: &str = "fixtures/environments";

/// The drill files that paths name: files as they are, folders as the drill files in them by name. Each file once.
pub(super) fn drill_files(paths: &[PathBuf], problems: &mut Problems) -> Vec<PathBuf> {
    let default = [PathBuf::from(DRILLS)];
    let paths = if paths.is_empty() { &default } else { paths };
    let mut files = Vec::new();
    for path in paths {
        // A folder that is called like a file was meant to be one: reading it says so.
        if path.is_dir() && !is_yaml(path) {
            match files_in(path) {
                Ok(found) => files.extend(found),
                Err(error) => problems.push(Problem::error(
                    path,
                    Place::START,
                    format!("the folder cannot be read: {error}"),
                )),
            }
        } else {
            files.push(path.clone());
        }
    }
    let mut seen = BTreeSet::new();
    files.retain(|file| seen.insert(file.canonicalize().unwrap_or_else(|_| file.clone())));
    files
}

fn files_in(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if is_yaml(&path) {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

fn is_yaml(path: &Path) -> bool {
    let hidden = path
        .file_name()
        .is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
    !hidden
        && path
            .extension()
            .is_some_and(|extension| extension == "yaml" || extension == "yml")
}

/// The file of the environment that a drill names.
pub(super) fn environment(drill: &DrillFile) -> Result<PathBuf, Box<Problem>> {
    let name = &drill.drill.environment;
    let folder = drill.drill.file.parent().unwrap_or(Path::new(""));
    if !is_yaml(Path::new(name)) {
        return named(name, drill);
    }
    let path = folder.join(name);
    if path.exists() {
        return Ok(path);
    }
    let node = drill.document.follow(&[Key("environment")]);
    Err(Box::new(
        Problem::error(&drill.drill.file, node.place, "there is no such environment file")
            .with_hint("a path is taken from the folder of the drill"),
    ))
}

/// The file of the environment that was chosen on the command line, from the current folder if it is a path.
pub(super) fn chosen_environment(chosen: &str, drill: &DrillFile) -> Result<PathBuf, Box<Problem>> {
    if is_yaml(Path::new(chosen)) {
        return Ok(PathBuf::from(chosen));
    }
    named(chosen, drill)
}

fn named(name: &str, drill: &DrillFile) -> Result<PathBuf, Box<Problem>> {
    let beside = drill.drill.file.parent().unwrap_or(Path::new(""));
    let folders: Vec<PathBuf> = BESIDE_THE_DRILL
        .iter()
        .map(|folder| beside.join(folder))
        .chain([PathBuf::from(LAST)])
        .collect();
    let file_name = format!("{name}.yaml");
    // A name with a separator in it would lead out of the folders.
    if !name.contains(['/', '\\']) {
        for folder in &folders {
            let path = folder.join(&file_name);
            if path.is_file() {
                return Ok(path);
            }
        }
    }
    Err(Box::new(unknown(name, drill, &folders)))
}

fn unknown(name: &str, drill: &DrillFile, folders: &[PathBuf]) -> Problem {
    let node = drill.document.follow(&[Key("environment")]);
    let mut known = BTreeSet::new();
    for file in folders.iter().filter_map(|folder| files_in(folder).ok()).flatten() {
        if let Some(stem) = file.file_stem().and_then(|stem| stem.to_str()) {
            known.insert(stem.to_owned());
        }
    }
    let shown = if node.filled { "that the variable names".to_owned() } else { format!("`{name}`") };
    let looked: Vec<String> = folders
        .iter()
        .map(|folder| folder.display().to_string())
        .collect();
    let problem = Problem::error(
        &drill.drill.file,
        node.place,
        format!("unknown environment {shown}"),
    )
    .with_hint(format!(
        "`NAME.yaml` is looked for in {}",
        looked.join(", ")
    ));
    if node.filled {
        return problem;
    }
    problem.with_nearest(name, known.iter().map(String::as_str))
}
