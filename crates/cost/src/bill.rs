//! A provider's bill as a price table: what was charged for machines, day by day, is what their hours cost.
//!
//! Rows are those of FOCUS, the FinOps Open Cost and Usage Specification (focus.finops.org, versions 1.0 to 1.2), which
//! AWS, Azure, Google Cloud and others export. `EffectiveCost` has what was paid beforehand spread over the time it is
//! for; a charge over several days is spread over them evenly.

use crate::money::Money;
use crate::prices::{Day, HostPrice, PriceEntry};
use mainspring_core::Timestamp;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use time::format_description::well_known::Rfc3339;
use time::{OffsetDateTime, PrimitiveDateTime, macros::format_description};

/// Columns that a bill cannot be read without, besides the one of costs.
pub const NEEDED: [&str; 3] = ["ChargePeriodStart", "ChargePeriodEnd", "BillingCurrency"];
/// Columns that are read where they are there.
pub const READ: [&str; 6] =
    ["ChargeCategory", "ServiceCategory", "ServiceName", "Tags", "ConsumedQuantity", "ConsumedUnit"];
/// The category of services that are machines, where no service is named.
const MACHINES: &str = "Compute";
/// One of services that are machines where they are paid by time: others are paid by tokens and requests.
const SOME: &str = "AI and Machine Learning";
/// Microseconds of an hour.
const HOUR_US: u128 = 3_600_000_000;
/// Days that one charge may be for: ten years.
const LONGEST: usize = 3_660;

/// Which charges count.
#[derive(Debug, Clone, Default)]
pub struct Chosen {
    /// The column with what a charge costs: `EffectiveCost`.
    pub cost: String,
    /// Services that are machines, by name. When there is none, those of the category Compute are, and of AI and Machine
    /// Learning what is consumed by the hour.
    pub services: Vec<String>,
    /// Tags that a charge must have, with their values.
    pub tags: Vec<(String, String)>,
}

/// What was charged, by day.
#[derive(Debug, Default)]
pub struct Bill {
    currency: Option<String>,
    days: BTreeMap<Day, OfDay>,
    /// When the last charge for machines ends.
    until: Option<Timestamp>,
    /// For machines: how many charges, and what they come to, by service.
    pub machines: BTreeMap<String, (u64, Money)>,
    /// The same of storage whose amount is told.
    pub storage: BTreeMap<String, (u64, Money)>,
    /// Left out: taxes, and what is neither.
    pub left_out: BTreeMap<String, (u64, Money)>,
    /// Charges without the tags that were asked for.
    pub untagged: u64,
}

#[derive(Debug, Default, Clone)]
struct OfDay {
    /// What machines were charged, where they were.
    machines: Option<Money>,
    storage: Money,
    gb_months: Money,
}

impl Bill {
    /// One row, by the cells of its columns.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn add<'a>(&mut self, chosen: &Chosen, cell: impl Fn(&str) -> Option<&'a str>) -> Result<(), String> {
        let given = |name: &str| cell(name).map(str::trim).filter(|text| !text.is_empty());
        let needed = |name: &str| given(name).ok_or_else(|| format!("it has no {name}"));
        let (begins, ends) = (instant(needed("ChargePeriodStart")?)?, instant(needed("ChargePeriodEnd")?)?);
        if ends <= begins {
            return Err("its ChargePeriodEnd is not after its ChargePeriodStart".to_owned());
        }
        let cost = Money::rounded(needed(&chosen.cost)?).map_err(|e| format!("{}: {e}", chosen.cost))?;
        let currency = needed("BillingCurrency")?;
        match &self.currency {
            Some(known) if known != currency => {
                return Err(format!("it is in {currency}, those before it in {known}; nothing is converted"));
            }
            Some(_) => {}
            None => self.currency = Some(currency.to_owned()),
        }
        if !chosen.tags.is_empty() && !tagged(given("Tags"), &chosen.tags)? {
            self.untagged += 1;
            return Ok(());
        }
        let (category, service) =
            (given("ServiceCategory").unwrap_or("Other"), given("ServiceName").unwrap_or("Other"));
        let is_machine = match chosen.services.as_slice() {
            [] => category == MACHINES || category == SOME && given("ConsumedUnit").is_some_and(is_time),
            named => named.iter().any(|s| s == service),
        };
        let gb_months = match (category, given("ConsumedQuantity"), given("ConsumedUnit")) {
            ("Storage", Some(quantity), Some(unit)) if is_gb_month(unit) => Some(Money::rounded(quantity)?),
            _ => None,
        };
        let kind = given("ChargeCategory").unwrap_or("Usage");
        let told = match (kind, is_machine, gb_months) {
            ("Tax", _, _) => self.left_out.entry("taxes".to_owned()),
            (_, true, _) => self.machines.entry(service.to_owned()),
            (_, false, Some(_)) => self.storage.entry(service.to_owned()),
            (_, false, None) => self.left_out.entry(format!("{service} ({category})")),
        };
        let (charges, sum) = told.or_default();
        (*charges, *sum) = (*charges + 1, *sum + cost);
        if kind == "Tax" || !(is_machine || gb_months.is_some()) {
            return Ok(());
        }
        self.spread((begins, ends), cost, if is_machine { None } else { gb_months })
    }

    /// Over the days of its period.
    fn spread(
        &mut self,
        (begins, ends): (Timestamp, Timestamp),
        cost: Money,
        stored: Option<Money>,
    ) -> Result<(), String> {
        let whole = (ends.micros() - begins.micros()).unsigned_abs();
        let (mut left, mut left_months) = (cost, stored.unwrap_or_default());
        let mut day = Day::of(begins);
        for _ in 0..LONGEST {
            let next = day.next();
            let (from, until) = (begins.max(day.begins()), ends.min(next.begins()));
            let part = u128::from((until.micros() - from.micros()).unsigned_abs());
            let last = next.begins() >= ends;
            // The last day has what rounding left.
            let share = |all: Money, left: Money| if last { left } else { all.share(part, u128::from(whole)) };
            let of_day = self.days.entry(day).or_default();
            let here = share(cost, left);
            left = left - here;
            match stored {
                Some(months) => {
                    let here_months = share(months, left_months);
                    left_months = left_months - here_months;
                    of_day.storage += here;
                    of_day.gb_months += here_months;
                }
                None => *of_day.machines.get_or_insert_default() += here,
            }
            if last {
                self.until = if stored.is_some() { self.until } else { self.until.max(Some(ends)) };
                return Ok(());
            }
            day = next;
        }
        Err("its period is longer than ten years".to_owned())
    }

    /// The currency of its charges.
    pub fn currency(&self) -> Option<&str> {
        self.currency.as_deref()
    }

    /// A table's entries: one for each day whose prices are not those of the day before. `machines` of `cpus` each were paid.
    pub fn entries(&self, (machines, cpus): (u32, u32), source: &str) -> Vec<PriceEntry> {
        let mut entries: Vec<PriceEntry> = Vec::new();
        for (day, of) in self.each_day() {
            // A machine is paid for all hours of a day; of the last one, for those that the bill has.
            let end = self.until.map_or(day.next().begins(), |until| until.min(day.next().begins()));
            let hours = u128::from((end.micros() - day.begins().micros()).unsigned_abs()) * u128::from(machines.max(1));
            let host = of.machines.map(|paid| HostPrice { hour: paid.share(HOUR_US, hours), cpus, count: machines });
            let month = u128::try_from(of.gb_months.0).ok().filter(|n| *n > 0);
            let storage_gb_month = month.map(|months| of.storage.share(Money::ONE.0.unsigned_abs(), months));
            // Credits may make a day cost less than nothing, which no price is.
            let host = host.map(|h| HostPrice { hour: h.hour.max(Money::default()), ..h });
            let storage_gb_month = storage_gb_month.map(|price| price.max(Money::default()));
            if host.is_none() && storage_gb_month.is_none() {
                continue;
            }
            let entry = PriceEntry {
                from: day,
                host,
                compute_second: None,
                request: None,
                tokens: Vec::new(),
                storage_gb_month,
                source: Some(source.to_owned()),
            };
            let same = |before: &PriceEntry| *before == PriceEntry { from: before.from, ..entry.clone() };
            if !entries.last().is_some_and(same) {
                entries.push(entry);
            }
        }
        entries
    }

    /// Every day from the first on that has charges to the last one. Between days with machines, one without any charge for
    /// them cost nothing: without an entry of its own it would cost what the day before it did.
    fn each_day(&self) -> impl Iterator<Item = (Day, OfDay)> {
        let with_machines = || self.days.iter().filter(|(_, of)| of.machines.is_some()).map(|(day, _)| *day);
        let machines = with_machines().next().zip(with_machines().next_back());
        let (first, last) = self.days().map_or((None, None), |(first, last)| (Some(first), Some(last)));
        std::iter::successors(first, |day| Some(day.next())).take_while(move |day| last.is_some_and(|l| *day <= l)).map(
            move |day| {
                let mut of = self.days.get(&day).cloned().unwrap_or_default();
                if machines.is_some_and(|(first, last)| first < day && day < last) {
                    of.machines.get_or_insert_default();
                }
                (day, of)
            },
        )
    }

    /// The days that it is of, the first and the last.
    pub fn days(&self) -> Option<(Day, Day)> {
        Some((*self.days.first_key_value()?.0, *self.days.last_key_value()?.0))
    }
}

/// Whether a unit is one of time: `Hours`, `Hrs`, `Hour`, `Instance-Hours`, `vCPU-Hours`, `Second`, `Minutes`.
fn is_time(unit: &str) -> bool {
    let unit = unit.to_ascii_lowercase();
    let last = unit.rsplit(|c: char| !c.is_ascii_alphabetic()).next().unwrap_or_default();
    ["h", "hr", "hrs", "hour", "hours", "minute", "minutes", "second", "seconds"].contains(&last)
}

/// A gigabyte kept for a month, as providers write it: `GB-Mo`, `GB-Month`, `GB Month`, `1 GB/Month`.
fn is_gb_month(unit: &str) -> bool {
    let letters: String = unit.chars().filter(char::is_ascii_alphabetic).collect();
    matches!(letters.to_ascii_lowercase().as_str(), "gbmo" | "gbmonth" | "gbmonths")
}

/// Whether a charge's tags, a JSON object, have these values.
fn tagged(tags: Option<&str>, wanted: &[(String, String)]) -> Result<bool, String> {
    let Some(tags) = tags else { return Ok(false) };
    let tags: Map<String, Value> =
        serde_json::from_str(tags).map_err(|e| format!("its Tags are no JSON object: {e}"))?;
    let text = |tag: &Value| tag.as_str().map_or_else(|| tag.to_string(), str::to_owned);
    Ok(wanted.iter().all(|(key, value)| tags.get(key).map(text).as_ref() == Some(value)))
}

/// A time as exports write it: `2026-11-01T00:00:00Z`, `2026-11-01 00:00:00 UTC`, `2026-11-01`. Without a zone it is UTC.
fn instant(text: &str) -> Result<Timestamp, String> {
    let wrong = || format!("{text:?} is no time; FOCUS writes 2026-11-01T00:00:00Z");
    if text.len() == 10 {
        return text.parse::<Day>().map(Day::begins).map_err(|_| wrong());
    }
    let text_t = text.trim_end_matches("UTC").trim_end().replacen(' ', "T", 1);
    let bare = format_description!("[year]-[month]-[day]T[hour]:[minute]:[second][optional [.[subsecond]]]");
    let found = OffsetDateTime::parse(&text_t, &Rfc3339)
        .or_else(|_| PrimitiveDateTime::parse(&text_t, bare).map(PrimitiveDateTime::assume_utc))
        .map_err(|_| wrong())?;
    i64::try_from(found.unix_timestamp_nanos() / 1_000).map(Timestamp).map_err(|_| wrong())
}
