//! What rollouts do: the variants in this process, and the evidence where it is folded.

use super::{Families, Kind, Reading};
use mainspring_rollout::View;
use mainspring_serving::{VariantState, VariantView};

impl Reading {
    pub(super) fn rollouts(&self, page: &mut Families) {
        self.variants(page);
        self.shadows(page);
        self.phases(page);
        self.evidence(page);
    }

    /// Every variant with what names it: deployment, rollout, variant.
    fn of_rollouts(&self) -> impl Iterator<Item = ([(&'static str, &str); 3], &VariantView)> {
        self.views.iter().flat_map(|d| {
            let rollout = d.rollout.as_deref().unwrap_or_default();
            let named = move |v| [("deployment", d.name.as_str()), ("rollout", rollout), ("variant", v)];
            d.variants.iter().map(move |v| (named(v.name.as_str()), v))
        })
    }

    fn variants(&self, page: &mut Families) {
        type Value = fn(&VariantView) -> f64;
        let gauges: [(&str, &str, Value); 3] = [
            ("mainspring_variant_weight", "part of the units that a variant of a rollout gets, 0 to 1", |v| {
                f64::from(v.weight.ppm()) / 1e6
            }),
            ("mainspring_variant_ready", "1 while a variant of a rollout can answer here", |v| {
                f64::from(u8::from(matches!(v.state, VariantState::Ready | VariantState::ShadowOnly)))
            }),
            ("mainspring_variant_tripped", "1 once a variant was beyond a hard limit here: it gets no requests", |v| {
                f64::from(u8::from(v.trip.is_some()))
            }),
        ];
        for (name, help, value) in gauges {
            page.family(name, Kind::Gauge, help);
            for (labels, v) in self.of_rollouts() {
                page.sample(&labels, value(v));
            }
        }
        let name = "mainspring_variant_state";
        page.family(name, Kind::Gauge, "1 for the state that a variant of a rollout is in here");
        for ([deployment, rollout, variant], v) in self.of_rollouts() {
            page.sample(&[deployment, rollout, variant, ("state", v.state.as_str())], 1.0);
        }
    }

    fn shadows(&self, page: &mut Families) {
        let name = "mainspring_shadow_requests_total";
        page.family(
            name,
            Kind::Counter,
            "requests that a variant was asked in the shadow of answers; dropped while it was busy",
        );
        for ([deployment, rollout, variant], v) in self.of_rollouts() {
            let Some(shadow) = v.shadow else { continue };
            for (outcome, count) in [("ok", shadow.answered), ("failed", shadow.failed), ("dropped", shadow.dropped)] {
                page.sample(&[deployment, rollout, variant, ("outcome", outcome)], count as f64);
            }
        }
        let name = "mainspring_shadow_in_flight";
        page.family(name, Kind::Gauge, "requests that a variant works on in the shadow");
        for (labels, v) in self.of_rollouts() {
            if let Some(shadow) = v.shadow {
                page.sample(&labels, shadow.in_flight as f64);
            }
        }
    }

    fn phases(&self, page: &mut Families) {
        let name = "mainspring_rollout_phase";
        page.family(name, Kind::Gauge, "1 for the phase that a rollout is in");
        for view in &self.rollouts {
            let [rollout, deployment] = labels(view);
            page.sample(&[rollout, deployment, ("phase", view.run.state.phase.as_str())], 1.0);
        }
        type Value = fn(&View) -> f64;
        let gauges: [(&str, &str, Value); 4] = [
            ("mainspring_rollout_step", "step that a rollout is in, from 1; 0 before the first", |v| {
                v.run.state.started.map_or(0.0, |_| f64::from(v.run.state.step) + 1.0)
            }),
            ("mainspring_rollout_candidate_weight", "part of the units that the candidate gets, 0 to 1", |v| {
                v.run.state.weight()
            }),
            ("mainspring_rollout_held", "1 while a rollout does not go on because something is missing", |v| {
                f64::from(u8::from(v.run.state.hold.is_some()))
            }),
            ("mainspring_rollout_decisions", "decisions of the present run", |v| v.run.state.decisions as f64),
        ];
        for (name, help, value) in gauges {
            page.family(name, Kind::Gauge, help);
            for view in &self.rollouts {
                page.sample(&labels(view), value(view));
            }
        }
    }

    /// Only where the controller runs.
    fn evidence(&self, page: &mut Families) {
        let reported = || self.rollouts.iter().filter_map(|view| Some((view, view.report.as_ref()?)));
        let name = "mainspring_rollout_units";
        page.family(name, Kind::Gauge, "units compared, by the variant that they saw first");
        for (view, report) in reported() {
            let candidates = view.run.spec.candidates.iter().map(|c| c.name.as_str());
            for (variant, units) in std::iter::once("stable").chain(candidates).zip(&report.units) {
                let [rollout, deployment] = labels(view);
                page.sample(&[rollout, deployment, ("variant", variant)], *units as f64);
            }
        }
        let name = "mainspring_rollout_effect";
        page.family(name, Kind::Gauge, "effect of the candidate on a metric, and the ends of its confidence sequence");
        for (view, report) in reported() {
            let [rollout, deployment] = labels(view);
            for metric in &report.metrics {
                let Some(effect) = metric.effect else { continue };
                let of = metric.variant.as_deref().map(|variant| ("variant", variant));
                for (end, value) in [("low", effect.low), ("estimate", Some(effect.estimate)), ("high", effect.high)] {
                    let Some(value) = value else { continue };
                    let mut labels = vec![rollout, deployment, ("metric", metric.name.as_str()), ("end", end)];
                    labels.extend(of);
                    page.sample(&labels, value);
                }
            }
        }
        let name = "mainspring_rollout_late_events";
        page.family(name, Kind::Gauge, "events of a rollout that came after a look at their time");
        for (view, report) in reported() {
            page.sample(&labels(view), report.late as f64);
        }
    }
}

fn labels(view: &View) -> [(&'static str, &str); 2] {
    [("rollout", view.run.name.as_str()), ("deployment", view.run.spec.deployment.as_str())]
}
