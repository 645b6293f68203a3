//! What types and serde cannot say about a spec.

use super::{
    ApprovalPoint, BanditStep, ContextualBanditStep, Covariate, MetricKind, MetricSpec, ReplaySpec, RolloutSpec,
    STABLE, Source, StepKind, StepSpec, testing, webhook,
};
use mainspring_core::{ErrorKind, Failure};
use mainspring_resource::HumanDuration;
use mainspring_traffic::{Share, UnitFrom};

/// Why a spec cannot be rolled out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{path}: {reason}")]
pub struct SpecError {
    /// Path of the field at fault: `steps[2].canary.weight`.
    pub path: String,
    /// What is wrong, and what would be right.
    pub reason: String,
}

impl Failure for SpecError {
    fn kind(&self) -> ErrorKind {
        ErrorKind::InvalidInput
    }
}

/// The longest time before a rollout that is looked at.
const MOST_BEFORE: std::time::Duration = std::time::Duration::from_secs(180 * 86_400);

pub(super) fn ensure(ok: bool, path: &str, reason: impl Into<String>) -> Result<(), SpecError> {
    if ok { Ok(()) } else { Err(SpecError { path: path.to_owned(), reason: reason.into() }) }
}

/// A percentage as a share of the traffic, more than nothing.
pub(crate) fn percent(percent: f64) -> Option<Share> {
    Share::from_fraction(percent / 100.0).ok().filter(|s| *s != Share::NONE)
}

pub(super) fn rate(value: f64, path: &str) -> Result<(), SpecError> {
    ensure(value > 0.0 && value < 0.5, path, format!("{value} is no error rate; give more than 0 and less than 0.5"))
}

impl RolloutSpec {
    /// Checks what the types cannot.
    ///
    /// # Errors
    /// [`SpecError`] with the path of the first field at fault.
    pub fn validate(&self) -> Result<(), SpecError> {
        self.check_candidates()?;
        self.check_assignment()?;
        self.check_preflight()?;
        self.check_steps()?;
        self.check_metrics()?;
        self.check_decision()
    }

    fn check_candidates(&self) -> Result<(), SpecError> {
        ensure(!self.candidates.is_empty(), "candidates", "name one candidate or more")?;
        ensure(self.candidates.len() <= 8, "candidates", "8 candidates at most")?;
        for (i, candidate) in self.candidates.iter().enumerate() {
            let taken = candidate.name.as_str() == STABLE;
            ensure(!taken, &format!("candidates[{i}].name"), "`stable` is what the deployment answers with now")?;
            let twice = self.candidates[..i].iter().any(|c| c.name == candidate.name);
            ensure(!twice, &format!("candidates[{i}].name"), "another candidate has this name")?;
            let named = !candidate.model.trim().is_empty();
            ensure(named, &format!("candidates[{i}].model"), "name a model, such as models:/churn/8")?;
        }
        Ok(())
    }

    fn check_assignment(&self) -> Result<(), SpecError> {
        let assignment = &self.assignment;
        if let Err(error) = assignment.unit.parse::<UnitFrom>() {
            return ensure(false, "assignment.unit", error.to_string());
        }
        if let Some(layer) = &assignment.layer {
            let sum: f64 = layer.places.iter().sum();
            let fits = !layer.places.is_empty() && layer.places.iter().all(|p| percent(*p).is_some()) && sum <= 100.0;
            ensure(fits, "assignment.layer.places", "give each place its percent, together 100 at most")?;
            let there = (1..=layer.places.len()).contains(&usize::from(layer.place));
            let last = layer.places.len();
            ensure(there, "assignment.layer.place", format!("place {} is not one of 1 to {last}", layer.place))?;
        }
        if let Some(holdout) = &assignment.holdout {
            let fits = percent(holdout.percent).is_some() && holdout.percent < 100.0;
            ensure(fits, "assignment.holdout.percent", "give more than 0 and less than 100 percent")?;
        }
        Ok(())
    }

    fn check_preflight(&self) -> Result<(), SpecError> {
        let preflight = &self.preflight;
        ensure(!preflight.timeout.0.is_zero(), "preflight.timeout", "must be longer than 0ms")?;
        if let Some(replay) = &preflight.replay {
            check_replay(replay)?;
        }
        for (i, gate) in preflight.gates.iter().enumerate() {
            let path = format!("preflight.gates[{i}]");
            ensure(!gate.metric.is_empty(), &path, "name a metric")?;
            ensure(gate.min.is_some() || gate.max.is_some(), &path, "give min, max or both")?;
        }
        let webhooks = preflight.webhooks.iter().enumerate();
        webhook::check_all(webhooks.map(|(i, webhook)| (format!("preflight.webhooks[{i}]"), webhook)))
    }

    fn check_steps(&self) -> Result<(), SpecError> {
        ensure(!self.steps.is_empty(), "steps", "give at least one step")?;
        ensure(self.steps.len() <= 30, "steps", "30 steps at most")?;
        let mut last: Option<f64> = None;
        for (i, step) in self.steps.iter().enumerate() {
            let weight = check_step(step, i)?;
            self.check_several(step, i)?;
            if let (Some(before), Some(now)) = (last, weight) {
                let reason = format!("{now} percent after {before}: weights must not fall from step to step");
                ensure(now >= before, &format!("steps[{i}]"), reason)?;
            }
            let late = weight.is_none() && last.is_some();
            ensure(!late, &format!("steps[{i}].shadow"), "a shadow comes before the first request does")?;
            last = weight.or(last);
        }
        // What is compared is one comparison over all of them.
        let mut compared = self.steps.iter().filter_map(|step| step.shadow.as_ref()?.compare.as_ref());
        let first = compared.next();
        let same = compared.all(|compare| Some(compare) == first);
        ensure(same, "steps", "shadow steps are compared by one limit: give each the same `compare`, or one alone")?;
        ensure(last.is_some(), "steps", "after the shadow, a canary or an A/B test must show what callers get")
    }

    /// What depends on how many candidates there are.
    fn check_several(&self, step: &StepSpec, i: usize) -> Result<(), SpecError> {
        let candidates = self.candidates.len();
        if step.shadow.is_some() {
            let why = "a shadow has one candidate; leave it out, or roll the candidates out in turn";
            ensure(candidates == 1, &format!("steps[{i}].shadow"), why)?;
        }
        let (name, least) = match step.kind() {
            Some(StepKind::Bandit(bandit)) => ("bandit", bandit.min_weight),
            Some(StepKind::ContextualBandit(bandit)) => ("contextualBandit", bandit.min_weight),
            Some(StepKind::Shadow(_) | StepKind::Canary(_) | StepKind::AbTest(_)) | None => return Ok(()),
        };
        let at = |field: &str| format!("steps[{i}].{name}{field}");
        let why = "a bandit needs two candidates or more: of one and stable each would get half; use abTest";
        // By context even one candidate can have its place beside stable.
        ensure(candidates > 1 || step.contextual_bandit.is_some(), &at(""), why)?;
        ensure(i + 1 == self.steps.len(), &at(""), "a bandit is the last step: it ends with one variant")?;
        let fits = least > 0.0 && least * (candidates + 1) as f64 <= 100.0;
        ensure(fits, &at(".minWeight"), "must be more than 0, and for all variants together at most 100 percent")?;
        let learns = self.reward(step).is_some_and(|name| {
            let fits = |m: &MetricSpec| m.name == name && matches!(m.kind, MetricKind::Mean | MetricKind::Total);
            self.metrics.success.iter().any(fits)
        });
        ensure(learns, &at(".metric"), "a bandit learns from a metric under metrics.success of kind mean or total")
    }

    fn check_metrics(&self) -> Result<(), SpecError> {
        let metrics = &self.metrics;
        let lists = [("guardrails", &metrics.guardrails), ("success", &metrics.success), ("report", &metrics.report)];
        let mut names: Vec<&str> = vec!["srm", "multipleExposure", "noData", "shadowErrors", "shadowDiff"];
        for (list, all) in lists {
            for (i, metric) in all.iter().enumerate() {
                let path = format!("metrics.{list}[{i}]");
                check_metric(metric, &path, list)?;
                ensure(
                    metric.delay.is_none_or(|delay| delay <= self.rollback.window),
                    &format!("{path}.delay"),
                    "it comes after rollback.window, so nothing would look at it; make the window as long at least",
                )?;
                ensure(
                    !names.contains(&metric.name.as_str()),
                    &format!("{path}.name"),
                    "another metric has this name",
                )?;
                names.push(&metric.name);
            }
        }
        let many = names.len() + metrics.signals.len() <= 50;
        ensure(many, "metrics", "50 metrics at most: each of them makes the others harder to show")?;
        for (i, signal) in metrics.signals.iter().enumerate() {
            let path = format!("metrics.signals[{i}]");
            ensure(!signal.name.is_empty(), &format!("{path}.name"), "give it a name")?;
            ensure(!names.contains(&signal.name.as_str()), &format!("{path}.name"), "another metric has this name")?;
            for (field, most) in [("maxShift", signal.max_shift), ("psi", signal.psi)] {
                let fits = most.is_none_or(|most| most >= 0.0 && most.is_finite());
                ensure(fits, &format!("{path}.{field}"), "must be 0 or more")?;
            }
            if let Some(alpha) = signal.alpha {
                rate(alpha, &format!("{path}.alpha"))?;
            }
            let one = signal.max_shift.is_some() != signal.psi.is_some();
            ensure(one, &path, "say one of them: maxShift for a mean, or psi for a whole distribution")?;
            names.push(&signal.name);
        }
        self.check_rates()?;
        self.check_bandit_tests()?;
        rate(metrics.quality.srm.alpha, "metrics.quality.srm.alpha")?;
        let most = metrics.quality.multiple_exposure.max_percent;
        ensure((0.0..=100.0).contains(&most), "metrics.quality.multipleExposure.maxPercent", "must be 0 to 100")?;
        longer(metrics.quality.no_data.after, "metrics.quality.noData.after")
    }

    fn check_decision(&self) -> Result<(), SpecError> {
        rate(self.decision.alpha, "decision.alpha")?;
        ensure(self.decision.expected_units >= 100, "decision.expectedUnits", "must be 100 or more")?;
        let better = self.decision.ship == Some(super::Ship::Better) && self.metrics.success.is_empty();
        ensure(!better, "decision.ship", "`better` needs a metric under metrics.success")?;
        let not_worse = self.ship() == super::Ship::NotWorse && self.metrics.guardrails.is_empty();
        let why = "nothing would be shown; declare guardrails or success metrics, or `decision: {ship: noHarm}`";
        ensure(!not_worse, "decision.ship", why)?;
        longer(self.max_duration, "maxDuration")?;
        for (i, approval) in self.approvals.iter().enumerate() {
            let at = |field: &str| format!("approvals[{i}].{field}");
            ensure((1..=10).contains(&approval.approvals), &at("approvals"), "must be 1 to 10")?;
            ensure(approval.expires.is_none_or(|e| !e.0.is_zero()), &at("expires"), "must be longer than 0ms")?;
            let there = self.steps.iter().any(|step| step.point() == approval.before);
            let there = there || approval.before == ApprovalPoint::Promotion;
            ensure(
                there,
                &at("before"),
                "the rollout has no such step, so nobody would be asked; name one that it has",
            )?;
            let several = !matches!(approval.before, ApprovalPoint::Bandit | ApprovalPoint::Promotion);
            ensure(several || !approval.every_step, &at("everyStep"), "there is one of these at most; leave it out")?;
            let alone = approval.webhook.is_none() || !approval.strict();
            ensure(
                alone,
                &at("webhook"),
                "people and a webhook are entries of their own: - {before: promotion, webhook: {…}}",
            )?;
            let together = self.approvals[..=i].iter().enumerate().filter(|(_, a)| a.before == approval.before);
            let webhooks = together.filter_map(|(i, a)| Some((format!("approvals[{i}].webhook"), a.webhook.as_ref()?)));
            webhook::check_all(webhooks)?;
        }
        let Some(limits) = &self.hard_limits else { return Ok(()) };
        ensure(limits.error_rate.is_some() || limits.p99.is_some(), "hardLimits", "give errorRate, p99 or both")?;
        if let Some(share) = limits.error_rate {
            let fits = Share::from_fraction(share).is_ok_and(|s| s != Share::NONE && s != Share::ALL);
            ensure(fits, "hardLimits.errorRate", "must be more than 0 and less than 1")?;
        }
        if let Some(p99) = limits.p99 {
            longer(p99, "hardLimits.p99")?;
        }
        longer(limits.window, "hardLimits.window")?;
        ensure(limits.min_requests > 0, "hardLimits.minRequests", "must be 1 or more")
    }
}

fn longer(duration: HumanDuration, path: &str) -> Result<(), SpecError> {
    ensure(!duration.0.is_zero(), path, "must be longer than 0ms")
}

fn check_replay(replay: &ReplaySpec) -> Result<(), SpecError> {
    let at = |field: &str| format!("preflight.replay{field}");
    ensure((1..=10_000).contains(&replay.requests), &at(".requests"), "must be between 1 and 10000")?;
    let most = if replay.golden.is_some() { 10_000 } else { u64::from(replay.requests) };
    let fits = (1..=most).contains(&replay.least());
    ensure(fits, &at(".minRequests"), format!("must be between 1 and {most}"))?;
    ensure((1..=64).contains(&replay.max_in_flight), &at(".maxInFlight"), "must be between 1 and 64")?;
    let named = replay.golden.as_ref().is_none_or(|uri| uri.starts_with("runs:/"));
    ensure(named, &at(".golden"), "name a file of a run: runs:/RUN/golden.jsonl")?;
    let percent = |value: f64| value > 0.0 && value <= 100.0;
    if let Some(tolerance) = &replay.tolerance {
        for (field, value) in [("absolute", tolerance.absolute), ("relative", tolerance.relative)] {
            ensure(value >= 0.0 && value.is_finite(), &at(&format!(".tolerance.{field}")), "must be 0 or more")?;
        }
        ensure(percent(tolerance.min_rows), &at(".tolerance.minRows"), "must be more than 0 and at most 100 percent")?;
    }
    let fits = replay.min_label_agreement.is_none_or(percent);
    ensure(fits, &at(".minLabelAgreement"), "must be more than 0 and at most 100 percent")?;
    let fits = replay.max_latency_ratio.is_none_or(|ratio| ratio > 0.0 && ratio.is_finite());
    ensure(fits, &at(".maxLatencyRatio"), "must be more than 0")?;
    let asks = replay.tolerance.is_some() || replay.min_label_agreement.is_some() || replay.max_latency_ratio.is_some();
    ensure(asks, &at(""), "say what must hold: tolerance, minLabelAgreement, maxLatencyRatio or several of them")
}

/// The candidate's weight; `None` in the shadow.
fn check_step(step: &StepSpec, i: usize) -> Result<Option<f64>, SpecError> {
    let at = |field: &str| format!("steps[{i}].{field}");
    let Some(kind) = step.kind() else {
        let reason = "a step is exactly one of shadow, canary, abTest, bandit and contextualBandit";
        return Err(SpecError { path: format!("steps[{i}]"), reason: reason.to_owned() });
    };
    let weight_fits = |weight: f64, path: &str| {
        let fits = percent(weight).is_some() && weight < 100.0;
        ensure(fits, path, format!("{weight} is no weight; give more than 0 and less than 100 percent"))
    };
    match kind {
        StepKind::Shadow(shadow) => {
            ensure(percent(shadow.percent).is_some(), &at("shadow.percent"), "must be more than 0 and at most 100")?;
            ensure(shadow.max_in_flight > 0, &at("shadow.maxInFlight"), "must be 1 or more")?;
            longer(shadow.duration, &at("shadow.duration"))?;
            if let Some(compare) = &shadow.compare {
                ensure(!compare.output.is_empty(), &at("shadow.compare.output"), "name an output")?;
                let fits = compare.max_mean_abs_diff > 0.0 && compare.max_mean_abs_diff.is_finite();
                ensure(fits, &at("shadow.compare.maxMeanAbsDiff"), "must be more than 0")?;
            }
            Ok(None)
        }
        StepKind::Canary(canary) => {
            weight_fits(canary.weight, &at("canary.weight"))?;
            ensure(canary.min_exposures > 0, &at("canary.minExposures"), "must be 1 or more")?;
            Ok(Some(canary.weight))
        }
        StepKind::AbTest(test) => {
            weight_fits(test.weight, &at("abTest.weight"))?;
            ensure(test.min_exposures > 0, &at("abTest.minExposures"), "must be 1 or more")?;
            let fits = test.max_duration > test.min_duration;
            ensure(fits, &at("abTest.maxDuration"), "must be longer than minDuration")?;
            Ok(Some(test.weight))
        }
        StepKind::Bandit(bandit) => check_bandit(bandit, &at("bandit")).map(|()| Some(100.0)),
        StepKind::ContextualBandit(bandit) => check_contextual(bandit, &at("contextualBandit")).map(|()| Some(100.0)),
    }
}

/// What bandits have in common.
#[derive(Debug, Clone, Copy)]
struct Pace {
    period: HumanDuration,
    even: f64,
    min_exposures: u64,
    best_at: f64,
    /// The least and the most.
    durations: (HumanDuration, Option<HumanDuration>),
}

fn check_pace(pace: &Pace, path: &str) -> Result<(), SpecError> {
    let at = |field: &str| format!("{path}.{field}");
    longer(pace.period, &at("period"))?;
    ensure((0.0..=100.0).contains(&pace.even), &at("even"), "must be 0 to 100 percent")?;
    ensure(pace.min_exposures > 1, &at("minExposures"), "must be 2 or more")?;
    let fits = pace.best_at > 50.0 && pace.best_at < 100.0;
    ensure(fits, &at("bestAt"), "must be more than 50 and less than 100 percent")?;
    let (least, most) = pace.durations;
    let fits = most.is_none_or(|most| most > least && most > pace.period);
    ensure(fits, &at("maxDuration"), "must be longer than minDuration and period")
}

fn check_bandit(bandit: &BanditStep, path: &str) -> Result<(), SpecError> {
    let pace = Pace {
        period: bandit.period,
        even: bandit.even,
        min_exposures: bandit.min_exposures,
        best_at: bandit.best_at,
        durations: (bandit.min_duration, Some(bandit.max_duration)),
    };
    check_pace(&pace, path)
}

fn check_contextual(bandit: &ContextualBanditStep, path: &str) -> Result<(), SpecError> {
    for (i, feature) in bandit.features.iter().enumerate() {
        let at = format!("{path}.features[{i}]");
        ensure(!feature.input.is_empty(), &format!("{at}.input"), "name an input")?;
        ensure(feature.cuts.is_empty() != feature.values.is_empty(), &at, "give cuts or values, and not both")?;
    }
    if let Err(error) = bandit.contexts() {
        return ensure(false, &format!("{path}.features"), error.to_string());
    }
    let pace = Pace {
        period: bandit.period,
        even: bandit.even,
        min_exposures: bandit.min_exposures,
        best_at: bandit.best_at,
        durations: (bandit.min_duration, bandit.max_duration),
    };
    check_pace(&pace, path)
}

/// `list` is where it stands: `guardrails`, `success` or `report`.
fn check_metric(metric: &MetricSpec, path: &str, list: &str) -> Result<(), SpecError> {
    let (guardrail, success) = (list == "guardrails", list == "success");
    let at = |field: &str| format!("{path}.{field}");
    ensure(!metric.name.is_empty(), &at("name"), "give it a name")?;
    let counted = matches!(metric.kind, MetricKind::Errors | MetricKind::Quantile);
    let mean = !counted;
    match (metric.kind, &metric.source) {
        (MetricKind::Errors, None) | (MetricKind::Quantile, Some(Source::Latency)) => {}
        (MetricKind::Errors, Some(_)) => return ensure(false, &at("source"), "errors have no source; remove it"),
        (MetricKind::Quantile, _) => return ensure(false, &at("source"), "a quantile is of `source: latency`"),
        (_, Some(_)) => {}
        (_, None) => return ensure(false, &at("source"), "name latency, label:NAME or output:NAME"),
    }
    ensure((metric.kind == MetricKind::Ratio) == metric.over.is_some(), &at("over"), "a ratio, and only that, has it")?;
    ensure(metric.q.is_none() || metric.kind == MetricKind::Quantile, &at("q"), "only a quantile has it")?;
    ensure(metric.q.is_none_or(|q| q > 0.0 && q < 1.0), &at("q"), "must be between 0 and 1")?;
    ensure(metric.margin.is_none() || counted, &at("margin"), "means have nonInferiority instead")?;
    let fits = metric.margin.is_none_or(|m| (1.0..=10.0).contains(&m));
    ensure(fits, &at("margin"), "must be 1 (no worse at all) to 10")?;
    let allowed = metric.kind != MetricKind::Quantile && guardrail;
    ensure(
        metric.non_inferiority.is_none() || allowed,
        &at("nonInferiority"),
        "only a guardrail that is no quantile has it",
    )?;
    if let Some(tolerable) = metric.non_inferiority {
        let most = if metric.kind == MetricKind::Errors { 1.0 } else { f64::INFINITY };
        ensure(tolerable >= 0.0 && tolerable < most, &at("nonInferiority"), "must be 0 or more")?;
    }
    let turned = metric.direction.is_some() && counted;
    ensure(!turned, &at("direction"), "errors and quantiles of time are good when they fall; remove it")?;
    ensure(!(success && metric.kind == MetricKind::Quantile), &at("kind"), "a quantile can be a guardrail only")?;
    ensure(!(success && metric.kind == MetricKind::Errors), &at("kind"), "errors can be a guardrail only")?;
    let whole = matches!(metric.kind, MetricKind::Mean | MetricKind::Total) && metric.source != Some(Source::Latency);
    ensure(!metric.binary || whole, &at("binary"), "only a mean or a total of a label or an output has it")?;
    testing::check(metric, &at)?;
    ensure(metric.cuped.is_none() || mean, &at("cuped"), "only means, totals and ratios have it")?;
    if let Some(Covariate::Before(window)) = metric.cuped.as_ref().map(|c| &c.covariate) {
        let fits = !window.is_zero() && *window <= MOST_BEFORE;
        ensure(fits, &at("cuped.covariate"), "give the time before the rollout as more than 0ms and at most 180d")?;
        let one = matches!(metric.kind, MetricKind::Mean | MetricKind::Total);
        ensure(one, &at("cuped.covariate"), "only a mean or a total has a time before; give a ratio input:NAME")?;
    }
    let plans = metric.min_effect.is_none() || list != "report";
    ensure(plans, &at("minEffect"), "nothing is planned for what is only reported; remove it")?;
    ensure(metric.min_effect.is_none_or(|e| e > 0.0 && e.is_finite()), &at("minEffect"), "must be more than 0")?;
    let labelled = [&metric.source, &metric.over].into_iter().flatten().any(|s| matches!(s, Source::Label(_)));
    ensure(metric.delay.is_none() || (labelled && guardrail), &at("delay"), "only a guardrail of labels has it")?;
    let zero = mean && guardrail && metric.non_inferiority.is_none();
    ensure(
        !zero,
        &at("nonInferiority"),
        "say how much worse is tolerable; without it a guardrail can never be shown to hold",
    )
}
