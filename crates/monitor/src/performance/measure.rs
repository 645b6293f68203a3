//! From rows to a report.

use super::classes::{Classes, Probability, task};
use super::columns::Chosen;
use super::report::{Comparison, Delay, Group, Metric, Report, Task};
use super::rows::{Cell, Rows};
use super::{PerformanceError, Request};
use mainspring_stats::performance::{
    Average, Calibration, Confusion, Item, Level, Measure, Probabilities, Ranking, Regression, Scored, Treated,
    difference, fairness, median_absolute_error, ratio, recalibration, wilson,
};
use std::collections::BTreeMap;

/// Bins of the calibration curve.
const BINS: usize = 10;
const MICROS: f64 = 1e6;

pub(super) fn measured(mut rows: Rows, chosen: &Chosen, request: &Request) -> Result<Report, PerformanceError> {
    if rows.label.iter().all(|label| *label == Cell::Missing) {
        let (deployment, label) = (request.deployment.as_str().to_owned(), request.label.clone());
        let predictions = rows.len() as u64;
        return Err(PerformanceError::NoLabels { deployment, predictions, label, names: Vec::new() });
    }
    let task = request.task.unwrap_or_else(|| task(&rows));
    let missing = rows.prediction.iter().filter(|c| **c == Cell::Missing).count();
    let mut notes = chosen.notes.clone();
    let classes = if task == Task::Classification { Some(Classes::of(&mut rows, request)?) } else { None };
    if missing > 0 && classes.as_ref().is_none_or(|c| c.predicted.iter().any(Option::is_none)) {
        notes.push(format!(
            "{missing} answers have no value in {}: their payload was dropped, left out by sampling, or redacted",
            chosen.prediction
        ));
    }
    if rows.odd > 0 {
        let (score, width) = (chosen.score.as_deref().unwrap_or_default(), chosen.width);
        notes.push(format!(
            "{} answers do not have {width} values in {score}, as others do: theirs are not used",
            rows.odd
        ));
    }
    let subject = match &classes {
        Some(classes) => {
            let worth = request.worth.as_ref().map(|w| worth(w, &classes.names)).transpose()?;
            notes.extend(classes.notes.iter().cloned());
            Subject::Classes(classes, worth)
        }
        None => {
            numeric(&rows, request)?;
            if task == Task::Regression { Subject::Numbers } else { Subject::Orders(request.k) }
        }
    };
    let all: Vec<usize> = (0..rows.len()).collect();
    let overall = subject.group(&rows, &all, request.level);
    let (groups, comparisons) = grouped(&subject, &rows, chosen, request.level);
    let fairness = classes.as_ref().map(|classes| treated(classes, &rows, chosen, request.level)).unwrap_or_default();
    let delay = delay(&rows, request);
    Ok(Report {
        task,
        prediction: chosen.prediction.clone(),
        score: chosen.score.clone(),
        classes: classes.as_ref().map(|c| c.names.clone()).unwrap_or_default(),
        positive: classes.as_ref().and_then(|c| c.positive.map(|p| c.names[p].clone())),
        from: request.from,
        until: request.until,
        delay,
        comparisons,
        overall,
        groups,
        fairness,
        notes,
    })
}

/// The groups, the largest first, and each beside it.
fn grouped(subject: &Subject<'_>, rows: &Rows, chosen: &Chosen, level: Level) -> (Vec<Group>, Vec<Comparison>) {
    if chosen.by.is_empty() {
        return (Vec::new(), Vec::new());
    }
    let mut members = vec![Vec::new(); rows.groups.len()];
    rows.group.iter().enumerate().for_each(|(at, group)| members[*group as usize].push(at));
    let mut all: Vec<(Group, Vec<usize>)> = Vec::with_capacity(members.len());
    for (values, members) in rows.groups.iter().zip(members) {
        let by = chosen.groups().into_iter().zip(values.iter().cloned()).collect();
        all.push((Group { by, ..subject.group(rows, &members, level) }, members));
    }
    all.sort_by(|(a, _), (b, _)| b.labeled.cmp(&a.labeled).then_with(|| a.by.cmp(&b.by)));
    let (groups, members): (Vec<Group>, Vec<Vec<usize>>) = all.into_iter().unzip();
    let mut comparisons = compared(&groups);
    // Of hundreds of comparisons some are beyond their own intervals by chance: as many times rarer must be what is said.
    if let Some(rare) = Level::new(1.0 - (1.0 - level.confidence()) / comparisons.len() as f64) {
        let groups: Vec<Group> = members.iter().map(|members| subject.group(rows, members, rare)).collect();
        for (found, rarely) in comparisons.iter_mut().zip(compared(&groups)) {
            found.differs = rarely.difference.interval.is_some_and(|i| i.low > 0.0 || i.high < 0.0);
        }
    }
    (groups, comparisons)
}

/// How unlike groups are treated that something in the rows tells apart; of versions, variants and days that is no question.
fn treated(classes: &Classes, rows: &Rows, chosen: &Chosen, level: Level) -> Vec<Metric> {
    let is_of_rows = |by: &String| by.starts_with("in.") || by.starts_with("out.");
    let Some(positive) = classes.positive.filter(|_| chosen.groups().iter().any(is_of_rows)) else { return Vec::new() };
    let mut groups = vec![Treated::default(); rows.groups.len()];
    for (at, group) in rows.group.iter().enumerate() {
        let Some(said) = classes.predicted[at].map(|c| c as usize == positive) else { continue };
        let of = &mut groups[*group as usize];
        of.answers += 1;
        of.selected += u64::from(said);
        match (classes.truth[at].map(|c| c as usize == positive), said) {
            (Some(true), true) => of.true_positives += 1,
            (Some(true), false) => of.false_negatives += 1,
            (Some(false), true) => of.false_positives += 1,
            (Some(false), false) => of.true_negatives += 1,
            (None, _) => {}
        }
    }
    let class = Some(classes.names[positive].clone());
    let metric = |(name, measure)| Metric { name, class: class.clone(), measure };
    fairness(&groups, level).into_iter().map(metric).collect()
}

/// Numbers are needed on both sides.
fn numeric(rows: &Rows, request: &Request) -> Result<(), PerformanceError> {
    let texts = |cells: &[Cell]| cells.iter().any(|c| matches!(c, Cell::Text(_)));
    for (what, cells) in [("labels called", &rows.label), ("predictions beside labels called", &rows.prediction)] {
        if texts(cells) {
            let message = format!("{what} {:?} are texts, which are classes and no numbers", request.label);
            return Err(PerformanceError::Unfit(message));
        }
    }
    Ok(())
}

fn worth(asked: &BTreeMap<String, BTreeMap<String, f64>>, names: &[String]) -> Result<Vec<Vec<f64>>, PerformanceError> {
    let mut matrix = vec![vec![0.0; names.len()]; names.len()];
    let place = |name: &String| {
        names.iter().position(|n| n == name).ok_or_else(|| {
            PerformanceError::Unfit(format!(
                "an outcome of {name:?} is worth something; there are {}",
                names.join(", ")
            ))
        })
    };
    for (truth, row) in asked {
        let truth = place(truth)?;
        for (predicted, value) in row {
            matrix[truth][place(predicted)?] = *value;
        }
    }
    Ok(matrix)
}

fn delay(rows: &Rows, request: &Request) -> Option<Delay> {
    let labeled = |at: &usize| rows.label[*at] != Cell::Missing;
    let mut delays: Vec<i64> = (0..rows.len()).filter(labeled).map(|at| rows.times[at].1 - rows.times[at].0).collect();
    delays.sort_unstable();
    let at = |share: f64| delays.get(((delays.len() as f64 * share) as usize).min(delays.len().saturating_sub(1)));
    let (median, most) = (*at(0.5)?, *at(0.95)?);
    let young = |at: &usize| !labeled(at) && request.now.micros() - rows.times[*at].0 < most;
    let may_come = (0..rows.len()).filter(young).count() as u64;
    Some(Delay { median: median as f64 / MICROS, most: most as f64 / MICROS, may_come })
}

/// Each group beside the first, which is the largest.
fn compared(groups: &[Group]) -> Vec<Comparison> {
    let Some((largest, others)) = groups.split_first() else { return Vec::new() };
    let mut found = Vec::new();
    for (at, group) in others.iter().enumerate() {
        for metric in &group.metrics {
            let same = |m: &&Metric| m.name == metric.name && m.class == metric.class;
            if let Some(base) = largest.metrics.iter().find(same) {
                let signed = ["bias", "r2", "matthews", "kappa", "worth"].contains(&metric.name)
                    || metric.name.starts_with("calibration");
                found.push(Comparison {
                    group: at + 1,
                    name: metric.name,
                    class: metric.class.clone(),
                    difference: difference(&metric.measure, &base.measure),
                    ratio: if signed { None } else { ratio(&metric.measure, &base.measure) },
                    differs: false,
                });
            }
        }
    }
    found
}

/// What is measured.
enum Subject<'a> {
    Classes(&'a Classes, Option<Vec<Vec<f64>>>),
    Numbers,
    /// The first so many.
    Orders(usize),
}

/// Metrics in the order in which they are found.
#[derive(Default)]
struct Found(Vec<Metric>);

impl Found {
    fn add(&mut self, name: &'static str, measure: Option<Measure>) {
        self.of(name, None, measure);
    }

    fn of(&mut self, name: &'static str, class: Option<&String>, measure: Option<Measure>) {
        self.0.extend(measure.map(|measure| Metric { name, class: class.cloned(), measure }));
    }
}

impl Subject<'_> {
    fn group(&self, rows: &Rows, members: &[usize], level: Level) -> Group {
        let labeled = members.iter().filter(|at| rows.label[**at] != Cell::Missing).count() as u64;
        let mut group = Group {
            by: Vec::new(),
            rows: members.len() as u64,
            labeled,
            unfit: 0,
            metrics: Vec::new(),
            confusion: Vec::new(),
            calibration: Vec::new(),
            calibration_by_chance: None,
        };
        match self {
            Self::Classes(classes, worth) => {
                classified(&mut group, (rows, classes), members, level);
                if let Some(worth) = worth {
                    let mut confusion = Confusion::new(classes.names.len());
                    pairs(classes, members).for_each(|(truth, said)| confusion.push(truth, said));
                    let measure = confusion.worth(worth, level);
                    group.metrics.extend(measure.map(|measure| Metric { name: "worth", class: None, measure }));
                }
            }
            Self::Numbers => predicted(&mut group, rows, members, level),
            Self::Orders(k) => ordered(&mut group, rows, (members, *k), level),
        }
        group
    }
}

fn pairs<'a>(classes: &'a Classes, members: &'a [usize]) -> impl Iterator<Item = (usize, usize)> + 'a {
    members.iter().filter_map(|at| Some((classes.truth[*at]? as usize, classes.predicted[*at]? as usize)))
}

fn classified(group: &mut Group, (rows, classes): (&Rows, &Classes), members: &[usize], level: Level) {
    let mut confusion = Confusion::new(classes.names.len());
    pairs(classes, members).for_each(|(truth, said)| confusion.push(truth, said));
    group.unfit = group.labeled - confusion.total();
    let mut found = Found::default();
    found.add("accuracy", confusion.accuracy(level));
    found.add("balanced_accuracy", confusion.balanced_accuracy(level));
    if let Some(positive) = classes.positive {
        let name = Some(&classes.names[positive]);
        found.of("precision", name, confusion.precision(positive, level));
        found.of("recall", name, confusion.recall(positive, level));
        found.of("f1", name, confusion.f1(positive, level));
        found.of("specificity", name, confusion.specificity(positive, level));
        found.of("false_positive_rate", name, confusion.false_positive_rate(positive, level));
        // It needs no label.
        let said = members.iter().filter_map(|at| classes.predicted[*at]);
        let (part, all) = said.fold((0, 0), |(part, all), c| (part + u64::from(c as usize == positive), all + 1));
        found.of("selection_rate", name, wilson(part, all, level));
    } else {
        for (class, name) in classes.names.iter().enumerate() {
            found.of("precision", Some(name), confusion.precision(class, level));
            found.of("recall", Some(name), confusion.recall(class, level));
            found.of("f1", Some(name), confusion.f1(class, level));
        }
    }
    found.add("f1_macro", confusion.f1_average(Average::Macro, level));
    found.add("f1_weighted", confusion.f1_average(Average::Weighted, level));
    found.add("precision_macro", confusion.precision_average(Average::Macro, level));
    found.add("recall_macro", confusion.recall_average(Average::Macro, level));
    found.add("matthews", confusion.matthews(level));
    found.add("kappa", confusion.kappa(level));
    let truths = || members.iter().filter_map(|at| Some((*at, classes.truth[*at]? as usize)));
    match classes.probability {
        Probability::None => {}
        Probability::Each => {
            let mut given = Probabilities::new(classes.names.len());
            for (at, truth) in truths() {
                given.push(rows.scores.row(at), truth);
            }
            found.add("roc_auc", given.roc_auc(level));
            found.add("log_loss", given.log_loss(level));
            found.add("brier", given.brier(level));
        }
        Probability::Of(column) => {
            let mut scored = Scored::default();
            for (at, truth) in truths() {
                scored.push(rows.scores.row(at)[column], Some(truth) == classes.positive);
            }
            probable(group, &mut found, &scored, level);
        }
    }
    group.metrics = found.0;
    group.confusion = confusion.rows().map(<[u64]>::to_vec).collect();
}

fn probable(group: &mut Group, found: &mut Found, scored: &Scored, level: Level) {
    found.add("roc_auc", scored.roc_auc(level));
    found.add("average_precision", scored.average_precision(level));
    found.add("log_loss", scored.log_loss(level));
    found.add("brier", scored.brier(level));
    let Some(calibration) = Calibration::of(scored, BINS) else { return };
    if let Some([expected, most]) = calibration.errors(level) {
        found.add("expected_calibration_error", Some(expected));
        found.add("maximum_calibration_error", Some(most));
    }
    if let Some(line) = recalibration(scored, level) {
        found.add("calibration_intercept", Some(line.intercept));
        found.add("calibration_slope", Some(line.slope));
        found.add("calibration_in_the_large", Some(line.in_the_large));
    }
    group.calibration = calibration.curve(level);
    group.calibration_by_chance = calibration.by_chance();
}

fn number(cell: Cell) -> Option<f64> {
    match cell {
        Cell::Number(n) => Some(n),
        Cell::Truth(yes) => Some(f64::from(u8::from(yes))),
        Cell::Missing | Cell::Text(_) => None,
    }
}

fn predicted(group: &mut Group, rows: &Rows, members: &[usize], level: Level) {
    let (mut errors, mut absolute) = (Regression::default(), Vec::new());
    for at in members {
        if let (Some(truth), Some(said)) = (number(rows.label[*at]), number(rows.prediction[*at]))
            && errors.push(truth, said)
        {
            absolute.push(said - truth);
        }
    }
    group.unfit = group.labeled - errors.count();
    let mut found = Found::default();
    found.add("mae", errors.mae(level));
    found.add("median_absolute_error", median_absolute_error(&mut absolute, level));
    found.add("mse", errors.mse(level));
    found.add("rmse", errors.rmse(level));
    found.add("rmsle", errors.rmsle(level));
    found.add("mape", errors.mape(level));
    found.add("smape", errors.smape(level));
    found.add("r2", errors.r2(level));
    found.add("bias", errors.bias(level));
    group.metrics = found.0;
}

/// Requests with a label; what has none in them was not relevant.
fn ordered(group: &mut Group, rows: &Rows, (members, k): (&[usize], usize), level: Level) {
    let mut requests: BTreeMap<u32, (Vec<Item>, bool)> = BTreeMap::new();
    for at in members {
        let request = requests.entry(rows.event[*at]).or_default();
        let relevance = number(rows.label[*at]);
        request.1 |= relevance.is_some();
        match number(rows.prediction[*at]) {
            Some(score) => request.0.push(Item { score, relevance: relevance.unwrap_or(0.0) }),
            None => group.unfit += u64::from(relevance.is_some()),
        }
    }
    let mut ranking = Ranking::new(k);
    requests.values_mut().filter(|r| r.1).for_each(|r| ranking.push(&mut r.0));
    let mut found = Found::default();
    found.add("ndcg", ranking.ndcg(level));
    found.add("mean_reciprocal_rank", ranking.reciprocal_rank(level));
    found.add("mean_average_precision", ranking.average_precision(level));
    found.add("precision_at_k", ranking.precision(level));
    found.add("recall_at_k", ranking.recall(level));
    found.add("hit_rate", ranking.hit_rate(level));
    group.metrics = found.0;
}
