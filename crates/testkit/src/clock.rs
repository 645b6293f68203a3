//! A context whose time stands still and whose ids repeat.

use mainspring_core::{Ctx, ManualClock, SeededIds, Tasks, Timestamp};
use std::sync::Arc;

/// 2026-01-01T00:00:00Z, where the fake clock starts, in milliseconds.
pub const START_MILLIS: i64 = 1_767_225_600_000;

/// A context with a clock that moves only when told to, ids that follow from `seed`, and the clock.
pub fn fake_ctx(seed: u64) -> (Ctx, ManualClock) {
    let clock = ManualClock::at(Timestamp::from_millis(START_MILLIS));
    let ctx = Ctx { clock: Arc::new(clock.clone()), ids: Arc::new(SeededIds::new(seed)), tasks: Tasks::new() };
    (ctx, clock)
}
