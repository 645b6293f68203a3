//! Labels and predictions as classes, and what probabilities are of them.

use super::rows::{Cell, Rows, Texts};
use super::{MOST_CLASSES, PerformanceError, Request, Task};
use crate::said::follows;
use std::collections::HashMap;

/// Share of rows whose greatest probability must be of what was predicted, for probabilities to be those of the
/// classes in their order.
const AGREES: f64 = 0.9;

/// How probabilities are used.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Probability {
    /// Not at all.
    None,
    /// This one of each row is the positive class's.
    Of(usize),
    /// There is one for each class.
    Each,
}

/// Each row's classes.
#[derive(Debug)]
pub(super) struct Classes {
    pub names: Vec<String>,
    pub positive: Option<usize>,
    pub truth: Vec<Option<u32>>,
    pub predicted: Vec<Option<u32>>,
    pub probability: Probability,
    pub notes: Vec<String>,
}

/// What the model does, as labels and predictions look.
pub(super) fn task(rows: &Rows) -> Task {
    let labeled = || (0..rows.len()).filter(|at| rows.label[*at] != Cell::Missing);
    let is_class = |cell: Cell| matches!(cell, Cell::Text(_) | Cell::Truth(_));
    if labeled().any(|at| is_class(rows.label[at]) || is_class(rows.prediction[at])) || probabilities(rows) {
        return Task::Classification;
    }
    if labeled().all(|at| rows.prediction[at] == Cell::Missing) {
        return Task::Classification;
    }
    let whole = |cell: Cell| match cell {
        Cell::Number(n) => n == n.trunc(),
        _ => true,
    };
    let mut different: Vec<u64> = Vec::new();
    for at in labeled() {
        if !whole(rows.label[at]) || !whole(rows.prediction[at]) {
            return Task::Regression;
        }
        if let Cell::Number(n) = rows.label[at]
            && !different.contains(&n.to_bits())
        {
            different.push(n.to_bits());
            if different.len() > 20 {
                return Task::Regression;
            }
        }
    }
    Task::Classification
}

/// Whether predictions are probabilities of a label that is yes or no.
fn probabilities(rows: &Rows) -> bool {
    let mut between = false;
    for at in (0..rows.len()).filter(|at| rows.label[*at] != Cell::Missing) {
        let yes_or_no = match rows.label[at] {
            Cell::Truth(_) => true,
            Cell::Number(n) => n == 0.0 || n == 1.0,
            Cell::Missing | Cell::Text(_) => false,
        };
        match rows.prediction[at] {
            Cell::Number(p) if yes_or_no && (0.0..=1.0).contains(&p) => between |= p > 0.0 && p < 1.0,
            Cell::Missing => {}
            _ => return false,
        }
    }
    between
}

impl Classes {
    /// Names what there is, and finds out which probability is whose.
    pub fn of(rows: &mut Rows, request: &Request) -> Result<Self, PerformanceError> {
        let mut notes = Vec::new();
        if probabilities(rows) {
            let number = |cell: &Cell| if let Cell::Number(p) = cell { *p } else { f64::NAN };
            rows.scores.values = rows.prediction.iter().map(number).collect();
            rows.scores.width = 1;
            let said = |p: f64| if p.is_nan() { Cell::Missing } else { Cell::Truth(p >= 0.5) };
            rows.prediction = rows.scores.values.iter().map(|p| said(*p)).collect();
            notes.push("the prediction is a probability; from one half on it counts as yes".into());
        }
        let mut seen = Seen::new(rows);
        let truth: Vec<Option<u32>> = rows.label.iter().map(|cell| seen.class(*cell, &rows.texts)).collect();
        let predicted: Vec<Option<u32>> = rows.prediction.iter().map(|cell| seen.class(*cell, &rows.texts)).collect();
        let mut names = seen.names;
        if names.len() > MOST_CLASSES {
            return Err(PerformanceError::Classes);
        }
        fill(&mut names, rows.scores.width);
        let order = order(&names);
        let mut place = vec![0; order.len()];
        order.iter().enumerate().for_each(|(at, old)| place[*old] = at as u32);
        let moved = |classes: Vec<Option<u32>>| classes.into_iter().map(|c| c.map(|c| place[c as usize])).collect();
        let sorted: Vec<String> = order.iter().map(|at| names[*at].clone()).collect();
        let mut made = Self {
            positive: positive(&sorted, request.positive.as_deref())?,
            names: sorted,
            truth: moved(truth),
            predicted: moved(predicted),
            probability: Probability::None,
            notes,
        };
        made.probability = made.whose(rows);
        Ok(made)
    }

    /// Whose the probabilities are. Where they are all that there is, the greatest becomes the prediction.
    fn whose(&mut self, rows: &Rows) -> Probability {
        let width = rows.scores.width;
        if width == 0 {
            return Probability::None;
        }
        if width == 1 {
            let Some(positive) = self.positive else {
                self.notes.push("there is one probability a row and not two classes: it is not used".into());
                return Probability::None;
            };
            // It is that of the second class, whichever is looked for.
            let [first, second] = &self.names[..] else { return Probability::None };
            if positive == 0 {
                self.notes.push(format!(
                    "one probability a row is taken for that of {second}, and {first} is looked for: it is not used"
                ));
                return Probability::None;
            }
            let said = (0..rows.len()).filter_map(|at| Some((rows.scores.row(at)[0], self.predicted[at]? == 1)));
            if let Err(why) = follows(said) {
                self.notes.push(format!("the one probability a row is not that of {second}: {why}; it is not used"));
                return Probability::None;
            }
            return Probability::Of(0);
        }
        if width != self.names.len() {
            let seen = self.names.len();
            self.notes.push(format!("there are {width} probabilities a row and {seen} classes: they are not used"));
            return Probability::None;
        }
        let (mut same, mut compared) = (0_u64, 0_u64);
        for at in 0..rows.len() {
            let Some(greatest) = greatest(rows.scores.row(at)) else { continue };
            match &mut self.predicted[at] {
                Some(class) => {
                    compared += 1;
                    same += u64::from(*class as usize == greatest);
                }
                none => *none = Some(greatest as u32),
            }
        }
        if (same as f64) < AGREES * compared as f64 {
            let share = 100.0 * same as f64 / compared as f64;
            self.notes.push(format!(
                "the greatest probability is that of the prediction in {share:.0} % of the rows only, so they are not \
                 those of the classes in this order: {}; they are not used",
                self.names.join(", ")
            ));
            return Probability::None;
        }
        self.positive.map_or(Probability::Each, Probability::Of)
    }
}

fn greatest(row: &[f64]) -> Option<usize> {
    if row.iter().any(|p| p.is_nan()) {
        return None;
    }
    (0..row.len()).reduce(|best, at| if row[at] > row[best] { at } else { best })
}

/// Classes in the order in which they were met.
struct Seen {
    names: Vec<String>,
    known: HashMap<String, u32>,
    numbers: HashMap<u64, u32>,
    texts: HashMap<u32, u32>,
    /// What yes and no are called: as numbers are where the other side has numbers.
    words: [&'static str; 2],
}

impl Seen {
    fn new(rows: &Rows) -> Self {
        let numbers = rows.label.iter().chain(&rows.prediction).any(|c| matches!(c, Cell::Number(_)));
        let words = if numbers { ["0", "1"] } else { ["false", "true"] };
        let (names, known, numbers, texts) = (Vec::new(), HashMap::new(), HashMap::new(), HashMap::new());
        Self { names, known, numbers, texts, words }
    }

    fn named(&mut self, name: String) -> u32 {
        let next = self.names.len() as u32;
        *self.known.entry(name.clone()).or_insert_with(|| {
            self.names.push(name);
            next
        })
    }

    fn class(&mut self, cell: Cell, texts: &Texts) -> Option<u32> {
        match cell {
            Cell::Missing => None,
            Cell::Truth(yes) => Some(self.named(self.words[usize::from(yes)].to_owned())),
            Cell::Number(n) => {
                let bits = (n + 0.0).to_bits();
                if let Some(class) = self.numbers.get(&bits) {
                    return Some(*class);
                }
                // Many numbers are no classes: more names would only take memory.
                if self.names.len() > MOST_CLASSES {
                    return None;
                }
                let class = self.named((n + 0.0).to_string());
                self.numbers.insert(bits, class);
                Some(class)
            }
            Cell::Text(number) => {
                if let Some(class) = self.texts.get(&number) {
                    return Some(*class);
                }
                if self.names.len() > MOST_CLASSES {
                    return None;
                }
                let class = self.named(texts.text(number).to_owned());
                self.texts.insert(number, class);
                Some(class)
            }
        }
    }
}

/// Classes that are numbered from 0 and of which some did not occur are known from the number of probabilities.
fn fill(names: &mut Vec<String>, width: usize) {
    let width = if width == 1 { 2 } else { width };
    let numbered = |n: &String| n.parse::<usize>().is_ok_and(|n| n < width);
    if names.len() < width && width <= MOST_CLASSES && names.iter().all(numbered) {
        for class in 0..width {
            let name = class.to_string();
            if !names.contains(&name) {
                names.push(name);
            }
        }
    }
}

/// Numbers by size, else as texts.
fn order(names: &[String]) -> Vec<usize> {
    let numbers: Option<Vec<f64>> = names.iter().map(|n| n.parse().ok()).collect();
    let mut order: Vec<usize> = (0..names.len()).collect();
    match numbers {
        Some(numbers) => order.sort_by(|a, b| numbers[*a].total_cmp(&numbers[*b])),
        None => order.sort_by(|a, b| names[*a].cmp(&names[*b])),
    }
    order
}

fn positive(names: &[String], asked: Option<&str>) -> Result<Option<usize>, PerformanceError> {
    let Some(asked) = asked else { return Ok((names.len() == 2).then_some(1)) };
    if names.len() != 2 {
        let message = format!("a positive class is of two; there are {}: {}", names.len(), names.join(", "));
        return Err(PerformanceError::Unfit(message));
    }
    let found = names.iter().position(|n| n == asked);
    let there = || format!("there is no class {asked:?}; there are {}", names.join(", "));
    found.map(Some).ok_or_else(|| PerformanceError::Unfit(there()))
}
