//! Weights that depend on what a request carries: a table of a few contexts, each with a split of its own.

use crate::split::Split;
use serde::{Deserialize, Serialize};

/// Contexts of one policy at most: each is compared by itself, so more would each have too little to show.
pub const MOST_CONTEXTS: usize = 64;

/// A feature of requests: the first row of an input, and the levels that are told apart.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Feature {
    /// The input's name, a column or a tensor.
    pub input: String,
    /// Its levels.
    pub levels: Levels,
}

/// What is told apart. Level 0 is for whatever is none of the others, or not there.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Levels {
    /// Numbers: below the first, from each to below the next, from the last on. Strictly ascending.
    Cuts(Vec<f64>),
    /// These texts, or numbers as they are written.
    Values(Vec<String>),
}

/// Features make no contexts, or a policy does not fit them.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum PolicyError {
    /// No feature, or two of one input.
    #[error("a context needs one feature or more, each of another input")]
    Features,
    /// Cuts that are not in order.
    #[error("the cuts of {0:?} must be numbers in ascending order, one at least")]
    Cuts(String),
    /// No value, or one twice.
    #[error("the values of {0:?} must differ, and one at least must be given")]
    Values(String),
    /// Too many contexts.
    #[error(
        "the features make {0} contexts, over {MOST_CONTEXTS}: each feature has a level for each of its cuts or values, and \
         cuts have one more for numbers below the first, all have one for what is neither; leave some out"
    )]
    Contexts(usize),
    /// A table of another size.
    #[error("the policy has {splits} splits for {contexts} contexts of {variants} variants")]
    Splits {
        /// Splits given.
        splits: usize,
        /// Contexts there are.
        contexts: usize,
        /// Variants there are.
        variants: usize,
    },
}

impl Feature {
    /// How many levels there are, with 0.
    pub fn count(&self) -> usize {
        match &self.levels {
            Levels::Cuts(cuts) => cuts.len() + 2,
            Levels::Values(values) => values.len() + 1,
        }
    }

    /// The level of a value as text.
    pub fn level(&self, value: Option<&[u8]>) -> usize {
        let text = value.and_then(|v| std::str::from_utf8(v).ok()).map(str::trim);
        match &self.levels {
            Levels::Cuts(cuts) => match text.and_then(|t| t.parse::<f64>().ok()).filter(|n| !n.is_nan()) {
                Some(number) => 1 + cuts.partition_point(|cut| *cut <= number),
                None => 0,
            },
            Levels::Values(values) => values.iter().position(|v| Some(v.as_str()) == text).map_or(0, |at| at + 1),
        }
    }

    /// A level for people: `age < 30`, `30 ≤ age < 50`, `country = de`, `other country`.
    pub fn title(&self, level: usize) -> String {
        let name = &self.input;
        let Some(at) = level.checked_sub(1) else { return format!("other {name}") };
        match &self.levels {
            Levels::Values(values) => format!("{name} = {}", values.get(at).map_or("?", String::as_str)),
            Levels::Cuts(cuts) => match (at.checked_sub(1).and_then(|i| cuts.get(i)), cuts.get(at)) {
                (None, Some(high)) => format!("{name} < {high}"),
                (Some(low), Some(high)) => format!("{low} ≤ {name} < {high}"),
                (Some(low), None) => format!("{name} ≥ {low}"),
                (None, None) => name.clone(),
            },
        }
    }

    fn check(&self) -> Result<(), PolicyError> {
        match &self.levels {
            Levels::Cuts(cuts) => {
                let ascends = cuts.windows(2).all(|w| w[0] < w[1]) && cuts.iter().all(|c| c.is_finite());
                if cuts.is_empty() || !ascends { Err(PolicyError::Cuts(self.input.clone())) } else { Ok(()) }
            }
            Levels::Values(values) => {
                let twice = (1..values.len()).any(|i| values[..i].contains(&values[i]));
                if values.is_empty() || twice { Err(PolicyError::Values(self.input.clone())) } else { Ok(()) }
            }
        }
    }
}

/// The contexts that a few features make: a level of each. Counted with the last feature changing fastest.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Vec<Feature>", into = "Vec<Feature>")]
pub struct Contexts(Vec<Feature>);

impl Contexts {
    /// The contexts of these features.
    ///
    /// # Errors
    /// [`PolicyError`], of the first thing that is wrong.
    pub fn new(features: Vec<Feature>) -> Result<Self, PolicyError> {
        let twice = (1..features.len()).any(|i| features[..i].iter().any(|f| f.input == features[i].input));
        if features.is_empty() || twice {
            return Err(PolicyError::Features);
        }
        features.iter().try_for_each(Feature::check)?;
        let all = features.iter().fold(1_usize, |all, f| all.saturating_mul(f.count()));
        if all > MOST_CONTEXTS {
            return Err(PolicyError::Contexts(all));
        }
        Ok(Self(features))
    }

    /// The features.
    pub fn features(&self) -> &[Feature] {
        &self.0
    }

    /// How many levels each feature has.
    pub fn levels(&self) -> Vec<usize> {
        self.0.iter().map(Feature::count).collect()
    }

    /// How many contexts there are.
    pub fn count(&self) -> usize {
        self.0.iter().map(Feature::count).product()
    }

    /// The context of a request; `value` is asked for the text of each input, in their order.
    pub fn of<T: AsRef<[u8]>>(&self, mut value: impl FnMut(&str) -> Option<T>) -> u16 {
        let place = self.0.iter().fold(0, |at, feature| {
            let given = value(&feature.input);
            at * feature.count() + feature.level(given.as_ref().map(AsRef::as_ref))
        });
        place as u16
    }

    /// A context for people: the levels of all features.
    pub fn title(&self, context: u16) -> String {
        let mut rest = usize::from(context);
        let mut levels = Vec::with_capacity(self.0.len());
        for feature in self.0.iter().rev() {
            levels.push(feature.title(rest % feature.count()));
            rest /= feature.count();
        }
        levels.reverse();
        levels.join(", ")
    }
}

impl TryFrom<Vec<Feature>> for Contexts {
    type Error = PolicyError;

    fn try_from(features: Vec<Feature>) -> Result<Self, PolicyError> {
        Self::new(features)
    }
}

impl From<Contexts> for Vec<Feature> {
    fn from(contexts: Contexts) -> Self {
        contexts.0
    }
}

/// Which weights hold in which context.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Policy {
    /// The contexts.
    pub contexts: Contexts,
    /// The split in each of them.
    pub splits: Vec<Split>,
}

impl Policy {
    /// Whether there is a split of so many variants for each context.
    ///
    /// # Errors
    /// [`PolicyError::Splits`].
    pub fn check(&self, variants: usize) -> Result<(), PolicyError> {
        let (contexts, splits) = (self.contexts.count(), self.splits.len());
        if splits != contexts || self.splits.iter().any(|s| s.owners() != variants) {
            return Err(PolicyError::Splits { splits, contexts, variants });
        }
        Ok(())
    }

    /// The split in a context.
    #[inline]
    pub fn split(&self, context: u16) -> Option<&Split> {
        self.splits.get(usize::from(context))
    }
}

#[cfg(test)]
mod tests;
