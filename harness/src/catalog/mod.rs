//! Several drills at once, each with the environment it is written for, loaded and checked against each other.

use std::{path::PathBuf, sync::Arc};

use crate::{
    drill::Drill,
    environment::Environment,
    source::{Problems, Variables},
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
    let _ = (selection, variables);
    (Catalog::default(), Problems::default())
}

impl Entry {
    /// What a list of drills says about this one.
    pub fn listing(&self) -> Listing {
        Listing {
            drill: self.drill.name.clone(),
            about: self.drill.about.clone(),
            environment: self.environment.name.clone(),
            tags: self.drill.tags.clone(),
            expectations: self
                .drill
                .expect
                .iter()
                .map(|expectation| expectation.value.words())
                .collect(),
            file: self.drill.file.clone(),
        }
    }
}
