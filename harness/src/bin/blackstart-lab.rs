//! The lab's parts as programs of their own: what runs in the containers of the image `blackstart-lab`.

use std::{
    io::Write as _,
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
    process::ExitCode,
    time::Duration,
};

use blackstart::{
    environment,
    source::{Coloring, process_variable},
};
use blackstart_lab::{
    filter::{
        self, Ingress, Source,
        netem::{self, Shape},
    },
    net::tls::Authority,
    part::{ADMIN_PORT, Addresses, Part, RunningPart, Surroundings, system_name_server},
    stack::Stack,
};
use clap::{Args, Parser, Subcommand};
use tokio::signal::unix::{SignalKind, signal};

/// One part of a lab's stack as a process of its own, as a container runs it.
#[derive(Debug, Parser)]
#[command(name = "blackstart-lab", version, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// The authoritative name server with its health checks.
    Dns(Surrounded),
    /// The caching resolver.
    Resolver(Surrounded),
    /// A load balancer with its target groups.
    Alb(Named),
    /// One pod of a workload.
    App(Named),
    /// A content distribution.
    Edge(Named),
    /// A machine.
    Vm(Named),
    /// A static site.
    Static(Named),
    /// Whether the part in this container is well: exit code 0 if it is.
    Healthy,
    /// Writes a certificate and its key to a file, of the authority that all parts with this token share: for programs that stand
    /// beside them.
    Certificate {
        /// The names it is for.
        #[arg(required = true)]
        names: Vec<String>,
        /// The file.
        #[arg(long)]
        to: PathBuf,
        /// What all parts of the stack share.
        #[arg(long, env = "BLACKSTART_LAB_TOKEN", hide_env_values = true)]
        token: String,
    },
    /// The packet filter of this network namespace.
    #[command(subcommand)]
    Filter(FilterCommand),
    /// What becomes of packets that leave this network namespace.
    #[command(subcommand)]
    Netem(NetemCommand),
}

/// Where the part runs.
#[derive(Debug, Args)]
struct Surrounded {
    /// The environment file that has the stack.
    #[arg(long, env = "BLACKSTART_ENVIRONMENT")]
    environment: PathBuf,
    /// Who has which address: `petclinic.elb.test=10.0.0.2 authority=10.0.0.3 resolver=10.0.0.4`.
    #[arg(long, env = "BLACKSTART_ADDRESSES")]
    addresses: Addresses,
    /// What all parts of the stack share: the token of their admin API, and what their certificates come from.
    #[arg(long, env = "BLACKSTART_LAB_TOKEN", hide_env_values = true)]
    token: String,
    /// How many times as fast as the wall's clock it runs. Default: what the environment says.
    #[arg(long, env = "BLACKSTART_SPEED")]
    speed: Option<f64>,
    /// The address to listen on.
    #[arg(long, default_value = "0.0.0.0")]
    listen: Ipv4Addr,
}

#[derive(Debug, Args)]
struct Named {
    /// Its name in the stack. May be left out if there is one only.
    name: Option<String>,
    #[command(flatten)]
    surrounded: Surrounded,
}

#[derive(Debug, Subcommand)]
enum FilterCommand {
    /// Drops new connections; established ones live on.
    Block {
        /// Only to these ports.
        #[arg(long, value_delimiter = ',')]
        ports: Vec<u16>,
        /// Not to these TCP ports.
        #[arg(long, value_delimiter = ',')]
        except: Vec<u16>,
        /// Only from these addresses.
        #[arg(long, value_delimiter = ',')]
        from: Vec<Source>,
    },
    /// Lets everything through again.
    Open,
    /// Says `blocked` or `open`.
    Show,
}

#[derive(Debug, Subcommand)]
enum NetemCommand {
    /// Says `true` if the kernel has netem, or `false`; tries it on the loopback interface.
    Known,
    /// Has them leave late, or not at all.
    Set {
        /// How many microseconds later.
        #[arg(long, default_value_t = 0)]
        delay: u64,
        /// How many microseconds longer or shorter that is, at random.
        #[arg(long, default_value_t = 0)]
        jitter: u64,
        /// How many of a hundred are lost, at random.
        #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(u32).range(..=100))]
        loss: u32,
    },
    /// Lets them leave as ever.
    Remove,
    /// Says as JSON what is set: `null` if nothing is.
    Show,
}

fn main() -> ExitCode {
    match carry_out(Cli::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            // Without stderr there is nobody to tell.
            drop(writeln!(std::io::stderr(), "error: {message}"));
            ExitCode::FAILURE
        }
    }
}

fn carry_out(command: Command) -> Result<(), String> {
    match command {
        Command::Dns(surrounded) => run(&surrounded, |_| Ok(Part::Dns)),
        Command::Resolver(surrounded) => run(&surrounded, |_| Ok(Part::Resolver)),
        Command::Alb(Named { name, surrounded }) => run(&surrounded, |stack| {
            one(name, stack.load_balancers.keys()).map(Part::LoadBalancer)
        }),
        Command::App(Named { name, surrounded }) => run(&surrounded, |stack| {
            one(name, stack.workloads.keys()).map(Part::Pod)
        }),
        Command::Edge(Named { name, surrounded }) => run(&surrounded, |stack| {
            one(name, stack.distributions.keys()).map(Part::Distribution)
        }),
        Command::Vm(Named { name, surrounded }) => run(&surrounded, |stack| {
            one(name, stack.virtual_machines.keys()).map(Part::VirtualMachine)
        }),
        Command::Static(Named { name, surrounded }) => run(&surrounded, |stack| {
            one(name, stack.static_sites.keys()).map(Part::StaticSite)
        }),
        Command::Healthy => healthy(),
        Command::Certificate { names, to, token } => {
            let text = Authority::of_secret(&token)
                .and_then(|authority| authority.issue_text(&names))
                .map_err(|error| error.to_string())?;
            std::fs::write(&to, text).map_err(|error| format!("{}: {error}", to.display()))
        }
        Command::Filter(command) => filter(command).map_err(|error| {
            format!("the packet filter: {error} (it needs NET_ADMIN, and nf_tables in the kernel)")
        }),
        Command::Netem(command) => netem(&command).map_err(|error| {
            format!("netem: {error} (it needs NET_ADMIN, and netem in the kernel)")
        }),
    }
}

fn netem(command: &NetemCommand) -> std::io::Result<()> {
    match *command {
        NetemCommand::Known => writeln!(std::io::stdout(), "{}", netem::is_known()?),
        NetemCommand::Set {
            delay,
            jitter,
            loss,
        } => netem::set(&Shape {
            delay: Duration::from_micros(delay),
            jitter: Duration::from_micros(jitter),
            loss_percent: loss,
        }),
        NetemCommand::Remove => netem::remove(),
        NetemCommand::Show => {
            let set = serde_json::to_string(&netem::read()?)?;
            writeln!(std::io::stdout(), "{set}")
        }
    }
}

fn filter(command: FilterCommand) -> std::io::Result<()> {
    match command {
        FilterCommand::Block {
            ports,
            except,
            from,
        } => filter::block(&Ingress {
            ports,
            except,
            from,
        }),
        FilterCommand::Open => filter::open(),
        FilterCommand::Show => {
            let state = if filter::is_blocked()? {
                "blocked"
            } else {
                "open"
            };
            writeln!(std::io::stdout(), "{state}")
        }
    }
}

/// The name that was given, or the only one there is.
fn one<'a>(
    name: Option<String>,
    mut known: impl Iterator<Item = &'a String>,
) -> Result<String, String> {
    match (name, known.next(), known.next()) {
        (Some(name), ..) => Ok(name),
        (None, Some(only), None) => Ok(only.clone()),
        (None, None, _) => Err("the stack has none of these".into()),
        (None, Some(first), Some(second)) => Err(format!(
            "the stack has several of these, among them `{first}` and `{second}`: say which"
        )),
    }
}

fn run(
    surrounded: &Surrounded,
    part: impl FnOnce(&Stack) -> Result<Part, String>,
) -> Result<(), String> {
    let (loaded, problems) = environment::load(&surrounded.environment, &process_variable);
    let Some(loaded) = loaded else {
        return Err(format!(
            "the environment cannot be used\n{}",
            problems.render(Coloring::Plain)
        ));
    };
    let Some(stack) = &loaded.stack else {
        return Err(format!("the environment `{}` has no stack", loaded.name));
    };
    let part = part(stack)?;
    let surroundings = Surroundings {
        speed: surrounded.speed.unwrap_or(loaded.speed),
        seed: fastrand::u64(..),
        listen: surrounded.listen,
        addresses: surrounded.addresses.clone(),
        names: system_name_server().map_err(|error| error.to_string())?,
        secret: surrounded.token.clone(),
    };
    runtime()?.block_on(async {
        let running = RunningPart::start(stack, &part, &surroundings)
            .await
            .map_err(|error| format!("could not start {part}: {error}"))?;
        // Whoever starts the container waits for this line.
        writeln!(std::io::stdout(), "{part} is up").map_err(|error| error.to_string())?;
        stopped().await.map_err(|error| error.to_string())?;
        running.shut_down().await;
        Ok(())
    })
}

/// As the first process of a container it gets no signal that it does not ask for.
async fn stopped() -> std::io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(())
}

/// Everything that the part has an opinion of must be well.
fn healthy() -> Result<(), String> {
    let token = process_variable("BLACKSTART_LAB_TOKEN").unwrap_or_default();
    runtime()?.block_on(async {
        let admin = SocketAddr::from((Ipv4Addr::LOCALHOST, ADMIN_PORT));
        let look = blackstart_lab::part::health(admin, &token);
        match tokio::time::timeout(Duration::from_secs(2), look).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(reason)) => Err(reason),
            Err(_) => Err("the admin API did not answer within 2s".into()),
        }
    })
}

fn runtime() -> Result<tokio::runtime::Runtime, String> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| format!("could not start: {error}"))
}
