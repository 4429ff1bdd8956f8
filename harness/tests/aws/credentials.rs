//! Whose credentials are taken where several are at hand. Variables cannot be changed within a process, so this program is started again.

use std::process::Command;

use blackstart::provider::attach;
use serde_json::{Value, json};

use crate::{
    documented::environment,
    stand_in::{stand_in, xml},
};

/// What stands under `aws:` in the environment that this program is to attach to, if it was started again.
const ATTACH: &str = "BLACKSTART_TEST_AWS_ATTACH";
const KEY: &str = "AKIAVARIABLE";

pub(crate) fn wanted() -> Option<String> {
    blackstart::source::process_variable(ATTACH)
}

/// Attaches, and tells what a journal would have.
pub(crate) async fn attach_and_tell(aws: &str) {
    let attached = attach(&environment(aws), None).await.unwrap();
    serde_json::to_writer(std::io::stdout(), &attached.access).unwrap();
}

/// The access key that requests are signed with, and the profile that a journal would have.
async fn found(profile: Option<&str>, variable: Option<&str>, keys: bool) -> (String, Value) {
    let (server, _) = stand_in((), |(), _, _| xml(500, "")).await;
    let mut aws = format!("region: eu-central-1, endpoint: {:?}", server.uri());
    if let Some(profile) = profile {
        aws.push_str(", profile: ");
        aws.push_str(profile);
    }
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.env(ATTACH, aws);
    if let Some(variable) = variable {
        command.env("AWS_PROFILE", variable);
    }
    if keys {
        command
            .env("AWS_ACCESS_KEY_ID", KEY)
            .env("AWS_SECRET_ACCESS_KEY", "hidden-secret");
    }
    let output = command.output().unwrap();
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(!told.contains("hidden-secret"), "{told}");
    let access: Value = serde_json::from_str(&told).unwrap();
    let requests = server.received_requests().await.unwrap();
    let header = requests[0].headers.get("authorization").unwrap();
    let header = header.to_str().unwrap();
    let key = header.split("Credential=").nth(1).unwrap();
    let key = key.split('/').next().unwrap().to_owned();
    let account = &access[0]["aws"]["account"];
    assert_eq!(account["region"], "eu-central-1", "{told}");
    (key, account["profile"].clone())
}

pub(crate) async fn a_profile_that_a_file_names_wins_over_keys_in_variables() {
    let (key, profile) = found(Some("keys"), None, true).await;
    assert_eq!((key.as_str(), profile), ("testing", json!("keys")));
    let (key, profile) = found(Some("keys"), Some("default"), true).await;
    assert_eq!((key.as_str(), profile), ("testing", json!("keys")));
}

pub(crate) async fn keys_in_variables_win_over_a_profile_in_a_variable_and_are_the_way_back() {
    let (key, profile) = found(None, Some("keys"), true).await;
    assert_eq!((key.as_str(), profile), (KEY, Value::Null));
    let (key, profile) = found(None, Some("keys"), false).await;
    assert_eq!((key.as_str(), profile), ("testing", json!("keys")));
}
