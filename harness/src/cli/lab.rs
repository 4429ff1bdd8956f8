//! `lab up`: an environment's lab in the foreground, and how to try it by hand.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use tokio::runtime::Handle;

use super::{Terminal, print, signals::Signals, tell, tell_error, variable};
use crate::{
    catalog,
    environment::Environment,
    exit_code::ExitCode,
    provider::{lab::TokenFile, site::Site},
    suite::Threads,
};

pub(super) fn up(
    name: &str,
    speed: f64,
    token_file: Option<&Path>,
    terminal: Terminal,
) -> ExitCode {
    let (environment, problems) = catalog::load_environment(name, &variable);
    if !problems.is_empty() {
        tell(
            problems
                .render(Terminal::coloring(terminal.stderr))
                .trim_end(),
        );
    }
    let Some(environment) = environment else {
        return ExitCode::Usage;
    };
    let threads = match Threads::start() {
        Ok(threads) => threads,
        Err(error) => {
            tell_error(&error);
            return ExitCode::CouldNotRun;
        }
    };
    threads.block_on(keep_up(
        Arc::new(environment),
        speed,
        token_file,
        threads.labs(),
    ))
}

async fn keep_up(
    environment: Arc<Environment>,
    speed: f64,
    token_file: Option<&Path>,
    labs: Handle,
) -> ExitCode {
    let mut signals = match Signals::listen() {
        Ok(signals) => signals,
        Err(error) => {
            tell_error(&error);
            return ExitCode::CouldNotRun;
        }
    };
    let opening = Site::open(Arc::clone(&environment), speed, fastrand::u64(..), &labs);
    let site = tokio::select! {
        opened = opening => match opened {
            Ok(site) => site,
            Err(error) => {
                tell_error(&error);
                return ExitCode::CouldNotRun;
            }
        },
        _ = signals.next() => return ExitCode::Interrupted,
    };
    let certificate = write_certificate(&site);
    match certificate
        .as_ref()
        .map_err(ToString::to_string)
        .and_then(|path| instructions(&site, &environment, path))
    {
        Ok(text) => print(&text),
        Err(reason) => tell(&format!("error: {reason}")),
    }
    if let Some(path) = token_file
        && let Err(error) = write_token(&site, path)
    {
        tell(&format!(
            "error: could not write `{}`: {error}",
            path.display()
        ));
        return ExitCode::CouldNotRun;
    }
    let signal = signals.next().await;
    site.close().await;
    if let Some(path) = token_file {
        // It is of no use to anybody any more.
        drop(std::fs::remove_file(path));
    }
    if let Ok(path) = certificate {
        // It is in the folder for temporary files: what cannot be removed now is removed with that.
        drop(std::fs::remove_file(path));
    }
    tell(&format!("{signal}: the lab is down"));
    ExitCode::Passed
}

/// Writes how the lab is reached, now that it is.
fn write_token(site: &Site, path: &Path) -> std::io::Result<()> {
    let Some(lab) = site.lab() else { return Ok(()) };
    let (address, token) = lab.admin();
    let token = token.to_owned();
    TokenFile { address, token }.write(path)
}

/// Writes the lab's root certificate where curl can read it.
fn write_certificate(site: &Site) -> std::io::Result<PathBuf> {
    let pem = site
        .lab()
        .map(|lab| lab.ca_pem().to_owned())
        .unwrap_or_default();
    let path = std::env::temp_dir().join(format!("blackstart-lab-{}.pem", std::process::id()));
    std::fs::write(&path, pem)?;
    Ok(path)
}

fn instructions(
    site: &Site,
    environment: &Environment,
    certificate: &Path,
) -> Result<String, String> {
    let lab = site.lab().ok_or("the environment is no lab")?;
    let url: reqwest::Url = environment
        .service
        .url
        .parse()
        .map_err(|error| format!("{error}"))?;
    let host = url.host_str().ok_or("the URL has no host")?;
    let logical = url.port_or_known_default().ok_or("the URL has no port")?;
    let port = lab
        .port(logical)
        .ok_or_else(|| format!("nothing in the stack listens on port {logical}"))?;
    let (admin, token) = lab.admin();
    let (authority, resolver) = (lab.authority(), lab.resolver());
    let dig = |server: std::net::SocketAddr, more: &str| {
        format!("dig @{} -p {} {host} {more}", server.ip(), server.port())
    };
    let ask = dig(resolver, "+short");
    let trust = if url.scheme() == "https" {
        format!("--cacert {} ", certificate.display())
    } else {
        String::new()
    };
    let mut text = format!(
        "lab of {}, at {} times the wall's clock\n\n\
         what the authority answers, and what users get from their resolver\n  {}\n  {}\n\n\
         the service as users reach it\n  \
         curl -si {trust}--connect-to {host}:{logical}:$({ask} | tail -1):{port} {url}\n\n\
         the control plane: read, break, put back\n",
        environment.name,
        site.speed(),
        dig(authority, "+norecurse"),
        ask,
    );
    let api = format!("http://{admin}/v1");
    let bearer = format!("-H 'Authorization: Bearer {token}'");
    let mut lines = vec![format!("curl -s {bearer} {api}/resources")];
    let workloads = environment.stack.iter().flat_map(|stack| &stack.workloads);
    if let Some((name, workload)) = workloads.into_iter().next() {
        let scale = |replicas| {
            format!(
                "curl -s {bearer} -X PATCH -d '{{\"replicas\": {replicas}}}' {api}/workload/{name}"
            )
        };
        lines.push(format!("curl -s {bearer} {api}/workload/{name}"));
        lines.extend([scale(0), scale(workload.replicas)]);
    }
    for line in lines {
        text.push_str("  ");
        text.push_str(&line);
        text.push('\n');
    }
    text.push_str("\nCtrl-C takes it down\n");
    Ok(text)
}
