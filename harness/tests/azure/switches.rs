//! What has a switch: endpoints, routes, origins and static websites.

use blackstart::provider::Current;
use serde_json::json;

use crate::{
    rig::{Rig, disable},
    stand_in::provider,
};

const ENDPOINT: &str = "traffic-manager-profile: profile, endpoint: vm";
const WEBSITE: &str = "static-website: sorry";
const ENDPOINT_PATH: &str = "Microsoft.Network/trafficManagerProfiles/profile/externalEndpoints/vm";

#[tokio::test]
async fn whatever_has_a_switch_is_turned_off_and_on_again_and_nothing_else_of_it() {
    let rig = Rig::start().await;
    let switches = [
        (ENDPOINT, ENDPOINT_PATH, "endpointStatus"),
        (
            "front-door-profile: front, endpoint: www",
            "Microsoft.Cdn/profiles/front/afdEndpoints/www",
            "enabledState",
        ),
        (
            "front-door-profile: front, endpoint: www, route: all",
            "Microsoft.Cdn/profiles/front/afdEndpoints/www/routes/all",
            "enabledState",
        ),
        (
            "front-door-profile: front, origin-group: all, origin: vm",
            "Microsoft.Cdn/profiles/front/originGroups/all/origins/vm",
            "enabledState",
        ),
    ];
    for (target, path, property) in switches {
        let read = || rig.azure.state().switches[&provider(path)].clone();
        let before = read();
        let captured = rig.capture(target, &disable()).await.unwrap();
        captured
            .there_and_back(|broken| {
                let mut expected = before.clone();
                if broken {
                    expected[property] = "Disabled".into();
                }
                assert_eq!(read(), expected, "{target}");
            })
            .await;
    }
}

#[tokio::test]
async fn what_is_off_already_is_so_already_and_what_is_deleted_is_told() {
    let rig = Rig::start().await;
    let captured = rig.capture(ENDPOINT, &disable()).await.unwrap();
    captured.fault.inject().await.unwrap();
    let again = rig.capture(ENDPOINT, &disable()).await.unwrap();
    assert_eq!(again.undo.state, again.undo.injected);
    // Somebody has switched it on: nothing is left to do, and nothing is written.
    rig.azure
        .state()
        .switches
        .get_mut(&provider(ENDPOINT_PATH))
        .unwrap()["endpointStatus"] = json!("Enabled");
    let (recalled, undo) = captured.recalled();
    assert_eq!(recalled.current(&undo).await.unwrap(), Current::AsCaptured);
    recalled.revert(&undo).await.unwrap();
    assert_eq!(rig.azure.count("PATCH"), 1);
    rig.azure.state().switches.remove(&provider(ENDPOINT_PATH));
    captured.is_somebody_elses("it is gone").await;
}

#[tokio::test]
async fn a_static_website_is_off_and_gets_its_documents_back() {
    let rig = Rig::start().await;
    let before = rig.azure.state().website.clone();
    let captured = rig.capture(WEBSITE, &disable()).await.unwrap();
    assert!(
        captured.undo.words.contains("--404-document 404.html"),
        "{}",
        captured.undo.words
    );
    captured
        .there_and_back(|broken| {
            let expected = if broken {
                (false, None, None)
            } else {
                before.clone()
            };
            assert_eq!(rig.azure.state().website, expected);
        })
        .await;
}

#[tokio::test]
async fn what_somebody_set_of_a_static_website_meanwhile_is_told() {
    let rig = Rig::start().await;
    let captured = rig.capture(WEBSITE, &disable()).await.unwrap();
    captured.fault.inject().await.unwrap();
    rig.azure.state().website = (true, Some("other.html".into()), None);
    captured
        .is_somebody_elses("on with the index document other.html")
        .await;
}

#[tokio::test]
async fn what_traffic_manager_front_door_and_storage_think_is_read() {
    let rig = Rig::start().await;
    assert_eq!(rig.health(ENDPOINT).await, (true, "Online".to_owned()));
    rig.azure
        .state()
        .switches
        .get_mut(&provider(ENDPOINT_PATH))
        .unwrap()["endpointMonitorStatus"] = json!("Degraded");
    assert_eq!(rig.health(ENDPOINT).await, (false, "Degraded".to_owned()));
    let front = "front-door-profile: front, endpoint: www";
    assert_eq!(rig.health(front).await, (true, "Enabled".to_owned()));
    assert_eq!(rig.health(WEBSITE).await, (true, "on".to_owned()));
    rig.azure.state().website.0 = false;
    assert_eq!(rig.health(WEBSITE).await, (false, "off".to_owned()));
}
