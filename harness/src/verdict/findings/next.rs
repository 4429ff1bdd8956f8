//! What to do about a finding, in a sentence; the page of `explain` has the rest.

/// The next step for each finding.
const STEPS: [(&str, &str); 23] = [
    (
        "certificate-not-checked",
        "watch the certificate's end by itself: no health check of Route 53 does",
    ),
    (
        "clock-jump",
        "compare no time of this report with logs of other machines before both clocks are known",
    ),
    (
        "control-plane-needed",
        "have a way that needs no control plane: a routing control, or a check of something that you can switch off in the standby's region",
    ),
    (
        "disabled-is-healthy",
        "to move users by hand, set a check to inverted, or to disabled and inverted",
    ),
    (
        "dns-cache-stragglers",
        "shorten the record's TTL as far as these clients honour it, and restart or reconfigure those that do not",
    ),
    (
        "fail-open",
        "repair the health check's path, and let the record evaluate target health only if users are to be moved for it",
    ),
    (
        "false-negative",
        "ask the check what it sees of this fault: its path, its port, its string, and whether the record uses it",
    ),
    (
        "false-positive",
        "let the check ask what users ask, and give it a threshold that a blip does not reach",
    ),
    (
        "fault-undone",
        "pause what reconciles the target (Argo CD, Terraform, an operator) for the drill, or break what it does not own",
    ),
    (
        "gray-failure",
        "alert on the share of errors that users see: a health check does not fail over for a part of them",
    ),
    (
        "health-check-blind",
        "let the check ask what failed here, or evaluate target health besides",
    ),
    (
        "ipv6-left-behind",
        "give the name an AAAA failover pair beside that of A, with the same checks",
    ),
    (
        "keep-alive-stragglers",
        "limit how long clients may keep a connection, and close them at the old tier when it comes back",
    ),
    (
        "page-outlives-recovery",
        "send `Cache-Control: no-store` with the page or set the behaviour's TTLs to 0, and invalidate the edge after a recovery",
    ),
    (
        "prober-late",
        "run the drill on a machine with less to do, or sample less often",
    ),
    (
        "readiness-coupled",
        "take the database out of the readiness and health that load balancers and Route 53 ask; keep it as a component for people",
    ),
    (
        "redirect-checked",
        "let the check ask the port that serves, by HTTPS",
    ),
    (
        "stale-dns",
        "find out whose resolver this is and what least TTL it has; a limit must allow for it",
    ),
    (
        "standby-dead",
        "repair the standby first, and watch it all the time: nothing else notices",
    ),
    (
        "standby-overloaded",
        "run the standby at the size that it is needed at, or scale it before users are moved",
    ),
    (
        "standby-unused",
        "compare the edge's alternate names with the service's host, then ask its origin directly with that Host header",
    ),
    (
        "where-the-time-went",
        "change the setting behind the longest part first, and run the drill again",
    ),
    (
        "writes-forbidden",
        "give the paths that are written to a behaviour of their own, to one origin with all methods",
    ),
];

/// What to do next about a finding of this code.
pub(super) fn step(code: &str) -> &'static str {
    let known = STEPS.iter().find(|(known, _)| *known == code);
    known.map_or("", |(_, step)| step)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::explain;

    #[test]
    fn every_finding_has_a_next_step_and_a_page() {
        assert!(STEPS.is_sorted());
        for (code, step) in STEPS {
            assert!(explain::page(code).is_some(), "{code}");
            assert!(!step.is_empty(), "{code}");
        }
        let sources = [
            include_str!("../findings.rs"),
            include_str!("causes.rs"),
            include_str!("clients.rs"),
            include_str!("standby.rs"),
        ];
        // A code is the first thing in a call of `finding`, or a constant of it.
        let named = sources
            .iter()
            .flat_map(|source| source.split("finding(").skip(1))
            .filter_map(|call| call.trim_start().strip_prefix('"'))
            .filter_map(|rest| rest.split('"').next());
        for code in named {
            assert!(!step(code).is_empty(), "`{code}` says nothing to do");
        }
    }
}
