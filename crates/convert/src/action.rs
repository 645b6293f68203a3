//! What one can do with conversions.

use mainspring_core::{Action, Effect, Resource};

/// Converts or optimises a registered model.
#[derive(Debug, Clone)]
pub struct Convert {
    /// The model, as it was named.
    pub model: String,
}

impl Action for Convert {
    const NAME: &'static str = "model.convert";
    const EFFECT: Effect = Effect::Write;

    fn resource(&self) -> Resource {
        Resource { kind: "model", name: self.model.clone() }
    }
}

/// Looks at conversions.
#[derive(Debug, Clone)]
pub struct ReadConversion;

impl Action for ReadConversion {
    const NAME: &'static str = "conversion.read";
    const EFFECT: Effect = Effect::Read;

    fn resource(&self) -> Resource {
        Resource { kind: "conversion", name: "*".into() }
    }
}
