//! When another worker takes the place of one that leaks: before there is no memory left for it.

use std::time::{Duration, Instant};

/// Between two looks at a worker's memory.
const EVERY: Duration = Duration::from_secs(1);
/// What a worker may grow by where no limit is set, however little memory the machine has left. Bytes.
const ROOM: u64 = 1 << 30;
/// A worker answers for so many times as long as its start took before another takes its place, whatever it holds: one
/// that needs all that memory shall not be started over and over.
const WORTH: u32 = 10;

/// What a worker held and holds, bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Held {
    pub first: u64,
    pub now: u64,
}

/// Follows what one worker holds.
#[derive(Debug)]
pub(crate) struct Growth {
    first: u64,
    limit: Option<u64>,
    /// Before this, it is not looked at.
    next: Instant,
}

impl Growth {
    /// Of a worker that is ready `now`, after a start that took `start`, and holds `first`.
    pub fn of(first: u64, limit: Option<u64>, start: Duration, now: Instant) -> Self {
        Self { first, limit, next: now + start * WORTH }
    }

    /// What it holds, where that is too much; `held` measures it and `free` what the machine has left, and both are asked
    /// once in a while.
    ///
    /// Of a limit a tenth has to be left, or half of what was left at first where that is less: with no more to spare, calls begin to
    /// fail. Without one a worker may hold what it likes (caches of a model grow, too) until it has grown by more than
    /// the machine has left: then the system will soon end it, or something else.
    pub fn too_much(&mut self, now: Instant, held: impl FnOnce() -> u64, free: impl FnOnce() -> u64) -> Option<Held> {
        if now < self.next {
            return None;
        }
        self.next = now + EVERY;
        let held = Held { first: self.first, now: held() };
        let grown = held.now.saturating_sub(self.first);
        let is = match self.limit {
            Some(limit) => {
                grown > 0 && limit.saturating_sub(held.now) < (limit / 10).min(limit.saturating_sub(self.first) / 2)
            }
            None => grown > ROOM && grown > free(),
        };
        is.then_some(held)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GIB: u64 = 1 << 30;

    /// Whether a worker that held `first` and holds `now` is to go.
    fn goes(first: u64, now: u64, limit: Option<u64>, free: u64) -> bool {
        let at = Instant::now();
        Growth::of(first, limit, Duration::ZERO, at).too_much(at, || now, || free).is_some()
    }

    #[test]
    fn a_tenth_of_a_limit_is_to_be_left_or_half_of_what_was() {
        let limit = Some(10 * GIB);
        assert!(!goes(GIB, 9 * GIB, limit, 0) && goes(GIB, 9 * GIB + 1, limit, GIB * 64));
        // One that was near its limit from the start.
        assert!(!goes(GIB * 95 / 10, GIB * 97 / 10, limit, 0) && goes(GIB * 95 / 10, GIB * 98 / 10, limit, 0));
        assert!(!goes(10 * GIB, 10 * GIB, limit, 0));
    }

    #[test]
    fn without_a_limit_it_is_what_the_machine_has_left() {
        assert!(!goes(GIB, 9 * GIB, None, 9 * GIB) && goes(GIB, 9 * GIB, None, 7 * GIB));
        assert!(!goes(GIB, 2 * GIB, None, 0) && !goes(2 * GIB, GIB, None, 0));
    }

    #[test]
    fn a_worker_is_looked_at_once_it_was_worth_its_start_and_then_once_a_second() {
        let ready = Instant::now();
        let mut growth = Growth::of(GIB, Some(2 * GIB), Duration::from_secs(3), ready);
        let mut looked = Vec::new();
        for tenth in 0..350_u64 {
            let at = ready + Duration::from_millis(100 * tenth);
            let held = || {
                looked.push(tenth);
                2 * GIB
            };
            let goes = growth.too_much(at, held, || 0).is_some();
            assert_eq!(goes, tenth >= 300 && tenth % 10 == 0, "{tenth}");
        }
        assert_eq!(looked, [300, 310, 320, 330, 340]);
    }
}
