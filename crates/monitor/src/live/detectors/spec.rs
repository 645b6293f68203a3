//! What a monitor's file says of stream detectors.

use super::Method;
use crate::live::spec::{SpecError, check};
use mainspring_stats::stream::{Adwin, AdwinLimits, Ddm, Direction, Kswin, PageHinkley, PageHinkleyLimits};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Values that KSWIN may keep: they are a part of the state, which is written with each look.
const MOST_KEPT: u32 = 1_000;

/// A detector of `river` and the columns that it watches. Exactly one of them is named.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DetectorSpec {
    /// Which columns: names or patterns such as `in.*`, `out.score`, and `error.NAME` of a label. A column of which all
    /// values are texts is taken only where it is named without `*`.
    #[schemars(length(min = 1))]
    pub columns: Vec<String>,
    /// Whether each value of the monitor's `segments` has detectors of its own, too: they see its rows alone.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub by_segment: bool,
    /// ADWIN: whether the mean of the column is no longer what it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub adwin: Option<AdwinSpec>,
    /// KSWIN: whether the newest values are of another distribution than those before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kswin: Option<KswinSpec>,
    /// Page and Hinkley's test: whether the mean of the column is no longer what it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub page_hinkley: Option<PageHinkleySpec>,
    /// DDM: whether a rate of errors has risen above its best. Of columns of 0 and 1, or of true and false.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ddm: Option<DdmSpec>,
}

/// `river.drift.ADWIN`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct AdwinSpec {
    /// The chance that one cut is wrong.
    pub delta: f64,
    /// Rows from one look for a cut to the next.
    #[schemars(range(min = 1))]
    pub clock: u32,
    /// Buckets of one size before two of them become one.
    #[schemars(range(min = 1, max = 64))]
    pub max_buckets: u32,
    /// The least rows on each side of a cut.
    #[schemars(range(min = 1))]
    pub min_window_length: u32,
    /// Rows before the first look.
    pub grace_period: u32,
}

/// `river.drift.KSWIN`. Chance is seeded, so that the same rows give the same answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct KswinSpec {
    /// The level of the test that is made at each row.
    pub alpha: f64,
    /// Rows that are kept, at least twice `statSize`.
    #[schemars(range(min = 2, max = 1000))]
    pub window_size: u32,
    /// The newest of them, which are compared with as many of the others.
    #[schemars(range(min = 1, max = 500))]
    pub stat_size: u32,
    /// Decides which of the others are drawn.
    pub seed: u64,
}

/// `river.drift.PageHinkley`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct PageHinkleySpec {
    /// Rows before the first verdict.
    pub min_instances: u64,
    /// Change that is tolerated, in the column's unit.
    pub delta: f64,
    /// The sum of deviations at which a change is called, in the column's unit: what 50 is depends on the column.
    pub threshold: f64,
    /// What is left of the sum at each row.
    pub alpha: f64,
    /// Which change counts.
    pub mode: Mode,
}

/// `river.drift.binary.DDM`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct DdmSpec {
    /// Rows before the first verdict.
    pub warm_start: u64,
    /// Standard deviations above the best rate at which it warns.
    pub warning_threshold: f64,
    /// The same at which it calls a change.
    pub drift_threshold: f64,
}

/// Which change of a mean counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// A rise.
    Up,
    /// A fall.
    Down,
    /// Either.
    Both,
}

impl Default for AdwinSpec {
    fn default() -> Self {
        let AdwinLimits { delta, clock, max_buckets, min_window_length, grace_period } = AdwinLimits::default();
        Self { delta, clock, max_buckets: max_buckets as u32, min_window_length, grace_period }
    }
}

impl Default for KswinSpec {
    fn default() -> Self {
        Self { alpha: 0.005, window_size: 100, stat_size: 30, seed: 0 }
    }
}

impl Default for PageHinkleySpec {
    fn default() -> Self {
        let PageHinkleyLimits { least, delta, threshold, forget, .. } = PageHinkleyLimits::default();
        Self { min_instances: least, delta, threshold, alpha: forget, mode: Mode::Both }
    }
}

impl Default for DdmSpec {
    fn default() -> Self {
        Self { warm_start: 30, warning_threshold: 2.0, drift_threshold: 3.0 }
    }
}

impl DetectorSpec {
    /// The detector before its first value.
    pub(super) fn method(&self, path: &str) -> Result<Method, SpecError> {
        let expected = "exactly one of adwin, kswin, pageHinkley and ddm, such as `adwin: {}`";
        let named = usize::from(self.adwin.is_some())
            + usize::from(self.kswin.is_some())
            + usize::from(self.page_hinkley.is_some())
            + usize::from(self.ddm.is_some());
        check(named == 1, path, format!("of {named} detectors"), expected)?;
        let open = |value: f64| value > 0.0 && value < 1.0;
        if let Some(AdwinSpec { delta, clock, max_buckets, min_window_length, grace_period }) = self.adwin {
            let path = format!("{path}.adwin");
            check(open(delta), &format!("{path}.delta"), delta, "between 0 and 1")?;
            let places = (1..=64).contains(&max_buckets);
            check(places, &format!("{path}.maxBuckets"), max_buckets, "from 1 to 64")?;
            check(clock > 0, &format!("{path}.clock"), clock, "at least 1")?;
            check(min_window_length > 0, &format!("{path}.minWindowLength"), min_window_length, "at least 1")?;
            let limits =
                AdwinLimits { delta, clock, max_buckets: max_buckets as usize, min_window_length, grace_period };
            return Adwin::new(limits).map(Method::Adwin).map_err(|e| wrong(&path, &e));
        }
        if let Some(KswinSpec { alpha, window_size, stat_size, seed }) = self.kswin {
            let path = format!("{path}.kswin");
            check(open(alpha), &format!("{path}.alpha"), alpha, "between 0 and 1")?;
            check(window_size <= MOST_KEPT, &format!("{path}.windowSize"), window_size, "at most 1000")?;
            let newest = (1..=window_size / 2).contains(&stat_size);
            check(newest, &format!("{path}.statSize"), stat_size, "at least 1, and at most half of windowSize")?;
            let made = Kswin::new(alpha, window_size as usize, stat_size as usize, seed);
            return made.map(Method::Kswin).map_err(|e| wrong(&path, &e));
        }
        if let Some(PageHinkleySpec { min_instances: least, delta, threshold, alpha, mode }) = self.page_hinkley {
            let path = format!("{path}.pageHinkley");
            let some = |value: f64| value.is_finite() && value >= 0.0;
            check(some(delta), &format!("{path}.delta"), delta, "0 or more")?;
            check(some(threshold) && threshold > 0.0, &format!("{path}.threshold"), threshold, "over 0")?;
            check(alpha > 0.0 && alpha <= 1.0, &format!("{path}.alpha"), alpha, "over 0 and at most 1")?;
            let direction = match mode {
                Mode::Up => Direction::Up,
                Mode::Down => Direction::Down,
                Mode::Both => Direction::Both,
            };
            let limits = PageHinkleyLimits { least, delta, threshold, forget: alpha, direction };
            return Ok(Method::PageHinkley(PageHinkley::new(limits)));
        }
        let DdmSpec { warm_start, warning_threshold, drift_threshold } = self.ddm.clone().unwrap_or_default();
        let path = format!("{path}.ddm");
        let warns = warning_threshold.is_finite() && warning_threshold > 0.0;
        check(warns, &format!("{path}.warningThreshold"), warning_threshold, "over 0")?;
        let calls = drift_threshold.is_finite() && drift_threshold >= warning_threshold;
        check(calls, &format!("{path}.driftThreshold"), drift_threshold, "at least warningThreshold")?;
        Ok(Method::Ddm(Ddm::new(warm_start, (warning_threshold, drift_threshold))))
    }

    /// Checks what types cannot; `label` is the column of errors and that of labels, where there are labels.
    pub(in crate::live) fn validate(&self, path: &str, label: Option<&str>) -> Result<(), SpecError> {
        self.method(path)?;
        let columns = format!("{path}.columns");
        check(!self.columns.is_empty(), &columns, "empty", "a list with at least one name or pattern")?;
        for name in &self.columns {
            let truth = name.strip_prefix("error.").or_else(|| name.strip_prefix("label."));
            let there = truth.is_none_or(|of| of.contains('*') && label.is_some() || label == Some(of));
            check(there, &columns, format!("of {name:?}"), "of the monitor's own `label`, whose name stands there")?;
        }
        Ok(())
    }

    /// Whether it names the column without `*`.
    pub(super) fn names(&self, column: &str) -> bool {
        self.columns.iter().any(|name| name == column)
    }
}

fn wrong(path: &str, error: &impl ToString) -> SpecError {
    SpecError { path: path.to_owned(), got: error.to_string(), expected: "as river takes it" }
}
