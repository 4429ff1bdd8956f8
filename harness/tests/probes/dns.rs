//! How a question to a name server can end, asked by each of those who ask: the two DNS probes and a request.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    time::Duration,
};

use blackstart::{
    probe::{
        Look, Probe, Trouble,
        cached::CachedProbe,
        dns::DnsProbe,
        http::{Asking, HttpProbe, Resolution},
    },
    timeline::ErrorClass,
};
use hickory_proto::{
    op::ResponseCode,
    rr::{Name, RecordType},
};

use crate::{
    DEADLINE, HOST, SHORT,
    name_server::{NameServer, Reply},
    probe, recognition,
};

const ADDRESS: Ipv4Addr = Ipv4Addr::LOCALHOST;

pub(crate) fn name() -> Name {
    Name::from_ascii(format!("{HOST}.")).unwrap()
}

fn direct(server: SocketAddr, timeout: Duration) -> DnsProbe {
    DnsProbe {
        server,
        name: name(),
        record_type: RecordType::A,
        recursive: false,
        timeout,
        recognition: recognition(),
    }
}

/// One look at a name server by each kind of probe that asks it itself.
async fn looks(server: SocketAddr, timeout: Duration) -> [(&'static str, Look); 2] {
    let request = HttpProbe {
        resolution: Resolution::Ask(Asking::anew(server, name())),
        timeout,
        ..probe((ADDRESS, 9).into())
    };
    let direct = direct(server, timeout);
    let (direct, request) = tokio::join!(direct.look(0), request.look(0));
    [("direct", direct), ("request", request)]
}

/// What a client with a cache sees that has nothing in it yet.
async fn cached(server: SocketAddr) -> Look {
    CachedProbe::new(server, name(), DEADLINE, 1.0, recognition())
        .unwrap()
        .look(0)
        .await
}

#[tokio::test]
async fn an_answer_names_its_tier_its_chain_and_its_shortest_ttl() {
    let addresses = vec![ADDRESS, Ipv4Addr::new(127, 0, 0, 2)];
    let server = NameServer::start(Reply::Addresses(addresses, 60)).await;
    let [direct, _] = looks(server.address, DEADLINE).await;
    for (who, look) in [direct, ("cached", cached(server.address).await)] {
        assert_eq!(look.trouble, None, "{who}: {look:?}");
        assert_eq!(
            look.answers,
            ["petclinic.elb.test", "127.0.0.1", "127.0.0.2"],
            "{who}"
        );
        assert_eq!(look.tier.as_deref(), Some("primary"), "{who}");
        assert_eq!(look.ttl, Some(60), "{who}");
        assert_eq!(look.response_code, None, "{who}");
        assert_eq!(look.address, Some(server.address.ip()), "{who}");
        assert!(look.first_byte.is_some(), "{who}");
    }
}

#[tokio::test]
async fn every_refusal_has_its_class_whoever_asks_and_is_asked_for_once() {
    for (code, class, word) in [
        (ResponseCode::NXDomain, ErrorClass::DnsNxdomain, "NXDOMAIN"),
        (ResponseCode::ServFail, ErrorClass::DnsServfail, "SERVFAIL"),
        (ResponseCode::Refused, ErrorClass::DnsOther, "REFUSED"),
        (ResponseCode::NoError, ErrorClass::DnsOther, "NOERROR"),
    ] {
        let server = NameServer::start(Reply::Code(code)).await;
        for (who, look) in looks(server.address, DEADLINE).await {
            assert_eq!(look.trouble, Some(Trouble::Bad(class)), "{who}: {look:?}");
            assert!(look.detail.is_some(), "{who}");
            if who != "request" {
                assert_eq!(look.response_code.as_deref(), Some(word), "{who}");
            }
        }
        assert_eq!(server.datagrams(), 2, "{word}: one question a look");
    }
}

#[tokio::test]
async fn a_silent_server_is_a_time_out_and_is_asked_once() {
    let server = NameServer::start(Reply::Silence).await;
    // Long enough for a library to ask again, which would hide a lost packet.
    let patience = Duration::from_secs(2);
    for (who, look) in looks(server.address, patience).await {
        assert_eq!(
            look.trouble,
            Some(Trouble::Bad(ErrorClass::DnsTimeout)),
            "{who}: {look:?}"
        );
        assert_eq!(look.first_byte, None, "{who}");
    }
    assert_eq!(server.datagrams(), 2);
}

#[tokio::test]
async fn a_port_at_which_no_name_server_listens_refuses() {
    let socket = std::net::UdpSocket::bind((ADDRESS, 0)).unwrap();
    let closed = socket.local_addr().unwrap();
    drop(socket);
    for (who, look) in looks(closed, DEADLINE).await {
        assert_eq!(
            look.trouble,
            Some(Trouble::Bad(ErrorClass::Refused)),
            "{who}: {look:?}"
        );
        let detail = look.detail.unwrap();
        assert!(detail.contains(&closed.to_string()), "{who}: {detail}");
    }
}

#[tokio::test]
async fn an_answer_that_was_cut_off_is_asked_for_again_over_tcp() {
    let server = NameServer::start(Reply::Truncated(ADDRESS)).await;
    let [direct, _] = looks(server.address, DEADLINE).await;
    for (who, look) in [direct, ("cached", cached(server.address).await)] {
        assert_eq!(look.trouble, None, "{who}: {look:?}");
        assert_eq!(look.answers, ["petclinic.elb.test", "127.0.0.1"], "{who}");
    }
    assert_eq!(server.streams(), 3);
}

#[tokio::test]
async fn packets_that_answer_something_else_are_passed_over() {
    let server = NameServer::start(Reply::AfterStrays(ADDRESS)).await;
    let look = direct(server.address, DEADLINE).look(0).await;
    assert_eq!(look.trouble, None, "{look:?}");
    assert_eq!(look.answers, ["petclinic.elb.test", "127.0.0.1"]);
}

#[tokio::test]
async fn an_authority_is_not_asked_to_recurse_and_a_resolver_is() {
    let server = NameServer::start(Reply::Addresses(vec![ADDRESS], 60)).await;
    for recursive in [false, true] {
        let probe = DnsProbe {
            recursive,
            ..direct(server.address, DEADLINE)
        };
        assert_eq!(probe.look(0).await.trouble, None);
    }
    assert_eq!(server.recursion_desired(), [false, true]);
}

#[tokio::test]
async fn a_request_whose_name_does_not_resolve_connects_to_nobody() {
    let server = NameServer::start(Reply::Silence).await;
    let request = HttpProbe {
        resolution: Resolution::Ask(Asking::anew(server.address, name())),
        timeout: SHORT,
        ..probe((ADDRESS, 9).into())
    };
    let look = request.look(0).await;
    assert_eq!(
        look.trouble,
        Some(Trouble::Bad(ErrorClass::DnsTimeout)),
        "{look:?}"
    );
    assert_eq!((look.resolved, look.connected), (None, None));
    assert_ne!(
        look.address,
        Some(IpAddr::V4(ADDRESS)),
        "nobody was connected to"
    );
}
