//! Several drills at once, each with the environment it is written for, loaded and checked against each other.

mod find;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
};

use crate::{
    check,
    drill::{self, Drill, DrillFile},
    environment::{self, Environment},
    source::{Problem, Problems, Secrets, Step::Key, Variables},
};

/// What to load.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Selection {
    /// Drill files, and folders of which every `.yaml` and `.yml` file is a drill. None means the folder `drills`.
    pub paths: Vec<PathBuf>,
    /// The environment to use instead of the one that a drill names: a name, or the path of a file.
    pub environment: Option<String>,
    /// The lab's speed instead of the one in the environment file.
    pub speed: Option<f64>,
}

/// The drills that were asked for, in the order of the paths and of the file names in a folder.
#[derive(Debug, Clone, Default)]
pub struct Catalog {
    /// The drills that are free of errors, as are their environments.
    pub entries: Vec<Entry>,
}

/// A drill and the environment it runs in.
#[derive(Debug, Clone)]
pub struct Entry {
    /// The drill.
    pub drill: Drill,
    /// Its environment. Drills of one environment share it.
    pub environment: Arc<Environment>,
}

/// What a list of drills says about one of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listing {
    /// The drill's name.
    pub drill: String,
    /// What it proves.
    pub about: String,
    /// Its environment's name.
    pub environment: String,
    /// Its tags.
    pub tags: Vec<String>,
    /// Its expectations in words, in the order of the file.
    pub expectations: Vec<String>,
    /// Its file.
    pub file: PathBuf,
}

/// Loads the drills of a selection with their environments, each environment once, and checks one against the other.
///
/// Everything that is wrong is in the problems; a drill without an error, warnings aside, has an entry.
pub fn load(selection: &Selection, variables: Variables<'_>) -> (Catalog, Problems) {
    let mut problems = Problems::default();
    let mut environments = Environments::new(selection, variables);
    let mut names: BTreeMap<String, PathBuf> = BTreeMap::new();
    let mut entries = Vec::new();
    for path in find::drill_files(&selection.paths, &mut problems) {
        let (file, found) = drill::read(&path, variables);
        problems.append(found);
        let Some(file) = file else {
            continue;
        };
        let unique = is_unique(&file, &mut names, &mut problems);
        let Some(environment) = environments.load(&file, &mut problems) else {
            continue;
        };
        let found = check::drill(&file, &environment);
        let sound = unique && !found.has_errors();
        problems.append(found);
        if sound {
            entries.push(Entry {
                drill: file.drill,
                environment,
            });
        }
    }
    (Catalog { entries }, problems)
}

/// Loads one environment by its name, looked for where the drills of the current folder would, or by the path of its file.
pub fn load_environment(name: &str, variables: Variables<'_>) -> (Option<Environment>, Problems) {
    let mut problems = Problems::default();
    let path = find::environment_from_here(name);
    let (file, found) = environment::read(&path, variables);
    problems.append(found);
    let loaded = file.and_then(|file| {
        let found = check::environment(&file);
        let sound = !found.has_errors();
        problems.append(found);
        sound.then_some(file.environment)
    });
    (loaded, problems)
}

/// Loads the copies of a drill and its environment that a run keeps. They were checked before the run; what they refer to may be
/// gone by now.
///
/// `variables` are those that were set during the run, as its record keeps them: the process environment of today has no say. Of the
/// others the defaults apply, and one without a default, such as a secret, stands for itself. The stack is left out.
pub fn load_recorded(
    drill: &Path,
    environment: &Path,
    variables: &BTreeMap<String, String>,
) -> (Option<Entry>, Problems) {
    let (drill, mut problems) = drill::read_copy(drill, variables);
    let (environment, found) = environment::read_copy(environment, variables);
    problems.append(found);
    let entry = drill.zip(environment).map(|(drill, environment)| Entry {
        drill: drill.drill,
        environment: Arc::new(environment.environment),
    });
    (entry, problems)
}

/// Reports a drill whose name is taken: it is the name of a test case and of a folder.
fn is_unique(
    file: &DrillFile,
    names: &mut BTreeMap<String, PathBuf>,
    problems: &mut Problems,
) -> bool {
    match names.entry(file.drill.name.clone()) {
        std::collections::btree_map::Entry::Vacant(entry) => {
            entry.insert(file.drill.file.clone());
            true
        }
        std::collections::btree_map::Entry::Occupied(entry) => {
            let place = file.document.follow(&[Key("drill")]).place;
            problems.push(Problem::error(
                &file.drill.file,
                place,
                format!(
                    "{} has a drill named `{}` too",
                    entry.get().display(),
                    file.drill.name
                ),
            ));
            false
        }
    }
}

/// The environments that were loaded so far.
struct Environments<'a> {
    selection: &'a Selection,
    variables: Variables<'a>,
    /// By the path without links; none for one with errors.
    loaded: BTreeMap<PathBuf, Option<Arc<Environment>>>,
}

impl<'a> Environments<'a> {
    fn new(selection: &'a Selection, variables: Variables<'a>) -> Self {
        Self {
            selection,
            variables,
            loaded: BTreeMap::new(),
        }
    }

    /// The environment of a drill, reporting what is wrong with it the first time it is asked for.
    fn load(&mut self, drill: &DrillFile, problems: &mut Problems) -> Option<Arc<Environment>> {
        let path = match &self.selection.environment {
            Some(chosen) => find::chosen_environment(chosen, drill),
            None => find::environment(drill),
        };
        let path = match path {
            Ok(path) => path,
            Err(problem) => {
                problems.push(*problem);
                return None;
            }
        };
        let key = path.canonicalize().unwrap_or_else(|_| path.clone());
        if let Some(known) = self.loaded.get(&key) {
            return known.clone();
        }
        let (file, found) = environment::read(&path, self.variables);
        problems.append(found);
        let loaded = file.and_then(|mut file| {
            if let Some(speed) = self.selection.speed {
                file.environment.speed = speed;
            }
            let found = check::environment(&file);
            let sound = !found.has_errors();
            problems.append(found);
            sound.then(|| Arc::new(file.environment))
        });
        self.loaded.insert(key, loaded.clone());
        loaded
    }
}

impl Entry {
    /// What must not be shown of it.
    pub fn secrets(&self) -> Secrets {
        self.environment.secrets_with(&self.drill)
    }

    /// What a list of drills says about this one.
    pub fn listing(&self) -> Listing {
        let secrets = self.secrets();
        let shown = |text: &str| secrets.hide(text).into_owned();
        Listing {
            drill: self.drill.name.clone(),
            about: shown(&self.drill.about),
            environment: self.environment.name.clone(),
            tags: self.drill.tags.clone(),
            expectations: self
                .drill
                .expect
                .iter()
                .map(|expectation| shown(&expectation.value.words()))
                .collect(),
            file: self.drill.file.clone(),
        }
    }
}
