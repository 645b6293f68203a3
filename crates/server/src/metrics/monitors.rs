//! What monitors see: which of them drift, and how far their columns have moved. Every server tells what the one that
//! watches has written.

use super::Reading;
use super::family::{Families, Kind};
use mainspring_alert::Severity;
use mainspring_monitor::live::spec::Severity as HowBad;
use mainspring_monitor::live::track::Standing;
use mainspring_monitor::live::{View, Watch};

/// Columns that are told: of one monitor, which may watch 2,000, and of all monitors of a tenant together. Those are kept
/// that have drifted, then those that have moved most.
const MOST_OF_ONE: usize = 50;
const MOST_OF_ALL: usize = 1_000;

/// A family of figures of each monitor.
type OfWatch = (&'static str, Kind, &'static str, fn(&Watch) -> f64);

const FIGURES: [OfWatch; 3] = [
    (
        "mainspring_monitor_drifted_columns",
        Kind::Gauge,
        "columns that have drifted, whole or in a segment, or that a detector calls changed",
        |w| w.drifted().len() as f64,
    ),
    (
        "mainspring_monitor_rows_seen_total",
        Kind::Counter,
        "rows of the version that answers, as far as they are watched",
        |w| w.rows[0] as f64,
    ),
    ("mainspring_monitor_rows_sampled_total", Kind::Counter, "those of them that were drawn and looked at", |w| {
        w.rows[1] as f64
    }),
];

impl Reading {
    pub(super) fn monitors(&self, all: &mut Families) {
        if self.monitors.is_empty() {
            return;
        }
        all.family("mainspring_monitor_stopped", Kind::Gauge, "1 while a monitor does not go on");
        for view in &self.monitors {
            all.sample(&labels(view), f64::from(u8::from(view.problem.is_some())));
        }
        let name = "mainspring_monitor_drifting";
        all.family(
            name,
            Kind::Gauge,
            "1 while a monitor's columns have drifted by its own test, and how severe it says that is",
        );
        for (view, watch) in self.watches() {
            let [monitor, deployment] = labels(view);
            let severity = ("severity", severity(view.spec.severity).as_str());
            all.sample(&[monitor, deployment, severity], f64::from(u8::from(watch.drifting)));
        }
        let detected: Vec<_> = self.watches().filter(|(view, _)| !view.spec.detectors.is_empty()).collect();
        if !detected.is_empty() {
            let help = "1 while a stream detector of a monitor calls a change, which may be none";
            all.family("mainspring_monitor_detecting", Kind::Gauge, help);
            for (view, watch) in detected {
                all.sample(&labels(view), f64::from(u8::from(watch.detecting)));
            }
        }
        for (name, kind, help, value) in FIGURES {
            all.family(name, kind, help);
            for (view, watch) in self.watches() {
                all.sample(&labels(view), value(watch));
            }
        }
        self.columns(all);
    }

    /// Monitors that somebody has looked at. Of the others nothing is known: right after a start that is no all-clear.
    fn watches(&self) -> impl Iterator<Item = (&View, &Watch)> {
        self.monitors.iter().filter_map(|view| Some((view, view.watch.as_deref()?)))
    }

    fn columns(&self, all: &mut Families) {
        let name = "mainspring_monitor_column_distance";
        let help = "share of a column's rows that would have to move to look like its reference, beyond what chance brings; the farthest columns only";
        all.family(name, Kind::Gauge, help);
        let mut farthest: Vec<Column<'_>> =
            self.watches().flat_map(|(view, watch)| Column::farthest(view, watch)).collect();
        if farthest.len() > MOST_OF_ALL {
            farthest.sort_by(Column::farther);
            farthest.truncate(MOST_OF_ALL);
        }
        for Column { view, name, segment, beyond, .. } in &farthest {
            let mut labels = labels(view).to_vec();
            labels.push(("column", name));
            labels.extend(segment.as_deref().map(|segment| ("segment", segment)));
            all.sample(&labels, *beyond);
        }
    }
}

/// How far a column has moved.
struct Column<'a> {
    view: &'a View,
    name: &'a str,
    /// Which rows of it, `in.plan = gold`; all when there is none.
    segment: Option<String>,
    drifted: bool,
    beyond: f64,
}

impl<'a> Column<'a> {
    /// Those of a monitor that are told, the farthest first.
    fn farthest(view: &'a View, watch: &'a Watch) -> Vec<Self> {
        let compared = watch.tracks().filter(|(_, _, track)| track.moved.rows > 0);
        let mut columns: Vec<Self> = compared
            .map(|(name, of, track)| Self {
                view,
                name,
                segment: of.map(|(column, value)| format!("{column} = {value}")),
                drifted: track.standing == Standing::Drift,
                beyond: track.moved.beyond(),
            })
            .collect();
        columns.sort_by(Self::farther);
        columns.truncate(MOST_OF_ONE);
        columns
    }

    /// Less is farther. Columns that are equally far keep their places.
    fn farther(&self, other: &Self) -> std::cmp::Ordering {
        other.drifted.cmp(&self.drifted).then_with(|| other.beyond.total_cmp(&self.beyond))
    }
}

fn labels(view: &View) -> [(&'static str, &str); 2] {
    [("monitor", view.name.as_str()), ("deployment", view.spec.deployment.as_str())]
}

/// Of the alert that a drift is.
fn severity(declared: HowBad) -> Severity {
    match declared {
        HowBad::Warning => Severity::Ticket,
        HowBad::Critical => Severity::Page,
    }
}
