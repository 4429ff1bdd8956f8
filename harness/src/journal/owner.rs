//! Whose run it is, and whether that process is still there.

use serde::{Deserialize, Serialize};

/// A process and the person it belongs to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Owner {
    /// The user's name.
    pub user: String,
    /// The machine's name.
    pub host: String,
    /// The number of the process.
    pub process: u32,
    /// When the process started, in the kernel's ticks since boot: numbers of processes are used again. `None` where the system
    /// does not tell.
    pub process_started: Option<u64>,
    /// Where its number means that process. `None` where the system does not tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<Place>,
}

/// A running system as processes see it: numbers of processes and addresses of loopback mean something in one such place only.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Place {
    /// The installation (machine-id(5)). Empty where it has none, as in many containers.
    machine: String,
    /// The kernel's start (`boot_id`, random(4)).
    boot: String,
    /// The namespaces of processes and of the network (namespaces(7)).
    namespaces: [String; 2],
}

impl Place {
    /// Where this process is.
    fn here() -> Option<Self> {
        let namespace = |kind: &str| {
            let link = std::fs::read_link(format!("/proc/self/ns/{kind}")).ok()?;
            Some(link.display().to_string())
        };
        let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
        let machine = std::fs::read_to_string("/etc/machine-id").unwrap_or_default();
        Some(Self {
            machine: machine.trim().to_owned(),
            boot: boot.trim().to_owned(),
            namespaces: [namespace("pid")?, namespace("net")?],
        })
    }

    /// Whether everything that ran there has ended since: the same installation has started anew.
    fn has_ended(&self, now: &Self) -> bool {
        !self.machine.is_empty() && self.machine == now.machine && self.boot != now.boot
    }
}

/// Whether a process is still there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Liveness {
    /// It is.
    Alive,
    /// It is gone.
    Gone,
    /// It is, or was, on another machine, or in a container of this one.
    Elsewhere,
}

impl Owner {
    /// This process.
    pub fn this() -> Self {
        let process = std::process::id();
        Self {
            user: user_name(),
            host: host_name(),
            process,
            process_started: started(process),
            place: Place::here(),
        }
    }

    /// Whether it is still there.
    pub fn liveness(&self) -> Liveness {
        if self.host != host_name() {
            return Liveness::Elsewhere;
        }
        if let (Some(then), Some(now)) = (&self.place, Place::here())
            && *then != now
        {
            return if then.has_ended(&now) {
                Liveness::Gone
            } else {
                Liveness::Elsewhere
            };
        }
        let Ok(process) = i32::try_from(self.process) else {
            return Liveness::Gone;
        };
        // A process of somebody else cannot be signalled, and is there.
        let there = !matches!(
            nix::sys::signal::kill(nix::unistd::Pid::from_raw(process), None),
            Err(nix::errno::Errno::ESRCH)
        );
        let same = match (self.process_started, started(self.process)) {
            (Some(then), Some(now)) => then == now,
            (Some(_), None) if cfg!(target_os = "linux") => false,
            (Some(_) | None, Some(_) | None) => true,
        };
        if there && same {
            Liveness::Alive
        } else {
            Liveness::Gone
        }
    }
}

impl std::fmt::Display for Owner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{} on {}, process {}",
            self.user, self.host, self.process
        )
    }
}

/// The machine's name.
pub(crate) fn host_name() -> String {
    std::fs::read_to_string("/proc/sys/kernel/hostname")
        .map(|name| name.trim().to_owned())
        .or_else(|_| std::env::var("HOSTNAME"))
        .unwrap_or_else(|_| "unknown".to_owned())
}

fn user_name() -> String {
    std::env::var("USER")
        .or_else(|_| std::env::var("LOGNAME"))
        .unwrap_or_else(|_| format!("user {}", nix::unistd::getuid()))
}

/// When a process started: field 22 of `/proc/PID/stat`, of which the second may contain anything and ends with the last bracket
/// (proc(5)). `None` for a process that has ended and only waits to be collected.
fn started(process: u32) -> Option<u64> {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_whitespace();
    if matches!(fields.next(), Some("Z" | "X")) {
        return None;
    }
    fields.nth(18)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_is_alive_and_one_that_has_its_number_again_is_not() {
        let mut owner = Owner::this();
        assert_eq!(owner.liveness(), Liveness::Alive);
        if let Some(started) = &mut owner.process_started {
            *started += 1;
            assert_eq!(owner.liveness(), Liveness::Gone);
        }
    }

    #[test]
    fn a_process_that_has_ended_is_gone_also_before_it_is_collected() {
        let mut child = std::process::Command::new("sleep")
            .arg("60")
            .spawn()
            .unwrap();
        let owner = Owner {
            process: child.id(),
            process_started: started(child.id()),
            ..Owner::this()
        };
        assert_eq!(owner.liveness(), Liveness::Alive);
        child.kill().unwrap();
        while started(child.id()).is_some() {
            std::thread::yield_now();
        }
        assert_eq!(owner.liveness(), Liveness::Gone);
        child.wait().unwrap();
        assert_eq!(owner.liveness(), Liveness::Gone);
    }

    #[test]
    fn a_process_of_another_namespace_is_elsewhere_and_one_from_before_a_restart_is_gone() {
        let Some(here) = Place::here() else { return };
        let place = |change: fn(&mut Place)| {
            let mut place = Place {
                machine: "0123".to_owned(),
                ..here.clone()
            };
            change(&mut place);
            place
        };
        let now = place(|_| {});
        assert!(place(|place| place.boot.clear()).has_ended(&now));
        assert!(!place(|place| place.machine = "4567".to_owned()).has_ended(&now));
        let unnamed = place(|place| {
            place.machine.clear();
            place.boot.clear();
        });
        assert!(!unnamed.has_ended(&place(|place| place.machine.clear())));
        let contained = Owner {
            place: Some(Place {
                namespaces: ["pid:[1]".to_owned(), "net:[1]".to_owned()],
                ..here
            }),
            ..Owner::this()
        };
        assert_eq!(contained.liveness(), Liveness::Elsewhere);
    }

    #[test]
    fn nothing_is_known_of_processes_of_another_machine() {
        let owner = Owner {
            host: "elsewhere.test".to_owned(),
            ..Owner::this()
        };
        assert_eq!(owner.liveness(), Liveness::Elsewhere);
    }
}
