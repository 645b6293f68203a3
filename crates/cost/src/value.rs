//! What an outcome is worth.

use crate::money::Money;
use mainspring_core::Name;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Outcomes of a deployment that may have a value.
const MOST: usize = 20;
/// Bytes of a name of feedback.
const LONGEST: usize = 200;

/// What the outcomes of a deployment's predictions are worth, by the feedback that tells of them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(title = "OutcomeValue")]
pub struct ValueSpec {
    /// The deployment.
    pub deployment: String,
    /// The currency, by its three letters: `EUR`.
    pub currency: String,
    /// Outcomes; a prediction is worth all of them that it had, together.
    #[schemars(length(min = 1))]
    pub outcomes: Vec<OutcomeSpec>,
}

/// What an outcome is worth.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct OutcomeSpec {
    /// Name of the feedback: `converted`.
    pub outcome: String,
    /// The feedback's value that counts. When left out, the feedback is a number, and each one of it is worth `value`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub is: Option<Said>,
    /// What it is worth; less than nothing for a loss.
    pub value: Money,
}

/// A value of feedback.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Said {
    /// True or false.
    Truth(bool),
    /// A number.
    Number(f64),
    /// A text.
    Text(String),
}

impl ValueSpec {
    /// Checks what the types cannot: a path and a reason.
    ///
    /// # Errors
    /// The first field at fault.
    pub fn validate(&self) -> Result<(), (String, String)> {
        let wrong = |path: String, reason: &str| Err((path, reason.to_owned()));
        if let Err(e) = Name::new(&self.deployment) {
            return Err(("deployment".to_owned(), e.to_string()));
        }
        if self.currency.len() != 3 || !self.currency.bytes().all(|b| b.is_ascii_uppercase()) {
            return wrong("currency".into(), "it is the three letters of a currency, such as EUR");
        }
        if self.outcomes.is_empty() || self.outcomes.len() > MOST {
            return wrong("outcomes".into(), "there are between 1 and 20");
        }
        for (i, one) in self.outcomes.iter().enumerate() {
            if one.outcome.is_empty() || one.outcome.len() > LONGEST {
                return wrong(format!("outcomes[{i}].outcome"), "it is the name of feedback, such as converted");
            }
            if one.value == Money::default() {
                return wrong(format!("outcomes[{i}].value"), "an outcome that is worth nothing says nothing");
            }
            let twice = |other: &OutcomeSpec| {
                other.outcome == one.outcome && (other.is == one.is || other.is.is_none() || one.is.is_none())
            };
            if self.outcomes[..i].iter().any(twice) {
                return wrong(format!("outcomes[{i}].outcome"), "the same outcome has a value already");
            }
        }
        Ok(())
    }
}
