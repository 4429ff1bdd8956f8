use super::*;

fn statuses_of<const N: usize>(statuses: [(&str, Option<Status>); N]) -> Of<Status> {
    let known = |(name, is): (&str, Option<Status>)| {
        let id = format!("id-of-{name}");
        (name.to_owned(), Known { id, is })
    };
    statuses.into_iter().map(known).collect()
}

const RUNNING: Option<Status> = Some(Status::Running);
const STOPPED: Option<Status> = Some(Status::Stopped);

fn endpoint(address: Option<&str>, chosen: Option<&str>, alias: &str) -> Endpoint {
    Endpoint {
        address: address.map(str::to_owned),
        chosen: chosen.map(str::to_owned),
        aliases: vec![alias.to_owned()],
        links: Vec::new(),
    }
}

#[test]
fn it_is_as_captured_if_all_are_and_as_injected_if_each_is_either() {
    let was = Snapshot::Status(statuses_of([("a", RUNNING), ("b", RUNNING)]));
    let set = Snapshot::Status(statuses_of([("a", STOPPED), ("b", STOPPED)]));
    let now = |a, b| Snapshot::Status(statuses_of([("a", a), ("b", b)])).compare(&was, &set);
    assert_eq!(now(RUNNING, RUNNING), Current::AsCaptured);
    assert_eq!(now(STOPPED, STOPPED), Current::AsInjected);
    assert_eq!(now(RUNNING, STOPPED), Current::AsInjected);
    assert_eq!(
        now(RUNNING, Some(Status::Paused)),
        Current::Otherwise(
            "the container b is paused; it was running when it was captured, and the fault made it stopped".into()
        )
    );
    let Current::Otherwise(words) = now(None, RUNNING) else {
        panic!("a container that is gone is neither");
    };
    assert!(words.contains("the container a is gone"), "{words}");
}

#[test]
fn a_container_is_in_its_network_again_only_by_its_own_address_and_names() {
    let networks = |endpoint: Endpoint| {
        let is = Some(BTreeMap::from([("net".to_owned(), endpoint)]));
        let id = "id".to_owned();
        Snapshot::Networks(BTreeMap::from([("a".to_owned(), Known { id, is })]))
    };
    let none = Snapshot::Networks(BTreeMap::from([(
        "a".to_owned(),
        Known {
            id: "id".to_owned(),
            is: Some(BTreeMap::new()),
        },
    )]));
    let was = networks(endpoint(Some("10.0.0.2"), None, "web"));
    assert_eq!(was.compare(&was, &none), Current::AsCaptured);
    assert_eq!(none.compare(&was, &none), Current::AsInjected);
    for other in [
        endpoint(Some("10.0.0.3"), None, "web"),
        endpoint(None, Some("10.0.0.2"), "web"),
        endpoint(Some("10.0.0.2"), None, "was"),
    ] {
        let now = networks(other).compare(&was, &none);
        assert!(matches!(now, Current::Otherwise(_)), "{now:?}");
    }
    // An address that the engine chose it may choose again.
    let was = networks(endpoint(None, Some("10.0.0.2"), "web"));
    let now = networks(endpoint(None, Some("10.0.0.9"), "web"));
    assert_eq!(now.compare(&was, &none), Current::AsCaptured);
}

#[test]
fn what_is_dropped_is_not_told_by_the_kernel_so_that_it_is_dropped_is_enough() {
    let ingress = |is| {
        let known = Known {
            id: "id".to_owned(),
            is: Some(is),
        };
        Snapshot::Ingress(BTreeMap::from([("a".to_owned(), known)]))
    };
    let open = ingress(Ingress::Open);
    let shut = ingress(Ingress::Blocked(Blocked {
        ports: vec![443],
        ..Blocked::default()
    }));
    let read = ingress(Ingress::Blocked(Blocked::default()));
    assert_eq!(read.compare(&open, &shut), Current::AsInjected);
    assert_eq!(open.compare(&open, &shut), Current::AsCaptured);
}

#[test]
fn what_restores_is_said_in_words_that_a_person_can_follow() {
    let status = Snapshot::Status(statuses_of([("web_1", RUNNING), ("web_2", STOPPED)]));
    assert_eq!(
        status.orders(),
        "docker start web_1 (or unpause); docker stop web_2"
    );
    let is = Some(BTreeMap::from([(
        "azure".to_owned(),
        endpoint(Some("10.0.0.2"), None, "vm"),
    )]));
    let id = "id".to_owned();
    let networks = Snapshot::Networks(BTreeMap::from([("vm_1".to_owned(), Known { id, is })]));
    assert_eq!(
        networks.orders(),
        "docker network connect --ip 10.0.0.2 --alias vm azure vm_1"
    );
}

#[test]
fn a_snapshot_is_read_back_as_it_was_written() {
    for snapshot in [
        Snapshot::Status(statuses_of([("a", RUNNING), ("b", None)])),
        Snapshot::Networks(BTreeMap::from([(
            "a".to_owned(),
            Known {
                id: "id".to_owned(),
                is: Some(BTreeMap::from([(
                    "net".to_owned(),
                    endpoint(None, Some("10.0.0.2"), "web"),
                )])),
            },
        )])),
    ] {
        let text = serde_json::to_string(&snapshot).unwrap();
        assert_eq!(serde_json::from_str::<Snapshot>(&text).unwrap(), snapshot);
    }
}
