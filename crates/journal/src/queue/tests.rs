use super::*;
use crate::testing::*;
use mainspring_core::{Cached, ErrorKind};

fn queue(max_bytes: usize, max_events: usize) -> Queue {
    let settings = JournalSettings { max_bytes, max_events, ..JournalSettings::new("unused") };
    Queue::new(&settings, Arc::new(Counters::default()), None)
}

/// Ids and payload words of what waits.
fn take(queue: &Queue) -> Vec<(String, String)> {
    let (mut batches, mut acks) = (Vec::new(), Vec::new());
    queue.take(&mut batches, &mut acks);
    let rows: Vec<_> = batches.into_iter().map(|b| b.finish().unwrap()).collect();
    let words = texts(&rows, "payload").into_iter().map(Option::unwrap);
    rows.iter().flat_map(row_ids).map(|(id, _)| id).zip(words).collect()
}

fn shards() -> usize {
    std::thread::available_parallelism().map_or(2, usize::from).clamp(1, 16)
}

#[test]
fn every_event_of_many_threads_is_stored_or_counted() {
    let queue = queue(1 << 20, 4000);
    let to = target("churn", "1");
    let (threads, each) = (8, 20_000);
    let stored = std::thread::scope(|scope| {
        let pushing: Vec<_> = (0..threads)
            .map(|t| {
                let (queue, to) = (&queue, &to);
                scope.spawn(move || (0..each).for_each(|n| queue.push(&prediction(t * each + n, to), None)))
            })
            .collect();
        let mut stored = Vec::new();
        while pushing.iter().any(|p| !p.is_finished()) {
            stored.extend(take(&queue));
        }
        stored.extend(take(&queue));
        stored
    });
    let counted: u64 = queue.take_overflow().values().map(|u| u.requests.requests).sum();
    assert_eq!(stored.len() as u64 + counted, threads * each);
    assert_eq!(queue.appended(), threads * each);
    let mut ids: Vec<_> = stored.iter().map(|(id, _)| id).collect();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), stored.len(), "no event is stored twice");
}

#[test]
fn one_threads_events_stay_in_order_over_full_batches() {
    let queue = queue(1 << 30, 1 << 20);
    let to = target("churn", "1");
    let n = 2 * batch::MAX_ROWS as u64 + 10;
    (0..n).for_each(|n| queue.push(&prediction(n, &to), None));
    assert!(queue.take_urgent(), "a full batch is taken at once");
    let ids: Vec<_> = take(&queue).into_iter().map(|(id, _)| id).collect();
    assert_eq!(ids, (0..n).map(|n| id(n).to_string()).collect::<Vec<_>>());
    assert!(queue.is_empty());
}

#[test]
fn the_payload_goes_before_the_event_and_room_comes_back() {
    let payload = batch::payload_bytes(&prediction(1, &target("churn", "1")));
    let queue = queue(2 * payload * shards(), 3 * shards());
    let to = target("churn", "1");
    for round in 0..2 {
        (0..4).for_each(|n| queue.push(&prediction(n, &to), None));
        let words: Vec<_> = take(&queue).into_iter().map(|(_, word)| word).collect();
        assert_eq!(words, ["kept", "kept", "dropped"], "round {round}");
        let overflow = queue.take_overflow();
        assert_eq!(overflow.values().map(|u| u.requests.unstored).collect::<Vec<_>>(), [1], "round {round}");
    }
}

#[test]
fn who_waits_for_the_disk_is_told_when_there_is_no_room() {
    let queue = queue(1 << 20, 1);
    let to = target("churn", "1");
    queue.push(&prediction(1, &to), None);
    let (ack, mut told) = oneshot::channel();
    let mut failed = prediction(2, &to);
    failed.outcome = Outcome::Failed { kind: ErrorKind::Overloaded, message: "busy".into() };
    queue.push(&failed, Some(ack));
    assert!(matches!(told.try_recv(), Ok(Err(JournalError::Full))));
    let overflow = queue.take_overflow();
    assert_eq!(overflow.values().next().unwrap().requests.failed, [(ErrorKind::Overloaded, 1)]);
}

#[test]
fn a_shadow_that_finds_no_room_is_counted_apart_from_requests() {
    let queue = queue(1 << 20, 1);
    let to = target("churn", "1");
    queue.push(&prediction(1, &to), None);
    for n in 2..5 {
        let mut shadow = prediction(n, &to);
        shadow.assignment.shadow_of = Some(id(1));
        if n == 4 {
            shadow.tokens = Some(Tokens { input: 5, output: 2 });
            shadow.outcome = Outcome::Failed { kind: ErrorKind::Internal, message: "broken".into() };
        }
        queue.push(&shadow, None);
    }
    let overflow = queue.take_overflow();
    let uncounted = overflow.values().next().unwrap();
    assert_eq!(
        (uncounted.requests.requests, uncounted.shadows),
        (
            0,
            Shadows {
                events: 3,
                failed: 1,
                taken: Taken { compute_ns: 15_000, tokens: Tokens { input: 5, output: 2 } }
            }
        )
    );
}

#[test]
fn tokens_that_were_not_spent_are_not_counted_as_spent() {
    let queue = queue(1 << 20, 1);
    let to = target("churn", "1");
    queue.push(&prediction(1, &to), None);
    for (n, cached) in [(2, None), (3, Some(Cached { from: id(2), saved_ns: 9 }))] {
        let tokens = Some(Tokens { input: 30, output: 4 });
        queue.push(&Prediction { tokens, cached, ..prediction(n, &to) }, None);
    }
    let overflow = queue.take_overflow();
    assert_eq!(overflow.values().next().unwrap().taken.tokens, Tokens { input: 30, output: 4 });
}

#[test]
fn the_writer_sleeps_only_when_nothing_came() {
    let queue = queue(1 << 20, 100);
    let to = target("churn", "1");
    assert!(queue.may_sleep());
    queue.push(&prediction(1, &to), None);
    assert!(!queue.may_sleep(), "an event waits");
    take(&queue);
    assert!(queue.may_sleep());
    queue.wake_now();
    assert!(!queue.may_sleep(), "somebody waits for the disk");
    assert!(queue.take_urgent() && !queue.take_urgent());
}
