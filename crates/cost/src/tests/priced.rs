//! What it costs.

use super::*;
use serde_json::json;

fn table(of: serde_json::Value) -> PriceSpec {
    let spec: PriceSpec = serde_json::from_value(of).unwrap();
    spec.validate().unwrap();
    spec
}

fn money(text: &str) -> Money {
    text.parse().unwrap()
}

fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

/// Cheap until the tenth, then a machine of two CPUs for 3.60 an hour: 0.0005 a second of each.
fn dated() -> PriceSpec {
    table(json!({"currency": "EUR", "entries": [
        {"from": "2026-03-01", "computeSecond": "0.0001"},
        {"from": "2026-03-10", "host": {"hour": "3.60", "cpus": 2}, "request": "0.01", "storageGbMonth": "0.073"},
    ]}))
}

#[tokio::test]
async fn an_answer_costs_what_the_table_says_of_its_day() {
    let world = World::new().await;
    let mut before = answer(1, "churn");
    before.at = Timestamp(NOON - 24 * HOUR);
    let mut shadow = answer(3, "churn");
    shadow.assignment.shadow_of = Some(id(2));
    for one in [before, answer(2, "churn"), shadow] {
        world.journal.append(one);
    }
    world.costs.declare_prices(&Tenant::default(), &name("list"), dated());
    let mut asked = request(&[By::Day]);
    asked.from = Timestamp(NOON - 36 * HOUR);
    let report = world.costs.report(&may(ReadCost), &asked).await.unwrap();
    let spent: Vec<(String, String)> =
        report.lines.iter().map(|l| (l.spent.compute.to_string(), l.spent.requests.to_string())).collect();
    // A millisecond of 0.0001; two of 0.0005, and one request: nobody asked for the shadow.
    assert_eq!(spent, [("0.0000001".into(), "0".into()), ("0.000001".into(), "0.01".into())]);
    assert_eq!(report.total.spent.total(), money("0.0100011"));
    // The machine is paid from the tenth on, until now: what is yet to come is not paid yet.
    let host = report.host.unwrap();
    assert_eq!((host.paid, host.cpu_ns), (money("43.2"), 2 * 12 * 3_600_000_000_000));
    assert_eq!((host.used, host.used_ns), (money("0.000001"), 2_000_000), "before the tenth there was no machine");
    assert_eq!(host.paid, host.used + host.unallocated(), "nothing is spread");
    // 5 GB and 1 MB for the 12 hours that keeping had a price, of a month of 730.
    let kept: Vec<String> = report.kept.iter().map(|k| k.cost.unwrap().to_string()).collect();
    assert_eq!(kept, ["0.006", "0.0000012"]);
    world.shut_down().await;
}

#[tokio::test]
async fn what_is_kept_costs_what_each_day_says() {
    let world = World::new().await;
    let changing = table(json!({"currency": "EUR", "entries": [
        {"from": "2026-03-08", "storageGbMonth": "0.073"},
        {"from": "2026-03-09", "storageGbMonth": "0.73"},
        {"from": "2026-03-10", "request": "1"},
    ]}));
    world.costs.declare_prices(&Tenant::default(), &name("list"), changing);
    let asked = Request { from: Timestamp(NOON - 60 * HOUR), until: Timestamp(NOON), ..request(&[]) };
    let report = world.costs.report(&may(ReadCost), &asked).await.unwrap();
    // 5 GB: a day at 0.0001 an hour for each, a day at ten times that, and half a day at nothing.
    assert_eq!(report.kept[0].cost, Some(money("0.132")));
    let before = Request { from: Timestamp(NOON - 100 * HOUR), until: Timestamp(NOON - 61 * HOUR), ..request(&[]) };
    let report = world.costs.report(&may(ReadCost), &before).await.unwrap();
    assert_eq!(report.kept[0].cost, None, "there was no price then");
    world.shut_down().await;
}

#[tokio::test]
async fn what_cannot_be_is_said() {
    let world = World::new().await;
    let long = Timing { engine_ns: 40 * 3_600_000_000_000, ..Timing::default() };
    world.journal.append(Prediction { timing: long, ..answer(1, "churn") });
    let small =
        table(json!({"currency": "EUR", "entries": [{"from": "2026-03-01", "host": {"hour": "1", "cpus": 1}}]}));
    world.costs.declare_prices(&Tenant::default(), &name("list"), small);
    let report = world.report(&[By::Deployment]).await;
    assert_eq!(report.host.unwrap().unallocated(), money("-28"), "12 hours were paid, and 40 used");
    assert!(report.notes[0].contains("more than the machines cost"), "{:?}", report.notes);
    let mut asked = request(&[]);
    asked.from = Timestamp(NOON - 180 * 24 * HOUR);
    let report = world.costs.report(&may(ReadCost), &asked).await.unwrap();
    let says = |note: &String| note.contains("kept for 90 days, so what was before 2025-12-11 is not counted");
    assert!(report.notes.iter().any(says), "{:?}", report.notes);
    world.shut_down().await;
}

#[tokio::test]
async fn what_has_no_price_is_said_to_have_none() {
    let world = World::new().await;
    world.journal.append(answer(1, "churn"));
    let late = table(json!({"currency": "EUR", "entries": [{"from": "2026-04-01", "computeSecond": "1"}]}));
    world.costs.declare_prices(&Tenant::default(), &name("list"), late);
    let report = world.report(&[By::Deployment]).await;
    assert_eq!((report.total.spent.total(), report.total.unpriced_ns), (Money(0), 1_000_000));
    assert!(report.notes[0].contains("begins on 2026-04-01"), "{:?}", report.notes);
    world.shut_down().await;
}

#[tokio::test]
async fn of_several_tables_one_is_named() {
    let world = World::new().await;
    world.journal.append(answer(1, "churn"));
    let mut asked = request(&[]);
    let ask = |asked: Request| {
        let costs = world.costs.clone();
        async move { costs.report(&may(ReadCost), &asked).await.map(|r| r.prices.map(|(name, _)| name.to_string())) }
    };
    assert_eq!(ask(asked.clone()).await.unwrap(), None);
    world.costs.declare_prices(&Tenant::default(), &name("spot"), dated());
    assert_eq!(ask(asked.clone()).await.unwrap(), Some("spot".into()));
    world.costs.declare_prices(&Tenant::default(), &name("list"), dated());
    let several = ask(asked.clone()).await.unwrap_err();
    assert_eq!((several.kind(), several.to_string().contains("list, spot")), (ErrorKind::InvalidInput, true));
    asked.prices = Some(name("list"));
    assert_eq!(ask(asked.clone()).await.unwrap(), Some("list".into()));
    asked.prices = Some(name("none"));
    assert_eq!(ask(asked.clone()).await.unwrap_err().kind(), ErrorKind::NotFound);
    world.costs.declare_prices(&Tenant::default(), &name("default"), dated());
    asked.prices = None;
    assert_eq!(ask(asked).await.unwrap(), Some("default".into()));
    let theirs = world.costs.report(&may_in(&other(), ReadCost), &request(&[])).await.unwrap();
    assert_eq!(theirs.prices, None, "a table is its tenant's");
    world.shut_down().await;
}

#[test]
fn a_table_that_cannot_be_right_is_refused() {
    let entry = json!({"from": "2026-03-01", "request": "1"});
    for (spec, path) in [
        (json!({"currency": "eur", "entries": [entry]}), "currency"),
        (json!({"currency": "EUR", "entries": []}), "entries"),
        (json!({"currency": "EUR", "entries": [entry, entry]}), "entries[1].from"),
        (json!({"currency": "EUR", "entries": [{"from": "2026-03-01"}]}), "entries[0].from"),
        (json!({"currency": "EUR", "entries": [{"from": "2026-03-01", "request": "-1"}]}), "entries[0].request"),
        (
            json!({"currency": "EUR", "entries": [{"from": "2026-03-01", "host": {"hour": "1", "cpus": 0}}]}),
            "entries[0].host.cpus",
        ),
        (
            json!({"currency": "EUR", "entries": [entry], "offers": [{"name": "x", "percent": 100}]}),
            "offers[0].percent",
        ),
    ] {
        let spec: PriceSpec = serde_json::from_value(spec).unwrap();
        assert_eq!(spec.validate().unwrap_err().0, path);
    }
    let float = json!({"currency": "EUR", "entries": [{"from": "2026-03-01", "request": 0.1}]});
    assert!(serde_json::from_value::<PriceSpec>(float).is_err(), "a number is no exact amount");
}

/// A thousand tokens read and a hundred written, by an answer with its engine call to itself.
fn counted(n: u64, model: &str) -> Prediction {
    let answer = answer(n, "talk");
    let target = Arc::new(Target { model: model.into(), ..Target::clone(&answer.target) });
    Prediction { tokens: Some(Tokens { input: 1_000, output: 100 }), target, ..answer }
}

/// From the tenth on `small` has a price of its own.
fn by_token() -> PriceSpec {
    table(json!({"currency": "EUR", "entries": [
        {"from": "2026-03-01", "tokens": [{"inputMillion": "1", "outputMillion": "4"}]},
        {"from": "2026-03-10", "computeSecond": "0.5", "tokens": [
            {"model": "small", "inputMillion": "0.10"},
            {"inputMillion": "2", "outputMillion": "8"},
        ]},
    ]}))
}

#[tokio::test]
async fn tokens_have_a_price_by_model_and_day() {
    let world = World::new().await;
    let mut before = counted(1, "small");
    before.at = Timestamp(NOON - 24 * HOUR);
    for one in [before, counted(2, "small"), counted(3, "large"), counted(4, "large"), answer(5, "churn")] {
        world.journal.append(one);
    }
    world.costs.declare_prices(&Tenant::default(), &name("list"), by_token());
    let asked = Request { from: Timestamp(NOON - 36 * HOUR), ..request(&[By::Day, By::Model]) };
    let report = world.costs.report(&may(ReadCost), &asked).await.unwrap();
    let of = |l: &Line| (l.of.join(" "), l.usage.tokens.input, l.usage.tokens.output, l.spent.tokens.to_string());
    let expected = [
        ("2026-03-09 small".to_owned(), 1_000, 100, "0.0014".to_owned()),
        ("2026-03-10 churn".to_owned(), 0, 0, "0".to_owned()),
        ("2026-03-10 large".to_owned(), 2_000, 200, "0.0056".to_owned()),
        ("2026-03-10 small".to_owned(), 1_000, 100, "0.0001".to_owned()),
    ];
    assert_eq!(report.lines.iter().map(of).collect::<Vec<_>>(), expected);
    // Four milliseconds of compute beside them.
    assert_eq!(report.total.spent.total(), money("0.0091"));
    world.shut_down().await;
}

#[tokio::test]
async fn an_answer_that_was_kept_costs_its_request_and_tells_what_it_saved() {
    let world = World::new().await;
    world.journal.append(counted(1, "small"));
    for n in 2..=4 {
        let timing = Timing { total_ns: 9_000, ..Timing::default() };
        let cached = Some(Cached { from: id(1), saved_ns: 1_000_000 });
        world.journal.append(Prediction { cached, timing, ..counted(n, "small") });
    }
    world.costs.declare_prices(&Tenant::default(), &name("list"), by_token());
    let total = world.report(&[By::Key]).await.total;
    let usage = total.usage;
    assert_eq!((usage.answers, usage.cached, usage.compute_ns), (4, 3, 1_000_000));
    assert_eq!(
        (usage.tokens, usage.saved.tokens),
        (Tokens { input: 1_000, output: 100 }, Tokens { input: 3_000, output: 300 })
    );
    assert_eq!(usage.saved.compute_ns, 3_000_000);
    assert_eq!((total.spent.total(), total.saved), (money("0.0006"), money("0.0018")));
    world.shut_down().await;
}

#[test]
fn a_price_of_tokens_that_cannot_be_is_named() {
    let wrong = |tokens: serde_json::Value| {
        let entries = json!([{"from": "2026-03-01", "tokens": tokens}]);
        let spec: PriceSpec = serde_json::from_value(json!({"currency": "EUR", "entries": entries})).unwrap();
        spec.validate().unwrap_err()
    };
    assert_eq!(wrong(json!([{"model": "a"}])).0, "entries[0].tokens[0]");
    assert!(wrong(json!([{"model": "a", "inputMillion": "-1"}])).1.contains("less than nothing"));
    assert!(wrong(json!([{"model": "", "inputMillion": "1"}])).1.contains("empty"));
    let (place, why) = wrong(json!([{"inputMillion": "1"}, {"outputMillion": "1"}]));
    assert_eq!((&*place, &*why), ("entries[0].tokens[1]", "the model has a price before it"));
}
