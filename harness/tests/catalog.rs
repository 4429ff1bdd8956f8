//! Several drills and their environments are found, loaded once, and held against each other.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use blackstart::{
    catalog::{self, Catalog, Selection},
    environment::{self, Environment, Probe},
    source::{Coloring, Problems},
};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// A folder with drills of these names, all written for the environment `small`.
fn folder(drills: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let environments = folder.path().join("environments");
    fs::create_dir(&environments).expect("a folder can be made");
    let small = "environment: small
speed: 10
service: { url: http://www.small.test/ }
tiers:
  - { tier: vm, recognise: { body: small } }
probes:
  - http: { name: read }
targets:
  vm: { lab: { virtual-machine: vm } }
stack:
  zones:
    - { zone: small.test, records: [ { name: www.small.test, type: A, ttl: 60s, value: vm.small.test } ] }
  virtual-machines:
    vm: { dns-name: vm.small.test, serves: { application: { context-path: /, database: none } } }
";
    fs::write(environments.join("small.yaml"), small).expect("a file can be written");
    fs::write(environments.join("other.yaml"), small.replace("10", "20"))
        .expect("a file can be written");
    for (file, name) in drills {
        let text = format!(
            "drill: {name}\nenvironment: small\ntags: [test]\nfaults: [ {{ stop: {{ target: vm }} }} ]\nhold: 5m\nexpect: {{ rto: {{ within: 4m }} }}\n"
        );
        fs::write(folder.path().join(file), text).expect("a file can be written");
    }
    folder
}

fn load(selection: &Selection) -> (Catalog, Problems) {
    catalog::load(selection, &|_| None)
}

fn names(catalog: &Catalog) -> Vec<&str> {
    catalog
        .entries
        .iter()
        .map(|entry| entry.drill.name.as_str())
        .collect()
}

#[test]
fn a_folder_means_its_drills_by_file_name_each_once() {
    let folder = folder(&[
        ("b.yaml", "second"),
        ("a.yml", "first"),
        ("notes.txt", "none"),
        (".hidden.yaml", "none"),
    ]);
    let selection = Selection {
        paths: vec![
            folder.path().to_owned(),
            folder.path().join("b.yaml"),
            folder.path().join("environments/../a.yml"),
        ],
        ..Selection::default()
    };
    let (catalog, problems) = load(&selection);
    assert!(problems.is_empty(), "{}", problems.render(Coloring::Plain));
    assert_eq!(names(&catalog), ["first", "second"]);
    let [first, second] = catalog.entries.as_slice() else {
        panic!("there are two entries");
    };
    assert!(Arc::ptr_eq(&first.environment, &second.environment));
    let listing = first.listing();
    assert_eq!(
        (listing.drill.as_str(), listing.environment.as_str()),
        ("first", "small")
    );
    assert_eq!(
        (listing.tags, listing.expectations),
        (vec!["test".to_owned()], vec!["rto within 4m".to_owned()])
    );
}

#[test]
fn two_drills_with_one_name_are_refused() {
    let folder = folder(&[("a.yaml", "same"), ("b.yaml", "same")]);
    let selection = Selection {
        paths: vec![folder.path().to_owned()],
        ..Selection::default()
    };
    let (catalog, problems) = load(&selection);
    assert_eq!(names(&catalog), ["same"]);
    let problems: Vec<_> = problems.iter().collect();
    assert_eq!(problems.len(), 1);
    assert!(problems[0].file.ends_with("b.yaml"));
    assert_eq!((problems[0].at.line, problems[0].at.column), (1, 8));
    assert!(
        problems[0].message.contains("has a drill named `same` too"),
        "{}",
        problems[0]
    );
}

#[test]
fn the_environment_can_be_chosen_by_name_and_by_path() {
    let folder = folder(&[("a.yaml", "one")]);
    let path = folder.path().join("environments/other.yaml");
    for chosen in ["other", path.to_str().expect("the path is UTF-8")] {
        let selection = Selection {
            paths: vec![folder.path().to_owned()],
            environment: Some(chosen.to_owned()),
            ..Selection::default()
        };
        let (catalog, problems) = load(&selection);
        assert!(problems.is_empty(), "{}", problems.render(Coloring::Plain));
        assert!((catalog.entries[0].environment.speed - 20.0).abs() < f64::EPSILON);
    }
    let selection = Selection {
        paths: vec![folder.path().to_owned()],
        environment: Some("othr".to_owned()),
        ..Selection::default()
    };
    let (catalog, problems) = load(&selection);
    assert!(catalog.entries.is_empty());
    let nearest: Vec<_> = problems
        .iter()
        .filter_map(|problem| problem.nearest.as_deref())
        .collect();
    assert_eq!(nearest, ["other"]);
}

#[test]
fn a_chosen_speed_replaces_that_of_the_file_and_is_checked() {
    let folder = folder(&[("a.yaml", "one")]);
    let selection = |speed| Selection {
        paths: vec![folder.path().to_owned()],
        speed: Some(speed),
        ..Selection::default()
    };
    let (catalog, problems) = load(&selection(50.0));
    assert!(problems.is_empty(), "{}", problems.render(Coloring::Plain));
    assert!((catalog.entries[0].environment.speed - 50.0).abs() < f64::EPSILON);
    let (catalog, problems) = load(&selection(500.0));
    assert!(catalog.entries.is_empty());
    assert_eq!(problems.errors(), 1, "{}", problems.render(Coloring::Plain));
}

#[test]
fn an_environment_with_errors_is_reported_once_for_all_its_drills() {
    let folder = folder(&[("a.yaml", "one"), ("b.yaml", "two")]);
    fs::write(
        folder.path().join("environments/small.yaml"),
        "environment: small\n",
    )
    .expect("a file can be written");
    let selection = Selection {
        paths: vec![folder.path().to_owned()],
        ..Selection::default()
    };
    let (catalog, problems) = load(&selection);
    assert!(catalog.entries.is_empty());
    assert_eq!(problems.errors(), 3, "{}", problems.render(Coloring::Plain));
}

#[test]
fn a_path_that_leads_nowhere_is_a_problem_and_an_empty_folder_is_none() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let selection = |path: PathBuf| Selection {
        paths: vec![path],
        ..Selection::default()
    };
    let (catalog, problems) = load(&selection(folder.path().to_owned()));
    assert!(catalog.entries.is_empty() && problems.is_empty());
    let (_, problems) = load(&selection(folder.path().join("nowhere")));
    assert_eq!(problems.errors(), 1);
    let (_, problems) = load(&selection(root().join("Cargo.toml")));
    assert!(problems.has_errors());
}

#[test]
fn problems_come_file_by_file_and_by_position() {
    let folder = folder(&[("a.yaml", "one"), ("b.yaml", "two")]);
    for file in ["a.yaml", "b.yaml"] {
        let path = folder.path().join(file);
        let text = fs::read_to_string(&path).expect("the file is there");
        let text = text
            .replace("hold: 5m", "hold: 5")
            .replace("tags: [test]", "tag: [test]");
        fs::write(path, text).expect("a file can be written");
    }
    let selection = Selection {
        paths: vec![folder.path().to_owned()],
        ..Selection::default()
    };
    let (_, problems) = load(&selection);
    let places: Vec<(String, u32)> = problems
        .iter()
        .map(|problem| {
            let file = problem.file.file_name().expect("a file has a name");
            (file.to_string_lossy().into_owned(), problem.at.line)
        })
        .collect();
    let expected = [("a.yaml", 3), ("a.yaml", 5), ("b.yaml", 3), ("b.yaml", 5)];
    assert_eq!(places, expected.map(|(file, line)| (file.to_owned(), line)));
}

/// The probes have their places in the file, which are other ones.
#[test]
fn the_three_tiers_in_containers_are_those_of_the_lab_but_for_speed_and_targets() {
    let load = |name: &str| {
        let path = root().join(format!("fixtures/environments/{name}.yaml"));
        let (environment, problems) = environment::load(&path, &|_| None);
        assert!(problems.is_empty(), "{}", problems.render(Coloring::Plain));
        environment.expect("it is sound")
    };
    let (lab, containers) = (load("three-tier"), load("three-tier.docker"));
    assert_eq!(lab.service, containers.service);
    assert_eq!(lab.tiers, containers.tiers);
    assert_eq!(lab.observers, containers.observers);
    assert_eq!(lab.limits, containers.limits);
    assert_eq!(lab.stack, containers.stack);
    let probes = |environment: &Environment| -> Vec<Probe> {
        let probes = environment.probes.iter();
        probes.map(|probe| probe.value.clone()).collect()
    };
    assert_eq!(probes(&lab), probes(&containers));
    assert!(lab.targets.keys().eq(containers.targets.keys()));
}
