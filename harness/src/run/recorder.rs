//! Everything that happens during a run passes through here: onto disk, to whoever looks on, and into the runner's own view.

use std::{
    collections::BTreeMap,
    panic::{AssertUnwindSafe, catch_unwind},
    time::Duration,
};

use super::{Clock, abort::Aborts, fence::Fence, home::View, step};
use crate::{
    episode::Watch,
    plan::Plan,
    recovery::Pulse,
    source::Secrets,
    timeline::{Entry, Event, ProbeKind, file::Writer, io},
};

/// Records events as they happen.
pub(super) struct Recorder<'a> {
    clock: Clock,
    /// What is neither written nor told to anybody.
    secrets: Secrets,
    writer: Writer,
    on_event: &'a mut (dyn FnMut(&Entry) + Send),
    watches: BTreeMap<String, Watch>,
    view: View,
    aborts: Aborts,
    broken: Option<String>,
    /// What somebody who looks on said when panicking; nobody who looks on is told anything after that.
    panicked: Option<String>,
    fence: Fence,
    pulse: Pulse,
}

impl std::fmt::Debug for Recorder<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Recorder")
            .field("broken", &self.broken)
            .finish_non_exhaustive()
    }
}

impl<'a> Recorder<'a> {
    pub(super) fn new(
        plan: &Plan,
        clock: Clock,
        writer: Writer,
        aborts: Aborts,
        on_event: &'a mut (dyn FnMut(&Entry) + Send),
    ) -> Self {
        let watches = plan
            .probes
            .iter()
            .filter(|probe| matches!(probe.facts.kind, ProbeKind::Http { .. }))
            .map(|probe| {
                (
                    probe.facts.name.clone(),
                    Watch::new(&probe.facts, plan.speed),
                )
            })
            .collect();
        Self {
            clock,
            secrets: plan.secrets(),
            writer,
            on_event,
            watches,
            view: View::default(),
            aborts,
            broken: None,
            panicked: None,
            fence: Fence::default(),
            pulse: Pulse::default(),
        }
    }

    /// Records an event. A disk that cannot take it, or a panic of somebody who looks on, is remembered and neither returned nor
    /// passed on: by then something may be broken that has to be reverted first.
    pub(super) fn record(&mut self, event: Event) {
        self.view.see(&event);
        let entry = Entry {
            at: self.clock.now(),
            event,
        }
        .without(&self.secrets);
        if self.broken.is_none()
            && let Err(error) = self.writer.append(&entry)
        {
            self.broken = Some(describe(&error));
        }
        if self.panicked.is_none()
            && let Err(panic) = catch_unwind(AssertUnwindSafe(|| self.look_on(&entry)))
        {
            self.panicked = Some(format!(
                "a mistake in the harness itself: {}",
                step::words(panic.as_ref())
            ));
        }
    }

    fn look_on(&mut self, entry: &Entry) {
        if let Event::Sample(sample) = &entry.event
            && let Some(watch) = self.watches.get_mut(&sample.probe)
        {
            watch.push(sample);
        }
        self.aborts.see(entry, &self.watches);
        (self.on_event)(entry);
    }

    /// Why what is recorded is worth nothing any more, if that is so.
    pub(super) fn broken(&self) -> Option<&str> {
        let broken = self.broken.as_deref().or(self.panicked.as_deref());
        broken.or_else(|| self.fence.closed())
    }

    /// What shows that the run goes on.
    pub(super) fn pulse(&self) -> &Pulse {
        &self.pulse
    }

    /// What stands between the run and its targets.
    pub(super) fn fence(&self) -> &Fence {
        &self.fence
    }

    /// What name servers answer and observers say, as last seen.
    pub(super) fn view(&self) -> &View {
        &self.view
    }

    /// What a probe has seen.
    pub(super) fn watch(&self, probe: &str) -> Option<&Watch> {
        self.watches.get(probe)
    }

    /// Tells every watch that the steady state is over.
    pub(super) fn steady_until(&mut self, at: Duration) {
        for watch in self.watches.values_mut() {
            watch.steady_until(at);
        }
    }
}

fn describe(error: &io::Error) -> String {
    let source = std::error::Error::source(error)
        .map(|source| format!(": {source}"))
        .unwrap_or_default();
    format!("{error}{source}")
}
