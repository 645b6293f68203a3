//! The routing row of one rollout, and the choice it makes for a unit.

use crate::hash::{Purpose, Salt, bucket};
use crate::share::Share;
use crate::split::{Split, SplitError};
use serde::{Deserialize, Serialize};

/// A variant and its part of the traffic that reaches the rollout.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Variant {
    /// Its name, unique in the rollout.
    pub name: String,
    /// Its weight.
    pub weight: Share,
}

/// Units that no rollout may touch: they get what is stable, for as long as the holdout stands, and
/// show what all rollouts together have changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holdout {
    /// Which units: holdouts with the same salt hold the same ones out, the smaller within the larger.
    pub salt: String,
    /// How many of them.
    pub share: Share,
}

/// Rollouts that may not overlap share a layer: each has a place, and a unit has at most one.
///
/// Owner 0 of the split is nobody; the places are 1, 2, …
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Layer {
    /// Which units have which place.
    pub salt: String,
    /// How large the places are. Change it with [`Split::reweighted`], so that units keep theirs.
    pub split: Split,
}

/// The place of a rollout in its layer.
///
/// Rows of one layer exclude each other when they carry the same [`Layer`]: whoever changes a layer
/// writes all of its rows in one transaction.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LayerPlace {
    /// The layer.
    pub layer: Layer,
    /// The owner number of the place in the layer's split, from 1.
    pub place: u16,
}

/// What a rollout declares when it starts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RouteSpec {
    /// Decides which units see which variant. A salt of its own for each rollout, or the same units
    /// are the first to try every candidate.
    pub salt: String,
    /// The stable variant first, then the candidates.
    pub variants: Vec<Variant>,
    /// Units that stay out, if any.
    pub holdout: Option<Holdout>,
    /// The place in a layer, if it is in one.
    pub layer: Option<LayerPlace>,
}

/// The routing row: everything that an assignment depends on, and nothing else.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Stored", into = "Stored")]
pub struct Route {
    stored: Stored,
    split_salt: Salt,
    holdout_salt: Salt,
    layer_salt: Salt,
}

/// The row as it is written down; the salts are hashed when it is read.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    generation: u64,
    salt: String,
    variants: Vec<String>,
    split: Split,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    holdout: Option<Holdout>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    layer: Option<LayerPlace>,
}

/// A declaration or a stored row makes no route, or a caller forced what is not there.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RouteError {
    /// The weights do not make a split.
    #[error("the variants {variants} cannot share the traffic: {source}")]
    Weights {
        /// Their names.
        variants: String,
        /// Why.
        source: SplitError,
    },
    /// Two variants of one name.
    #[error("two variants are called {0:?}; a name must say which one is meant")]
    Twice(String),
    /// Names and spans of a stored row do not belong together.
    #[error("the stored row names {names} variants and splits the traffic among {owners}")]
    Stored {
        /// Names.
        names: usize,
        /// Owners in the split.
        owners: usize,
    },
    /// A place that the layer does not have.
    #[error("place {place} is not in its layer, which has places 1 to {last}")]
    Place {
        /// What was declared.
        place: u16,
        /// The last there is.
        last: usize,
    },
    /// A forced variant that does not exist.
    #[error("there is no variant {asked:?}; there are: {have}")]
    Unknown {
        /// What the caller asked for.
        asked: String,
        /// The names there are.
        have: String,
    },
}

/// Why a unit gets its variant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Why {
    /// By its bucket: the only choices that statistics may count.
    Assigned,
    /// The caller named the variant.
    Forced,
    /// The unit is held out of all rollouts.
    HeldOut,
    /// The unit belongs to another rollout of the layer, or to none.
    OtherPlace,
    /// The variant it was assigned to cannot answer now.
    NotReady,
}

/// Which variant, why, and how likely that was.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Choice {
    /// Index into the variants of the route; 0 is stable.
    pub variant: u16,
    /// Why.
    pub why: Why,
    /// For [`Why::Assigned`]: the probability, over salts, that a unit which the rollout reaches is in
    /// this variant under this row; exactly the variant's weight. Else 1: there was no chance in it.
    ///
    /// Holdout and layer have salts of their own, so it is also the probability given that the unit
    /// got past both.
    pub propensity: f64,
}

impl Choice {
    /// Whether the choice was random, so that the answer belongs in the rollout's statistics.
    pub fn counts(self) -> bool {
        self.why == Why::Assigned
    }

    fn certain(variant: u16, why: Why) -> Self {
        Self { variant, why, propensity: 1.0 }
    }
}

impl Route {
    /// The first row of a rollout, generation 1.
    pub fn new(spec: RouteSpec) -> Result<Self, RouteError> {
        let weights: Vec<Share> = spec.variants.iter().map(|v| v.weight).collect();
        let variants: Vec<String> = spec.variants.into_iter().map(|v| v.name).collect();
        let split = Split::new(&weights).map_err(|source| weights_error(&variants, source))?;
        let stored =
            Stored { generation: 1, salt: spec.salt, variants, split, holdout: spec.holdout, layer: spec.layer };
        stored.try_into()
    }

    /// The same row as the one after `generation`: a deployment's rows count on when the next rollout begins, so that none
    /// of the rollout before can come after it.
    pub fn after(mut self, generation: u64) -> Self {
        self.stored.generation = generation + 1;
        self
    }

    /// The next row, with other weights (stable first): the fewest units move, and none whose variant
    /// does not lose weight.
    pub fn reweighted(&self, weights: &[Share]) -> Result<Self, RouteError> {
        let split = self.stored.split.reweighted(weights);
        let split = split.map_err(|source| weights_error(&self.stored.variants, source))?;
        let mut next = self.clone();
        next.stored.split = split;
        next.stored.generation += 1;
        Ok(next)
    }

    /// The next row, after a change of the layer or of the holdout.
    pub fn placed(&self, holdout: Option<Holdout>, layer: Option<LayerPlace>) -> Result<Self, RouteError> {
        let generation = self.stored.generation + 1;
        Stored { generation, holdout, layer, ..self.stored.clone() }.try_into()
    }

    /// The variant of a unit. Some tens of nanoseconds; allocates nothing.
    #[inline]
    pub fn choose(&self, unit: &[u8]) -> Choice {
        self.choose_by(unit, &self.stored.split)
    }

    /// The same, with other weights for this request: who is held out or in another place stays so.
    #[inline]
    pub(crate) fn choose_by(&self, unit: &[u8], split: &Split) -> Choice {
        if let Some(holdout) = &self.stored.holdout
            && bucket(self.holdout_salt, unit) < holdout.share.ppm()
        {
            return Choice::certain(0, Why::HeldOut);
        }
        if let Some(at) = &self.stored.layer
            && at.layer.split.owner(bucket(self.layer_salt, unit)) != at.place
        {
            return Choice::certain(0, Why::OtherPlace);
        }
        let (variant, weight) = split.find(bucket(self.split_salt, unit));
        Choice { variant, why: Why::Assigned, propensity: weight.fraction() }
    }

    /// The variant that a caller named: served, journaled, left out of statistics.
    pub fn force(&self, name: &str) -> Result<Choice, RouteError> {
        let variant = self
            .stored
            .variants
            .iter()
            .position(|v| v == name)
            .ok_or_else(|| RouteError::Unknown { asked: name.to_owned(), have: self.stored.variants.join(", ") })?;
        Ok(Choice::certain(variant as u16, Why::Forced))
    }

    /// What a unit gets when its variant cannot answer: stable, left out of statistics.
    pub fn fallback(&self) -> Choice {
        Choice::certain(0, Why::NotReady)
    }

    /// Which write of the row this is; each is one higher than the one before.
    pub fn generation(&self) -> u64 {
        self.stored.generation
    }

    /// The name of a variant; stable for a number that is not there.
    pub fn variant(&self, index: u16) -> &str {
        self.stored.variants.get(usize::from(index)).unwrap_or(&self.stored.variants[0])
    }

    /// The names of the variants, stable first.
    pub fn variants(&self) -> &[String] {
        &self.stored.variants
    }

    /// Which buckets belong to which variant.
    pub fn split(&self) -> &Split {
        &self.stored.split
    }
}

fn weights_error(variants: &[String], source: SplitError) -> RouteError {
    RouteError::Weights { variants: variants.join(", "), source }
}

impl TryFrom<Stored> for Route {
    type Error = RouteError;

    fn try_from(stored: Stored) -> Result<Self, RouteError> {
        let (names, owners) = (stored.variants.len(), stored.split.owners());
        if names != owners {
            return Err(RouteError::Stored { names, owners });
        }
        if let Some((_, twice)) =
            stored.variants.iter().enumerate().find(|(i, name)| stored.variants[..*i].contains(name))
        {
            return Err(RouteError::Twice(twice.clone()));
        }
        if let Some(at) = &stored.layer {
            let last = at.layer.split.owners() - 1;
            if at.place == 0 || usize::from(at.place) > last {
                return Err(RouteError::Place { place: at.place, last });
            }
        }
        let salt_of = |purpose, text: Option<&str>| Salt::new(purpose, text.unwrap_or_default());
        Ok(Self {
            split_salt: Salt::new(Purpose::Split, &stored.salt),
            holdout_salt: salt_of(Purpose::Holdout, stored.holdout.as_ref().map(|h| h.salt.as_str())),
            layer_salt: salt_of(Purpose::Layer, stored.layer.as_ref().map(|l| l.layer.salt.as_str())),
            stored,
        })
    }
}

impl From<Route> for Stored {
    fn from(route: Route) -> Self {
        route.stored
    }
}

#[cfg(test)]
mod tests;
