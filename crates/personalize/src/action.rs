//! What may be done to personalizers, and which permission it needs.

use mainspring_core::{Action, Effect, Name, Resource};

macro_rules! action {
    ($(#[$doc:meta])* $type:ident, $name:literal, $effect:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone)]
        pub struct $type {
            /// Which personalizer.
            pub personalizer: Name,
        }

        impl Action for $type {
            const NAME: &'static str = $name;
            const EFFECT: Effect = Effect::$effect;

            fn resource(&self) -> Resource {
                Resource { kind: "personalizer", name: self.personalizer.to_string() }
            }
        }
    };
}

action!(
    /// Ask for an action, show it, and say what it brought.
    Rank,
    "personalizer.rank",
    Infer
);
action!(
    /// Look at what was learnt.
    Inspect,
    "personalizer.inspect",
    Read
);
