//! Orders to GitHub to show what failed at its line of the drill file.

use super::{Repeats, Report, hostile::harmless, repeats::sorted};
use crate::{exit_code::ExitCode, verdict::CheckStatus};

/// GitHub shows ten of a kind for each step and drops the others without a word.
const SHOWN: usize = 10;

/// One order for each drill that did not pass; where there are too many, the last one says how many more there are.
pub fn render(reports: &[Report]) -> Vec<String> {
    let (alone, groups) = sorted(reports);
    let not_passed = |report: &&Report| ExitCode::from(&report.judgement) != ExitCode::Passed;
    let mut failed: Vec<&Report> = alone.into_iter().filter(not_passed).collect();
    // One for all runs of a drill, at what the first of them missed that did not pass.
    failed.extend(groups.iter().filter_map(|runs| {
        let passed = Repeats::of(runs).code == ExitCode::Passed;
        let first = runs
            .iter()
            .copied()
            .find(not_passed)
            .or(runs.first().copied());
        first.filter(|_| !passed)
    }));
    let told = if failed.len() > SHOWN {
        SHOWN - 1
    } else {
        SHOWN
    };
    let mut orders: Vec<String> = failed
        .iter()
        .take(told)
        .map(|report| order(report))
        .collect();
    if failed.len() > told {
        orders.push(format!(
            "::error title=blackstart::and {} more drills did not pass",
            failed.len() - told
        ));
    }
    orders
}

fn order(report: &Report) -> String {
    let judgement = &report.judgement;
    let (word, _) = super::terminal::verdict(judgement);
    let find = |status| judgement.checks.iter().find(|check| check.status == status);
    let check = find(CheckStatus::Fail).or_else(|| find(CheckStatus::Inconclusive));
    let (line, message) = match check {
        _ if !judgement.restored => (
            1,
            format!(
                "a target is not verified as restored: {}",
                report.what_restores()
            ),
        ),
        Some(check) => (check.line, format!("{}: {}", check.name, check.message)),
        None => (
            1,
            judgement
                .reasons
                .first()
                .cloned()
                .unwrap_or_else(|| "nothing was judged".to_owned()),
        ),
    };
    format!(
        "::error file={},line={line},title={}::{}",
        property(&report.drill.file),
        property(&format!("{word} {}", report.drill.name)),
        data(&message)
    )
}

fn data(text: &str) -> String {
    harmless(text).replace('%', "%25")
}

fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample;

    #[test]
    fn each_failed_drill_is_shown_at_its_line() {
        let reports = [
            sample::passing_failover(),
            sample::failing_rto(),
            sample::not_restored(),
            sample::invalid(),
        ];
        assert_eq!(
            render(&reports),
            [
                "::error file=drills/region-failover.yaml,line=21,title=FAIL region-failover::rto within 40s: 47.4 s > 40 s, over by 7.4 .. 7.7 s",
                "::error file=drills/scale-to-zero.yaml,line=1,title=NOT RESTORED scale-to-zero::a target is not verified as restored: blackstart revert reports/2026-08-24T10-02-11Z-k3f9",
                "::error file=drills/scale-to-zero.yaml,line=1,title=INVALID scale-to-zero::steady state not met: `read` answered 503 in 7 of 20 samples; nothing was injected",
            ]
        );
    }

    #[test]
    fn there_are_never_more_than_github_shows_and_none_is_two_lines() {
        let orders = render(&vec![sample::hostile("a,b:c%\n::error::x"); 30]);
        assert_eq!(orders.len(), SHOWN);
        assert!(orders[SHOWN - 1].ends_with("and 21 more drills did not pass"));
        for order in &orders[..SHOWN - 1] {
            let order = order.strip_prefix("::error ").unwrap();
            let (properties, _) = order.split_once("::").unwrap();
            assert_eq!(properties.split(',').count(), 3, "{order}");
            assert!(!order.contains('\n'));
        }
    }
}
