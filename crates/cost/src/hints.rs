//! What measurements say about sizes and offers. Arithmetic, and nothing that was not measured or declared.

use crate::action::ReadCost;
use crate::costs::Costs;
use crate::error::CostError;
use crate::ports::Running;
use crate::prices::{HostPrice, Offer, PriceSpec};
use crate::sql;
use mainspring_core::{Authorized, Name, Timestamp};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// How busy an instance may be in the busiest minutes: what comes by chance then still finds one idle.
const BUSY: f64 = 0.7;
const MINUTE: i64 = 60_000_000;
const HOUR: i64 = 60 * MINUTE;
/// Minutes below which nothing is said of a size.
const LEAST: usize = 60;
/// Whole hours below which nothing is said of offers: whoever commits for a year should have seen a night.
const LEAST_HOURS: usize = 24;
/// Hours of a month, as clouds count them.
const MONTH: u32 = 730;

/// What a hint is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HintKind {
    /// The instances of a version.
    Instances,
    /// The machines.
    Machines,
    /// An offer that is paid for every hour.
    Committed,
    /// An offer of machines that can be taken away.
    Interruptible,
}

impl HintKind {
    /// The word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Instances => "instances",
            Self::Machines => "machines",
            Self::Committed => "committed",
            Self::Interruptible => "interruptible",
        }
    }
}

/// What could be otherwise.
#[derive(Debug, Clone, PartialEq)]
pub struct Hint {
    /// What it is about.
    pub kind: HintKind,
    /// Of which deployment, when it is of one.
    pub deployment: Option<String>,
    /// In words.
    pub sentence: String,
    /// The numbers that justify it.
    pub numbers: Value,
}

/// Hints, and what could not be said.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Hints {
    /// What could be otherwise.
    pub hints: Vec<Hint>,
    /// What must be known to read them.
    pub notes: Vec<String>,
}

/// How many calls ran at once, minute by minute.
#[derive(Debug, Clone, PartialEq)]
struct Demand {
    /// The mean of each minute, ascending; minutes without answers among them.
    minutes: Vec<f64>,
}

impl Demand {
    fn new(busy: &BTreeMap<i64, u128>, from: i64, until: i64) -> Self {
        let all = usize::try_from((until - from) / MINUTE).unwrap_or(0).max(busy.len());
        let mut minutes: Vec<f64> = busy.values().map(|ns| *ns as f64 / 6e10).collect();
        minutes.resize(all, 0.0);
        minutes.sort_by(f64::total_cmp);
        Self { minutes }
    }

    fn mean(&self) -> f64 {
        self.minutes.iter().sum::<f64>() / self.minutes.len().max(1) as f64
    }

    /// In 99 of 100 minutes it was at most so much.
    fn p99(&self) -> f64 {
        let at = (self.minutes.len() * 99).div_ceil(100).saturating_sub(1);
        self.minutes.get(at).copied().unwrap_or(0.0)
    }

    fn most(&self) -> f64 {
        self.minutes.last().copied().unwrap_or(0.0)
    }
}

impl Costs {
    /// What the demand of a time says about instances, machines and declared offers.
    ///
    /// # Errors
    /// [`CostError`]: what the journal or another part said.
    pub async fn hints(
        &self,
        auth: &Authorized<ReadCost>,
        (from, until): (Timestamp, Timestamp),
        prices: Option<&Name>,
    ) -> Result<Hints, CostError> {
        let rows = self.rows(auth.who(), &sql::minutes(from, until)).await?;
        let mut by: BTreeMap<(String, String), BTreeMap<i64, u128>> = BTreeMap::new();
        for row in &rows {
            let broken = || CostError::Broken(format!("{row:?}"));
            let [deployment, version, minute, busy] = row.as_slice() else { return Err(broken()) };
            let (Some(d), Some(v), Some(at), Some(ns)) =
                (deployment.as_str(), version.as_str(), minute.as_i64(), busy.as_u64())
            else {
                return Err(broken());
            };
            by.entry((d.to_owned(), v.to_owned())).or_default().insert(at, ns.into());
        }
        let running = self.house.running(auth.who()).await?;
        let table = self.prices(auth.tenant(), prices)?;
        Ok(said(&by, &running, table.as_ref().map(|(_, table)| &**table), until.min(self.ctx.now())))
    }
}

fn said(
    by: &BTreeMap<(String, String), BTreeMap<i64, u128>>,
    running: &[Running],
    prices: Option<&PriceSpec>,
    until: Timestamp,
) -> Hints {
    let mut found = Hints::default();
    let until = until.micros();
    let mut seen = BTreeSet::new();
    for one in running {
        let version = format!("{}/{}", one.model, one.version);
        let key = (one.deployment.clone(), version);
        let Some(busy) = by.get(&key).filter(|_| seen.insert(key.clone())) else { continue };
        let Some(first) = busy.keys().next() else { continue };
        let demand = Demand::new(busy, *first, until);
        if demand.minutes.len() < LEAST {
            found.notes.push(format!(
                "{} {}: it has answered for {}; nothing is said of its size before {LEAST}",
                key.0,
                key.1,
                plural(demand.minutes.len(), "minute")
            ));
        } else if let Some(hint) = instances(one, &key.1, &demand) {
            found.hints.push(hint);
        }
    }
    let mut whole: BTreeMap<i64, u128> = BTreeMap::new();
    for (minute, ns) in by.values().flatten() {
        *whole.entry(*minute).or_default() += ns;
    }
    let (Some(first), Some(prices)) = (whole.keys().next().copied(), prices) else {
        if prices.is_none() {
            found.notes.push("no price table is declared, so nothing is said of machines and offers".to_owned());
        }
        return found;
    };
    let Some(host) = prices.at(Timestamp(until)).and_then(|e| e.host.as_ref()) else {
        found.notes.push("the price table has no machines now, so nothing is said of them".to_owned());
        return found;
    };
    let demand = Demand::new(&whole, first, until);
    if demand.minutes.len() >= LEAST {
        found.hints.extend(machines(&demand, (host.cpus, host.count)));
    }
    let hours = hours(&whole, first, until);
    if hours.len() < LEAST_HOURS {
        let seen = plural(hours.len(), "whole hour");
        found.notes.push(format!("there is traffic of {seen}; nothing is said of offers before {LEAST_HOURS}"));
        return found;
    }
    found.offers(&hours, prices, host);
    found
}

impl Hints {
    /// What discounts are worth on the machines that the hours needed: whole ones, since halves are not sold.
    fn offers(&mut self, hours: &[f64], prices: &PriceSpec, host: &HostPrice) {
        let needed: Vec<u32> = hours.iter().map(|cpus| machines_for(*cpus, host.cpus).min(host.count)).collect();
        let base = needed.iter().copied().min().unwrap_or(1);
        let above: u64 = needed.iter().map(|n| u64::from(n - base)).sum();
        let (seen, currency) = (hours.len(), &prices.currency);
        if !prices.offers.is_empty() {
            let note = "offers are reckoned from the table's own discounts; ask whoever sells them what they are";
            self.notes.push(note.to_owned());
        }
        for offer in &prices.offers {
            let Offer { name, percent, committed } = offer;
            let hourly =
                if *committed { host.hour.times(base.into()) } else { host.hour.share(above.into(), seen as u128) };
            let saved = hourly.times(MONTH.into()).share((*percent).into(), 100);
            let (kind, what) = if *committed {
                (HintKind::Committed, format!("every hour needed at least {}", plural(base, "machine")))
            } else if above == 0 {
                let all = plural(base, "machine");
                self.notes.push(format!("no hour needed more than {all}, so {name} would save nothing"));
                continue;
            } else {
                let mean = above as f64 / seen as f64;
                (HintKind::Interruptible, format!("{mean:.2} machines on average were needed beyond {base}"))
            };
            self.hints.push(Hint {
                kind,
                deployment: None,
                sentence: format!(
                    "{what} ({seen} hours, at most {:.0} % busy); {percent} % less for that, as the table says of {name}, \
                     is {saved} {currency} a month",
                    BUSY * 100.0
                ),
                numbers: json!({
                    "offer": name, "percent": percent, "baseMachines": base, "machineHoursAbove": above, "hours": seen,
                    "cpus": host.cpus, "target": BUSY, "savedPerMonth": saved.to_string(), "currency": currency,
                }),
            });
        }
    }
}

/// How many CPUs each whole hour used, on average.
fn hours(whole: &BTreeMap<i64, u128>, first: i64, until: i64) -> Vec<f64> {
    let from = first + (HOUR - first.rem_euclid(HOUR)) % HOUR;
    let hours = (until - from).div_euclid(HOUR);
    let of = |i| {
        let range = from + i * HOUR..from + (i + 1) * HOUR;
        whole.range(range).map(|(_, ns)| *ns).sum::<u128>() as f64 / 3.6e12
    };
    (0..hours).map(of).collect()
}

/// Machines that so many busy CPUs need; one is needed even by nothing.
fn machines_for(busy: f64, cpus: u32) -> u32 {
    ((busy / BUSY / f64::from(cpus)).ceil() as u32).max(1)
}

/// `1 machine was`, `2 machines were`.
fn were(n: impl TryInto<u64> + Copy, what: &str) -> String {
    let one = n.try_into().is_ok_and(|n| n == 1);
    format!("{} {}", plural(n, what), if one { "was" } else { "were" })
}

/// `1 machine`, `2 machines`.
fn plural(n: impl TryInto<u64>, what: &str) -> String {
    let n = n.try_into().unwrap_or(u64::MAX);
    format!("{n} {what}{}", if n == 1 { "" } else { "s" })
}

fn instances(of: &Running, version: &str, demand: &Demand) -> Option<Hint> {
    let (p99, now) = (demand.p99(), of.instances);
    let needed = ((p99 / BUSY).ceil() as usize).max(1);
    if needed == now {
        return None;
    }
    let share = demand.mean() / now.max(1) as f64;
    let what = if needed < now { "would carry them" } else { "would be needed" };
    Some(Hint {
        kind: HintKind::Instances,
        deployment: Some(of.deployment.clone()),
        sentence: format!(
            "{} {version}: {} {:.2} % busy; in 99 % of minutes at most {p99:.3} calls ran at once, so instances: {needed} \
             {what}, {:.0} % busy",
            of.deployment,
            were(now, "instance"),
            share * 100.0,
            p99 / needed as f64 * 100.0
        ),
        numbers: json!({
            "version": version, "instances": now, "needed": needed, "busyShare": share, "meanBusy": demand.mean(),
            "p99Busy": p99, "mostBusy": demand.most(), "minutes": demand.minutes.len(), "target": BUSY,
        }),
    })
}

fn machines(demand: &Demand, (cpus, count): (u32, u32)) -> Option<Hint> {
    let p99 = demand.p99();
    let needed = machines_for(p99, cpus);
    if needed == count {
        return None;
    }
    let all = f64::from(cpus) * f64::from(count);
    let way = if needed < count { "would carry them" } else { "would be needed" };
    Some(Hint {
        kind: HintKind::Machines,
        deployment: None,
        sentence: format!(
            "{} of {} {:.2} % busy with answers; in 99 % of minutes at most {p99:.3} CPUs were, so {needed} {way}; memory and \
             what else runs on them are not looked at",
            plural(count, "machine"),
            were(cpus, "CPU"),
            demand.mean() / all * 100.0
        ),
        numbers: json!({
            "machines": count, "cpus": cpus, "needed": needed, "meanBusy": demand.mean(), "p99Busy": p99,
            "mostBusy": demand.most(), "minutes": demand.minutes.len(), "target": BUSY,
        }),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn steady(cpus: f64, minutes: i64) -> BTreeMap<i64, u128> {
        (0..minutes).map(|m| (m * MINUTE, (cpus * 6e10) as u128)).collect()
    }

    fn prices(offers: Value) -> PriceSpec {
        serde_json::from_value(json!({"currency": "EUR", "offers": offers, "entries": [
            {"from": "1970-01-01", "host": {"hour": "0.20", "cpus": 2, "count": 4}},
        ]}))
        .unwrap()
    }

    fn one(instances: usize) -> Vec<Running> {
        vec![Running { deployment: "churn".into(), model: "churn".into(), version: "1".into(), instances }]
    }

    fn hints(busy: BTreeMap<i64, u128>, instances: usize, table: Option<&PriceSpec>, minutes: i64) -> Hints {
        let by = BTreeMap::from([(("churn".to_owned(), "churn/1".to_owned()), busy)]);
        said(&by, &one(instances), table, Timestamp(minutes * MINUTE))
    }

    #[test]
    fn instances_follow_from_the_busiest_minutes() {
        let found = hints(steady(0.3, 120), 4, None, 120);
        assert_eq!(found.hints[0].numbers["needed"], 1, "{found:?}");
        // 2.2 at once at 70 % are 3.14: four are needed.
        assert_eq!(hints(steady(2.2, 120), 2, None, 120).hints[0].numbers["needed"], 4);
        assert!(hints(steady(2.2, 120), 4, None, 120).hints.is_empty(), "what fits is left alone");
        // One minute of a hundred may be busier.
        let mut peak = steady(0.1, 199);
        peak.insert(199 * MINUTE, 600_000_000_000);
        assert_eq!(hints(peak, 2, None, 200).hints[0].numbers["needed"], 1);
        let young = hints(steady(0.1, 10), 2, None, 10);
        assert!(young.hints.is_empty() && young.notes[0].contains("10 minutes"), "{young:?}");
    }

    #[test]
    fn offers_are_reckoned_from_the_machines_that_every_hour_needs_and_from_those_above() {
        let offers = json!([
            {"name": "plan", "percent": 30, "committed": true}, {"name": "spot", "percent": 60},
        ]);
        // Half a CPU for half of a day and one and a half in the other: one machine of two is always needed at 70 %, and a
        // second one half of the time.
        let mut busy = steady(0.5, 720);
        busy.extend((720..1_440).map(|m| (m * MINUTE, 90_000_000_000)));
        let found = hints(busy, 3, Some(&prices(offers)), 1_440);
        let of = |kind| found.hints.iter().find(|h| h.kind == kind).unwrap();
        // 0.20 an hour × 730 hours × 30 %, and half of it × 60 %.
        assert_eq!(of(HintKind::Committed).numbers["savedPerMonth"], "43.8");
        assert_eq!(of(HintKind::Interruptible).numbers["savedPerMonth"], "43.8");
        // 1.5 busy at 70 % are 2.2 CPUs: two machines of two.
        assert_eq!(of(HintKind::Machines).numbers["needed"], 2);
    }

    #[test]
    fn a_machine_that_stands_idle_is_paid_for_all_the_same() {
        let offers = json!([
            {"name": "plan", "percent": 30, "committed": true}, {"name": "spot", "percent": 60},
        ]);
        let found = hints(steady(0.001, 1_440), 1, Some(&prices(offers)), 1_440);
        let plan = found.hints.iter().find(|h| h.kind == HintKind::Committed).unwrap();
        assert!(plan.sentence.contains("at least 1 machine (24 hours"), "{}", plan.sentence);
        assert_eq!(plan.numbers["savedPerMonth"], "43.8");
        assert!(found.hints.iter().all(|h| h.kind != HintKind::Interruptible), "{found:?}");
        assert!(found.notes.iter().any(|note| note.contains("spot would save nothing")), "{found:?}");
    }

    #[test]
    fn nobody_is_told_to_commit_before_a_day_was_seen() {
        let offers = json!([{"name": "plan", "percent": 30, "committed": true}]);
        let found = hints(steady(1.0, 1_439), 1, Some(&prices(offers)), 1_439);
        assert!(found.hints.iter().all(|h| h.kind != HintKind::Committed), "{found:?}");
        assert!(found.notes.iter().any(|note| note.contains("23 whole hours")), "{found:?}");
    }

    #[test]
    fn hours_are_whole_ones() {
        assert!(hours(&steady(1.0, 59), 0, 59 * MINUTE).is_empty());
        assert_eq!(hours(&steady(1.0, 60), 0, 60 * MINUTE), [1.0]);
        // An hour in which nothing was asked is one of them.
        assert_eq!(hours(&steady(1.0, 60), 0, 120 * MINUTE), [1.0, 0.0]);
        // One that began before is none.
        assert!(hours(&BTreeMap::from([(30 * MINUTE, 1)]), 30 * MINUTE, 119 * MINUTE).is_empty());
    }
}
