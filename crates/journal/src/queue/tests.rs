use super::*;
use crate::testing::*;
use mainspring_core::ErrorKind;

fn queue(max_bytes: usize, max_events: usize) -> Queue {
    let settings = JournalSettings { max_bytes, max_events, ..JournalSettings::new("unused") };
    Queue::new(&settings, Arc::new(Counters::default()))
}

fn drain(queue: &Queue) -> Vec<Item> {
    let (mut items, mut spare) = (Vec::new(), Vec::new());
    queue.drain(&mut items, &mut spare);
    items
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
                scope.spawn(move || (0..each).for_each(|n| queue.push(prediction(t * each + n, to), None)))
            })
            .collect();
        let mut stored = Vec::new();
        while pushing.iter().any(|p| !p.is_finished()) {
            stored.extend(drain(&queue));
        }
        stored.extend(drain(&queue));
        stored
    });
    let counted: u64 = queue.take_overflow().values().map(|u| u.requests.requests).sum();
    assert_eq!(stored.len() as u64 + counted, threads * each);
    assert_eq!(queue.appended(), threads * each);
    let mut ids: Vec<_> = stored.iter().map(|i| i.prediction.id).collect();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), stored.len(), "no event is stored twice");
}

#[test]
fn one_threads_events_stay_in_order() {
    let queue = queue(1 << 20, 4000);
    let to = target("churn", "1");
    (0..100).for_each(|n| queue.push(prediction(n, &to), None));
    let ids: Vec<_> = drain(&queue).iter().map(|i| i.prediction.id).collect();
    assert_eq!(ids, (0..100).map(id).collect::<Vec<_>>());
    assert!(queue.is_empty());
}

#[test]
fn the_payload_goes_before_the_event_and_room_comes_back() {
    let shards = std::thread::available_parallelism().map_or(2, usize::from).clamp(1, 16);
    let payload = payload_bytes(&prediction(1, &target("churn", "1")));
    let queue = queue(2 * payload * shards, 3 * shards);
    let to = target("churn", "1");
    for round in 0..2 {
        (0..4).for_each(|n| queue.push(prediction(n, &to), None));
        let items = drain(&queue);
        let dropped: Vec<_> = items.iter().map(|i| i.payload_dropped).collect();
        assert_eq!(dropped, [false, false, true], "round {round}");
        assert!(items[2].prediction.inputs.is_empty() && items[2].prediction.outputs.is_empty());
        let overflow = queue.take_overflow();
        assert_eq!(overflow.values().map(|u| u.requests.unstored).collect::<Vec<_>>(), [1], "round {round}");
    }
}

#[test]
fn who_waits_for_the_disk_is_told_when_there_is_no_room() {
    let queue = queue(1 << 20, 1);
    let to = target("churn", "1");
    let shards = std::thread::available_parallelism().map_or(2, usize::from).clamp(1, 16);
    assert!(queue.shard_events == 1, "{shards} shards of one event");
    queue.push(prediction(1, &to), None);
    let (ack, mut told) = oneshot::channel();
    let mut failed = prediction(2, &to);
    failed.outcome = Outcome::Failed { kind: ErrorKind::Overloaded, message: "busy".into() };
    queue.push(failed, Some(ack));
    assert!(matches!(told.try_recv(), Ok(Err(JournalError::Full))));
    let overflow = queue.take_overflow();
    assert_eq!(overflow.values().next().unwrap().requests.failed, [(ErrorKind::Overloaded, 1)]);
}

#[test]
fn the_writer_sleeps_only_when_nothing_came() {
    let queue = queue(1 << 20, 100);
    let to = target("churn", "1");
    assert!(queue.may_sleep());
    queue.push(prediction(1, &to), None);
    assert!(!queue.may_sleep(), "an event waits");
    drain(&queue);
    assert!(queue.may_sleep());
    queue.wake_now();
    assert!(!queue.may_sleep(), "somebody waits for the disk");
    assert!(queue.take_urgent() && !queue.take_urgent());
}
