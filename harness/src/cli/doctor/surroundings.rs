//! What a drill finds around it: a name server, the clock, ports and the accounts that it could use.

use std::{
    fs,
    net::{TcpListener, UdpSocket},
    os::unix::fs::PermissionsExt,
    path::PathBuf,
    process::Command,
    time::Duration,
};

use blackstart_lab::part::system_name_server;

use super::{Finding, State};
use crate::cli::variable;

/// A name server that takes longer is of no use to a probe.
const ANSWERS_WITHIN: Duration = Duration::from_secs(2);
/// Each sample on a new connection leaves a port in use for a minute: a hundred in a second need six thousand.
const PORTS_WANTED: u32 = 10_000;
/// The question for the name servers of the root, recursion desired, which every resolver can answer.
const QUESTION: [u8; 17] = [0xb1, 0xac, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 1];

/// Variables that let whoever has them change something.
const VARIABLES: [&str; 12] = [
    "AWS_ACCESS_KEY_ID",
    "AWS_PROFILE",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AZURE_CLIENT_ID",
    "GOOGLE_APPLICATION_CREDENTIALS",
    "KUBECONFIG",
    "DOCKER_HOST",
    "BLACKSTART_LAB",
    "BLACKSTART_SERVE_TOKEN",
    "SLACK_WEBHOOK",
    "PAGERDUTY_ROUTING_KEY",
    "SSH_AUTH_SOCK",
];

/// Files below the home folder that do.
const FILES: [&str; 4] = [
    ".aws/credentials",
    ".azure/msal_token_cache.json",
    ".kube/config",
    ".docker/config.json",
];

pub(super) fn findings() -> [Finding; 4] {
    [resolver(), clock(), ports(), credentials()]
}

/// Only probes of services outside the lab need one.
fn resolver() -> Finding {
    let asked = system_name_server().and_then(|server| {
        let socket = UdpSocket::bind(if server.is_ipv4() {
            "0.0.0.0:0"
        } else {
            "[::]:0"
        })?;
        socket.set_read_timeout(Some(ANSWERS_WITHIN))?;
        socket.connect(server)?;
        socket.send(&QUESTION)?;
        let mut answer = [0; 512];
        socket.recv(&mut answer)?;
        Ok(server)
    });
    let (state, words) = match asked {
        Ok(server) => (State::Good, format!("the name server {server} answers")),
        Err(error) => (
            State::Poor(
                "look at /etc/resolv.conf, or give probes a `server:`; drills in the lab need none"
                    .to_owned(),
            ),
            format!("this machine's name server does not answer: {error}"),
        ),
    };
    Finding {
        what: "resolver",
        state,
        words,
    }
}

/// Durations come from a clock that nobody sets; the time of day in reports does not.
fn clock() -> Finding {
    let told = Command::new("timedatectl")
        .args(["show", "--property=NTPSynchronized", "--value"])
        .output();
    let told = told.ok().filter(|output| output.status.success());
    let told = told.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
    let (state, words) = match told.as_deref() {
        Some("yes") => (State::Good, "kept by NTP".to_owned()),
        Some("no") => (
            State::Poor("timedatectl set-ntp true".to_owned()),
            "not kept by NTP: the times of day in reports may be wrong, durations are not"
                .to_owned(),
        ),
        _ => (
            State::Good,
            "whether it is kept by NTP is not known here; no duration hangs on it".to_owned(),
        ),
    };
    Finding {
        what: "clock",
        state,
        words,
    }
}

fn ports() -> Finding {
    let range = fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").unwrap_or_default();
    let mut ends = range.split_whitespace().map(str::parse::<u32>);
    let free = match (ends.next(), ends.next()) {
        (Some(Ok(first)), Some(Ok(last))) => Some((last + 1).saturating_sub(first)),
        _ => None,
    };
    let listened = TcpListener::bind("127.0.0.1:0").and_then(|_| UdpSocket::bind("127.0.0.1:0"));
    let (state, words) = match (listened, free) {
        (Err(error), _) => (
            State::Bad("end what holds them: ss -tan | wc -l".to_owned()),
            format!("no port can be had on loopback: {error}"),
        ),
        (Ok(_), Some(free)) if free < PORTS_WANTED => (
            State::Poor("sysctl -w net.ipv4.ip_local_port_range='32768 60999'".to_owned()),
            format!("only {free} for outgoing connections, which fast probes use up"),
        ),
        (Ok(_), Some(free)) => (State::Good, format!("{free} for outgoing connections")),
        (Ok(_), None) => (State::Good, "loopback ports can be had".to_owned()),
    };
    Finding {
        what: "ports",
        state,
        words,
    }
}

/// Their names, never what they hold.
fn credentials() -> Finding {
    let set = VARIABLES
        .into_iter()
        .filter(|name| variable(name).is_some_and(|value| !value.is_empty()));
    let mut found: Vec<String> = set.map(str::to_owned).collect();
    let mut open = Vec::new();
    let home = variable("HOME").map(PathBuf::from);
    for file in home
        .iter()
        .flat_map(|home| FILES.map(|file| home.join(file)))
    {
        let Ok(metadata) = fs::metadata(&file) else {
            continue;
        };
        let name = file.display().to_string();
        if metadata.permissions().mode() & 0o077 != 0 {
            open.push(name.clone());
        }
        found.push(name);
    }
    let words = if found.is_empty() {
        "none found: drills here reach the lab and containers".to_owned()
    } else {
        format!("drills here could use {}", found.join(", "))
    };
    let state = if open.is_empty() {
        State::Good
    } else {
        State::Poor(format!(
            "chmod 600 {}, which others can read",
            open.join(" ")
        ))
    };
    Finding {
        what: "accounts",
        state,
        words,
    }
}
