//! The spec of the kind `Personalizer`.

use mainspring_resource::HumanDuration;
use mainspring_stats::contextual::InverseGap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// A choice among actions that learns from rewards which action fits which context.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
#[schemars(title = "Personalizer")]
pub struct PersonalizerSpec {
    /// How much is tried out.
    pub exploration: ExplorationSpec,
    /// What an action brings, and when that is known.
    pub reward: RewardSpec,
    /// What is learnt.
    pub model: ModelSpec,
}

/// How much is tried out: an action thought worse by a gap gets 1 ÷ (K + γ·gap) of the requests, γ = gamma·nᵍʳᵒʷᵗʰ
/// after n rewards.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct ExplorationSpec {
    /// Larger tries less. Made for rewards of 0 to 1.
    pub gamma: f64,
    /// How fast trying out fades; 0 never.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub growth: f64,
    /// The least that every action gets, 0 to 1; never over 1 ÷ K. Above 0, every other policy can be valued from the
    /// log.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub floor: f64,
}

impl Default for ExplorationSpec {
    fn default() -> Self {
        let InverseGap { gamma, growth, floor } = InverseGap::default();
        Self { gamma, growth, floor }
    }
}

impl ExplorationSpec {
    pub(crate) fn policy(&self) -> InverseGap {
        InverseGap { gamma: self.gamma, growth: self.growth, floor: self.floor }
    }
}

/// What an action brings, and when that is known.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct RewardSpec {
    /// How long a reward is waited for.
    #[schemars(with = "String")]
    pub wait: HumanDuration,
    /// What counts when none came.
    pub default: f64,
    /// What counts when several came.
    pub repeated: Repeated,
}

impl Default for RewardSpec {
    fn default() -> Self {
        Self { wait: HumanDuration(Duration::from_secs(600)), default: 0.0, repeated: Repeated::Earliest }
    }
}

/// What counts when several rewards came for one choice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Repeated {
    /// The first; it is learnt from at once.
    #[default]
    Earliest,
    /// Their sum, when the wait is over.
    Sum,
}

/// What is learnt: a linear model of the reward over hashed features.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct ModelSpec {
    /// 2^bits weights, 12 bytes each. Changing it begins to learn anew.
    #[schemars(range(min = 8, max = 22))]
    pub bits: u8,
}

impl Default for ModelSpec {
    fn default() -> Self {
        Self { bits: 16 }
    }
}

/// A value outside its range.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{path} is {got}; it must be {expected}")]
pub struct SpecError {
    /// The value's path.
    pub path: &'static str,
    /// What it is.
    pub got: String,
    /// What it may be.
    pub expected: &'static str,
}

impl PersonalizerSpec {
    /// Checks what types cannot.
    ///
    /// # Errors
    /// [`SpecError`], of the first value at fault.
    pub fn validate(&self) -> Result<(), SpecError> {
        let Self { exploration, reward, model } = self;
        let number = |path, got: f64, expected, fits: bool| {
            if fits { Ok(()) } else { Err(SpecError { path, got: got.to_string(), expected }) }
        };
        let unit = |v: f64| (0.0..=1.0).contains(&v);
        let gamma = exploration.gamma;
        number("exploration.gamma", gamma, "a positive number", gamma.is_finite() && gamma > 0.0)?;
        number("exploration.growth", exploration.growth, "from 0 to 1", unit(exploration.growth))?;
        number("exploration.floor", exploration.floor, "from 0 to 1", unit(exploration.floor))?;
        number("reward.default", reward.default, "a finite number", reward.default.is_finite())?;
        let wait = reward.wait.0;
        let fits = !wait.is_zero() && wait <= Duration::from_secs(7 * 86_400);
        number("reward.wait", wait.as_secs_f64(), "over 0 and at most 168h", fits)?;
        let fits = (8..=22).contains(&model.bits);
        number("model.bits", f64::from(model.bits), "from 8 to 22", fits)
    }
}
