//! What a version's columns are compared with, where it is known beforehand: the profile that is saved with a version.

use super::{MonitorSpec, Timestamp, Track, Transition, Watch, words};
use crate::live::labels;
use crate::live::track::{Origin, Standing};
use crate::profile::Profile;
use mainspring_stats::presets::Calibration;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;

/// A saved profile by what it is of, and when it was saved.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Saved {
    /// The file or the dataset that it is of.
    pub source: String,
    /// When it was saved; the one that is saved after it has another moment.
    pub at: Timestamp,
}

/// Whose profile columns are compared with, and which of that version's: another one may be saved later.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Compared {
    /// The registered model.
    pub model: String,
    /// Its version.
    pub version: String,
    /// Its profile; `None` where none is saved and first rows count.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub saved: Option<Saved>,
    /// Why the data that the version was trained on is not it, and what to do, where its run names data and none of it could be
    /// used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unused: Option<String>,
}

/// What a version's columns are compared with: of a profile's columns, with all that is kept of them, the few numbers that are
/// needed here.
#[derive(Debug, Clone, Default)]
pub struct References {
    columns: Arc<BTreeMap<String, Calibration>>,
    compared: Option<Compared>,
}

impl References {
    /// Of a profile, if there is one.
    pub fn new(profile: Option<&Profile>) -> Self {
        let columns = profile.iter().flat_map(|profile| &profile.columns);
        let known = columns.flat_map(|c| {
            let forms = c.texts.iter().flat_map(|texts| &texts.form);
            let forms = forms.map(|shape| (format!("{}:{}", c.name, shape.name), &shape.calibration));
            let own = std::iter::once((c.name.clone(), &c.calibration));
            own.chain(forms).filter_map(|(name, calibration)| Some((name, calibration.clone()?)))
        });
        Self { columns: Arc::new(known.collect()), compared: None }
    }

    /// The same, with whose it is.
    pub(crate) fn whose(self, compared: Compared) -> Self {
        Self { compared: Some(compared), ..self }
    }

    pub(super) fn compared(&self) -> Option<&Compared> {
        self.compared.as_ref()
    }

    /// The reference of a journal's column: of the profile's column of that name, with or without its `in.` or `out.`.
    pub(super) fn of(&self, column: &str) -> Option<&Calibration> {
        let bare = column.strip_prefix("in.").or_else(|| column.strip_prefix("out."));
        self.named(column).or_else(|| self.named(bare?))
    }

    /// Of the profile's column of that very name.
    pub(super) fn named(&self, name: &str) -> Option<&Calibration> {
        self.columns.get(name)
    }

    /// Of a label's column, which a profile may call otherwise; an error has none.
    pub(super) fn of_truth(&self, column: &str, spec: &MonitorSpec) -> Option<&Calibration> {
        let bare = labels::label_of(column)?;
        let called = spec.label.as_ref().and_then(|label| label.column.as_deref());
        self.named(called.unwrap_or(bare))
    }
}

/// Columns whose reference is another one now.
#[derive(Debug, Default)]
pub(in crate::live) struct Anew {
    /// Those that begin anew against the profile.
    pub against: Vec<String>,
    /// Those that the profile does not have, and the one before had: they learn a reference.
    pub without: Vec<String>,
    /// Whether a drift ended with that.
    pub ended: bool,
}

impl Anew {
    /// Whether all go on as they were.
    pub fn is_empty(&self) -> bool {
        self.against.is_empty() && self.without.is_empty()
    }

    /// Takes the reference that a column has now; one that it has already changes nothing.
    fn take(&mut self, (name, track): (&String, &mut Track), known: Option<&Calibration>, at: Timestamp) {
        let was = (track.origin == Origin::Profile).then(|| track.reference()).flatten();
        if was == known {
            return;
        }
        self.ended |= track.standing == Standing::Drift;
        let (origin, names) = match known {
            Some(_) => (Origin::Profile, &mut self.against),
            None => (Origin::FirstRows, &mut self.without),
        };
        names.push(name.clone());
        track.begin_anew((origin, known.cloned()), at);
    }
}

impl Watch {
    /// Another profile was saved with the version that its columns are compared with: those whose reference is another one now
    /// begin anew. The others, all segments among them, go on: what they have learnt of the time before would be lost.
    pub(crate) fn compare_with(&mut self, references: &References, spec: &MonitorSpec) -> Option<Transition> {
        let with = references.compared.clone()?;
        let mut anew = Anew::default();
        for (name, track) in &mut self.tracks {
            anew.take((name, track), references.of(name), self.position);
        }
        for (name, track) in &mut self.truth.tracks {
            anew.take((name, track), references.of_truth(name, spec), self.truth.until);
        }
        self.compared = Some(with.clone());
        // The same data profiled again is nothing new.
        if anew.is_empty() && self.tracks().any(|(.., track)| track.origin == Origin::Profile) {
            return None;
        }
        self.stand(self.position);
        if !anew.is_empty() {
            // It was told of the columns as their references were.
            self.why = None;
        }
        Some(words::compared(self, spec, (&with, &anew)))
    }
}
