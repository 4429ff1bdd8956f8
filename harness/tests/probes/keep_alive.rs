//! How a connection is kept, and what happens when it does not last.

use blackstart::{
    environment::Connection,
    probe::{Probe, Trouble, http::HttpProbe},
    timeline::ErrorClass,
};

use crate::{
    DEADLINE, probe,
    web_server::{Then, WebServer, answer, good, part},
};

fn keeping(server: &WebServer) -> HttpProbe {
    HttpProbe {
        connection: Connection::KeepAlive,
        ..probe(server.address)
    }
}

#[tokio::test]
async fn a_connection_that_lasts_is_used_for_every_look() {
    let server = WebServer::start(&[good()]).await;
    let probe = keeping(&server);
    let first = probe.look(0).await;
    assert!(first.connected.is_some());
    for seq in 1..5 {
        let look = probe.look(seq).await;
        assert_eq!(look.trouble, None, "{look:?}");
        assert_eq!(look.connected, None, "no connection was made");
        assert_eq!(look.address, first.address);
    }
    assert_eq!((server.connections(), server.requests().len()), (1, 5));
}

#[tokio::test]
async fn a_probe_of_new_connections_uses_none_twice() {
    let server = WebServer::start(&[good()]).await;
    let probe = probe(server.address);
    for seq in 0..5 {
        assert_eq!(probe.look(seq).await.trouble, None);
    }
    assert_eq!((server.connections(), server.requests().len()), (5, 5));
}

#[tokio::test]
async fn a_failed_answer_keeps_the_connection_as_a_pool_would() {
    let script = [
        answer("503 Service Unavailable\r\nserver: Apache", ""),
        good(),
    ];
    let server = WebServer::start(&script).await;
    let probe = keeping(&server);
    let failed = Some(Trouble::Bad(ErrorClass::Http5xx));
    assert_eq!(probe.look(0).await.trouble, failed);
    assert_eq!(probe.look(1).await.trouble, None);
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn a_server_that_says_it_closes_gets_a_new_connection_every_time() {
    let head = "200 OK\r\nserver: Apache\r\nconnection: close";
    let server = WebServer::start(&[answer(head, "Welcome").then(Then::Close)]).await;
    let probe = keeping(&server);
    for seq in 0..3 {
        let look = probe.look(seq).await;
        assert_eq!(look.trouble, None, "{look:?}");
    }
    assert_eq!((server.connections(), server.requests().len()), (3, 3));
}

#[tokio::test]
async fn after_a_connection_was_closed_another_is_opened() {
    let server = WebServer::start(&[good().then(Then::Close)]).await;
    let probe = keeping(&server);
    assert_eq!(probe.look(0).await.trouble, None);
    // A request that crosses the end of the connection on its way is lost, for a pool as for this probe. It is not sent again.
    let mut looks = 1;
    tokio::time::timeout(DEADLINE, async {
        loop {
            let look = probe.look(looks).await;
            looks += 1;
            match look.trouble {
                None => return,
                Some(trouble) => assert_eq!(trouble, Trouble::Bad(ErrorClass::Reset), "{look:?}"),
            }
        }
    })
    .await
    .expect("another connection");
    assert_eq!(server.connections(), 2);
    assert_eq!(server.requests().len(), 2);
}

#[tokio::test]
async fn a_request_that_fails_on_a_used_connection_is_not_sent_again() {
    let server = WebServer::start(&[good(), part("", Then::Reset)]).await;
    let probe = keeping(&server);
    assert_eq!(probe.look(0).await.trouble, None);
    let look = probe.look(1).await;
    assert_eq!(
        look.trouble,
        Some(Trouble::Bad(ErrorClass::Reset)),
        "{look:?}"
    );
    assert_eq!((server.connections(), server.requests().len()), (1, 2));
    assert_eq!(probe.look(2).await.trouble, None);
    assert_eq!((server.connections(), server.requests().len()), (2, 3));
}

#[tokio::test]
async fn an_answer_that_was_not_read_to_its_end_ends_the_connection() {
    let long = answer("200 OK\r\nserver: Apache", &"x".repeat(200 * 1024));
    let server = WebServer::start(&[long]).await;
    let probe = keeping(&server);
    for seq in 0..3 {
        let look = probe.look(seq).await;
        assert_eq!(look.trouble, None, "{look:?}");
    }
    assert_eq!(server.connections(), 3);
}
