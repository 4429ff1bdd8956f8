//! What stands between a run and its targets when somebody else has begun to restore them.

use std::sync::{Arc, OnceLock};

/// Open until somebody closes it, and then closed for good. Clones are the same fence.
#[derive(Debug, Clone, Default)]
pub(super) struct Fence(Arc<OnceLock<String>>);

impl Fence {
    /// Lets nothing more be broken. The first reason stays.
    pub(super) fn close(&self, why: &str) {
        self.0.get_or_init(|| why.to_owned());
    }

    /// Why it is closed, if it is.
    pub(super) fn closed(&self) -> Option<&str> {
        self.0.get().map(String::as_str)
    }
}
