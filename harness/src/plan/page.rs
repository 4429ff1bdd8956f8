//! The plan as a page for the person who has to approve it.

use std::fmt;

use super::{Plan, PlannedProbe};
use crate::{
    drill::{After, Hold, duration_words},
    environment::Connection,
    hostile,
    notify::{Alert, Facts, payload},
    timeline::ProbeKind,
};

impl fmt::Display for Plan {
    /// The plan as a page for the person who has to approve it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut page = String::new();
        self.write(&mut page)?;
        f.write_str(&self.secrets().hide(&page))
    }
}

impl Plan {
    /// Who is told, from which level on, and what the worst would look like to them.
    fn notify(&self, f: &mut dyn fmt::Write) -> fmt::Result {
        if self.environment.notify.is_empty() {
            return Ok(());
        }
        let facts = Facts {
            drill: self.drill.name.clone(),
            environment: self.environment.name.clone(),
            run_id: "RUN".to_owned(),
            ..Facts::default()
        };
        writeln!(f, "\n notify")?;
        for channel in &self.environment.notify {
            let kind = channel.kind();
            if channel.is_off() {
                writeln!(f, "   {kind:<10} off: a variable that says where is empty")?;
                continue;
            }
            let (from, within) = (channel.from().word(), duration_words(channel.within()));
            let shown = payload::shown(channel, &Alert::example(), &facts);
            writeln!(f, "   {kind:<10} from {from} on, within {within}, such as")?;
            writeln!(f, "      {shown}")?;
        }
        Ok(())
    }

    fn write(&self, f: &mut dyn fmt::Write) -> fmt::Result {
        let (drill, words) = (&self.drill, duration_words);
        let home = drill.steady_state.served_by.as_ref().or(self
            .environment
            .tiers
            .first()
            .map(|tier| &tier.name));
        writeln!(
            f,
            "PLAN  {}  in {}\n      {}\n",
            drill.name,
            self.environment.name,
            hostile::harmless(&drill.about)
        )?;
        writeln!(f, " steady state")?;
        let (watched, home) = (
            words(self.limits.steady_state),
            home.map_or("anybody", String::as_str),
        );
        let more = words(self.limits.phase);
        writeln!(
            f,
            "   good for {watched} and up to {more} more at random, served by {home}; otherwise nothing is injected\n"
        )?;
        writeln!(f, " faults, in this order")?;
        let mut faults = self.faults.iter().enumerate().peekable();
        for (step, entry) in drill.faults.iter().enumerate() {
            let when = match entry.after {
                After::Immediately => String::new(),
                After::Delay(delay) => format!(", {} after the one before", words(delay)),
                After::Recovered => ", when users have recovered".to_owned(),
                After::GoodFor(good) => {
                    format!(", when users have had no failure for {}", words(good))
                }
            };
            if let Some(pause) = &entry.pause {
                let (who, within) = (&pause.value.role, words(pause.value.within));
                let who = who.as_deref().unwrap_or("a person");
                writeln!(f, "   -  wait for {who}, at most {within}{when}")?;
                writeln!(f, "      {}", hostile::harmless(&pause.value.text))?;
            }
            while let Some((number, fault)) = faults.next_if(|(_, fault)| fault.step == step) {
                writeln!(
                    f,
                    "   {}. {} {}{when}",
                    number + 1,
                    fault.facts.kind,
                    fault.facts.target
                )?;
                writeln!(
                    f,
                    "      touches {}: {}",
                    fault.touches, fault.facts.describe
                )?;
                writeln!(f, "      revert  {}", fault.revert)?;
                for warning in &fault.warnings {
                    writeln!(f, "      warning: {warning}")?;
                }
            }
        }
        match drill.hold {
            Hold::For(duration) => writeln!(
                f,
                "\n hold {}, then revert the last fault first",
                words(duration)
            )?,
            Hold::UntilStable => {
                let most = words(self.limits.hold);
                writeln!(
                    f,
                    "\n hold until users are served again, at most {most}, then revert the last fault first"
                )?;
            }
        }
        self.safety(f)?;
        self.notify(f)?;
        if !self.needs.is_empty() {
            writeln!(f, "\n systems")?;
        }
        for need in &self.needs {
            writeln!(f, "   {:<12} {}", need.binding.as_str(), need.system)?;
            for missing in &need.missing {
                writeln!(f, "      MISSING: {}", hostile::harmless(missing))?;
            }
        }
        writeln!(f, "\n preflight")?;
        for check in &self.preflight {
            writeln!(f, "   {:<12} {}", check.tier, check.how.words())?;
        }
        writeln!(f, "\n probes")?;
        if let Some(way) = self.environment.way_to_containers() {
            writeln!(f, "   {way}")?;
        }
        for PlannedProbe { facts, resolution } in &self.probes {
            let how = match &facts.kind {
                ProbeKind::Http {
                    connection: Connection::New,
                    ..
                } => "new connections",
                ProbeKind::Http {
                    connection: Connection::KeepAlive,
                    ..
                } => "kept connections",
                ProbeKind::Dns { .. } => "one question each",
            };
            let (every, within, resolution) = (
                words(facts.every),
                words(facts.good_within),
                words(*resolution),
            );
            writeln!(
                f,
                "   {:<12} every {every:<6} {how:<18} good within {within:<6} times to +-{resolution}",
                facts.name
            )?;
        }
        writeln!(f, "\n expectations")?;
        for expectation in &drill.expect {
            writeln!(
                f,
                "   line {:<4} {}",
                expectation.at.line,
                expectation.value.words()
            )?;
        }
        let longest = self.longest();
        write!(
            f,
            "\n takes at most {} once the service is steady",
            words(longest)
        )?;
        if (self.speed - 1.0).abs() > f64::EPSILON {
            write!(
                f,
                ", which is {:.0} s at speed {}",
                self.real(longest).as_secs_f64(),
                self.speed
            )?;
        }
        writeln!(f)
    }
}

impl Plan {
    /// What bounds the drill, whatever it says.
    fn safety(&self, f: &mut dyn fmt::Write) -> fmt::Result {
        let (environment, limits) = (&self.environment, &self.environment.limits);
        let mut lines = Vec::new();
        if environment.protected {
            lines.push(format!(
                "protected: `--confirm {}` to run",
                environment.name
            ));
        }
        let may = limits.words();
        if !may.is_empty() {
            lines.push(format!("may touch {}", may.join("; ")));
        }
        if let Some(max_fault) = limits.max_fault {
            lines.push(format!(
                "faults are reverted after {} whatever happens, and the drill is aborted",
                duration_words(max_fault)
            ));
            let planned = self.faults_in_place();
            if planned > max_fault {
                lines.push(format!(
                    "warning: this drill may hold its faults for {}, longer than that",
                    duration_words(planned)
                ));
            }
        }
        lines.extend(
            self.abort_if()
                .map(|condition| format!("aborted if {}", condition.words())),
        );
        if let Some(path) = &limits.kill_switch {
            lines.push(format!("aborted if `{}` exists", path.display()));
        }
        if lines.is_empty() {
            return Ok(());
        }
        writeln!(f, "\n limits")?;
        lines.iter().try_for_each(|line| writeln!(f, "   {line}"))
    }
}
