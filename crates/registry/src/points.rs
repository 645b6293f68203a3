//! Metric points on disk: chunks of 24 bytes a point.
//!
//! A point is `step`, `timestamp` (both i64) and the bits of `value` (f64), little-endian. A chunk
//! keeps the order in which its points were logged; readers sort. NaN is stored as it is; SQL never sees these values.

/// One logged value.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Point {
    /// Training step.
    pub step: i64,
    /// Milliseconds since the epoch.
    pub timestamp: i64,
    /// The value.
    pub value: f64,
}

/// Bytes of a point.
pub const WIDTH: usize = 24;

/// Packs points into a chunk.
pub fn pack(points: &[Point]) -> Vec<u8> {
    let mut out = Vec::with_capacity(points.len() * WIDTH);
    for p in points {
        out.extend_from_slice(&p.step.to_le_bytes());
        out.extend_from_slice(&p.timestamp.to_le_bytes());
        out.extend_from_slice(&p.value.to_bits().to_le_bytes());
    }
    out
}

/// Unpacks a chunk behind what `out` already holds. A torn last point is left out.
pub fn unpack(chunk: &[u8], out: &mut Vec<Point>) {
    let word = |b: &[u8], at: usize| -> i64 {
        b.get(at..at + 8).and_then(|s| s.try_into().ok()).map_or(0, i64::from_le_bytes)
    };
    out.reserve(chunk.len() / WIDTH);
    out.extend(chunk.chunks_exact(WIDTH).map(|b| Point {
        step: word(b, 0),
        timestamp: word(b, 8),
        value: f64::from_bits(word(b, 16) as u64),
    }));
}

/// Packs the points of several metrics, each as the length of its name and that of its chunk (both u32,
/// little-endian), the name and the chunk.
pub fn pack_all<'a>(metrics: impl IntoIterator<Item = (&'a str, &'a [Point])>) -> Vec<u8> {
    let mut out = Vec::new();
    for (key, points) in metrics {
        let length = |n: usize| u32::try_from(n).unwrap_or(u32::MAX).to_le_bytes();
        out.extend_from_slice(&length(key.len()));
        out.extend_from_slice(&length(points.len() * WIDTH));
        out.extend_from_slice(key.as_bytes());
        out.extend_from_slice(&pack(points));
    }
    out
}

/// The metrics that [`pack_all`] packed, with their chunks. It ends at the first that is torn.
pub fn unpack_all(packed: &[u8]) -> impl Iterator<Item = (&str, &[u8])> {
    let mut rest = packed;
    std::iter::from_fn(move || {
        let length = |at: usize| Some(u32::from_le_bytes(rest.get(at..at + 4)?.try_into().ok()?) as usize);
        let (name, chunk) = (8 + length(0)?, length(4)?);
        let key = std::str::from_utf8(rest.get(8..name)?).ok()?;
        let points = rest.get(name..name + chunk)?;
        rest = &rest[name + chunk..];
        Some((key, points))
    })
}

/// What a metric value becomes before it is stored: an infinity becomes the largest finite double
/// of its sign, as MLflow's SQL store does, so that a client reads the same from either.
pub fn sanitise(value: f64) -> f64 {
    if value.is_infinite() { f64::MAX.copysign(value) } else { value }
}

/// The value by which points are ordered: NaN counts as 0, as it does in MLflow's SQL store.
fn rank(value: f64) -> f64 {
    if value.is_nan() { 0.0 } else { value }
}

/// Whether `a` is later than `b`: by step, then time, then value.
pub fn later(a: &Point, b: &Point) -> bool {
    (a.step, a.timestamp).cmp(&(b.step, b.timestamp)).then(rank(a.value).total_cmp(&rank(b.value))).is_gt()
}

/// Sorts by time, step and value and drops exact repetitions: the order of a metric's history.
pub fn sort_by_time(points: &mut Vec<Point>) {
    let key = |p: &Point| (p.timestamp, p.step);
    points.sort_unstable_by(|a, b| key(a).cmp(&key(b)).then_with(|| by_value(a, b)));
    points.dedup_by(|a, b| key(a) == key(b) && a.value.to_bits() == b.value.to_bits());
}

/// Sorts by step, time and value and drops exact repetitions: the order of a plot.
pub fn sort_by_step(points: &mut Vec<Point>) {
    let key = |p: &Point| (p.step, p.timestamp);
    points.sort_unstable_by(|a, b| key(a).cmp(&key(b)).then_with(|| by_value(a, b)));
    points.dedup_by(|a, b| key(a) == key(b) && a.value.to_bits() == b.value.to_bits());
}

fn by_value(a: &Point, b: &Point) -> std::cmp::Ordering {
    rank(a.value).total_cmp(&rank(b.value)).then(a.value.is_nan().cmp(&b.value.is_nan()))
}

/// At most `max` points, evenly spread over `points` (sorted by step), the first and the last
/// always among them; only the last when `max` is 1. Buckets are SQL's `NTILE`: the first
/// `len % max` buckets hold one point more, and each bucket gives its first point.
pub fn downsample(points: &[Point], max: usize) -> Vec<Point> {
    let max = max.max(1);
    if points.len() <= max {
        return points.to_vec();
    }
    let (width, extra) = (points.len() / max, points.len() % max);
    let mut out = Vec::with_capacity(max);
    let mut at = 0;
    for bucket in 0..max {
        out.extend(points.get(at).copied());
        at += width + usize::from(bucket < extra);
    }
    if let (Some(kept), Some(last)) = (out.last_mut(), points.last()) {
        *kept = *last;
    }
    out
}
