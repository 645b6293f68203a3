//! Hard limits: what a candidate's requests did a moment ago, and what happens when that is too much.

use mainspring_core::{ErrorKind, Timestamp};
use mainspring_traffic::HardLimits;
use std::fmt;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Slices of the window: it is exact to one of them. A power of two, so that numbers of slices may wrap.
const SLICES: usize = 16;
/// Of fewer requests the 99th percentile is the slowest one, and one slow request is no reason: they are judged as if the
/// missing ones had been quick. So no limit is broken that would not be once there are as many.
const WHOLE_FOR_P99: u32 = 100;

/// Watches one candidate in this process. Counts without a lock.
#[derive(Debug)]
pub(crate) struct Guard {
    limits: HardLimits,
    slices: [AtomicU64; SLICES],
    trip: OnceLock<Trip>,
}

/// A candidate was beyond a hard limit: it gets no more requests in this process.
#[derive(Debug, Clone, PartialEq)]
pub struct Trip {
    /// When.
    pub at: Timestamp,
    /// How far back the numbers look.
    pub window: Duration,
    /// Requests that ended in the window, without those that were their caller's fault.
    pub requests: u32,
    /// Those that failed.
    pub failed: u32,
    /// Those that took longer than the limit of the 99th percentile.
    pub slow: u32,
    /// Which limit it was.
    pub over: Over,
}

/// A hard limit, and what it is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Over {
    /// The part of the requests that may fail.
    ErrorRate(mainspring_traffic::Share),
    /// The 99th percentile of the time to answer.
    P99(Duration),
}

impl fmt::Display for Trip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { window, requests, failed, slow, .. } = self;
        match self.over {
            Over::ErrorRate(limit) => write!(
                f,
                "{failed} of {requests} requests failed within {window:?}, and the hard limit is {limit}; it gets no more \
                 requests here"
            ),
            Over::P99(limit) => write!(
                f,
                "{slow} of {requests} requests took longer than {limit:?} within {window:?}, and the hard limit is one in \
                 a hundred; it gets no more requests here"
            ),
        }
    }
}

/// How a request ended.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ended {
    pub at: Timestamp,
    /// How it failed, if it did.
    pub failed: Option<ErrorKind>,
    /// What the candidate took; the whole time for one that failed.
    pub took: Duration,
}

/// Counts of one slice: its number, requests, failed and slow ones, 16 bits each.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct Slice {
    number: u16,
    requests: u16,
    failed: u16,
    slow: u16,
}

impl Slice {
    fn unpack(packed: u64) -> Self {
        let [number, requests, failed, slow] = [48, 32, 16, 0].map(|shift| (packed >> shift) as u16);
        Self { number, requests, failed, slow }
    }

    fn pack(self) -> u64 {
        [self.number, self.requests, self.failed, self.slow].iter().fold(0, |all, part| (all << 16) | u64::from(*part))
    }

    fn add(mut self, failed: bool, slow: bool) -> Self {
        if self.requests == u16::MAX {
            // The parts are what counts.
            (self.requests, self.failed, self.slow) = (self.requests / 2, self.failed / 2, self.slow / 2);
        }
        self.requests += 1;
        self.failed += u16::from(failed);
        self.slow += u16::from(slow);
        self
    }
}

impl Guard {
    pub fn new(limits: HardLimits) -> Self {
        Self { limits, slices: Default::default(), trip: OnceLock::new() }
    }

    pub fn limits(&self) -> &HardLimits {
        &self.limits
    }

    /// What it was, once it is beyond a limit.
    pub fn trip(&self) -> Option<&Trip> {
        self.trip.get()
    }

    /// Counts a request. Returns what it was when this one was too much.
    pub fn ended(&self, ended: Ended) -> Option<&Trip> {
        let slow = self.limits.p99.is_some_and(|limit| ended.took > limit);
        let failed = match ended.failed {
            None => false,
            Some(ErrorKind::Internal | ErrorKind::Unavailable | ErrorKind::DeadlineExceeded) => true,
            // Nobody waits that long.
            Some(ErrorKind::Cancelled) if slow => false,
            // The caller's fault, or the deployment's.
            Some(_) => return None,
        };
        if self.trip.get().is_some() {
            return None;
        }
        let number = self.number(ended.at);
        let slice = &self.slices[usize::from(number) % SLICES];
        let counted = |packed| {
            let slice = Slice::unpack(packed);
            let slice = if slice.number == number { slice } else { Slice { number, ..Slice::default() } };
            Some(slice.add(failed, slow).pack())
        };
        let _previous = slice.fetch_update(Ordering::Relaxed, Ordering::Relaxed, counted);
        let trip = self.beyond(number, ended.at)?;
        self.trip.set(trip).ok()?;
        self.trip.get()
    }

    /// The number of the slice of a time. It wraps, long after its slices are gone.
    fn number(&self, at: Timestamp) -> u16 {
        let width = self.limits.window.as_micros() / SLICES as u128;
        let width = i64::try_from(width).unwrap_or(i64::MAX).max(1);
        at.micros().div_euclid(width) as u16
    }

    fn beyond(&self, number: u16, at: Timestamp) -> Option<Trip> {
        let (mut requests, mut failed, mut slow) = (0_u32, 0_u32, 0_u32);
        for slice in &self.slices {
            let slice = Slice::unpack(slice.load(Ordering::Relaxed));
            if usize::from(number.wrapping_sub(slice.number)) < SLICES {
                requests += u32::from(slice.requests);
                failed += u32::from(slice.failed);
                slow += u32::from(slice.slow);
            }
        }
        let enough = self.limits.min_requests;
        let over_rate = |limit: mainspring_traffic::Share| {
            u64::from(failed) * u64::from(mainspring_traffic::BUCKETS) > u64::from(limit.ppm()) * u64::from(requests)
        };
        let over = match (self.limits.error_rate, self.limits.p99) {
            (Some(limit), _) if requests >= enough && over_rate(limit) => Over::ErrorRate(limit),
            (_, Some(limit)) if requests >= enough && slow * 100 > requests.max(WHOLE_FOR_P99) => Over::P99(limit),
            _ => return None,
        };
        Some(Trip { at, window: self.limits.window, requests, failed, slow, over })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mainspring_traffic::Share;

    fn guard(error_rate: Option<f64>, p99: Option<u64>) -> Guard {
        Guard::new(HardLimits {
            error_rate: error_rate.map(|r| Share::from_fraction(r).unwrap()),
            p99: p99.map(Duration::from_millis),
            window: Duration::from_secs(16),
            min_requests: 20,
        })
    }

    fn ended(second: i64, failed: Option<ErrorKind>, ms: u64) -> Ended {
        Ended { at: Timestamp(1_772_323_200_000_000 + second * 1_000_000), failed, took: Duration::from_millis(ms) }
    }

    #[test]
    fn failures_trip_once_there_are_enough_requests() {
        let guard = guard(Some(0.1), None);
        for _ in 0..19 {
            assert_eq!(guard.ended(ended(0, Some(ErrorKind::Internal), 1)), None, "too few to judge");
        }
        let trip = guard.ended(ended(1, None, 1)).unwrap();
        assert_eq!(
            (trip.requests, trip.failed, trip.over),
            (20, 19, Over::ErrorRate(Share::from_fraction(0.1).unwrap()))
        );
        assert_eq!(
            trip.to_string(),
            "19 of 20 requests failed within 16s, and the hard limit is 10%; it gets no more requests here"
        );
        assert_eq!(guard.ended(ended(1, Some(ErrorKind::Internal), 1)), None, "it trips once");
    }

    #[test]
    fn exactly_the_limit_is_within_it() {
        let guard = guard(Some(0.1), None);
        for n in 0..100 {
            assert_eq!(guard.ended(ended(0, (n % 10 == 9).then_some(ErrorKind::Internal), 1)), None, "{n}");
        }
        assert!(guard.ended(ended(0, Some(ErrorKind::DeadlineExceeded), 1)).is_some());
    }

    #[test]
    fn what_is_older_than_the_window_is_forgotten() {
        let guard = guard(Some(0.1), None);
        for _ in 0..19 {
            guard.ended(ended(0, Some(ErrorKind::Internal), 1));
        }
        for _ in 0..50 {
            assert_eq!(guard.ended(ended(17, None, 1)), None);
        }
        // An hour later the same slice is another one.
        for _ in 0..50 {
            assert_eq!(guard.ended(ended(3600, None, 1)), None);
        }
        assert_eq!(guard.trip(), None);
    }

    #[test]
    fn the_callers_own_faults_count_neither_way() {
        let guard = guard(Some(0.1), Some(10));
        for kind in [ErrorKind::InvalidInput, ErrorKind::TooLarge, ErrorKind::Overloaded, ErrorKind::NotFound] {
            for _ in 0..100 {
                assert_eq!(guard.ended(ended(0, Some(kind), 50)), None);
            }
        }
        assert!(guard.slices.iter().all(|s| s.load(Ordering::Relaxed) == 0));
    }

    #[test]
    fn slow_answers_trip_but_no_single_one() {
        let guard = guard(None, Some(10));
        assert_eq!(guard.ended(ended(0, None, 500)), None);
        for _ in 0..150 {
            assert_eq!(guard.ended(ended(0, None, 5)), None);
        }
        // One who went after the limit shows a slow candidate as well.
        let trip = guard.ended(ended(1, Some(ErrorKind::Cancelled), 11)).unwrap();
        assert_eq!((trip.requests, trip.slow, trip.over), (152, 2, Over::P99(Duration::from_millis(10))));
        assert!(trip.to_string().starts_with("2 of 152 requests took longer than 10ms within 16s"));
    }

    #[test]
    fn few_requests_are_judged_as_if_the_missing_ones_had_been_quick() {
        let slow_ones = |slow: usize, most: usize| {
            let guard = guard(None, Some(10));
            (0..most).find(|n| guard.ended(ended(0, None, if *n < slow { 50 } else { 5 })).is_some())
        };
        assert_eq!(slow_ones(1, 400), None, "a single one is never too much");
        assert_eq!(slow_ones(2, 400), Some(19), "two are, once there are as many requests as it takes");
        assert_eq!(slow_ones(30, 400), Some(19));
        // Of more than a hundred it takes more than one in a hundred, as ever.
        let guard = guard(None, Some(10));
        for n in 0..200 {
            assert_eq!(guard.ended(ended(0, None, if n % 100 == 99 { 50 } else { 5 })), None, "{n}");
        }
        assert_eq!(guard.ended(ended(0, None, 50)).map(|trip| (trip.requests, trip.slow)), Some((201, 3)));
    }

    #[test]
    fn more_requests_than_a_slice_holds_keep_their_parts() {
        let guard = guard(Some(0.5), None);
        for n in 0..200_000 {
            assert_eq!(guard.ended(ended(0, (n % 3 == 2).then_some(ErrorKind::Internal), 1)), None);
        }
        let slice = guard.slices.iter().map(|s| Slice::unpack(s.load(Ordering::Relaxed))).max_by_key(|s| s.requests);
        let slice = slice.unwrap();
        assert!((f64::from(slice.failed) / f64::from(slice.requests) - 1.0 / 3.0).abs() < 0.01, "{slice:?}");
    }
}
