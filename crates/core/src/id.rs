//! Ids of events and things, made in one place.

use crate::clock::{Clock, SystemClock, Timestamp};
use serde::{Deserialize, Serialize};
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

/// Ids from the operating system's randomness.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemIds;

impl IdGen for SystemIds {
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the one place that makes ids; uuid's context keeps them monotonic"
    )]
    fn event(&self, _at: Timestamp) -> EventId {
        EventId(Uuid::now_v7())
    }

    fn random(&self) -> u64 {
        let at = SystemClock.now();
        let bytes = *self.event(at).as_bytes();
        // The low 62 bits of a UUIDv7 are random, bar the counter; two of them fill a word.
        let other = *self.event(at).as_bytes();
        let low = |b: [u8; 16]| u32::from_be_bytes([b[12], b[13], b[14], b[15]]);
        (u64::from(low(bytes)) << 32) | u64::from(low(other))
    }
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
        let ms = u128::try_from(at.millis()).unwrap_or(0) & ((1 << 48) - 1);
        let r = u128::from(self.random());
        let value = (ms << 80) | (0x7 << 76) | ((r & 0xfff) << 64) | (0b10 << 62) | (r >> 2);
        EventId(Uuid::from_u128(value))
    }

    /// SplitMix64 (Steele, Lea, Flood 2014).
    fn random(&self) -> u64 {
        let mut z = self.0.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed).wrapping_add(0x9e37_79b9_7f4a_7c15);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}
