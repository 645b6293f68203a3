//! Prometheus' text format, version 0.0.4: <https://prometheus.io/docs/instrumenting/exposition_formats/>.

use super::BOUNDS_US;
use super::family::{Families, Kind, Measured};
use mainspring_serving::HistogramView;
use std::fmt::Write;
use std::time::Duration;

/// The page that Prometheus reads.
pub fn page(families: &Families) -> String {
    let mut page = Page::default();
    for family in &families.0 {
        let (name, help) = (family.name, family.help);
        let kind = match family.kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        };
        let _infallible = write!(page.0, "# HELP {name} {help}\n# TYPE {name} {kind}\n");
        for point in &family.points {
            let labels: Vec<(&str, &str)> = point.labels.iter().map(|(key, text)| (*key, text.as_str())).collect();
            match &point.value {
                Measured::Number(value) => page.sample(name, &labels, *value),
                Measured::Times(times) => page.histogram(name, &labels, times),
            }
        }
    }
    page.0
}

#[derive(Default)]
struct Page(String);

impl Page {
    fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: f64) {
        self.0.push_str(name);
        for (i, (key, text)) in labels.iter().enumerate() {
            let escaped = text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
            let _infallible = write!(self.0, "{}{key}=\"{escaped}\"", if i == 0 { '{' } else { ',' });
        }
        let end = if labels.is_empty() { "" } else { "}" };
        let _infallible = writeln!(self.0, "{end} {value}");
    }

    fn histogram(&mut self, name: &str, labels: &[(&str, &str)], values: &HistogramView) {
        let bucket = format!("{name}_bucket");
        for bound in BOUNDS_US {
            let le = (bound as f64 / 1e6).to_string();
            let count = values.at_most(Duration::from_micros(bound));
            self.sample(&bucket, &[labels, &[("le", &le)]].concat(), count as f64);
        }
        self.sample(&bucket, &[labels, &[("le", "+Inf")]].concat(), values.count as f64);
        self.sample(&format!("{name}_sum"), labels, values.sum_ns as f64 / 1e9);
        self.sample(&format!("{name}_count"), labels, values.count as f64);
    }
}
