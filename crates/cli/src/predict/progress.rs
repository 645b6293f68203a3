//! One line on the terminal that says how far a run is.

use mainspring_batch::Progress;
use std::io::{IsTerminal, Write};
use std::sync::Mutex;
use std::time::{Duration, Instant};

const WIDTH: u64 = 30;

/// The line. Where standard error is no terminal, nothing is shown.
#[derive(Debug)]
pub struct Bar {
    shown: bool,
    /// When the first rows were told.
    began: Mutex<Option<Instant>>,
}

impl Bar {
    /// Nothing shown yet.
    pub fn new() -> Self {
        Self { shown: std::io::stderr().is_terminal(), began: Mutex::new(None) }
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
                self.write(&text(done, resumed, of, since));
            }
        }
    }

    /// Takes the line away.
    pub fn clear(&self) {
        self.write("");
    }

    fn write(&self, text: &str) {
        if self.shown {
            let mut out = std::io::stderr().lock();
            let _gone = write!(out, "\r\x1b[2K{text}").and_then(|()| out.flush());
        }
    }
}

fn text(done: u64, resumed: u64, of: u64, since: Duration) -> String {
    let full = (done * WIDTH).checked_div(of).unwrap_or(WIDTH).min(WIDTH);
    let bar: String = (0..WIDTH).map(|at| if at < full { '█' } else { '░' }).collect();
    let share = done as f64 * 100.0 / of.max(1) as f64;
    let rate = done.saturating_sub(resumed) as f64 / since.as_secs_f64().max(1e-3);
    let left = if rate > 0.0 { duration((of.saturating_sub(done)) as f64 / rate) } else { "?".to_owned() };
    format!("{bar} {share:5.1}%  {done} of {of} rows  {rate:.0} rows/s  {left} left")
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
        assert!(line.starts_with(&format!("{}{}", "█".repeat(9), "░".repeat(21))), "{line}");
        assert!(line.ends_with("30.0%  3000000 of 10000000 rows  200000 rows/s  35 s left"), "{line}");
        assert_eq!((duration(61.0), duration(7300.0)), ("1 min 1 s".to_owned(), "2 h 1 min".to_owned()));
        assert!(text(0, 0, 0, Duration::ZERO).contains("0 of 0 rows"));
    }
}
