//! Families as OTLP's metrics.

use super::names::named;
use crate::metrics::{BOUNDS_US, Families, Family, Kind, Measured, Named, Point};
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value as Number;
use opentelemetry_proto::tonic::metrics::v1::{
    AggregationTemporality, Gauge, Histogram, HistogramDataPoint, Metric, NumberDataPoint, Sum,
};
use std::collections::HashMap;
use std::time::Duration;

/// An attribute that is a text.
pub fn attribute(key: &str, text: String) -> KeyValue {
    KeyValue {
        key: key.to_owned(),
        value: Some(AnyValue { value: Some(Value::StringValue(text)) }),
        ..KeyValue::default()
    }
}

/// Since when each series is counted: what is less than before has begun anew.
#[derive(Debug)]
pub struct Series {
    began: u64,
    told: u64,
    known: Known,
}

impl Series {
    /// All begin at `began`, nanoseconds of Unix time.
    pub fn new(began: u64) -> Self {
        Self { began, told: began, known: HashMap::new() }
    }

    /// What is told at `now`.
    pub fn metrics(&mut self, families: &Families, now: u64) -> Vec<Metric> {
        let mut known = HashMap::new();
        let mut out = Vec::new();
        for family in &families.0 {
            let Some((name, unit)) = named(family).filter(|_| !family.points.is_empty()) else { continue };
            let data = self.data(family, now, &mut known);
            let (description, unit) = (family.help.to_owned(), unit.to_owned());
            out.push(Metric { name, description, unit, metadata: Vec::new(), data: Some(data) });
        }
        // A series that is no longer there is forgotten; when it comes back, it has begun anew.
        (self.known, self.told) = (known, now);
        out
    }

    fn data(&self, family: &Family, now: u64, known: &mut Known) -> Data {
        let temporality = AggregationTemporality::Cumulative as i32;
        let plain = |start: u64, point: &Point, value: f64| NumberDataPoint {
            attributes: attributes(point),
            start_time_unix_nano: start,
            time_unix_nano: now,
            value: Some(Number::AsDouble(value)),
            ..NumberDataPoint::default()
        };
        let numbers = |start: &mut dyn FnMut(&Point, f64) -> u64| {
            let points = family.points.iter().filter_map(|point| match &point.value {
                Measured::Number(value) => Some(plain(start(point, *value), point, *value)),
                Measured::Times(_) => None,
            });
            points.collect()
        };
        match family.kind {
            Kind::Gauge if family.name == "process_resident_memory_bytes" => Data::Sum(Sum {
                data_points: numbers(&mut |_, _| self.began),
                aggregation_temporality: temporality,
                is_monotonic: false,
            }),
            Kind::Gauge => Data::Gauge(Gauge { data_points: numbers(&mut |_, _| 0) }),
            Kind::Counter => Data::Sum(Sum {
                data_points: numbers(&mut |point, value| self.start(family, point, value, known)),
                aggregation_temporality: temporality,
                is_monotonic: true,
            }),
            Kind::Histogram => {
                let points = family.points.iter().filter_map(|point| {
                    let Measured::Times(times) = &point.value else { return None };
                    let start = self.start(family, point, times.count as f64, known);
                    let below = BOUNDS_US.map(|bound| times.at_most(Duration::from_micros(bound)));
                    let firsts = std::iter::once(0).chain(below);
                    let counts = firsts.zip(below.into_iter().chain([times.count])).map(|(a, b)| b.saturating_sub(a));
                    Some(HistogramDataPoint {
                        attributes: attributes(point),
                        start_time_unix_nano: start,
                        time_unix_nano: now,
                        count: times.count,
                        sum: Some(times.sum_ns as f64 / 1e9),
                        bucket_counts: counts.collect(),
                        explicit_bounds: BOUNDS_US.map(|bound| bound as f64 / 1e6).into(),
                        ..HistogramDataPoint::default()
                    })
                });
                Data::Histogram(Histogram { data_points: points.collect(), aggregation_temporality: temporality })
            }
        }
    }

    fn start(&self, family: &Family, point: &Point, value: f64, known: &mut Known) -> u64 {
        let key = (family.name, point.labels.clone());
        let start = match self.known.get(&key) {
            Some((before, start)) if value >= *before => *start,
            // What was not there or is less than it was began between the last telling and this one.
            _ => self.told,
        };
        known.insert(key, (value, start));
        start
    }
}

type Known = HashMap<Named, (f64, u64)>;

fn attributes(point: &Point) -> Vec<KeyValue> {
    point.labels.iter().map(|(key, text)| attribute(key, text.clone())).collect()
}
