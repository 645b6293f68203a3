//! What is measured, fixed when the rollout begins.

use super::grouped::GroupPlan;
use crate::event::Exposure;
use crate::spec::{
    Covariate, DEFAULT_LOOKS, MetricKind, MetricSpec, MetricTest, RolloutSpec, STABLE, SignalSpec, Source,
    SpendingSpec, StepKind,
};
use mainspring_stats::decision::{Direction, Role};
use mainspring_stats::sequential::{Measure, Spending};
use mainspring_traffic::Contexts;
use std::time::Duration;

/// Units of the two variants, split evenly, from which asymptotic tests look.
pub(crate) const BURN_IN: f64 = 200.0;
/// How often a rare outcome must be expected in each variant before an asymptotic test looks.
pub(crate) const RARE: f64 = 10.0;

/// How one metric is tested.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Test {
    Errors {
        margin: f64,
        tolerable: f64,
        /// Whether the difference of the parts that fail is tested, and not their ratio.
        difference: bool,
    },
    Slow {
        q: f64,
        margin: f64,
    },
    Mean {
        source: Source,
        over: Option<Source>,
        measure: Measure,
        margin: f64,
        /// Whether its values are declared to be 0 and 1.
        binary: bool,
        covariate: Option<Covariate>,
        by: By,
    },
    Shift {
        source: Source,
        most: f64,
    },
    Psi {
        source: Source,
        most: f64,
    },
}

/// By which test a mean is tested.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum By {
    /// The asymptotic confidence sequence, at its best at the plan's `expected_units`.
    Asymptotic,
    /// The mixture sequential probability ratio test, with this standard deviation of the effects.
    Msprt { tau: f64 },
    /// A group-sequential test.
    Group(GroupPlan),
}

/// The error rates of the questions that are asked of one metric of one candidate.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Rates {
    pub harm: f64,
    pub holds: f64,
    pub better: f64,
    /// Of the interval that is shown.
    pub interval: f64,
}

/// One metric.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Planned {
    pub name: String,
    pub role: Role,
    pub direction: Direction,
    /// Whether a promotion waits for it.
    pub required: bool,
    pub test: Test,
    pub rates: Rates,
    /// What the file says of how it is tested: the test, and whether it has an error rate of its own.
    pub said: Option<(MetricTest, bool)>,
}

/// What a bandit learns from.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Reward {
    /// Its metric, among those of the plan.
    pub metric: usize,
    /// Its step.
    pub step: u16,
    /// The contexts that it tells apart, if it does.
    pub contexts: Option<Contexts>,
}

/// What is measured, fixed when the rollout begins: tests that were chosen after a look at the data would not keep what
/// they promise.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// Names of the variants, stable first.
    pub(crate) variants: Vec<String>,
    /// Microseconds after a change of weights that do not count.
    pub(crate) warmup: i64,
    pub(crate) metrics: Vec<Planned>,
    /// The error rate of each test in the shadow.
    pub(crate) shadow_harm: f64,
    pub(crate) alpha: f64,
    pub(crate) srm_alpha: f64,
    pub(crate) most_conflicts: f64,
    pub(crate) expected_units: f64,
    /// The output whose differences are watched in the shadow, and their mean at most.
    pub(crate) compare: Option<(String, f64)>,
    pub(crate) shadow_margin: f64,
    pub(crate) bandit: Option<Reward>,
    /// Whether a metric has a covariate.
    cuped: bool,
}

impl Plan {
    /// What a spec wants measured.
    pub fn of(spec: &RolloutSpec) -> Self {
        let metrics = &spec.metrics;
        let shares = Shares::of(spec);
        let mut planned = Vec::new();
        for (role, all) in [
            (Role::Guardrail, &metrics.guardrails),
            (Role::Success, &metrics.success),
            (Role::Reported, &metrics.report),
        ] {
            planned.extend(all.iter().map(|m| plan_metric(m, role, &shares)));
        }
        planned.extend(metrics.signals.iter().map(|s| plan_signal(s, &shares)));
        let cuped = planned.iter().any(|m| matches!(&m.test, Test::Mean { covariate: Some(_), .. }));
        let bandit = (0_u16..).zip(&spec.steps).find_map(|(step, s)| {
            let name = spec.reward(s)?;
            let metric = planned.iter().position(|m| m.role == Role::Success && m.name == name)?;
            let contexts = s.contextual_bandit.as_ref().and_then(|s| s.contexts().ok());
            Some(Reward { metric, step, contexts })
        });
        let compare = spec.steps.iter().find_map(|s| match s.kind()? {
            StepKind::Shadow(shadow) => shadow.compare.as_ref().map(|c| (c.output.clone(), c.max_mean_abs_diff)),
            StepKind::Canary(_) | StepKind::AbTest(_) | StepKind::Bandit(_) | StepKind::ContextualBandit(_) => None,
        });
        let shadow_margin = planned.iter().find_map(|m| match m.test {
            Test::Errors { margin, .. } => Some(margin),
            _ => None,
        });
        let candidates = spec.candidates.iter().map(|c| c.name.to_string());
        Self {
            variants: std::iter::once(STABLE.to_owned()).chain(candidates).collect(),
            warmup: i64::try_from(spec.warmup_exclude.0.as_micros()).unwrap_or(i64::MAX),
            shadow_harm: shares.harm,
            metrics: planned,
            alpha: shares.alpha,
            srm_alpha: metrics.quality.srm.alpha,
            most_conflicts: metrics.quality.multiple_exposure.max_percent / 100.0,
            expected_units: spec.decision.expected_units as f64,
            compare,
            shadow_margin: shadow_margin.unwrap_or(1.5),
            bandit,
            cuped,
        }
    }

    /// What was known of an exposed unit before, for each mean in their order: the inputs that the metrics name, 0 where the
    /// request has none.
    pub(crate) fn covariates(&self, e: &Exposure) -> Box<[f64]> {
        if !self.cuped {
            return Box::default();
        }
        let value = |name: &str| e.inputs.iter().find(|(n, v)| **n == *name && v.is_finite()).map(|(_, v)| *v);
        let means = self.metrics.iter().filter_map(|m| match &m.test {
            Test::Mean { covariate, .. } => Some(covariate.as_ref()),
            Test::Shift { .. } => Some(None),
            Test::Errors { .. } | Test::Slow { .. } | Test::Psi { .. } => None,
        });
        let known = |covariate: &Covariate| match covariate {
            Covariate::Input(name) => value(name),
            Covariate::Before(_) => None,
        };
        means.map(|covariate| covariate.and_then(known).unwrap_or_default()).collect()
    }

    /// The inputs that metrics name as their covariates.
    pub fn inputs(&self) -> Vec<String> {
        let mut all: Vec<String> = Vec::new();
        for metric in &self.metrics {
            if let Test::Mean { covariate: Some(Covariate::Input(name)), .. } = &metric.test
                && !all.contains(name)
            {
                all.push(name.clone());
            }
        }
        all
    }

    /// The metrics whose units are wanted from before the rollout, what each is of, and how far back.
    pub fn before(&self) -> Vec<(String, Source, Duration)> {
        let wanted = |m: &Planned| match &m.test {
            Test::Mean { source, covariate: Some(Covariate::Before(window)), .. } => {
                Some((m.name.clone(), source.clone(), *window))
            }
            _ => None,
        };
        self.metrics.iter().filter_map(wanted).collect()
    }

    /// The labels that are measured.
    pub fn labels(&self) -> Vec<String> {
        self.sources(|s| match s {
            Source::Label(name) => Some(name.clone()),
            Source::Latency | Source::Output(_) => None,
        })
    }

    /// The outputs that are measured.
    pub fn outputs(&self) -> Vec<String> {
        let mut all = self.sources(|s| match s {
            Source::Output(name) => Some(name.clone()),
            Source::Latency | Source::Label(_) => None,
        });
        all.extend(
            self.compare.iter().map(|(name, _)| name.clone()).filter(|name| !all.contains(name)).collect::<Vec<_>>(),
        );
        all
    }

    fn sources(&self, name: impl Fn(&Source) -> Option<String>) -> Vec<String> {
        let mut all: Vec<String> = Vec::new();
        for metric in &self.metrics {
            let (source, over) = match &metric.test {
                Test::Mean { source, over, .. } => (Some(source), over.as_ref()),
                Test::Shift { source, .. } | Test::Psi { source, .. } => (Some(source), None),
                Test::Errors { .. } | Test::Slow { .. } => (None, None),
            };
            for name in [source, over].into_iter().flatten().filter_map(&name) {
                if !all.contains(&name) {
                    all.push(name);
                }
            }
        }
        all
    }
}

/// How `decision.alpha` is shared out among the tests of one candidate: each candidate is one more chance to be wrong.
///
/// A metric with an error rate of its own has that for each of its questions, and the others share what is left. So the
/// decision keeps its own rate, whoever has which part (Bonferroni): a harmless candidate is rolled back, and one that is no
/// better promoted, with `decision.alpha` at most.
struct Shares {
    candidates: f64,
    /// Of the decision, and of each guardrail's question whether it holds: all of them must pass, so that more of them make
    /// shipping by mistake only rarer (an intersection-union test).
    alpha: f64,
    /// Of each question whether something is worse, where the metric has no rate of its own.
    harm: f64,
    /// The same for whether a success metric is better.
    success: f64,
}

impl Shares {
    fn of(spec: &RolloutSpec) -> Self {
        let (metrics, candidates) = (&spec.metrics, spec.candidates.len().max(1) as f64);
        let alpha = spec.decision.alpha / candidates;
        let shared = |own: f64, tests: usize| (alpha - own / candidates) / tests.max(1) as f64;
        let (owned, tests) = spec.own_rates();
        let success: f64 = metrics.success.iter().filter_map(|m| m.alpha).sum();
        let without = metrics.success.iter().filter(|m| m.alpha.is_none()).count();
        Self { candidates, alpha, harm: shared(owned, tests), success: shared(success, without) }
    }

    fn rates(&self, own: Option<f64>, role: Role) -> Rates {
        if let Some(own) = own.map(|own| own / self.candidates) {
            return Rates { harm: own, holds: own, better: own, interval: own };
        }
        let better = if role == Role::Success { self.success } else { self.alpha };
        Rates { harm: self.harm, holds: self.alpha, better, interval: self.alpha }
    }
}

fn plan_metric(metric: &MetricSpec, role: Role, shares: &Shares) -> Planned {
    let source = || metric.source.clone().unwrap_or(Source::Latency);
    let covariate = metric.cuped.as_ref().map(|cuped| cuped.covariate.clone());
    let test = match metric.kind {
        MetricKind::Errors => Test::Errors {
            margin: metric.margin(),
            tolerable: metric.non_inferiority(),
            difference: metric.test() == MetricTest::Betting,
        },
        MetricKind::Quantile => Test::Slow { q: metric.q.unwrap_or(0.99), margin: metric.margin() },
        MetricKind::Mean | MetricKind::Ratio | MetricKind::Total => Test::Mean {
            source: source(),
            over: metric.over.clone(),
            measure: if metric.kind == MetricKind::Total { Measure::Mean } else { Measure::Ratio },
            margin: metric.non_inferiority(),
            binary: metric.binary,
            covariate,
            by: by(metric),
        },
    };
    let chosen = metric.test.is_some() || metric.alpha.is_some();
    Planned {
        name: metric.name.clone(),
        role,
        direction: metric.direction(),
        required: metric.delay.is_none() && role != Role::Reported,
        test,
        rates: shares.rates(metric.alpha, role),
        said: chosen.then(|| (metric.test(), metric.alpha.is_some())),
    }
}

fn plan_signal(signal: &SignalSpec, shares: &Shares) -> Planned {
    Planned {
        name: signal.name.clone(),
        role: Role::Signal,
        direction: Direction::Up,
        required: false,
        test: match (signal.max_shift, signal.psi) {
            (_, Some(most)) => Test::Psi { source: signal.source.clone(), most },
            (most, None) => Test::Shift { source: signal.source.clone(), most: most.unwrap_or_default() },
        },
        rates: shares.rates(signal.alpha, Role::Signal),
        said: None,
    }
}

/// What validation asks for is there.
fn by(metric: &MetricSpec) -> By {
    match metric.test() {
        MetricTest::Msprt => By::Msprt { tau: metric.tau.or(metric.min_effect).unwrap_or_default() },
        MetricTest::GroupSequential => By::Group(GroupPlan {
            max_units: metric.max_units.unwrap_or_default() as f64,
            looks: metric.looks.unwrap_or(DEFAULT_LOOKS),
            spending: match metric.spending {
                Some(SpendingSpec::Pocock) => Spending::Pocock,
                Some(SpendingSpec::OBrienFleming) | None => Spending::OBrienFleming,
            },
        }),
        MetricTest::Asymptotic | MetricTest::RateRatio | MetricTest::Betting | MetricTest::Exceedance => By::Asymptotic,
    }
}
