//! The tables of monitors: what is read, and the one transaction that a minute is.

mod migrations;

pub use migrations::MIGRATIONS;

use super::error::WatchError;
use super::history::{Effect, HOUR, HOURS, MINUTES, Point};
use super::outlook::Outlook;
use super::ports::{About, Alarm};
use super::spec::{MonitorSpec, Severity};
use super::watch::{Transition, TransitionKind, Watch};
use mainspring_core::event::Decision;
use mainspring_core::{AuditRecord, EventId, Name, Tenant, Timestamp};
use mainspring_store::sql::Lease;
use mainspring_store::{Conn, Row, args};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::sync::Arc;

fn stored<T: DeserializeOwned>(text: &str, what: &'static str) -> Result<T, WatchError> {
    serde_json::from_str(text).map_err(|e| WatchError::Stored { what, reason: e.to_string() })
}

fn text(value: &impl Serialize, what: &'static str) -> Result<String, WatchError> {
    serde_json::to_string(value).map_err(|e| WatchError::Stored { what, reason: e.to_string() })
}

/// A monitor as it is in the database.
#[derive(Debug, Clone)]
pub(crate) struct State {
    pub tenant: Tenant,
    pub name: Name,
    /// What was declared when it was written.
    pub spec: Arc<MonitorSpec>,
    pub watch: Watch,
    /// How often it was written: for compare and swap; 0 when it never was.
    pub version: i64,
    /// Rows that came too late.
    pub late: u64,
    /// Why it does not go on, as it is stored; [`commit`] leaves it to [`say`].
    pub problem: Option<String>,
}

fn state(row: &Row) -> Result<State, WatchError> {
    let wrong = |what| move |e: &dyn std::fmt::Display| WatchError::Stored { what, reason: e.to_string() };
    Ok(State {
        tenant: Tenant::new(&row.text("tenant")?).map_err(|e| wrong("tenant")(&e))?,
        name: Name::new(&row.text("name")?).map_err(|e| wrong("name")(&e))?,
        spec: Arc::new(stored(&row.text("spec")?, "spec")?),
        watch: stored(&row.text("state")?, "state")?,
        version: row.int("version")?,
        late: u64::try_from(row.int("late")?).unwrap_or_default(),
        problem: row.opt_text("problem")?,
    })
}

/// How often the state of each monitor was written, and why it does not go on.
pub(crate) async fn writes(c: &mut Conn) -> Result<Vec<(Tenant, Name, i64, Option<String>)>, WatchError> {
    let sql = "SELECT tenant, name, version, problem FROM monitor_state ORDER BY tenant, name";
    let mut all = Vec::new();
    for row in c.query(sql, args![]).await? {
        // What is no name of ours is no monitor of ours.
        if let (Ok(tenant), Ok(name)) = (Tenant::new(&row.text("tenant")?), Name::new(&row.text("name")?)) {
            all.push((tenant, name, row.int("version")?, row.opt_text("problem")?));
        }
    }
    Ok(all)
}

/// One monitor.
pub(crate) async fn one(c: &mut Conn, tenant: &Tenant, name: &Name) -> Result<Option<State>, WatchError> {
    let sql = "SELECT * FROM monitor_state WHERE tenant = $1 AND name = $2";
    c.query_opt(sql, args![tenant, name]).await?.as_ref().map(state).transpose()
}

/// What a minute has made of a monitor.
#[derive(Debug)]
pub(crate) struct Change {
    /// With the version that it was read with.
    pub state: State,
    /// Each with the ids of its event in the journal and of its alarm.
    pub told: Vec<(Transition, [EventId; 2])>,
    /// What the looks since the last write saw, the oldest first.
    pub points: Vec<Point>,
    /// What stood in its place and is not gone on with.
    pub before: Option<State>,
    pub ends: Ends,
}

/// What a write needs that ends what was before it.
#[derive(Debug)]
pub(crate) struct Ends {
    pub lease: Lease,
    pub at: Timestamp,
    /// The ids of the alarms that end, if they do: of drift, of what is estimated, of what detectors call, and of a monitor that
    /// did not go on.
    pub alarms: [EventId; 4],
}

/// Writes a state and all that follows from it, or nothing.
pub(crate) async fn commit(c: &mut Conn, change: &Change) -> Result<(), WatchError> {
    let State { tenant, name, spec, watch, version, late, .. } = &change.state;
    c.lease_check(&change.ends.lease).await?;
    let written = c
        .execute(
            "INSERT INTO monitor_state (tenant, name, spec, state, version, updated_at, late)
             VALUES ($1, $2, $3, $4, $5, $6, $7)
             ON CONFLICT (tenant, name) DO UPDATE
             SET spec = excluded.spec, state = excluded.state, version = excluded.version,
                 updated_at = excluded.updated_at, late = excluded.late
             WHERE monitor_state.version = $8",
            args![
                tenant,
                name,
                text(&**spec, "spec")?,
                text(watch, "state")?,
                version + 1,
                change.ends.at,
                i64::try_from(*late).unwrap_or(i64::MAX),
                *version
            ],
        )
        .await?;
    if written == 0 {
        return Err(WatchError::Raced(name.to_string()));
    }
    if let Some(before) = &change.before {
        end(c, before, &change.ends, "it was declared anew with another test").await?;
    }
    for (transition, ids) in &change.told {
        tell(c, &change.state, transition, ids).await?;
    }
    remember(c, (tenant, name), &change.points).await
}

/// Keeps looks: the last of each minute for hours, the last of each hour for days.
async fn remember(c: &mut Conn, (tenant, name): (&Tenant, &Name), points: &[Point]) -> Result<(), WatchError> {
    let Some(newest) = points.last().map(|point| point.at.micros()) else { return Ok(()) };
    for (at, point) in points.iter().enumerate() {
        let last_of_hour = points.get(at + 1).is_none_or(|next| next.hour() != point.hour());
        let body = text(&point.columns, "look")?;
        let recent = point.at.micros() >= newest - MINUTES;
        let minute = point.at.micros() - point.at.micros().rem_euclid(super::rows::MINUTE);
        let steps = [(super::rows::MINUTE, minute, recent), (HOUR, point.hour(), last_of_hour)];
        for (step, slot, _) in steps.into_iter().filter(|(_, _, kept)| *kept) {
            c.execute(
                "INSERT INTO monitor_history (tenant, name, step, slot, at, body) VALUES ($1, $2, $3, $4, $5, $6)
                 ON CONFLICT (tenant, name, step, slot) DO UPDATE SET at = excluded.at, body = excluded.body",
                args![tenant, name, step, slot, point.at, body.as_str()],
            )
            .await?;
        }
    }
    for (step, long) in [(super::rows::MINUTE, MINUTES), (HOUR, HOURS)] {
        let sql = "DELETE FROM monitor_history WHERE tenant = $1 AND name = $2 AND step = $3 AND slot < $4";
        c.execute(sql, args![tenant, name, step, newest - long]).await?;
    }
    Ok(())
}

/// The looks since `since`, the oldest first: of each hour the last, and of the latest hours each.
pub(crate) async fn history(
    c: &mut Conn,
    (tenant, name): (&Tenant, &Name),
    since: Timestamp,
) -> Result<Vec<Point>, WatchError> {
    let sql = "SELECT at, body FROM monitor_history h WHERE tenant = $1 AND name = $2 AND at >= $3
               AND (step = $4 OR NOT EXISTS (SELECT 1 FROM monitor_history m
                    WHERE m.tenant = h.tenant AND m.name = h.name AND m.step = $4 AND m.at = h.at))
               ORDER BY at";
    let rows = c.query(sql, args![tenant, name, since, super::rows::MINUTE]).await?;
    let point = |row: &Row| {
        let columns: Vec<Effect> = stored(&row.text("body")?, "look")?;
        Ok(Point { at: Timestamp(row.int("at")?), columns })
    };
    rows.iter().map(point).collect()
}

/// What others must hear, at least once, after the commit: the journal of the transition, and whom it concerns.
async fn tell(c: &mut Conn, of: &State, told: &Transition, ids: &[EventId; 2]) -> Result<(), WatchError> {
    let State { tenant, name, spec, .. } = of;
    let sql = "SELECT COALESCE(MAX(seq), 0) AS seq FROM monitor_transition WHERE tenant = $1 AND name = $2";
    let last = c.query_opt(sql, args![tenant, name]).await?.map_or(Ok(0), |row| row.int("seq"))?;
    let sql = "INSERT INTO monitor_transition (tenant, name, seq, at, body) VALUES ($1, $2, $3, $4, $5)";
    c.execute(sql, args![tenant, name, last + 1, told.at, text(told, "transition")?]).await?;
    let event = Decision {
        event: ids[0],
        at: told.at,
        tenant: tenant.clone(),
        deployment: spec.deployment.to_string(),
        by: format!("Monitor/{name}"),
        sequence: u64::try_from(last + 1).unwrap_or_default(),
        decision: told.kind.as_str().to_owned(),
        sentence: told.sentence.clone(),
        numbers: told.numbers.clone(),
    };
    c.outbox(Decision::TOPIC, ids[0], &body(&event)?).await?;
    let begins = matches!(told.kind, TransitionKind::Drifted | TransitionKind::Detected | TransitionKind::Degraded);
    // What may be nothing stops no rollout.
    let sure = told.kind == TransitionKind::Drifted;
    // What was no drift ends none.
    if !begins && !told.ends() {
        return Ok(());
    }
    let about = told.about();
    let alarm = Alarm {
        // What ends while something else goes on is no end: the alarm stays, says what is true now, and orders nothing again.
        firing: told.goes_on(),
        order: spec.on_drift.as_ref().map(|on| on.rollout).filter(|_| sure),
        ..over((tenant, name, spec), about, told.at, told.sentence.clone(), told.numbers.clone())
    };
    c.outbox(super::ALARMS, ids[1], &body(&alarm)?).await?;
    Ok(())
}

/// The alarm of a monitor that sees nothing of this any more, as it was declared.
fn over(
    (tenant, name, spec): (&Tenant, &Name, &MonitorSpec),
    about: About,
    at: Timestamp,
    sentence: String,
    numbers: serde_json::Value,
) -> Alarm {
    Alarm {
        tenant: tenant.clone(),
        monitor: name.to_string(),
        deployment: spec.deployment.clone(),
        variant: spec.variant.clone(),
        about,
        firing: false,
        at,
        severity: match about {
            // What may be nothing wakes nobody, nor does a monitor that stands still.
            About::Detected | About::Stopped => Severity::Warning,
            About::Drift | About::Estimate => spec.severity,
        },
        sentence,
        runbook: spec.runbook.clone(),
        order: None,
        numbers,
    }
}

fn body(value: &impl Serialize) -> Result<serde_json::Value, WatchError> {
    serde_json::to_value(value).map_err(|e| WatchError::Stored { what: "transition", reason: e.to_string() })
}

/// Ends the alarms of a state that is not gone on with, under what it was declared as: nothing else ever would.
async fn end(c: &mut Conn, state: &State, ends: &Ends, why: &str) -> Result<(), WatchError> {
    let State { tenant, name, spec, watch, .. } = state;
    let degraded = watch.outlook.as_ref().is_some_and(Outlook::is_degraded);
    let going_on = [
        (watch.drifting, About::Drift, "saw", "drift"),
        (degraded, About::Estimate, "estimated", "to be beyond its limit"),
        (watch.detecting, About::Detected, "had detectors that called", "changed"),
        (state.problem.is_some(), About::Stopped, "stood still, with", "unwatched"),
    ];
    for ((goes_on, about, did, what), id) in going_on.into_iter().zip(ends.alarms) {
        if !goes_on {
            continue;
        }
        let sentence = format!("monitor {name} {did} {} of {} {what} until {why}", spec.variant, spec.deployment);
        let numbers = serde_json::json!({"model": watch.model, "version": watch.version});
        let alarm = over((tenant, name, spec), about, ends.at, sentence, numbers);
        c.outbox(super::ALARMS, id, &body(&alarm)?).await?;
    }
    Ok(())
}

/// Forgets a monitor; what it told stays.
pub(crate) async fn forget(c: &mut Conn, (tenant, name): (&Tenant, &Name), ends: &Ends) -> Result<(), WatchError> {
    c.lease_check(&ends.lease).await?;
    match one(c, tenant, name).await {
        Ok(Some(state)) => end(c, &state, ends, "it was taken away").await?,
        Ok(None) => return Ok(()),
        Err(error @ WatchError::Stored { .. }) => {
            tracing::error!(monitor = %name, %error, "an alert that it may have raised does not end by itself");
        }
        Err(error) => return Err(error),
    }
    c.execute("DELETE FROM monitor_state WHERE tenant = $1 AND name = $2", args![tenant, name]).await?;
    c.execute("DELETE FROM monitor_history WHERE tenant = $1 AND name = $2", args![tenant, name]).await?;
    Ok(())
}

/// Whether a monitor goes on.
#[derive(Debug)]
pub(crate) struct Standstill {
    pub tenant: Tenant,
    pub name: Name,
    pub spec: Arc<MonitorSpec>,
    /// Why it does not; nothing when it does.
    pub problem: Option<String>,
    /// Whether it concerns somebody: when, and the id of the alarm.
    pub told: Option<(Timestamp, EventId)>,
    pub lease: Lease,
}

/// Writes down why a monitor does not go on, or that it does; one that was never written has no place for it.
pub(crate) async fn say(c: &mut Conn, of: &Standstill) -> Result<(), WatchError> {
    let Standstill { tenant, name, spec, problem, told, lease } = of;
    c.lease_check(lease).await?;
    let sql = "UPDATE monitor_state SET problem = $1 WHERE tenant = $2 AND name = $3";
    c.execute(sql, args![problem.as_deref(), tenant, name]).await?;
    let Some((at, id)) = *told else { return Ok(()) };
    let sentence = match problem {
        Some(problem) => format!("monitor {name} does not watch {} of {}: {problem}", spec.variant, spec.deployment),
        None => format!("monitor {name} watches {} of {} again", spec.variant, spec.deployment),
    };
    let numbers = serde_json::json!({"problem": problem});
    let alarm =
        Alarm { firing: problem.is_some(), ..over((tenant, name, spec), About::Stopped, at, sentence, numbers) };
    c.outbox(super::ALARMS, id, &body(&alarm)?).await?;
    Ok(())
}

/// What a monitor has told, the newest first, before number `before`.
pub(crate) async fn transitions(
    c: &mut Conn,
    (tenant, name): (&Tenant, &Name),
    before: u64,
    limit: u32,
) -> Result<Vec<(u64, Transition)>, WatchError> {
    let before = i64::try_from(before).unwrap_or(i64::MAX);
    let sql = "SELECT seq, body FROM monitor_transition WHERE tenant = $1 AND name = $2 AND seq < $3
               ORDER BY seq DESC LIMIT $4";
    let rows = c.query(sql, args![tenant, name, before, limit]).await?;
    rows.iter()
        .map(|row| Ok((u64::try_from(row.int("seq")?).unwrap_or_default(), stored(&row.text("body")?, "transition")?)))
        .collect()
}

/// A profile with where it came from.
#[derive(Debug, Clone)]
pub(crate) struct ProfileRow {
    pub profile: String,
    pub source: String,
    pub saved_by: String,
    pub saved_at: Timestamp,
}

/// The profile of a version.
pub(crate) async fn profile(
    c: &mut Conn,
    (tenant, model, version): (&Tenant, &str, &str),
) -> Result<Option<ProfileRow>, WatchError> {
    let sql = "SELECT profile, source, saved_by, saved_at FROM monitor_profile
               WHERE tenant = $1 AND model = $2 AND version = $3";
    let row = c.query_opt(sql, args![tenant, model, version]).await?;
    row.map(|row| {
        Ok(ProfileRow {
            profile: row.text("profile")?,
            source: row.text("source")?,
            saved_by: row.text("saved_by")?,
            saved_at: Timestamp(row.int("saved_at")?),
        })
    })
    .transpose()
}

/// When the profile of a version was saved, if one is.
pub(crate) async fn profile_saved_at(
    c: &mut Conn,
    (tenant, model, version): (&Tenant, &str, &str),
) -> Result<Option<Timestamp>, WatchError> {
    let sql = "SELECT saved_at FROM monitor_profile WHERE tenant = $1 AND model = $2 AND version = $3";
    let row = c.query_opt(sql, args![tenant, model, version]).await?;
    row.map(|row| Ok(Timestamp(row.int("saved_at")?))).transpose()
}

/// Up to when new versions have been looked at for their profiles; `now` where nobody has looked yet.
pub(crate) async fn profiled_until(c: &mut Conn, now: Timestamp, lease: &Lease) -> Result<Timestamp, WatchError> {
    c.lease_check(lease).await?;
    let sql = "INSERT INTO monitor_profiled (one, until) VALUES (1, $1) ON CONFLICT (one) DO NOTHING";
    c.execute(sql, args![now]).await?;
    let row = c.query_opt("SELECT until FROM monitor_profiled WHERE one = 1", args![]).await?;
    Ok(row.map_or(Ok(now), |row| row.int("until").map(Timestamp))?)
}

/// New versions have been looked at up to then.
pub(crate) async fn profile_until(c: &mut Conn, until: Timestamp, lease: &Lease) -> Result<(), WatchError> {
    c.lease_check(lease).await?;
    c.execute("UPDATE monitor_profiled SET until = $1 WHERE one = 1", args![until]).await?;
    Ok(())
}

/// Saves the profile of a version in the place of the one before.
pub(crate) async fn save_profile(
    c: &mut Conn,
    (tenant, model, version): (&Tenant, &str, &str),
    row: &ProfileRow,
    audit: &AuditRecord,
) -> Result<(), WatchError> {
    c.execute(
        "INSERT INTO monitor_profile (tenant, model, version, profile, source, saved_by, saved_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7)
         ON CONFLICT (tenant, model, version) DO UPDATE
         SET profile = excluded.profile, source = excluded.source, saved_by = excluded.saved_by, saved_at = excluded.saved_at",
        args![tenant, model, version, row.profile.as_str(), row.source.as_str(), row.saved_by.as_str(), row.saved_at],
    )
    .await?;
    c.audit(audit).await?;
    Ok(())
}
