//! What may be done about alerts, and which permission it needs.

use mainspring_core::{Action, Effect, Name, Resource};

/// Look at alerts, silences, deliveries and objectives.
#[derive(Debug, Clone, Copy)]
pub struct ReadAlerts;

impl Action for ReadAlerts {
    const NAME: &'static str = "alert.read";
    const EFFECT: Effect = Effect::Read;

    fn resource(&self) -> Resource {
        Resource { kind: "alert", name: "*".to_owned() }
    }
}

/// Begin or end a silence.
#[derive(Debug, Clone)]
pub struct SilenceAlerts {
    /// The silence that ends; `None` begins one.
    pub id: Option<String>,
}

impl Action for SilenceAlerts {
    const NAME: &'static str = "alert.silence";
    const EFFECT: Effect = Effect::Write;

    fn resource(&self) -> Resource {
        Resource { kind: "silence", name: self.id.clone().unwrap_or_else(|| "*".to_owned()) }
    }
}

/// Send a notice that says that somebody tries the channel out.
#[derive(Debug, Clone)]
pub struct TryChannel {
    /// Which one.
    pub channel: Name,
}

impl Action for TryChannel {
    const NAME: &'static str = "alert.try";
    const EFFECT: Effect = Effect::Write;

    fn resource(&self) -> Resource {
        Resource { kind: "alertchannel", name: self.channel.to_string() }
    }
}
