//! What becomes of signals, and when a channel hears of it. No I/O, no clock.

mod alert;
mod group;
#[cfg(test)]
mod tests;

pub use alert::{Alert, Changed, Phase, look};
pub use group::{Group, Message, Standing, Timing, due};
