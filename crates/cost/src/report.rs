//! What was asked, and what it cost.

use crate::error::CostError;
use crate::money::Money;
use crate::ports::Stored;
use crate::prices::{PriceEntry, PriceSpec};
use mainspring_core::{Name, Tenant, Timestamp, Tokens};
use serde_json::Value;
use std::collections::BTreeMap;
use std::str::FromStr;

/// By what lines are told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum By {
    /// The deployment.
    Deployment,
    /// The registered model.
    Model,
    /// The registered model and its version, `churn/3`.
    Version,
    /// The variant.
    Variant,
    /// The tenant.
    Tenant,
    /// Who asked: `key:ab12cd34`.
    Key,
    /// `succeeded`, `failed`, `forced`, `shadow`; `unstored` for what the journal could only count.
    Outcome,
    /// The kind of failure, `overloaded`, `invalid_input`, …; `none` for what was answered.
    Error,
    /// The day, UTC.
    Day,
    /// The hour, UTC.
    Hour,
}

impl By {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::Deployment,
        Self::Model,
        Self::Version,
        Self::Variant,
        Self::Tenant,
        Self::Key,
        Self::Outcome,
        Self::Error,
        Self::Day,
        Self::Hour,
    ];

    /// The word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Deployment => "deployment",
            Self::Model => "model",
            Self::Version => "version",
            Self::Variant => "variant",
            Self::Tenant => "tenant",
            Self::Key => "key",
            Self::Outcome => "outcome",
            Self::Error => "error",
            Self::Day => "day",
            Self::Hour => "hour",
        }
    }
}

impl FromStr for By {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|by| by.as_str() == text).ok_or_else(|| {
            let all: Vec<&str> = Self::ALL.iter().map(|by| by.as_str()).collect();
            format!("costs are not told apart by {text:?}; there are {}", all.join(", "))
        })
    }
}

/// What to look at.
#[derive(Debug, Clone, PartialEq)]
pub struct Request {
    /// Answers from then on.
    pub from: Timestamp,
    /// And before then.
    pub until: Timestamp,
    /// By what lines are told apart, the first first.
    pub by: Vec<By>,
    /// Only of this deployment.
    pub deployment: Option<Name>,
    /// The price table; the only one, or the one called `default`, when left out.
    pub prices: Option<Name>,
}

/// What answers took.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Usage {
    /// Answers, shadows and failures among them.
    pub answers: u64,
    /// Those that somebody asked for: all but shadows.
    pub requests: u64,
    /// Rows of those that stand in the journal.
    pub rows: u64,
    /// Compute, nanoseconds.
    pub compute_ns: u128,
    /// What of that ran where a `mainspring predict` ran, and not on this server's machines.
    pub away_ns: u128,
    /// Waiting for admission and a batch, nanoseconds; it costs nothing.
    pub queue_ns: u128,
    /// Tokens that were spent, where models count them.
    pub tokens: Tokens,
    /// Answers that were kept and given again.
    pub cached: u64,
    /// What those did not take.
    pub saved: Saved,
}

/// What answers did not take, since they were kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Saved {
    /// Compute, nanoseconds: what each took when it was computed.
    pub compute_ns: u128,
    /// Tokens.
    pub tokens: Tokens,
}

impl Usage {
    fn add(&mut self, other: &Self) {
        self.answers += other.answers;
        self.requests += other.requests;
        self.rows += other.rows;
        self.compute_ns += other.compute_ns;
        self.away_ns += other.away_ns;
        self.queue_ns += other.queue_ns;
        self.tokens = self.tokens + other.tokens;
        self.cached += other.cached;
        self.saved.compute_ns += other.saved.compute_ns;
        self.saved.tokens = self.saved.tokens + other.saved.tokens;
    }
}

/// What answers cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Spent {
    /// For compute.
    pub compute: Money,
    /// What of that is the share of the machines of the table.
    pub on_host: Money,
    /// For each request.
    pub requests: Money,
    /// For tokens.
    pub tokens: Money,
}

impl Spent {
    /// All of it.
    pub fn total(&self) -> Money {
        self.compute + self.requests + self.tokens
    }

    pub(crate) fn add(&mut self, other: &Self) {
        self.compute += other.compute;
        self.on_host += other.on_host;
        self.requests += other.requests;
        self.tokens += other.tokens;
    }
}

/// Answers that are told together.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Line {
    /// The value of each that was asked by, in that order.
    pub of: Vec<String>,
    /// What they took.
    pub usage: Usage,
    /// What they cost: zero without a table, and for what has no price.
    pub spent: Spent,
    /// Compute on the machines of the table, nanoseconds: not what ran elsewhere, nor at a time without machines.
    pub on_host_ns: u128,
    /// Compute that has no price: there is no table, or it begins later.
    pub unpriced_ns: u128,
    /// What kept answers would have cost.
    pub saved: Money,
}

impl Line {
    pub(crate) fn add(&mut self, other: &Self) {
        self.usage.add(&other.usage);
        self.spent.add(&other.spent);
        self.on_host_ns += other.on_host_ns;
        self.unpriced_ns += other.unpriced_ns;
        self.saved += other.saved;
    }
}

/// The machines that are paid for, and what no answer took of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Host {
    /// Nanoseconds of all their CPUs.
    pub cpu_ns: u128,
    /// Nanoseconds of compute on them that the report attributes.
    pub used_ns: u128,
    /// What the machines cost.
    pub paid: Money,
    /// What of that the report attributes to answers.
    pub used: Money,
}

impl Host {
    /// What no answer took, which is never spread over answers.
    pub fn unallocated(&self) -> Money {
        self.paid - self.used
    }
}

/// Bytes that are kept, and what keeping them for the time of the report costs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// What is kept.
    pub stored: Stored,
    /// What that costs as it stands now, up to now; `None` without a price.
    pub cost: Option<Money>,
}

/// What answers cost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// The price table and its currency; without one there is no money in the report.
    pub prices: Option<(Name, String)>,
    /// Lines, the one with the most compute first; by time where that is first asked for.
    pub lines: Vec<Line>,
    /// All lines together.
    pub total: Line,
    /// What is kept; nothing where the report is of every tenant.
    pub kept: Vec<Kept>,
    /// The paid machines; `None` where no table prices them, or the report is of one deployment.
    pub host: Option<Host>,
    /// What must be known to read this.
    pub notes: Vec<String>,
}

/// Reads rows of [`crate::sql::usage`]: the number of the price entry, the model, the values, twelve sums.
pub(crate) fn lines(
    rows: &[Vec<Value>],
    request: &Request,
    (tenant, prices): (&Tenant, Option<&PriceSpec>),
) -> Result<Vec<Line>, CostError> {
    let width = request.by.len() + 2;
    let mut all: BTreeMap<Vec<String>, Line> = BTreeMap::new();
    for row in rows {
        let broken = || CostError::Broken(format!("{row:?}"));
        let (Some([period, model]), Some(values), Some(sums)) =
            (row.get(..2), row.get(2..width), row.get(width..width + 12))
        else {
            return Err(broken());
        };
        let period = period.as_u64().and_then(|n| usize::try_from(n).ok()).ok_or_else(broken)?;
        let sums: Vec<u64> = sums.iter().map(Value::as_u64).collect::<Option<_>>().ok_or_else(broken)?;
        let usage = Usage {
            answers: sums[0],
            requests: sums[1],
            rows: sums[2],
            compute_ns: sums[3].into(),
            away_ns: sums[4].into(),
            queue_ns: sums[5].into(),
            tokens: Tokens { input: sums[6], output: sums[7] },
            cached: sums[8],
            saved: Saved { compute_ns: sums[9].into(), tokens: Tokens { input: sums[10], output: sums[11] } },
        };
        let value = |(value, by): (&Value, &By)| match by {
            By::Tenant => tenant.to_string(),
            _ => value.as_str().unwrap_or_default().to_owned(),
        };
        let of: Vec<String> = values.iter().zip(&request.by).map(value).collect();
        let model = model.as_str().unwrap_or_default();
        let line = priced(usage, model, prices.and_then(|p| p.entries.get(period.checked_sub(1)?)));
        all.entry(of.clone()).or_insert_with(|| Line { of, ..Line::default() }).add(&line);
    }
    Ok(all.into_values().collect())
}

/// What usage of a model costs by an entry.
pub(crate) fn priced(usage: Usage, model: &str, entry: Option<&PriceEntry>) -> Line {
    let Some(entry) = entry else { return Line { usage, unpriced_ns: usage.compute_ns, ..Line::default() } };
    let (requests, tokens) = (entry.requests(usage.requests), entry.tokens(model, usage.tokens));
    let spent = Spent { requests, tokens, ..Spent::default() };
    let saved = entry.tokens(model, usage.saved.tokens) + entry.compute(usage.saved.compute_ns).unwrap_or_default();
    let Some(compute) = entry.compute(usage.compute_ns) else {
        return Line { usage, spent, saved, unpriced_ns: usage.compute_ns, ..Line::default() };
    };
    let on_host_ns = if entry.host.is_some() { usage.compute_ns.saturating_sub(usage.away_ns) } else { 0 };
    let on_host = entry.compute(on_host_ns).unwrap_or_default();
    Line { usage, spent: Spent { compute, on_host, ..spent }, on_host_ns, saved, ..Line::default() }
}

/// The machines that the table prices between two times. `used` is what of them went to answers.
pub(crate) fn host(prices: &PriceSpec, (from, until): (Timestamp, Timestamp), total: &Line) -> Option<Host> {
    let mut found: Option<Host> = None;
    for (entry, micros) in prices.within(from, until) {
        let Some(machines) = &entry.host else { continue };
        let host = found.get_or_insert_default();
        host.paid += machines.paid(micros);
        host.cpu_ns += machines.cpu_ns(micros);
    }
    found.map(|host| Host { used: total.spent.on_host, used_ns: total.on_host_ns, ..host })
}
