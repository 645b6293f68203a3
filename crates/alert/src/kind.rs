//! The kind `AlertChannel`, to be registered.

use crate::spec::ChannelSpec;
use mainspring_resource::{Invalid, Kind};

/// The kind `AlertChannel`; whoever registers it says who carries it out.
pub fn kind() -> Kind {
    let schema = serde_json::to_value(schemars::schema_for!(ChannelSpec)).unwrap_or_default();
    Kind::of("AlertChannel", "who is told of alerts, and how", schema, |_, spec: &ChannelSpec| {
        spec.validate().map_err(|e| Invalid { path: e.path, reason: e.reason })
    })
}
