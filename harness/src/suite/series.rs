//! Several runs of one drill: how many there are, and when there is no sense in another.

use std::sync::{Arc, Mutex, PoisonError};

use crate::{
    drill::Drill,
    exit_code::ExitCode,
    report::{Report, is_allowed},
    statistics::PassRate,
    timeline::Repeat,
    verdict::CheckStatus,
};

/// Several runs of one drill.
#[derive(Debug)]
pub struct Series {
    of: u32,
    /// In how many of them the whole drill must pass.
    until: Option<PassRate>,
    /// In how many of them the recovery time must hold, by the drill's own words.
    rto: Option<PassRate>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    failed: usize,
    too_late: usize,
    is_over: bool,
}

impl Series {
    /// The runs of a drill: so many as are asked for, or as its rates need. `None` for a single run.
    ///
    /// # Errors
    /// If so few runs cannot show what is asked for.
    pub fn plan(
        drill: &Drill,
        repeat: Option<u32>,
        until: Option<PassRate>,
    ) -> Result<Option<Arc<Self>>, String> {
        let rto = drill
            .expect
            .iter()
            .find_map(|expectation| expectation.value.pass_rate());
        let needed = until.into_iter().chain(rto).map(PassRate::clean_runs).max();
        let needed = needed.and_then(|runs| u32::try_from(runs).ok());
        let Some(of) = repeat.or(needed) else {
            return Ok(None);
        };
        if let Some(until) = until
            && until.may_fail(of as usize).is_none()
        {
            return Err(format!(
                "{of} runs cannot show a pass rate of {until}; {} without a failure do",
                until.clean_runs()
            ));
        }
        Ok(Some(Arc::new(Self {
            of,
            until,
            rto,
            state: Mutex::default(),
        })))
    }

    /// What each of its runs is told, in order.
    pub fn repeats(&self) -> impl Iterator<Item = Repeat> {
        let (of, until) = (self.of, self.until);
        (1..=of).map(move |number| Repeat { number, of, until })
    }

    /// The rate that so few runs cannot show, for a warning.
    pub fn not_shown(&self) -> Option<PassRate> {
        self.rto
            .filter(|rate| rate.may_fail(self.of as usize).is_none())
    }

    /// How many runs there are at most.
    pub fn runs(&self) -> u32 {
        self.of
    }

    /// Whether another run would change nothing: a rate cannot be reached any more, or the last could not be carried out.
    pub fn is_over(&self) -> bool {
        self.state().is_over
    }

    /// Takes what came of a run.
    pub fn take(&self, report: Option<&Report>) {
        let mut state = self.state();
        let Some(report) = report else {
            state.is_over = true;
            return;
        };
        match ExitCode::from(&report.judgement) {
            ExitCode::Passed => return,
            ExitCode::Failed => {}
            ExitCode::Usage
            | ExitCode::CouldNotRun
            | ExitCode::NothingSelected
            | ExitCode::NotRestored
            | ExitCode::Interrupted
            | ExitCode::Terminated => state.is_over = true,
        }
        state.failed += 1;
        let is_late = report
            .judgement
            .checks
            .iter()
            .any(|check| check.pass_rate.is_some() && check.status != CheckStatus::Pass);
        state.too_late += usize::from(is_late);
        let beyond = |rate: Option<PassRate>, failed: usize| {
            rate.and_then(|rate| rate.may_fail(self.of as usize))
                .is_some_and(|may| failed > may)
        };
        // Without a rate all runs are of interest, whatever came of some.
        let excused = self.until.is_some() || self.rto.is_none() || is_allowed(report);
        if beyond(self.until, state.failed) || beyond(self.rto, state.too_late) || !excused {
            state.is_over = true;
        }
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample;

    fn series(of: u32, until: Option<&str>, rto: Option<&str>) -> Series {
        let rate = |text: &str| text.parse().unwrap();
        Series {
            of,
            until: until.map(rate),
            rto: rto.map(rate),
            state: Mutex::default(),
        }
    }

    fn late(rated: bool) -> Report {
        let mut report = sample::failing_rto();
        for check in &mut report.judgement.checks {
            if check.status == CheckStatus::Fail && rated {
                check.pass_rate = Some("0.9 @ 0.95".parse().unwrap());
            }
        }
        report
    }

    #[test]
    fn runs_that_fail_end_nothing_if_no_rate_is_asked_for() {
        let series = series(12, None, None);
        for _ in 0..12 {
            series.take(Some(&late(false)));
        }
        assert!(!series.is_over());
    }

    #[test]
    fn a_rate_that_cannot_be_reached_ends_the_series() {
        let none_may_fail = series(29, Some("0.9 @ 0.95"), None);
        none_may_fail.take(Some(&sample::passing_failover()));
        assert!(!none_may_fail.is_over());
        none_may_fail.take(Some(&late(false)));
        assert!(none_may_fail.is_over());
        let one_may_fail = series(46, None, Some("0.9 @ 0.95"));
        one_may_fail.take(Some(&late(true)));
        assert!(!one_may_fail.is_over());
        one_may_fail.take(Some(&late(true)));
        assert!(one_may_fail.is_over());
    }

    #[test]
    fn what_no_rate_excuses_ends_a_series_with_one() {
        let series = series(46, None, Some("0.9 @ 0.95"));
        series.take(Some(&late(false)));
        assert!(series.is_over());
    }

    #[test]
    fn a_run_that_could_not_be_carried_out_ends_every_series() {
        for broken in [sample::invalid(), sample::not_restored()] {
            let series = series(12, None, None);
            series.take(Some(&broken));
            assert!(series.is_over());
        }
        let series = series(12, None, None);
        series.take(None);
        assert!(series.is_over());
    }

    #[test]
    fn so_many_runs_are_planned_as_are_asked_for_or_needed() {
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../drills/scale-to-zero.yaml");
        let (drill, _) = crate::drill::load(file.as_ref(), &|_| None);
        let drill = drill.unwrap();
        let rate = Some("0.9 @ 0.95".parse().unwrap());
        let runs = |repeat, until| {
            Series::plan(&drill, repeat, until).map(|series| series.map(|series| series.runs()))
        };
        assert_eq!(runs(None, None), Ok(None));
        assert_eq!(runs(Some(12), None), Ok(Some(12)));
        assert_eq!(runs(None, rate), Ok(Some(29)));
        assert_eq!(runs(Some(46), rate), Ok(Some(46)));
        assert!(
            runs(Some(12), rate)
                .unwrap_err()
                .contains("29 without a failure")
        );
    }
}
