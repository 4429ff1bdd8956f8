//! Telling people while a drill or a watch runs: what is worth an alert, what it looks like to each channel, and how it is sent.
//!
//! [`alerts`] makes alerts of events, and [`payload`] texts of alerts; both are pure. [`sender`] sends them on tasks of its own, so that
//! no channel can hold up a drill.

pub mod alerts;
pub mod payload;
pub mod sender;

pub use alerts::{Alert, Alerts, Facts, Occasion};
pub use sender::{Notifier, Sending};
