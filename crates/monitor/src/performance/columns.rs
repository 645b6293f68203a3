//! Which columns say what was predicted.

use super::{MOST_CLASSES, PerformanceError, Request, Task, sql};
use crate::segment::expression;
use mainspring_core::Authorized;
use mainspring_query::{Query, QueryJournal};
use serde_json::Value;

/// Different numbers up to which each is a group of its own.
const FEW_NUMBERS: u64 = 12;
/// Columns of the envelope that may be grouped by.
const ENVELOPE: [&str; 6] = ["variant", "model", "version", "protocol", "caller", "date"];
const TIMES: [&str; 4] = ["hour", "day", "week", "month"];
/// What outputs with a prediction are called, the surest first.
const PREDICTIONS: [&str; 7] = ["label", "output_label", "prediction", "predictions", "class", "predicted", "variable"];
const SCORES: [&str; 3] = ["prob", "score", "output_probability"];
/// How sure a model is of what it predicts: neither that nor the probability of a class.
const SURE: &str = "confidence";

/// How values become groups.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Cut {
    Values,
    Time,
    Quarters([f64; 3]),
}

/// A column by which rows are grouped.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct By {
    /// What groups are called by.
    pub name: String,
    /// As SQL has it; nothing of a time.
    pub column: String,
    pub cut: Cut,
}

/// What is read.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Chosen {
    pub prediction: String,
    pub score: Option<String>,
    /// Probabilities of a row at most.
    pub width: usize,
    pub by: Vec<By>,
    /// The condition of the segment, of `p`: from `AND` on.
    pub within: String,
    pub notes: Vec<String>,
}

impl Chosen {
    /// What groups are called by.
    pub fn groups(&self) -> Vec<String> {
        self.by.iter().map(|by| by.name.clone()).collect()
    }
}

/// A column of predictions.
struct Column {
    name: String,
    kind: String,
}

impl Column {
    fn is_list(&self) -> bool {
        self.kind.starts_with("List") || self.kind.starts_with("LargeList") || self.kind.starts_with("FixedSizeList")
    }

    fn is_text(&self) -> bool {
        self.kind.contains("Utf8")
    }

    fn is_number(&self) -> bool {
        ["Int", "UInt", "Float"].iter().any(|k| self.kind.starts_with(k))
    }

    fn is_float(&self) -> bool {
        self.kind.starts_with("Float")
    }

    /// Without `out.` or `in.`.
    fn bare(&self) -> &str {
        self.name.split_once('.').map_or(&self.name, |(_, bare)| bare)
    }
}

pub(super) async fn choose(
    query: &Query,
    auth: &Authorized<QueryJournal>,
    request: &Request,
) -> Result<Chosen, PerformanceError> {
    let text = |v: Option<&Value>| v.and_then(Value::as_str).unwrap_or_default().to_owned();
    let known = query.sql(auth, sql::COLUMNS).await?.values();
    let known: Vec<Column> =
        known.iter().map(|row| Column { name: text(row.first()), kind: text(row.get(1)) }).collect();
    let within = within(request, &known)?;
    let asked = (request, within.as_str());
    let outputs: Vec<&Column> = known.iter().filter(|c| c.name.starts_with("out.")).collect();
    let names: Vec<String> = outputs.iter().map(|c| c.name.clone()).collect();
    let counts = query.sql(auth, &sql::present(asked, &names)).await?.values().pop().unwrap_or_default();
    let count = |at: usize| counts.get(at).and_then(Value::as_u64).unwrap_or(0);
    let deployment = request.deployment.as_str();
    if count(0) == 0 {
        let segment = (!request.segment.is_all()).then(|| request.segment.to_string());
        return Err(PerformanceError::NoPredictions { deployment: deployment.into(), segment });
    }
    let there: Vec<&Column> = outputs.iter().enumerate().filter(|(at, _)| count(at + 1) > 0).map(|(_, c)| *c).collect();
    let picked = |asked: &str| {
        let found = there.iter().find(|c| c.name == asked || c.bare() == asked);
        let there = || there.iter().map(|c| c.bare().to_owned()).collect();
        found.map(|c| c.name.clone()).ok_or_else(|| PerformanceError::Column {
            deployment: deployment.into(),
            what: "output",
            name: asked.into(),
            there: there(),
        })
    };
    let score = match &request.score {
        Some(asked) => Some(picked(asked)?),
        None if request.task == Some(Task::Regression) || request.task == Some(Task::Ranking) => None,
        None => likely_score(&there),
    };
    let prediction = match &request.prediction {
        Some(asked) => picked(asked)?,
        None => likely_prediction(&there, score.as_deref(), deployment)?,
    };
    let is_list = |name: &String| there.iter().any(|c| c.name == *name && c.is_list());
    // A list may be all that there is: then its greatest probability is the prediction.
    let mut score = score.filter(|s| *s != prediction || is_list(s));
    let (mut width, mut notes) = (1, Vec::new());
    if let Some(list) = score.clone().filter(is_list) {
        let longest = query.sql(auth, &sql::longest(asked, &list)).await?.values().pop().unwrap_or_default();
        width = longest.first().and_then(Value::as_u64).unwrap_or(0) as usize;
        if width > MOST_CLASSES {
            notes.push(format!("{list} has {width} values a row, which are not looked at as probabilities"));
            (score, width) = (None, 1);
        }
    }
    let mut by = Vec::new();
    for column in &request.by {
        by.push(grouping(query, auth, (asked, &known), column).await?);
    }
    Ok(Chosen { prediction, score, width, by, within, notes })
}

fn within(request: &Request, known: &[Column]) -> Result<String, PerformanceError> {
    if request.segment.is_all() {
        return Ok(String::new());
    }
    let known: Vec<(&str, &str)> = known.iter().map(|c| (c.name.as_str(), c.kind.as_str())).collect();
    Ok(format!(" AND {}", request.segment.condition(request.deployment.as_str(), &known, "p.")?))
}

/// Which of the outputs, by name and Arrow type, says what was predicted; nothing when it cannot be told.
pub(crate) fn predicted<'a>(outputs: impl Iterator<Item = (&'a str, String)>) -> Option<String> {
    let all: Vec<Column> = outputs.map(|(name, kind)| Column { name: name.to_owned(), kind }).collect();
    let there: Vec<&Column> = all.iter().collect();
    likely_prediction(&there, likely_score(&there).as_deref(), "").ok()
}

/// Which of the outputs, by name and Arrow type, has probabilities.
pub(crate) fn scored<'a>(outputs: impl Iterator<Item = (&'a str, String)>) -> Option<String> {
    let all: Vec<Column> = outputs.map(|(name, kind)| Column { name: name.to_owned(), kind }).collect();
    likely_score(&all.iter().collect::<Vec<_>>())
}

/// Which of the outputs, by name and Arrow type, tells most of what was predicted: a score, and without one the prediction.
pub fn telling<'a>(outputs: impl Iterator<Item = (&'a str, String)>) -> Option<String> {
    let all: Vec<Column> = outputs.map(|(name, kind)| Column { name: name.to_owned(), kind }).collect();
    let there: Vec<&Column> = all.iter().collect();
    likely_score(&there).or_else(|| likely_prediction(&there, None, "").ok())
}

fn likely_score(there: &[&Column]) -> Option<String> {
    let called = |c: &&&Column| SCORES.iter().any(|s| c.bare().to_lowercase().contains(s));
    let mut fit = there.iter().filter(|c| c.is_list() || c.is_float()).filter(called);
    fit.next().or_else(|| there.iter().find(|c| c.is_list())).map(|c| c.name.clone())
}

fn likely_prediction(there: &[&Column], score: Option<&str>, deployment: &str) -> Result<String, PerformanceError> {
    let mut plain: Vec<&&Column> = there.iter().filter(|c| !c.is_list() && Some(c.name.as_str()) != score).collect();
    if plain.len() > 1 {
        plain.retain(|c| !c.bare().to_lowercase().contains(SURE));
    }
    if let [one] = plain[..] {
        return Ok(one.name.clone());
    }
    if let Some(named) = PREDICTIONS.iter().find_map(|name| plain.iter().find(|c| c.bare() == *name)) {
        return Ok(named.name.clone());
    }
    if let (true, Some(score)) = (plain.is_empty(), score) {
        return Ok(score.to_owned());
    }
    let outputs = there.iter().map(|c| c.bare().to_owned()).collect();
    Err(PerformanceError::Outputs { deployment: deployment.into(), outputs })
}

async fn grouping(
    query: &Query,
    auth: &Authorized<QueryJournal>,
    (scope, known): (sql::Asked<'_>, &[Column]),
    asked: &str,
) -> Result<By, PerformanceError> {
    if TIMES.contains(&asked) {
        return Ok(By { name: asked.to_owned(), column: String::new(), cut: Cut::Time });
    }
    let (request, _) = scope;
    let all: Vec<(&str, &str)> = known.iter().map(|c| (c.name.as_str(), c.kind.as_str())).collect();
    let found = expression(&all, asked, ("p.", &ENVELOPE)).map(|(name, sql, kind)| (Column { name, kind }, sql));
    let fit = found.filter(|(c, _)| c.is_number() || c.is_text() || c.kind == "Boolean" || c.kind == "Date32");
    let Some((column, sql)) = fit else {
        let payload = known.iter().filter(|c| c.name.starts_with("in.") && !c.is_list()).map(|c| c.bare().to_owned());
        let there = ENVELOPE.iter().chain(&TIMES).map(|n| (*n).to_owned()).chain(payload).take(40).collect();
        let deployment = request.deployment.as_str().to_owned();
        return Err(PerformanceError::Column { deployment, what: "column", name: asked.into(), there });
    };
    let by = |cut| By { name: column.name.clone(), column: sql.clone(), cut };
    if !column.is_number() {
        return Ok(by(Cut::Values));
    }
    let row = query.sql(auth, &sql::quartiles(scope, &sql)).await?.values().pop().unwrap_or_default();
    let different = row.first().and_then(Value::as_u64).unwrap_or(0);
    let at: Vec<f64> = row.iter().skip(1).filter_map(Value::as_f64).collect();
    Ok(match at[..] {
        [a, b, c] if different > FEW_NUMBERS => by(Cut::Quarters([a, b, c])),
        _ => by(Cut::Values),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_confidence_is_neither_the_prediction_nor_a_probability() {
        let column = |name: &str, kind: &str| Column { name: format!("out.{name}"), kind: kind.into() };
        let all = [column("species", "Utf8"), column("confidence", "Float32"), column("probability", "Float32")];
        let there: Vec<&Column> = all.iter().take(2).collect();
        assert_eq!(likely_score(&there), None);
        assert_eq!(likely_prediction(&there, None, "d").unwrap(), "out.species");
        assert_eq!(likely_score(&all.iter().collect::<Vec<_>>()).as_deref(), Some("out.probability"));
        // Nothing else is there.
        assert_eq!(likely_prediction(&there[1..], None, "d").unwrap(), "out.confidence");
    }
}
