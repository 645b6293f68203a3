//! Fewer points that still show every spike.

use mainspring_registry::points::Point;

/// At most `max` of the points, which are in order: the first, the last, and the lowest and highest
/// of each stretch between. A NaN counts as lower than everything, so that it is kept too.
pub(crate) fn downsample(points: Vec<Point>, max: usize) -> Vec<Point> {
    if points.len() <= max || points.len() <= 2 {
        return points;
    }
    let last = points.len() - 1;
    let stretches = (max.saturating_sub(2) / 2).max(1);
    let inner = last - 1;
    let mut kept = Vec::with_capacity(stretches * 2 + 2);
    kept.push(points[0]);
    for i in 0..stretches {
        let stretch = 1 + i * inner / stretches..1 + (i + 1) * inner / stretches;
        let value = |at: &usize| points[*at].value;
        let order = |a: &usize, b: &usize| {
            let (a, b) = (value(a), value(b));
            b.is_nan().cmp(&a.is_nan()).then(a.total_cmp(&b))
        };
        let low = stretch.clone().min_by(order);
        let high = stretch.max_by(order);
        if let (Some(low), Some(high)) = (low, high) {
            kept.push(points[low.min(high)]);
            if low != high {
                kept.push(points[low.max(high)]);
            }
        }
    }
    kept.push(points[last]);
    kept.truncate(max.max(2));
    if let Some(end) = kept.last_mut() {
        *end = points[last];
    }
    kept
}
