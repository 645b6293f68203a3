//! Logging metrics, one and many: the requests that training loops hammer.
//!
//! What clients usually send is read straight into its types, each value by its own text, because
//! a generic JSON reader rounds the last digit of some doubles. Whatever does not fit is read
//! field by field, for spellings that MLflow also takes and for its words about what is wrong.

use super::MlflowState;
use super::error::Failed;
use super::json::empty;
use super::request::{Fields, JsonBody};
use axum::extract::State;
use axum::response::Response;
use mainspring_http::Caller;
use mainspring_registry::actions::LogRun;
use mainspring_registry::{Batch, Metric, Pair};
use serde::de::{Error, Unexpected, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use std::fmt;

/// A double, to the last digit.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Exact(f64);

impl<'de> Deserialize<'de> for Exact {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = <&RawValue>::deserialize(d)?.get();
        let text = text.strip_prefix('"').and_then(|t| t.strip_suffix('"')).unwrap_or(text);
        match text {
            "NaN" => Ok(Self(f64::NAN)),
            "Infinity" => Ok(Self(f64::INFINITY)),
            "-Infinity" => Ok(Self(f64::NEG_INFINITY)),
            number => {
                number.parse().map(Self).map_err(|_| D::Error::invalid_value(Unexpected::Str(number), &"a number"))
            }
        }
    }
}

/// A 64-bit integer; protobuf's JSON form writes it as text.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct Whole(i64);

impl<'de> Deserialize<'de> for Whole {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct Read;
        impl Visitor<'_> for Read {
            type Value = Whole;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a 64-bit integer")
            }

            fn visit_i64<E: Error>(self, v: i64) -> Result<Whole, E> {
                Ok(Whole(v))
            }

            fn visit_u64<E: Error>(self, v: u64) -> Result<Whole, E> {
                i64::try_from(v).map(Whole).map_err(|_| E::invalid_value(Unexpected::Unsigned(v), &self))
            }

            fn visit_str<E: Error>(self, v: &str) -> Result<Whole, E> {
                v.parse().map(Whole).map_err(|_| E::invalid_value(Unexpected::Str(v), &self))
            }
        }
        d.deserialize_any(Read)
    }
}

#[derive(Debug, Deserialize)]
struct MetricBody {
    key: String,
    value: Exact,
    timestamp: Whole,
    #[serde(default)]
    step: Whole,
    #[serde(default, alias = "modelId")]
    model_id: Option<String>,
    #[serde(default, alias = "datasetName")]
    dataset_name: Option<String>,
    #[serde(default, alias = "datasetDigest")]
    dataset_digest: Option<String>,
}

impl From<MetricBody> for Metric {
    fn from(m: MetricBody) -> Self {
        let some = |text: Option<String>| text.filter(|t| !t.is_empty());
        Self {
            model_id: some(m.model_id),
            dataset_name: some(m.dataset_name),
            dataset_digest: some(m.dataset_digest),
            ..Self::new(m.key, m.value.0, m.timestamp.0, m.step.0)
        }
    }
}

#[derive(Debug, Deserialize)]
struct PairBody {
    key: String,
    #[serde(default)]
    value: String,
}

#[derive(Debug, Deserialize)]
struct OneBody {
    #[serde(alias = "runId")]
    run_id: String,
}

#[derive(Debug, Deserialize)]
struct BatchBody {
    #[serde(alias = "runId")]
    run_id: String,
    #[serde(default)]
    metrics: Vec<MetricBody>,
    #[serde(default)]
    params: Vec<PairBody>,
    #[serde(default)]
    tags: Vec<PairBody>,
}

fn usual_batch(bytes: &[u8]) -> Option<(String, Batch)> {
    let body: BatchBody = serde_json::from_slice(bytes).ok()?;
    let named = !body.run_id.is_empty()
        && body.metrics.iter().all(|m| !m.key.is_empty())
        && body.params.iter().chain(&body.tags).all(|p| !p.key.is_empty());
    let pairs = |all: Vec<PairBody>| all.into_iter().map(|p| Pair::new(p.key, p.value)).collect();
    let batch = Batch {
        metrics: body.metrics.into_iter().map(Into::into).collect(),
        params: pairs(body.params),
        tags: pairs(body.tags),
    };
    named.then_some((body.run_id, batch))
}

fn metric(f: &mut Fields, at: &str) -> Result<Metric, Failed> {
    let need = |field: &str| Fields::missing(&format!("{at}{field}"));
    let key = f.take_text("key")?.filter(|k| !k.is_empty()).ok_or_else(|| need("key"))?;
    let some = |text: Option<String>| text.filter(|t| !t.is_empty());
    let value = f.float("value")?.ok_or_else(|| need("value"))?;
    let timestamp = f.int("timestamp")?.ok_or_else(|| need("timestamp"))?;
    Ok(Metric {
        model_id: some(f.take_text("model_id")?),
        dataset_name: some(f.take_text("dataset_name")?),
        dataset_digest: some(f.take_text("dataset_digest")?),
        ..Metric::new(key, value, timestamp, f.int("step")?.unwrap_or(0))
    })
}

fn read_batch(bytes: &[u8]) -> Result<(String, Batch), Failed> {
    if let Some(usual) = usual_batch(bytes) {
        return Ok(usual);
    }
    let mut f = Fields::from_json(bytes)?;
    let id = f.run_id()?;
    let mut metrics = Vec::new();
    for (i, mut m) in f.objects("metrics")?.into_iter().enumerate() {
        metrics.push(metric(&mut m, &format!("metrics[{i}]."))?);
    }
    Ok((id, Batch { metrics, params: f.pairs("params")?, tags: f.pairs("tags")? }))
}

fn read_metric(bytes: &[u8]) -> Result<(String, Metric), Failed> {
    let usual = serde_json::from_slice::<OneBody>(bytes).ok().zip(serde_json::from_slice::<MetricBody>(bytes).ok());
    if let Some((run, m)) = usual.filter(|(run, m)| !run.run_id.is_empty() && !m.key.is_empty()) {
        return Ok((run.run_id, m.into()));
    }
    let mut f = Fields::from_json(bytes)?;
    let id = f.run_id()?;
    Ok((id, metric(&mut f, "")?))
}

pub(super) async fn log_metric(
    State(s): State<MlflowState>,
    Caller(who): Caller,
    JsonBody(bytes): JsonBody,
) -> Result<Response, Failed> {
    let (id, metric) = read_metric(&bytes)?;
    let auth = s.may(&who, LogRun::on(&id))?;
    s.registry.log_metric(&auth, &id, metric).await?;
    Ok(empty())
}

pub(super) async fn log_batch(
    State(s): State<MlflowState>,
    Caller(who): Caller,
    JsonBody(bytes): JsonBody,
) -> Result<Response, Failed> {
    let (id, batch) = read_batch(&bytes)?;
    let auth = s.may(&who, LogRun::on(&id))?;
    s.registry.log_batch(&auth, &id, batch).await?;
    Ok(empty())
}

#[cfg(test)]
mod tests;
