//! How a request can end.

use std::{
    collections::BTreeMap,
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};

use blackstart::{
    environment::DnsCache,
    probe::{
        Look, Probe, Trouble,
        http::{Asking, HttpProbe, Resolution},
    },
    timeline::ErrorClass,
};
use hickory_proto::rr::Name;
use socket2::{Domain, Socket, Type};
use tokio::time::Instant;

use crate::{
    HOST, SHORT,
    name_server::{NameServer, Reply},
    probe,
    web_server::{Step, Then, WebServer, answer, good, part},
};

const BODY_LIMIT: usize = 64 * 1024;

fn asking(names: &NameServer) -> Asking {
    let name = Name::from_ascii("www.petclinic.test.").unwrap();
    Asking::anew(names.address, name)
}

/// Looks once at a server that follows a script.
async fn look_at(script: &[Step]) -> (Look, WebServer) {
    let server = WebServer::start(script).await;
    let look = probe(server.address).look(0).await;
    (look, server)
}

fn is_bad(look: &Look, class: ErrorClass) -> bool {
    look.trouble == Some(Trouble::Bad(class))
}

/// An address at which nobody listens.
pub(crate) fn closed_address() -> SocketAddr {
    let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    listener.local_addr().unwrap()
}

#[tokio::test]
async fn a_good_answer_names_its_tier_and_its_phases_follow_each_other() {
    let server = WebServer::start(&[good()]).await;
    let names = NameServer::start(Reply::Addresses(vec![Ipv4Addr::LOCALHOST], 60)).await;
    let probe = HttpProbe {
        resolution: Resolution::Ask(asking(&names)),
        headers: vec!["server".to_owned()],
        texts: vec!["Welcome".to_owned(), "Goodbye".to_owned()],
        ..probe(server.address)
    };
    let start = Instant::now();
    let look = probe.look(0).await;
    let end = Instant::now();
    assert_eq!(look.trouble, None, "{look:?}");
    assert_eq!(look.tier.as_deref(), Some("primary"));
    assert_eq!(look.status, Some(200));
    assert_eq!(look.address, Some(server.address.ip()));
    assert_eq!(look.headers["server"], "Apache-Coyote/1.1");
    assert_eq!(look.found, ["Welcome"]);
    assert_eq!(look.answers, ["petclinic.elb.test", "127.0.0.1"]);
    assert_eq!(look.ttl, Some(60));
    assert_eq!(look.secured, None);
    let phases = [
        Some(start),
        look.resolved,
        look.connected,
        look.first_byte,
        Some(end),
    ];
    assert!(phases.iter().all(Option::is_some), "{look:?}");
    assert!(phases.is_sorted(), "{phases:?}");
    assert!(server.requests()[0].starts_with("GET /petclinic/ HTTP/1.1\r\n"));
    assert!(server.requests()[0].contains(&format!("host: {HOST}\r\n")));
}

#[tokio::test]
async fn a_port_at_which_nobody_listens_refuses() {
    let look = probe(closed_address()).look(0).await;
    assert!(is_bad(&look, ErrorClass::Refused), "{look:?}");
    assert_eq!(look.connected, None);
    assert!(look.detail.unwrap().contains("127.0.0.1"));
}

#[tokio::test]
async fn a_connection_that_is_reset_before_or_within_the_answer_is_a_reset() {
    let half = "HTTP/1.1 200 OK\r\nserver: Apache\r\ncontent-length: 100\r\n\r\nWelcome";
    for begun in ["", "HTTP/1.1 200", half] {
        let (look, _) = look_at(&[part(begun, Then::Reset)]).await;
        assert!(
            is_bad(&look, ErrorClass::Reset),
            "after `{begun}`: {look:?}"
        );
        assert!(look.connected.is_some());
    }
}

#[tokio::test]
async fn a_connection_that_is_closed_without_an_answer_is_a_reset() {
    let (look, _) = look_at(&[part("", Then::Close)]).await;
    assert!(is_bad(&look, ErrorClass::Reset), "{look:?}");
}

#[tokio::test]
async fn half_an_answer_is_no_answer() {
    let half = "HTTP/1.1 200 OK\r\nserver: Apache\r\ncontent-length: 100\r\n\r\nWelcome";
    let (look, _) = look_at(&[part(half, Then::Close)]).await;
    assert!(is_bad(&look, ErrorClass::Protocol), "{look:?}");
    assert!(look.first_byte.is_some());
    assert_eq!(look.status, Some(200));
}

#[tokio::test]
async fn what_is_no_http_is_a_protocol_error() {
    let (look, _) = look_at(&[part("SSH-2.0-OpenSSH_9.6\r\n\r\n", Then::Close)]).await;
    assert!(is_bad(&look, ErrorClass::Protocol), "{look:?}");
}

#[tokio::test]
async fn an_answer_that_never_comes_or_never_ends_runs_into_the_time_out() {
    let half = "HTTP/1.1 200 OK\r\nserver: Apache\r\ncontent-length: 100\r\n\r\nWelcome";
    for (begun, has_first_byte) in [("", false), ("HTTP/1.1 200 OK\r\n", false), (half, true)] {
        let server = WebServer::start(&[part(begun, Then::Wait)]).await;
        let probe = HttpProbe {
            timeout: SHORT,
            ..probe(server.address)
        };
        let start = Instant::now();
        let look = probe.look(0).await;
        assert!(is_bad(&look, ErrorClass::ResponseTimeout), "{look:?}");
        assert!(start.elapsed() >= SHORT, "it did not wait");
        assert!(look.connected.is_some());
        assert_eq!(look.first_byte.is_some(), has_first_byte, "after `{begun}`");
        assert_eq!(server.requests().len(), 1);
    }
}

/// Linux drops a SYN that finds the queue of connections not yet accepted full.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn packets_that_vanish_are_a_connect_time_out() {
    let listener = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    listener.bind(&any.into()).unwrap();
    listener.listen(0).unwrap();
    let address = listener.local_addr().unwrap().as_socket().unwrap();
    let filler = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    filler
        .connect_timeout(&address.into(), crate::DEADLINE)
        .unwrap();

    let probe = HttpProbe {
        timeout: SHORT,
        ..probe(address)
    };
    let start = Instant::now();
    let look = probe.look(0).await;
    assert!(is_bad(&look, ErrorClass::ConnectTimeout), "{look:?}");
    assert!(start.elapsed() >= SHORT);
    assert_eq!(look.connected, None);
}

#[tokio::test]
async fn every_status_that_is_not_expected_has_its_class() {
    for (head, class) in [
        ("503 Service Unavailable", ErrorClass::Http5xx),
        ("500 Internal Server Error", ErrorClass::Http5xx),
        ("404 Not Found", ErrorClass::Http4xx),
        ("204 No Content", ErrorClass::OtherStatus),
    ] {
        let (look, server) = look_at(&[answer(&format!("{head}\r\nserver: Apache"), "")]).await;
        assert!(is_bad(&look, class), "{head}: {look:?}");
        assert_eq!(look.tier.as_deref(), Some("primary"), "who failed is known");
        assert!(look.detail.unwrap().contains(&head[..3]));
        assert_eq!(server.requests().len(), 1);
    }
}

#[tokio::test]
async fn a_status_that_is_expected_is_good_whatever_it_is() {
    let server = WebServer::start(&[answer("302 Found\r\nserver: Apache", "")]).await;
    let mut probe = probe(server.address);
    probe.request.good_status = vec![200, 302];
    let look = probe.look(0).await;
    assert_eq!(look.trouble, None, "{look:?}");
}

#[tokio::test]
async fn a_redirect_is_an_answer_and_is_not_followed() {
    let elsewhere = WebServer::start(&[good()]).await;
    let head = format!(
        "302 Found\r\nserver: Apache\r\nlocation: http://{}/",
        elsewhere.address
    );
    let (look, server) = look_at(&[answer(&head, "")]).await;
    assert!(is_bad(&look, ErrorClass::OtherStatus), "{look:?}");
    assert_eq!(look.status, Some(302));
    assert_eq!(server.requests().len(), 1);
    assert_eq!(elsewhere.connections(), 0);
}

#[tokio::test]
async fn an_answer_from_nobody_known_is_not_good() {
    let (look, _) = look_at(&[answer("200 OK\r\nserver: squid", "Welcome")]).await;
    assert!(is_bad(&look, ErrorClass::UnknownTier), "{look:?}");
    assert_eq!(look.tier, None);
}

#[tokio::test]
async fn a_body_is_read_as_far_as_the_promised_64_kib_and_no_further() {
    let last = BODY_LIMIT - "Sorry".len();
    for (at, found) in [(last, true), (last + 1, false), (BODY_LIMIT, false)] {
        let mut body = "x".repeat(BODY_LIMIT + 1000);
        body.replace_range(at..at + "Sorry".len(), "Sorry");
        // The rest of the body never comes: who waits for it runs into the deadline.
        let head = "HTTP/1.1 200 OK\r\ncontent-length: 100000000\r\n\r\n";
        let server = WebServer::start(&[part(&format!("{head}{body}"), Then::Wait)]).await;
        let start = Instant::now();
        let look = probe(server.address).look(0).await;
        assert!(start.elapsed() < crate::DEADLINE, "it waited for the rest");
        assert_eq!(
            look.tier.as_deref(),
            found.then_some("page"),
            "a mark at {at}"
        );
    }
}

#[tokio::test]
async fn nothing_is_sent_again_after_a_failure() {
    let failures = [
        part("", Then::Reset),
        part("", Then::Close),
        answer("503 Service Unavailable\r\nretry-after: 0", ""),
        part(
            "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n",
            Then::Close,
        ),
    ];
    for failure in failures {
        let server = WebServer::start(&[failure]).await;
        let probe = probe(server.address);
        for seq in 0..3 {
            assert!(probe.look(seq).await.trouble.is_some());
        }
        assert_eq!((server.connections(), server.requests().len()), (3, 3));
    }
}

#[tokio::test]
async fn form_fields_carry_the_numbers_of_the_sample_and_of_the_run() {
    let server = WebServer::start(&[good()]).await;
    let mut probe = probe(server.address);
    probe.request.method = "POST".to_owned();
    probe.request.headers = BTreeMap::from([("x-drill".to_owned(), "yes".to_owned())]);
    probe.request.form = BTreeMap::from([
        ("firstName".to_owned(), "Drill & Co".to_owned()),
        ("lastName".to_owned(), "{run}-{sequence}".to_owned()),
    ]);
    let look = probe.look(42).await;
    assert_eq!(look.trouble, None, "{look:?}");
    let request = &server.requests()[0];
    assert!(
        request.starts_with("POST /petclinic/ HTTP/1.1\r\n"),
        "{request}"
    );
    assert!(
        request.contains("content-type: application/x-www-form-urlencoded\r\n"),
        "{request}"
    );
    assert!(request.contains("x-drill: yes\r\n"), "{request}");
    assert!(
        request.ends_with("\r\n\r\nfirstName=Drill+%26+Co&lastName=run-7-42"),
        "{request}"
    );
}

#[tokio::test]
async fn each_of_several_addresses_is_asked_in_turn_so_that_half_up_shows_as_half_up() {
    let server = WebServer::start(&[good()]).await;
    let other = Ipv4Addr::new(127, 0, 0, 2);
    let addresses = vec![Ipv4Addr::LOCALHOST, other];
    let names = NameServer::start(Reply::Addresses(addresses.clone(), 60)).await;
    let probe = HttpProbe {
        resolution: Resolution::Ask(asking(&names)),
        ..probe(server.address)
    };
    let mut asked = Vec::new();
    for seq in 0..4 {
        let look = probe.look(seq).await;
        match look.trouble {
            None => asked.push(look.address.unwrap()),
            Some(trouble) => {
                assert_eq!(trouble, Trouble::Bad(ErrorClass::Refused), "{look:?}");
                assert!(look.detail.unwrap().contains("127.0.0.2"));
                asked.push(other.into());
            }
        }
    }
    assert_eq!(
        asked,
        [addresses[0], addresses[1], addresses[0], addresses[1]]
    );
    assert_eq!(server.connections(), 2);
    assert_eq!(
        names.datagrams(),
        4,
        "the name is looked up for every connection"
    );
}

#[tokio::test]
async fn a_client_asks_for_its_name_as_often_as_its_habit_says() {
    // A TTL of a second, on a clock that runs a thousand times as fast: what honours it has forgotten the answer by the next request.
    for (cache, asked) in [
        (DnsCache::None, 3),
        (DnsCache::Ttl, 3),
        (DnsCache::AtMostFiveMinutes, 3),
        (DnsCache::AtLeastMinute, 1),
        (DnsCache::ForEver, 1),
    ] {
        let server = WebServer::start(&[good()]).await;
        let names = NameServer::start(Reply::Addresses(vec![Ipv4Addr::LOCALHOST], 1)).await;
        let probe = HttpProbe {
            resolution: Resolution::Ask(Asking {
                cache,
                speed: if asked == 1 { 1.0 } else { 1_000.0 },
                ..asking(&names)
            }),
            ..probe(server.address)
        };
        for seq in 0..3 {
            let look = probe.look(seq).await;
            assert_eq!(look.trouble, None, "{look:?}");
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        assert_eq!(names.datagrams(), asked, "{}", cache.as_str());
    }
}
