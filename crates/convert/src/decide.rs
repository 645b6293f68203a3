//! Which of what was made may be used, and which one is.

use std::cmp::Ordering;

use crate::findings::{Candidate, Failed, Findings, Output, Speed};
use crate::order::{Gate, Tolerance};
use crate::report::{Compared, Converted, FailedWay, Measured, Optimized};

/// A variant has to be this much faster than the model as it is: less is noise.
const WORTH: f64 = 1.03;
/// Two exports of one model are equally fast below this: they are measured once, on a machine that serves.
const CLEARLY: f64 = 1.2;
/// Where all of no rows agree.
const UNPROVEN: &str = "no row was compared";

/// A conversion: every row has to agree. Of those that pass, the closest is the one; of equally close ones,
/// the faster; of equally fast ones, the smaller, which is also what can be made smaller yet.
pub(crate) fn conversion(source: String, report: Converted, tolerance: Tolerance) -> Findings {
    let rows = report.rows.count;
    let share: Vec<f64> = report.candidates.iter().map(Measured::share).collect();
    let first = report.candidates.first();
    let before =
        first.map_or_else(Speed::default, |c| Speed { one_ns: c.python_one_ns, batch_ns: c.python_batch_ns, bytes: 0 });
    let batch_rows = first.map_or(0, |c| c.batch_rows);
    let candidates: Vec<Candidate> = report
        .candidates
        .into_iter()
        .map(|c| {
            let why = match rows {
                0 => Some(UNPROVEN.to_owned()),
                _ => (c.agreeing < rows).then(|| differs(&c.outputs, rows - c.agreeing, rows)),
            };
            candidate(c, why)
        })
        .collect();
    let passing = (0..candidates.len()).filter(|at| candidates[*at].refused.is_none());
    let chosen = passing.reduce(|best, at| {
        let (a, b) = (&candidates[best].speed, &candidates[at].speed);
        let faster = gain(a, b);
        let even = faster < CLEARLY && faster * CLEARLY > 1.0;
        let better = match share[at].total_cmp(&share[best]) {
            Ordering::Equal if even => b.bytes < a.bytes,
            Ordering::Equal => faster > 1.0,
            nearer => nearer.is_lt(),
        };
        if better { at } else { best }
    });
    Findings {
        source,
        what: Some((report.framework, report.what)),
        rows_from: report.rows.from,
        rows,
        batch_rows,
        rule: format!(
            "numbers within {:e} + {:e} × |value|, everything else equal, in every row",
            tolerance.absolute, tolerance.relative
        ),
        measure: None,
        before,
        score: None,
        candidates,
        failed: report.failed.into_iter().map(failed).collect(),
        chosen,
    }
}

/// Variants of an ONNX model: each has to agree in enough rows, or with labels to be accurate enough. The
/// fastest of those that pass is the one, if it is worth it.
pub(crate) fn optimisation(source: String, report: Optimized, gate: &Gate) -> Findings {
    let rows = report.rows.count;
    let mut variants = report.variants.into_iter();
    let own = variants.next();
    let before = own.as_ref().map_or_else(Speed::default, speed);
    let score = own.as_ref().and_then(|o| o.score);
    let batch_rows = own.as_ref().map_or(0, |o| o.batch_rows);
    let mut candidates = Vec::new();
    let mut chosen: Option<(usize, f64)> = None;
    for variant in variants {
        let why = match (score, variant.score) {
            _ if rows == 0 => Some(UNPROVEN.to_owned()),
            (Some(own), Some(its)) if its < own - gate.drop => Some(format!("{its:.4} instead of {own:.4}")),
            (Some(_), Some(_)) => None,
            _ if (variant.agreeing as f64) < gate.agreement * rows as f64 => {
                Some(differs(&variant.outputs, rows - variant.agreeing, rows))
            }
            _ => None,
        };
        let faster = gain(&before, &speed(&variant));
        if why.is_none() && faster >= WORTH && chosen.is_none_or(|(_, best)| faster > best) {
            chosen = Some((candidates.len(), faster));
        }
        candidates.push(candidate(variant, why));
    }
    let rule = match (&gate.label, &report.measure) {
        (Some(label), Some(measure)) => format!("{measure} on {label:?} not lower by more than {}", gate.drop),
        _ => format!(
            "the same answer in {} % of the rows, numbers within {} %",
            gate.agreement * 100.0,
            gate.closeness * 100.0
        ),
    };
    Findings {
        source,
        what: None,
        rows_from: report.rows.from,
        rows,
        batch_rows,
        rule,
        measure: report.measure,
        before,
        score,
        candidates,
        failed: report.failed.into_iter().map(failed).collect(),
        chosen: chosen.map(|(at, _)| at),
    }
}

/// How much faster, one row and a batch counting the same.
fn gain(before: &Speed, after: &Speed) -> f64 {
    let ratio = |before: u64, after: u64| before as f64 / after.max(1) as f64;
    (ratio(before.one_ns, after.one_ns) * ratio(before.batch_ns, after.batch_ns)).sqrt()
}

fn speed(measured: &Measured) -> Speed {
    Speed { one_ns: measured.one_ns, batch_ns: measured.batch_ns, bytes: measured.bytes }
}

/// In how many rows, and the worst of them.
fn differs(outputs: &[Compared], differing: u64, rows: u64) -> String {
    let worst = outputs.iter().filter(|o| o.differing > 0).max_by(|a, b| a.share.total_cmp(&b.share));
    let place = worst.map(|o| {
        format!("; output {:?} of row {} is {}, the model says {}", o.name, o.worst.row, o.worst.got, o.worst.expected)
    });
    format!("{differing} of {rows} rows differ{}", place.unwrap_or_default())
}

fn candidate(mut measured: Measured, refused: Option<String>) -> Candidate {
    measured.outputs.sort_by(|a, b| b.share.total_cmp(&a.share));
    Candidate {
        speed: speed(&measured),
        name: measured.name,
        path: measured.path,
        agreeing: measured.agreeing,
        score: measured.score,
        outputs: measured.outputs.into_iter().map(output).collect(),
        refused,
    }
}

fn output(compared: Compared) -> Output {
    Output {
        equal: compared.rule == "equal",
        name: compared.name,
        differing: compared.differing,
        row: compared.worst.row,
        expected: compared.worst.expected,
        got: compared.worst.got,
        difference: compared.worst.difference,
    }
}

fn failed(way: FailedWay) -> Failed {
    Failed { name: way.name, reason: way.reason }
}

/// Why nothing was converted: what is nearest to passing, or why nothing could be exported.
pub(crate) fn disagreement(findings: &Findings) -> Result<String, String> {
    let nearest = findings.candidates.iter().max_by_key(|c| c.agreeing).and_then(|c| c.refused.clone());
    nearest.ok_or_else(|| {
        let mut reasons: Vec<&str> = findings.failed.iter().map(|f| f.reason.as_str()).collect();
        reasons.dedup();
        reasons.join("; ")
    })
}
