//! The kind `Rollout`, to be registered.

use crate::spec::RolloutSpec;
use mainspring_resource::{Invalid, Kind};

/// The kind `Rollout`; whoever registers it says who carries it out.
pub fn kind() -> Kind {
    let schema = serde_json::to_value(schemars::schema_for!(RolloutSpec)).unwrap_or_default();
    Kind::of("Rollout", "a candidate takes a deployment's traffic in steps", schema, |_, spec: &RolloutSpec| {
        spec.validate().map_err(|e| Invalid { path: e.path, reason: e.reason })
    })
}
