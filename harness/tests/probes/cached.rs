//! What a client sees that keeps an answer as long as its TTL says.

use std::{net::Ipv4Addr, time::Duration};

use blackstart::{
    probe::{Probe, Trouble, cached::CachedProbe},
    timeline::ErrorClass,
};
use hickory_proto::op::ResponseCode;
use tokio::time::Instant;

use crate::{
    DEADLINE,
    dns::name,
    name_server::{NameServer, Reply},
    recognition,
};

const BEFORE: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
const AFTER: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 2);

fn cached(server: &NameServer, timeout: Duration, speed: f64) -> CachedProbe {
    CachedProbe::new(server.address, name(), timeout, speed, recognition()).unwrap()
}

fn addresses(address: Ipv4Addr, ttl: u32) -> Reply {
    Reply::Addresses(vec![address], ttl)
}

#[tokio::test]
async fn an_answer_is_not_asked_for_again_while_it_lives() {
    let server = NameServer::start(addresses(BEFORE, 86_400)).await;
    let probe = cached(&server, DEADLINE, 1.0);
    let mut ttls = Vec::new();
    for seq in 0..20 {
        let look = probe.look(seq).await;
        assert_eq!(look.trouble, None, "{look:?}");
        assert!(look.answers.contains(&BEFORE.to_string()));
        ttls.push(look.ttl);
    }
    assert_eq!(server.datagrams(), 1);
    assert!(ttls.iter().rev().is_sorted(), "a TTL counts down: {ttls:?}");
}

#[tokio::test]
async fn an_answer_lives_as_long_as_its_ttl_in_the_architectures_time() {
    let speed = 30.0;
    let (ttl, real) = (30, Duration::from_secs(1));
    let server = NameServer::start(addresses(BEFORE, ttl)).await;
    let probe = cached(&server, DEADLINE, speed);
    let asked = Instant::now();
    assert_eq!(probe.look(0).await.ttl, Some(ttl));
    server.reply(addresses(AFTER, ttl));

    let mut last_ttl = Some(ttl);
    let mut seq = 0;
    let switched = loop {
        seq += 1;
        let look = probe.look(seq).await;
        assert_eq!(look.trouble, None, "{look:?}");
        if look.answers.contains(&AFTER.to_string()) {
            break Instant::now();
        }
        assert!(look.ttl <= last_ttl, "a TTL counts down");
        last_ttl = look.ttl;
        assert!(asked.elapsed() < DEADLINE, "the answer outlived its TTL");
        tokio::time::sleep(Duration::from_millis(5)).await;
    };
    assert!(
        switched - asked >= real,
        "the answer did not live as long as its TTL"
    );
    assert_eq!(server.datagrams(), 2);
}

#[tokio::test]
async fn an_answer_without_a_life_is_asked_for_every_time() {
    let server = NameServer::start(addresses(BEFORE, 0)).await;
    let probe = cached(&server, DEADLINE, 30.0);
    for seq in 0..3 {
        assert_eq!(probe.look(seq).await.trouble, None);
    }
    assert_eq!(server.datagrams(), 3);
}

#[tokio::test]
async fn a_failure_is_not_kept() {
    let server = NameServer::start(Reply::Code(ResponseCode::ServFail)).await;
    let probe = cached(&server, DEADLINE, 1.0);
    let failed = Some(Trouble::Bad(ErrorClass::DnsServfail));
    assert_eq!(probe.look(0).await.trouble, failed);
    server.reply(addresses(BEFORE, 60));
    assert_eq!(probe.look(1).await.trouble, None);
    server.reply(Reply::Code(ResponseCode::ServFail));
    let look = probe.look(2).await;
    assert_eq!(
        look.trouble, None,
        "what is kept outlives a failure of the server: {look:?}"
    );
}

#[tokio::test]
async fn a_silent_server_is_a_time_out_also_for_a_client_that_asks_again() {
    let server = NameServer::start(Reply::Silence).await;
    let probe = cached(&server, Duration::from_millis(200), 1.0);
    let silent = Some(Trouble::Bad(ErrorClass::DnsTimeout));
    assert_eq!(probe.look(0).await.trouble, silent);
}
