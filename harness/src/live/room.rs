//! A page for the room: what goes on, for everybody who has a browser and nobody who could change anything.
//!
//! The page is one document without anything from elsewhere. It is told by server-sent events: each is a whole picture, so whoever comes
//! late, or was away, sees the same as everybody.

use std::{
    collections::{BTreeMap, VecDeque},
    convert::Infallible,
    net::SocketAddr,
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use futures_util::stream;
use http::{HeaderMap, Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full, StreamBody, combinators::UnsyncBoxBody};
use hyper::{
    body::{Frame, Incoming},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use ring::digest::{SHA256, digest};
use serde::Serialize;
use tokio::{
    net::{TcpListener, TcpStream},
    runtime::Handle,
    sync::{Semaphore, mpsc, watch},
    task::JoinHandle,
    time::{Instant, sleep_until, timeout},
};
use tokio_util::task::TaskTracker;

use super::watch::{Picture, Watch};
use crate::timeline::Entry;

/// The page. `{nonce}` is replaced: nothing else on it is a script, and nothing from outside ever becomes part of its markup.
const PAGE: &str = include_str!("room.html");
/// From one picture to the next, at least.
const PICTURE_EVERY: Duration = Duration::from_millis(250);
/// How long the last picture may take to reach those who look on.
const LAST_PICTURE: Duration = Duration::from_secs(1);
/// A connection that says nothing is taken for dead by proxies.
const ALIVE_EVERY: Duration = Duration::from_secs(10);
/// How long a browser may take to say what it wants.
const PATIENCE: Duration = Duration::from_secs(10);
/// How many browsers there may be at once.
const BROWSERS: usize = 64;
/// The lines that a page shows.
const LINES: usize = 200;

type Body = UnsyncBoxBody<Bytes, Infallible>;

/// What the room is told.
enum Told {
    Limit(String, Duration),
    Event(String, Box<Entry>),
    Over,
}

/// Tells the room what happens. That takes no time, whoever looks on.
#[derive(Clone)]
pub struct Hand(mpsc::UnboundedSender<Told>);

/// A page that is served.
pub struct Room {
    address: SocketAddr,
    hand: Hand,
    painting: JoinHandle<()>,
    serving: JoinHandle<()>,
    browsers: TaskTracker,
}

impl std::fmt::Debug for Room {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Room")
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Hand {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Hand")
    }
}

impl Hand {
    /// Tells how long the recovery of a drill may take.
    pub fn limit(&self, drill: &str, limit: Duration) {
        drop(self.0.send(Told::Limit(drill.to_owned(), limit)));
    }

    /// Tells an event of a drill.
    pub fn event(&self, drill: &str, entry: &Entry) {
        drop(
            self.0
                .send(Told::Event(drill.to_owned(), Box::new(entry.clone()))),
        );
    }
}

impl Room {
    /// Serves the page at an address. With a token, only to those who have it.
    ///
    /// # Errors
    /// If the address cannot be had.
    pub async fn open(
        address: SocketAddr,
        token: Option<String>,
        threads: &Handle,
    ) -> std::io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        let (sender, told) = mpsc::unbounded_channel();
        let (pictures, picture) = watch::channel(Arc::from("{}"));
        let door = Arc::new(Door { token, picture });
        let browsers = TaskTracker::new();
        let painting = threads.spawn(paint(told, pictures));
        let serving = threads.spawn(serve(listener, door, browsers.clone()));
        Ok(Self {
            address,
            hand: Hand(sender),
            painting,
            serving,
            browsers,
        })
    }

    /// Where it is served.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where it is told what happens.
    pub fn hand(&self) -> Hand {
        self.hand.clone()
    }

    /// Shows how it ended, and ends. A browser that takes no more is not waited for.
    pub async fn close(mut self) {
        drop(self.hand.0.send(Told::Over));
        drop(timeout(LAST_PICTURE, &mut self.painting).await);
        self.serving.abort();
        self.browsers.close();
        drop(timeout(LAST_PICTURE, self.browsers.wait()).await);
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        self.painting.abort();
        self.serving.abort();
    }
}

/// Everything that a page shows.
#[derive(Serialize)]
struct Pictures {
    drills: Vec<Limited>,
    lines: Vec<Line>,
}

#[derive(Serialize)]
struct Limited {
    #[serde(flatten)]
    picture: Picture,
    limit_s: Option<f64>,
}

#[derive(Clone, Serialize)]
struct Line {
    at: String,
    drill: String,
    word: &'static str,
    text: String,
    trouble: bool,
}

/// Makes pictures of what is told, not more often than anybody can look.
async fn paint(mut told: mpsc::UnboundedReceiver<Told>, pictures: watch::Sender<Arc<str>>) {
    let mut watches: BTreeMap<String, Watch> = BTreeMap::new();
    let mut limits: BTreeMap<String, Duration> = BTreeMap::new();
    let mut lines: VecDeque<Line> = VecDeque::new();
    let mut due = None;
    loop {
        let now_due = async {
            match due {
                Some(due) => sleep_until(due).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            told = told.recv() => {
                match told {
                    None | Some(Told::Over) => {
                        send(&watches, &limits, &lines, &pictures);
                        break;
                    }
                    Some(Told::Limit(drill, limit)) => {
                        limits.insert(drill, limit);
                    }
                    Some(Told::Event(drill, entry)) => {
                        let watch = watches.entry(drill.clone()).or_insert_with(|| Watch::new(&drill));
                        lines.extend(watch.take(&entry).into_iter().map(|line| Line {
                            at: super::clock(line.at),
                            drill: watch.name().to_owned(),
                            word: line.word,
                            text: line.text,
                            trouble: line.trouble,
                        }));
                        lines.drain(..lines.len().saturating_sub(LINES));
                    }
                }
                due.get_or_insert_with(|| Instant::now() + PICTURE_EVERY);
            }
            () = now_due => {
                due = None;
                send(&watches, &limits, &lines, &pictures);
            }
        }
    }
}

/// Makes a picture of everything and hands it to those who look on.
fn send(
    watches: &BTreeMap<String, Watch>,
    limits: &BTreeMap<String, Duration>,
    lines: &VecDeque<Line>,
    pictures: &watch::Sender<Arc<str>>,
) {
    let drills = watches.iter().map(|(name, watch)| Limited {
        picture: watch.picture(),
        limit_s: limits.get(name).map(Duration::as_secs_f64),
    });
    let all = Pictures {
        drills: drills.collect(),
        lines: lines.iter().cloned().collect(),
    };
    if let Ok(text) = serde_json::to_string(&all) {
        pictures.send_replace(Arc::from(text));
    }
}

/// Who may come in, and what they see.
struct Door {
    token: Option<String>,
    picture: watch::Receiver<Arc<str>>,
}

async fn serve(listener: TcpListener, door: Arc<Door>, all: TaskTracker) {
    let browsers = Arc::new(Semaphore::new(BROWSERS));
    loop {
        // More than that wait until one has gone.
        let Ok(place) = Arc::clone(&browsers).acquire_owned().await else {
            return;
        };
        let Ok((connection, _)) = listener.accept().await else {
            // Out of file handles, for example: what is short comes back.
            tokio::time::sleep(PICTURE_EVERY).await;
            continue;
        };
        let door = Arc::clone(&door);
        all.spawn(async move {
            attend(connection, door).await;
            drop(place);
        });
    }
}

/// Answers one browser. One that goes away, or talks nonsense, is no trouble of ours.
async fn attend(connection: TcpStream, door: Arc<Door>) {
    let answer = service_fn(move |request: Request<Incoming>| {
        let door = Arc::clone(&door);
        async move { Ok::<_, Infallible>(door.answer(&request)) }
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .keep_alive(false)
        .header_read_timeout(PATIENCE)
        .serve_connection(TokioIo::new(connection), answer);
    drop(served.await);
}

impl Door {
    fn answer(&self, request: &Request<Incoming>) -> Response<Body> {
        if let Err((status, words)) = self.admit(request.headers(), request.uri().query()) {
            return plain(status, words);
        }
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            return plain(
                StatusCode::METHOD_NOT_ALLOWED,
                "this page changes nothing\n",
            );
        }
        match request.uri().path() {
            "/" => page(),
            "/events" => self.events(),
            _ => plain(StatusCode::NOT_FOUND, "there is / and nothing else\n"),
        }
    }

    /// Lets in whoever has the token. Without one, whoever calls this machine by its own names: a page from elsewhere whose name was made
    /// to lead here does not.
    fn admit(
        &self,
        headers: &HeaderMap,
        query: Option<&str>,
    ) -> Result<(), (StatusCode, &'static str)> {
        let Some(token) = &self.token else {
            let host = headers
                .get(header::HOST)
                .and_then(|host| host.to_str().ok());
            if host.is_some_and(is_own_name) {
                return Ok(());
            }
            return Err((StatusCode::FORBIDDEN, "this page is served to localhost\n"));
        };
        let bearer = headers.get(header::AUTHORIZATION).and_then(|value| {
            value
                .to_str()
                .ok()?
                .strip_prefix("Bearer ")
                .map(str::to_owned)
        });
        let asked = query.map(|query| form_urlencoded::parse(query.as_bytes()));
        let asked = asked
            .into_iter()
            .flatten()
            .find(|(name, _)| name == "token");
        let given = bearer.or_else(|| asked.map(|(_, value)| value.into_owned()));
        // Of digests, how far two agree says nothing about the token.
        let same = |given: String| {
            digest(&SHA256, given.as_bytes()).as_ref() == digest(&SHA256, token.as_bytes()).as_ref()
        };
        if given.is_some_and(same) {
            return Ok(());
        }
        Err((
            StatusCode::UNAUTHORIZED,
            "add ?token= with the token of the run\n",
        ))
    }

    fn events(&self) -> Response<Body> {
        let mut receiver = self.picture.clone();
        receiver.mark_changed();
        let pictures = stream::unfold(receiver, |mut receiver| async move {
            let text = match timeout(ALIVE_EVERY, receiver.changed()).await {
                Ok(Ok(())) => {
                    let picture = receiver.borrow_and_update().clone();
                    format!("data: {picture}\n\n")
                }
                Ok(Err(_)) => return None,
                Err(_) => ": still here\n\n".to_owned(),
            };
            Some((Ok(Frame::data(Bytes::from(text))), receiver))
        });
        let mut answer = Response::new(StreamBody::new(pictures).boxed_unsync());
        let headers = answer.headers_mut();
        guard(headers, "text/event-stream");
        answer
    }
}

/// `127.0.0.1:4000`, `[::1]:4000`, `localhost:4000`.
fn is_own_name(host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.chars().all(|digit| digit.is_ascii_digit()) => name,
        Some(_) | None => host,
    };
    let address = name.trim_start_matches('[').trim_end_matches(']');
    let is_loopback = |address: std::net::IpAddr| address.is_loopback();
    name.eq_ignore_ascii_case("localhost") || address.parse().is_ok_and(is_loopback)
}

fn page() -> Response<Body> {
    let nonce = format!("{:016x}{:016x}", fastrand::u64(..), fastrand::u64(..));
    let text = PAGE.replace("{nonce}", &nonce);
    let mut answer = Response::new(whole(text));
    let headers = answer.headers_mut();
    guard(headers, "text/html; charset=utf-8");
    let policy = format!(
        "default-src 'none'; script-src 'nonce-{nonce}'; style-src 'nonce-{nonce}'; connect-src 'self'; base-uri 'none'; \
         form-action 'none'; frame-ancestors 'none'"
    );
    if let Ok(policy) = policy.parse() {
        headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    }
    answer
}

fn plain(status: StatusCode, words: &str) -> Response<Body> {
    let mut answer = Response::new(whole(words.to_owned()));
    *answer.status_mut() = status;
    guard(answer.headers_mut(), "text/plain; charset=utf-8");
    answer
}

fn whole(text: String) -> Body {
    Full::new(Bytes::from(text)).boxed_unsync()
}

fn guard(headers: &mut HeaderMap, kind: &'static str) {
    let values = [
        (header::CONTENT_TYPE, kind),
        (header::CACHE_CONTROL, "no-store"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    for (name, value) in values {
        headers.insert(name, header::HeaderValue::from_static(value));
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;
    use crate::timeline::Event;

    /// Asks as any client would, and reads until the connection ends or a text has come.
    async fn ask(address: SocketAddr, request: &str, until: &str) -> String {
        let mut connection = TcpStream::connect(address).await.unwrap();
        connection.write_all(request.as_bytes()).await.unwrap();
        let mut read = Vec::new();
        let reading = async {
            let mut part = [0; 4096];
            while !String::from_utf8_lossy(&read).contains(until) {
                match connection.read(&mut part).await {
                    Ok(0) | Err(_) => break,
                    Ok(length) => read.extend_from_slice(&part[..length]),
                }
            }
        };
        timeout(Duration::from_mins(1), reading).await.unwrap();
        String::from_utf8_lossy(&read).into_owned()
    }

    async fn open(token: Option<&str>) -> Room {
        let address = "127.0.0.1:0".parse().unwrap();
        let token = token.map(str::to_owned);
        Room::open(address, token, &Handle::current())
            .await
            .unwrap()
    }

    fn get(target: &str, host: &str) -> String {
        format!("GET {target} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n")
    }

    #[tokio::test]
    async fn whoever_comes_late_sees_everything_and_nothing_that_gives_orders() {
        let room = open(None).await;
        let text = "</script><script>alert(1)</script>\u{1b}[2J".to_owned();
        room.hand().limit("drill", Duration::from_secs(135));
        room.hand().event(
            "drill",
            &Entry {
                at: Duration::from_secs(7),
                event: Event::Note { text },
            },
        );
        let events = ask(room.address(), &get("/events", "localhost"), "limit_s").await;
        assert!(
            events.contains("content-type: text/event-stream"),
            "{events}"
        );
        let data = events
            .split("data: ")
            .find(|part| part.contains("limit_s"))
            .unwrap();
        let data = data.lines().next().unwrap();
        let all: serde_json::Value = serde_json::from_str(data).unwrap();
        assert_eq!(all["drills"][0]["limit_s"], 135.0);
        assert_eq!(all["lines"][0]["at"], "00:07.000");
        assert_eq!(
            all["lines"][0]["text"],
            "</script><script>alert(1)</script>\\x1b[2J"
        );
        let page = ask(room.address(), &get("/", "127.0.0.1"), "</html>").await;
        assert!(page.starts_with("HTTP/1.1 200"), "{page}");
        assert!(
            !page.contains("alert(1)") && !page.contains("{nonce}"),
            "{page}"
        );
        assert!(
            page.contains("default-src 'none'; script-src 'nonce-"),
            "{page}"
        );
    }

    #[tokio::test]
    async fn whoever_looks_on_sees_how_it_ended() {
        let room = open(None).await;
        let (address, hand) = (room.address(), room.hand());
        let asked = get("/events", "localhost");
        let looking = tokio::spawn(async move { ask(address, &asked, "no such text").await });
        let ended = Event::Ended {
            outcome: crate::timeline::Outcome::Completed,
            clock_drift_ms: 0.0,
        };
        let at = Duration::from_secs(9);
        hand.event("drill", &Entry { at, event: ended });
        // Whoever is let in sees something at once.
        while room.browsers.is_empty() {
            tokio::task::yield_now().await;
        }
        room.close().await;
        let seen = looking.await.unwrap();
        assert!(seen.contains(r#""came":"completed""#), "{seen}");
    }

    #[tokio::test]
    async fn nobody_can_change_anything_and_nobody_comes_in_by_a_name_from_elsewhere() {
        let room = open(None).await;
        for (request, status) in [
            (get("/", "drills.example.com"), "403"),
            (get("/", "localhost").replace("GET", "POST"), "405"),
            (get("/undo", "localhost"), "404"),
            (
                "GET / HTTP/1.1\r\nConnection: close\r\n\r\n".to_owned(),
                "403",
            ),
        ] {
            let answer = ask(room.address(), &request, "\n\n").await;
            assert!(
                answer.starts_with(&format!("HTTP/1.1 {status}")),
                "{request}: {answer}"
            );
        }
    }

    #[tokio::test]
    async fn with_a_token_only_those_come_in_who_have_it() {
        let room = open(Some("a-token-of-the-room")).await;
        let bearer = |token: &str| {
            get("/", "room.example.com").replace(
                "Connection",
                &format!("Authorization: Bearer {token}\r\nConnection"),
            )
        };
        for (request, status) in [
            (get("/", "localhost"), "401"),
            (get("/?token=a-token-of-the-roof", "localhost"), "401"),
            (get("/events?token=", "localhost"), "401"),
            (bearer("another"), "401"),
            (
                get("/?token=a-token-of-the-room", "room.example.com"),
                "200",
            ),
            (bearer("a-token-of-the-room"), "200"),
        ] {
            let answer = ask(room.address(), &request, "</html>").await;
            assert!(
                answer.starts_with(&format!("HTTP/1.1 {status}")),
                "{request}: {answer}"
            );
        }
    }

    #[test]
    fn only_names_of_this_machine_are_its_own() {
        for own in [
            "127.0.0.1",
            "127.0.0.1:4000",
            "localhost:1",
            "LOCALHOST",
            "[::1]:80",
            "127.9.9.9",
        ] {
            assert!(is_own_name(own), "{own}");
        }
        for other in [
            "drills.example.com",
            "drills.example.com:4000",
            "10.0.0.1:80",
            "127.0.0.1.evil.test",
            "",
        ] {
            assert!(!is_own_name(other), "{other}");
        }
    }

    #[test]
    fn the_page_needs_nothing_from_elsewhere_and_makes_no_markup_of_text() {
        assert!(!PAGE.contains("http://") && !PAGE.contains("https://"));
        for dangerous in [
            "innerHTML",
            "outerHTML",
            "insertAdjacentHTML",
            "document.write",
            "eval(",
        ] {
            assert!(!PAGE.contains(dangerous), "{dangerous}");
        }
        assert_eq!(PAGE.matches("<script").count(), 1);
    }
}
