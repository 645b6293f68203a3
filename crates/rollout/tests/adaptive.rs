//! What a bandit says of its arms beside what is true: one arm is taken out on the way, users return, and a contextual bandit
//! chooses by what it has learned.

#![expect(clippy::unwrap_used, reason = "a simulation whose settings are wrong must stop")]

use mainspring_core::{IdGen, SeededIds, Timestamp};
use mainspring_rollout::ledger::{Arm, Estimate, Limits, Plan, Range, Report, Stratum};
use mainspring_rollout::{Event, Exposure, Ledger, RolloutSpec};
use mainspring_traffic::Share;
use std::sync::Arc;

const VARIANTS: [&str; 3] = ["stable", "b", "c"];
const SECOND: i64 = 1_000_000;

fn spec(step: &str) -> RolloutSpec {
    let text = format!(
        r#"{{
            "deployment": "d", "warmupExclude": "0s",
            "candidates": [{{"name": "b", "model": "models:/m/2"}}, {{"name": "c", "model": "models:/m/3"}}],
            "steps": [{step}],
            "metrics": {{"success": [{{"name": "liked", "kind": "mean", "source": "output:score"}}]}},
            "decision": {{"expectedUnits": 2000}}
        }}"#
    );
    let spec: RolloutSpec = serde_json::from_str(&text).unwrap();
    spec.validate().unwrap();
    spec
}

struct Random(SeededIds);

impl Random {
    /// Not a multiple of the step that the generator itself takes: the runs would be one sequence, each begun one later.
    fn new(seed: u64) -> Self {
        Self(SeededIds::new(seed.wrapping_mul(0xD1B5_4A32_D192_ED03)))
    }

    fn uniform(&self) -> f64 {
        ((self.0.random() >> 11) as f64 + 0.5) / (1_u64 << 53) as f64
    }

    fn normal(&self) -> f64 {
        (-2.0 * self.uniform().ln()).sqrt() * (std::f64::consts::TAU * self.uniform()).cos()
    }
}

fn stratum(generation: u64, start: i64, weights: &[f64], contexts: Vec<Vec<Share>>) -> Stratum {
    let start = Timestamp(start * SECOND);
    Stratum { generation, step: 0, start, weights: weights.to_vec(), contexts, shadow: false }
}

/// The variant in whose part of 0 to 1 a place falls.
fn chosen(weights: &[f64], place: f64) -> usize {
    let mut sum = 0.0;
    let mut past = |w: &f64| {
        sum += w;
        sum <= place
    };
    weights.iter().take_while(|w| past(w)).count().min(weights.len() - 1)
}

/// An answer whose reward is known at once.
struct Answer {
    at: i64,
    unit: u64,
    variant: usize,
    generation: u64,
    context: Option<u16>,
    reward: f64,
}

fn fold(ledger: &mut Ledger, random: &Random, answer: &Answer) {
    let at = Timestamp(answer.at);
    ledger.fold(&Event::Exposure(Exposure {
        at,
        id: random.0.event(at),
        unit: answer.unit,
        variant: VARIANTS[answer.variant].into(),
        generation: answer.generation,
        context: answer.context,
        failed: None,
        latency_ns: 1_000_000,
        outputs: vec![("score".into(), answer.reward)],
        inputs: Vec::new(),
    }));
}

const TIMES: [[f64; 3]; 3] = [[0.4, 0.2, 0.4], [0.2, 0.3, 0.5], [0.4, 0.6, 0.0]];
const LEVELS: [f64; 3] = [0.3, 0.6, 1.2];
const EFFECTS: [f64; 3] = [0.0, 0.2, -0.4];
const USERS: u64 = 500;

/// What a bandit knows of its arms after `c` was taken out, while everything got better for all.
fn dropped(seed: u64, returning: bool) -> Vec<Arm> {
    let spec = spec(r#"{"bandit": {"period": "1h", "maxDuration": "1d"}}"#);
    let random = Random::new(seed);
    let mut ledger = Ledger::new(Plan::of(&spec), Limits::default());
    let strata: Vec<Stratum> =
        (0..).zip(&TIMES).map(|(time, weights)| stratum(time as u64 + 1, 1000 * time, weights, Vec::new())).collect();
    ledger.strata(&strata);
    let users: Vec<(f64, f64)> = (0..USERS).map(|_| (random.uniform(), random.normal())).collect();
    for (time, (weights, level)) in (0_u64..).zip(TIMES.iter().zip(LEVELS)) {
        for user in 0..USERS {
            let (place, habit) = users[user as usize];
            let new = (random.uniform(), random.normal());
            let (place, habit) = if returning { (place, habit) } else { new };
            let variant = chosen(weights, place);
            let reward = level + EFFECTS[variant] + habit + 0.3 * random.normal();
            let unit = if returning { user } else { USERS * time + user };
            let at = (1000 * time as i64 + 1) * SECOND + user as i64 * SECOND;
            fold(&mut ledger, &random, &Answer { at, unit, variant, generation: time + 1, context: None, reward });
        }
    }
    ledger.look(Timestamp(3000 * SECOND));
    ledger.report().arms.clone()
}

/// Each time counts by the part of its users that got an arm that is left.
fn truth(arm: usize) -> f64 {
    let left = |weights: &[f64; 3]| weights[0] + weights[1];
    let sum: f64 = TIMES.iter().zip(LEVELS).map(|(weights, level)| left(weights) * (level + EFFECTS[arm])).sum();
    sum / TIMES.iter().map(left).sum::<f64>()
}

/// One estimate of an arm.
type Of = fn(&Arm) -> Option<Estimate>;

#[test]
fn the_values_of_the_arms_that_are_left_are_theirs_after_one_was_taken_out() {
    const RUNS: u64 = 200;
    for returning in [false, true] {
        let runs: Vec<Vec<Arm>> = (0..RUNS).map(|seed| dropped(seed, returning)).collect();
        assert!(runs.iter().all(|arms| arms.len() == 2));
        let estimates: [(&str, Of); 3] = [("ips", |a| a.ips), ("snips", |a| a.snips), ("dr", |a| a.dr)];
        for arm in 0..2 {
            for (name, of) in estimates {
                let found: Vec<Estimate> = runs.iter().map(|arms| of(&arms[arm]).unwrap()).collect();
                let n = RUNS as f64;
                let mean = found.iter().map(|e| e.value).sum::<f64>() / n;
                let spread = (found.iter().map(|e| (e.value - mean).powi(2)).sum::<f64>() / (n - 1.0)).sqrt();
                let said = found.iter().map(|e| e.standard_error).sum::<f64>() / n;
                let off = (mean - truth(arm)) / (spread / n.sqrt());
                let which = format!("{name} of {}, users return: {returning}", VARIANTS[arm]);
                assert!(
                    off.abs() < 4.0,
                    "{which}: {mean} is {off:.1} deviations of the simulation from {}",
                    truth(arm)
                );
                // A standard deviation of 200 runs is known to 5 %.
                assert!((spread / said - 1.0).abs() < 0.2, "{which}: varies by {spread}, and says {said}");
            }
        }
    }
}

/// What is said of a contextual bandit at its end, and whether at some look it was said to have brought more than a variant alone,
/// and whether a candidate was said to be better than stable.
struct Course {
    end: Arc<Report>,
    gained: bool,
    better: bool,
}

const CONTEXTS: &str = r#"{"contextualBandit": {
    "features": [{"input": "age", "cuts": [20, 40, 60]}, {"input": "income", "cuts": [1, 2]}],
    "period": "1h", "minWeight": 4, "maxDuration": "1d"
}}"#;
const CELLS: usize = 20;
const PERIODS: u64 = 6;
const A_PERIOD: u64 = 200;

/// `last` is added to the reward of the very last unit.
fn contextual(seed: u64, effect: impl Fn(usize, usize) -> f64, last: f64) -> Course {
    let spec = spec(CONTEXTS);
    let random = Random::new(seed);
    let mut ledger = Ledger::new(Plan::of(&spec), Limits::default());
    let mut strata: Vec<Stratum> = Vec::new();
    let mut weights = vec![[1.0 / 3.0; 3]; CELLS];
    let (mut gained, mut better) = (false, false);
    let above = |range: &Range| range.low.is_some_and(|low| low > 0.0);
    for period in 0..PERIODS {
        let shares: Vec<Vec<Share>> = weights.iter().map(|w| Share::apportion(w).unwrap()).collect();
        let start = 1000 * period as i64;
        strata.push(stratum(period + 1, start, &[1.0 / 3.0; 3], shares));
        ledger.strata(&strata);
        for n in 0..A_PERIOD {
            let context = (random.uniform() * CELLS as f64) as usize;
            let variant = chosen(&weights[context], random.uniform());
            let unit = period * A_PERIOD + n;
            let at = (start + 1) * SECOND + n as i64 * SECOND;
            let mut reward = effect(context, variant) + random.normal();
            if unit + 1 == PERIODS * A_PERIOD {
                reward += last;
            }
            let (generation, context) = (period + 1, Some(context as u16));
            fold(&mut ledger, &random, &Answer { at, unit, variant, generation, context, reward });
            if n % 40 == 39 {
                ledger.look(Timestamp(at));
                let report = ledger.report();
                gained |= report.gains.iter().any(|g| above(&g.gain));
                better |= report.arms.iter().filter_map(|a| a.over_stable.as_ref()).any(above);
            }
        }
        // As the machine does it.
        for context in &ledger.report().contexts {
            for (weight, arm) in weights[usize::from(context.context)].iter_mut().zip(&context.arms) {
                *weight = 0.04 + 0.88 * arm.best;
            }
        }
    }
    Course { end: ledger.report(), gained, better }
}

#[test]
fn choosing_by_context_is_not_said_to_bring_more_where_all_are_alike() {
    const RUNS: u64 = 120;
    let courses: Vec<Course> = (0..RUNS).map(|seed| contextual(seed, |_, _| 0.0, 0.0)).collect();
    let rate = |what: fn(&Course) -> bool| courses.iter().filter(|c| what(c)).count() as f64 / RUNS as f64;
    let most = 0.05 + 3.0 * (0.05 * 0.95 / RUNS as f64).sqrt();
    let (gained, better) = (rate(|c| c.gained), rate(|c| c.better));
    assert!(gained <= most, "{gained} of the bandits were said to bring more than a variant alone");
    assert!(better <= most, "{better} had a candidate that was said to be better than stable");
}

#[test]
fn where_the_best_differs_by_context_the_gain_is_found() {
    let courses: Vec<Course> =
        (0..10).map(|seed| contextual(seed, |context, variant| f64::from(context % 3 == variant), 0.0)).collect();
    assert!(courses.iter().filter(|c| c.gained).count() >= 8);
}

/// What was expected of an answer comes from what came before it: so every estimate is a straight line in its reward.
#[test]
fn no_answer_is_compared_with_what_was_learned_from_it() {
    let [none, one, ten] = [0.0, 1.0, 10.0].map(|last| contextual(7, |_, _| 0.0, last).end);
    let gain = |report: &Report| report.gains.iter().map(|g| g.gain.estimate).collect::<Vec<_>>();
    let alone = |report: &Report| report.arms.iter().map(|a| a.dr.unwrap().value).collect::<Vec<_>>();
    for of in [gain, alone] {
        for ((none, one), ten) in of(&none).into_iter().zip(of(&one)).zip(of(&ten)) {
            let (slope, line) = (one - none, none + 10.0 * (one - none));
            assert!((ten - line).abs() < 1e-9 * (1.0 + slope.abs()), "{none}, {one} and {ten}, not {line}");
        }
    }
}
