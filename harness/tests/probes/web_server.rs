//! A web server that follows a script, and remembers what it was asked.

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};
use tokio_rustls::TlsAcceptor;
use tokio_util::task::AbortOnDropHandle;

/// What the server does with a request.
#[derive(Debug, Clone)]
pub(crate) struct Step {
    /// What it sends.
    pub(crate) bytes: Vec<u8>,
    /// What it does then.
    pub(crate) then: Then,
}

/// What the server does with a connection after an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Then {
    /// Waits for the next request.
    Serve,
    /// Closes it in order.
    Close,
    /// Closes it with a reset.
    Reset,
    /// Keeps it open and does nothing more.
    Wait,
}

/// An answer with a body, then the next request.
pub(crate) fn answer(head: &str, body: &str) -> Step {
    let length = body.len();
    Step {
        bytes: format!("HTTP/1.1 {head}\r\ncontent-length: {length}\r\n\r\n{body}").into_bytes(),
        then: Then::Serve,
    }
}

/// What the primary answers in health.
pub(crate) fn good() -> Step {
    answer(
        "200 OK\r\nserver: Apache-Coyote/1.1",
        "Welcome to Petclinic",
    )
}

impl Step {
    pub(crate) fn then(self, then: Then) -> Self {
        Self { then, ..self }
    }
}

/// A part of something, or nothing, and then what.
pub(crate) fn part(bytes: &str, then: Then) -> Step {
    Step {
        bytes: bytes.as_bytes().to_vec(),
        then,
    }
}

/// A running server. Ends when dropped.
#[derive(Debug)]
pub(crate) struct WebServer {
    pub(crate) address: SocketAddr,
    seen: Arc<Seen>,
    _accepting: AbortOnDropHandle<()>,
}

#[derive(Debug, Default)]
struct Seen {
    connections: AtomicUsize,
    requests: Mutex<Vec<String>>,
}

impl WebServer {
    /// Serves every connection by this script: one step a request, the last one again and again.
    pub(crate) async fn start(script: &[Step]) -> Self {
        Self::start_with(script, None).await
    }

    /// The same over TLS.
    pub(crate) async fn start_tls(script: &[Step], tls: TlsAcceptor) -> Self {
        Self::start_with(script, Some(tls)).await
    }

    async fn start_with(script: &[Step], tls: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::new(Seen::default());
        let accepting = accept(listener, script.to_vec(), tls, Arc::clone(&seen));
        Self {
            address,
            seen,
            _accepting: AbortOnDropHandle::new(tokio::spawn(accepting)),
        }
    }

    pub(crate) fn connections(&self) -> usize {
        self.seen.connections.load(Ordering::SeqCst)
    }

    /// The requests so far, each with its head and body.
    pub(crate) fn requests(&self) -> Vec<String> {
        self.seen.requests.lock().unwrap().clone()
    }
}

async fn accept(
    listener: TcpListener,
    script: Vec<Step>,
    tls: Option<TlsAcceptor>,
    seen: Arc<Seen>,
) {
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        seen.connections.fetch_add(1, Ordering::SeqCst);
        let (script, tls, seen) = (script.clone(), tls.clone(), Arc::clone(&seen));
        tokio::spawn(async move {
            match tls {
                None => serve_plain(stream, &script, &seen).await,
                Some(tls) => {
                    // A client that does not trust the server breaks off here.
                    if let Ok(mut stream) = tls.accept(stream).await {
                        serve(&mut stream, &script, &seen).await;
                    }
                }
            }
        });
    }
}

async fn serve_plain(mut stream: TcpStream, script: &[Step], seen: &Seen) {
    match serve(&mut stream, script, seen).await {
        Then::Serve | Then::Close => {}
        Then::Reset => stream.set_zero_linger().unwrap(),
        Then::Wait => std::future::pending().await,
    }
}

/// Goes through the script until the client is gone or a step ends the connection, and says how.
async fn serve<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut S,
    script: &[Step],
    seen: &Seen,
) -> Then {
    let mut steps = script.iter().peekable();
    while let Some(step) = steps.next() {
        let again = steps.peek().is_none();
        loop {
            let Some(request) = read_request(stream).await else {
                return Then::Close;
            };
            seen.requests.lock().unwrap().push(request);
            if stream.write_all(&step.bytes).await.is_err() {
                return Then::Close;
            }
            match (step.then, again) {
                (Then::Serve, true) => {}
                (Then::Serve, false) => break,
                (ended @ (Then::Close | Then::Reset | Then::Wait), _) => return ended,
            }
        }
    }
    Then::Close
}

/// Reads a request with its body; `None` if the client is gone.
async fn read_request<S: AsyncRead + Unpin>(stream: &mut S) -> Option<String> {
    let mut bytes = Vec::new();
    loop {
        let byte = stream.read_u8().await.ok()?;
        bytes.push(byte);
        if bytes.ends_with(b"\r\n\r\n") {
            break;
        }
    }
    let head = String::from_utf8_lossy(&bytes).to_ascii_lowercase();
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "))
        .map_or(0, |length| length.parse().unwrap());
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.ok()?;
    bytes.extend(body);
    Some(String::from_utf8(bytes).unwrap())
}
