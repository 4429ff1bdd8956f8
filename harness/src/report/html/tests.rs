use super::*;
use crate::report::{hostile::is_invisible, sample};

fn all() -> Vec<Report> {
    vec![
        sample::passing_failover(),
        sample::failing_rto(),
        sample::inconclusive(),
        sample::invalid(),
        sample::not_restored(),
    ]
}

/// Every tag of a page, without its attributes, and every attribute's name.
fn markup(page: &str) -> (Vec<String>, Vec<String>) {
    let (mut tags, mut attributes) = (Vec::new(), Vec::new());
    let mut rest = page;
    while let Some(begin) = rest.find('<') {
        let inner = &rest[begin + 1..];
        let mut quoted = false;
        let end = inner
            .find(|letter| {
                quoted ^= letter == '"';
                letter == '>' && !quoted
            })
            .expect("a tag ends");
        let tag = &inner[..end];
        let name = tag
            .split(|letter: char| letter.is_whitespace())
            .next()
            .unwrap();
        tags.push(name.to_owned());
        for (place, part) in tag.split('"').enumerate() {
            if place % 2 == 0 {
                let names = part
                    .split_whitespace()
                    .filter_map(|word| word.strip_suffix('='));
                attributes.extend(names.map(str::to_owned));
            }
        }
        rest = &inner[end + 1..];
    }
    (tags, attributes)
}

#[test]
fn a_page_has_all_fifteen_sections_and_stands_alone() {
    for report in all() {
        let page = render(&report, None);
        for number in 1..=15 {
            assert!(
                page.contains(&format!("id=\"section-{number}\"")) || [2, 3].contains(&number),
                "{number}"
            );
        }
        assert!(page.contains(verdict(&report.judgement).0));
        let (tags, attributes) = markup(&page);
        for tag in ["img", "link", "iframe", "object", "embed", "base", "form"] {
            assert!(!tags.iter().any(|known| known == tag), "{tag}");
        }
        assert!(
            !attributes
                .iter()
                .any(|name| name.starts_with("on") || name == "src")
        );
        assert!(!page.contains("url(http") && !page.contains("@import"));
        assert!(page.len() < 100_000, "{}", page.len());
    }
}

#[test]
fn text_from_outside_stays_text() {
    let plain = render(&sample::hostile("harmless"), None);
    let expected = markup(&plain);
    let attacks = [
        "<script>alert(1)</script>",
        "\"><img src=x onerror=alert(1)>",
        "' onmouseover='alert(1)",
        "</title></style></pre></svg><script>alert(1)</script>",
        "</script><script>alert(1)</script>",
        "<!--",
        "*/}body{display:none}",
        "\\\"}body{display:none}",
        "javascript:alert(1)",
        "&lt;b&gt;",
    ];
    for text in attacks.into_iter().chain(sample::HOSTILE) {
        let page = render(&sample::hostile(text), None);
        assert_eq!(markup(&page), expected, "{text:?} changed the markup");
        assert!(
            !page
                .chars()
                .any(|letter| letter != '\n' && is_invisible(letter)),
            "{text:?}"
        );
        let style = &page[page.find("<style>").unwrap()..page.find("</style>").unwrap()];
        assert_eq!(style.matches('{').count(), style.matches('}').count());
        assert!(!style.contains("body{display"), "{text:?}");
        let index = render_together(&[sample::hostile(text), sample::failing_rto()], None);
        assert_eq!(
            markup(&index).0.len(),
            markup(&render_together(
                &[sample::hostile("harmless"), sample::failing_rto()],
                None
            ))
            .0
            .len()
        );
        assert!(!index.contains("href=\"javascript"));
    }
}

#[test]
fn what_people_have_said_is_on_the_page_and_the_rest_is_left_blank() {
    let mut report = sample::passing_failover();
    let blanks = |page: &str| page.matches("class=\"line\"").count();
    let before = render(&report, None);
    report.drill.exercise = Some(Exercise {
        owner: Some("platform team".to_owned()),
        observers: vec!["B. Baker".to_owned(), "C. Charlie".to_owned()],
        ..Exercise::default()
    });
    let after = render(&report, None);
    assert!(after.contains("platform team") && after.contains("B. Baker; C. Charlie"));
    assert_eq!(blanks(&after) + 2, blanks(&before));
}

#[test]
fn several_runs_of_a_drill_have_one_page_over_them() {
    let runs: Vec<Report> = (1..=12)
        .map(|number| {
            let mut report = sample::passing_failover();
            report.run.folder = format!("reports/run/{number:02}");
            report.run.repeat = Some(crate::timeline::Repeat {
                number,
                of: 12,
                until: None,
            });
            report
        })
        .collect();
    let page = render_together(&runs, None);
    assert!(page.contains("href=\"./07/report.html\""));
    assert!(page.contains("at least 77.9 % of such runs pass"));
    assert_eq!(page.matches("<circle class=\"dot\"").count(), 12);
    assert!(render(&runs[0], None).contains("run 1 of 12"));
    // One that ended after its first run has a page over it, too.
    let alone = render_together(&runs[..1], None);
    assert!(alone.contains("href=\"./01/report.html\"") && !alone.contains("../report.html"));
}

#[test]
fn the_data_in_the_page_is_that_of_report_json() {
    let report = sample::hostile("</script><!-- <b> & \u{2028}");
    let page = render(&report, None);
    let (_, data) = page.split_once("id=\"drill-report\">").expect("data");
    let (data, _) = data.split_once("</script>").expect("its end");
    let read: serde_json::Value = serde_json::from_str(data).unwrap();
    let written = json::render(&report);
    let other: serde_json::Value = serde_json::from_str(&written).unwrap();
    assert_eq!(read, other);
}

#[test]
fn one_sentence_says_what_came_of_it() {
    let sentences: Vec<String> = all().iter().map(first_page::sentence).collect();
    insta::assert_snapshot!("html_sentences", sentences.join("\n"));
}

#[test]
fn the_index_leads_to_the_page_of_each_drill() {
    let mut strange = sample::failing_rto();
    "a b/ü".clone_into(&mut strange.drill.name);
    let page = render_together(&[sample::passing_failover(), strange], None);
    assert!(page.contains("href=\"./scale-to-zero/report.html\""));
    assert!(page.contains("href=\"./a%20b/%C3%BC/report.html\""));
    assert!(page.contains("1 of 2 drills passed."));
}

#[test]
fn paper_is_of_the_size_that_is_asked_for() {
    let report = sample::passing_failover();
    let sized = |paper| render(&report, paper);
    assert!(!sized(None).contains("size:A4;"));
    assert!(sized(Some(Paper::A4)).contains("@page{size:A4;"));
    assert!(sized(Some(Paper::Letter)).contains("@page{size:letter;"));
}
