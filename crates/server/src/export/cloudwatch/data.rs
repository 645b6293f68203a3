//! What CloudWatch is told of the families: what happened since the last time, by few dimensions.

use crate::metrics::{Families, Family, Measured, Named, Point, TENANT};
use mainspring_alert::slo::faulty;
use mainspring_core::{ErrorKind, nearest};
use mainspring_serving::HistogramView;
use std::collections::{BTreeMap, HashMap};

/// A metric that can be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Metric {
    /// Requests that were answered or failed through a fault of the server's.
    Requests,
    /// Those of them that failed.
    Errors,
    /// How long answers took.
    Latency,
    /// 1 while a version answers.
    Ready,
    /// Requests refused because of the caller.
    CallerErrors,
    /// Rows answered.
    Rows,
    /// Requests in flight.
    InFlight,
    /// Memory of loaded versions.
    Memory,
    /// Share of the error budget that is left, by objective.
    BudgetLeft,
    /// How fast it burns, by objective and window.
    BurnRate,
    /// Share of what may be spent that is, by budget.
    BudgetSpent,
    /// The same at the end of its period, at the pace so far.
    BudgetForecast,
    /// 1 while a monitor's columns have drifted, by monitor.
    Drifting,
    /// Columns that have, by monitor.
    DriftedColumns,
    /// Alerts that fire, by severity.
    AlertsFiring,
    /// Payloads, events and rows that the journal lost.
    JournalLost,
}

impl Metric {
    /// All of them.
    pub const ALL: [Self; 16] = [
        Self::Requests,
        Self::Errors,
        Self::Latency,
        Self::Ready,
        Self::CallerErrors,
        Self::Rows,
        Self::InFlight,
        Self::Memory,
        Self::BudgetLeft,
        Self::BurnRate,
        Self::BudgetSpent,
        Self::BudgetForecast,
        Self::Drifting,
        Self::DriftedColumns,
        Self::AlertsFiring,
        Self::JournalLost,
    ];

    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Requests => "Requests",
            Self::Errors => "Errors",
            Self::Latency => "Latency",
            Self::Ready => "Ready",
            Self::CallerErrors => "CallerErrors",
            Self::Rows => "Rows",
            Self::InFlight => "InFlight",
            Self::Memory => "Memory",
            Self::BudgetLeft => "BudgetLeft",
            Self::BurnRate => "BurnRate",
            Self::BudgetSpent => "BudgetSpent",
            Self::BudgetForecast => "BudgetForecast",
            Self::Drifting => "Drifting",
            Self::DriftedColumns => "DriftedColumns",
            Self::AlertsFiring => "AlertsFiring",
            Self::JournalLost => "JournalLost",
        }
    }

    /// Its unit, as CloudWatch calls it.
    pub fn unit(self) -> &'static str {
        match self {
            Self::Latency => "Milliseconds",
            Self::Memory => "Bytes",
            Self::Ready
            | Self::BudgetLeft
            | Self::BurnRate
            | Self::BudgetSpent
            | Self::BudgetForecast
            | Self::Drifting => "None",
            _ => "Count",
        }
    }
}

impl std::str::FromStr for Metric {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let names = || Self::ALL.into_iter().map(Self::as_str);
        Self::ALL.into_iter().find(|m| m.as_str() == text).ok_or_else(|| {
            let all = names().collect::<Vec<_>>().join(", ");
            let near = nearest(text, names()).map(|n| format!("; did you mean {n}?")).unwrap_or_default();
            format!("{text:?} is none of {all}{near}")
        })
    }
}

/// By what metrics of requests are told, beside by deployment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum By {
    /// By nothing else.
    Deployment,
    /// By variant, too.
    Variant,
    /// By variant and version, too.
    Version,
}

/// Names and values of dimensions.
pub type Dimensions = Vec<(&'static str, String)>;

/// One series' part of an interval.
#[derive(Debug, Clone, PartialEq)]
pub struct Datum {
    /// Which metric.
    pub metric: Metric,
    /// Of what.
    pub dimensions: Dimensions,
    /// How much.
    pub amount: Amount,
}

/// How much.
#[derive(Debug, Clone, PartialEq)]
pub enum Amount {
    /// A number.
    One(f64),
    /// Values, each with how often it came, ascending.
    Many(Vec<(f64, u64)>),
}

impl Datum {
    fn tenant(&self) -> Option<&str> {
        self.dimensions.first().filter(|(name, _)| *name == "Tenant").map(|(_, tenant)| tenant.as_str())
    }
}

/// Counts what is new.
#[derive(Debug)]
pub struct Tally {
    asked: Vec<Metric>,
    by: By,
    known: HashMap<Named, Measured>,
}

type Sums = BTreeMap<(Metric, Dimensions), Amount>;

impl Tally {
    /// Of these metrics.
    pub fn new(asked: Vec<Metric>, by: By) -> Self {
        Self { asked, by, known: HashMap::new() }
    }

    /// What is new since the last time, the metrics in the order of [`Metric::ALL`].
    pub fn data(&mut self, families: &Families) -> Vec<Datum> {
        let mut sums = Sums::new();
        let mut known = HashMap::new();
        for family in &families.0 {
            self.family(family, &mut sums, &mut known);
        }
        self.known = known;
        let told = sums.into_iter().filter(|((metric, _), amount)| self.asked.contains(metric) && amount.is_told());
        let mut told: Vec<Datum> =
            told.map(|((metric, dimensions), amount)| Datum { metric, dimensions, amount }).collect();
        // Of too many the last are left out: the tenant `default` stays whole.
        told.sort_by(|a, b| a.tenant().cmp(&b.tenant()));
        told
    }

    fn family(&self, family: &Family, sums: &mut Sums, known: &mut HashMap<Named, Measured>) {
        for point in &family.points {
            let mut new = || {
                let key = (family.name, point.labels.clone());
                let new = since(self.known.get(&key), &point.value);
                known.insert(key, point.value.clone());
                new
            };
            match family.name {
                "mainspring_inference_requests_total" | "mainspring_inference_unserved_total" => {
                    let count = new();
                    self.request(point, &count, sums);
                }
                "mainspring_inference_rows_total" => self.add(Metric::Rows, point, &new(), sums),
                "mainspring_inference_duration_seconds" => self.add(Metric::Latency, point, &new(), sums),
                "mainspring_inference_in_flight" => self.add(Metric::InFlight, point, &point.value, sums),
                "mainspring_deployment_ready" => self.add(Metric::Ready, point, &point.value, sums),
                "mainspring_model_memory_bytes" => self.add(Metric::Memory, point, &point.value, sums),
                "mainspring_budget_spent_ratio" => of(Metric::BudgetSpent, point, &BUDGET, sums),
                "mainspring_budget_forecast_ratio" => of(Metric::BudgetForecast, point, &BUDGET, sums),
                "mainspring_slo_budget_left" => objective(Metric::BudgetLeft, point, sums),
                "mainspring_slo_burn_rate" => objective(Metric::BurnRate, point, sums),
                "mainspring_monitor_drifting" => of(Metric::Drifting, point, &MONITOR, sums),
                "mainspring_monitor_drifted_columns" => of(Metric::DriftedColumns, point, &MONITOR, sums),
                "mainspring_alerts_firing" => of(Metric::AlertsFiring, point, &[("severity", "Severity")], sums),
                "mainspring_journal_payloads_dropped_total"
                | "mainspring_journal_events_dropped_total"
                | "mainspring_journal_rows_lost_total" => {
                    let lost = new();
                    add(sums, (Metric::JournalLost, Vec::new()), &lost);
                }
                _ => {}
            }
        }
    }

    /// What the caller did wrong counts neither as good nor as bad, as for objectives.
    fn request(&self, point: &Point, count: &Measured, sums: &mut Sums) {
        let outcome = label(point, "outcome").unwrap_or_default();
        let kind = ErrorKind::ALL.into_iter().find(|k| k.as_str() == outcome);
        let none = Measured::Number(0.0);
        let (good, bad, callers) = match kind {
            None => (count, &none, &none),
            Some(kind) if faulty(kind) => (count, count, &none),
            Some(_) => (&none, &none, count),
        };
        self.add(Metric::Requests, point, good, sums);
        self.add(Metric::Errors, point, bad, sums);
        self.add(Metric::CallerErrors, point, callers, sums);
    }

    fn add(&self, metric: Metric, point: &Point, amount: &Measured, sums: &mut Sums) {
        let part = |key, name| Some((name, label(point, key)?.to_owned()));
        let Some(deployment) = part("deployment", "Deployment") else { return };
        let of: Dimensions = tenant(point).into_iter().chain([deployment]).collect();
        add(sums, (metric, of.clone()), amount);
        let variant = part("variant", "Variant");
        let more = match (self.by, variant, part("version", "Version")) {
            (By::Variant, Some(variant), _) => vec![variant],
            (By::Version, Some(variant), Some(version)) => vec![variant, version],
            _ => return,
        };
        add(sums, (metric, [of, more].concat()), amount);
    }
}

impl Amount {
    /// Latency of nothing is nothing.
    fn is_told(&self) -> bool {
        match self {
            Self::One(value) => value.is_finite(),
            Self::Many(values) => !values.is_empty(),
        }
    }
}

fn label<'a>(point: &'a Point, key: &str) -> Option<&'a str> {
    point.labels.iter().find(|(name, _)| *name == key).map(|(_, text)| text.as_str())
}

/// Whose a series is, where it is not of the tenant `default`: its series keep their names whoever else there is.
fn tenant(point: &Point) -> Option<(&'static str, String)> {
    label(point, TENANT).map(|tenant| ("Tenant", tenant.to_owned()))
}

/// Labels, and the dimension that each is.
const BUDGET: [(&str, &str); 1] = [("budget", "Budget")];
const MONITOR: [(&str, &str); 2] = [("deployment", "Deployment"), ("monitor", "Monitor")];

/// Adds a series by these dimensions alone: what else tells points apart is summed.
fn of(metric: Metric, point: &Point, by: &[(&str, &'static str)], sums: &mut Sums) {
    let named: Option<Dimensions> = by.iter().map(|(key, name)| Some((*name, label(point, key)?.to_owned()))).collect();
    let Some(named) = named else { return };
    add(sums, (metric, tenant(point).into_iter().chain(named).collect()), &point.value);
}

/// Windows that pages look at; the others can be had from Prometheus.
fn window(seconds: &str) -> Option<&'static str> {
    Some(match seconds {
        "300" => "5m",
        "1800" => "30m",
        "3600" => "1h",
        "21600" => "6h",
        _ => return None,
    })
}

fn objective(metric: Metric, point: &Point, sums: &mut Sums) {
    let part = |key, name| label(point, key).map(|text| (name, text.to_owned()));
    let (Some(deployment), Some(objective)) = (part("deployment", "Deployment"), part("objective", "Objective")) else {
        return;
    };
    let mut dimensions: Dimensions = tenant(point).into_iter().chain([deployment, objective]).collect();
    if let Some(seconds) = label(point, "window_seconds") {
        let Some(window) = window(seconds) else { return };
        dimensions.push(("Window", window.to_owned()));
    }
    add(sums, (metric, dimensions), &point.value);
}

fn add(sums: &mut Sums, key: (Metric, Dimensions), amount: &Measured) {
    let Some(there) = sums.get_mut(&key) else {
        let amount = match amount {
            Measured::Number(value) => Amount::One(*value),
            Measured::Times(times) => Amount::Many(values(times)),
        };
        sums.insert(key, amount);
        return;
    };
    match (there, amount) {
        (Amount::One(sum), Measured::Number(value)) => *sum += value,
        (Amount::Many(all), Measured::Times(times)) => {
            all.extend(values(times));
            all.sort_by(|a, b| a.0.total_cmp(&b.0));
            all.dedup_by(|next, kept| {
                let same = next.0 == kept.0;
                kept.1 += if same { next.1 } else { 0 };
                same
            });
        }
        _ => {}
    }
}

/// Milliseconds, from the middle of each bucket: they are an eighth wide.
fn values(times: &HistogramView) -> Vec<(f64, u64)> {
    let middle = |bound: u64| bound as f64 * (1.0 - 1.0 / 16.0) / 1e6;
    times.buckets.iter().map(|(bound, count)| (middle(*bound), *count)).collect()
}

/// What came since; all of it where counting began anew.
fn since(before: Option<&Measured>, now: &Measured) -> Measured {
    match (before, now) {
        (Some(Measured::Number(was)), Measured::Number(is)) if was <= is => Measured::Number(is - was),
        (Some(Measured::Times(was)), Measured::Times(is)) if was.count <= is.count => {
            let was_in: HashMap<u64, u64> = was.buckets.iter().copied().collect();
            let buckets = is.buckets.iter().map(|(b, n)| (*b, n.saturating_sub(was_in.get(b).copied().unwrap_or(0))));
            Measured::Times(HistogramView {
                buckets: buckets.filter(|(_, n)| *n > 0).collect(),
                count: is.count - was.count,
                sum_ns: is.sum_ns.saturating_sub(was.sum_ns),
            })
        }
        _ => now.clone(),
    }
}
