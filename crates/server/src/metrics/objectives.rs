//! Burn rates and budgets of objectives.

use super::Reading;
use super::family::{Families, Kind};
use mainspring_alert::slo::Standing;

fn labels(standing: &Standing) -> [(&'static str, &str); 2] {
    [("deployment", standing.objective.deployment.as_str()), ("objective", standing.objective.name.as_str())]
}

impl Reading {
    pub(super) fn objectives(&self, all: &mut Families) {
        type Value = fn(&Standing) -> f64;
        let gauges: [(&str, &str, Value); 2] = [
            ("mainspring_slo_target", "share of requests that are to be good", |s| s.objective.target),
            ("mainspring_slo_budget_left", "share of the error budget of 30 days that is left, of all replicas", |s| {
                s.left
            }),
        ];
        for (name, help, value) in gauges {
            all.family(name, Kind::Gauge, help);
            for standing in &self.standings {
                all.sample(&labels(standing), value(standing));
            }
        }
        let help = "how many times what the objective allows was not good, of all replicas";
        all.family("mainspring_slo_burn_rate", Kind::Gauge, help);
        for standing in &self.standings {
            let [deployment, objective] = labels(standing);
            for burn in &standing.burns {
                let window = burn.window.as_secs().to_string();
                all.sample(&[deployment, objective, ("window_seconds", &window)], burn.rate);
            }
        }
    }
}
