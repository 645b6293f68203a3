//! The kind `AlertChannel`, to be registered.

use crate::render::RenderError;
use crate::spec::ChannelSpec;
use mainspring_core::Tenant;
use mainspring_resource::{Invalid, Kind};

/// The kind `AlertChannel`; whoever registers it says who carries it out.
pub fn kind() -> Kind {
    let schema = serde_json::to_value(schemars::schema_for!(ChannelSpec)).unwrap_or_default();
    Kind::of("AlertChannel", "who is told of alerts, and how", schema, |_, spec: &ChannelSpec| {
        spec.validate().map_err(|e| Invalid { path: e.path, reason: e.reason })
    })
    .allowed_by(|tenant, _, spec| {
        // The vault refuses it again when it is sent: a channel may have been declared before.
        let foreign = spec.get("sns").is_some_and(|sns| !sns.is_null()) && *tenant != Tenant::default();
        let reason = || RenderError::ForeignIdentity(tenant.clone()).to_string();
        if foreign { Err(Invalid { path: "sns".into(), reason: reason() }) } else { Ok(()) }
    })
}
