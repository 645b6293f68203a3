//! The face of the domain: what others say to it, and ask of it.

use crate::action::{ReadAlerts, SilenceAlerts, TryChannel};
use crate::error::AlertError;
use crate::machine::{Alert, Changed, Phase, look};
use crate::matcher::{self, Matcher};
use crate::notice::{Item, Notice, Status};
use crate::ports::{Courier, Freezer, Refused};
use crate::render::{Errand, Freeze, render};
use crate::sha::short;
use crate::signal::{Severity, Signal, Source, Subject};
use crate::silence::{Book, Silence};
use crate::slo;
use crate::spec::ChannelSpec;
use crate::sql::{self, Delivery};
use mainspring_core::{Authorized, Ctx, EventId, Name, Tenant, Timestamp, event};
use mainspring_store::{Conn, Db, FutureExt};
use mainspring_webhook::Vault;
use parking_lot::{Mutex, RwLock};
use serde_json::json;
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

pub(crate) type Key = (Tenant, Name);

/// The longest silence, and how many a tenant may have; bytes of a reason.
const LONGEST: Duration = Duration::from_secs(366 * 86_400);
const SILENCES: usize = 500;
const REASON: usize = 1024;

/// A silence to begin.
#[derive(Debug, Clone)]
pub struct NewSilence {
    /// All of these hold for what is silenced.
    pub matching: Vec<Matcher>,
    /// For how long from now on.
    pub length: Duration,
    /// Why.
    pub reason: String,
}

/// A channel for people.
#[derive(Debug, Clone)]
pub struct ChannelView {
    /// Its name.
    pub name: Name,
    /// What is declared; no secret is in it.
    pub spec: Arc<ChannelSpec>,
    /// Its last notices, the newest first.
    pub deliveries: Vec<Delivery>,
}

/// Alerts. Cheap to clone.
#[derive(Clone)]
pub struct Alerts {
    pub(crate) db: Db,
    pub(crate) ctx: Ctx,
    pub(crate) channels: Arc<RwLock<BTreeMap<Key, Arc<ChannelSpec>>>>,
    pub(crate) standings: Arc<RwLock<Vec<slo::Standing>>>,
    /// Silences that were read.
    book: Arc<Mutex<Book>>,
    /// Why a channel's last notice was not taken, as far as this process sent it.
    failing: Arc<RwLock<HashMap<Key, String>>>,
    vault: Vault,
    courier: Arc<dyn Courier>,
    freezer: Option<Arc<dyn Freezer>>,
    address: Arc<OnceLock<String>>,
}

impl std::fmt::Debug for Alerts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Alerts").field("db", &self.db).finish_non_exhaustive()
    }
}

impl Alerts {
    /// Alerts kept in `db`, sent by `courier` with the secrets of `vault`.
    pub fn new(db: Db, ctx: Ctx, vault: Vault, courier: Arc<dyn Courier>) -> Self {
        Self {
            db,
            ctx,
            channels: Arc::default(),
            standings: Arc::default(),
            book: Arc::default(),
            failing: Arc::default(),
            vault,
            courier,
            freezer: None,
            address: Arc::default(),
        }
    }

    /// The same, with somebody who freezes versions.
    #[must_use]
    pub fn frozen_by(self, freezer: Arc<dyn Freezer>) -> Self {
        Self { freezer: Some(freezer), ..self }
    }

    /// Says under which address people reach the server, for links: `https://ml.example.com`. Only the first time counts.
    pub fn reached_at(&self, address: String) {
        let _first = self.address.set(address.trim_end_matches('/').to_owned());
    }

    pub(crate) fn address(&self) -> &str {
        self.address.get().map_or("", String::as_str)
    }

    /// Takes a channel's declaration. Does not wait.
    pub fn declare(&self, tenant: &Tenant, name: &Name, spec: ChannelSpec) {
        let key = (tenant.clone(), name.clone());
        self.failing.write().remove(&key);
        self.channels.write().insert(key, Arc::new(spec));
    }

    /// A channel is no longer declared: what waits for it is given up. Does not wait.
    pub fn withdraw(&self, tenant: &Tenant, name: &Name) {
        let key = (tenant.clone(), name.clone());
        self.failing.write().remove(&key);
        self.channels.write().remove(&key);
    }

    /// Why a channel's last notice was not taken, as far as this process knows; `None` when there is no such channel.
    pub fn health(&self, tenant: &Tenant, name: &Name) -> Option<Result<(), String>> {
        let key = (tenant.clone(), name.clone());
        self.channels.read().get(&key)?;
        Some(self.failing.read().get(&key).map_or(Ok(()), |reason| Err(reason.clone())))
    }

    pub(crate) fn channel(&self, tenant: &Tenant, name: &str) -> Option<Arc<ChannelSpec>> {
        let name = Name::new(name).ok()?;
        self.channels.read().get(&(tenant.clone(), name)).cloned()
    }

    /// Takes one look at something that may be wrong. An alert that begins or ends is in the journal, too, in the same
    /// transaction; whoever leads tells of it. Saying the same twice is saying it once.
    ///
    /// # Errors
    /// [`AlertError::Store`] when the database does not answer: say it again.
    pub async fn observe(&self, tenant: &Tenant, signal: Signal) -> Result<(), AlertError> {
        let fingerprint = signal.subject.fingerprint();
        if !signal.active {
            // Most looks find nothing, and cost no write.
            let (tenant, fingerprint) = (tenant.clone(), fingerprint.clone());
            let known =
                self.db.read(move |c| async move { sql::alert(c, &tenant, &fingerprint).await }.boxed()).await?;
            if known.is_none_or(|alert| alert.phase == Phase::Resolved) {
                return Ok(());
            }
        }
        let (tenant, id, now) = (tenant.clone(), self.ctx.event_id(), self.ctx.now());
        let observed = self.db.write(move |c| {
            async move {
                c.lock(&format!("alert.{tenant}.{fingerprint}")).await?;
                let before = sql::alert(c, &tenant, &fingerprint).await?;
                match look(before.as_ref(), &signal, now) {
                    Changed::Nothing => Ok::<_, AlertError>(None),
                    Changed::Updated(alert) => sql::put(c, &tenant, &alert, now).await.map(|()| None),
                    Changed::Raised(alert) | Changed::Resolved(alert) => {
                        sql::put(c, &tenant, &alert, now).await?;
                        journal(c, &tenant, &alert, (id, now)).await?;
                        Ok(Some(alert))
                    }
                }
            }
            .boxed()
        });
        if let Some(alert) = observed.await? {
            let (phase, name, says) = (alert.phase.as_str(), &alert.subject.name, &alert.subject.sentence);
            tracing::warn!(phase, name, labels = ?alert.subject.labels, says, "alert");
        }
        Ok(())
    }

    /// What fires of a source, of all tenants: for whoever watches it, to end what is no longer watched.
    ///
    /// # Errors
    /// [`AlertError::Store`].
    pub async fn firing(&self, of: Source) -> Result<Vec<(Tenant, Alert)>, AlertError> {
        let all = self.db.read(|c| async move { sql::firing(c).await }.boxed()).await?;
        Ok(all.rows.into_iter().filter(|(_, alert)| alert.subject.source == of).collect())
    }

    /// Alerts of the tenant: those that fire, and what was, the last changed first. At most 1,000.
    ///
    /// # Errors
    /// [`AlertError::Store`].
    pub async fn list(&self, auth: &Authorized<ReadAlerts>, limit: u32) -> Result<Vec<Alert>, AlertError> {
        let (tenant, limit) = (auth.tenant().clone(), limit.min(1000));
        self.db.read(move |c| async move { sql::alerts(c, &tenant, limit).await }.boxed()).await
    }

    /// Silences of the tenant that have not ended.
    ///
    /// # Errors
    /// [`AlertError::Store`].
    pub async fn silences(&self, auth: &Authorized<ReadAlerts>) -> Result<Vec<Silence>, AlertError> {
        let all = self.all_silences(self.ctx.now()).await?;
        Ok(all.iter().filter(|(whose, _)| whose == auth.tenant()).map(|(_, s)| Silence::clone(s)).collect())
    }

    /// Silences that have not ended, of all tenants.
    pub(crate) async fn all_silences(&self, now: Timestamp) -> Result<Vec<(Tenant, Arc<Silence>)>, AlertError> {
        let stored = self.db.read(move |c| async move { sql::silences(c, now).await }.boxed()).await?;
        Ok(self.book.lock().read(stored))
    }

    /// Begins a silence.
    ///
    /// # Errors
    /// [`AlertError::BadSilence`] when it would silence everything, has no length or is too much;
    /// [`AlertError::TooMany`] when the tenant has 500; [`AlertError::Store`].
    pub async fn silence(&self, auth: &Authorized<SilenceAlerts>, new: NewSilence) -> Result<Silence, AlertError> {
        if new.matching.is_empty() {
            let reason = "a silence of everything is refused; say of what: deployment=churn, or name=~\".*\"";
            return Err(AlertError::BadSilence(reason.into()));
        }
        if new.length.is_zero() || new.length > LONGEST {
            return Err(AlertError::BadSilence("a silence is longer than nothing and at most 366d".into()));
        }
        if new.matching.len() > matcher::MOST || new.reason.len() > REASON {
            let most = format!("a silence has at most {} matchers and {REASON} bytes of a reason", matcher::MOST);
            return Err(AlertError::BadSilence(most));
        }
        let from = self.ctx.now();
        let until = from.plus_micros(i64::try_from(new.length.as_micros()).unwrap_or(i64::MAX));
        let (id, by) = (self.ctx.event_id().to_string(), auth.who().subject.to_string());
        let silence = Silence { id, matching: new.matching, from, until, reason: new.reason, by };
        let (tenant, audit, kept) = (auth.tenant().clone(), auth.audit(), silence.clone());
        let write = self.db.write(move |c| {
            async move {
                c.lock(&format!("alert.silences.{tenant}")).await?;
                if sql::count_silences(c, &tenant, from).await? >= SILENCES {
                    return Err(AlertError::TooMany { most: SILENCES });
                }
                sql::put_silence(c, &tenant, &kept).await?;
                c.audit(&audit).await?;
                Ok::<_, AlertError>(())
            }
            .boxed()
        });
        write.await?;
        Ok(silence)
    }

    /// Ends the silence that the permission names.
    ///
    /// # Errors
    /// [`AlertError::NoSilence`] when it is not there or has ended; [`AlertError::Store`].
    pub async fn end_silence(&self, auth: &Authorized<SilenceAlerts>) -> Result<(), AlertError> {
        let id = auth.action().id.clone().unwrap_or_default();
        let (tenant, audit, now) = (auth.tenant().clone(), auth.audit(), self.ctx.now());
        let write = self.db.write(move |c| {
            async move {
                if !sql::end_silence(c, &tenant, &id, now).await? {
                    return Err(AlertError::NoSilence { id });
                }
                c.audit(&audit).await?;
                Ok(())
            }
            .boxed()
        });
        write.await
    }

    /// The channels of the tenant, each with its last notices.
    ///
    /// # Errors
    /// [`AlertError::Store`].
    pub async fn channels(&self, auth: &Authorized<ReadAlerts>, last: u32) -> Result<Vec<ChannelView>, AlertError> {
        let tenant = auth.tenant().clone();
        let declared: Vec<(Name, Arc<ChannelSpec>)> = {
            let all = self.channels.read();
            let of = all.iter().filter(|((whose, _), _)| *whose == tenant);
            of.map(|((_, name), spec)| (name.clone(), Arc::clone(spec))).collect()
        };
        let last = last.min(100);
        self.db
            .read(move |c| {
                async move {
                    let mut views = Vec::new();
                    for (name, spec) in declared {
                        let deliveries = sql::deliveries(c, &tenant, name.as_str(), last).await?;
                        views.push(ChannelView { name, spec, deliveries });
                    }
                    Ok(views)
                }
                .boxed()
            })
            .await
    }

    /// Objectives of the tenant, as of the last look of this process.
    pub fn standings(&self, auth: &Authorized<ReadAlerts>) -> Vec<slo::Standing> {
        let all = self.standings.read();
        all.iter().filter(|s| s.objective.tenant == *auth.tenant()).cloned().collect()
    }

    /// Sends a notice that says that somebody tries the channel out, and waits for the receiver's answer.
    ///
    /// # Errors
    /// [`AlertError::NoChannel`], [`AlertError::Render`] when a secret is missing, [`AlertError::NotTaken`] with what the
    /// receiver said.
    pub async fn try_channel(&self, auth: &Authorized<TryChannel>) -> Result<Notice, AlertError> {
        let (tenant, channel) = (auth.tenant(), &auth.action().channel);
        let spec = self.channel(tenant, channel.as_str());
        let spec = spec.ok_or_else(|| AlertError::NoChannel { channel: channel.to_string() })?;
        let notice = self.trial(tenant, channel, &auth.who().subject);
        let audit = auth.audit();
        self.db.write(move |c| async move { c.audit(&audit).await }.boxed()).await?;
        self.send(&spec, &notice).await.map_err(|refused| match refused {
            Unsent::Render(e) => AlertError::Render(e),
            Unsent::Refused(r) => AlertError::NotTaken { channel: channel.to_string(), reason: r.reason },
        })?;
        Ok(notice)
    }

    fn trial(&self, tenant: &Tenant, channel: &Name, by: &str) -> Notice {
        let now = self.ctx.now();
        let subject = Subject {
            name: "Test".to_owned(),
            source: Source::Slo,
            severity: Severity::Info,
            labels: BTreeMap::from([("channel".to_owned(), channel.to_string())]),
            sentence: format!("a test of the channel {channel}, by {by}; nothing is wrong"),
            numbers: json!({}),
            query: None,
            runbook: None,
            page: Some("/ui/alerts".to_owned()),
        };
        let group = short(["test", tenant.as_str(), channel.as_str()]);
        let alert = happened(group.clone(), subject, now);
        Notice {
            id: self.ctx.event_id(),
            at: now,
            tenant: tenant.clone(),
            channel: channel.to_string(),
            status: Status::Test,
            group,
            labels: alert.subject.labels.clone(),
            repeated: false,
            items: vec![Item::of(&alert, self.address())],
            left_out: 0,
            link: self.link(),
        }
    }

    /// The console's page of alerts.
    pub(crate) fn link(&self) -> String {
        format!("{}/ui/alerts", self.address())
    }

    async fn freeze(&self, freeze: Freeze) -> Result<(), Refused> {
        let nobody = || Refused { reason: "this server freezes no versions".to_owned(), for_good: true, after: None };
        let freezer = self.freezer.as_ref().ok_or_else(nobody)?;
        let shown = format!("{}/{}: {}", freeze.model, freeze.version, freeze.reason);
        freezer.freeze(freeze).await?;
        tracing::warn!(shown, "an alert froze a version");
        Ok(())
    }

    pub(crate) async fn send(&self, spec: &ChannelSpec, notice: &Notice) -> Result<(), Unsent> {
        let outgoing = render(spec, notice, &self.vault, self.ctx.now()).map_err(Unsent::Render);
        let sent = match outgoing {
            Ok(Errand::Send(outgoing)) => self.courier.send(outgoing).await.map_err(Unsent::Refused),
            Ok(Errand::Freeze(freeze)) => self.freeze(freeze).await.map_err(Unsent::Refused),
            Err(e) => Err(e),
        };
        if let Ok(name) = Name::new(&notice.channel) {
            let key = (notice.tenant.clone(), name);
            let mut failing = self.failing.write();
            match &sent {
                Ok(()) => drop(failing.remove(&key)),
                Err(e) => drop(failing.insert(key, e.to_string())),
            }
        }
        sent
    }
}

/// Why a notice was not sent.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unsent {
    #[error("{0}")]
    Render(crate::render::RenderError),
    #[error("{}", .0.reason)]
    Refused(Refused),
}

/// Something that happened, among alerts.
pub(crate) fn happened(fingerprint: String, subject: Subject, at: Timestamp) -> Alert {
    Alert { fingerprint, subject, phase: Phase::Happened, since: at, started: at, seen: at, sequence: 1 }
}

/// The journal hears of an alert that begins or ends. One that is of no deployment has no place there.
async fn journal(
    c: &mut Conn,
    tenant: &Tenant,
    alert: &Alert,
    (id, at): (EventId, Timestamp),
) -> Result<(), AlertError> {
    let subject = &alert.subject;
    if subject.deployment().is_empty() {
        return Ok(());
    }
    let told = event::Decision {
        event: id,
        at,
        tenant: tenant.clone(),
        deployment: subject.deployment().to_owned(),
        by: format!("Alert/{}", alert.fingerprint),
        sequence: alert.sequence,
        decision: if alert.phase == Phase::Firing { "raised" } else { "resolved" }.to_owned(),
        sentence: subject.sentence.clone(),
        numbers: json!({
            "name": subject.name, "source": subject.source, "severity": subject.severity, "labels": subject.labels,
            "started": alert.started, "numbers": subject.numbers, "query": subject.query,
        }),
    };
    let body = serde_json::to_value(&told).map_err(|e| AlertError::Stored { what: "event", reason: e.to_string() })?;
    c.outbox(event::Decision::TOPIC, id, &body).await?;
    Ok(())
}
