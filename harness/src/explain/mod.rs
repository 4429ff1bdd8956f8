//! Explanations: a page for every fault, expectation, exit code, finding and trap.

/// A page of explanation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Page {
    /// The topic, as it is asked for.
    pub topic: &'static str,
    /// The text, lines of at most 100 characters.
    pub text: &'static str,
}

/// Finds the page of a topic.
pub fn page(topic: &str) -> Option<Page> {
    let _ = topic;
    None
}

/// All topics in alphabetical order.
pub fn topics() -> impl Iterator<Item = &'static str> {
    std::iter::empty()
}

/// The topic that is spelled most like an unknown one, if any is near.
pub fn nearest(topic: &str) -> Option<&'static str> {
    let _ = topic;
    None
}
