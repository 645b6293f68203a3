//! Whether answers are kept, and for how long.

use super::{ByteSize, DAY, HumanDuration};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Answers that are given again to the same request, without the model. For models that answer the same request in the same way
/// each time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CacheSpec {
    /// How long after it was computed an answer is given again.
    pub ttl: HumanDuration,
    /// Memory of one version's answers at most: a version that takes over begins with none, and variants share none.
    #[serde(default = "most")]
    pub max_bytes: ByteSize,
}

fn most() -> ByteSize {
    ByteSize(64 << 20)
}

impl CacheSpec {
    /// A field, its value and what it must be, when one is out of its range.
    pub(super) fn wrong(&self) -> Option<(&'static str, String, &'static str)> {
        let (ttl, most) = (self.ttl.0, self.max_bytes);
        if ttl < Duration::from_millis(1) || ttl > 30 * DAY {
            return Some(("cache.ttl", self.ttl.to_string(), "between 1ms and 30 days (720h)"));
        }
        let sized = ((64 << 10)..=(1 << 40)).contains(&most.0);
        (!sized).then(|| ("cache.maxBytes", most.to_string(), "between 64KiB and 1024GiB"))
    }
}
