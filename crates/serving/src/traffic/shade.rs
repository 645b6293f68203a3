//! The shadow of a deployment's answers: a candidate is asked what others answered, and nobody gets what it says.

use crate::run::Loaded;
use crate::stats::Recorder;
use crate::traffic::Traffic;
use crate::view::ShadowView;
use mainspring_core::EventId;
use mainspring_engine::Params;
use mainspring_traffic::{Purpose, Row, Salt, Shadow, bucket};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// Which requests a shadow is asked.
#[derive(Debug)]
pub(crate) struct Shade {
    shadow: Shadow,
    salt: Salt,
    counts: Arc<Counts>,
}

/// What a shadow did, over all rows of its rollout.
#[derive(Debug, Default)]
struct Counts {
    /// Apart from the version's own: nobody waited for these.
    recorder: Arc<Recorder>,
    in_flight: AtomicUsize,
    dropped: AtomicU64,
}

/// What a shadow is to do once the answer is there.
pub(crate) struct Aside {
    pub loaded: Arc<Loaded>,
    pub shade: Arc<Shade>,
    pub params: Option<Params>,
    /// Whether the answer came in parts.
    pub parts: bool,
}

/// One request that a shadow works on, until dropped.
pub(crate) struct Turn(Arc<Counts>);

impl Shade {
    /// The shadow of a row, with the counts of the row before it where that had the same one.
    pub fn of(row: &Row, before: Option<&Traffic>) -> Option<Arc<Self>> {
        let shadow = row.shadow.clone()?;
        let candidate = |row: &Row, at: u16| row.variants.get(usize::from(at)).cloned();
        let same = |before: &&Traffic| {
            before.row.rollout == row.rollout
                && before
                    .shade
                    .as_ref()
                    .is_some_and(|old| candidate(&before.row, old.shadow.variant) == candidate(row, shadow.variant))
        };
        let counts = before.filter(same).and_then(|before| Some(Arc::clone(&before.shade.as_ref()?.counts)));
        let salt = Salt::new(Purpose::Shadow, &row.rollout);
        Some(Arc::new(Self { salt, counts: counts.unwrap_or_default(), shadow }))
    }

    /// The place of its variant among the candidates.
    pub fn place(&self) -> usize {
        usize::from(self.shadow.variant.saturating_sub(1))
    }

    pub fn recorder(&self) -> &Arc<Recorder> {
        &self.counts.recorder
    }

    /// Whether a request is among those that it is asked.
    fn asked(&self, id: &EventId) -> bool {
        bucket(self.salt, id.as_bytes()) < self.shadow.share.ppm()
    }

    /// Room for one more request; without it the request is dropped, which is counted.
    pub fn turn(&self) -> Option<Turn> {
        let before = self.counts.in_flight.fetch_add(1, Ordering::AcqRel);
        let turn = Turn(Arc::clone(&self.counts));
        if before < self.shadow.max_in_flight as usize {
            return Some(turn);
        }
        self.counts.dropped.fetch_add(1, Ordering::Relaxed);
        None
    }

    pub fn view(&self) -> ShadowView {
        let (answered, failed) = self.counts.recorder.counts();
        ShadowView {
            answered,
            failed,
            dropped: self.counts.dropped.load(Ordering::Relaxed),
            in_flight: self.counts.in_flight.load(Ordering::Relaxed),
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Traffic {
    /// What the shadow is to do beside `answers`; nothing when it is not asked, answers itself, cannot, or takes
    /// other inputs.
    pub fn aside(&self, answers: &Arc<Loaded>, id: &EventId, params: Option<&Params>) -> Option<Aside> {
        let shade = self.shade.as_ref()?;
        let candidate = self.candidates.get(shade.place())?;
        let loaded = candidate.loaded.as_ref()?;
        let of = |c: &&super::Candidate| c.loaded.as_ref().is_some_and(|l| Arc::ptr_eq(l, answers));
        let same = candidate.fits && self.candidates.iter().find(of).is_none_or(|c| c.fits);
        if Arc::ptr_eq(loaded, answers) || !same || candidate.trip().is_some() || !shade.asked(id) {
            return None;
        }
        Some(Aside { loaded: Arc::clone(loaded), shade: Arc::clone(shade), params: params.cloned(), parts: false })
    }
}
