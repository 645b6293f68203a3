//! Wrong credentials per address.
//!
//! A right key always passes: its 256 random bits cannot be found by trying, so refusing it would
//! only let one broken client lock out everybody behind the same address. What is refused is the
//! flood of wrong ones.

use parking_lot::Mutex;
use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::time::{Duration, Instant};

/// Addresses remembered at most; beyond that, old ones are forgotten first.
const ADDRESSES: usize = 10_000;

pub(crate) struct Throttle {
    allowed: u32,
    window: Duration,
    failures: Mutex<HashMap<IpAddr, Window>>,
}

#[derive(Clone, Copy)]
struct Window {
    began: Instant,
    count: u32,
}

impl Throttle {
    pub(crate) fn new(allowed: u32, window: Duration) -> Self {
        Self { allowed, window, failures: Mutex::new(HashMap::new()) }
    }

    /// Counts one wrong credential; `Some(wait)` when there were too many.
    pub(crate) fn failed(&self, from: IpAddr, now: Instant) -> Option<Duration> {
        let mut failures = self.failures.lock();
        if failures.len() >= ADDRESSES {
            failures.retain(|_, w| now.duration_since(w.began) < self.window);
            if failures.len() >= ADDRESSES {
                failures.clear();
            }
        }
        let entry = failures.entry(network(from)).or_insert(Window { began: now, count: 0 });
        if now.duration_since(entry.began) >= self.window {
            *entry = Window { began: now, count: 0 };
        }
        entry.count = entry.count.saturating_add(1);
        (entry.count > self.allowed).then(|| self.window.saturating_sub(now.duration_since(entry.began)))
    }
}

/// One subscriber has a whole /64 of IPv6.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(a) => IpAddr::V6(Ipv6Addr::from(u128::from(a) & !u128::from(u64::MAX))),
        v4 @ IpAddr::V4(_) => v4,
    }
}
