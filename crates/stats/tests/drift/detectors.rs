//! Stream detectors at their defaults on streams that do not drift: how many of these they call changed.

use super::Rng;
use mainspring_stats::stream::{Adwin, Ddm, Kswin, Level, PageHinkley};

/// What the stream holds. All of it is by chance alone, each value by itself.
#[derive(Debug, Clone, Copy)]
pub enum Still {
    /// Normal numbers of mean 0 and this standard deviation.
    Normal(f64),
    /// An error with this probability.
    Errors(f64),
}

/// A detector at its defaults: the changes that it calls in a stream of `length` values.
pub type Calls = fn(Still, usize, u64) -> Vec<usize>;

pub const DETECTORS: [(&str, Calls); 4] =
    [("ADWIN", adwin), ("KSWIN", kswin), ("Page-Hinkley", page_hinkley), ("DDM", ddm)];

pub const STREAMS: [(&str, Still); 4] = [
    ("normal, deviation 1", Still::Normal(1.0)),
    ("normal, deviation 10", Still::Normal(10.0)),
    ("errors, one of 10", Still::Errors(0.1)),
    ("errors, one of 100", Still::Errors(0.01)),
];

fn calls(stream: Still, length: usize, seed: u64, mut push: impl FnMut(f64) -> bool) -> Vec<usize> {
    let mut rng = Rng::new(seed);
    let mut value = || match stream {
        Still::Normal(deviation) => deviation * rng.normal(),
        Still::Errors(rate) => f64::from(u8::from(rng.uniform() < rate)),
    };
    (0..length).filter(|_| push(value())).collect()
}

fn adwin(stream: Still, length: usize, seed: u64) -> Vec<usize> {
    let mut adwin = Adwin::default();
    calls(stream, length, seed, |x| adwin.push(x).is_some())
}

fn kswin(stream: Still, length: usize, seed: u64) -> Vec<usize> {
    let mut kswin = Kswin::default();
    calls(stream, length, seed, |x| kswin.push(x).is_some())
}

fn page_hinkley(stream: Still, length: usize, seed: u64) -> Vec<usize> {
    let mut test = PageHinkley::default();
    calls(stream, length, seed, |x| test.push(x).is_some())
}

/// Nothing of numbers that are neither 0 nor 1.
fn ddm(stream: Still, length: usize, seed: u64) -> Vec<usize> {
    let mut ddm = Ddm::default();
    match stream {
        Still::Normal(_) => Vec::new(),
        Still::Errors(_) => calls(stream, length, seed, |x| matches!(ddm.push(x != 0.0), Level::Drift(_))),
    }
}

/// Of `runs` streams of `length` values the share that is called changed at least once, and the mean number of calls.
pub fn false_alarms(detector: Calls, stream: Still, (runs, length): (u64, usize)) -> (f64, f64) {
    let found: Vec<usize> = (0..runs).map(|seed| detector(stream, length, seed).len()).collect();
    let some = found.iter().filter(|calls| **calls > 0).count();
    (some as f64 / runs as f64, found.iter().sum::<usize>() as f64 / runs as f64)
}
