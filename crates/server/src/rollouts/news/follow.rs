//! The events of a rollout from all processes: this one's journal, with what is sealed, and what the others tell.

use super::Wire;
use crate::rollouts::events::{JournalEvents, Key, key};
use mainspring_core::Timestamp;
use mainspring_rollout::news::{Numbered, Place};
use mainspring_rollout::{Batch, Event, EventStream, Events, PortError, PortResult, Wanted};
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
            let (from, generation) = (wanted.from, wanted.generation);
            let mut stream = Following {
                own: self.own.follow(wanted).await?,
                wire: self.wire.clone(),
                told,
                of,
                from,
                generation,
                read: HashMap::new(),
                waiting: Vec::new(),
                seen: HashSet::new(),
                until: self.wire.0.ctx.now().plus_micros(AGAIN),
            };
            stream.catch_up().await?;
            let stream: Box<dyn EventStream> = Box::new(stream);
            Ok(stream)
        })
    }
}

struct Following {
    own: Box<dyn EventStream>,
    wire: Wire,
    told: Receiver<Arc<Numbered>>,
    of: Place,
    from: Timestamp,
    generation: u64,
    /// The last bulletin of each process that was read when this began.
    read: HashMap<String, i64>,
    waiting: Vec<Event>,
    /// What the past had: what another process has sealed it may tell once more.
    seen: HashSet<Key>,
    /// Until when that is kept in mind.
    until: Timestamp,
}

impl Following {
    /// Reads what was told before.
    async fn catch_up(&mut self) -> Result<(), PortError> {
        let port = |e: mainspring_rollout::RolloutError| PortError(e.to_string());
        let inner = Arc::clone(&self.wire.0);
        for (process, head) in inner.news.heads(&inner.process).await.map_err(port)? {
            let mut known = 0;
            while known < head {
                let told = inner.news.after(&process, known).await.map_err(port)?;
                let Some(last) = told.last else { break };
                known = last;
                for numbered in &told.bulletins {
                    self.take(numbered);
                    self.wire.heard(numbered);
                }
            }
            self.read.insert(process, known);
        }
        Ok(())
    }

    fn take(&mut self, numbered: &Numbered) {
        let (from, generation) = (self.from, self.generation);
        let mine = |event: &&Event| match event {
            Event::Exposure(e) => e.at >= from && e.generation >= generation,
            Event::Shadow(_) | Event::Label(_) => event.at() >= from,
        };
        let traffic = numbered.bulletin.traffic.iter().filter(|t| t.of == self.of);
        self.waiting.extend(traffic.flat_map(|t| &t.events).filter(mine).cloned());
    }

    /// What the other processes have told since.
    fn listen(&mut self) -> Result<(), PortError> {
        loop {
            match self.told.try_recv() {
                Ok(numbered) => {
                    if self.read.get(&numbered.process).is_none_or(|read| numbered.seq > *read) {
                        self.take(&numbered);
                    }
                }
                Err(TryRecvError::Empty) => return Ok(()),
                Err(TryRecvError::Lagged(missed)) => {
                    return Err(PortError(format!("{missed} bulletins of other servers went by; all is read again")));
                }
                Err(TryRecvError::Closed) => return Err(PortError("the wire to other servers is closed".into())),
            }
        }
    }
}

impl EventStream for Following {
    fn next(&mut self) -> PortResult<'_, Batch> {
        Box::pin(async move {
            // Asked before anything is taken: what is told later is not said to be there.
            let told_until = self.wire.complete_until();
            let Batch { mut events, complete_until } = self.own.next().await?;
            if self.until > self.wire.0.ctx.now() {
                self.seen.extend(events.iter().map(key));
            } else {
                self.seen = HashSet::new();
            }
            self.listen()?;
            let told = std::mem::take(&mut self.waiting);
            events.extend(told.into_iter().filter(|event| !self.seen.contains(&key(event))));
            Ok(Batch { events, complete_until: told_until.map_or(complete_until, |told| told.min(complete_until)) })
        })
    }
}
