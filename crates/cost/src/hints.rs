//! What measurements say about sizes and offers. Arithmetic, and nothing that was not measured or declared.

use crate::action::ReadCost;
use crate::costs::Costs;
use crate::error::CostError;
use crate::money::Money;
use crate::ports::Running;
use crate::prices::PriceSpec;
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
        Ok(said(&by, &running, table.as_ref().map(|(_, table)| &**table), until))
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
                "{} {}: it has answered for {} minutes; nothing is said of its size before {LEAST}",
                key.0,
                key.1,
                demand.minutes.len()
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
    let base = base(&whole, first, until);
    let cpus = f64::from(host.cpus) * f64::from(host.count);
    if demand.minutes.len() >= LEAST {
        found.hints.extend(machines(&demand, (host.cpus, host.count)));
    }
    let Some(base) = base else {
        found.notes.push("there is no whole hour of traffic yet, so nothing is said of offers".to_owned());
        return found;
    };
    found
        .notes
        .push("offers are reckoned from the table's own discounts; ask whoever sells them what they are".to_owned());
    for offer in &prices.offers {
        // Of a CPU's hour in every hour of a month, in thousandths of a CPU.
        let part = if offer.committed { base.min(cpus) } else { (demand.mean() - base).clamp(0.0, cpus) };
        let thousandths = (part * 1_000.0).floor() as u64;
        let month = host.hour.times(u64::from(MONTH)).times(thousandths);
        let saved = Money(month.share(u128::from(offer.percent), 100_000 * u128::from(host.cpus)).0);
        let (kind, what) = if offer.committed {
            (HintKind::Committed, format!("in every hour at least {part:.3} CPUs were busy"))
        } else {
            (HintKind::Interruptible, format!("{part:.3} CPUs on average were busy beyond the {base:.3} of every hour"))
        };
        let (name, currency) = (&offer.name, &prices.currency);
        found.hints.push(Hint {
            kind,
            deployment: None,
            sentence: format!(
                "{what}; {} % less for that part, as the table says of {name}, is {saved} {currency} a month",
                offer.percent
            ),
            numbers: json!({
                "offer": name, "percent": offer.percent, "busyCpus": part, "baseCpus": base, "meanCpus": demand.mean(),
                "cpus": cpus, "savedPerMonth": saved.to_string(), "currency": currency,
            }),
        });
    }
    found
}

/// The least that any whole hour used, in CPUs; `None` before there is one.
fn base(whole: &BTreeMap<i64, u128>, first: i64, until: i64) -> Option<f64> {
    let from = first + (HOUR - first.rem_euclid(HOUR)) % HOUR;
    let hours = (until - from).div_euclid(HOUR);
    (0..hours)
        .map(|i| {
            let range = from + i * HOUR..from + (i + 1) * HOUR;
            whole.range(range).map(|(_, ns)| *ns).sum::<u128>() as f64 / 3.6e12
        })
        .min_by(f64::total_cmp)
}

fn instances(of: &Running, version: &str, demand: &Demand) -> Option<Hint> {
    let (p99, now) = (demand.p99(), of.instances);
    let needed = ((p99 / BUSY).ceil() as usize).max(1);
    if needed == now {
        return None;
    }
    let share = demand.mean() / now.max(1) as f64;
    let what = if needed < now { "would carry them" } else { "are needed for that" };
    Some(Hint {
        kind: HintKind::Instances,
        deployment: Some(of.deployment.clone()),
        sentence: format!(
            "{} {version}: {now} instances were {:.2} % busy; in 99 % of minutes at most {p99:.3} calls ran at once, so \
             instances: {needed} {what}, {:.0} % busy",
            of.deployment,
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
    let needed = ((p99 / BUSY / f64::from(cpus)).ceil() as u32).max(1);
    if needed == count {
        return None;
    }
    let all = f64::from(cpus) * f64::from(count);
    let way = if needed < count { "would carry them" } else { "are needed for that" };
    Some(Hint {
        kind: HintKind::Machines,
        deployment: None,
        sentence: format!(
            "{count} machines of {cpus} CPUs were {:.2} % busy with answers; in 99 % of minutes at most {p99:.3} CPUs were, so \
             {needed} {way}; memory and what else runs on them are not looked at",
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
    fn offers_are_reckoned_from_the_flat_part_and_from_what_is_above_it() {
        let offers = json!([
            {"name": "plan", "percent": 30, "committed": true}, {"name": "spot", "percent": 60},
        ]);
        // Half a CPU in the first hour and one and a half in the second: half is always there, half on average above.
        let mut busy = steady(0.5, 60);
        busy.extend((60..120).map(|m| (m * MINUTE, 90_000_000_000)));
        let found = hints(busy, 3, Some(&prices(offers)), 120);
        let of = |kind| found.hints.iter().find(|h| h.kind == kind).unwrap();
        // 0.5 CPUs × 0.10 an hour × 730 hours × 30 %.
        assert_eq!(of(HintKind::Committed).numbers["savedPerMonth"], "10.95");
        assert_eq!(of(HintKind::Interruptible).numbers["savedPerMonth"], "21.9");
        // 1.5 busy at 70 % are 2.2 CPUs: two machines of two.
        assert_eq!(of(HintKind::Machines).numbers["needed"], 2);
    }

    #[test]
    fn without_a_whole_hour_there_is_no_flat_part() {
        assert_eq!(base(&steady(1.0, 59), 0, 59 * MINUTE), None);
        assert_eq!(base(&steady(1.0, 60), 0, 60 * MINUTE), Some(1.0));
        // An hour in which nothing was asked is one of them.
        assert_eq!(base(&steady(1.0, 60), 0, 120 * MINUTE), Some(0.0));
    }
}
