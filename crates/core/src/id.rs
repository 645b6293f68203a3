//! Ids of events and things, made in one place.

use crate::clock::Timestamp;
use rand::Rng;
use serde::{Deserialize, Serialize};
use std::cell::Cell;
use std::fmt;
use std::str::FromStr;
use std::sync::atomic::{AtomicU64, Ordering};
use uuid::Uuid;

/// The id of one event: a UUIDv7 (RFC 9562 §5.7), so ids sort by time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct EventId(pub Uuid);

impl EventId {
    /// The sixteen bytes of the id, big endian.
    pub fn as_bytes(&self) -> &[u8; 16] {
        self.0.as_bytes()
    }
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.hyphenated().fmt(f)
    }
}

impl FromStr for EventId {
    type Err = uuid::Error;
    fn from_str(s: &str) -> Result<Self, Self::Err> {
        Uuid::parse_str(s).map(Self)
    }
}

/// Where ids and randomness come from.
pub trait IdGen: Send + Sync + fmt::Debug + 'static {
    /// A new event id for the instant `at`.
    fn event(&self, at: Timestamp) -> EventId;

    /// 64 random bits.
    fn random(&self) -> u64;

    /// 32 lower-case hexadecimal digits, the shape of MLflow's run ids.
    fn hex32(&self) -> String {
        format!("{:016x}{:016x}", self.random(), self.random())
    }
}

/// Ids for production. Each thread draws from a generator of its own (ChaCha12, seeded by the operating
/// system and again every 64 KiB), so that making an id takes neither a lock nor a system call.
///
/// Ids sort by the microsecond of their event; those that one thread makes in the same one, in the order
/// in which it made them.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemIds;

thread_local! {
    /// The stamp of the thread's last id.
    static LAST: Cell<u64> = const { Cell::new(0) };
}

impl IdGen for SystemIds {
    fn event(&self, at: Timestamp) -> EventId {
        let now = stamp(at);
        let stamp = LAST.with(|last| {
            // Further behind, it is another clock that was asked.
            let after = last.get() + 1;
            let next = if after > now && after - now < MILLISECOND { after } else { now };
            last.set(next);
            next
        });
        EventId(v7(stamp, rand::rng().random()))
    }

    fn random(&self) -> u64 {
        rand::rng().random()
    }
}

/// A millisecond in the unit of [`stamp`].
const MILLISECOND: u64 = 4096;

/// Time as a UUIDv7 tells it, in units of 1/4096 ms: twelve bits after the millisecond hold the fraction of
/// it (RFC 9562 §6.2, method 3).
fn stamp(at: Timestamp) -> u64 {
    let ms = u64::try_from(at.millis()).unwrap_or(0) & ((1 << 48) - 1);
    ms * MILLISECOND + at.micros().rem_euclid(1000).unsigned_abs() * MILLISECOND / 1000
}

fn v7(stamp: u64, random: u64) -> Uuid {
    let (ms, fraction) = (stamp / MILLISECOND, stamp % MILLISECOND);
    Uuid::from_u64_pair((ms << 16) | (0x7 << 12) | fraction, (0b10 << 62) | (random >> 2))
}

/// Ids that are the same in every run of a test.
#[derive(Debug, Default)]
pub struct SeededIds(AtomicU64);

impl SeededIds {
    /// A generator whose whole sequence follows from `seed`.
    pub fn new(seed: u64) -> Self {
        Self(AtomicU64::new(seed))
    }
}

impl IdGen for SeededIds {
    fn event(&self, at: Timestamp) -> EventId {
        EventId(v7(stamp(at), self.random()))
    }

    /// SplitMix64 (Steele, Lea, Flood 2014).
    fn random(&self) -> u64 {
        let mut z = self.0.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed).wrapping_add(0x9e37_79b9_7f4a_7c15);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}
