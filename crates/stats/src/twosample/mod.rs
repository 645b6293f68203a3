//! Whether two samples of a column have the same distribution, and how far apart they are.
//!
//! | what | function | of | source |
//! |---|---|---|---|
//! | Kolmogorov–Smirnov | [`kolmogorov_smirnov`] | numbers | exact: Hodges (1958); else Simard and L'Ecuyer (2011) |
//! | Cramér–von Mises | [`cramer_von_mises`] | numbers | exact: Xiao et al. (2006); else Anderson (1962) |
//! | Epps–Singleton | [`epps_singleton`] | numbers | Epps and Singleton (1986) |
//! | Mann–Whitney | [`mann_whitney`] | numbers | exact: Löffler (1983); else with ties and continuity |
//! | Anderson–Darling, k = 2 | [`anderson_darling`] | numbers | Scholz and Stephens (1987), midranks |
//! | t | [`t_test`] | moments | Student, pooled variance |
//! | Z of proportions | [`z_proportions`] | counts | pooled proportion |
//! | chi² against the reference | [`chi_square`] | counts | Pearson, expectations from the reference |
//! | chi² of homogeneity | [`contingency`] | counts | Pearson, Yates' correction at one degree |
//! | G | [`g_test`] | counts | likelihood ratio, expectations from the reference |
//! | Fisher's exact | [`fisher_exact`] | counts | two-sided by probability |
//! | total variation | [`total_variation`] | counts | permutations |
//! | Wasserstein, energy | [`wasserstein`], [`energy`] | numbers | areas between distribution functions |
//! | Jensen–Shannon, Hellinger, PSI, KL, L∞, total variation | [`distance`] | shares | |
//!
//! p-values and statistics are those of `scipy` 1.17 where it has them, by the same choice between the exact and the
//! asymptotic distribution, to 10⁻⁹; `oracles/` compares. [`bins`] makes shares of numbers as `numpy.histogram` does.
//! [`kolmogorov_smirnov_of`] and [`wasserstein_of`] take numbers in any order, and do not sort large samples.
//! [`sketched`] answers from sketches, and says the error that this brings.
//!
//! Each p-value is for one look at one pair of samples. Under repeated looks false alarms pile up; for a stream that is
//! watched, see [`crate::stream::Conformal`].

pub mod bins;
mod buckets;
mod counts;
pub mod distance;
mod epps;
mod kolmogorov;
mod mises;
mod rank;
pub mod sketched;
mod walk;

#[cfg(test)]
mod oracles;

pub use buckets::wasserstein_of;
pub use counts::{chi_square, contingency, fisher_exact, g_test, total_variation, z_proportions};
pub use epps::epps_singleton;
pub use kolmogorov::{kolmogorov_smirnov, kolmogorov_smirnov_distance, kolmogorov_smirnov_of, kolmogorov_tail};
pub use mises::cramer_von_mises;
pub use rank::{Alternative, anderson_darling, mann_whitney};
pub use walk::{energy, wasserstein};

use crate::Moments;
use crate::special::student_t_sf;

/// What a test found.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Test {
    /// The test's statistic, in its own unit.
    pub statistic: f64,
    /// Probability of a statistic at least as extreme, had both samples one distribution.
    pub p_value: f64,
}

/// Samples that a test says nothing about.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum NoTest {
    /// A sample has too few values.
    #[error("a sample has {have} values; the test needs {need}")]
    TooFew {
        /// Values of the smaller sample.
        have: usize,
        /// The least that the test can work with.
        need: usize,
    },
    /// All values are the same, or half of them where that is enough.
    #[error("the values do not differ enough from each other for the test")]
    NoSpread,
    /// The test is for two categories.
    #[error("the columns have {0} categories; the test is for two")]
    Categories(usize),
    /// The lists of counts do not belong together.
    #[error("{0} counts were given for {1} categories")]
    Lengths(usize, usize),
}

/// Finite numbers in ascending order.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Sample(Vec<f64>);

impl Sample {
    /// Sorts; what is not finite is left out.
    pub fn new(mut values: Vec<f64>) -> Self {
        values.retain(|v| v.is_finite());
        values.sort_unstable_by(f64::total_cmp);
        // -0.0 sorts before 0.0 and equals it: one value, so that ties are seen.
        for v in &mut values {
            *v += 0.0;
        }
        Self(values)
    }

    /// Values in ascending order.
    pub fn values(&self) -> &[f64] {
        &self.0
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many different ones there are.
    pub fn distinct(&self) -> usize {
        self.0.chunk_by(|a, b| a == b).count()
    }

    /// Mean and variance.
    pub fn moments(&self) -> Moments {
        let mut moments = Moments::default();
        moments.extend(&self.0);
        moments
    }
}

/// At least `need` values in both.
fn enough(a: &Sample, b: &Sample, need: usize) -> Result<(), NoTest> {
    let have = a.len().min(b.len());
    if have < need { Err(NoTest::TooFew { have, need }) } else { Ok(()) }
}

/// Student's t-test of equal means, two-sided, with a pooled variance.
///
/// # Errors
/// [`NoTest`] when there are fewer than two values on a side, or no variance.
pub fn t_test(reference: &Moments, current: &Moments) -> Result<Test, NoTest> {
    let have = reference.count().min(current.count()) as usize;
    let (Some(v1), Some(v2), Some(m1), Some(m2)) =
        (reference.variance(), current.variance(), reference.mean(), current.mean())
    else {
        return Err(NoTest::TooFew { have, need: 2 });
    };
    let (n1, n2) = (reference.count() as f64, current.count() as f64);
    let freedom = n1 + n2 - 2.0;
    let pooled = ((n1 - 1.0) * v1 + (n2 - 1.0) * v2) / freedom;
    let error = (pooled * (1.0 / n1 + 1.0 / n2)).sqrt();
    if error <= 0.0 {
        return Err(NoTest::NoSpread);
    }
    let statistic = (m1 - m2) / error;
    Ok(Test { statistic, p_value: 2.0 * student_t_sf(statistic.abs(), freedom) })
}
