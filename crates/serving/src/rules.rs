//! Rules at work: the port to what judges rows, what each rule counted, and what comes of a request.

use crate::contract::Contract;
use crate::deployment::Deployment;
use crate::error::ServeError;
use crate::spec::{MOST_RULES, RuleAction, RulesSpec};
use mainspring_core::tensor::NamedTensor;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::fmt::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Where an answer says which rules the rows of its request broke: in a header or in metadata.
pub const FLAGS_HEADER: &str = "mainspring-flags";
/// Rules that a refusal names at most.
const NAMED: usize = 5;

/// Makes rules ready for what a version takes. Whoever knows the rules' language answers it.
pub trait RuleMaker: Send + Sync + 'static {
    /// Makes the rules ready, in their order.
    ///
    /// # Errors
    /// [`RuleError`] for the first rule that such rows cannot be held to.
    fn make(&self, rules: &RulesSpec, contract: &Contract) -> Result<Arc<dyn RowRules>, RuleError>;
}

/// Rules that are ready for the inputs of one version.
pub trait RowRules: Send + Sync + fmt::Debug {
    /// Judges every row by every rule, and tells of those that a rule is not about and of those that break one.
    /// Allocates nothing while there is nothing to tell.
    fn look(&self, inputs: &[NamedTensor], rows: usize, tell: &mut dyn FnMut(Seen));

    /// What is wrong with a row that breaks a rule, without its values: `column "age" is above max_value 120`.
    fn why(&self, rule: usize, inputs: &[NamedTensor], row: usize) -> String;
}

/// What a row is to a rule, where it does not simply keep it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen {
    /// Its place among the rules.
    pub rule: usize,
    /// The row.
    pub row: usize,
    /// Whether it breaks the rule; else the rule is not about it.
    pub broken: bool,
}

/// Why a rule cannot hold rows.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("rules.expectations[{at}], {name:?}: {reason}")]
pub struct RuleError {
    /// Its place, from 0.
    pub at: usize,
    /// What it is called.
    pub name: String,
    /// Why.
    pub reason: String,
}

/// What one rule counted since the process began, whatever the versions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleView {
    /// What it is called.
    pub name: String,
    /// `expect_…`.
    pub kind: String,
    /// What happens when it is broken.
    pub action: RuleAction,
    /// Rows that it was about.
    pub looked: u64,
    /// Those that broke it.
    pub broken: u64,
    /// Requests with such a row.
    pub requests: u64,
}

/// What is counted of a rule. Rows that it kept are not counted one by one: they are what is left of all.
#[derive(Debug, Default)]
struct Counts {
    /// Rows that had been looked at before it was declared.
    before: u64,
    /// Rows that it was not about. Written before the rows of the same request, and read after them.
    apart: AtomicU64,
    /// The most rows that were said to be looked at: while a request is counted the difference may be less, and a count
    /// that falls is taken for one that begins anew.
    told: AtomicU64,
    broken: AtomicU64,
    requests: AtomicU64,
}

/// The counts of a deployment: they outlive its versions.
#[derive(Debug, Default)]
pub(crate) struct RuleCounts {
    rows: Arc<AtomicU64>,
    /// By what each rule says.
    each: Mutex<Vec<(String, Arc<Counts>)>>,
}

impl RuleCounts {
    /// The counts of these rules; those of rules that are no longer declared are forgotten.
    fn of(&self, spec: &RulesSpec) -> Vec<Arc<Counts>> {
        let mut each = self.each.lock();
        let said = |(name, rule): (String, &crate::spec::RuleSpec)| {
            format!("{name} {} {}", rule.kind, serde_json::to_string(&(&rule.kwargs, &rule.when)).unwrap_or_default())
        };
        let next: Vec<(String, Arc<Counts>)> = (spec.names().into_iter().zip(&spec.expectations))
            .map(said)
            .map(|said| {
                let known = each.iter().find(|(known, _)| *known == said).map(|(_, counts)| Arc::clone(counts));
                let before = self.rows.load(Ordering::Relaxed);
                (said, known.unwrap_or_else(|| Arc::new(Counts { before, ..Counts::default() })))
            })
            .collect();
        each.clone_from(&next);
        next.into_iter().map(|(_, counts)| counts).collect()
    }
}

#[derive(Debug)]
struct One {
    name: Arc<str>,
    kind: String,
    action: RuleAction,
    counts: Arc<Counts>,
}

/// The rules of a deployment, ready for one of its versions.
#[derive(Debug)]
pub(crate) struct Ruled {
    rules: Arc<dyn RowRules>,
    each: Vec<One>,
    rows: Arc<AtomicU64>,
}

/// The rules that the rows of one request broke, and that are flagged or refused: a bit for each.
#[derive(Debug)]
struct Broken {
    rows: Vec<u64>,
    all: u64,
}

/// The names of the rules that each row broke, for the journal.
pub(crate) type Flags = Arc<[Option<Arc<str>>]>;

impl Ruled {
    /// Makes what is declared ready for a version; nothing when nothing is.
    pub fn of(
        maker: Option<&Arc<dyn RuleMaker>>,
        deployment: &Deployment,
        spec: Option<&RulesSpec>,
        contract: &Contract,
    ) -> Result<Option<Arc<Self>>, ServeError> {
        let Some(spec) = spec else { return Ok(None) };
        let maker = maker.ok_or_else(|| RuleError {
            at: 0,
            name: spec.names().into_iter().next().unwrap_or_default(),
            reason: "nothing in this process judges rows".into(),
        })?;
        let rules = maker.make(spec, contract)?;
        let counts = deployment.rule_counts.of(spec);
        let one = |((name, rule), counts): ((String, &crate::spec::RuleSpec), Arc<Counts>)| One {
            name: name.into(),
            kind: rule.kind.clone(),
            action: spec.action_of(rule),
            counts,
        };
        let each = spec.names().into_iter().zip(&spec.expectations).zip(counts).map(one).collect();
        Ok(Some(Arc::new(Self { rules, each, rows: Arc::clone(&deployment.rule_counts.rows) })))
    }

    /// Judges a request. What it broke is counted; `None` when the answer need not say anything.
    ///
    /// # Errors
    /// [`ServeError::Rules`] with what the journal keeps beside it, when a rule that it broke refuses it.
    pub fn judge(
        &self,
        deployment: &str,
        inputs: &[NamedTensor],
        rows: usize,
    ) -> Result<Option<Flags>, (ServeError, Flags)> {
        let (mut broken, mut first): (Option<Broken>, Vec<(usize, usize)>) = (None, Vec::new());
        let mut met = 0_u64;
        let mut apart = [0_u64; MOST_RULES];
        self.rules.look(inputs, rows, &mut |seen| {
            let Some(one) = self.each.get(seen.rule) else { return };
            if !seen.broken {
                if let Some(count) = apart.get_mut(seen.rule) {
                    *count += 1;
                }
                return;
            }
            one.counts.broken.fetch_add(1, Ordering::Relaxed);
            let bit = 1 << seen.rule;
            if met & bit == 0 {
                met |= bit;
                one.counts.requests.fetch_add(1, Ordering::Relaxed);
                if one.action == RuleAction::Reject {
                    first.push((seen.rule, seen.row));
                }
            }
            if one.action != RuleAction::Count {
                let broken = broken.get_or_insert_with(|| Broken { rows: vec![0; rows], all: 0 });
                broken.all |= bit;
                if let Some(of) = broken.rows.get_mut(seen.row) {
                    *of |= bit;
                }
            }
        });
        for (one, apart) in self.each.iter().zip(apart).filter(|(_, apart)| *apart > 0) {
            one.counts.apart.fetch_add(apart, Ordering::Relaxed);
        }
        self.rows.fetch_add(rows as u64, Ordering::Release);
        let Some(broken) = broken else { return Ok(None) };
        if first.is_empty() {
            // Rows mostly break the same few rules: one text for each combination, however many rows.
            let mut named: HashMap<u64, Option<Arc<str>>> = HashMap::new();
            let mut name = |bits: u64| named.entry(bits).or_insert_with(|| self.named(bits)).clone();
            return Ok(Some(broken.rows.iter().map(|bits| if *bits == 0 { None } else { name(*bits) }).collect()));
        }
        let flags = Arc::new([self.named(broken.all)]);
        Err((ServeError::Rules { deployment: deployment.to_owned(), broken: self.say(&first, inputs) }, flags))
    }

    fn named(&self, bits: u64) -> Option<Arc<str>> {
        let names = self.each.iter().enumerate().filter(|(at, _)| bits & (1 << at) != 0).map(|(_, one)| &*one.name);
        let names: Vec<&str> = names.collect();
        (!names.is_empty()).then(|| names.join(",").into())
    }

    /// The first row of each rule, and what is wrong with it.
    fn say(&self, first: &[(usize, usize)], inputs: &[NamedTensor]) -> String {
        let mut said = String::new();
        for (rule, row) in first.iter().take(NAMED) {
            let why = self.rules.why(*rule, inputs, *row);
            let (between, one) = (if said.is_empty() { "" } else { "; " }, &self.each[*rule]);
            let _infallible = write!(said, "{between}row {row}: {why}, against rule {:?} ({})", one.name, one.kind);
        }
        if first.len() > NAMED {
            let _infallible = write!(said, "; and {} further rules", first.len() - NAMED);
        }
        said
    }

    /// What each rule counted.
    pub fn views(&self) -> Vec<RuleView> {
        let rows = self.rows.load(Ordering::Acquire);
        let view = |one: &One| {
            let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
            let counts = &one.counts;
            let looked = rows.saturating_sub(counts.before).saturating_sub(read(&counts.apart));
            RuleView {
                name: one.name.to_string(),
                kind: one.kind.clone(),
                action: one.action,
                looked: counts.told.fetch_max(looked, Ordering::Relaxed).max(looked),
                broken: read(&counts.broken),
                requests: read(&counts.requests),
            }
        };
        self.each.iter().map(view).collect()
    }
}

/// The names of the rules that any row of a request broke: `age:between,plan:in_set`.
pub(crate) fn summary(flags: &Flags) -> Option<Arc<str>> {
    if let [one] = &**flags {
        return one.clone();
    }
    let mut names: Vec<&str> = flags.iter().flatten().flat_map(|f| f.split(',')).collect();
    names.sort_unstable();
    names.dedup();
    (!names.is_empty()).then(|| names.join(",").into())
}

#[cfg(test)]
mod tests;
