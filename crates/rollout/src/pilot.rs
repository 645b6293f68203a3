//! One rollout in memory: its ledger, its state, and the events that wait for their look.

use crate::event::Event;
use crate::ledger::{Ledger, Limits, Plan, Report};
use crate::machine::{Facts, Input, Machine, RowFailed, State, Transition};
use crate::ports::Earlier;
use crate::spec::RolloutSpec;
use mainspring_core::Timestamp;
use std::sync::Arc;

/// One rollout in memory. The same in the control loop, in a simulation and in a replay; it knows no clock and writes
/// nothing.
#[derive(Debug)]
pub struct Pilot {
    name: String,
    spec: Arc<RolloutSpec>,
    state: State,
    ledger: Ledger,
    waiting: Vec<Event>,
    sorted: bool,
}

impl Pilot {
    /// A rollout as it stands, without evidence: the events since its beginning are to be pushed.
    pub fn new(name: &str, spec: Arc<RolloutSpec>, state: State, limits: Limits) -> Self {
        let mut ledger = Ledger::new(Plan::of(&spec), limits);
        ledger.strata(&state.strata);
        Self { name: name.to_owned(), spec, state, ledger, waiting: Vec::new(), sorted: true }
    }

    /// What units did before the rollout; to be told before any event is.
    pub fn earlier(&mut self, earlier: &[Earlier]) {
        self.ledger.earlier(earlier);
    }

    /// The rollout's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The state as it was last adopted.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// What was declared.
    pub fn spec(&self) -> &Arc<RolloutSpec> {
        &self.spec
    }

    /// The machine.
    pub fn machine(&self) -> Machine<'_> {
        Machine { name: &self.name, spec: &self.spec }
    }

    /// What a transition, of this process or of another, has made of the state.
    pub fn adopt(&mut self, state: State) {
        self.ledger.strata(&state.strata);
        self.state = state;
    }

    /// Events, in any order; one that comes twice while it waits counts once.
    pub fn push(&mut self, events: impl IntoIterator<Item = Event>) {
        self.waiting.extend(events);
        self.sorted = false;
    }

    /// Folds and looks up to `until`, before which nothing is missing.
    pub fn advance(&mut self, until: Timestamp) {
        self.advance_seeing(until, &mut |_| {});
    }

    /// The same; `seen` is told of each look.
    pub(crate) fn advance_seeing(&mut self, until: Timestamp, seen: &mut dyn FnMut(&mut Ledger)) {
        // Nothing is touched before it is time to look: late in a rollout that is every ten minutes.
        let due = |ledger: &Ledger| ledger.next_look().is_some_and(|look| look <= until);
        if !due(&self.ledger) {
            return;
        }
        self.sort();
        let mut folded = 0;
        while let Some(look) = self.ledger.next_look().filter(|look| *look <= until) {
            let more = self.waiting[folded..].iter().take_while(|e| e.at() <= look).count();
            self.waiting[folded..folded + more].iter().for_each(|e| self.ledger.fold(e));
            folded += more;
            self.ledger.look(look);
            seen(&mut self.ledger);
        }
        self.waiting.drain(..folded);
    }

    /// Events that wait for their look.
    #[cfg(test)]
    pub(crate) fn waits(&self) -> usize {
        self.waiting.len()
    }

    fn sort(&mut self) {
        if self.sorted {
            return;
        }
        self.waiting.sort_by(|a, b| a.order().cmp(&b.order()));
        self.waiting.dedup_by(|a, b| a.order() == b.order());
        // What happened before the rollout began is none of its business, not even as a label of unknown answers: a
        // leader that follows from the beginning does not see it, and one that reads files does.
        let begin = self.state.strata.first().map_or(Timestamp(i64::MIN), |s| s.start);
        let before = self.waiting.partition_point(|e| e.at() < begin);
        self.waiting.drain(..before);
        self.sorted = true;
    }

    /// What is known at the last look.
    pub fn report(&mut self) -> Arc<Report> {
        self.ledger.report()
    }

    /// Whether there was a look since the report was last asked for.
    pub fn news(&self) -> bool {
        self.ledger.news()
    }

    /// What is to be done now.
    ///
    /// # Errors
    /// As [`Machine::step`].
    pub fn ask(&mut self, now: Timestamp, facts: &Facts) -> Result<Option<Transition>, RowFailed> {
        let report = self.ledger.report();
        let machine = Machine { name: &self.name, spec: &self.spec };
        machine.step(&self.state, Input { now, report: &report, facts })
    }
}
