//! What predictions brought, beside what they cost.

use crate::action::ReadCost;
use crate::costs::Costs;
use crate::error::CostError;
use crate::money::Money;
use crate::prices::PriceSpec;
use crate::report::{self, By, Line, Request, Spent};
use crate::sql::{Priced, instant, usage};
use crate::value::{Said, ValueSpec};
use mainspring_core::{Authorized, Name, Timestamp};
use mainspring_query::{feedback, literal};
use mainspring_stats::sequential::{AsymptoticCs, Effect};
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;

/// For how long a caller's own id is of one prediction, µs.
const UNIQUE: i64 = 30 * 24 * 3_600_000_000;
/// How long before the first prediction feedback may be of, µs: clocks differ.
const EARLY: i64 = 3_600_000_000;
/// Parts of one in which numbers of feedback are summed up.
const MICRO: u128 = 1_000_000;
/// The largest number of feedback that is taken for one: what is beyond it is a mistake, and would drown all others.
const LARGEST: &str = "1e12";
/// Intervals hold what is true with this probability, at all looks together.
pub const CONFIDENCE: f64 = 0.95;
/// Predictions at which the interval is narrowest. Fixed, since one chosen from the data would break the guarantee.
const TUNED_FOR: f64 = 10_000.0;
/// Predictions with a value, and without one, below which no interval is told: it holds only in the limit.
const ENOUGH: u64 = 20;

/// What to look at.
#[derive(Debug, Clone, PartialEq)]
pub struct RoiRequest {
    /// Whose predictions.
    pub deployment: Name,
    /// Those from then on.
    pub from: Timestamp,
    /// And before then.
    pub until: Timestamp,
    /// The price table.
    pub prices: Option<Name>,
}

/// A number, and between what it is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Mean {
    /// The number.
    pub value: f64,
    /// Lower and upper end; `None` while there is too little to say.
    pub interval: Option<(f64, f64)>,
}

/// A kind of answers, and what they took.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Part {
    /// Answers.
    pub answers: u64,
    /// Compute, nanoseconds.
    pub compute_ns: u128,
    /// What that cost.
    pub spent: Spent,
}

/// One variant and version.
#[derive(Debug, Clone, PartialEq)]
pub struct Group {
    /// The variant; empty for all together.
    pub variant: String,
    /// The model and version, `churn/3`; empty for all together.
    pub version: String,
    /// Predicted rows that can bring something: answered, chosen by nobody, got by somebody.
    pub predictions: u64,
    /// Those with any feedback that has a value here.
    pub known: u64,
    /// Those that brought more than nothing.
    pub successes: u64,
    /// What all of them brought.
    pub value: Money,
    /// The mean of that over predictions; no feedback is worth nothing.
    pub mean: Option<Mean>,
    /// What answers cost: `succeeded`, `forced`, `shadow`, `unstored`, `failed`, and of the failed ones those that got no
    /// answer in time, `unanswered`.
    pub parts: BTreeMap<&'static str, Part>,
}

impl Group {
    /// What all answers cost.
    pub fn cost(&self) -> Money {
        self.parts.values().map(|p| p.spent.total()).sum()
    }

    /// What one success cost, all other answers included; `None` without one.
    pub fn cost_per_success(&self) -> Option<Money> {
        (self.successes > 0).then(|| Money(self.cost().0 / i128::from(self.successes)))
    }
}

/// What a deployment's predictions brought, beside what they cost.
#[derive(Debug, Clone, PartialEq)]
pub struct Roi {
    /// The currency of values, and of costs.
    pub currency: String,
    /// The price table; without one there are values and seconds, and no costs.
    pub prices: Option<Name>,
    /// All together.
    pub whole: Group,
    /// By variant and version, the one with the most predictions first.
    pub groups: Vec<Group>,
    /// What must be known to read this.
    pub notes: Vec<String>,
}

impl Costs {
    /// What the predictions of a deployment brought, beside what they cost.
    ///
    /// # Errors
    /// [`CostError::NoValue`] where no value is declared; [`CostError::Currencies`]; what the journal said.
    pub async fn roi(&self, auth: &Authorized<ReadCost>, asked: &RoiRequest) -> Result<Roi, CostError> {
        let tenant = auth.tenant();
        let spec = self
            .value_of(tenant, &asked.deployment)
            .ok_or_else(|| CostError::NoValue { deployment: asked.deployment.to_string() })?;
        let prices = self.prices(tenant, asked.prices.as_ref())?;
        if let Some((name, table)) = prices.as_ref().filter(|(_, table)| table.currency != spec.currency) {
            let (values, costs) = (spec.currency.clone(), table.currency.clone());
            return Err(CostError::Currencies { values, costs, table: name.to_string() });
        }
        let table = prices.as_ref().map(|(_, table)| &**table);
        let brought = self.rows(auth.who(), &brought(asked, &spec)).await?;
        let request = Request {
            from: asked.from,
            until: asked.until,
            by: vec![By::Variant, By::Version, By::Outcome, By::Error],
            deployment: Some(asked.deployment.clone()),
            prices: None,
        };
        let rows = self.rows(auth.who(), &usage(&request, &Priced::of(table))).await?;
        let lines = report::lines(&rows, &request, (tenant, table))?;
        let mut groups = BTreeMap::new();
        for row in &brought {
            let sums = Sums::read(row, &spec)?;
            groups.insert((sums.variant.clone(), sums.version.clone()), sums);
        }
        let mut roi = made((spec, prices), groups, &lines);
        roi.notes.extend(self.forgotten(tenant, Some(asked.deployment.as_str()), asked.from));
        Ok(roi)
    }
}

/// Sums over the predictions of one variant and version.
#[derive(Debug, Clone, Default)]
struct Sums {
    variant: String,
    version: String,
    predictions: u64,
    known: u64,
    successes: u64,
    value: Money,
    /// Predictions with a number beyond what is taken for one.
    beyond: u64,
    /// Sum and sum of squares of values, for the interval alone.
    x: f64,
    xx: f64,
}

impl Sums {
    fn read(row: &[Value], spec: &ValueSpec) -> Result<Self, CostError> {
        let broken = || CostError::Broken(format!("{row:?}"));
        let text = |i: usize| row.get(i).and_then(Value::as_str).map(str::to_owned).ok_or_else(broken);
        let count = |i: usize| row.get(i).and_then(Value::as_u64).ok_or_else(broken);
        let float = |i: usize| row.get(i).and_then(Value::as_f64).ok_or_else(broken);
        let mut value = Money::default();
        for (i, outcome) in spec.outcomes.iter().enumerate() {
            let of: i128 = text(8 + i)?.parse().map_err(|_| broken())?;
            let per = if outcome.is.is_some() { 1 } else { MICRO };
            let part = outcome.value.share(of.unsigned_abs(), per);
            value = if of < 0 { value - part } else { value + part };
        }
        Ok(Self {
            variant: text(0)?,
            version: text(1)?,
            predictions: count(2)?,
            known: count(3)?,
            successes: count(4)?,
            value,
            x: float(5)?,
            xx: float(6)?,
            beyond: count(7)?,
        })
    }

    fn add(&mut self, other: &Self) {
        self.predictions += other.predictions;
        self.known += other.known;
        self.successes += other.successes;
        self.value += other.value;
        self.beyond += other.beyond;
        self.x += other.x;
        self.xx += other.xx;
    }

    /// The mean value of a prediction, with a confidence sequence: one that may be looked at every day.
    fn mean(&self) -> Option<Mean> {
        if self.predictions == 0 {
            return None;
        }
        let n = self.predictions as f64;
        let value = self.value.approximate() / n;
        let variance = (self.xx - self.x * self.x / n).max(0.0) / (n - 1.0).max(1.0);
        let spread = self.successes >= ENOUGH && self.predictions - self.successes >= ENOUGH;
        let sequence = AsymptoticCs::two_sided(1.0 - CONFIDENCE, TUNED_FOR).ok();
        let interval = sequence.filter(|_| spread && variance > 0.0).map(|cs| {
            let found = cs.interval(&Effect { value, standard_error: (variance / n).sqrt(), units: n });
            (found.low, found.high)
        });
        Some(Mean { value, interval })
    }

    fn group(&self, parts: BTreeMap<&'static str, Part>) -> Group {
        Group {
            variant: self.variant.clone(),
            version: self.version.clone(),
            predictions: self.predictions,
            known: self.known,
            successes: self.successes,
            value: self.value,
            mean: self.mean(),
            parts,
        }
    }
}

type Groups = BTreeMap<(String, String), Sums>;

fn made((spec, prices): (Arc<ValueSpec>, Option<(Name, Arc<PriceSpec>)>), mut groups: Groups, lines: &[Line]) -> Roi {
    let mut parts: BTreeMap<(String, String), BTreeMap<&'static str, Part>> = BTreeMap::new();
    let mut all: BTreeMap<&'static str, Part> = BTreeMap::new();
    let mut unpriced = 0;
    for line in lines {
        let [variant, version, outcome, error] = line.of.as_slice() else { continue };
        let key = (variant.clone(), version.clone());
        groups.entry(key.clone()).or_insert_with(|| Sums {
            variant: variant.clone(),
            version: version.clone(),
            ..Sums::default()
        });
        let name = part(outcome, error);
        for part in [parts.entry(key).or_default().entry(name).or_default(), all.entry(name).or_default()] {
            part.answers += line.usage.answers;
            part.compute_ns += line.usage.compute_ns;
            part.spent.add(&line.spent);
        }
        unpriced += line.unpriced_ns;
    }
    let mut whole = Sums::default();
    for group in groups.values() {
        whole.add(group);
    }
    let of =
        |sums: &Sums| sums.group(parts.get(&(sums.variant.clone(), sums.version.clone())).cloned().unwrap_or_default());
    let mut told: Vec<Group> = groups.values().map(of).collect();
    told.sort_by(|a, b| b.predictions.cmp(&a.predictions).then_with(|| a.version.cmp(&b.version)));
    let mut notes = Vec::new();
    if prices.is_none() {
        notes.push("no price table is declared, so what answers cost is told in seconds alone".to_owned());
    } else if unpriced > 0 {
        notes.push(format!("{:.3} s of compute have no price in the table", unpriced as f64 / 1e9));
    }
    if whole.beyond > 0 {
        notes.push(format!(
            "{} of {} predictions have feedback beyond {LARGEST}, which is taken for a mistake and worth nothing",
            whole.beyond, whole.predictions
        ));
    }
    if whole.known < whole.predictions {
        let without = whole.predictions - whole.known;
        notes.push(format!(
            "{without} of {} predictions have no such feedback and count as worth nothing",
            whole.predictions
        ));
    }
    Roi {
        currency: spec.currency.clone(),
        prices: prices.map(|(name, _)| name),
        whole: whole.group(all),
        groups: told,
        notes,
    }
}

/// Of failures, those that got no answer in time are apart from those that were wrong.
fn part(outcome: &str, error: &str) -> &'static str {
    match (outcome, error) {
        ("failed", "overloaded" | "deadline_exceeded" | "cancelled" | "unavailable") => "unanswered",
        ("failed", _) => "failed",
        ("forced", _) => "forced",
        ("shadow", _) => "shadow",
        ("unstored", _) => "unstored",
        _ => "succeeded",
    }
}

/// A line for each variant and version: predictions, known, successes, sum and sum of squares of values, predictions with a
/// number that is too large to be one, then for each outcome how often it was, or the sum of its numbers in millionths, as
/// text: it may have more digits than a number has here.
fn brought(asked: &RoiRequest, spec: &ValueSpec) -> String {
    let mut names: Vec<String> = spec.outcomes.iter().map(|o| literal(&o.outcome)).collect();
    names.sort();
    names.dedup();
    let since = instant(asked.from.plus_micros(-EARLY));
    // A caller's own id is of one prediction of a deployment for 30 days.
    let (first, last) = (asked.from.plus_micros(-UNIQUE), asked.until.plus_micros(UNIQUE));
    let own = format!(
        "deployment = {} AND at >= {} AND at < {}",
        literal(asked.deployment.as_str()),
        instant(first),
        instant(last)
    );
    let said = feedback(&format!("f.name IN ({}) AND f.at >= {since}", names.join(", ")), &own);
    let (mut inner, mut worth, mut outer) = (Vec::new(), Vec::new(), Vec::new());
    let mut numbers = Vec::new();
    for (i, outcome) in spec.outcomes.iter().enumerate() {
        let (name, value) = (literal(&outcome.outcome), outcome.value.approximate());
        match &outcome.is {
            Some(is) => {
                inner.push(format!("max(CASE WHEN name = {name} AND {} THEN 1 ELSE 0 END) AS o{i}", matches(is)));
                worth.push(format!("coalesce(CAST(f.o{i} AS DOUBLE), 0) * {value:?}"));
                outer.push(format!("CAST(coalesce(sum(o{i}), 0) AS VARCHAR)"));
            }
            None => {
                let number = format!("name = {name} AND value_type = 'number'");
                inner.push(format!(
                    "max(CASE WHEN {number} AND abs(value_number) <= {LARGEST} THEN value_number END) AS o{i}"
                ));
                worth.push(format!("coalesce(f.o{i}, 0) * {value:?}"));
                let exact = format!("CAST(CAST(round(o{i} * 1000000) AS BIGINT) AS DECIMAL(20, 0))");
                outer.push(format!("CAST(coalesce(sum({exact}), CAST(0 AS DECIMAL(30, 0))) AS VARCHAR)"));
                numbers.push(format!("({number} AND abs(value_number) > {LARGEST})"));
            }
        }
    }
    let beyond = if numbers.is_empty() { "false".to_owned() } else { numbers.join(" OR ") };
    inner.push(format!("max(CASE WHEN {beyond} THEN 1 ELSE 0 END) AS beyond"));
    let columns: Vec<String> = (0..spec.outcomes.len()).map(|i| format!("f.o{i}")).collect();
    format!(
        "WITH f AS (SELECT prediction_id, \"row\" AS r, {} FROM ({said}) GROUP BY 1, 2), \
         v AS (SELECT p.variant, p.model || '/' || p.version AS version, f.prediction_id AS said, f.beyond, {}, {} AS x \
         FROM predictions p LEFT JOIN f ON f.prediction_id = p.event_id AND f.r = p.\"row\" \
         WHERE p.deployment = {} AND p.at >= {} AND p.at < {} AND p.outcome = 'ok' AND NOT p.forced \
         AND p.shadow_of IS NULL) \
         SELECT variant, version, count(*), count(said), CAST(sum(CASE WHEN x > 0 THEN 1 ELSE 0 END) AS BIGINT), \
         sum(x), sum(x * x), CAST(coalesce(sum(beyond), 0) AS BIGINT), {} FROM v GROUP BY 1, 2 ORDER BY 1, 2",
        inner.join(", "),
        columns.join(", "),
        worth.join(" + "),
        literal(asked.deployment.as_str()),
        instant(asked.from),
        instant(asked.until),
        outer.join(", "),
    )
}

fn matches(is: &Said) -> String {
    match is {
        Said::Truth(yes) => format!("value_type = 'bool' AND value_number = {}", u8::from(*yes)),
        Said::Number(number) => format!("value_type = 'number' AND value_number = {number:?}"),
        Said::Text(text) => format!("value_type NOT IN ('bool', 'number') AND value = {}", literal(text)),
    }
}
