//! The face of the domain: what others ask of monitors and of the profiles of versions.

use super::action::{DeclareMonitor, ReadMonitors, ReadProfile, SaveProfile};
use super::error::WatchError;
use super::history::Point;
use super::outlook::Outlook;
use super::ports::{Models, NamedFile, Trained};
use super::spec::MonitorSpec;
use super::sql::{self, ProfileRow, State};
use super::track::Standing;
use super::training::{MONITOR_WAITS, READER_WAITS, Training};
use super::watch::{Compared, References, Saved, Transition, Watch};
use super::words;
use crate::profile::Profile;
use mainspring_core::{Authorized, Ctx, Name, Tenant, Timestamp};
use mainspring_resource::{Invalid, Kind};
use mainspring_store::{Db, FutureExt};
use parking_lot::RwLock;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

pub(crate) type Key = (Tenant, Name);

/// The kind `Monitor`; whoever registers it says who carries it out.
pub fn kind() -> Kind {
    let schema = serde_json::to_value(schemars::schema_for!(MonitorSpec)).unwrap_or_default();
    Kind::of("Monitor", "a deployment's rows against their reference, all the time", schema, |_, spec: &MonitorSpec| {
        spec.validate()
            .map_err(|e| Invalid { path: e.path, reason: format!("it is {}; it must be {}", e.got, e.expected) })
    })
}

/// One monitor for people.
#[derive(Debug, Clone)]
pub struct View {
    /// Its name.
    pub name: Name,
    /// What is declared.
    pub spec: Arc<MonitorSpec>,
    /// Where it is; nothing when nobody has looked yet.
    pub watch: Option<Arc<Watch>>,
    /// Rows that came too late to be looked at, since the process that watches has watched.
    pub late: u64,
    /// Why it does not go on.
    pub problem: Option<String>,
}

impl View {
    /// In a word: `stopped`, `waiting` for rows, `learning` a reference, `drifting`, `degraded` by its
    /// estimate, `detected`, where a stream detector alone calls a change, `shifted` or `steady`.
    pub fn state(&self) -> &'static str {
        let Some(watch) = &self.watch else { return if self.problem.is_some() { "stopped" } else { "waiting" } };
        let any = |standing| watch.tracks().any(|(_, _, track)| track.standing == standing);
        match () {
            () if self.problem.is_some() => "stopped",
            () if watch.drifting => "drifting",
            () if watch.outlook.as_ref().is_some_and(Outlook::is_degraded) => "degraded",
            () if watch.detecting => "detected",
            () if any(Standing::Learning) => "learning",
            () if any(Standing::Shifted) => "shifted",
            () if any(Standing::Steady) => "steady",
            () => "waiting",
        }
    }
}

/// A profile with where it came from.
#[derive(Debug, Clone)]
pub struct SavedProfile {
    /// The profile.
    pub profile: Arc<Profile>,
    /// Of what.
    pub source: String,
    /// Who saved it.
    pub saved_by: String,
    /// When.
    pub saved_at: Timestamp,
}

/// A declaration.
#[derive(Debug, Clone)]
pub(crate) struct Declared {
    pub spec: Arc<MonitorSpec>,
    /// Since when rows are its own.
    pub since: Timestamp,
}

/// What is declared in this process, and what it knows of it.
#[derive(Debug, Default)]
pub(crate) struct Known {
    pub specs: BTreeMap<Key, Declared>,
    pub withdrawn: Vec<Key>,
    pub views: BTreeMap<Key, View>,
    /// How often the state was written that a view shows, where it is another server's.
    read: BTreeMap<Key, i64>,
}

/// Monitors. Cheap to clone.
#[derive(Clone)]
pub struct Monitors {
    pub(crate) db: Db,
    pub(crate) ctx: Ctx,
    pub(crate) models: Arc<dyn Models>,
    pub(crate) known: Arc<RwLock<Known>>,
    training: Arc<Training>,
}

impl std::fmt::Debug for Monitors {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Monitors")
    }
}

impl Monitors {
    /// Monitors kept in `db`.
    pub fn new(db: Db, ctx: Ctx, models: Arc<dyn Models>) -> Self {
        let training = Arc::new(Training::new(Arc::clone(&models), ctx.tasks.clone()));
        Self { db, ctx, models, known: Arc::default(), training }
    }

    /// Takes a declaration of the moment `since`; the controller begins within a second, with the rows since then. Does not wait.
    ///
    /// # Errors
    /// [`WatchError::Spec`].
    pub fn declare(
        &self,
        auth: &Authorized<DeclareMonitor>,
        spec: MonitorSpec,
        since: Timestamp,
    ) -> Result<(), WatchError> {
        spec.validate()?;
        let key = (auth.tenant().clone(), auth.action().monitor.clone());
        let mut known = self.known.write();
        known.withdrawn.retain(|other| *other != key);
        let spec = Arc::new(spec);
        let view = View { name: key.1.clone(), spec: Arc::clone(&spec), watch: None, late: 0, problem: None };
        known.views.entry(key.clone()).or_insert(view).spec = Arc::clone(&spec);
        // What goes on under another spec counts from the first one, whether anybody has looked since or not.
        let before = known.specs.get(&key).filter(|before| spec.tests_as(&before.spec)).map(|before| before.since);
        known.specs.insert(key, Declared { spec, since: before.unwrap_or(since) });
        Ok(())
    }

    /// It is no longer declared: its state is forgotten. Does not wait.
    pub fn withdraw(&self, auth: &Authorized<DeclareMonitor>) {
        let key = (auth.tenant().clone(), auth.action().monitor.clone());
        let mut known = self.known.write();
        known.specs.remove(&key);
        known.views.remove(&key);
        known.withdrawn.push(key);
    }

    /// One monitor of the tenant, as this process knows it.
    pub fn status(&self, auth: &Authorized<ReadMonitors>) -> Option<View> {
        let key = (auth.tenant().clone(), auth.action().monitor.clone()?);
        self.known.read().views.get(&key).cloned()
    }

    /// All monitors of the tenant, as this process knows them.
    pub fn list(&self, auth: &Authorized<ReadMonitors>) -> Vec<View> {
        let known = self.known.read();
        known.views.iter().filter(|((tenant, _), _)| tenant == auth.tenant()).map(|(_, view)| view.clone()).collect()
    }

    /// What a monitor has told, the newest first, before number `before` (`u64::MAX` for the newest). At most 1,000.
    ///
    /// # Errors
    /// [`WatchError::Store`].
    pub async fn transitions(
        &self,
        auth: &Authorized<ReadMonitors>,
        before: u64,
        limit: u32,
    ) -> Result<Vec<(u64, Transition)>, WatchError> {
        let Some(name) = auth.action().monitor.clone() else { return Ok(Vec::new()) };
        let (tenant, limit) = (auth.tenant().clone(), limit.min(1_000));
        self.db.read(move |c| async move { sql::transitions(c, (&tenant, &name), before, limit).await }.boxed()).await
    }

    /// What a monitor saw since `since`, the oldest first: of the last six hours each look, of thirty days the last of each
    /// hour.
    ///
    /// # Errors
    /// [`WatchError::Store`], [`WatchError::Stored`].
    pub async fn history(&self, auth: &Authorized<ReadMonitors>, since: Timestamp) -> Result<Vec<Point>, WatchError> {
        let Some(name) = auth.action().monitor.clone() else { return Ok(Vec::new()) };
        let tenant = auth.tenant().clone();
        self.db.read(move |c| async move { sql::history(c, (&tenant, &name), since).await }.boxed()).await
    }

    /// Saves the profile of a version, in the place of the one before. Monitors that compare with that version's begin anew
    /// against it within a minute, and tell of it.
    ///
    /// # Errors
    /// [`WatchError::Profile`] when it has no column to compare with, [`WatchError::Store`].
    pub async fn save_profile(
        &self,
        auth: &Authorized<SaveProfile>,
        version: &str,
        profile: &Profile,
    ) -> Result<(), WatchError> {
        if profile.columns.iter().all(|c| c.calibration.is_none()) {
            let why = "none of its columns has a calibration; it was made by an earlier version, or has no rows";
            return Err(WatchError::Profile(why.into()));
        }
        let (by, source) = (auth.who().subject.to_string(), profile.file.clone());
        let key = (auth.tenant().clone(), auth.action().model.clone(), version.to_owned());
        self.keep(key, (profile, source, by), auth.audit()).await
    }

    async fn keep(
        &self,
        (tenant, model, version): (Tenant, String, String),
        (profile, source, saved_by): (&Profile, String, String),
        audit: mainspring_core::AuditRecord,
    ) -> Result<(), WatchError> {
        let text = serde_json::to_string(profile)
            .map_err(|e| WatchError::Stored { what: "profile", reason: e.to_string() })?;
        let row = ProfileRow { profile: text, source, saved_by, saved_at: self.ctx.now() };
        self.db
            .write(move |c| {
                async move { sql::save_profile(c, (&tenant, &model, &version), &row, &audit).await }.boxed()
            })
            .await
    }

    /// The profile that a monitor of a version compares with: the one that is saved with it, or that of the data that it was
    /// trained on, which the server then saves in its own name.
    ///
    /// # Errors
    /// [`WatchError::NoProfile`], [`WatchError::Stored`], [`WatchError::Store`]; [`WatchError::Port`] while the data is being
    /// read, and when it cannot be.
    pub async fn profile(&self, auth: &Authorized<ReadProfile>, version: &str) -> Result<SavedProfile, WatchError> {
        let of = (auth.action().model.as_str(), version);
        match self.profile_of(auth.tenant(), of, READER_WAITS).await? {
            Some(found) => Ok(found),
            None => Err(self.no_profile(auth.tenant(), of).await?),
        }
    }

    /// The file of predictions with labels that a version names.
    ///
    /// # Errors
    /// [`WatchError::NoReference`]; [`WatchError::Port`] where it cannot be read.
    pub async fn reference(&self, auth: &Authorized<ReadProfile>, version: &str) -> Result<NamedFile, WatchError> {
        let model = &auth.action().model;
        let found = self.models.reference(auth.tenant(), model, version).await?;
        found.ok_or_else(|| WatchError::NoReference { model: model.clone(), version: version.to_owned() })
    }

    async fn no_profile(&self, tenant: &Tenant, (model, version): (&str, &str)) -> Result<WatchError, WatchError> {
        let unused = self.models.unused(tenant, model, version).await?;
        Ok(WatchError::NoProfile { model: model.to_owned(), version: version.to_owned(), unused })
    }

    /// The profile that is saved with a version, or that of the data that it was trained on, which is then saved. Who asks
    /// waits for `patience` while the data is being read.
    pub(super) async fn profile_of(
        &self,
        tenant: &Tenant,
        (model, version): (&str, &str),
        patience: Duration,
    ) -> Result<Option<SavedProfile>, WatchError> {
        if let Some(found) = self.saved(tenant, model, version).await? {
            return Ok(Some(found));
        }
        let found = self.training.of(tenant, (model, version), patience).await?;
        let Some(Trained { profile, source, auth }) = found else { return Ok(None) };
        // Somebody who waited for the same may have saved it, and a person may have saved a better one.
        if let Some(found) = self.saved(tenant, model, version).await? {
            return Ok(Some(found));
        }
        let key = (tenant.clone(), model.to_owned(), version.to_owned());
        self.keep(key, (&profile, source, "the server".to_owned()), auth.audit()).await?;
        self.saved(tenant, model, version).await
    }

    async fn saved(&self, tenant: &Tenant, model: &str, version: &str) -> Result<Option<SavedProfile>, WatchError> {
        let (tenant, model, version) = (tenant.clone(), model.to_owned(), version.to_owned());
        let read =
            self.db.read(move |c| async move { sql::profile(c, (&tenant, &model, &version)).await }.boxed()).await?;
        read.map(|row| {
            let profile = serde_json::from_str(&row.profile)
                .map_err(|e| WatchError::Stored { what: "profile", reason: e.to_string() })?;
            let ProfileRow { source, saved_by, saved_at, .. } = row;
            Ok(SavedProfile { profile: Arc::new(profile), source, saved_by, saved_at })
        })
        .transpose()
    }

    /// What the columns of a version are to be compared with. What they are compared with already, `before`, goes on: an alias
    /// that has moved since means nothing for it.
    pub(crate) async fn references(
        &self,
        tenant: &Tenant,
        spec: &MonitorSpec,
        (model, version): (&str, &str),
        before: Option<&Compared>,
    ) -> Result<References, WatchError> {
        let named = spec.reference.profile.as_deref();
        // A saved profile is of all rows.
        let counts = named.is_some() || spec.segment.is_all();
        if spec.reference.window.is_some() || spec.beside().is_some() || !counts {
            return Ok(References::default());
        }
        let (model, version) = match (before, named) {
            (Some(before), _) => (before.model.clone(), before.version.clone()),
            (None, Some(uri)) => self.models.resolve(tenant, uri).await?,
            (None, None) => (model.to_owned(), version.to_owned()),
        };
        let of = (model.as_str(), version.as_str());
        let found = self.profile_of(tenant, of, MONITOR_WAITS).await?;
        if found.is_none() && named.is_some() {
            // Asked for by name: without it nothing may be taken for a reference.
            return Err(self.no_profile(tenant, of).await?);
        }
        let unused = if found.is_none() { self.models.unused(tenant, &model, &version).await? } else { None };
        let unused = unused.map(|fact| words::unused(&fact, of));
        Ok(compared(found.as_ref(), Compared { model, version, saved: None, unused }))
    }

    /// The profile that was saved with a version since `with` was known, as what its columns are to be compared with.
    pub(crate) async fn saved_since(&self, tenant: &Tenant, with: &Compared) -> Result<Option<References>, WatchError> {
        let of = (tenant.clone(), with.model.clone(), with.version.clone());
        let read = self.db.read(move |c| async move { sql::profile_saved_at(c, (&of.0, &of.1, &of.2)).await }.boxed());
        let at = read.await?;
        if at.is_none() || at == with.saved.as_ref().map(|saved| saved.at) {
            return Ok(None);
        }
        let found = self.saved(tenant, &with.model, &with.version).await?;
        Ok(Some(compared(found.as_ref(), Compared { saved: None, unused: None, ..with.clone() })))
    }

    /// Reads what the leader has written since it was last read: a state is large, and most have not changed.
    pub(crate) async fn refresh(&self) -> Result<(), WatchError> {
        let writes = self.db.read(|c| async move { sql::writes(c).await }.boxed()).await?;
        let mut news = Vec::new();
        {
            let mut known = self.known.write();
            let Known { views, read, .. } = &mut *known;
            read.retain(|key, _| views.contains_key(key));
            for (tenant, name, version, problem) in writes {
                let key = (tenant, name);
                let Some(view) = views.get_mut(&key) else { continue };
                view.problem = problem;
                if read.get(&key) != Some(&version) {
                    news.push((key, version));
                }
            }
        }
        for (key, version) in news {
            let (tenant, name) = key.clone();
            let found = self.db.read(move |c| async move { sql::one(c, &tenant, &name).await }.boxed()).await;
            let found = match found {
                Ok(found) => found,
                Err(error @ WatchError::Stored { .. }) => {
                    tracing::error!(monitor = %key.1, %error, "a monitor's state is left out");
                    None
                }
                Err(error) => return Err(error),
            };
            let mut known = self.known.write();
            if let (Some(view), Some(State { watch, late, .. })) = (known.views.get_mut(&key), found) {
                (view.watch, view.late) = (Some(Arc::new(watch)), late);
            }
            known.read.insert(key, version);
        }
        Ok(())
    }
}

/// What a version's saved profile, if it has one, makes of it.
fn compared(found: Option<&SavedProfile>, of: Compared) -> References {
    let saved = found.map(|found| Saved { source: found.source.clone(), at: found.saved_at });
    References::new(found.map(|found| &*found.profile)).whose(Compared { saved, ..of })
}
