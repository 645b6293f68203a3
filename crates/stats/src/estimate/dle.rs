//! Performance of a regression, from a second model that has learnt how large its errors are where.

use super::cbpe::{Estimate, NoEstimate};
use super::forest::{Cuts, Feature, Forest};
use super::{deviation, thresholds};

const SEED: u64 = 0x0064_6c65_6d61_696e;
/// Rows below which nothing is learnt.
const LEAST: usize = 100;
/// Metric, loss that it is the mean of, and whether it is the root of that mean.
const METRICS: [(&str, Loss, bool); 6] = [
    ("mae", Loss::Absolute, false),
    ("mape", Loss::Relative, false),
    ("mse", Loss::Square, false),
    ("rmse", Loss::Square, true),
    ("msle", Loss::Log, false),
    ("rmsle", Loss::Log, true),
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Loss {
    Absolute,
    Relative,
    Square,
    Log,
}

impl Loss {
    const ALL: [Self; 4] = [Self::Absolute, Self::Relative, Self::Square, Self::Log];

    /// `None` where it has no value.
    fn of(self, truth: f64, said: f64) -> Option<f64> {
        let error = said - truth;
        match self {
            Self::Absolute => Some(error.abs()),
            Self::Relative => (truth != 0.0).then(|| (error / truth).abs()),
            Self::Square => Some(error * error),
            Self::Log => (truth > -1.0 && said > -1.0).then(|| (said.ln_1p() - truth.ln_1p()).powi(2)),
        }
    }
}

/// Rows of a regression: predictions, and columns of features with as many values.
#[derive(Debug, Clone, Copy)]
pub struct Predicted<'a> {
    /// Predictions.
    pub said: &'a [f64],
    /// Columns.
    pub features: &'a [Feature<'a>],
}

struct Learnt {
    loss: Loss,
    forest: Forest,
    deviation: f64,
    mean: f64,
}

/// Estimates from a reference whose labels are known (direct loss estimation).
///
/// NannyML's trees are LightGBM's, ours a bagged forest: estimates agree within sampling errors, not in digits.
pub struct Dle {
    cuts: Cuts,
    learnt: Vec<Learnt>,
    thresholds: Vec<Option<(f64, f64)>>,
}

impl std::fmt::Debug for Dle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Dle({} losses)", self.learnt.len())
    }
}

fn columns<'a>(rows: Predicted<'a>) -> Vec<Feature<'a>> {
    rows.features.iter().copied().chain([Feature::Numbers(rows.said)]).collect()
}

impl Dle {
    /// Learns from labelled rows in the order in which they came, cut into `chunks` for the thresholds. A loss that some
    /// row has no value of (a truth of zero, a logarithm of what is below zero) is not learnt.
    ///
    /// # Errors
    /// [`NoEstimate`] when there are too few.
    pub fn fit(reference: Predicted<'_>, truth: &[f64], chunks: usize) -> Result<Self, NoEstimate> {
        let n = truth.len();
        if n < LEAST {
            return Err(NoEstimate::Rows(n, LEAST));
        }
        let features = columns(reference);
        let losses = Loss::ALL.into_iter().filter_map(|loss| {
            let each: Option<Vec<f64>> = truth.iter().zip(reference.said).map(|(t, s)| loss.of(*t, *s)).collect();
            Some((loss, each?))
        });
        let losses: Vec<(Loss, Vec<f64>)> = losses.collect();
        let size = (n / chunks.max(1)).max(1);
        let thresholds = METRICS.iter().map(|(_, loss, root)| {
            let (_, each) = losses.iter().find(|(l, _)| l == loss)?;
            let realized = each.chunks(size).map(|chunk| {
                let mean = chunk.iter().sum::<f64>() / chunk.len() as f64;
                if *root { mean.sqrt() } else { mean }
            });
            thresholds(&realized.collect::<Vec<_>>())
        });
        let thresholds = thresholds.collect();
        let cuts = Cuts::of(&features);
        let rows = cuts.bins(&features);
        let learnt = losses.into_iter().map(|(loss, each)| Learnt {
            loss,
            forest: Forest::fit(&cuts, &rows, &each, SEED),
            deviation: deviation(&each),
            mean: each.iter().sum::<f64>() / n as f64,
        });
        let learnt = learnt.collect();
        Ok(Self { cuts, learnt, thresholds })
    }

    /// The share of the absolute error's variance that was learnt, on rows that were not seen. Near zero, errors are as
    /// large everywhere, and the estimate is that of the reference.
    pub fn explained(&self) -> Option<f64> {
        self.learnt.first().and_then(|l| l.forest.explained())
    }

    /// What the metrics of labelled rows really are, without those that have no value.
    pub fn realized(said: &[f64], truth: &[f64]) -> Vec<(&'static str, f64)> {
        let mean = |loss: Loss| -> Option<f64> {
            let each: Option<Vec<f64>> = truth.iter().zip(said).map(|(t, s)| loss.of(*t, *s)).collect();
            each.filter(|each| !each.is_empty()).map(|each| each.iter().sum::<f64>() / each.len() as f64)
        };
        let metric = |(name, loss, root): (&'static str, Loss, bool)| {
            mean(loss).map(|mean| (name, if root { mean.sqrt() } else { mean }))
        };
        METRICS.into_iter().filter_map(metric).collect()
    }

    /// Metrics of rows that nobody has labelled; empty of none.
    pub fn estimate(&self, rows: Predicted<'_>) -> Vec<Estimate> {
        let n = rows.said.len();
        if n == 0 {
            return Vec::new();
        }
        let rows = self.cuts.bins(&columns(rows));
        let mean = |of: &Learnt| (0..n).map(|row| of.forest.at(&rows, row)).sum::<f64>() / n as f64;
        let means: Vec<f64> = self.learnt.iter().map(mean).collect();
        let mut found = Vec::new();
        for ((metric, loss, root), limits) in METRICS.iter().zip(&self.thresholds) {
            let Some(at) = self.learnt.iter().position(|l| l.loss == *loss) else { continue };
            let learnt = &self.learnt[at];
            let error = learnt.deviation / (n as f64).sqrt();
            let (value, error) =
                if *root { (means[at].max(0.0).sqrt(), error / 2.0 / learnt.mean.sqrt()) } else { (means[at], error) };
            found.push(Estimate::new(metric, value, error, ((0.0, f64::INFINITY), *limits)));
        }
        found
    }
}
