//! Whole rollouts on simulated units, the real ledger and the real machine: how often a candidate that is no better is
//! promoted, how often one that is no worse is rolled back, and what happens to good and bad ones.
//!
//! `cargo run --release -p mainspring-rollout --example whole_rollouts [-- RUNS [PART]]`
//!
//! With PART only the traffic whose name has it is simulated, such as `bandit`. RUNS, 10,000 when not given, is how many there are of each kind whose error rate is bounded; of the others a twentieth.
//! Of a contextual bandit it is said how often it was shown, at whichever decision, that choosing by context brought more than
//! one of the variants alone. Each rate is printed with three standard deviations of what so many runs can say. Ends with 1 when a bounded one is
//! above α = 5 % by more than that.

#![expect(clippy::print_stdout, reason = "its output is its purpose")]

use mainspring_rollout::RolloutSpec;
use mainspring_rollout::simulate::{Behaviour, Course, World, run};
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
const SLOW: Candidate = Candidate { name: "half as fast", latency: 0.04, ..SAME };

/// One kind of rollout; all but the last candidate are no different from stable.
struct Kind {
    name: &'static str,
    spec: Arc<RolloutSpec>,
    world: World,
    candidate: Candidate,
    /// Whether a rollback of a harmless candidate is an error of the tests: a bandit goes back when it believes in stable.
    tested: bool,
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
    let worlds = [("steady", steady), ("drifting", drifting.clone()), ("drifting, users return", returning)];
    let mut all = Vec::new();
    for (name, world) in worlds {
        for candidate in [SAME, BETTER, FAILING, SLOW] {
            all.push(Kind { name, spec: Arc::clone(&test), world: world.clone(), candidate, tested: true });
        }
    }
    for candidate in [SAME, BETTER, FAILING, SLOW] {
        let (name, world) = ("drifting, two at once", drifting.clone());
        all.push(Kind { name, spec: Arc::clone(&several), world, candidate, tested: true });
    }
    for candidate in [SAME, BETTER, FAILING] {
        let (name, world) = ("drifting, a bandit of 3", drifting.clone());
        all.push(Kind { name, spec: Arc::clone(&bandit), world, candidate, tested: false });
    }
    for candidate in [SAME, APART, FAILING] {
        let (name, world) = ("drifting, by context", drifting.clone());
        all.push(Kind { name, spec: Arc::clone(&contextual), world, candidate, tested: true });
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

fn middle(values: impl Iterator<Item = f64>) -> f64 {
    let mut all: Vec<f64> = values.collect();
    all.sort_by(f64::total_cmp);
    all.get(all.len() / 2).copied().unwrap_or_default()
}

fn main() -> Result<ExitCode, Box<dyn std::error::Error>> {
    let most: u64 = std::env::args().nth(1).and_then(|text| text.parse().ok()).unwrap_or(10_000);
    let part = std::env::args().nth(2).unwrap_or_default();
    let mut wrong = Vec::new();
    let line = |columns: [&str; 8]| {
        let [traffic, candidate, runs, promoted, back, exposed, hours, gain] = columns;
        println!("{traffic:24} {candidate:22} {runs:>6} {promoted:>17} {back:>17} {exposed:>9} {hours:>6} {gain:>17}");
    };
    line(["traffic", "the last candidate", "runs", "promoted", "rolled back", "exposed", "hours", "gain shown"]);
    for kind in kinds()?.into_iter().filter(|kind| kind.name.contains(&part)) {
        let (bad, same) = (kind.candidate.liked <= SAME.liked, kind.candidate.name == SAME.name);
        let runs = if same { most } else { (most / 20).max(20) };
        let courses = courses(&kind, runs)?;
        let (promoted, back) = (Rate::of(&courses, Course::promoted), Rate::of(&courses, Course::rolled_back));
        let exposed = format!("{:.1} %", 100.0 * middle(courses.iter().map(|c| c.exposed)));
        let hours = format!("{:.2}", middle(courses.iter().map(|c| c.hours)));
        let (name, candidate) = (kind.name, kind.candidate.name);
        let gain = Rate::of(&courses, gained);
        let shown =
            if kind.spec.steps.iter().any(|s| s.contextual_bandit.is_some()) { gain.text() } else { String::new() };
        line([name, candidate, &runs.to_string(), &promoted.text(), &back.text(), &exposed, &hours, &shown]);
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
        println!("above {:.0} % by more than chance: {text}", 100.0 * ALPHA);
    }
    Ok(if wrong.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
