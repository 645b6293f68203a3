//! Conversions.

use crate::dto::conversions::{
    ConversionCandidate, ConversionEnv, ConversionFailure, ConversionFindings, ConversionMiss, ConversionOutput,
    ConversionRequest, ConversionSpeed, ConversionTask, ConversionView,
};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use mainspring_convert::{Candidate, Findings, Gate, Job, Order, Output, Rows, Speed, Task, Tolerance};
use mainspring_core::ErrorKind;
use mainspring_engine::Environment;
use mainspring_http::ApiError;

/// The order in a request.
///
/// # Errors
/// [`ApiError`] when the data is no base64, or a field belongs to the other task.
pub(crate) fn order(request: ConversionRequest) -> Result<Order, ApiError> {
    let wrong = |what: String| ApiError::new(ErrorKind::InvalidInput, what);
    let rows = request.data.map(|data| {
        let content = STANDARD.decode(&data.content).map_err(|e| wrong(format!("data.content is no base64: {e}")))?;
        Ok::<_, ApiError>(Rows { name: data.name, content: content.into() })
    });
    let for_convert = [("relative", request.relative.is_some()), ("absolute", request.absolute.is_some())];
    let for_optimize = [
        ("agreement", request.agreement.is_some()),
        ("closeness", request.closeness.is_some()),
        ("label", request.label.is_some()),
        ("drop", request.drop.is_some()),
    ];
    let refuse = |fields: &[(&str, bool)], other: &str| match fields.iter().find(|(_, given)| *given) {
        Some((name, _)) => Err(wrong(format!("{name} belongs to the task {other}"))),
        None => Ok(()),
    };
    let task = match request.task {
        ConversionTask::Convert => {
            refuse(&for_optimize, "optimize")?;
            let default = Tolerance::default();
            Task::Convert(Tolerance {
                relative: request.relative.unwrap_or(default.relative),
                absolute: request.absolute.unwrap_or(default.absolute),
            })
        }
        ConversionTask::Optimize => {
            refuse(&for_convert, "convert")?;
            let default = Gate::default();
            Task::Optimize(Gate {
                agreement: request.agreement.unwrap_or(default.agreement),
                closeness: request.closeness.unwrap_or(default.closeness),
                label: request.label,
                drop: request.drop.unwrap_or(default.drop),
            })
        }
    };
    let environment = match request.env {
        ConversionEnv::Auto => Environment::Own,
        ConversionEnv::Shared => Environment::Shared,
    };
    Ok(Order { model: request.model, task, environment, rows: rows.transpose()? })
}

impl From<Job> for ConversionView {
    fn from(job: Job) -> Self {
        Self {
            id: job.id,
            task: job.task.to_owned(),
            model: job.model,
            state: job.state.as_str().to_owned(),
            created_at: job.created.into(),
            steps: job.course.steps,
            forgotten: job.course.forgotten as u64,
            findings: job.course.findings.map(Into::into),
            version: job.course.version,
            error: job.course.error.map(|why| ConversionFailure {
                kind: why.kind,
                message: why.message,
                hint: why.hint,
            }),
        }
    }
}

impl From<Speed> for ConversionSpeed {
    fn from(speed: Speed) -> Self {
        Self { row_us: speed.one_ns as f64 / 1e3, batch_us: speed.batch_ns as f64 / 1e3, bytes: speed.bytes }
    }
}

impl From<Output> for ConversionOutput {
    fn from(o: Output) -> Self {
        Self {
            name: o.name,
            equal: o.equal,
            differing: o.differing,
            row: o.row,
            expected: o.expected,
            got: o.got,
            difference: o.difference,
        }
    }
}

impl From<Findings> for ConversionFindings {
    fn from(f: Findings) -> Self {
        let candidate = |c: &Candidate| {
            let (row_times, batch_times) = f.times(&c.speed);
            ConversionCandidate {
                name: c.name.clone(),
                speed: c.speed.into(),
                row_times,
                batch_times,
                agreeing: c.agreeing,
                score: c.score,
                outputs: c.outputs.iter().cloned().map(Into::into).collect(),
                refused: c.refused.clone(),
            }
        };
        let (framework, what) = f.what.clone().unzip();
        Self {
            warnings: f.warnings(),
            candidates: f.candidates.iter().map(candidate).collect(),
            chosen: f.winner().map(|w| w.name.clone()),
            failed: f.failed.into_iter().map(|m| ConversionMiss { name: m.name, reason: m.reason }).collect(),
            source: f.source,
            framework,
            what,
            rows_from: f.rows_from,
            rows: f.rows,
            batch_rows: f.batch_rows,
            rule: f.rule,
            measure: f.measure,
            before: f.before.into(),
            score: f.score,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{from_value, json, to_value};

    #[test]
    fn findings_tell_that_few_rows_were_compared() {
        let found = |rows: u64| -> ConversionFindings {
            let speed = json!({ "one_ns": 1, "batch_ns": 1, "bytes": 1 });
            let made = json!({
                "name": "float64", "path": "", "speed": speed, "agreeing": rows, "score": null, "outputs": [],
                "refused": null,
            });
            let findings: Findings = from_value(json!({
                "source": "models:/m/1", "what": null, "rows_from": "the input example", "rows": rows,
                "batch_rows": rows, "rule": "", "measure": null, "before": speed, "score": null,
                "candidates": [made], "failed": [], "chosen": 0,
            }))
            .unwrap();
            findings.into()
        };
        let said = to_value(found(5)).unwrap();
        let warning = said["warnings"][0].as_str().unwrap();
        assert!(warning.starts_with("only 5 rows were compared, from the input example"), "{warning}");
        assert_eq!(to_value(found(30)).unwrap()["warnings"], json!([]));
    }
}
