//! Runs as they were last shown.
//!
//! Everything that changes what is shown with a run counts its `revision` up, in the change's own transaction. So a
//! search asks the database which runs it finds and of which revision they are, and reads only those that are not kept
//! of that revision, whoever changed them: on a shared database it may have been another server.

use crate::types::{DatasetInput, Metric, ModelOutput, Pair, Run};
use mainspring_core::Tenant;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;

/// Most bytes of each half, about: what is kept is twice this.
const HALF: usize = 4 << 20;
/// A run with more bytes is not kept: it would push out many others.
const LARGE: usize = HALF / 16;

/// A run that a search found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Found {
    pub id: String,
    /// How often it was changed.
    pub revision: i64,
}

/// Runs that searches of this server have read.
#[derive(Default)]
pub(crate) struct Shown(Mutex<Halves>);

/// What was asked for lately is `young`. When that is full it becomes `old`, and what was not asked for meanwhile goes.
#[derive(Default)]
struct Halves {
    young: HashMap<String, Kept>,
    old: HashMap<String, Kept>,
    /// Of `young`.
    bytes: usize,
}

struct Kept {
    tenant: Tenant,
    revision: i64,
    bytes: usize,
    run: Arc<Run>,
}

impl Shown {
    /// What is kept of each run, where it is of the revision that was found.
    pub fn get(&self, tenant: &Tenant, found: &[Found]) -> Vec<Option<Arc<Run>>> {
        let mut halves = self.0.lock();
        found.iter().map(|run| halves.get(tenant, run)).collect()
    }

    /// Keeps runs that were read, each of the revision that was found in the same snapshot.
    pub fn put<'a>(&self, tenant: &Tenant, read: impl Iterator<Item = (&'a Found, &'a Arc<Run>)>) {
        let mut halves = self.0.lock();
        for (found, run) in read {
            let kept = Kept {
                tenant: tenant.clone(),
                revision: found.revision,
                bytes: bytes(run) + found.id.len(),
                run: Arc::clone(run),
            };
            if kept.bytes <= LARGE {
                halves.put(found.id.clone(), kept);
            }
        }
    }
}

impl Halves {
    fn get(&mut self, tenant: &Tenant, found: &Found) -> Option<Arc<Run>> {
        if let Some((id, kept)) = self.old.remove_entry(&found.id) {
            self.put(id, kept);
        }
        let kept = self.young.get(&found.id)?;
        (kept.revision == found.revision && kept.tenant == *tenant).then(|| Arc::clone(&kept.run))
    }

    fn put(&mut self, id: String, kept: Kept) {
        // A search that began earlier may come later.
        if self.young.get(&id).is_some_and(|there| there.revision > kept.revision) {
            return;
        }
        if self.bytes + kept.bytes > HALF {
            self.old = std::mem::take(&mut self.young);
            self.bytes = 0;
        }
        self.bytes += kept.bytes;
        self.bytes -= self.young.insert(id, kept).map_or(0, |before| before.bytes);
    }
}

/// How much memory a run takes, about.
fn bytes(run: &Run) -> usize {
    let pair = |p: &Pair| size_of::<Pair>() + p.key.len() + p.value.len();
    let pairs = |all: &[Pair]| all.iter().map(pair).sum::<usize>();
    let dataset = |i: &DatasetInput| {
        let d = &i.dataset;
        let texts = [Some(&d.name), Some(&d.digest), Some(&d.source_type), Some(&d.source), d.schema.as_ref()];
        let texts = texts.into_iter().chain([d.profile.as_ref()]).flatten().map(String::len).sum::<usize>();
        size_of::<DatasetInput>() + texts + pairs(&i.tags)
    };
    let info = &run.info;
    size_of::<(String, Kept, Run)>()
        + [&info.id, &info.name, &info.user, &info.artifact_uri].map(String::len).iter().sum::<usize>()
        + run.metrics.iter().map(|m| size_of::<Metric>() + m.key.len()).sum::<usize>()
        + pairs(&run.params)
        + pairs(&run.tags)
        + run.inputs.iter().map(dataset).sum::<usize>()
        + run.model_inputs.iter().map(|m| size_of::<String>() + m.len()).sum::<usize>()
        + run.model_outputs.iter().map(|m| size_of::<ModelOutput>() + m.model_id.len()).sum::<usize>()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::{Lifecycle, RunInfo, RunStatus};

    fn run(id: &str, value: String) -> Arc<Run> {
        let info = RunInfo {
            id: id.to_owned(),
            name: String::new(),
            experiment: 0,
            user: String::new(),
            status: RunStatus::Running,
            started: 0,
            ended: None,
            artifact_uri: String::new(),
            stage: Lifecycle::Active,
        };
        Arc::new(Run {
            info,
            metrics: Vec::new(),
            params: vec![Pair::new("p", value)],
            tags: Vec::new(),
            inputs: Vec::new(),
            model_inputs: Vec::new(),
            model_outputs: Vec::new(),
        })
    }

    fn found(id: &str, revision: i64) -> Found {
        Found { id: id.to_owned(), revision }
    }

    impl Shown {
        fn keep(&self, id: &str, revision: i64, value: impl Into<String>) {
            self.put(&Tenant::default(), [(&found(id, revision), &run(id, value.into()))].into_iter());
        }

        fn has(&self, id: &str, revision: i64) -> bool {
            self.get(&Tenant::default(), &[found(id, revision)])[0].is_some()
        }
    }

    #[test]
    fn only_the_revision_that_was_found_is_taken() {
        let shown = Shown::default();
        shown.keep("a", 3, "x");
        assert!(shown.has("a", 3) && !shown.has("a", 4) && !shown.has("a", 2) && !shown.has("b", 3));
        // A search of an older snapshot that ends late takes nothing away.
        shown.keep("a", 2, "old");
        assert!(shown.has("a", 3));
        shown.keep("a", 4, "y");
        assert!(shown.has("a", 4) && !shown.has("a", 3));
        let other = Tenant::new("other").unwrap();
        assert_eq!(shown.get(&other, &[found("a", 4)]), [None]);
    }

    #[test]
    fn what_is_asked_for_stays_and_memory_is_bounded() {
        let shown = Shown::default();
        shown.keep("wanted", 0, "x");
        let size = LARGE / 2;
        for n in 0..100 {
            shown.keep(&n.to_string(), 0, "v".repeat(size));
            assert!(shown.has("wanted", 0), "it was asked for {n} runs ago");
            let halves = shown.0.lock();
            assert!(halves.bytes <= HALF);
            assert!(halves.young.len() + halves.old.len() <= 2 * HALF / size + 2);
            assert_eq!(halves.bytes, halves.young.values().map(|k| k.bytes).sum::<usize>());
        }
        assert!(!shown.has("0", 0) && shown.has("99", 0));
        shown.keep("large", 0, "v".repeat(LARGE));
        assert!(!shown.has("large", 0));
    }
}
