//! The service that fails: a server in a thread of its own, which stamps each of its changes before and after.

use std::{
    cell::Cell,
    collections::VecDeque,
    io,
    net::{Ipv4Addr, SocketAddr},
    process::Command as Program,
    rc::Rc,
    thread,
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpSocket, TcpStream},
    sync::{mpsc, oneshot},
    task::{LocalSet, spawn_local},
    time::{Instant, sleep, sleep_until},
};

use crate::{
    measurement::GOOD,
    outage::{Change, Kind, Plan},
};

const SLOW: Duration = Duration::from_millis(1200);
/// Room for all that comes while the process is frozen.
const BACKLOG: u32 = 1024;
const UNAVAILABLE: &[u8] =
    b"HTTP/1.1 503 Service Unavailable\r\nserver: bench\r\ncontent-length: 0\r\n\r\n";

/// A running service. Its thread ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Service {
    pub(crate) address: SocketAddr,
    orders: mpsc::UnboundedSender<Order>,
}

/// When a change was begun and when it was done.
pub(crate) type Stamp = (Instant, Instant);

#[derive(Debug)]
struct Order {
    plan: Plan,
    done: oneshot::Sender<io::Result<Vec<Stamp>>>,
}

impl Service {
    /// Starts a service that fails in this way.
    pub(crate) async fn start(kind: Kind) -> io::Result<Self> {
        let (orders, receive) = mpsc::unbounded_channel();
        let (tell, told) = oneshot::channel();
        thread::Builder::new()
            .name("service".to_owned())
            .spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread()
                    .enable_all()
                    .build();
                match runtime {
                    Ok(runtime) => LocalSet::new().block_on(&runtime, serve(kind, receive, tell)),
                    Err(error) => drop(tell.send(Err(error))),
                }
            })?;
        let address = told.await.map_err(io::Error::other)??;
        Ok(Self { address, orders })
    }

    /// Goes through an outage. Yields when each of its changes was.
    pub(crate) async fn fail(&self, plan: Plan) -> io::Result<Vec<Stamp>> {
        let (done, stamps) = oneshot::channel();
        self.orders
            .send(Order { plan, done })
            .map_err(io::Error::other)?;
        stamps.await.map_err(io::Error::other)?
    }
}

/// An outage that is under way.
struct Outage {
    plan: VecDeque<(Duration, Change)>,
    next: Instant,
    stamps: Vec<Stamp>,
    done: oneshot::Sender<io::Result<Vec<Stamp>>>,
}

/// What of the service an outage changes.
struct Front {
    kind: Kind,
    address: SocketAddr,
    listener: Option<TcpListener>,
    broken: Rc<Cell<bool>>,
}

async fn serve(
    kind: Kind,
    mut orders: mpsc::UnboundedReceiver<Order>,
    tell: oneshot::Sender<io::Result<SocketAddr>>,
) {
    let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let listening = listen(any).and_then(|listener| Ok((listener.local_addr()?, listener)));
    let mut front = match listening {
        Ok((address, listener)) => Front {
            kind,
            address,
            listener: Some(listener),
            broken: Rc::default(),
        },
        Err(error) => return drop(tell.send(Err(error))),
    };
    drop(tell.send(Ok(front.address)));
    let mut outage: Option<Outage> = None;
    loop {
        let next = outage.as_ref().map(|outage| outage.next);
        tokio::select! {
            biased;
            () = until(next) => outage = outage.take().and_then(|outage| outage.step(&mut front)),
            order = orders.recv(), if next.is_none() => {
                let Some(Order { plan, done }) = order else { return };
                outage = Some(Outage {
                    next: Instant::now(),
                    plan: plan.into(),
                    stamps: Vec::new(),
                    done,
                });
            }
            stream = accept(front.listener.as_ref()) => {
                spawn_local(answer(stream, kind, Rc::clone(&front.broken)));
            }
        }
    }
}

impl Outage {
    /// Takes the next step. Yields itself unless it was the last.
    fn step(mut self, front: &mut Front) -> Option<Self> {
        let Some((_, change)) = self.plan.pop_front() else {
            drop(self.done.send(Ok(self.stamps)));
            return None;
        };
        let before = Instant::now();
        if let Err(error) = front.change(change) {
            drop(self.done.send(Err(error)));
            return None;
        }
        self.stamps.push((before, Instant::now()));
        let wait = self.plan.front().map_or(Duration::ZERO, |(wait, _)| *wait);
        if front.kind == Kind::Frozen && change == Change::Break {
            freeze(wait);
        }
        self.next = before + wait;
        Some(self)
    }
}

impl Front {
    fn change(&mut self, change: Change) -> io::Result<()> {
        match (self.kind, change) {
            (Kind::Refused, Change::Break) => self.listener = None,
            (Kind::Refused, Change::Heal) => self.listener = Some(listen(self.address)?),
            (Kind::Dropped, Change::Break) => self.filter("-A")?,
            (Kind::Dropped, Change::Heal) => self.filter("-D")?,
            (Kind::Unavailable | Kind::Silent | Kind::Slow | Kind::Flapping, change) => {
                self.broken.set(change == Change::Break);
            }
            // The freeze is the process's, not the listener's.
            (Kind::Frozen, _) => {}
        }
        Ok(())
    }

    fn filter(&self, action: &str) -> io::Result<()> {
        let port = self.address.port().to_string();
        let rule = ["INPUT", "-p", "tcp", "--dport", &port, "-j", "DROP"];
        let output = Program::new("iptables")
            .args(["-w", action])
            .args(rule)
            .output()?;
        if output.status.success() {
            Ok(())
        } else {
            let words = String::from_utf8_lossy(&output.stderr).trim().to_owned();
            Err(io::Error::other(format!("iptables: {words}")))
        }
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "a frozen process is one whose thread does nothing"
)]
fn freeze(time: Duration) {
    thread::sleep(time);
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = TcpSocket::new_v4()?;
    // Connections of the former listener may still be closing.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

async fn until(time: Option<Instant>) {
    match time {
        Some(time) => sleep_until(time).await,
        None => std::future::pending().await,
    }
}

async fn accept(listener: Option<&TcpListener>) -> TcpStream {
    loop {
        match listener {
            None => std::future::pending().await,
            // A client that has given up already is none.
            Some(listener) => {
                if let Ok((stream, _)) = listener.accept().await {
                    return stream;
                }
            }
        }
    }
}

async fn answer(mut stream: TcpStream, kind: Kind, broken: Rc<Cell<bool>>) {
    let mut buffer = [0; 1024];
    if stream.read(&mut buffer).await.is_err() {
        return;
    }
    let bytes = match kind {
        _ if !broken.get() => GOOD,
        Kind::Unavailable | Kind::Flapping => UNAVAILABLE,
        Kind::Slow => {
            sleep(SLOW).await;
            GOOD
        }
        Kind::Silent => {
            // Until the client gives up.
            drop(stream.read(&mut buffer).await);
            return;
        }
        Kind::Refused | Kind::Frozen | Kind::Dropped => GOOD,
    };
    // The client hears of a failure as well as we do.
    drop(stream.write_all(bytes).await);
}
