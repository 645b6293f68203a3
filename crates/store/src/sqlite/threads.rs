//! The threads that own the connections.

use super::checkpoint::Checkpoint;
use super::conn::SqliteConn;
use super::readers::Reader;
use super::{Message, OWN_THREAD};
use crate::conn::{Conn, Driver};
use crate::error::StoreError;
use crate::job::Work;
use crossbeam_channel::Receiver;
use mainspring_core::Clock;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tokio::runtime::Handle;
use tokio::sync::watch;

/// How long one group of writes may grow before it is committed.
const GROUP: Duration = Duration::from_millis(2);
/// A group waits for writes that are about to come for at most this part of what a commit costs.
const PATIENCE: u32 = 4;

/// What every thread needs.
#[derive(Clone)]
pub(super) struct Shared {
    pub(super) runtime: Handle,
    pub(super) clock: Arc<dyn Clock>,
}

/// Starts the thread that writes.
pub(super) fn writer(
    (conn, checkpoint): (SqliteConn, Checkpoint),
    queue: Receiver<Message>,
    shared: Shared,
    outbox: watch::Sender<u64>,
) -> Result<JoinHandle<()>, StoreError> {
    start("store-writer".to_owned(), move || {
        let _runtime = shared.runtime.enter();
        let mut writer =
            Writer { conn: Conn::new(Driver::Sqlite(conn), shared.clock), outbox, checkpoint, pace: Pace::default() };
        while let Ok(Message::Run(first, place)) = queue.recv() {
            drop(place);
            if !writer.group(first, &queue) {
                break;
            }
        }
    })
}

/// Starts a thread that reads.
pub(super) fn reader(
    number: u32,
    conn: SqliteConn,
    place: Reader,
    shared: Shared,
) -> Result<JoinHandle<()>, StoreError> {
    start(format!("store-reader-{number}"), move || {
        let _runtime = shared.runtime.enter();
        let mut conn = Conn::new(Driver::Sqlite(conn), shared.clock);
        while let Message::Run(mut work, permit) = place.next() {
            drop(permit);
            if !work.wanted() {
                continue;
            }
            let begun = control(&conn, "BEGIN DEFERRED");
            if begun.is_ok() {
                work.run(&mut conn);
                // A read leaves nothing to commit; if it cannot end, the next BEGIN says so.
                let _ = control(&conn, "ROLLBACK");
            }
            work.finish(begun);
        }
    })
}

pub(super) fn start(name: String, body: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, StoreError> {
    let thread = std::thread::Builder::new().name(name).spawn(move || {
        OWN_THREAD.set(true);
        body();
    });
    thread.map_err(|e| StoreError::Unavailable { what: "thread of the database".to_owned(), reason: e.to_string() })
}

fn control(conn: &Conn, sql: &str) -> Result<(), StoreError> {
    match &conn.driver {
        Driver::Sqlite(sqlite) => sqlite.control(sql),
        Driver::Postgres(_) => Err(StoreError::Closed),
    }
}

/// How writes came lately. Callers that wait for their commit before they write again come back a
/// moment after it, the first of them alone: committed at once, it would make all others wait for two
/// commits. So a group waits for as many writes as the one before it had, a fraction of the time that
/// a commit takes; a single caller never waits.
#[derive(Debug, Default)]
struct Pace {
    /// Writes in the last group.
    writes: usize,
    /// What a commit costs, lately.
    commit: Duration,
}

impl Pace {
    fn note(&mut self, writes: usize, commit: Duration) {
        self.writes = writes;
        self.commit = (self.commit * 3 + commit) / 4;
    }

    /// What comes next into a group that has `writes`; waits until `patience` for it, which begins
    /// with the first wait.
    fn next(&self, queue: &Receiver<Message>, writes: usize, patience: &mut Option<Instant>) -> Option<Message> {
        queue.try_recv().ok().or_else(|| {
            if writes >= self.writes {
                return None;
            }
            let until = *patience.get_or_insert_with(|| Instant::now() + (self.commit / PATIENCE).min(GROUP));
            queue.recv_deadline(until).ok()
        })
    }
}

struct Writer {
    conn: Conn,
    outbox: watch::Sender<u64>,
    checkpoint: Checkpoint,
    pace: Pace,
}

impl Writer {
    /// Runs `first` and whatever waits behind it in one transaction, commits, and replies.
    /// False when the thread is to end.
    fn group(&mut self, first: Box<dyn Work>, queue: &Receiver<Message>) -> bool {
        let started = Instant::now();
        let begun = control(&self.conn, "BEGIN IMMEDIATE");
        let mut done: Vec<Box<dyn Work>> = Vec::new();
        let mut next = Some(first);
        let mut go_on = true;
        let mut patience = None;
        let mut lost = begun.err();
        // When the transaction cannot even begin, all that wait are told so at once, instead of each
        // waiting for the same lock in its turn.
        let never_began = lost.is_some();
        while let Some(mut work) = next.take() {
            if work.wanted() {
                if lost.is_none() {
                    lost = self.command(work.as_mut()).err();
                }
                done.push(work);
            }
            if !never_began && (lost.is_some() || started.elapsed() >= GROUP) {
                break;
            }
            match self.pace.next(queue, done.len(), &mut patience) {
                Some(Message::Run(work, place)) => {
                    drop(place);
                    next = Some(work);
                }
                Some(Message::Stop) => go_on = false,
                None => {}
            }
        }
        let kept = match lost {
            None => self.commit(done.len()),
            Some(reason) => Err(reason),
        };
        if kept.is_err() {
            self.abandon();
        }
        let outboxed = std::mem::take(&mut self.conn.outboxed);
        if kept.is_ok() && outboxed {
            self.outbox.send_modify(|n| *n = n.wrapping_add(1));
        }
        for work in done {
            work.finish(kept.clone());
        }
        go_on
    }

    fn commit(&mut self, writes: usize) -> Result<(), StoreError> {
        let began = Instant::now();
        let kept = control(&self.conn, "COMMIT");
        if writes > 0 {
            self.pace.note(writes, began.elapsed());
            self.checkpoint.note();
        }
        kept
    }

    /// One command in its own savepoint. An error means that the whole group is lost.
    fn command(&mut self, work: &mut dyn Work) -> Result<(), StoreError> {
        control(&self.conn, "SAVEPOINT command")?;
        let outboxed = self.conn.outboxed;
        if work.run(&mut self.conn) {
            return control(&self.conn, "RELEASE command");
        }
        self.conn.outboxed = outboxed;
        // A full disk or an I/O error makes SQLite roll back everything by itself, the savepoint
        // included: then what ran before in this group is gone too.
        if self.is_over() {
            return Err(self.conn.last_failure.take().unwrap_or_else(|| StoreError::Unavailable {
                what: "of this process".to_owned(),
                reason: "it ended the transactions that shared a commit".to_owned(),
            }));
        }
        control(&self.conn, "ROLLBACK TO command")?;
        control(&self.conn, "RELEASE command")
    }

    fn is_over(&self) -> bool {
        matches!(&self.conn.driver, Driver::Sqlite(sqlite) if sqlite.raw.is_autocommit())
    }

    /// Leaves no transaction open after a failure, so that the next group can begin.
    fn abandon(&mut self) {
        self.conn.outboxed = false;
        if !self.is_over()
            && let Err(reason) = control(&self.conn, "ROLLBACK")
        {
            tracing::error!(%reason, "a transaction could not be rolled back");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_waits_for_as_many_writes_as_the_last_one_had() {
        let (sender, queue) = crossbeam_channel::unbounded();
        let mut pace = Pace::default();
        let mut patience = None;
        assert!(pace.next(&queue, 1, &mut patience).is_none());
        // A caller alone is not held up.
        pace.note(1, Duration::from_millis(4));
        assert!(pace.next(&queue, 1, &mut patience).is_none());
        assert!(patience.is_none());
        // Others wrote a moment ago and are about to come again.
        pace.note(3, Duration::from_millis(4));
        assert!(pace.next(&queue, 1, &mut patience).is_none());
        let until = patience.unwrap();
        assert!(until <= Instant::now());
        // The wait is one for the whole group, and what is there is taken without it.
        sender.send(Message::Stop).unwrap();
        assert!(matches!(pace.next(&queue, 2, &mut patience), Some(Message::Stop)));
        assert!(pace.next(&queue, 2, &mut patience).is_none());
        assert_eq!(patience, Some(until));
        patience = None;
        assert!(pace.next(&queue, 3, &mut patience).is_none());
        assert!(patience.is_none());
    }

    #[test]
    fn a_slow_commit_does_not_make_a_group_wait_longer_than_it_may_grow() {
        let (_sender, queue) = crossbeam_channel::unbounded();
        let mut pace = Pace::default();
        pace.note(2, Duration::from_secs(600));
        let began = Instant::now();
        let mut patience = None;
        assert!(pace.next(&queue, 1, &mut patience).is_none());
        assert!(patience.unwrap() - began < Duration::from_secs(1));
    }
}
