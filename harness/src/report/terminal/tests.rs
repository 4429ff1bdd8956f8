use super::*;
use crate::report::{hostile::is_invisible, sample};

const ASCII: Style = Style {
    color: false,
    ascii: true,
    width: 100,
};

fn snapshot(name: &str, reports: &[Report]) {
    insta::assert_snapshot!(name, render(reports, &ASCII));
}

#[test]
fn a_drill_that_passes_is_shown_in_full() {
    snapshot("passing_failover", &[sample::passing_failover()]);
}

#[test]
fn a_missed_objective_says_where_the_time_went() {
    snapshot("failing_rto", &[sample::failing_rto()]);
}

#[test]
fn an_inconclusive_expectation_says_what_would_decide_it() {
    snapshot("inconclusive", &[sample::inconclusive()]);
}

#[test]
fn a_drill_that_could_not_be_carried_out_says_why() {
    snapshot("invalid", &[sample::invalid()]);
}

#[test]
fn a_target_that_is_not_restored_outranks_a_pass() {
    snapshot("not_restored", &[sample::not_restored()]);
}

#[test]
fn several_drills_are_a_table_and_only_the_failures_are_shown_in_full() {
    let mut other = sample::passing_failover();
    "respond-slowly".clone_into(&mut other.drill.name);
    let mut passing = sample::passing_failover();
    "reports/2026-08-24T10-02-11Z-k3f9/scale-to-zero".clone_into(&mut passing.run.folder);
    "reports/2026-08-24T10-02-11Z-k3f9/respond-slowly".clone_into(&mut other.run.folder);
    snapshot("several_drills", &[passing, sample::failing_rto(), other]);
}

#[test]
fn a_narrow_terminal_and_unicode_are_respected() {
    let style = Style {
        color: false,
        ascii: false,
        width: 60,
    };
    insta::assert_snapshot!("narrow", render(&[sample::failing_rto()], &style));
}

#[test]
fn colour_adds_escape_sequences_and_nothing_else() {
    let color = Style {
        color: true,
        ..ASCII
    };
    for report in [
        sample::passing_failover(),
        sample::failing_rto(),
        sample::not_restored(),
    ] {
        let reports = [report];
        let colored = render(&reports, &color);
        assert!(colored.contains("\u{1b}["));
        assert_eq!(
            anstream::adapter::strip_str(&colored).to_string(),
            render(&reports, &ASCII)
        );
    }
}

#[test]
fn no_line_is_wider_than_the_terminal() {
    let reports = [
        sample::passing_failover(),
        sample::failing_rto(),
        sample::inconclusive(),
        sample::invalid(),
        sample::not_restored(),
    ];
    for width_asked in [20, 60, 73, 80, 100, 200] {
        let style = Style {
            width: width_asked,
            ..ASCII
        };
        let widest = width_asked.clamp(60, 100);
        let texts = reports
            .iter()
            .map(|report| render(std::slice::from_ref(report), &style));
        for text in texts.chain([render(&reports, &style)]) {
            assert!(text.is_ascii());
            // A command or a path that is broken cannot be copied.
            let copied = |line: &&str| !line.starts_with(" rerun") && !line.starts_with(" report");
            for line in text.lines().filter(copied) {
                assert!(
                    width(line) <= widest,
                    "{width_asked}: {} {line}",
                    width(line)
                );
            }
        }
    }
}

#[test]
fn hostile_text_cannot_do_anything_to_a_terminal_or_a_ci_server() {
    for text in sample::HOSTILE {
        let mut reports = vec![sample::hostile(text)];
        let mut other = sample::hostile(text);
        other.judgement.verdict = Verdict::Invalid;
        other.judgement.restored = false;
        for fault in &mut other.judgement.faults {
            fault.restored_s = None;
        }
        reports.push(other);
        for count in [1, 2] {
            let shown = render(&reports[..count], &ASCII);
            for line in shown.lines() {
                assert!(!line.chars().any(is_invisible), "{text:?}: {line:?}");
                assert!(!line.trim_start().starts_with("::"), "{text:?}: {line:?}");
                assert!(!line.contains("##["), "{text:?}: {line:?}");
                assert!(!line.contains("##vso["), "{text:?}: {line:?}");
            }
        }
    }
}
