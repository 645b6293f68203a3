//! What is measured, fixed when the rollout begins.

use crate::event::Exposure;
use crate::spec::{Covariate, MetricKind, MetricSpec, RolloutSpec, STABLE, Source, StepKind};
use mainspring_stats::decision::{Direction, ErrorRates, Role};
use mainspring_stats::sequential::Measure;
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

/// One metric.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Planned {
    pub name: String,
    pub role: Role,
    pub direction: Direction,
    /// Whether a promotion waits for it.
    pub required: bool,
    pub test: Test,
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
    pub(crate) rates: ErrorRates,
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
        let mut planned = Vec::new();
        for (role, all) in [(Role::Guardrail, &metrics.guardrails), (Role::Success, &metrics.success)] {
            planned.extend(all.iter().map(|m| plan_metric(m, role)));
        }
        planned.extend(metrics.signals.iter().map(|s| Planned {
            name: s.name.clone(),
            role: Role::Signal,
            direction: Direction::Up,
            required: false,
            test: match (s.max_shift, s.psi) {
                (_, Some(most)) => Test::Psi { source: s.source.clone(), most },
                (most, None) => Test::Shift { source: s.source.clone(), most: most.unwrap_or_default() },
            },
        }));
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
        let shadowed = spec.steps.iter().any(|s| s.shadow.is_some());
        let tests =
            metrics.success.len() + metrics.guardrails.len() + usize::from(shadowed) + usize::from(compare.is_some());
        let candidates = spec.candidates.iter().map(|c| c.name.to_string());
        // Each candidate is one more chance to be wrong.
        let alpha = spec.decision.alpha / spec.candidates.len().max(1) as f64;
        Self {
            variants: std::iter::once(STABLE.to_owned()).chain(candidates).collect(),
            warmup: i64::try_from(spec.warmup_exclude.0.as_micros()).unwrap_or(i64::MAX),
            // The tests in the shadow can roll a harmless candidate back, too.
            rates: ErrorRates {
                harm: alpha / tests.max(1) as f64,
                ..ErrorRates::plan(alpha, 0.2, metrics.success.len(), metrics.guardrails.len())
            },
            metrics: planned,
            alpha,
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

fn plan_metric(metric: &MetricSpec, role: Role) -> Planned {
    let source = || metric.source.clone().unwrap_or(Source::Latency);
    let covariate = metric.cuped.as_ref().map(|cuped| cuped.covariate.clone());
    let test = match metric.kind {
        MetricKind::Errors => Test::Errors { margin: metric.margin(), tolerable: metric.non_inferiority() },
        MetricKind::Quantile => Test::Slow { q: metric.q.unwrap_or(0.99), margin: metric.margin() },
        MetricKind::Mean | MetricKind::Ratio | MetricKind::Total => Test::Mean {
            source: source(),
            over: metric.over.clone(),
            measure: if metric.kind == MetricKind::Total { Measure::Mean } else { Measure::Ratio },
            margin: metric.non_inferiority(),
            binary: metric.binary,
            covariate,
        },
    };
    let (name, direction) = (metric.name.clone(), metric.direction());
    Planned { name, role, direction, required: metric.delay.is_none(), test }
}
