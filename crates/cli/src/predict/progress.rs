//! One line on the terminal that says how far a run is; in a log, a line now and then.

use mainspring_batch::Progress;
use std::io::{IsTerminal, Write};
use std::sync::Mutex;
use std::time::{Duration, Instant};

const WIDTH: u64 = 30;
/// How often a log is told at most, and how long nothing is told at first.
const EVERY: Duration = Duration::from_secs(10);

/// The line. Where standard error is no terminal, a line of its own every ten seconds at most.
#[derive(Debug)]
pub struct Bar {
    /// When a log was last told; `None` on a terminal.
    told: Option<Mutex<Instant>>,
    /// When the first rows were told.
    began: Mutex<Option<Instant>>,
}

impl Bar {
    /// Nothing shown yet.
    pub fn new() -> Self {
        let log = !std::io::stderr().is_terminal();
        Self { told: log.then(|| Mutex::new(Instant::now())), began: Mutex::new(None) }
    }

    /// What is being done.
    pub fn say(&self, what: &str) {
        self.write(what);
    }

    /// How far it is.
    pub fn show(&self, progress: Progress) {
        match progress {
            Progress::Planning => self.write("reading the input"),
            Progress::Joining => self.write("writing the output"),
            Progress::Rows { done, resumed, of } => {
                let mut began = self.began.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                let since = began.get_or_insert_with(Instant::now).elapsed();
                let told = text(done, resumed, of, since);
                self.write(&if self.told.is_some() { told } else { format!("{} {told}", drawn(done, of)) });
            }
        }
    }

    /// Takes the line away.
    pub fn clear(&self) {
        self.write("");
    }

    fn write(&self, text: &str) {
        let mut out = std::io::stderr().lock();
        let _gone = match &self.told {
            None => write!(out, "\r\x1b[2K{text}").and_then(|()| out.flush()),
            Some(told) => {
                let mut last = told.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                match logged(text, &mut last, Instant::now()) {
                    Some(line) => writeln!(out, "{line}"),
                    None => Ok(()),
                }
            }
        };
    }
}

/// The line for a log, when one is due.
fn logged<'t>(text: &'t str, last: &mut Instant, now: Instant) -> Option<&'t str> {
    if text.is_empty() || now.saturating_duration_since(*last) < EVERY {
        return None;
    }
    *last = now;
    Some(text.trim_start())
}

fn drawn(done: u64, of: u64) -> String {
    let full = (done * WIDTH).checked_div(of).unwrap_or(WIDTH).min(WIDTH);
    (0..WIDTH).map(|at| if at < full { '█' } else { '░' }).collect()
}

fn text(done: u64, resumed: u64, of: u64, since: Duration) -> String {
    let share = done as f64 * 100.0 / of.max(1) as f64;
    let rate = done.saturating_sub(resumed) as f64 / since.as_secs_f64().max(1e-3);
    let left = if rate > 0.0 { duration((of.saturating_sub(done)) as f64 / rate) } else { "?".to_owned() };
    format!("{share:5.1}%  {done} of {of} rows  {rate:.0} rows/s  {left} left")
}

fn duration(seconds: f64) -> String {
    let seconds = seconds.ceil() as u64;
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{} min {} s", seconds / 60, seconds % 60),
        _ => format!("{} h {} min", seconds / 3600, seconds % 3600 / 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_tells_share_rate_and_time_left() {
        let line = text(3_000_000, 1_000_000, 10_000_000, Duration::from_secs(10));
        assert_eq!(drawn(3_000_000, 10_000_000), format!("{}{}", "█".repeat(9), "░".repeat(21)));
        assert_eq!(line, " 30.0%  3000000 of 10000000 rows  200000 rows/s  35 s left");
        assert_eq!((duration(61.0), duration(7300.0)), ("1 min 1 s".to_owned(), "2 h 1 min".to_owned()));
        assert!(text(0, 0, 0, Duration::ZERO).contains("0 of 0 rows"));
    }

    #[test]
    fn a_log_is_told_every_ten_seconds_and_of_a_short_run_nothing() {
        let began = Instant::now();
        let mut last = began;
        let at = |tenths: u64| began + Duration::from_millis(tenths * 100);
        // A run looks ten times a second.
        let told: Vec<u64> =
            (0..=350).filter(|t| logged("  3.0%  3 of 100 rows", &mut last, at(*t)).is_some()).collect();
        assert_eq!(told, [100, 200, 300]);
        assert_eq!(logged("  3.0%  3 of 100 rows", &mut last, at(400)), Some("3.0%  3 of 100 rows"));
        // The line is taken away at the end; a log keeps its own.
        assert_eq!(logged("", &mut last, at(900)), None);
    }
}
