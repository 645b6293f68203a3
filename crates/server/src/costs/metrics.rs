//! Budgets for Prometheus.

use mainspring_core::Authorized;
use mainspring_cost::{Costs, ReadCost};
use std::fmt::Write;

/// How much of each budget is spent, and will be at the pace so far.
pub fn metrics(costs: &Costs, auth: &Authorized<ReadCost>) -> String {
    let standings = costs.standings(auth);
    let mut page = String::new();
    let families = [
        ("mainspring_budget_spent_ratio", "what is spent of a budget, of what may be in its period"),
        ("mainspring_budget_forecast_ratio", "the same at the end of the period, at the pace so far"),
    ];
    for (name, help) in families {
        let _infallible = write!(page, "# HELP {name} {help}\n# TYPE {name} gauge\n");
        for standing in &standings {
            let value = if name.ends_with("spent_ratio") { standing.share } else { standing.forecast };
            let Some(value) = value else { continue };
            let (budget, per) = (&standing.name, standing.spec.per.as_str());
            let _infallible = writeln!(page, "{name}{{budget=\"{budget}\",per=\"{per}\"}} {value}");
        }
    }
    page
}
