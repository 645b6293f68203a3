//! Whole rollouts on simulated units, the real ledger and the real machine: how often a candidate that is no better is
//! promoted, how often one that is no worse is rolled back, and what happens to good and bad ones.
//!
//! `cargo run --release -p mainspring-rollout --example whole_rollouts [-- RUNS [PART]]`
//!
//! With PART only the traffic whose name has it is simulated, such as `bandit`. RUNS, 10,000 when not given, is how many there are of each kind whose error rate is bounded; of the others a twentieth.
//! How many meet a worse one is said as the part of the units that got a candidate until the verdict, and as how many units that
//! were, both in the median; of the careful rollouts of one that harms at once it may not be two percent.
//! Of a contextual bandit it is said how often it was shown, at whichever decision, that choosing by context brought more than
//! one of the variants alone. Each rate is printed with three standard deviations of what so many runs can say. Ends with 1 when a bounded one is
//! above α = 5 % by more than that, or a median above its own bound.

#![expect(clippy::print_stdout, reason = "its output is its purpose")]

use mainspring_rollout::simulate::{Behaviour, Course, World, run};
use mainspring_rollout::{DecisionKind, RolloutSpec};
use serde_json::{Value, json};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

const ALPHA: f64 = 0.05;
/// Hours that a rollout can last.
const HOURS: f64 = 6.0;

/// A test of one candidate.
fn test() -> (usize, Value) {
    let steps = json!([
        {"canary": {"weight": 10, "minExposures": 50, "minDuration": "10m"}},
        {"abTest": {"weight": 50, "minExposures": 300, "minDuration": "30m", "maxDuration": "4h"}}
    ]);
    (1, steps)
}

/// As careful as the documentation says to be: one percent, then five, then half; each canary at least so long.
fn careful(minutes: [u32; 2]) -> (usize, Value) {
    let [first, second] = minutes.map(|minutes| format!("{minutes}m"));
    let steps = json!([
        {"canary": {"weight": 1, "minExposures": 50, "minDuration": first}},
        {"canary": {"weight": 5, "minExposures": 200, "minDuration": second}},
        {"abTest": {"weight": 50, "minExposures": 1000, "minDuration": "1h", "maxDuration": "5h"}}
    ]);
    (1, steps)
}

/// Two candidates at once: which of them is promoted is a finding against stable and against the other one.
fn several() -> (usize, Value) {
    (2, json!([{"abTest": {"weight": 66, "minExposures": 300, "minDuration": "30m", "maxDuration": "5h"}}]))
}

fn bandit() -> (usize, Value) {
    let bandit = json!({"period": "20m", "minWeight": 2, "bestAt": 95, "minDuration": "30m", "maxDuration": "4h"});
    (2, json!([{ "bandit": bandit }]))
}

fn contextual() -> (usize, Value) {
    let features = json!([{"input": "age", "cuts": [40]}]);
    let step = json!({"features": features, "period": "20m", "minWeight": 4, "maxDuration": "5h"});
    (2, json!([{ "contextualBandit": step }]))
}

/// A test of one candidate whose metrics are tested otherwise than by default, with error rates of their own.
fn chosen(test: &Value) -> Result<RolloutSpec, Box<dyn std::error::Error>> {
    let mut spec = declared(self::test(), true);
    let metrics = &mut spec["metrics"];
    let errors = json!({"name": "errors", "kind": "errors", "nonInferiority": 0.02, "test": "betting", "alpha": 0.02});
    metrics["guardrails"][0] = errors;
    let liked = metrics["success"][0].as_object_mut().ok_or("a metric")?;
    liked.extend(test.as_object().cloned().unwrap_or_default());
    let spec: RolloutSpec = serde_json::from_value(spec)?;
    spec.validate()?;
    Ok(spec)
}

/// What all of them have. Only a test has a guardrail on latency.
fn declared((candidates, steps): (usize, Value), slow: bool) -> Value {
    let named = |(name, version): (&str, usize)| json!({"name": name, "model": format!("models:/m/{version}")});
    let candidates: Vec<Value> = ["b", "c"].into_iter().zip(2..).take(candidates).map(named).collect();
    let mut guardrails = vec![json!({"name": "errors", "kind": "errors", "nonInferiority": 0.02})];
    if slow {
        guardrails.push(json!({"name": "p95", "kind": "quantile", "source": "latency", "q": 0.95, "margin": 1.3}));
    }
    json!({
        "deployment": "d", "warmupExclude": "10s", "assignment": {"unit": "header:x-user-id"}, "steps": steps,
        "candidates": candidates,
        "metrics": {"guardrails": guardrails, "success": [{"name": "liked", "kind": "mean", "source": "label:liked"}]},
        "decision": {"expectedUnits": 3000}
    })
}

/// What a candidate is, beside a stable that is liked in 30 %.
#[derive(Clone, Copy)]
struct Candidate {
    name: &'static str,
    liked: f64,
    errors: f64,
    latency: f64,
}

const SAME: Candidate = Candidate { name: "no different", liked: 0.3, errors: 0.005, latency: 0.02 };
const BETTER: Candidate = Candidate { name: "liked in 38 %", liked: 0.38, ..SAME };
const APART: Candidate = Candidate { name: "each its own half", ..SAME };
const FAILING: Candidate = Candidate { name: "ten times the errors", errors: 0.05, ..SAME };
const DISLIKED: Candidate = Candidate { name: "liked in 15 %", liked: 0.15, ..SAME };
const LESS: Candidate = Candidate { name: "liked in 24 %", liked: 0.24, ..SAME };
const SLOW: Candidate = Candidate { name: "half as fast", latency: 0.04, ..SAME };

/// One kind of rollout; all but the last candidate are no different from stable.
struct Kind {
    name: &'static str,
    spec: Arc<RolloutSpec>,
    world: World,
    candidate: Candidate,
    /// Whether a rollback of a harmless candidate is an error of the tests: a bandit goes back when it believes in stable.
    tested: bool,
    /// The part of the units that may meet the candidate, in the median.
    most: Option<f64>,
}

impl Kind {
    fn new(name: &'static str, spec: &Arc<RolloutSpec>, world: &World, candidate: Candidate) -> Self {
        Self { name, spec: Arc::clone(spec), world: world.clone(), candidate, tested: true, most: None }
    }
}

fn behaviour(of: Candidate) -> Behaviour {
    let labels = [("liked".to_owned(), (of.liked, 0.0))].into();
    Behaviour { error_rate: of.errors, latency: of.latency, labels, ..Behaviour::default() }
}

fn kinds() -> Result<Vec<Kind>, Box<dyn std::error::Error>> {
    let spec = |of: (usize, Value), slow: bool| -> Result<Arc<RolloutSpec>, Box<dyn std::error::Error>> {
        let spec: RolloutSpec = serde_json::from_value(declared(of, slow))?;
        spec.validate()?;
        Ok(Arc::new(spec))
    };
    let (test, several) = (spec(test(), true)?, spec(several(), true)?);
    let (bandit, contextual) = (spec(bandit(), false)?, spec(contextual(), false)?);
    let steady = World { per_hour: 1_500.0, ..World::default() };
    let drifting = World { drift: 0.8, ..steady.clone() };
    let returning = World { population: Some(2_000), ..drifting.clone() };
    let worlds = [("steady", steady), ("drifting", drifting.clone()), ("drifting, users return", returning.clone())];
    let mut all = Vec::new();
    for (name, world) in worlds {
        for candidate in [SAME, BETTER, FAILING, SLOW] {
            all.push(Kind::new(name, &test, &world, candidate));
        }
    }
    for candidate in [SAME, BETTER, FAILING, SLOW] {
        all.push(Kind::new("drifting, two at once", &several, &drifting, candidate));
    }
    for candidate in [SAME, BETTER, FAILING] {
        let kind = Kind::new("drifting, a bandit of 3", &bandit, &drifting, candidate);
        all.push(Kind { tested: false, ..kind });
    }
    for candidate in [SAME, APART, FAILING] {
        all.push(Kind::new("drifting, by context", &contextual, &drifting, candidate));
    }
    for (name, test) in [
        ("drifting, mSPRT", json!({"test": "msprt", "tau": 0.05})),
        ("drifting, group sequential", json!({"test": "groupSequential", "maxUnits": 5000, "looks": 6})),
    ] {
        let spec = Arc::new(chosen(&test)?);
        for candidate in [SAME, BETTER, FAILING] {
            all.push(Kind::new(name, &spec, &returning, candidate));
        }
    }
    let many = World { per_hour: 10_000.0, drift: 0.3, ..World::default() };
    let (quick, long) = (spec(careful([10, 20]), true)?, spec(careful([180, 20]), true)?);
    // Labels that come an hour late say nothing of a first step of ten minutes before the last one has begun.
    let late = World { label_delay: 3_600_000_000, ..many.clone() };
    let few = Some(0.02);
    for (name, spec, world, harms) in [
        ("careful, labels at once", &quick, &many, vec![(FAILING, few), (DISLIKED, few), (LESS, None)]),
        ("careful, labels 1 h later", &quick, &late, vec![(DISLIKED, None), (LESS, None)]),
        ("careful, 3 h at 1 %, the same", &long, &late, vec![(DISLIKED, few), (LESS, None)]),
    ] {
        all.extend(harms.into_iter().map(|(harm, most)| Kind { most, ..Kind::new(name, spec, world, harm) }));
    }
    for kind in &mut all {
        let candidates = kind.spec.candidates.len();
        kind.world.variants = vec![behaviour(SAME); candidates];
        kind.world.variants.push(behaviour(kind.candidate));
        if kind.candidate.name == APART.name {
            let here = |liked: [f64; 3]| liked.map(|liked| behaviour(Candidate { liked, ..SAME })).to_vec();
            kind.world.contexts = [[0.30; 3], [0.30, 0.45, 0.22], [0.30, 0.22, 0.45]].map(here).to_vec();
        }
    }
    Ok(all)
}

/// Runs so many of a kind, on all processors.
fn courses(kind: &Kind, runs: u64) -> Result<Vec<Course>, Box<dyn std::error::Error>> {
    let next = AtomicU64::new(0);
    let work = || {
        let mut done = Vec::new();
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= runs {
                return Ok(done);
            }
            done.push(run(&kind.spec, &kind.world, seed, HOURS).map_err(|e| e.to_string())?);
        }
    };
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let done: Vec<Result<Vec<Course>, String>> = std::thread::scope(|scope| {
        let all: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        all.into_iter().map(|thread| thread.join().unwrap_or_else(|_| Err("a run stopped at a bug".into()))).collect()
    });
    Ok(done.into_iter().collect::<Result<Vec<_>, String>>()?.concat())
}

/// A rate with what chance makes of it in so many runs.
struct Rate {
    rate: f64,
    runs: f64,
}

impl Rate {
    fn of(courses: &[Course], what: impl Fn(&Course) -> bool) -> Self {
        let runs = courses.len().max(1) as f64;
        Self { rate: courses.iter().filter(|c| what(c)).count() as f64 / runs, runs }
    }

    /// Three standard deviations of a rate of `p`.
    fn chance(&self, p: f64) -> f64 {
        3.0 * (p * (1.0 - p) / self.runs).sqrt()
    }

    /// Whether it is above α by more than chance.
    fn too_high(&self) -> bool {
        self.rate > ALPHA + self.chance(ALPHA)
    }

    fn text(&self) -> String {
        format!("{:.2} % ± {:.2}", 100.0 * self.rate, 100.0 * self.chance(self.rate))
    }
}

/// Whether some decision's numbers show that choosing by context brought more than a variant alone.
fn gained(course: &Course) -> bool {
    let evidence = course.decisions.iter().filter_map(|d| d.evidence.as_ref());
    evidence.flat_map(|e| &e.gains).any(|g| g.gain.low.is_some_and(|low| low > 0.0))
}

/// Units that got a candidate before it was taken back.
fn met(course: &Course) -> Option<f64> {
    let evidence = course.decisions.iter().find(|d| d.kind == DecisionKind::RolledBack)?.evidence.as_ref()?;
    Some(evidence.units.iter().skip(1).sum::<u64>() as f64)
}

fn middle(values: impl Iterator<Item = f64>) -> f64 {
    let mut all: Vec<f64> = values.collect();
    all.sort_by(f64::total_cmp);
    all.get(all.len() / 2).copied().unwrap_or_default()
}

fn main() -> Result<ExitCode, Box<dyn std::error::Error>> {
    let most: u64 = std::env::args().nth(1).and_then(|text| text.parse().ok()).unwrap_or(10_000);
    let part = std::env::args().nth(2).unwrap_or_default();
    let mut wrong = Vec::new();
    let line = |columns: [&str; 9]| {
        let [traffic, candidate, runs, promoted, back, exposed, met, hours, gain] = columns;
        println!(
            "{traffic:30} {candidate:22} {runs:>6} {promoted:>17} {back:>17} {exposed:>9} {met:>6} {hours:>6} {gain:>17}"
        );
    };
    line(["traffic", "the last candidate", "runs", "promoted", "rolled back", "exposed", "met", "hours", "gain shown"]);
    for kind in kinds()?.into_iter().filter(|kind| kind.name.contains(&part)) {
        let (bad, same) = (kind.candidate.liked <= SAME.liked, kind.candidate.name == SAME.name);
        let runs = if same { most } else { (most / 20).max(20) };
        let courses = courses(&kind, runs)?;
        let (promoted, back) = (Rate::of(&courses, Course::promoted), Rate::of(&courses, Course::rolled_back));
        let exposed = middle(courses.iter().map(|c| c.exposed));
        let met = format!("{:.0}", middle(courses.iter().filter_map(met)));
        let hours = format!("{:.2}", middle(courses.iter().map(|c| c.hours)));
        let (name, candidate) = (kind.name, kind.candidate.name);
        let gain = Rate::of(&courses, gained);
        let shown =
            if kind.spec.steps.iter().any(|s| s.contextual_bandit.is_some()) { gain.text() } else { String::new() };
        let part = format!("{:.1} %", 100.0 * exposed);
        line([name, candidate, &runs.to_string(), &promoted.text(), &back.text(), &part, &met, &hours, &shown]);
        if kind.most.is_some_and(|most| exposed >= most) {
            wrong.push(format!("{name}, {candidate}: {part} of the units met it in the median"));
        }
        if same && gain.too_high() {
            wrong.push(format!("{name}, {candidate}: a gain was shown in {}", gain.text()));
        }
        if bad && promoted.too_high() {
            wrong.push(format!("{name}, {candidate}: promoted in {}", promoted.text()));
        }
        if same && kind.tested && back.too_high() {
            wrong.push(format!("{name}, {candidate}: rolled back in {}", back.text()));
        }
    }
    for text in &wrong {
        println!("above its bound: {text}");
    }
    Ok(if wrong.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
