//! The kinds, to be registered.

use crate::budget::BudgetSpec;
use crate::prices::PriceSpec;
use crate::value::ValueSpec;
use mainspring_resource::{Invalid, Kind};

/// The kind `PriceTable`; whoever registers it says who carries it out.
pub fn price_table() -> Kind {
    let schema = serde_json::to_value(schemars::schema_for!(PriceSpec)).unwrap_or_default();
    Kind::of("PriceTable", "what machines, storage and requests cost, from when on", schema, |_, spec: &PriceSpec| {
        spec.validate().map_err(|(path, reason)| Invalid { path, reason })
    })
}

/// The kind `Budget`; whoever registers it says who carries it out.
pub fn budget() -> Kind {
    let schema = serde_json::to_value(schemars::schema_for!(BudgetSpec)).unwrap_or_default();
    Kind::of("Budget", "what may be spent in a day or a month", schema, |_, spec: &BudgetSpec| {
        spec.validate().map_err(|(path, reason)| Invalid { path, reason })
    })
}

/// The kind `OutcomeValue`; whoever registers it says who carries it out.
pub fn outcome_value() -> Kind {
    let schema = serde_json::to_value(schemars::schema_for!(ValueSpec)).unwrap_or_default();
    Kind::of("OutcomeValue", "what the outcomes of predictions are worth", schema, |_, spec: &ValueSpec| {
        spec.validate().map_err(|(path, reason)| Invalid { path, reason })
    })
}
