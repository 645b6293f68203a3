//! What is measured, before anybody's format: families of points.

use mainspring_serving::HistogramView;

/// The label of series that are not of the tenant `default`.
pub const TENANT: &str = "tenant";

/// What a family's numbers are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// It only grows, until what it counts begins anew.
    Counter,
    /// It is what it is now.
    Gauge,
    /// How often which times were taken, since the beginning.
    Histogram,
}

/// A metric with all of its points.
#[derive(Debug, Clone)]
pub struct Family {
    /// As Prometheus has it, with its unit and `_total` at the end.
    pub name: &'static str,
    /// What its numbers are.
    pub kind: Kind,
    /// What it is.
    pub help: &'static str,
    /// Its points.
    pub points: Vec<Point>,
}

/// One series at one moment.
#[derive(Debug, Clone)]
pub struct Point {
    /// What tells it from the family's others.
    pub labels: Vec<(&'static str, String)>,
    /// Its value.
    pub value: Measured,
}

/// The value of a point.
#[derive(Debug, Clone)]
pub enum Measured {
    /// Of a counter or a gauge.
    Number(f64),
    /// Of a histogram: times, nanoseconds.
    Times(HistogramView),
}

/// Families as they are collected.
#[derive(Debug, Clone, Default)]
pub struct Families(pub Vec<Family>);

impl Families {
    /// Begins a family; what comes next is in it.
    pub fn family(&mut self, name: &'static str, kind: Kind, help: &'static str) {
        self.0.push(Family { name, kind, help, points: Vec::new() });
    }

    /// A number of the last family.
    pub fn sample(&mut self, labels: &[(&'static str, &str)], value: f64) {
        self.point(labels, Measured::Number(value));
    }

    /// Times of the last family.
    pub fn times(&mut self, labels: &[(&'static str, &str)], times: &HistogramView) {
        self.point(labels, Measured::Times(times.clone()));
    }

    /// Adds the series of another tenant, which they say.
    pub fn join(&mut self, tenant: &str, theirs: Self) {
        for mut family in theirs.0 {
            for point in &mut family.points {
                point.labels.insert(0, (TENANT, tenant.to_owned()));
            }
            match self.0.iter_mut().find(|mine| mine.name == family.name) {
                Some(mine) => mine.points.append(&mut family.points),
                None => self.0.push(family),
            }
        }
    }

    /// How many series there are.
    pub fn series(&self) -> usize {
        self.0.iter().map(|family| family.points.len()).sum()
    }

    fn point(&mut self, labels: &[(&'static str, &str)], value: Measured) {
        if let Some(family) = self.0.last_mut() {
            let labels = labels.iter().map(|(key, text)| (*key, (*text).to_owned())).collect();
            family.points.push(Point { labels, value });
        }
    }
}

/// What names a series: its family, and its labels.
pub type Named = (&'static str, Vec<(&'static str, String)>);
