//! Every way in which a look at a service can end, against real servers on loopback, and the schedule that the looks keep.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod authorities;
mod cached;
mod control_plane;
mod dns;
mod http;
mod keep_alive;
mod name_server;
mod poller;
mod tls;
mod web_server;

use std::{collections::BTreeMap, net::SocketAddr, time::Duration};

use blackstart::{
    environment::{Connection, HeaderMatch, Recognise, Request, Tier},
    probe::{
        Recognition,
        http::{HttpProbe, Kept, Resolution},
    },
};

/// How long a test waits for what must happen sooner or later.
const DEADLINE: Duration = Duration::from_secs(20);
/// The time-out of a probe that must run into it.
const SHORT: Duration = Duration::from_millis(300);
const HOST: &str = "www.petclinic.test";

fn tier(name: &str, recognise: Recognise) -> Tier {
    Tier {
        name: name.to_owned(),
        about: String::new(),
        recognise,
        preflight: None,
    }
}

/// A tier told by its Server header, one told by its page, and one told by DNS.
fn recognition() -> Recognition {
    let header = HeaderMatch {
        name: "server".to_owned(),
        contains: "Apache".to_owned(),
    };
    Recognition::new(vec![
        tier(
            "primary",
            Recognise {
                header: Some(header),
                dns: Some("elb.test".to_owned()),
                ..Recognise::default()
            },
        ),
        tier(
            "page",
            Recognise {
                body: Some("Sorry".to_owned()),
                ..Recognise::default()
            },
        ),
    ])
}

/// A probe of a server at an address, patient and on new connections.
fn probe(server: SocketAddr) -> HttpProbe {
    HttpProbe {
        resolution: Resolution::Address(server.ip()),
        port: server.port(),
        tls: None,
        host: HOST.to_owned(),
        request: Request {
            method: "GET".to_owned(),
            path: "/petclinic/".to_owned(),
            headers: BTreeMap::new(),
            form: BTreeMap::new(),
            good_status: vec![200],
            writes: false,
        },
        run: "run-7".to_owned(),
        timeout: DEADLINE,
        connection: Connection::New,
        recognition: recognition(),
        headers: Vec::new(),
        texts: Vec::new(),
        kept: Kept::default(),
    }
}
