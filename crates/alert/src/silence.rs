//! Silences: alerts that nobody is to hear of for a while.

use crate::matcher::Matcher;
use crate::signal::Subject;
use mainspring_core::Timestamp;
use serde::{Deserialize, Serialize};

/// Alerts that nobody is to hear of for a while.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Silence {
    /// Its id.
    pub id: String,
    /// All of these hold for what is silenced.
    pub matching: Vec<Matcher>,
    /// From when on.
    pub from: Timestamp,
    /// Until when.
    pub until: Timestamp,
    /// Why.
    pub reason: String,
    /// Who said so.
    pub by: String,
}

impl Silence {
    /// Whether it silences this now.
    pub fn covers(&self, subject: &Subject, now: Timestamp) -> bool {
        let facets = subject.facets();
        self.from <= now && now < self.until && self.matching.iter().all(|m| m.matches(&facets))
    }
}
