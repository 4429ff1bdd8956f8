//! Asking a name server once: one connected UDP socket, one question, no cache, no retry that could hide a loss.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    time::Duration,
};

use hickory_proto::{
    op::{Edns, Message, MessageType, OpCode, Query, ResponseCode},
    rr::{Name, RData, Record, RecordType},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpStream, UdpSocket},
    time::Instant,
};

use super::{BoxFuture, Look, Probe, Recognition, Trouble, classify};
use crate::{
    environment::{DnsType, Family},
    timeline::ErrorClass,
};

/// What a name server answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DnsAnswer {
    /// Canonical names and addresses in the order of the answer.
    pub answers: Vec<String>,
    /// The addresses among them.
    pub addresses: Vec<IpAddr>,
    /// The smallest TTL, in seconds.
    pub ttl: Option<u32>,
    /// The response code.
    pub response_code: ResponseCode,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum DnsFailure {
    /// Nothing came in time.
    #[error("no answer from {server} within {after:?}")]
    Timeout {
        /// The server asked.
        server: SocketAddr,
        /// How long was waited.
        after: Duration,
    },
    /// The socket failed, for example because nothing listens there.
    #[error("asking {server}: {source}")]
    Socket {
        /// The server asked.
        server: SocketAddr,
        /// What the kernel said.
        source: std::io::Error,
    },
    /// The answer could not be read.
    #[error("the answer of {server} is no DNS message: {reason}")]
    Malformed {
        /// The server asked.
        server: SocketAddr,
        /// What is wrong with it.
        reason: String,
    },
}

impl DnsFailure {
    pub(crate) fn trouble(&self) -> Trouble {
        match self {
            Self::Timeout { .. } => Trouble::Bad(ErrorClass::DnsTimeout),
            Self::Malformed { .. } => Trouble::Bad(ErrorClass::DnsOther),
            Self::Socket { source, .. } => match classify(source) {
                void @ Trouble::Void(_) => void,
                Trouble::Bad(ErrorClass::Refused) => Trouble::Bad(ErrorClass::Refused),
                Trouble::Bad(_) => Trouble::Bad(ErrorClass::DnsOther),
            },
        }
    }
}

/// Asks for records of a name. `recursive` is the RD bit: off for an authority, on for a resolver. A truncated answer
/// is asked for again over TCP, within the same time-out.
pub async fn ask(
    server: SocketAddr,
    name: &Name,
    record_type: RecordType,
    recursive: bool,
    timeout: Duration,
) -> Result<DnsAnswer, DnsFailure> {
    let reply = exchange(server, name, record_type, recursive, timeout).await?;
    Ok(read_answers(&reply.answers, reply.metadata.response_code))
}

/// Asks for records of one type. Yields the whole answer.
pub(crate) async fn exchange(
    server: SocketAddr,
    name: &Name,
    record_type: RecordType,
    recursive: bool,
    timeout: Duration,
) -> Result<Message, DnsFailure> {
    let exchange = async {
        let id = fastrand::u16(..);
        let mut question = Message::new(id, MessageType::Query, OpCode::Query);
        question.metadata.recursion_desired = recursive;
        question.add_query(Query::query(name.clone(), record_type));
        question.edns = Some(Edns::new());
        let bytes = question.to_vec().map_err(|error| DnsFailure::Malformed {
            server,
            reason: error.to_string(),
        })?;
        let reply = over_udp(server, &question, &bytes).await?;
        if reply.metadata.truncation {
            over_tcp(server, &question, &bytes).await
        } else {
            Ok(reply)
        }
    };
    tokio::time::timeout(timeout, exchange)
        .await
        .map_err(|_| DnsFailure::Timeout {
            server,
            after: timeout,
        })?
}

async fn over_udp(
    server: SocketAddr,
    question: &Message,
    bytes: &[u8],
) -> Result<Message, DnsFailure> {
    let failed = |source| DnsFailure::Socket { server, source };
    let local: IpAddr = if server.is_ipv4() {
        Ipv4Addr::UNSPECIFIED.into()
    } else {
        std::net::Ipv6Addr::UNSPECIFIED.into()
    };
    let socket = UdpSocket::bind((local, 0)).await.map_err(failed)?;
    // A connected socket hears of a closed port at once instead of waiting for its time-out.
    socket.connect(server).await.map_err(failed)?;
    socket.send(bytes).await.map_err(failed)?;
    let mut buffer = vec![0; 4096];
    loop {
        let length = socket.recv(&mut buffer).await.map_err(failed)?;
        // A stray or forged packet is passed over, as a resolver would.
        if let Ok(reply) = Message::from_vec(&buffer[..length])
            && answers_question(&reply, question)
        {
            return Ok(reply);
        }
    }
}

async fn over_tcp(
    server: SocketAddr,
    question: &Message,
    bytes: &[u8],
) -> Result<Message, DnsFailure> {
    let failed = |source| DnsFailure::Socket { server, source };
    let malformed = |reason: &str| DnsFailure::Malformed {
        server,
        reason: reason.to_owned(),
    };
    let mut stream = TcpStream::connect(server).await.map_err(failed)?;
    let length = u16::try_from(bytes.len()).map_err(|_| malformed("the question is too long"))?;
    let mut framed = length.to_be_bytes().to_vec();
    framed.extend_from_slice(bytes);
    stream.write_all(&framed).await.map_err(failed)?;
    let length = stream.read_u16().await.map_err(failed)?;
    let mut buffer = vec![0; usize::from(length)];
    stream.read_exact(&mut buffer).await.map_err(failed)?;
    let reply = Message::from_vec(&buffer).map_err(|error| malformed(&error.to_string()))?;
    if answers_question(&reply, question) {
        Ok(reply)
    } else {
        Err(malformed("it answers another question"))
    }
}

fn answers_question(reply: &Message, question: &Message) -> bool {
    reply.metadata.id == question.metadata.id
        && reply.metadata.message_type == MessageType::Response
        && reply.queries == question.queries
}

/// Reads what a probe is interested in from the records of an answer.
pub(crate) fn read_answers(records: &[Record], response_code: ResponseCode) -> DnsAnswer {
    let mut answer = DnsAnswer {
        answers: Vec::new(),
        addresses: Vec::new(),
        ttl: records.iter().map(|record| record.ttl).min(),
        response_code,
    };
    for record in records {
        #[expect(
            clippy::wildcard_enum_match_arm,
            reason = "no other record that answers a probe's question matters"
        )]
        match &record.data {
            RData::A(address) => {
                answer.addresses.push(IpAddr::V4(address.0));
                answer.answers.push(address.0.to_string());
            }
            RData::AAAA(address) => {
                answer.addresses.push(IpAddr::V6(address.0));
                answer.answers.push(address.0.to_string());
            }
            RData::TXT(text) => answer.answers.push(text.to_string()),
            RData::CNAME(name) => answer
                .answers
                .push(name.0.to_utf8().trim_end_matches('.').to_ascii_lowercase()),
            _ => {}
        }
    }
    answer
}

/// The type of record on the wire.
pub(crate) fn on_the_wire(record_type: DnsType) -> RecordType {
    match record_type {
        DnsType::A => RecordType::A,
        DnsType::Aaaa => RecordType::AAAA,
        DnsType::Txt => RecordType::TXT,
    }
}

/// The type of record that has the addresses of a family.
pub(crate) fn of_family(family: Family) -> RecordType {
    match family {
        Family::Ipv4 => RecordType::A,
        Family::Ipv6 => RecordType::AAAA,
    }
}

/// Reads a name as it is asked for: fully qualified.
pub(crate) fn fully_qualified(name: &str) -> Result<Name, String> {
    let mut name =
        Name::from_utf8(name).map_err(|error| format!("`{name}` is no domain name: {error}"))?;
    name.set_fqdn(true);
    Ok(name)
}

/// A probe that asks one server, every time anew.
#[derive(Debug)]
pub struct DnsProbe {
    /// The server.
    pub server: SocketAddr,
    /// The name asked for.
    pub name: Name,
    /// The records asked for.
    pub record_type: RecordType,
    /// Whether the server shall recurse.
    pub recursive: bool,
    /// The real time-out.
    pub timeout: Duration,
    /// Who answers.
    pub recognition: Recognition,
}

impl Probe for DnsProbe {
    fn look(&self, _: u64) -> BoxFuture<'_, Look> {
        Box::pin(async move {
            let result = ask(
                self.server,
                &self.name,
                self.record_type,
                self.recursive,
                self.timeout,
            )
            .await;
            look_at(result, &self.recognition, self.server)
        })
    }
}

/// What an answer without anything usable in it means, and in words.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "no other response code tells more than its name"
)]
pub(crate) fn refusal(code: ResponseCode) -> (ErrorClass, String) {
    match code {
        ResponseCode::NoError => (ErrorClass::DnsOther, "no such record".to_owned()),
        ResponseCode::NXDomain => (
            ErrorClass::DnsNxdomain,
            "the name does not exist".to_owned(),
        ),
        ResponseCode::ServFail => (ErrorClass::DnsServfail, "the server failed".to_owned()),
        other => (ErrorClass::DnsOther, format!("response code {other}")),
    }
}

/// Turns an answer, or its absence, into what a probe saw.
pub(crate) fn look_at(
    result: Result<DnsAnswer, DnsFailure>,
    recognition: &Recognition,
    server: SocketAddr,
) -> Look {
    let look = Look {
        first_byte: Some(Instant::now()),
        address: Some(server.ip()),
        ..Look::default()
    };
    match result {
        Err(failure) => {
            let trouble = failure.trouble();
            Look {
                first_byte: None,
                ..look
            }
            .with_trouble(trouble, failure.to_string())
        }
        Ok(answer) => {
            let usable =
                answer.response_code == ResponseCode::NoError && !answer.answers.is_empty();
            let class = (!usable).then(|| refusal(answer.response_code));
            let look = Look {
                tier: recognition.of_dns(&answer.answers),
                response_code: class
                    .as_ref()
                    .map(|_| format!("{:?}", answer.response_code).to_uppercase()),
                answers: answer.answers,
                ttl: answer.ttl,
                ..look
            };
            match class {
                Some((class, detail)) => look.with_trouble(Trouble::Bad(class), detail),
                None => look,
            }
        }
    }
}
