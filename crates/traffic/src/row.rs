//! What is decided about a deployment's traffic, as it is stored and read by every replica.

use crate::policy::{Policy, PolicyError};
use crate::route::{Choice, Route};
use crate::share::Share;
use crate::unit::UnitFrom;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// The routing row of a deployment: one value, replaced as a whole.
///
/// Written as JSON into one database row. Reading it checks it; who builds one by hand calls
/// [`Row::check`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Stored")]
pub struct Row {
    /// Name of the rollout that decided it.
    pub rollout: String,
    /// Where a request carries its unit.
    pub unit: UnitFrom,
    /// In the order of [`Route::variants`]; 0 is stable.
    pub variants: Vec<RowVariant>,
    /// Split, salt, holdout, layer, generation.
    pub route: Route,
    /// Weights that depend on what a request carries, if they do: they then hold in the place of those of the route, which are
    /// how the traffic as a whole is shared.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policy: Option<Policy>,
    /// The variant that answers in the shadow of the others, if one does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shadow: Option<Shadow>,
    /// What takes a candidate out at once, without statistics.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limits: Option<HardLimits>,
}

/// A variant, and the model that answers for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RowVariant {
    /// Its name, as in the route.
    pub name: String,
    /// The model's URI, pinned to a version (`models:/churn/7`): an alias could move beneath the
    /// statistics.
    pub model: String,
}

/// A variant that is asked what others answered, and whose answers nobody gets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Shadow {
    /// Index into the variants; never 0.
    pub variant: u16,
    /// The part of the answered requests that it is asked, too.
    pub share: Share,
    /// How many it works on at a time; what comes beyond that is dropped and counted.
    pub max_in_flight: u32,
}

/// Limits that a replica watches by itself: a candidate beyond one gets no more requests from it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HardLimits {
    /// The highest part of a candidate's requests that may fail.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error_rate: Option<Share>,
    /// The highest 99th percentile of the time that a candidate takes to answer.
    #[serde(rename = "p99_us", default, skip_serializing_if = "Option::is_none", with = "optional_micros")]
    pub p99: Option<Duration>,
    /// How far back both look.
    #[serde(rename = "window_us", with = "micros")]
    pub window: Duration,
    /// How many requests of the window it takes to judge.
    pub min_requests: u32,
}

/// A row contradicts itself.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum RowError {
    /// The variants and the route name others.
    #[error("the row's variants are {row} and its route's are {route}; they must be the same, in one order")]
    Variants {
        /// Names of the row.
        row: String,
        /// Names of the route.
        route: String,
    },
    /// A model that may be another one tomorrow.
    #[error("variant {name:?} has the model {model:?}; name a version, such as models:/churn/7")]
    NotPinned {
        /// Name of the variant.
        name: String,
        /// Its model.
        model: String,
    },
    /// A shadow that is stable or no variant.
    #[error("the shadow is variant {variant}, and the candidates are 1 to {last}")]
    Shadow {
        /// What the row says.
        variant: u16,
        /// The last there is.
        last: usize,
    },
    /// A policy that is none for these variants.
    #[error(transparent)]
    Policy(#[from] PolicyError),
    /// A limit that can never trip, or always does.
    #[error("hard limits need {0}")]
    Limits(&'static str),
}

/// A row came that is not newer than the one of its rollout that is in place.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the row of generation {offered} comes after generation {have} and differs from it; it was not taken")]
pub struct StaleRow {
    /// Its generation.
    pub offered: u64,
    /// The generation in place.
    pub have: u64,
}

impl Row {
    /// Which write of the row this is.
    pub fn generation(&self) -> u64 {
        self.route.generation()
    }

    /// The variant of a unit, in the context of its request where a policy decides.
    #[inline]
    pub fn choose(&self, unit: &[u8], context: Option<u16>) -> Choice {
        let split = self.policy.as_ref().zip(context).and_then(|(policy, context)| policy.split(context));
        split.map_or_else(|| self.route.choose(unit), |split| self.route.choose_by(unit, split))
    }

    /// Whether it takes the place of `have`: a row that was read again changes nothing.
    ///
    /// # Errors
    /// [`StaleRow`] when it is the same rollout's and not newer. One of the same generation that differs was given out by two
    /// writers.
    pub fn replaces(&self, have: &Self) -> Result<bool, StaleRow> {
        if self == have {
            return Ok(false);
        }
        if self.rollout == have.rollout && self.generation() <= have.generation() {
            return Err(StaleRow { offered: self.generation(), have: have.generation() });
        }
        Ok(true)
    }

    /// Finds contradictions.
    ///
    /// # Errors
    /// [`RowError`], of the first one.
    pub fn check(&self) -> Result<(), RowError> {
        let same = self.variants.iter().map(|v| &v.name).eq(self.route.variants());
        if !same {
            let names: Vec<&str> = self.variants.iter().map(|v| v.name.as_str()).collect();
            let route = self.route.variants().join(", ");
            return Err(RowError::Variants { row: names.join(", "), route });
        }
        if let Some(v) = self.variants.iter().find(|v| !pinned(&v.model)) {
            return Err(RowError::NotPinned { name: v.name.clone(), model: v.model.clone() });
        }
        if let Some(shadow) = &self.shadow
            && (shadow.variant == 0 || usize::from(shadow.variant) >= self.variants.len())
        {
            return Err(RowError::Shadow { variant: shadow.variant, last: self.variants.len() - 1 });
        }
        if let Some(policy) = &self.policy {
            policy.check(self.variants.len())?;
        }
        self.limits.as_ref().map_or(Ok(()), HardLimits::check)
    }
}

impl HardLimits {
    fn check(&self) -> Result<(), RowError> {
        if self.error_rate.is_none() && self.p99.is_none() {
            return Err(RowError::Limits("error_rate or p99"));
        }
        if self.window.is_zero() {
            return Err(RowError::Limits("a window"));
        }
        if self.min_requests == 0 {
            return Err(RowError::Limits("min_requests of at least 1"));
        }
        Ok(())
    }
}

/// Whether a URI means the same model forever. What is no registry URI (a run's artifact, a file) does.
fn pinned(model: &str) -> bool {
    match model.strip_prefix("models:/") {
        Some(rest) => {
            !rest.contains('@') && rest.rsplit('/').next().is_some_and(|v| !v.is_empty() && is_version(rest, v))
        }
        None => !model.is_empty(),
    }
}

/// `NAME/7`; or the id of a logged model, `m-…`, which has no versions.
fn is_version(rest: &str, last: &str) -> bool {
    let logged = rest == last && last.starts_with("m-");
    logged || (rest != last && last.bytes().all(|b| b.is_ascii_digit()))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    rollout: String,
    unit: UnitFrom,
    variants: Vec<RowVariant>,
    route: Route,
    #[serde(default)]
    policy: Option<Policy>,
    #[serde(default)]
    shadow: Option<Shadow>,
    #[serde(default)]
    limits: Option<HardLimits>,
}

impl TryFrom<Stored> for Row {
    type Error = RowError;

    fn try_from(stored: Stored) -> Result<Self, RowError> {
        let Stored { rollout, unit, variants, route, policy, shadow, limits } = stored;
        let row = Self { rollout, unit, variants, route, policy, shadow, limits };
        row.check()?;
        Ok(row)
    }
}

mod micros {
    use serde::{Deserialize, Deserializer, Serializer};
    use std::time::Duration;

    pub(super) fn serialize<S: Serializer>(time: &Duration, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_u64(u64::try_from(time.as_micros()).unwrap_or(u64::MAX))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
        u64::deserialize(from).map(Duration::from_micros)
    }
}

mod optional_micros {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};
    use std::time::Duration;

    #[expect(clippy::ref_option, reason = "the form that serde calls")]
    pub(super) fn serialize<S: Serializer>(time: &Option<Duration>, to: S) -> Result<S::Ok, S::Error> {
        time.map(|t| u64::try_from(t.as_micros()).unwrap_or(u64::MAX)).serialize(to)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Duration>, D::Error> {
        Ok(Option::<u64>::deserialize(from)?.map(Duration::from_micros))
    }
}

#[cfg(test)]
mod tests;
