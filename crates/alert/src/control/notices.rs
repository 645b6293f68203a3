//! From alerts and happenings to notices: one transaction with what the channel was told.

use super::Controller;
use crate::alerts::{Alerts, happened};
use crate::error::AlertError;
use crate::machine::{Alert, Group, Message, Phase, Standing, due};
use crate::notice::{Item, MOST, Notice, Status};
use crate::sha::short;
use crate::signal::{Happening, Subject};
use crate::silence::Silence;
use crate::spec::ChannelSpec;
use crate::sql::{self, GroupKey};
use mainspring_core::{Name, Tenant, Timestamp};
use mainspring_store::FutureExt;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// What happened before the first start of a server that tells of it is nobody's news.
const BEGAN: &str = "began";

/// What the database says at one moment.
#[derive(Default)]
struct Seen {
    firing: BTreeMap<(Tenant, String), Alert>,
    groups: BTreeMap<GroupKey, Group>,
    silences: Vec<(Tenant, Arc<Silence>)>,
}

impl Seen {
    fn silenced(&self, tenant: &Tenant, subject: &Subject, now: Timestamp) -> bool {
        self.silences.iter().any(|(whose, silence)| whose == tenant && silence.covers(subject, now))
    }

    /// Adds the alerts that channels were told of and that no longer fire.
    async fn complete(mut self, c: &mut mainspring_store::Conn) -> Result<(Self, Vec<(Tenant, Alert)>), AlertError> {
        let mut over = Vec::new();
        let told: BTreeSet<(Tenant, String)> = self
            .groups
            .iter()
            .flat_map(|(key, group)| group.told.iter().map(|f| (key.tenant.clone(), f.clone())))
            .filter(|key| !self.firing.contains_key(key))
            .collect();
        for (tenant, fingerprint) in told {
            match sql::alert(c, &tenant, &fingerprint).await? {
                // It began to fire again since the list was read.
                Some(alert) if alert.phase == Phase::Firing => drop(self.firing.insert((tenant, fingerprint), alert)),
                Some(alert) => over.push((tenant, alert)),
                None => {}
            }
        }
        Ok((self, over))
    }
}

fn group_key(tenant: &Tenant, channel: &Name, labels: &BTreeMap<String, String>) -> GroupKey {
    let labels = labels.iter().flat_map(|(k, v)| [k.as_str(), v.as_str()]);
    let group = short([tenant.as_str(), channel.as_str()].into_iter().chain(labels));
    GroupKey { tenant: tenant.clone(), channel: channel.to_string(), group }
}

impl Controller {
    /// Makes the notices that are due.
    pub(super) async fn make_notices(&mut self, now: Timestamp) -> Result<(), AlertError> {
        let silences = self.alerts.all_silences(now).await?;
        let read = self.alerts.db.read(move |c| {
            async move {
                let (firing, groups) = (sql::firing(c).await?, sql::groups(c).await?);
                let unread = [firing.unread, groups.unread].concat();
                let firing = firing.rows.into_iter().map(|(t, a)| ((t, a.fingerprint.clone()), a)).collect();
                let groups = groups.rows.into_iter().collect();
                let (seen, over) = Seen { firing, groups, silences }.complete(c).await?;
                Ok::<_, AlertError>((seen, over, unread))
            }
            .boxed()
        });
        let (seen, over, unread) = read.await?;
        self.tell_unread("alerts and groups", unread);
        let channels: Vec<((Tenant, Name), Arc<ChannelSpec>)> =
            self.alerts.channels.read().iter().map(|(key, spec)| (key.clone(), Arc::clone(spec))).collect();
        for ((tenant, name), spec) in &channels {
            for (key, Members { group, alerts }) in grouped(&seen, &over, (tenant, name), spec) {
                let silenced = |alert: &Alert| seen.silenced(tenant, &alert.subject, now);
                let all = alerts.into_iter();
                let all = all.map(|(alert, wanted)| Standing { alert, silenced: !wanted || silenced(alert) });
                let all: Vec<Standing<'_>> = all.collect();
                if let Some(message) = due(&group, &all, now, spec.timing()) {
                    let hears = message.group.is_some() || spec.hears_of_ends();
                    self.tell((key, hears), &group.labels, message, now).await?;
                }
            }
        }
        let gone = |key: &&GroupKey| !channels.iter().any(|((t, n), _)| *t == key.tenant && n.as_str() == key.channel);
        for key in seen.groups.keys().filter(gone) {
            let (key, lease) = (key.clone(), self.leader.lease().cloned());
            let write = self.alerts.db.write(move |c| {
                async move {
                    if let Some(lease) = &lease {
                        c.lease_check(lease).await?;
                    }
                    sql::put_group(c, &key, None).await
                }
                .boxed()
            });
            write.await?;
        }
        Ok(())
    }

    /// Puts a notice on its way where the channel hears of it, and remembers that the channel was told.
    async fn tell(
        &self,
        (key, hears): (GroupKey, bool),
        labels: &BTreeMap<String, String>,
        message: Message,
        now: Timestamp,
    ) -> Result<(), AlertError> {
        let (group, repeated) = (message.group.clone(), message.repeated);
        let notice = notice(&self.alerts, &key, labels, message, now);
        let lease = self.leader.lease().cloned();
        let write = self.alerts.db.write(move |c| {
            async move {
                if let Some(lease) = &lease {
                    c.lease_check(lease).await?;
                }
                sql::put_group(c, &key, group.as_ref()).await?;
                // Saying the same again while it is still on its way adds nothing.
                let again = repeated && sql::waits(c, &key).await?;
                if hears && !notice.items.is_empty() && !again {
                    sql::enqueue(c, &notice).await?;
                }
                Ok::<_, AlertError>(())
            }
            .boxed()
        });
        write.await
    }

    /// Reads what happened since, and tells of it.
    pub(super) async fn take_happenings(&mut self, now: Timestamp) -> Result<(), AlertError> {
        let known: BTreeMap<String, u64> =
            self.alerts.db.read(|c| async move { sql::cursors(c).await }.boxed()).await?.into_iter().collect();
        let stamp = u64::try_from(now.micros()).unwrap_or(0);
        let began = known.get(BEGAN).copied();
        let news = match self.ports.happenings.after(&known).await {
            Ok(news) => news,
            Err(error) => {
                tracing::debug!(%error, "what happened is not known; asked again");
                return Ok(());
            }
        };
        if news.is_empty() && began.is_some() {
            return Ok(());
        }
        let since = Timestamp(i64::try_from(began.unwrap_or(stamp)).unwrap_or(i64::MAX));
        let silences = self.alerts.all_silences(now).await?;
        let seen = Seen { silences, ..Seen::default() };
        let mut alerts = Vec::new();
        let mut notices = Vec::new();
        for one in news.iter().filter(|one| one.at >= since) {
            let Some(subject) = &one.subject else { continue };
            let position = one.position.to_string();
            let alert = happened(short(["happening", one.stream.as_str(), &position]), subject.clone(), one.at);
            if !seen.silenced(&one.tenant, subject, now) {
                notices.extend(self.notices_of(one, &alert, now));
            }
            alerts.push((one.tenant.clone(), alert));
        }
        let mut cursors: BTreeMap<String, u64> = BTreeMap::from([(BEGAN.to_owned(), began.unwrap_or(stamp))]);
        for one in news {
            let last = cursors.entry(one.stream).or_default();
            *last = one.position.max(*last);
        }
        let lease = self.leader.lease().cloned();
        let write = self.alerts.db.write(move |c| {
            async move {
                if let Some(lease) = &lease {
                    c.lease_check(lease).await?;
                }
                for (tenant, alert) in &alerts {
                    sql::put(c, tenant, alert, now).await?;
                }
                for notice in &notices {
                    sql::enqueue(c, notice).await?;
                }
                for (stream, position) in &cursors {
                    sql::put_cursor(c, stream, *position).await?;
                }
                Ok::<_, AlertError>(())
            }
            .boxed()
        });
        write.await
    }

    fn notices_of(&self, one: &Happening, alert: &Alert, now: Timestamp) -> Vec<Notice> {
        let channels = self.alerts.channels.read();
        let of = channels.iter().filter(|((tenant, _), spec)| *tenant == one.tenant && spec.wants(&alert.subject));
        of.map(|((tenant, name), spec)| Notice {
            id: self.alerts.ctx.event_id(),
            at: now,
            tenant: tenant.clone(),
            channel: name.to_string(),
            status: Status::Happened,
            // One receiver's incident a list, so that what happens next to it comes after what happened before.
            group: short(["happening", tenant.as_str(), name.as_str(), &one.stream]),
            labels: spec.group_labels(&alert.subject),
            repeated: false,
            items: vec![Item::of(alert, self.alerts.address())],
            left_out: 0,
            link: self.alerts.link(),
        })
        .collect()
    }
}

/// A group of a channel, with the alerts that fire and are wanted, and those that the channel was told of, whatever became
/// of them and whether it still wants to hear of them.
struct Members<'a> {
    group: Group,
    alerts: Vec<(&'a Alert, bool)>,
}

fn grouped<'a>(
    seen: &'a Seen,
    over: &'a [(Tenant, Alert)],
    (tenant, name): (&Tenant, &Name),
    spec: &ChannelSpec,
) -> BTreeMap<GroupKey, Members<'a>> {
    let known = seen.groups.iter().filter(|(k, _)| k.tenant == *tenant && k.channel == name.as_str());
    let known = known.map(|(key, group)| (key.clone(), Members { group: group.clone(), alerts: Vec::new() }));
    let mut all: BTreeMap<GroupKey, Members<'a>> = known.collect();
    for ((_, fingerprint), alert) in
        seen.firing.iter().filter(|((whose, _), a)| whose == tenant && spec.wants(&a.subject))
    {
        let labels = spec.group_labels(&alert.subject);
        let key = group_key(tenant, name, &labels);
        let fresh = || Members { group: Group { labels, ..Group::default() }, alerts: Vec::new() };
        let members = all.entry(key).or_insert_with(fresh);
        // Those that were told come below, wanted or not.
        if !members.group.told.contains(fingerprint) {
            members.alerts.push((alert, true));
        }
    }
    let over: BTreeMap<&str, &Alert> =
        over.iter().filter(|(whose, _)| whose == tenant).map(|(_, a)| (a.fingerprint.as_str(), a)).collect();
    for (key, Members { group, alerts }) in &mut all {
        for fingerprint in &group.told {
            let firing = seen.firing.get(&(tenant.clone(), fingerprint.clone()));
            // The channel may have been declared anew since: to hear less, or of other groups.
            let wanted =
                |a: &Alert| spec.wants(&a.subject) && group_key(tenant, name, &spec.group_labels(&a.subject)) == *key;
            let told = firing.or_else(|| over.get(fingerprint.as_str()).copied());
            alerts.extend(told.map(|alert| (alert, wanted(alert))));
        }
    }
    all
}

fn notice(
    alerts: &Alerts,
    key: &GroupKey,
    labels: &BTreeMap<String, String>,
    message: Message,
    now: Timestamp,
) -> Notice {
    let status = if message.group.is_some() { Status::Firing } else { Status::Resolved };
    let all = message.firing.iter().chain(&message.resolved);
    let items: Vec<Item> = all.take(MOST).map(|alert| Item::of(alert, alerts.address())).collect();
    let left_out = message.firing.len() + message.resolved.len() - items.len();
    Notice {
        id: alerts.ctx.event_id(),
        at: now,
        tenant: key.tenant.clone(),
        channel: key.channel.clone(),
        status,
        group: key.group.clone(),
        labels: labels.clone(),
        repeated: message.repeated,
        items,
        left_out,
        link: alerts.link(),
    }
}
