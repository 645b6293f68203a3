//! The handle that everybody holds.

use crate::actions::{ReadLineage, SendLineage};
use crate::error::{LineageError, Result};
use crate::event::{Event, ThingKind};
use crate::node::{NAMESPACE, Node};
use crate::ports::{Around, Known, Look, Own, Starts};
use crate::sql::{KeptEvent, KeptRun, KeptThing, Page, read, things, write};
use mainspring_core::{Authorized, Ctx, Tenant, Timestamp};
use mainspring_store::Db;
use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

/// Events that are written in one transaction: others' writes wait for no more than these.
const TOGETHER: usize = 200;

/// The lineage of one server. Cheap to clone.
#[derive(Clone)]
pub struct Lineage {
    pub(crate) db: Db,
    pub(crate) known: Arc<dyn Known>,
    pub(crate) ctx: Ctx,
    /// Whether somebody outside listens.
    pub(crate) told: bool,
}

impl std::fmt::Debug for Lineage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Lineage").field("db", &self.db).field("told", &self.told).finish_non_exhaustive()
    }
}

/// A time, by the events' own clock.
#[derive(Debug, Clone, Copy)]
pub struct Between {
    /// From here on.
    pub after: Timestamp,
    /// Up to, but not including.
    pub before: Timestamp,
    /// Oldest first.
    pub ascending: bool,
}

impl Lineage {
    /// Over a database that was opened with [`crate::MIGRATIONS`]. `told` says whether a collector outside listens:
    /// nothing is announced where none does.
    pub fn new(db: Db, known: Arc<dyn Known>, ctx: Ctx, told: bool) -> Self {
        Self { db, known, ctx, told }
    }

    /// Keeps events; says of each whether it is new. An event that was sent before changes nothing.
    ///
    /// # Errors
    /// [`LineageError::Store`]; what came before the failure in parts of a long list is kept, and may be sent again.
    pub async fn record(&self, auth: &Authorized<SendLineage>, events: Vec<Event>) -> Result<Vec<bool>> {
        let mut fresh = Vec::with_capacity(events.len());
        let mut events = events.into_iter().peekable();
        while events.peek().is_some() {
            let part: Vec<Event> = events.by_ref().take(TOGETHER).collect();
            let (tenant, now) = (auth.tenant().clone(), self.ctx.now());
            let kept = self.db.write(move |c| {
                Box::pin(async move {
                    let mut kept = Vec::with_capacity(part.len());
                    for event in &part {
                        kept.push(write::keep(c, &tenant, event, now).await?);
                    }
                    Ok::<_, LineageError>(kept)
                })
            });
            fresh.extend(kept.await?);
        }
        Ok(fresh)
    }

    /// A node with all that is next to it: what events named, and what the house knows.
    pub(crate) async fn around(&self, auth: &Authorized<ReadLineage>, look: &dyn Look, node: &Node) -> Result<Around> {
        let (tenant, asked) = (auth.tenant().clone(), node.clone());
        let sent = self.db.read(move |c| Box::pin(async move { read::around(c, &tenant, &asked).await })).await?;
        let mut all = look.around(node).await?;
        if !all.exists {
            all.detail = sent.detail;
        }
        all.exists |= sent.exists;
        all.cut = (all.cut.0 || sent.cut.0, all.cut.1 || sent.cut.1);
        for (mine, theirs) in [(&mut all.up, sent.up), (&mut all.down, sent.down)] {
            mine.extend(theirs);
            mine.sort();
            mine.dedup();
        }
        Ok(all)
    }

    /// The node that a text names. `model:churn@champion` is the version that the alias means now.
    ///
    /// # Errors
    /// [`LineageError::Node`] for a text of no known form; [`LineageError::Port`] for an alias that is not there.
    pub async fn find(&self, auth: &Authorized<ReadLineage>, text: &str) -> Result<Node> {
        if let Some((model, alias)) = text.strip_prefix("model:").and_then(|rest| rest.rsplit_once('@')) {
            return Ok(self.known.alias(auth.who(), model, alias).await?);
        }
        let mut candidates = Node::candidates(text)?;
        if candidates.len() > 1 {
            let look = self.known.look(auth.who());
            for node in &candidates {
                if self.around(auth, &*look, node).await?.exists {
                    return Ok(node.clone());
                }
            }
        }
        Ok(candidates.swap_remove(0))
    }

    /// Where a walk over the names of outside begins: the node, or the newest runs of an experiment of ours.
    ///
    /// # Errors
    /// What the house says.
    pub async fn starts(&self, auth: &Authorized<ReadLineage>, node: Node) -> Result<Starts> {
        if let Node::Job { namespace, name } = &node
            && namespace == NAMESPACE
            && let Some(experiment) = name.strip_prefix("experiments/")
        {
            let runs = self.known.runs(auth.who(), experiment).await?;
            if !runs.nodes.is_empty() {
                return Ok(runs);
            }
        }
        Ok(node.into())
    }

    /// Namespaces by name, each with the times of its first and last event.
    ///
    /// # Errors
    /// [`LineageError::Store`].
    pub async fn namespaces(&self, auth: &Authorized<ReadLineage>) -> Result<Vec<(String, Timestamp, Timestamp)>> {
        let tenant = auth.tenant().clone();
        let sent = self.db.read(move |c| Box::pin(async move { read::namespaces(c, &tenant).await })).await?;
        let mut all: BTreeMap<String, (Timestamp, Timestamp)> =
            sent.into_iter().map(|(name, first, last)| (name, (first, last))).collect();
        for kind in [ThingKind::Job, ThingKind::Dataset] {
            for own in self.known.own(auth.who(), kind).await? {
                let times = all.entry(NAMESPACE.to_owned()).or_insert((own.created, own.updated));
                *times = (times.0.min(own.created), times.1.max(own.updated));
            }
        }
        Ok(all.into_iter().map(|(name, (first, last))| (name, first, last)).collect())
    }

    /// Jobs or datasets of a namespace, by name. Which datasets a job of ours reads and writes is said of one job only
    /// ([`Lineage::thing`]): it is walked over for each.
    ///
    /// # Errors
    /// [`LineageError::Store`], and what the house says.
    pub async fn things(
        &self,
        auth: &Authorized<ReadLineage>,
        (kind, namespace): (ThingKind, &str),
        (limit, offset): (u32, u32),
    ) -> Result<Page<KeptThing>> {
        let own = if namespace == NAMESPACE { self.known.own(auth.who(), kind).await? } else { Vec::new() };
        let (tenant, space) = (auth.tenant().clone(), namespace.to_owned());
        // Ours come first; the rest of the page is what events named there.
        let room = limit.saturating_sub(u32::try_from(own.len().saturating_sub(offset as usize)).unwrap_or(u32::MAX));
        let skip = offset.saturating_sub(u32::try_from(own.len()).unwrap_or(u32::MAX));
        let mut page = self
            .db
            .read(move |c| Box::pin(async move { things::things(c, &tenant, (kind, &space), (room, skip)).await }))
            .await?;
        let mine = own.len() as u64;
        let names: HashSet<String> = own.iter().map(|o| o.name.clone()).collect();
        let part = own.into_iter().skip(offset as usize).take(limit as usize);
        let mut items: Vec<KeptThing> = part.map(|own| made_here(kind, own)).collect();
        // Whoever names something of ours in an event means it, and it is in the list already.
        page.items.retain(|kept| !names.contains(&kept.name));
        items.append(&mut page.items);
        Ok(Page { items, total: page.total + mine })
    }

    /// One job or dataset.
    ///
    /// # Errors
    /// [`LineageError::NotFound`]; [`LineageError::Store`]; what the house says.
    pub async fn thing(
        &self,
        auth: &Authorized<ReadLineage>,
        (kind, namespace, name): (ThingKind, &str, &str),
    ) -> Result<KeptThing> {
        if namespace == NAMESPACE
            && let Some(own) = self.known.one(auth.who(), kind, name).await?
        {
            return self.own(auth, kind, own).await;
        }
        let (tenant, asked) = (auth.tenant().clone(), (namespace.to_owned(), name.to_owned()));
        let found = self
            .db
            .read(move |c| Box::pin(async move { things::thing(c, &tenant, (kind, &asked.0, &asked.1)).await }))
            .await?;
        found.ok_or_else(|| LineageError::NotFound(format!("{}:{namespace}:{name}", kind.as_str())))
    }

    /// Something of ours as a job or a dataset, with what a job reads and writes.
    async fn own(&self, auth: &Authorized<ReadLineage>, kind: ThingKind, own: Own) -> Result<KeptThing> {
        let mut thing = made_here(kind, own);
        if kind == ThingKind::Job {
            let node = Node::job(NAMESPACE, &thing.name);
            let look = self.known.look(auth.who());
            for start in self.starts(auth, node).await?.nodes {
                let around = self.around(auth, &*look, &start).await?;
                for (into, nodes) in [(&mut thing.inputs, around.up), (&mut thing.outputs, around.down)] {
                    into.extend(nodes.iter().filter_map(Node::thing).map(|(_, namespace, name)| (namespace, name)));
                }
            }
            for names in [&mut thing.inputs, &mut thing.outputs] {
                names.sort();
                names.dedup();
            }
        }
        Ok(thing)
    }

    /// Runs of a job that events named, newest first.
    ///
    /// # Errors
    /// [`LineageError::Store`].
    pub async fn runs(
        &self,
        auth: &Authorized<ReadLineage>,
        (namespace, name): (&str, &str),
        page: (u32, u32),
    ) -> Result<Page<KeptRun>> {
        let (tenant, job) = (auth.tenant().clone(), (namespace.to_owned(), name.to_owned()));
        let read = self.db.read(move |c| Box::pin(async move { read::runs(c, &tenant, (&job.0, &job.1), page).await }));
        Ok(read.await?)
    }

    /// A run that events named.
    ///
    /// # Errors
    /// [`LineageError::NotFound`]; [`LineageError::Store`].
    pub async fn run(&self, auth: &Authorized<ReadLineage>, id: &str) -> Result<KeptRun> {
        let (tenant, asked) = (auth.tenant().clone(), id.to_owned());
        let found = self.db.read(move |c| Box::pin(async move { read::run(c, &tenant, &asked).await })).await?;
        found.ok_or_else(|| LineageError::NotFound(format!("run:{id}")))
    }

    /// Events as they were sent.
    ///
    /// # Errors
    /// [`LineageError::Store`].
    pub async fn events(
        &self,
        auth: &Authorized<ReadLineage>,
        between: Between,
        page: (u32, u32),
    ) -> Result<Page<KeptEvent>> {
        let tenant: Tenant = auth.tenant().clone();
        let read = self.db.read(move |c| Box::pin(async move { read::events(c, &tenant, between, page).await }));
        Ok(read.await?)
    }
}

/// Something of ours as a job or a dataset, by what is said of it in a list.
fn made_here(kind: ThingKind, own: Own) -> KeptThing {
    KeptThing {
        kind,
        namespace: NAMESPACE.to_owned(),
        name: own.name,
        created: own.created,
        updated: own.updated,
        facets: Vec::new(),
        inputs: Vec::new(),
        outputs: Vec::new(),
        latest: None,
    }
}
