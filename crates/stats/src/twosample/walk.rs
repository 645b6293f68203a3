//! Walking two sorted samples side by side.

use super::{NoTest, Sample, enough};

/// A value that occurs in either sample, and how many values of each are at or below it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Step {
    pub value: f64,
    pub a: usize,
    pub b: usize,
}

/// Every different value of the two, ascending.
pub(super) fn steps<'a>(a: &'a [f64], b: &'a [f64]) -> impl Iterator<Item = Step> + 'a {
    let (mut i, mut j) = (0, 0);
    std::iter::from_fn(move || {
        let value = match (a.get(i), b.get(j)) {
            (Some(x), Some(y)) => x.min(*y),
            (Some(x), None) => *x,
            (None, Some(y)) => *y,
            (None, None) => return None,
        };
        while a.get(i).is_some_and(|x| *x <= value) {
            i += 1;
        }
        while b.get(j).is_some_and(|y| *y <= value) {
            j += 1;
        }
        Some(Step { value, a: i, b: j })
    })
}

/// Σ width · f(difference of the distribution functions) between neighbouring values.
fn area(a: &Sample, b: &Sample, f: impl Fn(f64) -> f64) -> f64 {
    let (n, m) = (a.len() as f64, b.len() as f64);
    let mut before: Option<Step> = None;
    let mut sum = 0.0;
    for step in steps(a.values(), b.values()) {
        if let Some(before) = before {
            sum += (step.value - before.value) * f(before.a as f64 / n - before.b as f64 / m);
        }
        before = Some(step);
    }
    sum
}

/// The first Wasserstein distance, in the unit of the column: the area between the distribution functions. Evidently's
/// is this over the reference's standard deviation (divided by n), at least 0.001.
///
/// # Errors
/// [`NoTest::TooFew`] when a sample is empty.
pub fn wasserstein(reference: &Sample, current: &Sample) -> Result<f64, NoTest> {
    enough(reference, current, 1)?;
    Ok(area(reference, current, f64::abs))
}

/// The energy distance of `scipy.stats`: √(2 ∫ (F − G)²), in the square root of the column's unit.
///
/// # Errors
/// [`NoTest::TooFew`] when a sample is empty.
pub fn energy(reference: &Sample, current: &Sample) -> Result<f64, NoTest> {
    enough(reference, current, 1)?;
    Ok((2.0 * area(reference, current, |d| d * d)).sqrt())
}
