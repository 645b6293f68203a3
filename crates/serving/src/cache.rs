//! Answers that a version gave, and gives again to the same request.
//!
//! Each variant has answers of its own, and they go with it: whichever version answers, what it says is its own. A request is
//! the same when its inputs, byte by byte, and its parameters are. Of them a SHA-256 is kept, so that nobody can make a request
//! that is answered with what another one got.

use crate::spec::CacheSpec;
use mainspring_core::tensor::{Data, NamedTensor, Raw};
use mainspring_core::{EventId, Tensor, Timestamp, Tokens};
use mainspring_engine::Params;
use quick_cache::sync::{Cache, DefaultLifecycle};
use quick_cache::{DefaultHashBuilder, OptionsBuilder, Weighter};
use sha2::{Digest, Sha256};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

/// Where an answer says whether it was kept: in a header or in metadata, in the words of RFC 9211.
pub const CACHE_HEADER: &str = "cache-status";

/// What an answer takes beside its values: its key, its place, its names and shapes.
const OVERHEAD: usize = 256;
/// Parts with a lock and a share of the room of their own. An answer larger than such a share is not kept.
const PARTS: usize = 8;
/// Room that a part has at least.
const PART: u64 = 1 << 20;
/// What is too old is looked for no more often than this, microseconds.
const SWEEP: i64 = 1_000_000;

/// Bytes of inputs up to which a request is looked for. What tells it apart is computed on the thread that answers others, too,
/// about half a millisecond for each MiB.
pub(crate) const LARGEST: u64 = 4 << 20;

/// What tells requests of one version apart.
pub(crate) type Key = [u8; 32];

/// Whether the answer was kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lookup {
    /// It is an earlier one.
    Hit,
    /// The model gave it.
    Miss,
    /// The model was asked whatever was kept: the answer counts in the comparison of a rollout. How much of a variant's
    /// traffic is kept depends on how much it gets, so what is kept would be compared, and not the variants.
    Bypass,
}

impl Lookup {
    /// The value of [`CACHE_HEADER`].
    pub fn status(self) -> &'static str {
        match self {
            Self::Hit => "mainspring; hit",
            Self::Miss => "mainspring; fwd=miss",
            Self::Bypass => "mainspring; fwd=bypass",
        }
    }
}

/// An answer that is kept.
#[derive(Debug)]
pub(crate) struct KeptAnswer {
    pub outputs: Arc<[NamedTensor]>,
    /// The prediction that it was computed for, and when.
    pub from: EventId,
    pub at: Timestamp,
    /// What it took of the engine, nanoseconds.
    pub spent_ns: u64,
    pub tokens: Option<Tokens>,
    pub batch_rows: u32,
}

#[derive(Debug, Clone)]
struct Bytes;

impl Weighter<Key, Arc<KeptAnswer>> for Bytes {
    fn weight(&self, _: &Key, answer: &Arc<KeptAnswer>) -> u64 {
        weight(answer)
    }
}

fn weight(answer: &KeptAnswer) -> u64 {
    let texts = |t: &Tensor| t.strings().map_or(0, std::mem::size_of_val);
    let each = |o: &NamedTensor| o.name.len() + o.tensor.byte_len() + texts(&o.tensor);
    (OVERHEAD + answer.outputs.iter().map(each).sum::<usize>()) as u64
}

/// The answers of one variant.
#[derive(Debug)]
pub(crate) struct Answers {
    spec: CacheSpec,
    kept: Cache<Key, Arc<KeptAnswer>, Bytes>,
    /// When it was last looked for what is too old.
    swept: AtomicI64,
}

impl Answers {
    /// None yet. `None` where none are to be kept.
    pub fn of(spec: Option<&CacheSpec>) -> Option<Arc<Self>> {
        let spec = *spec?;
        let most = spec.max_bytes.0;
        let parts = usize::try_from(most / PART).unwrap_or(PARTS).clamp(1, PARTS);
        // The crate makes fewer parts where it expects few answers.
        let expected = usize::try_from(most / 512).unwrap_or(usize::MAX).clamp(64, 1 << 20);
        let mut options = OptionsBuilder::new();
        options.shards(parts).estimated_items_capacity(expected).weight_capacity(most);
        let options = options.build().ok()?;
        let kept = Cache::with_options(options, Bytes, DefaultHashBuilder::default(), DefaultLifecycle::default());
        Some(Arc::new(Self { spec, kept, swept: AtomicI64::new(i64::MIN) }))
    }

    pub fn spec(&self) -> &CacheSpec {
        &self.spec
    }

    /// What was answered before, unless that is too long ago.
    pub fn find(&self, key: &Key, now: Timestamp) -> Option<Arc<KeptAnswer>> {
        self.kept.get(key).filter(|answer| self.is_fresh(answer, now))
    }

    /// Keeps an answer. Says whether it is time to [`Answers::sweep`].
    pub fn keep(&self, key: Key, answer: KeptAnswer) -> bool {
        let (now, swept) = (answer.at.micros(), self.swept.load(Ordering::Relaxed));
        // What does not fit is not copied first.
        if weight(&answer) <= self.kept.shard_capacity()
            && let Some(outputs) = answer.outputs.iter().map(owned).collect()
        {
            self.kept.insert(key, Arc::new(KeptAnswer { outputs, ..answer }));
        }
        let due = now.saturating_sub(swept) >= self.ttl().max(SWEEP);
        due && self.swept.compare_exchange(swept, now, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }

    /// Forgets what is too old. Takes a moment for each answer that is kept.
    pub fn sweep(&self, now: Timestamp) {
        self.kept.retain(|_, answer| self.is_fresh(answer, now));
    }

    /// Answers that are kept, and their bytes.
    pub fn size(&self) -> (u64, u64) {
        (self.kept.len() as u64, self.kept.weight())
    }

    fn ttl(&self) -> i64 {
        i64::try_from(self.spec.ttl.0.as_micros()).unwrap_or(i64::MAX)
    }

    fn is_fresh(&self, answer: &KeptAnswer, now: Timestamp) -> bool {
        // Of a clock that was set back, too: no answer is to stay until it is right again.
        i64::try_from(now.micros().abs_diff(answer.at.micros())).is_ok_and(|age| age < self.ttl())
    }
}

/// The same values in memory of their own: an answer may be a few rows of a large call, whose memory it shares.
fn owned(output: &NamedTensor) -> Option<NamedTensor> {
    let (dtype, shape) = (output.tensor.dtype(), output.tensor.shape());
    let tensor = match output.tensor.data() {
        Data::Raw(bytes) => Tensor::from_raw(dtype, shape, Raw::joined(std::iter::once(&**bytes))),
        Data::Strings(texts) => {
            Tensor::from_strings(shape, texts.iter().map(|t| bytes::Bytes::copy_from_slice(t)).collect())
        }
    };
    Some(NamedTensor { name: Arc::clone(&output.name), tensor: tensor.ok()? })
}

/// What tells a request apart: its inputs, which are in the order of the signature, and its parameters. Each part says its
/// length, so that no two requests are written alike.
pub(crate) fn key(inputs: &[NamedTensor], params: Option<&Params>) -> Key {
    let mut hash = Sha256::new();
    let mut part = |bytes: &[u8]| {
        hash.update((bytes.len() as u64).to_le_bytes());
        hash.update(bytes);
    };
    for NamedTensor { name, tensor } in inputs {
        part(name.as_bytes());
        part(tensor.dtype().as_str().as_bytes());
        part(bytemuck::cast_slice(&tensor.shape().iter().map(|d| *d as u64).collect::<Vec<_>>()));
        match tensor.data() {
            Data::Raw(bytes) => part(bytes),
            Data::Strings(texts) => texts.iter().for_each(|text| part(text)),
        }
    }
    part(params.map_or("", Params::as_str).as_bytes());
    hash.finalize().into()
}

#[cfg(test)]
mod tests;
