//! Price tables: what things cost, from when on.

use crate::money::Money;
use mainspring_core::{Timestamp, Tokens};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;
use time::macros::format_description;
use time::{Date, OffsetDateTime, PrimitiveDateTime, Time};

/// Nanoseconds of an hour.
const HOUR_NS: u128 = 3_600_000_000_000;
/// Nanoseconds of a second.
const SECOND_NS: u128 = 1_000_000_000;
/// Bytes of a gigabyte, as clouds count them.
const GB: u128 = 1_000_000_000;
/// Microseconds of a month of 730 hours, as clouds count them.
const MONTH_US: u128 = 730 * 3_600_000_000;
/// Tokens that are priced together.
const MILLION: u128 = 1_000_000;
/// Entries of a table.
const MOST: usize = 100;

/// A day, which begins at midnight UTC: `2026-11-01`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Day(Date);

impl Day {
    /// The day of a time.
    pub fn of(at: Timestamp) -> Self {
        let at = OffsetDateTime::from_unix_timestamp_nanos(i128::from(at.micros()) * 1_000);
        Self(at.map_or(Date::MAX, OffsetDateTime::date))
    }

    /// The day after it.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0.next_day().unwrap_or(Date::MAX))
    }

    /// When it begins.
    pub fn begins(self) -> Timestamp {
        let at = PrimitiveDateTime::new(self.0, Time::MIDNIGHT).assume_utc().unix_timestamp_nanos() / 1_000;
        Timestamp(i64::try_from(at).unwrap_or(i64::MAX))
    }
}

impl FromStr for Day {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let form = format_description!("[year]-[month]-[day]");
        Date::parse(text, form).map(Self).map_err(|_| format!("{text:?} is no day; write it as 2026-11-01"))
    }
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}-{:02}", self.0.year(), u8::from(self.0.month()), self.0.day())
    }
}

impl Serialize for Day {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Day {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        String::deserialize(d)?.parse().map_err(serde::de::Error::custom)
    }
}

impl JsonSchema for Day {
    fn schema_name() -> Cow<'static, str> {
        "Day".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "format": "date", "description": "A day, from midnight UTC on: 2026-11-01."})
    }
}

/// What machines, storage and requests cost, in one currency. Without a table no money is shown.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(title = "PriceTable")]
pub struct PriceSpec {
    /// The currency, by its three letters: `EUR`.
    pub currency: String,
    /// Prices by the day from which on they hold, the earliest first. What came before the first has no price.
    #[schemars(length(min = 1))]
    pub entries: Vec<PriceEntry>,
    /// Offers that hints are reckoned with; they change no report.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub offers: Vec<Offer>,
}

/// Prices from a day on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PriceEntry {
    /// The first day.
    pub from: Day,
    /// The machines that are paid for by the hour, whether they work or not. A second of compute costs its share of one
    /// CPU's hour.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<HostPrice>,
    /// A second of compute, where it is not the share of a machine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compute_second: Option<Money>,
    /// A request, however it ended; a shadow is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<Money>,
    /// Tokens of models that count them, beside their compute. The price of a model that is named is its own; the one
    /// without a name is that of all others.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tokens: Vec<TokenPrice>,
    /// A gigabyte (10⁹ bytes) kept for a month of 730 hours.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub storage_gb_month: Option<Money>,
    /// Where the prices are from, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
}

/// What a million tokens cost.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TokenPrice {
    /// The registered model; every one that is not named when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// A million tokens that it reads.
    #[serde(default)]
    pub input_million: Money,
    /// A million tokens that it writes.
    #[serde(default)]
    pub output_million: Money,
}

/// Machines that are paid for by the hour.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct HostPrice {
    /// An hour of one machine.
    pub hour: Money,
    /// CPUs of one machine.
    #[schemars(range(min = 1))]
    pub cpus: u32,
    /// Machines.
    #[serde(default = "one")]
    #[schemars(range(min = 1))]
    pub count: u32,
}

fn one() -> u32 {
    1
}

/// A discount that could be had.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Offer {
    /// What it is called: `savings plan, 1 year`.
    pub name: String,
    /// How much less a machine's hour costs with it, per cent.
    #[schemars(range(min = 1, max = 99))]
    pub percent: u32,
    /// Whether it is paid for every hour, used or not, as a Savings Plan is; what can be taken away at any time, as Spot, is
    /// not.
    #[serde(default)]
    pub committed: bool,
}

impl PriceSpec {
    /// Checks what the types cannot: a path and a reason.
    ///
    /// # Errors
    /// The first field at fault.
    pub fn validate(&self) -> Result<(), (String, String)> {
        let wrong = |path: String, reason: &str| Err((path, reason.to_owned()));
        if self.currency.len() != 3 || !self.currency.bytes().all(|b| b.is_ascii_uppercase()) {
            return wrong("currency".into(), "it is the three letters of a currency, such as EUR");
        }
        if self.entries.is_empty() || self.entries.len() > MOST {
            return wrong("entries".into(), "a table has between 1 and 100 entries");
        }
        for (i, entry) in self.entries.iter().enumerate() {
            let at = |field: &str| format!("entries[{i}].{field}");
            if i > 0 && self.entries[i - 1].from >= entry.from {
                return wrong(at("from"), "each entry begins later than the one before it");
            }
            let prices = [
                ("computeSecond", entry.compute_second),
                ("request", entry.request),
                ("storageGbMonth", entry.storage_gb_month),
                ("host.hour", entry.host.as_ref().map(|h| h.hour)),
            ];
            if let Some((field, _)) = prices.iter().find(|(_, price)| price.is_some_and(|p| p < Money::default())) {
                return wrong(at(field), "a price is not less than nothing");
            }
            if prices.iter().all(|(_, price)| price.is_none()) && entry.tokens.is_empty() {
                return wrong(
                    at("from"),
                    "the entry has no price; give host, computeSecond, request, tokens or storageGbMonth",
                );
            }
            if let Some((i, reason)) = entry.wrong_tokens() {
                return wrong(at(&format!("tokens[{i}]")), reason);
            }
            if entry.host.as_ref().is_some_and(|h| h.cpus == 0 || h.cpus > 10_000) {
                return wrong(at("host.cpus"), "a machine has between 1 and 10000 CPUs");
            }
            if entry.host.as_ref().is_some_and(|h| h.count == 0 || h.count > 100_000) {
                return wrong(at("host.count"), "there are between 1 and 100000 machines");
            }
        }
        for (i, offer) in self.offers.iter().enumerate() {
            if !(1..=99).contains(&offer.percent) {
                return wrong(format!("offers[{i}].percent"), "it is between 1 and 99");
            }
        }
        Ok(())
    }

    /// The entries that hold between two times, each with for how many microseconds.
    pub fn within(&self, from: Timestamp, until: Timestamp) -> impl Iterator<Item = (&PriceEntry, u64)> {
        self.entries.iter().enumerate().filter_map(move |(i, entry)| {
            let ends = self.entries.get(i + 1).map_or(until, |next| next.from.begins().min(until));
            let micros = ends.micros().checked_sub(entry.from.begins().max(from).micros())?;
            u64::try_from(micros).ok().filter(|micros| *micros > 0).map(|micros| (entry, micros))
        })
    }

    /// What it costs to keep so many bytes between two times, at the price of each day; `None` where no day has one.
    pub fn kept(&self, bytes: u64, (from, until): (Timestamp, Timestamp)) -> Option<Money> {
        let parts = self.within(from, until).filter_map(|(entry, micros)| entry.storage(bytes, micros));
        parts.reduce(|all, part| all + part)
    }

    /// The models whose tokens have a price of their own at any time, each once.
    pub fn models(&self) -> Vec<String> {
        let named = self.entries.iter().flat_map(|entry| &entry.tokens).filter_map(|t| t.model.clone());
        named.collect::<BTreeSet<_>>().into_iter().collect()
    }

    /// The entry that holds at a time.
    pub fn at(&self, at: Timestamp) -> Option<&PriceEntry> {
        self.entries.iter().rev().find(|entry| entry.from.begins() <= at)
    }
}

impl PriceEntry {
    /// What so many nanoseconds of compute cost; `None` without a price.
    pub fn compute(&self, ns: u128) -> Option<Money> {
        let own = self.compute_second.map(|second| second.share(ns, SECOND_NS));
        own.or_else(|| self.host.as_ref().map(|h| h.hour.share(ns, HOUR_NS * u128::from(h.cpus))))
    }

    /// What so many requests cost; nothing without a price.
    pub fn requests(&self, n: u64) -> Money {
        self.request.unwrap_or_default().times(n)
    }

    /// What so many tokens of a model cost; nothing without a price.
    pub fn tokens(&self, model: &str, tokens: Tokens) -> Money {
        let of = |model: Option<&str>| self.tokens.iter().find(|t| t.model.as_deref() == model);
        let Some(price) = of(Some(model)).or_else(|| of(None)) else { return Money::default() };
        let part = |million: Money, n: u64| million.share(n.into(), MILLION);
        part(price.input_million, tokens.input) + part(price.output_million, tokens.output)
    }

    /// The place of a price of tokens that cannot be, and why.
    fn wrong_tokens(&self) -> Option<(usize, &'static str)> {
        if self.tokens.len() > MOST {
            return Some((MOST, "an entry has at most 100 prices of tokens"));
        }
        self.tokens.iter().enumerate().find_map(|(i, price)| {
            let (input, output) = (price.input_million, price.output_million);
            let reason = if input < Money::default() || output < Money::default() {
                "a price is not less than nothing"
            } else if input == Money::default() && output == Money::default() {
                "it has no price; give inputMillion or outputMillion"
            } else if price.model.as_deref() == Some("") {
                "the model is empty; leave it out for all others"
            } else if self.tokens[..i].iter().any(|before| before.model == price.model) {
                "the model has a price before it"
            } else {
                return None;
            };
            Some((i, reason))
        })
    }

    /// What so many bytes cost for so many microseconds; `None` without a price.
    pub fn storage(&self, bytes: u64, micros: u64) -> Option<Money> {
        let of = u128::from(bytes) * u128::from(micros);
        self.storage_gb_month.map(|month| month.share(of, GB * MONTH_US))
    }
}

impl HostPrice {
    /// What all machines cost for so many microseconds.
    pub fn paid(&self, micros: u64) -> Money {
        self.hour.times(u64::from(self.count)).share(u128::from(micros) * 1_000, HOUR_NS)
    }

    /// Nanoseconds of all CPUs in so many microseconds.
    pub fn cpu_ns(&self, micros: u64) -> u128 {
        u128::from(micros) * 1_000 * u128::from(self.cpus) * u128::from(self.count)
    }
}
