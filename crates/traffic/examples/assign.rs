//! What an assignment costs: nanoseconds for the variant of a unit, by one of 10,000 routing rows. What a request pays in
//! all, with the look-up of its deployment, `mainspring-serving`'s example `routing` measures.
//!
//! `cargo run --release -p mainspring-traffic --example assign`
//!
//! Rows and units come in an order that no cache can foresee; the names of units are written anew each time, as a request's
//! have just been read. Each rollout has three variants, a holdout and a place in a layer, so that every request hashes three
//! times. The floor beside it is the writing of the names.

use mainspring_traffic::{
    Contexts, Feature, Holdout, Layer, LayerPlace, Levels, Policy, RequestHead, Route, RouteSpec, Row, RowVariant,
    Share, Split, UnitFrom, Variant, unit_id,
};
use std::error::Error;
use std::hint::black_box;
use std::io::Write;
use std::sync::Arc;
use std::time::Instant;

const ROLLOUTS: usize = 10_000;
const UNITS: usize = 100_000;
const UNIT: &str = "f47ac10b-58cc-4372-a567-";
const CALLS: usize = 2_000_000;
const ROUNDS: usize = 5;

fn routes() -> Result<Vec<Route>, Box<dyn Error>> {
    let share = Share::from_fraction;
    let layer = Layer { salt: "layer".into(), split: Split::new(&[share(0.1)?, share(0.9)?])? };
    let route = |i: usize| {
        let variant =
            |name: &str, weight| Ok::<_, Box<dyn Error>>(Variant { name: name.into(), weight: share(weight)? });
        Ok(Route::new(RouteSpec {
            salt: format!("rollout-{i}"),
            variants: vec![variant("stable", 0.8)?, variant("v8", 0.15)?, variant("v9", 0.05)?],
            holdout: Some(Holdout { salt: "2026".into(), share: share(0.02)? }),
            layer: Some(LayerPlace { layer: layer.clone(), place: 1 }),
        })?)
    };
    (0..ROLLOUTS).map(route).collect()
}

/// A name that ends in a number, written where the last one was.
struct Text {
    bytes: [u8; 64],
    stem: usize,
}

impl Text {
    fn new(stem: &str) -> Self {
        let mut bytes = [b'0'; 64];
        bytes[..stem.len()].copy_from_slice(stem.as_bytes());
        Self { bytes, stem: stem.len() }
    }

    #[inline]
    fn number(&mut self, mut number: usize, digits: usize) -> &str {
        let all = self.stem + digits;
        for digit in self.bytes[self.stem..all].iter_mut().rev() {
            *digit = b'0' + (number % 10) as u8;
            number /= 10;
        }
        std::str::from_utf8(&self.bytes[..all]).unwrap_or_default()
    }
}

/// Nanoseconds a call, the best of some rounds: the machine has other work.
fn measure(mut call: impl FnMut(usize, usize) -> u64) -> f64 {
    let mut best = f64::INFINITY;
    for round in 0..ROUNDS {
        let mut state = round as u64 + 1;
        let mut sum = 0;
        let start = Instant::now();
        for _ in 0..CALLS {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let high = (state >> 32) as usize;
            sum += call(high % ROLLOUTS, high / 7 % UNITS);
        }
        black_box(sum);
        best = best.min(start.elapsed().as_nanos() as f64 / CALLS as f64);
    }
    best
}

/// A request with the header that has its unit, its cookies, and some other headers.
struct Said<'a>(&'a str, &'a str);

impl RequestHead for Said<'_> {
    fn header(&self, name: &str) -> Option<&[u8]> {
        let others = ["host", "content-type", "content-length", "accept", "user-agent", "traceparent"];
        others.iter().all(|other| *other != name).then_some(())?;
        (name == "x-user-id").then_some(self.0.as_bytes())
    }

    fn find<'a>(&'a self, name: &str, find: &mut dyn FnMut(&'a [u8]) -> Option<&'a [u8]>) -> Option<&'a [u8]> {
        if name == "cookie" { find(self.1.as_bytes()) } else { self.header(name).and_then(find) }
    }
}

/// Twelve contexts with a split each.
fn policy(route: &Route) -> Result<Policy, Box<dyn Error>> {
    let age = Feature { input: "age".into(), levels: Levels::Cuts(vec![30.0, 50.0]) };
    let country = Feature { input: "country".into(), levels: Levels::Values(vec!["de".into(), "fr".into()]) };
    let contexts = Contexts::new(vec![age, country])?;
    Ok(Policy { splits: vec![route.split().clone(); contexts.count()], contexts })
}

fn row_of(route: &Route) -> Row {
    let variant = |name: &String| RowVariant { name: name.clone(), model: "models:/m/1".into() };
    Row {
        rollout: "r".into(),
        unit: UnitFrom::Header("x-user-id".into()),
        variants: route.variants().iter().map(variant).collect(),
        route: route.clone(),
        policy: None,
        shadow: None,
        limits: None,
    }
}

/// What serving asks of a row for each request.
fn routed(row: &Row, head: &dyn RequestHead) -> Option<u64> {
    if head.variant().is_some() {
        return None;
    }
    let unit = row.unit.beside(head)?;
    let inputs = [("age", "37"), ("country", "de")];
    let value = |name: &str| inputs.iter().find(|(n, _)| *n == name).map(|(_, value)| value);
    let context = row.policy.as_ref().map(|policy| policy.contexts.of(value));
    let choice = row.choose(unit, context);
    Some(u64::from(choice.variant) ^ unit_id(unit))
}

fn main() -> Result<(), Box<dyn Error>> {
    let routes = routes()?;
    let mut other = Text::new(UNIT);
    let units: Vec<String> = (0..64).map(|i| Text::new(UNIT).number(i, 12).to_owned()).collect();
    let written = measure(|_, unit| {
        black_box(other.number(unit, 12));
        0
    });
    let chosen = measure(|rollout, unit| u64::from(routes[rollout].choose(other.number(unit, 12).as_bytes()).variant));
    let row = &routes[0];
    let warm = measure(|_, unit| u64::from(row.choose(units[unit % 64].as_bytes()).variant));
    let by_context = Arc::new(Row { policy: Some(policy(row)?), ..row_of(row) });
    let by_cookie = Arc::new(Row { unit: UnitFrom::Cookie("uid".into()), ..row_of(row) });
    let row = Arc::new(row_of(row));
    let cookies = |unit: &String| format!("_ga=GA1.2.1719324; consent=yes; theme=\"dark\"; uid={unit}; lang=de");
    let cookies: Vec<String> = units.iter().map(cookies).collect();
    let part = |row: &Row| {
        measure(|_, unit| {
            let head: &dyn RequestHead = &Said(&units[unit % 64], &cookies[unit % 64]);
            routed(black_box(row), head).unwrap_or_default()
        })
    };
    let (routed, by_context, by_cookie) = (part(&row), part(&by_context), part(&by_cookie));
    let mut out = std::io::stdout();
    writeln!(out, "{ROLLOUTS} rollouts, {UNITS} units of 36 bytes, best of {ROUNDS} rounds of {CALLS} calls")?;
    writeln!(out, "names alone        {written:6.1} ns: in what follows")?;
    writeln!(out, "choice, among all  {chosen:6.1} ns")?;
    writeln!(out, "choice, in cache   {warm:6.1} ns")?;
    writeln!(
        out,
        "a request's part   {routed:6.1} ns: variant named or not, unit by header, choice, name of the unit"
    )?;
    writeln!(out, "the same, by context {by_context:4.1} ns: one of twelve, by a number and a text")?;
    writeln!(out, "the same, by cookie  {by_cookie:4.1} ns: the fourth of five in one line")?;
    Ok(())
}
