//! A name server that answers what it is told to, and counts the questions.

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use hickory_proto::{
    op::{Message, MessageType, ResponseCode},
    rr::{Name, RData, Record, RecordType, rdata},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream, UdpSocket},
};
use tokio_util::task::AbortOnDropHandle;

/// What the server answers.
#[derive(Debug, Clone)]
pub(crate) enum Reply {
    /// A canonical name and its addresses, with this TTL in seconds.
    Addresses(Vec<Ipv4Addr>, u32),
    /// No records, and this code.
    Code(ResponseCode),
    /// Nothing.
    Silence,
    /// Over UDP an empty answer that was cut off, over TCP the address.
    Truncated(Ipv4Addr),
    /// Packets that answer something else, before the address.
    AfterStrays(Ipv4Addr),
    /// The name servers of a zone, and the address of each.
    Zone(&'static str, Vec<(&'static str, Ipv4Addr)>),
}

/// A running server. Ends when dropped.
#[derive(Debug)]
pub(crate) struct NameServer {
    pub(crate) address: SocketAddr,
    shared: Arc<Shared>,
    _tasks: [AbortOnDropHandle<()>; 2],
}

#[derive(Debug)]
struct Shared {
    reply: Mutex<Reply>,
    datagrams: AtomicUsize,
    streams: AtomicUsize,
    /// The RD bits of the questions.
    recursion_desired: Mutex<Vec<bool>>,
}

impl NameServer {
    pub(crate) async fn start(reply: Reply) -> Self {
        let (udp, tcp) = sockets().await;
        let address = udp.local_addr().unwrap();
        let shared = Arc::new(Shared {
            reply: Mutex::new(reply),
            datagrams: AtomicUsize::new(0),
            streams: AtomicUsize::new(0),
            recursion_desired: Mutex::new(Vec::new()),
        });
        let tasks = [
            tokio::spawn(over_udp(udp, Arc::clone(&shared))),
            tokio::spawn(over_tcp(tcp, Arc::clone(&shared))),
        ];
        Self {
            address,
            shared,
            _tasks: tasks.map(AbortOnDropHandle::new),
        }
    }

    /// Answers something else from now on.
    pub(crate) fn reply(&self, reply: Reply) {
        *self.shared.reply.lock().unwrap() = reply;
    }

    /// How many questions came over UDP.
    pub(crate) fn datagrams(&self) -> usize {
        self.shared.datagrams.load(Ordering::SeqCst)
    }

    /// How many came over TCP.
    pub(crate) fn streams(&self) -> usize {
        self.shared.streams.load(Ordering::SeqCst)
    }

    /// Whether recursion was desired, question by question.
    pub(crate) fn recursion_desired(&self) -> Vec<bool> {
        self.shared.recursion_desired.lock().unwrap().clone()
    }
}

/// A port that is free for both.
async fn sockets() -> (UdpSocket, TcpListener) {
    loop {
        let udp = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        if let Ok(tcp) = TcpListener::bind(udp.local_addr().unwrap()).await {
            return (udp, tcp);
        }
    }
}

async fn over_udp(socket: UdpSocket, shared: Arc<Shared>) {
    let mut buffer = [0; 4096];
    loop {
        let (length, client) = socket.recv_from(&mut buffer).await.unwrap();
        shared.datagrams.fetch_add(1, Ordering::SeqCst);
        let question = shared.take(&buffer[..length]);
        let reply = shared.reply.lock().unwrap().clone();
        let mut datagrams = Vec::new();
        match reply {
            Reply::Silence => {}
            Reply::Addresses(addresses, ttl) => datagrams.push(records(&question, &addresses, ttl)),
            Reply::Code(code) => datagrams.push(refusal(&question, code)),
            Reply::Zone(zone, servers) => datagrams.push(of_zone(&question, zone, &servers)),
            Reply::Truncated(_) => {
                let mut cut = refusal(&question, ResponseCode::NoError);
                cut.metadata.truncation = true;
                datagrams.push(cut);
            }
            Reply::AfterStrays(address) => {
                let mut forged = records(&question, &[Ipv4Addr::new(192, 0, 2, 66)], 60);
                forged.metadata.id = question.metadata.id.wrapping_add(1);
                datagrams.push(forged);
                let mut other = records(&question, &[Ipv4Addr::new(192, 0, 2, 67)], 60);
                other.queries[0].set_name(Name::from_ascii("other.test.").unwrap());
                datagrams.push(other);
                datagrams.push(records(&question, &[address], 60));
                socket.send_to(b"no DNS", client).await.unwrap();
            }
        }
        for datagram in datagrams {
            socket
                .send_to(&datagram.to_vec().unwrap(), client)
                .await
                .unwrap();
        }
    }
}

async fn over_tcp(listener: TcpListener, shared: Arc<Shared>) {
    loop {
        let (mut stream, _) = listener.accept().await.unwrap();
        shared.streams.fetch_add(1, Ordering::SeqCst);
        let question = shared.take(&read_framed(&mut stream).await);
        let reply = shared.reply.lock().unwrap().clone();
        let Reply::Truncated(address) = reply else {
            continue;
        };
        let bytes = records(&question, &[address], 60).to_vec().unwrap();
        let length = u16::try_from(bytes.len()).unwrap().to_be_bytes();
        stream
            .write_all(&[&length[..], &bytes].concat())
            .await
            .unwrap();
    }
}

async fn read_framed(stream: &mut TcpStream) -> Vec<u8> {
    let length = stream.read_u16().await.unwrap();
    let mut bytes = vec![0; usize::from(length)];
    stream.read_exact(&mut bytes).await.unwrap();
    bytes
}

impl Shared {
    fn take(&self, bytes: &[u8]) -> Message {
        let question = Message::from_vec(bytes).unwrap();
        let desired = question.metadata.recursion_desired;
        self.recursion_desired.lock().unwrap().push(desired);
        question
    }
}

fn refusal(question: &Message, code: ResponseCode) -> Message {
    let metadata = &question.metadata;
    let mut reply = Message::new(metadata.id, MessageType::Response, metadata.op_code);
    reply.metadata.response_code = code;
    reply.add_queries(question.queries.clone());
    reply
}

fn of_zone(question: &Message, zone: &str, servers: &[(&str, Ipv4Addr)]) -> Message {
    let mut reply = refusal(question, ResponseCode::NoError);
    let asked = question.queries[0].name().clone();
    let of = |name: &str| Name::from_ascii(name).unwrap();
    for (server, address) in servers {
        let wanted = question.queries[0].query_type();
        let data = if wanted == RecordType::NS && asked == of(zone) {
            RData::NS(rdata::NS(of(server)))
        } else if wanted == RecordType::A && asked == of(server) {
            RData::A(rdata::A(*address))
        } else {
            continue;
        };
        reply.add_answer(Record::from_rdata(asked.clone(), 300, data));
    }
    reply
}

fn records(question: &Message, addresses: &[Ipv4Addr], ttl: u32) -> Message {
    let mut reply = refusal(question, ResponseCode::NoError);
    let alias = Name::from_ascii("petclinic.elb.test.").unwrap();
    let asked = question.queries[0].name().clone();
    // A chain lives as long as its shortest link.
    reply.add_answer(Record::from_rdata(
        asked,
        ttl + 300,
        RData::CNAME(rdata::CNAME(alias.clone())),
    ));
    for address in addresses {
        reply.add_answer(Record::from_rdata(
            alias.clone(),
            ttl,
            RData::A(rdata::A(*address)),
        ));
    }
    reply
}
