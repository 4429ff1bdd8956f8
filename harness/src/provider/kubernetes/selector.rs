//! Label selectors: which pods belong to a workload, and which a policy is about.

use serde_json::{Map, Value};

/// A label selector of a workload as `kubectl --selector` takes it.
pub(super) fn query(selector: &Value) -> String {
    let labels = selector["matchLabels"].as_object();
    let labels = labels.into_iter().flatten().map(|(key, value)| {
        let value = value.as_str().unwrap_or_default();
        format!("{key}={value}")
    });
    let expressions = selector["matchExpressions"].as_array();
    let expressions = expressions.into_iter().flatten().map(|expression| {
        let key = expression["key"].as_str().unwrap_or_default();
        let values = values(expression).join(",");
        match expression["operator"].as_str() {
            Some("In") => format!("{key} in ({values})"),
            Some("NotIn") => format!("{key} notin ({values})"),
            Some("DoesNotExist") => format!("!{key}"),
            Some(_) | None => key.to_owned(),
        }
    });
    labels.chain(expressions).collect::<Vec<_>>().join(",")
}

/// Whether a selector is about something with these labels. An empty one is about everything.
pub(super) fn matches(selector: &Value, labels: &Map<String, Value>) -> bool {
    let text = |key: &str| labels.get(key).and_then(Value::as_str);
    let mut wanted = selector["matchLabels"].as_object().into_iter().flatten();
    let mut expressions = selector["matchExpressions"]
        .as_array()
        .into_iter()
        .flatten();
    wanted.all(|(key, value)| text(key) == value.as_str())
        && expressions.all(|expression| {
            let key = expression["key"].as_str().unwrap_or_default();
            let values = values(expression);
            match expression["operator"].as_str() {
                Some("In") => text(key).is_some_and(|value| values.contains(&value)),
                Some("NotIn") => text(key).is_none_or(|value| !values.contains(&value)),
                Some("DoesNotExist") => text(key).is_none(),
                Some(_) | None => text(key).is_some(),
            }
        })
}

fn values(expression: &Value) -> Vec<&str> {
    let values = expression["values"].as_array().into_iter().flatten();
    values.filter_map(Value::as_str).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn selector() -> Value {
        json!({
            "matchLabels": { "app": "web" },
            "matchExpressions": [
                { "key": "tier", "operator": "In", "values": ["front", "edge"] },
                { "key": "canary", "operator": "DoesNotExist" },
                { "key": "track", "operator": "NotIn", "values": ["old"] },
                { "key": "zone", "operator": "Exists" },
            ],
        })
    }

    #[test]
    fn a_selector_is_asked_for_as_kubectl_has_it() {
        assert_eq!(
            query(&selector()),
            "app=web,tier in (front,edge),!canary,track notin (old),zone"
        );
        assert_eq!(query(&json!({})), "");
    }

    #[test]
    fn a_selector_is_about_what_has_all_it_names() {
        let good = json!({ "app": "web", "tier": "edge", "zone": "a" });
        assert!(matches(&selector(), good.as_object().unwrap()));
        assert!(matches(&json!({}), good.as_object().unwrap()));
        for (key, value) in [
            ("app", json!("api")),
            ("tier", json!("back")),
            ("canary", json!("yes")),
            ("track", json!("old")),
            ("zone", Value::Null),
        ] {
            let mut other = good.as_object().unwrap().clone();
            other.insert(key.to_owned(), value);
            assert!(!matches(&selector(), &other), "{key}");
        }
    }
}
