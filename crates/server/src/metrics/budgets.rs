//! What is spent of what may be.

use super::Reading;
use super::family::{Families, Kind};
use mainspring_cost::Standing;

impl Reading {
    pub(super) fn budgets(&self, all: &mut Families) {
        type Value = fn(&Standing) -> Option<f64>;
        if self.budgets.is_empty() {
            return;
        }
        let gauges: [(&str, &str, Value); 2] = [
            ("mainspring_budget_spent_ratio", "what is spent of a budget, of what may be in its period", |s| s.share),
            ("mainspring_budget_forecast_ratio", "the same at the end of the period, at the pace so far", |s| {
                s.forecast
            }),
        ];
        for (name, help, value) in gauges {
            all.family(name, Kind::Gauge, help);
            for standing in &self.budgets {
                let Some(value) = value(standing) else { continue };
                all.sample(&[("budget", standing.name.as_str()), ("per", standing.spec.per.as_str())], value);
            }
        }
    }
}
