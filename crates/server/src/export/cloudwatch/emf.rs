//! The Embedded Metric Format: a line of JSON for each combination of dimensions, as the specification has it
//! (<https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html>).

use super::data::{Amount, Datum, Dimensions};
use mainspring_core::Timestamp;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::PathBuf;
use std::time::Duration;
use tokio::io::AsyncWriteExt;

/// Values of one metric in a document.
const VALUES: usize = 100;
/// Metrics of a document.
const METRICS: usize = 100;
/// How long an agent may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// Where documents go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sink {
    /// Standard output, whose lines whoever runs the process takes to CloudWatch.
    Stdout,
    /// A file that an agent follows.
    File(PathBuf),
    /// The CloudWatch agent: host and port.
    Tcp(String),
}

impl std::str::FromStr for Sink {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "stdout" {
            return Ok(Self::Stdout);
        }
        match text.split_once("://") {
            Some(("tcp", to))
                if to.rsplit_once(':').is_some_and(|(h, p)| !h.is_empty() && p.parse::<u16>().is_ok()) =>
            {
                Ok(Self::Tcp(to.to_owned()))
            }
            Some(_) => Err("expected stdout, tcp://HOST:PORT or a file".to_owned()),
            None => Ok(Self::File(PathBuf::from(text))),
        }
    }
}

impl Sink {
    /// Writes documents, a line each.
    ///
    /// # Errors
    /// What the system says.
    pub async fn write(&self, documents: &[String]) -> Result<(), String> {
        let text: String = documents.iter().flat_map(|line| [line.as_str(), "\n"]).collect();
        let text = text.as_bytes();
        let written = async {
            match self {
                Self::Stdout => {
                    let text = text.to_owned();
                    let written = tokio::task::spawn_blocking(move || {
                        let mut out = std::io::stdout().lock();
                        out.write_all(&text).and_then(|()| out.flush())
                    });
                    written.await.map_err(std::io::Error::other)?
                }
                Self::File(path) => {
                    let mut file = tokio::fs::OpenOptions::new().create(true).append(true).open(path).await?;
                    file.write_all(text).await?;
                    file.flush().await
                }
                Self::Tcp(to) => {
                    let mut stream = tokio::net::TcpStream::connect(to).await?;
                    stream.write_all(text).await?;
                    stream.shutdown().await
                }
            }
        };
        match tokio::time::timeout(PATIENCE, written).await {
            Ok(outcome) => outcome.map_err(|e| format!("cannot write to {}: {e}", self.shown())),
            Err(_) => Err(format!("{} did not take it within {} s", self.shown(), PATIENCE.as_secs())),
        }
    }

    fn shown(&self) -> String {
        match self {
            Self::Stdout => "standard output".to_owned(),
            Self::File(path) => path.display().to_string(),
            Self::Tcp(to) => to.clone(),
        }
    }
}

/// A document for each combination of dimensions.
pub fn documents((namespace, replica): (&str, &str), at: Timestamp, data: &[Datum]) -> Vec<String> {
    let mut groups: BTreeMap<&Dimensions, Vec<&Datum>> = BTreeMap::new();
    for datum in data {
        groups.entry(&datum.dimensions).or_default().push(datum);
    }
    let parts = groups.into_iter().flat_map(|(dimensions, all)| {
        all.chunks(METRICS).map(|part| document((namespace, replica), at, dimensions, part)).collect::<Vec<_>>()
    });
    parts.collect()
}

fn document((namespace, replica): (&str, &str), at: Timestamp, dimensions: &Dimensions, data: &[&Datum]) -> String {
    let mut root = Map::new();
    let metric = |d: &&Datum| json!({"Name": d.metric.as_str(), "Unit": d.metric.unit()});
    let directive = json!({
        "Namespace": namespace,
        "Dimensions": [dimensions.iter().map(|(name, _)| *name).collect::<Vec<_>>()],
        "Metrics": data.iter().map(metric).collect::<Vec<_>>(),
    });
    root.insert("_aws".into(), json!({"Timestamp": at.millis(), "CloudWatchMetrics": [directive]}));
    for (name, value) in dimensions {
        root.insert((*name).to_owned(), json!(plain(value)));
    }
    // Not a dimension: each would be a series of its own.
    root.insert("Instance".into(), json!(replica));
    for datum in data {
        let value = match &datum.amount {
            Amount::One(value) => json!(value),
            Amount::Many(values) => json!(sample(values)),
        };
        root.insert(datum.metric.as_str().to_owned(), value);
    }
    Value::Object(root).to_string()
}

/// Values that stand for all of them: each that came where they are few, else as many at even ranks.
pub fn sample(values: &[(f64, u64)]) -> Vec<f64> {
    let total: u64 = values.iter().map(|(_, count)| count).sum();
    let wanted = total.min(VALUES as u64);
    let (mut out, mut at, mut below) = (Vec::new(), 0, 0);
    for i in 0..wanted {
        let rank = (i as f64 + 0.5) / wanted as f64 * total as f64;
        while at + 1 < values.len() && (below + values[at].1) as f64 <= rank {
            below += values[at].1;
            at += 1;
        }
        out.push(values[at].0);
    }
    out
}

/// A dimension's value as CloudWatch takes it: ASCII without control characters, not empty, at most so long.
pub fn plain(value: &str) -> String {
    const LONGEST: usize = 255;
    let ascii = value.chars().map(|c| if c.is_ascii_graphic() || c == ' ' { c } else { '?' });
    let text: String = ascii.take(LONGEST).collect();
    let text = text.trim().trim_start_matches(':');
    if text.is_empty() { "-".to_owned() } else { text.to_owned() }
}
