//! Configuration: a flag beats the environment, the environment beats `mainspring.toml`, the file
//! beats the default. Every value remembers where it came from.

mod keys;
mod resolve;
mod settings;
#[cfg(test)]
mod tests;

pub use keys::{KEYS, Key, Kind};
pub use resolve::{ConfigError, Layers, Origin, Resolved, parse_duration};
pub use settings::{JournalSync, LogFormat, Settings};
