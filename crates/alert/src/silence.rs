//! Silences: alerts that nobody is to hear of for a while.

use crate::matcher::Matcher;
use crate::signal::Subject;
use crate::sql::{self, StoredSilence};
use mainspring_core::{Tenant, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::sync::Arc;

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

/// Silences as they were read before. They do not change, and their regular expressions are not made anew every second.
#[derive(Debug, Default)]
pub(crate) struct Book(HashMap<String, Option<Arc<Silence>>>);

impl Book {
    /// What `stored` says; the others are forgotten. One that cannot be read silences nothing, and is named once in the log.
    pub(crate) fn read(&mut self, stored: Vec<StoredSilence>) -> Vec<(Tenant, Arc<Silence>)> {
        let mut known = std::mem::take(&mut self.0);
        let mut all = Vec::with_capacity(stored.len());
        for StoredSilence { id, tenant, body } in stored {
            let silence = known.remove(&id).unwrap_or_else(|| match sql::stored::<Silence>(&body, "silence") {
                Ok(silence) => Some(Arc::new(silence)),
                Err(error) => {
                    tracing::warn!(%tenant, id, %error, "a silence holds no longer; end it and declare it anew");
                    None
                }
            });
            all.extend(silence.clone().map(|silence| (tenant, silence)));
            self.0.insert(id, silence);
        }
        all
    }
}
