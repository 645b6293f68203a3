//! Budgets of money.

use super::Reading;
use super::family::{Families, Kind};
use mainspring_cost::Standing;

impl Reading {
    /// How much of each budget is spent, and will be at the pace so far.
    pub(super) fn budgets(&self, page: &mut Families) {
        type Value = fn(&Standing) -> Option<f64>;
        let gauges: [(&str, &str, Value); 2] = [
            ("mainspring_budget_spent_ratio", "what is spent of a budget, of what may be in its period", |s| s.share),
            ("mainspring_budget_forecast_ratio", "the same at the end of the period, at the pace so far", |s| {
                s.forecast
            }),
        ];
        for (name, help, value) in gauges {
            page.family(name, Kind::Gauge, help);
            for standing in &self.budgets {
                if let Some(value) = value(standing) {
                    page.sample(&[("budget", standing.name.as_str()), ("per", standing.spec.per.as_str())], value);
                }
            }
        }
    }
}
