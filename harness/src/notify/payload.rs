//! What an alert looks like to each channel. Texts come from a system under test, so each is made one visible line first.

use std::borrow::Cow;

use serde_json::{Value, json};

use super::{Alert, Facts, Occasion};
use crate::{
    environment::{Level, Notify},
    hostile::harmless,
};

/// `PagerDuty` refuses a summary of more than 1,024 characters, and Slack a block of more than 3,000, in which three characters take up
/// to five each.
const SUMMARY: usize = 500;

/// The body for a channel; none where there is nothing to say to it.
pub fn body(channel: &Notify, alert: &Alert, facts: &Facts) -> Value {
    match channel {
        Notify::Webhook(_) => webhook(alert, facts),
        Notify::Slack(_) => slack(alert, facts),
        Notify::Pagerduty(pagerduty) => event(&pagerduty.routing_key, alert, facts),
    }
}

/// The same as it may be shown, and where it is sent to, without what only the channel should know.
pub fn shown(channel: &Notify, alert: &Alert, facts: &Facts) -> String {
    let mut body = body(channel, alert, facts);
    if let Some(key) = body.get_mut("routing_key") {
        *key = "(secret)".into();
    }
    let url = channel.url();
    let host = url.splitn(4, '/').take(3).collect::<Vec<_>>().join("/");
    format!("POST {}/... {body}", harmless(&host))
}

/// Everything, for any program.
fn webhook(alert: &Alert, facts: &Facts) -> Value {
    json!({
        "source": "blackstart",
        "format_version": "1.0",
        "level": alert.level.number(),
        "severity": alert.level.word(),
        "answer_within": alert.level.answer_within(),
        "event": alert.event,
        "summary": harmless(&alert.summary),
        "occasion": facts.occasion.word(),
        "at_s": alert.at.map(|at| at.as_secs_f64()),
        "drill": harmless(&facts.drill),
        "environment": harmless(&facts.environment),
        "run": harmless(&facts.run_id),
        "host": harmless(&facts.host),
        "started_at": facts.started_at,
    })
}

fn slack(alert: &Alert, facts: &Facts) -> Value {
    let sign = match alert.level {
        Level::Information if alert.is_all_clear => ":white_check_mark:",
        Level::Information => ":information_source:",
        Level::Warning => ":warning:",
        Level::Critical => ":red_circle:",
        Level::Emergency => ":rotating_light:",
    };
    let (level, summary) = (alert.level.word(), mrkdwn(&alert.summary));
    let occasion = facts.occasion.word();
    let what = match facts.occasion {
        Occasion::Drill => format!("drill {} on ", mrkdwn(&facts.drill)),
        Occasion::Watch => "watch of ".to_owned(),
    };
    let context = format!(
        "{what}{}, run {}{}; answer within {}",
        mrkdwn(&facts.environment),
        mrkdwn(&facts.run_id),
        since(alert),
        alert.level.answer_within()
    );
    json!({
        "text": format!("[{occasion}] {level}: {summary}"),
        "blocks": [
            { "type": "section", "text": { "type": "mrkdwn", "verbatim": true, "text": format!("{sign} *[{occasion}] {level}*: {summary}") } },
            { "type": "context", "elements": [{ "type": "mrkdwn", "verbatim": true, "text": context }] },
        ],
    })
}

/// One incident a drill or a watch: what follows is added to it, and the all-clear resolves it.
fn event(routing_key: &str, alert: &Alert, facts: &Facts) -> Value {
    let key = format!("blackstart/{}/{}", facts.run_id, facts.drill);
    if alert.is_all_clear {
        return json!({
            "routing_key": routing_key,
            "event_action": "resolve",
            "dedup_key": key,
        });
    }
    let severity = match alert.level {
        Level::Information => "info",
        Level::Warning => "warning",
        Level::Critical => "error",
        Level::Emergency => "critical",
    };
    let summary = format!("[{}] {}", facts.occasion.word(), short(&alert.summary));
    let source = if facts.host.is_empty() {
        Cow::Borrowed("blackstart")
    } else {
        harmless(&facts.host)
    };
    json!({
        "routing_key": routing_key,
        "event_action": "trigger",
        "dedup_key": key,
        "client": "Blackstart",
        "payload": {
            "summary": summary,
            "source": source,
            "severity": severity,
            "component": harmless(&facts.environment),
            "group": harmless(&facts.drill),
            "class": alert.event,
            "custom_details": webhook(alert, facts),
        },
    })
}

fn since(alert: &Alert) -> String {
    let at = alert.at.map(|at| format!(", {} s into it", at.as_secs()));
    at.unwrap_or_default()
}

/// One visible line, no longer than any channel takes.
fn short(text: &str) -> String {
    let text = harmless(text);
    let mut characters = text.chars();
    let kept: String = characters.by_ref().take(SUMMARY).collect();
    if characters.next().is_some() {
        format!("{kept}...")
    } else {
        kept
    }
}

/// Text for Slack, in which three characters have a meaning that nobody asked for.
fn mrkdwn(text: &str) -> String {
    let text = short(text).replace('&', "&amp;");
    text.replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::environment::notify::Slack;

    fn facts() -> Facts {
        Facts {
            occasion: Occasion::Drill,
            drill: "region-lost".to_owned(),
            environment: "shop".to_owned(),
            run_id: "2026-01-01T00-00-00Z-abcd".to_owned(),
            host: "ci".to_owned(),
            started_at: "2026-01-01T00:00:00Z".to_owned(),
        }
    }

    #[test]
    fn a_drill_is_one_incident_that_its_pass_resolves() {
        let alert = Alert::example();
        let triggered = event("key", &alert, &facts());
        assert_eq!(triggered["event_action"], "trigger");
        assert_eq!(triggered["payload"]["severity"], "critical");
        let clear = Alert {
            is_all_clear: true,
            ..alert
        };
        let resolved = event("key", &clear, &facts());
        assert_eq!(resolved["event_action"], "resolve");
        assert_eq!(resolved["dedup_key"], triggered["dedup_key"]);
    }

    #[test]
    fn what_a_watch_saw_is_not_called_a_drill() {
        let watch = Facts {
            occasion: Occasion::Watch,
            ..facts()
        };
        let alert = Alert::example();
        assert_eq!(webhook(&alert, &watch)["occasion"], "watch");
        for text in [
            slack(&alert, &watch).to_string(),
            event("key", &alert, &watch)["payload"]["summary"].to_string(),
        ] {
            assert!(
                text.contains("[watch]") && !text.contains("drill"),
                "{text}"
            );
        }
        assert_eq!(webhook(&alert, &facts())["occasion"], "drill");
    }

    #[test]
    fn a_program_gets_the_level_as_number_word_and_time_to_answer() {
        let body = webhook(&Alert::example(), &facts());
        let of = (&body["level"], &body["severity"], &body["answer_within"]);
        assert_eq!(of, (&json!(4), &json!("emergency"), &json!("5m")));
        assert_eq!(body["at_s"], 58.0);
    }

    #[test]
    fn no_channel_is_given_more_than_it_takes() {
        let alert = Alert {
            summary: "&".repeat(100_000),
            ..Alert::example()
        };
        let slack = slack(&alert, &facts());
        let text = slack["blocks"][0]["text"]["text"].as_str().unwrap();
        assert!(text.len() < 3000 && text.ends_with("..."), "{}", text.len());
        let event = event("key", &alert, &facts());
        assert!(event["payload"]["summary"].as_str().unwrap().len() < 1024);
    }

    #[test]
    fn text_from_outside_mentions_nobody_and_makes_no_second_line() {
        let alert = Alert {
            summary: "<!channel> a\nb & c\u{202e}".to_owned(),
            at: Some(Duration::ZERO),
            ..Alert::example()
        };
        let channel = Notify::Slack(Slack {
            url: String::new(),
            from: Level::Information,
            within: Duration::ZERO,
        });
        let text = body(&channel, &alert, &facts()).to_string();
        assert!(text.contains("&lt;!channel&gt; a\\\\nb &amp; c"), "{text}");
        assert!(!text.contains("<!channel>"), "{text}");
    }
}
