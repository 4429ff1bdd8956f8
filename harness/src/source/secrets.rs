//! What variables of the process environment held, and how it is kept out of everything that is shown or kept.

use std::{
    borrow::Cow,
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
    fmt,
    net::{IpAddr, SocketAddr},
};

use super::duration;

/// A value of fewer characters is no secret that anybody could keep, and hiding it would hide parts of other words.
const SHORTEST: usize = 6;

/// The variables of the process environment that values of one file were made of. Defaults are none of them.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct FilledIn {
    values: BTreeMap<String, String>,
    /// Values in which a word of the language stands, such as `keep-alive`.
    words: BTreeSet<String>,
}

/// What must not be shown of a drill in its environment.
///
/// The value of a variable counts as a secret if it has six characters or more, is no plain number, duration, percentage or address,
/// is no word of the language, and stands in neither of the two files.
#[derive(Clone, Default)]
pub struct Secrets {
    /// What to look for, the longest first, and the variable that held it.
    hidden: Vec<(String, String)>,
    /// Everything that was filled in, as it may be kept.
    kept: BTreeMap<String, String>,
}

impl FilledIn {
    pub(super) fn insert(&mut self, name: &str, value: &str) {
        self.values.insert(name.to_owned(), value.to_owned());
    }

    /// The same, told which values were read as words of the language.
    pub(crate) fn with_words(&self, words: BTreeSet<String>) -> Self {
        Self {
            values: self.values.clone(),
            words,
        }
    }
}

/// Names only.
impl fmt::Debug for FilledIn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.values.keys()).finish()
    }
}

impl Secrets {
    /// What must not be shown of what was read from files, given what was filled in and the text as it was before that.
    pub fn of<'a>(files: impl IntoIterator<Item = (&'a FilledIn, &'a str)>) -> Self {
        let files: Vec<_> = files.into_iter().collect();
        let is_public = |value: &str| {
            files.iter().any(|(variables, text)| {
                text.contains(value) || variables.words.iter().any(|word| word.contains(value))
            })
        };
        let values: BTreeMap<&String, &String> = files
            .iter()
            .flat_map(|(variables, _)| &variables.values)
            .collect();
        let mut hidden: Vec<(String, String)> = values
            .iter()
            .filter(|(_, value)| {
                value.chars().count() >= SHORTEST && !is_plain(value) && !is_public(value)
            })
            .flat_map(|(name, value)| {
                spellings(value)
                    .into_iter()
                    .map(|spelling| (spelling, (*name).clone()))
            })
            .collect();
        hidden.sort_by_key(|(spelling, _)| Reverse(spelling.len()));
        let mut secrets = Self {
            hidden,
            kept: BTreeMap::new(),
        };
        let kept = values
            .into_iter()
            .map(|(name, value)| (name.clone(), secrets.hide(value).into_owned()));
        secrets.kept = kept.collect();
        secrets
    }

    /// Whether there is nothing to hide.
    pub fn is_empty(&self) -> bool {
        self.hidden.is_empty()
    }

    /// The text with `${NAME}` for every secret in it, be it as it is or escaped as JSON or XML has it.
    pub fn hide<'t>(&self, text: &'t str) -> Cow<'t, str> {
        let mut shown = String::new();
        let mut rest = text;
        let first = |rest: &str| {
            let found = self
                .hidden
                .iter()
                .filter_map(|secret| rest.find(&secret.0).map(|at| (at, secret)));
            // Of several at one place the longest, which comes first.
            found.min_by_key(|(at, _)| *at)
        };
        while let Some((at, (spelling, name))) = first(rest) {
            shown.push_str(&rest[..at]);
            shown.push_str("${");
            shown.push_str(name);
            shown.push('}');
            rest = &rest[at + spelling.len()..];
        }
        if shown.is_empty() {
            return Cow::Borrowed(text);
        }
        shown.push_str(rest);
        Cow::Owned(shown)
    }

    /// The values by name as a record may keep them: `${NAME}` for a secret, so that what was recorded and what is read again agree.
    pub fn kept(&self) -> &BTreeMap<String, String> {
        &self.kept
    }
}

/// Names only.
impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set()
            .entries(self.hidden.iter().map(|(_, name)| name))
            .finish()
    }
}

/// Whether a value is a number, a duration, a percentage or an address, as measurements are full of.
fn is_plain(value: &str) -> bool {
    let value = value.trim();
    let number = value.strip_suffix('%').unwrap_or(value);
    let is_number = number.parse::<f64>().is_ok() && !number.contains(char::is_alphabetic);
    is_number
        || duration::parse(value).is_ok()
        || value.parse::<IpAddr>().is_ok()
        || value.parse::<SocketAddr>().is_ok()
}

/// The value as it is, as JSON has it, as messages of ours quote it, and as XML has it.
fn spellings(value: &str) -> BTreeSet<String> {
    let json = serde_json::Value::from(value).to_string();
    let json = json.trim_start_matches('"');
    let json = json.strip_suffix('"').unwrap_or(json);
    let debug = value.escape_debug().to_string();
    let text = value
        .replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;");
    let attribute = text.replace('"', "&quot;").replace('\'', "&apos;");
    BTreeSet::from([value.to_owned(), json.to_owned(), debug, text, attribute])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secrets(values: &[(&str, &str)], text: &str) -> Secrets {
        let mut variables = FilledIn::default();
        for (name, value) in values {
            variables.insert(name, value);
        }
        Secrets::of([(&variables, text)])
    }

    #[test]
    fn a_secret_is_hidden_however_it_is_escaped() {
        let value = "p\"ss <&> wörd\n'";
        let secrets = secrets(&[("PASS", value)], "");
        let json = serde_json::to_string(&format!("a {value} b")).unwrap();
        for (text, shown) in [
            (format!("a {value} b {value}"), "a ${PASS} b ${PASS}"),
            (json, "\"a ${PASS} b\""),
            (format!("{:?}", format!("x{value}")), "\"x${PASS}\""),
            ("p\"ss &lt;&amp;&gt; wörd\n'".to_owned(), "${PASS}"),
            ("p&quot;ss &lt;&amp;&gt; wörd\n&apos;".to_owned(), "${PASS}"),
            ("nothing".to_owned(), "nothing"),
        ] {
            assert_eq!(secrets.hide(&text), shown, "{text}");
        }
        let debug = format!("{secrets:?}");
        assert!(debug.contains("PASS") && !debug.contains("ss <"), "{debug}");
    }

    #[test]
    fn the_longest_of_several_is_hidden_and_what_stands_for_it_is_not_looked_into() {
        let secrets = secrets(&[("A", "secret"), ("B", "secret-longer")], "");
        assert_eq!(
            secrets.hide("secret secret-longer secret-long"),
            "${A} ${B} ${A}-long"
        );
        let own = self::secrets(&[("NAMES", "NAMES-AND-MORE")], "");
        assert_eq!(own.hide("NAMES-AND-MORE-AND-MORE"), "${NAMES}-AND-MORE");
    }

    #[test]
    fn what_is_short_plain_or_in_a_file_anyway_is_no_secret_and_is_kept() {
        let text = "tiers: [secondary]";
        let values = [
            ("SHORT", "abcde"),
            ("NUMBER", "1234567.5"),
            ("DURATION", "1h30m20s"),
            ("SHARE", "99.999%"),
            ("ADDRESS", "192.0.2.53:5353"),
            ("TIER", "secondary"),
        ];
        let public = secrets(&values, text);
        assert!(public.is_empty());
        for (name, value) in values {
            assert_eq!(public.kept()[name], value);
        }
        let hidden = secrets(&[("TIER", "tertiary"), ("TWIN", "tertiary")], text);
        let kept: Vec<&str> = hidden.kept().values().map(String::as_str).collect();
        assert_eq!(kept, ["${TIER}", "${TIER}"], "one value has one name");
    }

    #[test]
    fn a_word_of_the_language_is_no_secret() {
        let mut variables = FilledIn::default();
        variables.insert("CONNECTION", "keep-alive");
        let words = BTreeSet::from(["keep-alive".to_owned()]);
        assert!(Secrets::of([(&variables.with_words(words), "")]).is_empty());
        assert!(!Secrets::of([(&variables, "")]).is_empty());
    }
}
