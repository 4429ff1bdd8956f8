//! What the process says to its caller when it ends.

use std::process::Termination;

use crate::verdict::{Judgement, Verdict};

/// How a command ended. The numbers are part of the interface and never change their meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum ExitCode {
    /// Every selected drill passed.
    Passed = 0,
    /// An expectation did not hold, or could not be decided and its drill counts that as a failure.
    Failed = 1,
    /// The command line, a drill file or an environment file is invalid.
    Usage = 2,
    /// A drill could not be carried out: steady state not met, provider trouble, measurement void.
    CouldNotRun = 3,
    /// No drill was selected.
    NothingSelected = 4,
    /// A target is not verified as restored: a fault may still be active.
    NotRestored = 5,
    /// Stopped by SIGINT, with everything restored.
    Interrupted = 130,
    /// Stopped by SIGTERM or SIGHUP, with everything restored.
    Terminated = 143,
}

impl ExitCode {
    /// The number that the process ends with.
    pub const fn code(self) -> u8 {
        self as u8
    }

    /// Why a process ends with this code, as a fragment that fits after the number.
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Passed => "everything expected held",
            Self::Failed => "an expectation did not hold or could not be decided",
            Self::Usage => "the command line or a file is invalid",
            Self::CouldNotRun => "the drill could not be carried out",
            Self::NothingSelected => "no drill was selected",
            Self::NotRestored => "a target is not verified as restored",
            Self::Interrupted => "stopped by SIGINT, everything restored",
            Self::Terminated => "stopped by SIGTERM, everything restored",
        }
    }

    /// The code for several outcomes together. The highest wins, and a signal counts only if nothing went wrong besides; nothing at
    /// all is [`ExitCode::NothingSelected`].
    pub fn worst(codes: impl IntoIterator<Item = Self>) -> Self {
        codes
            .into_iter()
            .max_by_key(|code| code.severity())
            .unwrap_or(Self::NothingSelected)
    }

    const fn severity(self) -> u8 {
        match self {
            Self::Passed => 0,
            Self::Interrupted => 1,
            Self::Terminated => 2,
            Self::Failed => 3,
            Self::Usage => 4,
            Self::CouldNotRun => 5,
            Self::NothingSelected => 6,
            Self::NotRestored => 7,
        }
    }
}

impl From<&Judgement> for ExitCode {
    /// A run that a signal stopped is not blamed for what it had no time to do: it counts as failed only if something that was
    /// judged did not hold.
    fn from(judgement: &Judgement) -> Self {
        if !judgement.restored {
            return Self::NotRestored;
        }
        if judgement.verdict == Verdict::Fail {
            return Self::Failed;
        }
        match (judgement.interrupted_by.as_deref(), judgement.verdict) {
            (Some("SIGTERM" | "SIGHUP"), _) => Self::Terminated,
            (Some(_), _) => Self::Interrupted,
            (None, Verdict::Pass | Verdict::DryRun) => Self::Passed,
            (None, Verdict::Inconclusive | Verdict::Fail) => Self::Failed,
            (None, Verdict::Aborted | Verdict::Invalid) => Self::CouldNotRun,
        }
    }
}

impl From<ExitCode> for std::process::ExitCode {
    fn from(code: ExitCode) -> Self {
        Self::from(code.code())
    }
}

impl Termination for ExitCode {
    fn report(self) -> std::process::ExitCode {
        self.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample;

    const RISING: [ExitCode; 8] = [
        ExitCode::Passed,
        ExitCode::Interrupted,
        ExitCode::Terminated,
        ExitCode::Failed,
        ExitCode::Usage,
        ExitCode::CouldNotRun,
        ExitCode::NothingSelected,
        ExitCode::NotRestored,
    ];

    #[test]
    fn the_worst_code_wins_in_any_order() {
        for (rank, worse) in RISING.into_iter().enumerate() {
            for better in RISING.into_iter().take(rank + 1) {
                assert_eq!(ExitCode::worst([better, worse]), worse);
                assert_eq!(ExitCode::worst([worse, better]), worse);
            }
        }
    }

    #[test]
    fn no_outcome_at_all_is_nothing_selected() {
        assert_eq!(ExitCode::worst([]), ExitCode::NothingSelected);
    }

    #[test]
    fn a_judgement_becomes_the_documented_code() {
        let cases = [
            (Verdict::Pass, true, None, ExitCode::Passed),
            (Verdict::Fail, true, None, ExitCode::Failed),
            (Verdict::Inconclusive, true, None, ExitCode::Failed),
            (Verdict::Invalid, true, None, ExitCode::CouldNotRun),
            (Verdict::Aborted, true, None, ExitCode::CouldNotRun),
            (Verdict::Aborted, false, None, ExitCode::NotRestored),
            (Verdict::DryRun, true, None, ExitCode::Passed),
            (Verdict::Pass, false, None, ExitCode::NotRestored),
            (
                Verdict::Invalid,
                true,
                Some("SIGINT"),
                ExitCode::Interrupted,
            ),
            (
                Verdict::Invalid,
                true,
                Some("SIGTERM"),
                ExitCode::Terminated,
            ),
            (Verdict::Invalid, true, Some("SIGHUP"), ExitCode::Terminated),
            (Verdict::Fail, true, Some("SIGINT"), ExitCode::Failed),
            (Verdict::Fail, false, Some("SIGINT"), ExitCode::NotRestored),
        ];
        for (verdict, restored, signal, expected) in cases {
            let mut judgement = sample::passing_failover().judgement;
            judgement.verdict = verdict;
            judgement.restored = restored;
            judgement.interrupted_by = signal.map(str::to_owned);
            assert_eq!(
                ExitCode::from(&judgement),
                expected,
                "{verdict:?} {restored} {signal:?}"
            );
        }
    }
}
