//! What a webhook is told when it is asked.

use crate::ledger::{MetricReport, Report};
use crate::machine::{Checked, Facts, State};
use crate::spec::{ApprovalPoint, RolloutSpec, WebhookSpec};
use mainspring_core::{Tenant, Timestamp};
use serde_json::{Value, json};

/// What is known of a rollout that stands before a gate.
#[derive(Debug, Clone, Copy)]
pub(super) struct About<'a> {
    pub tenant: &'a Tenant,
    pub name: &'a str,
    pub spec: &'a RolloutSpec,
    pub state: &'a State,
    pub report: &'a Report,
    pub facts: &'a Facts,
}

impl About<'_> {
    /// The question as JSON.
    pub fn body(&self, before: Option<ApprovalPoint>, webhook: &WebhookSpec, now: Timestamp) -> String {
        let data = json!({
            "tenant": self.tenant,
            "rollout": self.name,
            "run": self.state.run,
            "deployment": self.spec.deployment,
            "webhook": webhook.name,
            "before": before.map_or_else(|| json!("preflight"), |point| json!(point)),
            "step": self.step(before),
            "promotes": self.promotes(before),
            "variants": self.variants(),
            "checks": self.facts.checks.iter().map(check).collect::<Vec<_>>(),
            "metrics": self.report.metrics.iter().map(metric).collect::<Vec<_>>(),
            "approvedBy": self.approved_by(before),
        });
        mainspring_webhook::body("rollout.gate", now, &data)
    }

    /// The step that would begin, from 0.
    fn step(&self, before: Option<ApprovalPoint>) -> Value {
        if before == Some(ApprovalPoint::Promotion) {
            return Value::Null;
        }
        let step = self.spec.steps.get(usize::from(self.state.step));
        json!({"index": self.state.step, "title": step.map(crate::spec::StepSpec::title)})
    }

    /// The candidate that would get all the traffic.
    fn promotes(&self, before: Option<ApprovalPoint>) -> Option<&str> {
        let chosen = self.state.chosen.filter(|_| before == Some(ApprovalPoint::Promotion))?;
        Some(self.spec.candidates.get(usize::from(chosen).checked_sub(1)?)?.name.as_str())
    }

    fn approved_by(&self, before: Option<ApprovalPoint>) -> Vec<&str> {
        self.state.agreed.iter().filter(|a| Some(a.point) == before).map(|a| a.by.as_str()).collect()
    }

    fn variants(&self) -> Vec<Value> {
        let (row, weights) = (self.state.row.as_ref(), self.state.weights());
        let of = row.map(|row| row.variants.as_slice()).unwrap_or_default().iter().enumerate();
        of.map(|(at, variant)| {
            json!({
                "name": variant.name,
                "model": variant.model,
                "weight": weights.get(at),
                "units": self.report.units.get(at),
                "stepUnits": self.report.step_units.get(at),
            })
        })
        .collect()
    }
}

fn check(check: &Checked) -> Value {
    json!({"name": check.name, "passed": check.passed, "detail": check.detail})
}

fn metric(metric: &MetricReport) -> Value {
    let effect = metric.effect.map(|e| json!({"low": e.low, "estimate": e.estimate, "high": e.high}));
    json!({
        "name": metric.name,
        "variant": metric.variant,
        "role": metric.role,
        "finding": metric.finding,
        "stable": metric.stable,
        "candidate": metric.candidate,
        "effect": effect,
        "scale": metric.scale,
        "units": metric.units,
    })
}
