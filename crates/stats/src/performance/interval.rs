//! Intervals, and what can be said of two measures from theirs.

use crate::special::normal_quantile;
use serde::Serialize;

/// How often intervals hold what is true, e.g. 0.95.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Level {
    confidence: f64,
    z: f64,
}

impl Level {
    /// `None` unless `confidence` is between 0 and 1.
    pub fn new(confidence: f64) -> Option<Self> {
        let inside = confidence > 0.0 && confidence < 1.0;
        inside.then(|| Self { confidence, z: -normal_quantile((1.0 - confidence) / 2.0) })
    }

    /// The share of intervals that hold what is true.
    pub fn confidence(self) -> f64 {
        self.confidence
    }

    /// The normal quantile of half of what is left.
    pub fn z(self) -> f64 {
        self.z
    }

    /// The probability of being outside.
    pub(super) fn alpha(self) -> f64 {
        1.0 - self.confidence
    }
}

impl Default for Level {
    /// 95 %.
    fn default() -> Self {
        Self { confidence: 0.95, z: 1.959_963_984_540_054 }
    }
}

/// How an interval was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Method {
    /// A share's own.
    Wilson,
    /// F1 is a rising function of the Jaccard index, which is a share.
    WilsonOfJaccard,
    /// From the intervals of the parts: what is lost on either side adds up in squares.
    Mover,
    /// The gradient over the cells of the confusion matrix, on the logit's or Fisher's scale.
    Delta,
    /// The components of an area under a ROC curve.
    DeLong,
    /// On the logit's scale, from the number of positives.
    Logit,
    /// A mean of losses of rows or of queries.
    CentralLimit,
    /// Two values of the sorted column; holds whatever the distribution is.
    OrderStatistics,
    /// Of every pair of groups, each at a level divided by their number: none of them is outside of it.
    Simultaneous,
    /// An estimate of likelihood and the curvature there.
    Wald,
    /// No further away than the noise of all parts together, whose distribution is drawn; holds more often than asked.
    Triangle,
}

impl Method {
    /// Where it is from.
    pub fn source(self) -> &'static str {
        match self {
            Self::Wilson => "Wilson 1927",
            Self::WilsonOfJaccard => "Wilson 1927, of the Jaccard index",
            Self::Mover => "Newcombe 1998; Zou and Donner 2008",
            Self::Delta => "delta method; Fleiss, Cohen and Everitt 1969; Takahashi et al. 2022",
            Self::DeLong => "DeLong, DeLong and Clarke-Pearson 1988",
            Self::Logit => "Boyd, Eng and Page 2013",
            Self::CentralLimit => "central limit theorem",
            Self::OrderStatistics => "order statistics; Conover 1999",
            Self::Simultaneous => "Newcombe 1998; Donner and Zou 2012, Bonferroni over pairs",
            Self::Wald => "Cox 1958; Wald",
            Self::Triangle => "triangle inequality over the bins' normal noise",
        }
    }
}

/// What holds a value with the probability that was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Interval {
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
    /// How it was made.
    pub method: Method,
}

/// A metric's value, and between what it is.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Measure {
    /// The value.
    pub value: f64,
    /// `None` where no method is valid.
    pub interval: Option<Interval>,
}

impl Measure {
    /// Without an interval.
    pub(super) fn bare(value: f64) -> Self {
        Self { value, interval: None }
    }

    pub(super) fn between(value: f64, ends: (f64, f64), method: Method) -> Self {
        Self { value, interval: Some(Interval { low: ends.0, high: ends.1, method }) }
    }

    /// The value ± z standard errors on the scale of a metric that is 0 to 1; no interval without spread or at an end.
    pub(super) fn share(value: f64, error: f64, (level, method): (Level, Method)) -> Self {
        let spread = value * (1.0 - value);
        if !(spread > 0.0 && error > 0.0) {
            return Self::bare(value);
        }
        let (middle, reach) = ((value / (1.0 - value)).ln(), level.z() * error / spread);
        let back = |x: f64| 1.0 / (1.0 + (-x).exp());
        Self::between(value, (back(middle - reach), back(middle + reach)), method)
    }

    /// The same for one that is −1 to 1, on Fisher's scale.
    pub(super) fn agreement(value: f64, error: f64, level: Level) -> Self {
        let spread = 1.0 - value * value;
        if !(spread > 0.0 && error > 0.0) {
            return Self::bare(value);
        }
        let (middle, reach) = (value.atanh(), level.z() * error / spread);
        Self::between(value, ((middle - reach).tanh(), (middle + reach).tanh()), Method::Delta)
    }

    /// Of a rising function of the measure.
    pub(super) fn map(self, f: impl Fn(f64) -> f64) -> Self {
        let interval = self.interval.map(|i| Interval { low: f(i.low), high: f(i.high), method: i.method });
        Self { value: f(self.value), interval }
    }

    /// Not below `least`.
    pub(super) fn at_least(self, least: f64) -> Self {
        self.map(|x| x.max(least))
    }
}

/// A share of `n`; `None` of none.
pub fn wilson(part: u64, n: u64, level: Level) -> Option<Measure> {
    if n == 0 {
        return None;
    }
    let (n, z2) = (n as f64, level.z() * level.z());
    let p = part as f64 / n;
    let middle = (p + z2 / (2.0 * n)) / (1.0 + z2 / n);
    let reach = level.z() / (1.0 + z2 / n) * (p * (1.0 - p) / n + z2 / (4.0 * n * n)).sqrt();
    // At the ends they meet the value, but for the last digit.
    let ends = ((middle - reach).clamp(0.0, p), (middle + reach).clamp(p, 1.0));
    Some(Measure::between(p, ends, Method::Wilson))
}

/// How much greater `a` is than `b`, which was taken on other rows (MOVER; of shares this is Newcombe's method 10).
pub fn difference(a: &Measure, b: &Measure) -> Measure {
    let value = a.value - b.value;
    let (Some(x), Some(y)) = (a.interval, b.interval) else { return Measure::bare(value) };
    let low = value - (a.value - x.low).hypot(y.high - b.value);
    let high = value + (x.high - a.value).hypot(b.value - y.low);
    Measure::between(value, (low, high), Method::Mover)
}

/// How many times as great `a` is as `b`, of measures that are never below zero (MOVER-R, Donner and Zou 2012).
/// `None` where `b` is zero; no upper end, and so no interval, where `b` may be.
pub fn ratio(a: &Measure, b: &Measure) -> Option<Measure> {
    if b.value <= 0.0 {
        return None;
    }
    let value = a.value / b.value;
    let (Some(x), Some(y)) = (a.interval, b.interval) else { return Some(Measure::bare(value)) };
    if y.low <= 0.0 || x.low < 0.0 {
        return Some(Measure::bare(value));
    }
    let product = a.value * b.value;
    // (ab ± √((ab)² − x y (2a − x)(2b − y))) / (y (2b − y)), where the other end of b stands for y.
    let end = |x: f64, y: f64, sign: f64| {
        let below = y * (2.0 * b.value - y);
        let inside = product * product - x * (2.0 * a.value - x) * below;
        (product + sign * inside.max(0.0).sqrt()) / below
    };
    let (low, high) = (end(x.low, y.high, -1.0), end(x.high, y.low, 1.0));
    let sound = low.is_finite() && high.is_finite() && low <= value && value <= high;
    Some(if sound { Measure::between(value, (low.max(0.0), high), Method::Mover) } else { Measure::bare(value) })
}
