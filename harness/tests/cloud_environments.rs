//! The drills that are rehearsed in the lab are those that run on the real thing: each is held against the environment of its
//! architecture in the clouds, and the few that only a lab can carry out are refused for that reason and no other.

use std::path::{Path, PathBuf};
#[cfg(all(feature = "aws", feature = "azure", feature = "kubernetes"))]
use std::process::Command;

use blackstart::{
    catalog::{self, Selection},
    drill::{self, AbortIf},
    environment,
    source::Coloring,
};

use blackstart_lab as _;

/// An architecture: its environment in the lab, that in the clouds, the targets that its standbys are, by the probes that look at
/// them, and the drills that only the lab can carry out, with what is said of them.
struct Architecture {
    lab: &'static str,
    cloud: &'static str,
    standbys: &'static [(&'static str, &'static [&'static str])],
    of_the_lab: &'static [(&'static str, &'static str)],
}

const ARCHITECTURES: [Architecture; 4] = [
    Architecture {
        lab: "three-tier",
        cloud: "three-tier.cloud",
        standbys: &[("standby", &["vm", "vm-firewall"])],
        of_the_lab: &[
            // Nothing lets a real load balancer or a real machine answer something else.
            ("flapping-health", "respond"),
            ("gray-failure", "respond"),
            ("health-blip", "respond"),
            ("standby-comes-back", "respond"),
            // Azure stops a machine, and does not kill what runs on it.
            ("writes-do-not-fail-over", "kill"),
        ],
    },
    Architecture {
        lab: "static-site",
        cloud: "static-site.cloud",
        standbys: &[("standby", &["page"])],
        of_the_lab: &[],
    },
    Architecture {
        lab: "two-region",
        cloud: "two-regions.cloud",
        standbys: &[],
        of_the_lab: &[
            ("content-mismatch", "respond"),
            ("slow-region", "respond"),
            ("expired-certificate", "expire-certificate"),
            // One machine looks from one place only.
            ("nearest-region-lost", "read-from-taipei"),
        ],
    },
    Architecture {
        lab: "ec2-pair",
        cloud: "ec2-pair.cloud",
        standbys: &[],
        of_the_lab: &[],
    },
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The drills that are written for an environment.
fn drills_for(environment: &str) -> Vec<PathBuf> {
    let files = std::fs::read_dir(root().join("drills")).expect("the folder is there");
    let mut files: Vec<PathBuf> = files
        .map(|entry| entry.expect("it can be read").path())
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "yaml")
        })
        .filter(|path| {
            let (drill, _) = drill::load(path, &|_| None);
            drill.is_some_and(|drill| drill.environment == environment)
        })
        .collect();
    files.sort();
    files
}

#[test]
fn every_drill_of_an_architecture_can_be_carried_out_on_the_real_one_or_is_known_for_a_reason() {
    for Architecture {
        lab,
        cloud,
        of_the_lab,
        standbys: _,
    } in ARCHITECTURES
    {
        let drills = drills_for(lab);
        assert!(!drills.is_empty(), "{lab} has no drills");
        let mut refused = Vec::new();
        for path in drills {
            let name = path.file_stem().expect("it has one").to_string_lossy();
            let selection = Selection {
                paths: vec![path.clone()],
                environment: Some(cloud.to_owned()),
                ..Selection::default()
            };
            let (catalog, problems) = catalog::load(&selection, &|_| None);
            let text = problems.render(Coloring::Plain);
            let known = of_the_lab.iter().find(|(known, _)| *known == name);
            if let Some((known, reason)) = known {
                assert!(
                    problems.has_errors() && text.contains(reason),
                    "{name} on {cloud} is refused for another reason than `{reason}`, or not at all:\n{text}"
                );
                refused.push(*known);
            } else {
                assert!(!problems.has_errors(), "{name} on {cloud}:\n{text}");
                assert_eq!(catalog.entries.len(), 1, "{name} on {cloud}");
            }
        }
        let mut listed: Vec<_> = of_the_lab.iter().map(|(name, _)| *name).collect();
        listed.sort_unstable();
        assert_eq!(
            refused, listed,
            "drills of {lab} that are listed and not there"
        );
    }
}

#[test]
fn no_environment_of_the_clouds_ends_a_drill_for_what_the_drill_breaks_on_purpose() {
    for Architecture {
        lab,
        cloud,
        standbys,
        of_the_lab: _,
    } in ARCHITECTURES
    {
        let path = root().join(format!("fixtures/environments/{cloud}.yaml"));
        let (environment, _) = environment::load(&path, &|_| None);
        let conditions = environment.expect("it is sound").abort_if;
        for condition in &conditions {
            let AbortIf::StandbyNotHealthy(probe) = &condition.value else {
                continue;
            };
            let known = standbys.iter().find(|(known, _)| known == probe);
            let (_, targets) =
                known.unwrap_or_else(|| panic!("which targets is `{probe}` of {cloud}?"));
            for path in drills_for(lab) {
                let (drill, _) = drill::load(&path, &|_| None);
                let drill = drill.expect("it was loaded before");
                let mut faults = drill.faults.iter().flat_map(|step| &step.faults);
                let breaks = faults.find(|fault| targets.contains(&fault.value.target()));
                assert!(
                    breaks.is_none(),
                    "{} breaks the standby that {cloud} ends a drill for",
                    drill.name
                );
            }
        }
    }
}

#[test]
fn the_environments_of_the_clouds_are_sound_protected_and_limited_to_where_they_are() {
    for Architecture { cloud, .. } in ARCHITECTURES {
        let path = root().join(format!("fixtures/environments/{cloud}.yaml"));
        let (environment, problems) = environment::load(&path, &|_| None);
        assert!(problems.is_empty(), "{}", problems.render(Coloring::Plain));
        let environment = environment.expect("it is sound");
        assert_eq!(environment.name, cloud);
        assert!(environment.protected, "{cloud}");
        assert!(environment.limits.max_fault.is_some(), "{cloud}");
        let bindings = environment.bindings();
        let limits = &environment.limits;
        for binding in bindings {
            let is_limited = match binding.as_str() {
                "kubernetes" => limits.kubernetes.is_some(),
                "aws" => limits.aws.is_some(),
                "azure" => limits.azure.is_some(),
                other => panic!("{cloud} has a target of {other}"),
            };
            assert!(is_limited, "{cloud} does not limit {binding}");
        }
        // Every target may be touched by what the limits say.
        for (name, target) in &environment.targets {
            let touched = environment::Touched {
                target: name.clone(),
                thing: target.into(),
            };
            let permitted = environment.limits.permit(&touched, []);
            assert_eq!(permitted, Ok(()), "{cloud}");
        }
    }
}

#[test]
#[cfg(all(feature = "aws", feature = "azure", feature = "kubernetes"))]
fn a_plan_says_plainly_what_is_missing_to_reach_each_cloud() {
    let nobody = tempfile::tempdir().expect("a folder can be made");
    let output = Command::new(env!("CARGO_BIN_EXE_blackstart"))
        .args([
            "plan",
            "drills/double-failure.yaml",
            "--env",
            "three-tier.cloud",
        ])
        .current_dir(root())
        .env_clear()
        .env("HOME", nobody.path())
        .env("PATH", nobody.path())
        // Of the credentials that a machine of a cloud has by itself.
        .env("AZURE_CLIENT_SECRET", "secret")
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .output()
        .expect("the program can be run");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}{errors}");
    for words in [
        "there is no kubeconfig",
        "the variable `AZURE_TENANT_ID` is not set",
        "the subscription 00000000-0000-0000-0000-000000000000",
        "power virtual-machine/petclinic in petclinic off",
    ] {
        assert!(text.contains(words), "{words} is not in:\n{text}");
    }
    assert!(!text.contains("secret"), "{text}");
}
