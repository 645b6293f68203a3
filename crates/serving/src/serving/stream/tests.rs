use crate::testing::{Rig, name, request, row, rows, shadowed, until};
use crate::{Infer, ServeError};
use mainspring_core::{ErrorKind, Failure, Outcome, Tokens};
use std::sync::atomic::Ordering;

fn ask(rig: &Rig, count: f32) -> super::AnswerParts {
    rig.serving.infer_parts(&rig.auth(Infer { deployment: name("m") }), request(&[count])).unwrap()
}

async fn rig() -> Rig {
    Rig::serving("parts 10", |_| {}).await
}

#[tokio::test]
async fn parts_come_one_by_one_and_leave_one_event() {
    let rig = rig().await;
    assert!(rig.sink.0.lock().is_empty());
    let mut answer = ask(&rig, 3.0);
    assert!(answer.contract.streams);
    let mut got = Vec::new();
    while let Some(part) = answer.next().await {
        got.extend(part.unwrap().outputs[0].tensor.to_vec::<f32>().unwrap());
    }
    assert_eq!(got, [10.0, 11.0, 12.0]);
    assert!(answer.next().await.is_none());
    let events = rig.sink.0.lock();
    let [event] = events.as_slice() else { panic!("{events:?}") };
    assert_eq!((event.id, event.rows, &event.outcome), (answer.id, 1, &Outcome::Ok));
    assert_eq!(event.outputs[0].tensor.to_vec::<f32>().unwrap(), [10.0, 11.0, 12.0]);
    assert_eq!(event.outputs[0].tensor.shape(), [1, 3]);
}

#[tokio::test]
async fn a_caller_that_goes_stops_the_model_and_leaves_one_event() {
    let rig = rig().await;
    let mut answer = ask(&rig, 6.0);
    answer.next().await.unwrap().unwrap();
    drop(answer);
    until(|| rig.engine.door.inside.load(Ordering::SeqCst) == 0).await;
    let events = rig.sink.0.lock();
    assert!(
        matches!(events.as_slice(), [e] if matches!(e.outcome, Outcome::Failed { kind: ErrorKind::Cancelled, .. })),
        "{events:?}"
    );
}

#[tokio::test]
async fn a_model_waits_for_a_caller_that_is_slow() {
    let rig = rig().await;
    // More than fit between the two.
    let mut answer = ask(&rig, 6.0);
    until(|| rig.engine.door.inside.load(Ordering::SeqCst) == 0).await;
    let mut count = 0;
    while answer.next().await.is_some() {
        count += 1;
    }
    assert_eq!(count, 6);
}

#[tokio::test]
async fn a_failure_in_the_middle_comes_after_the_parts() {
    let rig = rig().await;
    let mut answer = ask(&rig, 9.0);
    for _ in 0..7 {
        answer.next().await.unwrap().unwrap();
    }
    let error = answer.next().await.unwrap().unwrap_err();
    assert!(error.kind() == ErrorKind::InvalidInput && error.to_string().contains("seven"), "{error}");
    assert!(answer.next().await.is_none());
    let events = rig.sink.0.lock();
    assert!(
        matches!(events.as_slice(), [e] if matches!(e.outcome, Outcome::Failed { kind: ErrorKind::InvalidInput, .. })),
        "{events:?}"
    );
}

#[tokio::test]
async fn a_model_that_does_not_stream_gives_one_part_and_only_one_row_streams() {
    let rig = Rig::serving("quick 2", |_| {}).await;
    let mut answer = ask(&rig, 1.0);
    assert!(!answer.contract.streams);
    assert_eq!(answer.next().await.unwrap().unwrap().outputs[0].tensor.to_vec::<f32>().unwrap(), [3.0]);
    assert!(answer.next().await.is_none());
    let auth = rig.auth(Infer { deployment: name("m") });
    let error = rig.serving.infer_parts(&auth, rows(2, &[1.0, 2.0])).unwrap_err();
    assert!(matches!(error, ServeError::StreamRows { rows: 2 }), "{error}");
    assert_eq!(rig.sink.0.lock().len(), 2);
}

#[tokio::test]
async fn tokens_are_counted_also_where_a_whole_answer_is_the_only_part() {
    let rig = Rig::serving("counts 2", |_| {}).await;
    rig.shelf.put("2", "counts 5");
    rig.route(Some(shadowed(&row("header:user", &[("1", 100), ("2", 0)]), 100, 8))).unwrap();
    until(|| rig.describe("m").is_some_and(|view| view.variants.iter().all(|v| v.version.is_some()))).await;
    let mut answer = ask(&rig, 1.0);
    while let Some(part) = answer.next().await {
        part.unwrap();
    }
    until(|| rig.sink.0.lock().len() == 2).await;
    let journal = rig.sink.0.lock();
    let tokens = |shadow| journal.iter().find(|p| p.assignment.shadow_of.is_some() == shadow).unwrap().tokens;
    assert_eq!(tokens(false), Some(Tokens { input: 2, output: 0 }));
    assert_eq!(tokens(true), Some(Tokens { input: 5, output: 0 }));
}
