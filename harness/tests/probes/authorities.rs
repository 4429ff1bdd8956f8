//! Every authoritative server of a zone is found, by whatever resolver is asked.

use std::{net::Ipv4Addr, time::Duration};

use blackstart::probe::authorities::{NoAuthorities, authorities};
use hickory_proto::{op::ResponseCode, rr::Name};

use crate::name_server::{NameServer, Reply};

const LIMIT: Duration = Duration::from_secs(5);

fn name(text: &str) -> Name {
    Name::from_ascii(text).unwrap()
}

#[tokio::test]
async fn every_server_of_the_nearest_zone_above_a_name_is_found() {
    let servers = vec![
        ("ns-2.test.", Ipv4Addr::new(127, 0, 0, 52)),
        ("ns-1.test.", Ipv4Addr::new(127, 0, 0, 51)),
    ];
    let resolver = NameServer::start(Reply::Zone("shop.test.", servers)).await;
    let found = authorities(resolver.address, &name("www.eu.shop.test."), 5353, LIMIT).await;
    let found: Vec<_> = found
        .unwrap()
        .into_iter()
        .map(|found| (found.name, found.address.to_string()))
        .collect();
    let expected = [
        ("ns-1.test".to_owned(), "127.0.0.51:5353".to_owned()),
        ("ns-2.test".to_owned(), "127.0.0.52:5353".to_owned()),
    ];
    assert_eq!(found, expected);
    // Three names upwards, and each server: nothing is asked twice.
    assert_eq!(resolver.datagrams(), 5);
}

#[tokio::test]
async fn a_name_without_name_servers_is_named_with_who_was_asked() {
    let resolver = NameServer::start(Reply::Code(ResponseCode::NXDomain)).await;
    let error = authorities(resolver.address, &name("www.shop.test."), 53, LIMIT)
        .await
        .unwrap_err();
    assert!(matches!(error, NoAuthorities::None { .. }), "{error}");
    let words = error.to_string();
    assert!(
        words.contains("www.shop.test") && words.contains(&resolver.address.to_string()),
        "{words}"
    );
}

#[tokio::test]
async fn a_resolver_that_is_silent_is_no_zone_without_servers() {
    let resolver = NameServer::start(Reply::Silence).await;
    let error = authorities(
        resolver.address,
        &name("www.shop.test."),
        53,
        Duration::from_millis(50),
    )
    .await
    .unwrap_err();
    assert!(matches!(error, NoAuthorities::Resolver { .. }), "{error}");
}
