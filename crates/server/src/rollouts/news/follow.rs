//! The events of a rollout from all processes: this one's journal, with what is sealed, and what the others tell.

use super::hear::OFF;
use super::{KEEP, Wire};
use crate::rollouts::events::{JournalEvents, Key, key};
use mainspring_core::Timestamp;
use mainspring_rollout::news::{Numbered, Place};
use mainspring_rollout::{Batch, Before, Earlier, Event, EventStream, Events, Label, PortError, PortResult, Wanted};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::TryRecvError;

/// How long after the reading of the past a bulletin may tell parts of it again, microseconds.
const AGAIN: i64 = 120_000_000;

/// The journals of all processes.
#[derive(Debug, Clone)]
pub struct EveryJournal {
    /// This one's, and what is sealed of all.
    pub own: JournalEvents,
    /// What the others tell.
    pub wire: Wire,
}

impl Events for EveryJournal {
    fn follow(&self, wanted: Wanted) -> PortResult<'_, Box<dyn EventStream>> {
        Box::pin(async move {
            // Each before the next is read, so that nothing falls between: what comes twice is known by its number or id.
            let told = self.wire.0.bulletins.subscribe();
            let of = Place::new(&wanted.tenant, &wanted.deployment);
            let begun = self.wire.0.ctx.now();
            let mut stream = Following {
                own: self.own.follow(wanted.clone()).await?,
                wire: self.wire.clone(),
                told,
                of,
                wanted,
                begun,
                read: HashMap::new(),
                waiting: Vec::new(),
                seen: HashSet::new(),
                until: Some(begun.plus_micros(AGAIN)),
            };
            stream.catch_up().await?;
            let stream: Box<dyn EventStream> = Box::new(stream);
            Ok(stream)
        })
    }

    /// What is sealed, and this one's: the last minutes of the others are missing, which no variant can have moved.
    fn before(&self, wanted: Before) -> PortResult<'_, Vec<Earlier>> {
        self.own.before(wanted)
    }
}

struct Following {
    own: Box<dyn EventStream>,
    wire: Wire,
    told: Receiver<Arc<Numbered>>,
    of: Place,
    wanted: Wanted,
    /// When the past was read.
    begun: Timestamp,
    /// What was read of each process.
    read: HashMap<String, Read>,
    waiting: Vec<Event>,
    /// What the past had: what another process has sealed it may tell once more.
    seen: HashSet<Key>,
    /// Until when that is kept in mind; nothing once it is not any more.
    until: Option<Timestamp>,
}

/// What was read of a process.
#[derive(Debug, Clone, Copy)]
struct Read {
    /// The number of its last bulletin.
    seq: i64,
    /// Until when all that it answered was in them.
    until: Timestamp,
}

impl Following {
    /// Reads what was told before.
    async fn catch_up(&mut self) -> Result<(), PortError> {
        let heads = self.wire.0.news.heads(&self.wire.0.process).await;
        for (process, head) in heads.map_err(|e| PortError(e.to_string()))? {
            self.read_on(&process, head).await?;
        }
        Ok(())
    }

    fn known(&self, process: &str) -> i64 {
        self.read.get(process).map_or(0, |read| read.seq)
    }

    /// Reads what a process told up to number `head`, at least.
    async fn read_on(&mut self, process: &str, head: i64) -> Result<(), PortError> {
        let inner = Arc::clone(&self.wire.0);
        while self.known(process) < head {
            let told = inner.news.after(process, self.known(process)).await.map_err(|e| PortError(e.to_string()))?;
            let Some(last) = told.last else { break };
            for numbered in &told.bulletins {
                self.take(numbered)?;
                self.wire.heard(numbered);
            }
            self.read_until(process, last, self.wanted.from);
        }
        Ok(())
    }

    fn read_until(&mut self, process: &str, seq: i64, until: Timestamp) {
        let read = self.read.entry(process.to_owned()).or_insert(Read { seq, until });
        *read = Read { seq: read.seq.max(seq), until: read.until.max(until) };
    }

    fn take(&mut self, numbered: &Numbered) -> Result<(), PortError> {
        let Numbered { process, seq, at, bulletin } = numbered;
        if bulletin.gap && at.micros() > self.begun.micros() - OFF {
            return Err(PortError(format!(
                "server {process} could not tell of all that it answered; it is read again"
            )));
        }
        let Wanted { from, generation, tenant, labels, .. } = &self.wanted;
        let mine = |event: &&Event| match event {
            Event::Exposure(e) => e.at >= *from && e.generation >= *generation,
            Event::Shadow(_) | Event::Label(_) | Event::Unitless(_) => event.at() >= *from,
        };
        let traffic = bulletin.traffic.iter().filter(|t| t.of == self.of);
        self.waiting.extend(traffic.flat_map(|t| &t.events).filter(mine).cloned());
        let said = bulletin.labels.iter().filter(|said| said.tenant == tenant.as_str()).flat_map(|said| &said.labels);
        let mine = |label: &&Label| label.at >= *from && labels.iter().any(|name| **name == *label.name);
        self.waiting.extend(said.filter(mine).cloned().map(Event::Label));
        self.read_until(process, *seq, bulletin.until);
        Ok(())
    }

    /// What the other processes have told since.
    async fn listen(&mut self) -> Result<(), PortError> {
        loop {
            let numbered = match self.told.try_recv() {
                Ok(numbered) => numbered,
                Err(TryRecvError::Empty) => return Ok(()),
                // The database has them.
                Err(TryRecvError::Lagged(_)) => {
                    self.catch_up().await?;
                    continue;
                }
                Err(TryRecvError::Closed) => return Err(PortError("the wire to other servers is closed".into())),
            };
            // What it told before it was met here.
            if numbered.seq > self.known(&numbered.process) + 1 {
                self.read_on(&numbered.process, numbered.seq - 1).await?;
            }
            if numbered.seq > self.known(&numbered.process) {
                self.take(&numbered)?;
            }
        }
    }

    /// A part of a long past, until a moment, with what the others told of the same time: both have the same time of an event
    /// that is in both.
    async fn part(&mut self, mut events: Vec<Event>, until: Timestamp) -> Result<Batch, PortError> {
        self.listen().await?;
        let now = self.wire.0.ctx.now();
        let read: HashSet<Key> = events.iter().map(key).collect();
        let (told, later): (Vec<Event>, Vec<Event>) =
            std::mem::take(&mut self.waiting).into_iter().partition(|event: &Event| event.at() <= until);
        self.waiting = later;
        events.extend(told.into_iter().filter(|event| !read.contains(&key(event))));
        // What is younger may be told once more.
        self.seen.extend(read.into_iter().filter(|(_, _, _, at, _)| now.micros() - at.micros() < KEEP));
        self.until = Some(now.plus_micros(AGAIN));
        let told_until = self.told_until().unwrap_or(until);
        Ok(Batch { events, complete_until: told_until.min(until), reading: true })
    }

    /// Until when every process that lives has told what it answered.
    fn told_until(&self) -> Option<Timestamp> {
        let until = |process: &String| self.read.get(process).map_or(self.wanted.from, |read| read.until);
        self.wire.living().iter().map(until).min()
    }
}

impl EventStream for Following {
    fn next(&mut self) -> PortResult<'_, Batch> {
        Box::pin(async move {
            let Batch { mut events, complete_until, reading } = self.own.next().await?;
            if reading {
                return self.part(events, complete_until).await;
            }
            if self.until.is_some() {
                self.seen.extend(events.iter().map(key));
            }
            self.listen().await?;
            let told_until = self.told_until();
            let told = std::mem::take(&mut self.waiting);
            events.extend(told.into_iter().filter(|event| !self.seen.contains(&key(event))));
            // Only now: whoever asks late is given all at once.
            if self.until.is_some_and(|until| self.wire.0.ctx.now() > until) {
                (self.until, self.seen) = (None, HashSet::new());
            }
            let complete_until = told_until.map_or(complete_until, |told| told.min(complete_until));
            Ok(Batch { events, complete_until, reading })
        })
    }
}
