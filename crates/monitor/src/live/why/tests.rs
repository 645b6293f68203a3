use super::*;
use crate::live::rows::tests::spec;
use crate::live::rows::{MINUTE, Minute};
use crate::live::watch::References;
use crate::live::watch::tests::Dice;
use mainspring_core::{Name, Tenant};
use parking_lot::Mutex;
use serde_json::json;

/// `3 a − b`, and what it was asked.
#[derive(Default)]
struct Linear {
    calls: Mutex<Vec<usize>>,
    slow: bool,
    /// Of each call every so many rows are answered with what is no number; 0 of none.
    mute: usize,
}

fn numbers(cells: &Cells) -> &[f64] {
    let Cells::Numbers(values) = cells else { panic!("numbers") };
    values
}

impl Answers for Linear {
    fn again<'a>(&'a self, _: &'a Asked, rows: Given) -> PortResult<'a, Answered> {
        self.calls.lock().push(rows.rows);
        let (a, b) = (numbers(&rows.columns["in.a"]).to_vec(), numbers(&rows.columns["in.b"]).to_vec());
        let answer = |(at, (a, b)): (usize, (&f64, f64))| {
            let mute = self.mute > 0 && at % self.mute == 0;
            Answer::Numbers(vec![if mute { f64::NAN } else { 3.0 * a - b }])
        };
        let answers = a.iter().zip(b).enumerate().map(answer).collect();
        Box::pin(async move {
            if self.slow {
                std::future::pending::<()>().await;
            }
            Ok(Answered { output: "out.y".into(), rows: answers })
        })
    }
}

fn asked() -> Asked {
    Asked { tenant: Tenant::default(), deployment: Name::new("churn").unwrap(), version: "3".into() }
}

/// A watch of three columns, of which `a` moved by 0.5 and `b` by 2 deviations, and rows as they come now.
fn drifted() -> (Watch, Given) {
    let spec = spec(json!({"window": "30m", "minRows": 100, "reference": {"firstRows": 2000}}));
    let (mut watch, mut dice) = (Watch::new(Timestamp(0), &spec), Dice::new(3));
    let mut columns = BTreeMap::new();
    for at in 0..60 {
        let by = if at < 20 { 0.0 } else { 1.0 };
        let mut normal = |shift: f64| Cells::Numbers((0..200).map(|_| dice.normal() + by * shift).collect());
        columns = [("in.a", normal(0.5)), ("in.b", normal(2.0)), ("in.c", normal(0.0))]
            .map(|(n, c)| (n.to_owned(), c))
            .into();
        let (model, version) = ("churn".to_owned(), "3".to_owned());
        let minute = Minute {
            at: Timestamp(at * MINUTE),
            model,
            version,
            seen: 200,
            rows: 200,
            in_time: Vec::new(),
            columns: columns.clone(),
        };
        watch.fold(&minute, &spec, &References::default());
    }
    (watch, Given { rows: 200, columns, hidden: Vec::new() })
}

#[tokio::test]
async fn the_column_that_moves_the_answer_comes_before_the_one_that_moved() {
    let (watch, given) = drifted();
    let model = Linear::default();
    let why = explain(&model, &asked(), (&watch, &given.drawn()), PATIENCE).await;
    assert_eq!((why.rows, why.unit, why.problem.as_deref()), (128, Unit::Number, None));
    let names: Vec<&str> = why.causes.iter().map(|c| c.column.as_str()).collect();
    // Of a linear model a column of one deviation changes an answer by its weight times 2/√π when it is dealt out anew.
    let [first, second] = &why.causes[..] else { panic!("{names:?}") };
    let (a, b) = if first.column == "in.a" { (first, second) } else { (second, first) };
    assert!(b.moved > a.moved && a.importance > b.importance, "{why:?}");
    assert!((a.importance - 3.0 * 1.128).abs() < 0.6 && (b.importance - 1.128).abs() < 0.3, "{why:?}");
    // Of the rows that were drawn, put back to a mean of nothing.
    let drawn = given.drawn();
    let mean = |name: &str| numbers(&drawn.columns[name]).iter().sum::<f64>() / 128.0;
    let wanted = (3.0 * mean("in.a"), -mean("in.b"));
    assert!(
        (a.shift.unwrap() - wanted.0).abs() < 0.3 && (b.shift.unwrap() - wanted.1).abs() < 0.2,
        "{why:?} {wanted:?}"
    );
    assert!(first.weight() >= second.weight());
    // One call in the beginning, two a column, each in small parts.
    let calls = model.calls.lock();
    assert_eq!((calls.len(), calls.iter().max()), (5 * 4, Some(&CALL)));
}

#[tokio::test]
async fn a_model_that_is_slow_is_given_up() {
    let (watch, given) = drifted();
    let why = explain(
        &Linear { slow: true, ..Linear::default() },
        &asked(),
        (&watch, &given.drawn()),
        Duration::from_millis(20),
    )
    .await;
    assert!(why.causes.is_empty() && why.problem.unwrap().contains("takes over 20ms"));
    let none = explain(&Linear::default(), &asked(), (&watch, &Given::default()), PATIENCE).await;
    assert!(none.problem.unwrap().contains("no recent rows"));
    let hidden = Given { hidden: vec!["in.name".into()], ..given };
    let none = explain(&Linear::default(), &asked(), (&watch, &hidden), PATIENCE).await;
    assert!(none.problem.unwrap().starts_with("in.name is redacted"));
}

/// What is kept is JSON, which has no NaN: a state with one in it could never be read again.
#[tokio::test]
async fn answers_that_are_no_numbers_leave_a_state_that_can_be_read() {
    let (watch, given) = drifted();
    for (mute, causes) in [(4, 2), (1, 0)] {
        let model = Linear { mute, ..Linear::default() };
        let why = explain(&model, &asked(), (&watch, &given.drawn()), PATIENCE).await;
        assert_eq!((why.causes.len(), why.problem.is_some()), (causes, causes == 0), "{why:?}");
        let again: Why = serde_json::from_str(&serde_json::to_string(&why).unwrap()).unwrap();
        assert_eq!(again, why);
    }
}

#[test]
fn values_go_back_to_where_the_reference_has_them() {
    let reference = Calibration { edges: Some(vec![0.0, 10.0, 20.0]), counts: vec![0, 50, 50, 0, 0] };
    let back = put_back(&Cells::Numbers(vec![107.5, 100.5, f64::NAN, 105.5, 102.5]), &reference).unwrap();
    let back = numbers(&back);
    assert!((back[1] - 2.5).abs() < 1e-9 && (back[4] - 7.5).abs() < 1e-9 && (back[3] - 12.5).abs() < 1e-9, "{back:?}");
    assert!((back[0] - 17.5).abs() < 1e-9 && back[2].is_nan());
    let none = Calibration { counts: vec![0, 0, 0, 0, 9], ..reference };
    assert_eq!(put_back(&Cells::Numbers(vec![1.0]), &none), None, "a reference without numbers has no place for one");
    let mut texts = Calibration::hashed();
    for (word, n) in [("a", 75), ("b", 25)] {
        let bin = texts.bin_of_text(Some(word));
        texts.counts[bin] += n;
    }
    let words: Vec<Option<Box<str>>> = "abbb".chars().map(|c| Some(c.to_string().into())).collect();
    let Some(Cells::Texts(back)) = put_back(&Cells::Texts(words), &texts) else { panic!("texts") };
    assert_eq!(back.iter().flatten().filter(|w| &***w == "a").count(), 3);
    assert_eq!(put_back(&Cells::Texts(vec![Some("new".into())]), &texts), None);
}

#[test]
fn answers_are_compared_by_what_they_are() {
    let probabilities = |p: f64| Answer::Numbers(vec![1.0 - p, p]);
    assert!((probabilities(0.2).change(&probabilities(0.5)) - 0.3).abs() < 1e-12);
    assert!((shift(&[probabilities(0.2)], &[probabilities(0.5)]) - 0.3).abs() < 1e-12);
    let class = |name: &str| Answer::Class(name.into());
    assert_eq!((class("a").change(&class("b")), class("a").change(&class("a"))), (1.0, 0.0));
    assert_eq!(shift(&[class("a"), class("a")], &[class("a"), class("b")]), 0.5);
    assert_eq!(Unit::of(&[class("a")]).as_str(), "class");
}

/// Where the form of a text moved, it is the text that is dealt out to other rows.
#[tokio::test]
async fn the_form_of_a_text_is_explained_by_the_text() {
    struct Length;
    impl Answers for Length {
        fn again<'a>(&'a self, _: &'a Asked, rows: Given) -> PortResult<'a, Answered> {
            let Cells::Texts(texts) = &rows.columns["in.said"] else { panic!("texts") };
            let length = |text: &Option<Box<str>>| Answer::Numbers(vec![text.as_ref().map_or(0.0, |t| t.len() as f64)]);
            let answers = texts.iter().map(length).collect();
            Box::pin(async move { Ok(Answered { output: "out.y".into(), rows: answers }) })
        }
    }
    let spec = spec(json!({"window": "30m", "minRows": 100, "texts": ["in.said"], "reference": {"firstRows": 2000}}));
    let (mut watch, mut dice) = (Watch::new(Timestamp(0), &spec), Dice::new(3));
    let mut texts = Vec::new();
    for at in 0..60 {
        let long = if at < 20 { 20.0 } else { 40.0 };
        let text = |_| Some(Box::from("a".repeat((long + 5.0 * dice.normal()).max(0.0) as usize)));
        texts = (0..200).map(text).collect::<Vec<Option<Box<str>>>>();
        let columns = form::columns("in.said", &texts).into_iter().collect();
        let (model, version) = ("churn".to_owned(), "3".to_owned());
        let (at, in_time) = (Timestamp(at * MINUTE), Vec::new());
        let minute = Minute { at, model, version, seen: 200, rows: 200, in_time, columns };
        watch.fold(&minute, &spec, &References::default());
    }
    let columns = BTreeMap::from([("in.said".to_owned(), Cells::Texts(texts))]);
    let given = Given { rows: 200, columns, hidden: Vec::new() };
    let why = explain(&Length, &asked(), (&watch, &given), PATIENCE).await;
    let [cause] = &why.causes[..] else { panic!("{why:?}") };
    assert_eq!((cause.column.as_str(), cause.shift), ("in.said", None));
    // The mean distance of two values of a normal distribution is its deviation times 2/√π.
    assert!((cause.importance - 5.0 * 2.0 / std::f64::consts::PI.sqrt()).abs() < 2.0 && cause.moved > 0.5, "{cause:?}");
}
