//! The power of designs whose power is published.

use super::{ALPHA, BATCH, Rng, UNITS, crossed, cs};
use mainspring_stats::sequential::{Effect, GroupSequential, Sides, Spending};

/// What a publication says and what rollouts show.
pub struct Power {
    pub name: &'static str,
    pub published: f64,
    pub simulated: f64,
}

struct Design {
    name: &'static str,
    power: f64,
    looks: Vec<f64>,
    bounds: Vec<f64>,
    sides: Sides,
    /// The effect over its standard error at the end.
    drift: f64,
}

impl Design {
    fn simulate(&self, runs: u64) -> Power {
        // The standard error of the difference at the end is √(4/n).
        let effect = self.drift * (4.0 / UNITS as f64).sqrt();
        let finds = |seed: &u64| crossed(&self.looks, &self.bounds, self.sides, effect, &mut Rng::new(*seed));
        let found = (0..runs).filter(finds).count();
        Power { name: self.name, published: self.power, simulated: found as f64 / runs as f64 }
    }
}

/// rpact's test-f_design_group_sequential.R (1d81a55): linear spending, α = 0.03 on one side, looks at 20, 40 and 100 %,
/// 86 % power at a drift of √9.4594101. Jennison and Turnbull (2000), tables 2.1 to 2.4: five looks at α = 0.05 on two
/// sides, 90 % power with 1.207 (Pocock) and 1.026 (O'Brien-Fleming) times the units of a single look.
pub fn published(runs: u64) -> Vec<Power> {
    let linear = GroupSequential::new(0.03, Sides::One, Spending::Power(1.0)).expect("settings");
    let three = vec![0.2, 0.4, 1.0];
    let linear = Design {
        name: "linear spending (rpact)",
        power: 0.86,
        bounds: linear.boundaries(&three).expect("fractions"),
        looks: three,
        sides: Sides::One,
        drift: 9.459_410_1_f64.sqrt(),
    };
    let classic = |name, inflation: f64, bound: fn(f64) -> f64| {
        let looks = vec![0.2, 0.4, 0.6, 0.8, 1.0];
        let drift = (1.959_964 + 1.281_552) * inflation.sqrt();
        Design { name, power: 0.9, bounds: looks.iter().copied().map(bound).collect(), looks, sides: Sides::Two, drift }
    };
    let pocock = classic("Pocock (Jennison and Turnbull)", 1.207, |_| 2.413);
    let o_brien_fleming = classic("O'Brien-Fleming (the same)", 1.026, |t| 2.040 / t.sqrt());
    [linear, pocock, o_brien_fleming].map(|design| design.simulate(runs)).into()
}

/// The power of the asymptotic confidence sequence with a look after every batch, by numerical integration of its
/// boundary, and as rollouts with normal values show it. No publication gives it for a fixed end and these looks.
pub fn asymptotic(runs: u64) -> Power {
    let looks: Vec<f64> = (4..=UNITS / BATCH).map(|k| (k * BATCH) as f64 / UNITS as f64).collect();
    let bound = |t: &f64| cs().interval(&Effect { value: 0.0, standard_error: 1.0, units: t * UNITS as f64 }).high;
    let bounds: Vec<f64> = looks.iter().map(bound).collect();
    let any = GroupSequential::new(ALPHA, Sides::Two, Spending::Pocock).expect("settings");
    let drift = 3.5;
    let power = any.crossing(&looks, &bounds, drift).expect("looks").iter().sum();
    Design { name: "asymptotic CS (by integration)", power, looks, bounds, sides: Sides::Two, drift }.simulate(runs)
}
