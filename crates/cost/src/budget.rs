//! Budgets: what may be spent in a day or a month, how much is, and when somebody hears of it.

use crate::money::Money;
use mainspring_core::{Name, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use time::format_description::well_known::Rfc3339;
use time::{OffsetDateTime, Time};

/// Thresholds of a budget.
const MOST: usize = 20;
/// The share of a period that must have gone before its end is foreseen: an hour of a month says nothing.
const FORESEEN: f64 = 0.1;

/// What may be spent in a period, by a deployment, by a key, or by the whole tenant when neither is named. Either
/// `amount`, in the currency of the price table, or `computeSeconds`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(title = "Budget")]
pub struct BudgetSpec {
    /// Only what this deployment spends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deployment: Option<String>,
    /// Only what this caller spends: `key:ab12cd34`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// What may be spent, for compute and for requests; storage and what is idle are not counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub amount: Option<Money>,
    /// How much compute may be used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compute_seconds: Option<u64>,
    /// The period: `day` or `month`, which begins at midnight UTC.
    pub per: Per,
    /// Per cent of it at which somebody is told.
    #[serde(default = "thresholds")]
    pub thresholds: Vec<u32>,
    /// Whether somebody is told, too, when it would be spent before the period ends at the pace so far. Nothing is
    /// foreseen before a tenth of the period has gone.
    #[serde(default = "yes")]
    pub forecast: bool,
    /// What to do then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub runbook: Option<String>,
}

fn thresholds() -> Vec<u32> {
    vec![50, 80, 100]
}

fn yes() -> bool {
    true
}

/// A period.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Per {
    /// From midnight to midnight, UTC.
    Day,
    /// From the first of a month to the first of the next, UTC.
    Month,
}

impl Per {
    /// The word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Day => "day",
            Self::Month => "month",
        }
    }

    /// When the period that `at` is in begins and ends.
    pub fn around(self, at: Timestamp) -> (Timestamp, Timestamp) {
        let instant = OffsetDateTime::from_unix_timestamp_nanos(i128::from(at.micros()) * 1_000);
        let today = instant.unwrap_or(OffsetDateTime::UNIX_EPOCH).date();
        let (from, until) = match self {
            Self::Day => (Some(today), today.next_day()),
            Self::Month => {
                let first = today.replace_day(1).ok();
                let next =
                    first.and_then(|f| f.checked_add(time::Duration::days(31))).and_then(|d| d.replace_day(1).ok());
                (first, next)
            }
        };
        let begins = |day: Option<time::Date>| {
            let at = day.map_or(0, |d| d.with_time(Time::MIDNIGHT).assume_utc().unix_timestamp());
            Timestamp(at.saturating_mul(1_000_000))
        };
        (begins(from), begins(until))
    }
}

impl BudgetSpec {
    /// Checks what the types cannot: a path and a reason.
    ///
    /// # Errors
    /// The first field at fault.
    pub fn validate(&self) -> Result<(), (String, String)> {
        let wrong = |path: &str, reason: &str| Err((path.to_owned(), reason.to_owned()));
        match (self.amount, self.compute_seconds) {
            (Some(amount), None) if amount <= Money::default() => return wrong("amount", "it is more than nothing"),
            (None, Some(0)) => return wrong("computeSeconds", "it is at least 1"),
            (Some(_), None) | (None, Some(_)) => {}
            _ => return wrong("amount", "a budget has either an amount or computeSeconds"),
        }
        if let Some(text) = &self.deployment
            && let Err(e) = Name::new(text)
        {
            return Err(("deployment".to_owned(), e.to_string()));
        }
        if self.key.as_ref().is_some_and(|k| k.is_empty() || k.len() > 200) {
            return wrong("key", "it is who asks, as a report by key has it: key:ab12cd34");
        }
        if self.thresholds.len() > MOST || self.thresholds.iter().any(|t| !(1..=1_000).contains(t)) {
            return wrong("thresholds", "there are at most 20, each between 1 and 1000 per cent");
        }
        if self.thresholds.is_empty() && !self.forecast {
            return wrong("thresholds", "a budget of which nobody is told is none; name a threshold, or set forecast");
        }
        Ok(())
    }

    /// Whether it counts what `key` spends at `deployment`.
    pub fn counts(&self, deployment: &str, key: &str) -> bool {
        self.deployment.as_deref().is_none_or(|own| own == deployment)
            && self.key.as_deref().is_none_or(|own| own == key)
    }
}

/// How much of a budget is spent.
#[derive(Debug, Clone, PartialEq)]
pub struct Standing {
    /// The budget.
    pub name: Name,
    /// What is declared.
    pub spec: BudgetSpec,
    /// When the period began.
    pub from: Timestamp,
    /// When it ends.
    pub until: Timestamp,
    /// What is spent, and in which currency; `None` for a budget of compute, and where nothing can be reckoned.
    pub spent: Option<(Money, String)>,
    /// Compute that was used, nanoseconds.
    pub compute_ns: u128,
    /// Spent of what may be; `None` where it cannot be reckoned.
    pub share: Option<f64>,
    /// The share at the end of the period at the pace so far; `None` while it is too early.
    pub forecast: Option<f64>,
    /// Why it cannot be reckoned.
    pub problem: Option<String>,
}

/// When somebody is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mark {
    /// So many per cent are spent.
    Percent(u32),
    /// All of it would be spent before the period ends.
    Forecast,
}

/// Something to tell, or no longer.
#[derive(Debug, Clone, PartialEq)]
pub struct Alarm {
    /// The budget.
    pub budget: Name,
    /// Of which deployment.
    pub deployment: Option<String>,
    /// Of which caller.
    pub key: Option<String>,
    /// What is reached.
    pub mark: Mark,
    /// Whether it is, now.
    pub active: bool,
    /// In words.
    pub sentence: String,
    /// The numbers that justify it.
    pub numbers: Value,
    /// The journal's query that shows what was spent on.
    pub query: String,
    /// What to do.
    pub runbook: Option<String>,
}

/// A time as people write it in a query.
pub(crate) fn rfc3339(at: Timestamp) -> String {
    let at = OffsetDateTime::from_unix_timestamp(at.micros().div_euclid(1_000_000)).ok();
    at.and_then(|at| at.format(&Rfc3339).ok()).unwrap_or_default()
}

/// What was spent in a period, for [`standing`].
#[derive(Debug, Clone, PartialEq)]
pub struct Spending {
    /// In the table's currency; `None` without a table.
    pub money: Option<(Money, String)>,
    /// Compute, nanoseconds.
    pub compute_ns: u128,
    /// What of it has no price.
    pub unpriced_ns: u128,
    /// Why it is less than what was spent, where that is known.
    pub missing: Option<String>,
}

/// Where a budget stands at `now`.
pub fn standing(name: &Name, spec: &BudgetSpec, spending: Spending, now: Timestamp) -> Standing {
    let (from, until) = spec.per.around(now);
    let gone = (now.micros() - from.micros()) as f64 / (until.micros() - from.micros()).max(1) as f64;
    let share = match (spec.amount, spec.compute_seconds, &spending.money) {
        (Some(amount), _, Some((spent, _))) => Ok(spent.approximate() / amount.approximate()),
        (Some(_), ..) => Err("no price table is declared, so no amount of money can be reckoned".to_owned()),
        (None, seconds, _) => Ok(spending.compute_ns as f64 / 1e9 / seconds.unwrap_or(1) as f64),
    };
    let unpriced = spec.amount.is_some() && spending.unpriced_ns > 0 && share.is_ok();
    let late =
        unpriced.then(|| format!("{:.3} s of compute of this period have no price", spending.unpriced_ns as f64 / 1e9));
    let forecast = share.as_ref().ok().filter(|_| gone >= FORESEEN).map(|share| share / gone);
    Standing {
        name: name.clone(),
        spec: spec.clone(),
        from,
        until,
        spent: spending.money.filter(|_| spec.amount.is_some()),
        compute_ns: spending.compute_ns,
        forecast,
        problem: share.as_ref().err().cloned().or(late).or(spending.missing),
        share: share.ok(),
    }
}

impl Standing {
    /// Of a budget of which nothing can be reckoned.
    pub(crate) fn unknown(name: &Name, spec: &BudgetSpec, problem: Option<String>, now: Timestamp) -> Self {
        let (from, until) = spec.per.around(now);
        Self {
            name: name.clone(),
            spec: spec.clone(),
            from,
            until,
            spent: None,
            compute_ns: 0,
            share: None,
            forecast: None,
            problem,
        }
    }

    /// Everything that is told of it, reached or not; nothing where it cannot be reckoned.
    pub fn alarms(&self) -> Vec<Alarm> {
        let Some(share) = self.share else { return Vec::new() };
        let reached = |percent: u32| (Mark::Percent(percent), share * 100.0 >= f64::from(percent));
        let mut marks: Vec<(Mark, bool)> = self.spec.thresholds.iter().map(|t| reached(*t)).collect();
        if self.spec.forecast {
            marks.push((Mark::Forecast, self.forecast.is_some_and(|f| f >= 1.0)));
        }
        marks.into_iter().map(|(mark, active)| self.alarm((mark, active), share)).collect()
    }

    fn alarm(&self, (mark, active): (Mark, bool), share: f64) -> Alarm {
        let limit = self.limit();
        let forecast = self.forecast.map(|f| f * 100.0);
        let says = match mark {
            Mark::Percent(percent) => {
                format!("{}: {:.1} % of {limit} is spent; told from {percent} % on", self.name, share * 100.0)
            }
            Mark::Forecast => format!(
                "{}: at the pace so far {:.0} % of {limit} will be spent when the {} ends; {:.1} % is spent now",
                self.name,
                forecast.unwrap_or_default(),
                self.spec.per.as_str(),
                share * 100.0
            ),
        };
        Alarm {
            budget: self.name.clone(),
            deployment: self.spec.deployment.clone(),
            key: self.spec.key.clone(),
            mark,
            active,
            sentence: says,
            numbers: json!({
                "spent": self.spent.as_ref().map(|(money, _)| money.to_string()),
                "amount": self.spec.amount.map(|a| a.to_string()),
                "currency": self.spent.as_ref().map(|(_, currency)| currency),
                "computeSeconds": self.compute_ns as f64 / 1e9,
                "percent": share * 100.0, "forecastPercent": forecast, "per": self.spec.per.as_str(),
            }),
            query: self.query(),
            runbook: self.spec.runbook.clone(),
        }
    }

    /// `50 EUR of this month`.
    pub fn limit(&self) -> String {
        let period = self.spec.per.as_str();
        match (self.spec.amount, &self.spent) {
            (Some(amount), Some((_, currency))) => format!("{amount} {currency} of this {period}"),
            (Some(amount), None) => format!("{amount} of this {period}"),
            (None, _) => format!("{} s of compute of this {period}", self.spec.compute_seconds.unwrap_or_default()),
        }
    }

    fn query(&self) -> String {
        let quoted = |column: &str, value: Option<&str>| {
            value.map_or(String::new(), |v| format!(" AND {column} = {}", mainspring_query::literal(v)))
        };
        let deployment = quoted("deployment", self.spec.deployment.as_deref());
        let key = quoted("caller", self.spec.key.as_deref());
        format!(
            "SELECT deployment, caller, version, count(*) AS answers, \
             sum(engine_us * rows / greatest(batch_rows, rows, 1)) / 1e6 AS compute_seconds FROM predictions \
             WHERE \"row\" = 0 AND at >= {}{deployment}{key} GROUP BY 1, 2, 3 ORDER BY 5 DESC",
            mainspring_query::literal(&rfc3339(self.from))
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(value: Value) -> BudgetSpec {
        serde_json::from_value(value).unwrap()
    }

    /// 2026-02-15T00:00:00Z: half of a month of 28 days has gone.
    const HALF: Timestamp = Timestamp(1_771_113_600_000_000);

    fn stands(of: Value, money: &str, ns: u128) -> Standing {
        let money = Some((money.parse().unwrap(), "EUR".to_owned()));
        standing(
            &Name::new("team").unwrap(),
            &spec(of),
            Spending { money, compute_ns: ns, unpriced_ns: 0, missing: None },
            HALF,
        )
    }

    fn marks(of: &Standing) -> Vec<(Mark, bool)> {
        of.alarms().iter().map(|a| (a.mark, a.active)).collect()
    }

    #[test]
    fn periods_begin_at_midnight_and_on_the_first() {
        let day = |d: i64| Timestamp(d * 86_400_000_000);
        // The 15th of February 2026 is day 20,499 since the epoch.
        assert_eq!(Per::Day.around(HALF.plus_micros(3)), (day(20_499), day(20_500)));
        assert_eq!(Per::Month.around(HALF), (day(20_485), day(20_513)));
        // A December ends with the year.
        let silvester = day(20_453);
        assert_eq!(Per::Month.around(silvester), (day(20_423), day(20_454)));
    }

    #[test]
    fn thresholds_are_reached_one_by_one_and_the_end_is_foreseen() {
        let of = json!({"amount": "100", "per": "month"});
        let calm = stands(of.clone(), "49.99", 0);
        assert!(marks(&calm).iter().all(|(_, active)| !active), "{:?}", marks(&calm));
        let half = stands(of.clone(), "50", 0);
        assert_eq!(half.forecast, Some(1.0));
        let active: Vec<Mark> = marks(&half).into_iter().filter(|(_, a)| *a).map(|(m, _)| m).collect();
        assert_eq!(active, [Mark::Percent(50), Mark::Forecast]);
        let over = stands(of, "130", 0);
        assert!(marks(&over).iter().all(|(_, active)| *active));
        assert!(over.alarms()[2].sentence.contains("130.0 % of 100 EUR of this month"), "{:?}", over.alarms()[2]);
        assert!(over.alarms()[2].query.contains("at >= '2026-02-01T00:00:00Z' GROUP BY"), "{:?}", over.alarms()[2]);
    }

    #[test]
    fn seconds_need_no_prices_and_money_does() {
        let seconds = json!({"computeSeconds": 10, "per": "day", "thresholds": [50]});
        assert_eq!(stands(seconds, "0", 6_000_000_000).share, Some(0.6));
        let spending = Spending { money: None, compute_ns: 1, unpriced_ns: 1, missing: None };
        let money = spec(json!({"amount": "1", "per": "day"}));
        let poor = standing(&Name::new("team").unwrap(), &money, spending, HALF);
        assert!(poor.alarms().is_empty() && poor.problem.unwrap().contains("no price table"));
    }

    #[test]
    fn a_budget_that_tells_nobody_anything_is_refused() {
        for (of, path) in [
            (json!({"per": "day"}), "amount"),
            (json!({"per": "day", "amount": "1", "computeSeconds": 1}), "amount"),
            (json!({"per": "day", "amount": "0"}), "amount"),
            (json!({"per": "day", "amount": "1", "thresholds": [], "forecast": false}), "thresholds"),
            (json!({"per": "day", "amount": "1", "thresholds": [0]}), "thresholds"),
            (json!({"per": "day", "amount": "1", "deployment": "a b"}), "deployment"),
        ] {
            assert_eq!(spec(of.clone()).validate().unwrap_err().0, path, "{of}");
        }
    }
}
