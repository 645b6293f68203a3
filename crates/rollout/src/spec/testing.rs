//! How a metric is tested, and at which error rate.

use super::check::{SpecError, ensure, rate};
use super::{MetricKind, MetricSpec, RolloutSpec};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Looks of a group-sequential test where the file says none.
pub(crate) const DEFAULT_LOOKS: u32 = 5;
const MOST_LOOKS: u32 = 20;

/// How a metric is tested. All of them may be looked at while it runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum MetricTest {
    /// For `mean`, `total` and `ratio`, and what they have when nothing is said: the asymptotic confidence sequence, at its best
    /// at `decision.expectedUnits`.
    Asymptotic,
    /// For `mean`, `total` and `ratio`: the mixture sequential probability ratio test, at its best where effects are about as
    /// large as `tau`.
    Msprt,
    /// For `mean`, `total` and `ratio`: a few looks until a known end, `maxUnits`. Where units are known to come, the surest to
    /// find an effect.
    GroupSequential,
    /// For `errors`, and what they have when nothing is said: how many times as often the candidate fails.
    RateRatio,
    /// For `errors`: by how much a larger part of the units fails, in each unit's first request, by bets.
    Betting,
    /// For `quantile`, and what it has when nothing is said: how many times as often the candidate is slow.
    Exceedance,
}

impl MetricTest {
    /// The tests of a kind of metric, its own first.
    pub fn of(kind: MetricKind) -> &'static [Self] {
        match kind {
            MetricKind::Errors => &[Self::RateRatio, Self::Betting],
            MetricKind::Quantile => &[Self::Exceedance],
            MetricKind::Mean | MetricKind::Total | MetricKind::Ratio => {
                &[Self::Asymptotic, Self::Msprt, Self::GroupSequential]
            }
        }
    }

    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Asymptotic => "asymptotic",
            Self::Msprt => "msprt",
            Self::GroupSequential => "groupSequential",
            Self::RateRatio => "rateRatio",
            Self::Betting => "betting",
            Self::Exceedance => "exceedance",
        }
    }
}

/// How a group-sequential test spends its error rate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum SpendingSpec {
    /// Hardly anything early, in the manner of O'Brien and Fleming: nearly nothing is lost beside a single look at the end.
    #[serde(rename = "obrienFleming")]
    OBrienFleming,
    /// Evenly, in the manner of Pocock: large effects are found sooner.
    Pocock,
}

impl MetricSpec {
    /// How it is tested.
    pub fn test(&self) -> MetricTest {
        self.test.unwrap_or(MetricTest::of(self.kind)[0])
    }
}

impl RolloutSpec {
    /// The metrics' own error rates together, and how many tests share what they leave of `decision.alpha`. The tests in the
    /// shadow can roll a harmless candidate back, too.
    pub(crate) fn own_rates(&self) -> (f64, usize) {
        let all = || self.metrics.guardrails.iter().chain(&self.metrics.success);
        let shadows = || self.steps.iter().filter_map(|s| s.shadow.as_ref());
        let shadow = usize::from(shadows().next().is_some()) + usize::from(shadows().any(|s| s.compare.is_some()));
        (all().filter_map(|m| m.alpha).sum(), all().filter(|m| m.alpha.is_none()).count() + shadow)
    }

    /// What the metrics' own error rates leave for the others.
    pub(super) fn check_rates(&self) -> Result<(), SpecError> {
        let ((own, others), alpha) = (self.own_rates(), self.decision.alpha);
        if own == 0.0 {
            return Ok(());
        }
        // What is written as 0.02 + 0.03 is not quite 0.05.
        let slack = alpha * 1e-9;
        let fits = if others == 0 { own <= alpha + slack } else { own < alpha - slack };
        let left = if others == 0 { String::new() } else { format!(", and {others} tests without one share the rest") };
        let why = format!(
            "the metrics' own error rates are {own} together, of the {alpha} that decision.alpha has for all of \
             them{left}; give less to some, or raise decision.alpha"
        );
        ensure(fits, "metrics", why)
    }

    /// A group-sequential test wants weights that nothing moves that it has seen.
    pub(super) fn check_bandit_tests(&self) -> Result<(), SpecError> {
        if !self.steps.iter().any(super::StepSpec::learns) {
            return Ok(());
        }
        let metrics = &self.metrics;
        let lists = [("guardrails", &metrics.guardrails), ("success", &metrics.success), ("report", &metrics.report)];
        for (list, all) in lists {
            for (i, metric) in all.iter().enumerate() {
                let path = format!("metrics.{list}[{i}].test");
                let why = "a bandit moves its weights by what was seen, which groupSequential does not allow for; use \
                           asymptotic or msprt";
                ensure(metric.test() != MetricTest::GroupSequential, &path, why)?;
            }
        }
        Ok(())
    }
}

/// Whether the test of a metric fits it, and has what it needs.
pub(super) fn check(metric: &MetricSpec, at: &dyn Fn(&str) -> String) -> Result<(), SpecError> {
    let fitting = MetricTest::of(metric.kind);
    if !fitting.contains(&metric.test()) {
        let names: Vec<&str> = fitting.iter().map(|test| test.as_str()).collect();
        let kind = metric.kind.as_str();
        let why = format!("{} does not fit kind {kind}; what does: {}", metric.test().as_str(), names.join(", "));
        return ensure(false, &at("test"), why);
    }
    if let Some(alpha) = metric.alpha {
        rate(alpha, &at("alpha"))?;
    }
    let test = metric.test();
    let differs = metric.margin.is_some() && test == MetricTest::Betting;
    ensure(!differs, &at("margin"), "betting tests a difference: give nonInferiority instead")?;
    let msprt = test == MetricTest::Msprt;
    ensure(metric.tau.is_none() || msprt, &at("tau"), "only `test: msprt` has it")?;
    ensure(metric.tau.is_none_or(|t| t > 0.0 && t.is_finite()), &at("tau"), "must be more than 0")?;
    let known = !msprt || metric.tau.or(metric.min_effect).is_some();
    ensure(
        known,
        &at("tau"),
        "msprt needs the size of effects to expect, in the metric's unit: give tau or minEffect",
    )?;
    let grouped = test == MetricTest::GroupSequential;
    for (field, given) in [
        ("maxUnits", metric.max_units.is_some()),
        ("looks", metric.looks.is_some()),
        ("spending", metric.spending.is_some()),
    ] {
        ensure(!given || grouped, &at(field), "only `test: groupSequential` has it")?;
    }
    let why = "groupSequential needs a known end: say how many units of stable and of a candidate there will be, such \
               as maxUnits: 20000";
    ensure(!grouped || metric.max_units.is_some(), &at("maxUnits"), why)?;
    let fits = metric.max_units.is_none_or(|n| n >= 400);
    ensure(fits, &at("maxUnits"), "must be 400 or more: a mean of fewer is not normal enough")?;
    let fits = metric.looks.is_none_or(|n| (1..=MOST_LOOKS).contains(&n));
    ensure(fits, &at("looks"), format!("must be 1 to {MOST_LOOKS}"))
}
