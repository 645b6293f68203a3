//! What may be done to declared things, and which permission it needs.

use mainspring_core::{Action, Effect, Resource};

macro_rules! action {
    ($(#[$doc:meta])* $name:ident, $text:literal, $effect:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone)]
        pub struct $name {
            /// Kind, in lower case: `deployment`.
            pub kind: String,
            /// Name; `*` for all of the kind.
            pub name: String,
        }

        impl Action for $name {
            const NAME: &'static str = $text;
            const EFFECT: Effect = Effect::$effect;

            fn resource(&self) -> Resource {
                Resource { kind: "resource", name: format!("{}/{}", self.kind, self.name) }
            }
        }
    };
}

action!(
    /// Create or change a declared thing.
    Apply, "resource.apply", Write
);
action!(
    /// Look at declared things, their history, or what a document would change.
    Read, "resource.read", Read
);
action!(
    /// Bring an earlier generation back.
    Rollback, "resource.rollback", Write
);
action!(
    /// Delete a declared thing.
    Delete, "resource.delete", Write
);
