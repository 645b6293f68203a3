//! When another worker takes the place of one that leaks: it has come to hold far more than it held when it was ready.

use std::time::{Duration, Instant};

/// Between two looks at a worker's memory.
const EVERY: Duration = Duration::from_secs(1);
/// What a worker may come to hold beside what it held at first where no limit is set, however little that was: caches and
/// allocators of the model's libraries grow for a while, and then they stop. Bytes.
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
    most: u64,
    /// Before this, it is not looked at.
    next: Instant,
}

impl Growth {
    /// Of a worker that is ready `now`, after a start that took `start`, and holds `first`. Of what a `limit` leaves it
    /// three quarters are its own: with less to spare, calls begin to fail.
    pub fn of(first: u64, limit: Option<u64>, start: Duration, now: Instant) -> Self {
        let room = match limit {
            Some(limit) => limit.saturating_sub(first) / 4 * 3,
            None => first.max(ROOM),
        };
        Self { first, most: first + room, next: now + start * WORTH }
    }

    /// What it holds, where that is too much; `held` measures it, and is asked once in a while.
    pub fn too_much(&mut self, now: Instant, held: impl FnOnce() -> u64) -> Option<Held> {
        if now < self.next {
            return None;
        }
        self.next = now + EVERY;
        let held = Held { first: self.first, now: held() };
        (held.now > self.most).then_some(held)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GIB: u64 = 1 << 30;

    #[test]
    fn what_is_too_much_follows_from_the_limit_or_from_the_start() {
        let most = |first, limit| Growth::of(first, limit, Duration::ZERO, Instant::now()).most;
        assert_eq!((most(GIB, Some(5 * GIB)), most(GIB, Some(GIB / 2))), (4 * GIB, GIB));
        assert_eq!((most(GIB / 8, None), most(4 * GIB, None)), (GIB + GIB / 8, 8 * GIB));
    }

    #[test]
    fn a_worker_is_looked_at_once_it_was_worth_its_start_and_then_once_a_second() {
        let ready = Instant::now();
        let mut growth = Growth::of(GIB, Some(2 * GIB), Duration::from_secs(3), ready);
        let mut looked = Vec::new();
        for tenth in 0..350_u64 {
            let at = ready + Duration::from_millis(100 * tenth);
            if growth.too_much(at, || GIB + tenth * (GIB / 400)).is_some_and(|h| h.now > GIB) {
                looked.push(tenth);
            }
        }
        assert_eq!(looked, [310, 320, 330, 340], "300 is not too much yet");
    }
}
