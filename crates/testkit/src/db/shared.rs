//! Checks of the store's own tables.

use super::TempDb;
use mainspring_core::auth::Resource;
use mainspring_core::{AuditRecord, ErrorKind, Failure, Tenant};
use mainspring_store::sql::{AuditQuery, IdempotencyKey, Lead, Leader, Passes, StoredReply};
use mainspring_store::{Conn, Db, FutureExt, StoreError};
use std::sync::Arc;
use std::time::Duration;

const SECOND: i64 = 1_000_000;

fn record(temp: &TempDb, tenant: &Tenant, action: &'static str, name: &str) -> AuditRecord {
    AuditRecord {
        at: temp.ctx.now(),
        tenant: tenant.clone(),
        subject: Arc::from("key:ab"),
        action,
        resource: Resource { kind: "run", name: name.to_owned() },
        allowed: true,
        reason: None,
        detail: None,
    }
}

async fn write_audit(db: &Db, record: AuditRecord) {
    db.write(move |c: &mut Conn| async move { c.audit(&record).await }.boxed()).await.unwrap();
}

/// The trail is read newest first, in pages, for one tenant.
pub async fn audit_is_paged(temp: &TempDb) {
    let db = temp.open().await;
    let (mine, other) = (Tenant::default(), Tenant::new("other").unwrap());
    for n in 0..25 {
        let action = if n % 5 == 0 { "run.delete" } else { "run.create" };
        write_audit(&db, record(temp, &mine, action, &n.to_string())).await;
        write_audit(&db, record(temp, &other, "run.create", "x")).await;
        temp.clock.advance(SECOND);
    }
    let mut names = Vec::new();
    let mut query = AuditQuery { limit: 10, ..AuditQuery::newest(mine.clone()) };
    loop {
        let page = db.audit_page(query.clone()).await.unwrap();
        let Some(last) = page.last() else { break };
        query.before = Some(last.seq);
        names.extend(page.iter().map(|e| e.resource_name.clone()));
    }
    assert_eq!(names, (0..25).rev().map(|n| n.to_string()).collect::<Vec<_>>());
    let deletes = AuditQuery { action: Some("run.delete".into()), ..AuditQuery::newest(mine.clone()) };
    let deletes = db.audit_page(deletes).await.unwrap();
    assert_eq!(deletes.len(), 5);
    assert!(deletes[0].allowed && deletes[0].reason.is_none() && deletes[0].subject == "key:ab");
    let nobody = AuditQuery { subject: Some("key:zz".into()), ..AuditQuery::newest(mine) };
    assert!(db.audit_page(nobody).await.unwrap().is_empty());
}

/// What is rolled back is not in the trail; a refusal is, with its reason.
pub async fn audit_goes_with_its_change(temp: &TempDb) {
    let db = temp.open().await;
    let tenant = Tenant::default();
    let lost = record(temp, &tenant, "run.create", "lost");
    let write = db.write(move |c: &mut Conn| {
        async move {
            c.audit(&lost).await?;
            Err::<(), _>(StoreError::Closed)
        }
        .boxed()
    });
    assert!(write.await.is_err());
    let refusal = AuditRecord {
        allowed: false,
        reason: Some("only readers".into()),
        detail: Some("version 3".into()),
        ..record(temp, &tenant, "run.delete", "kept")
    };
    write_audit(&db, refusal).await;
    let page = db.audit_page(AuditQuery::newest(tenant)).await.unwrap();
    assert_eq!(page.len(), 1);
    assert_eq!((page[0].allowed, page[0].reason.as_deref()), (false, Some("only readers")));
    assert_eq!(page[0].detail.as_deref(), Some("version 3"));
    assert_eq!(page[0].at, temp.ctx.now());
}

async fn send(db: &Db, temp: &TempDb, topic: &'static str, n: i64) -> Result<mainspring_core::EventId, StoreError> {
    let id = temp.ctx.event_id();
    let body = serde_json::json!({"n": n, "tenant": "acme"});
    db.write(move |c: &mut Conn| async move { c.outbox(topic, id, &body).await }.boxed()).await.map(|()| id)
}

/// Events come out in the order in which they went in, until they are done.
pub async fn outbox_in_order(temp: &TempDb) {
    let db = temp.open().await;
    let mut ids = Vec::new();
    for n in 0..5 {
        ids.push(send(&db, temp, "alias", n).await.unwrap());
        send(&db, temp, "other", n).await.unwrap();
    }
    let taken = db.outbox_take("alias", 3).await.unwrap();
    assert_eq!(taken.iter().map(|e| e.id).collect::<Vec<_>>(), ids[..3]);
    assert_eq!((taken[2].body["n"].as_i64(), taken[2].topic.as_str(), taken[2].at), (Some(2), "alias", temp.ctx.now()));
    assert_eq!(db.outbox_take("alias", 3).await.unwrap(), taken, "they stay until they are done");
    db.outbox_done(&[ids[0], ids[1], ids[2], temp.ctx.event_id()]).await.unwrap();
    db.outbox_done(&[]).await.unwrap();
    let rest = db.outbox_take("alias", 100).await.unwrap();
    assert_eq!(rest.iter().map(|e| e.id).collect::<Vec<_>>(), ids[3..]);
    assert_eq!(db.outbox_take("other", 100).await.unwrap().len(), 5);
    let both = db.outbox_take_of(&["other", "alias", "nobody"], 6).await.unwrap();
    let both: Vec<_> = both.iter().map(|e| (e.topic.as_str(), e.body["n"].as_i64().unwrap_or(-1))).collect();
    assert_eq!(both, [("other", 0), ("other", 1), ("other", 2), ("alias", 3), ("other", 3), ("alias", 4)]);
    let again = ids[4];
    let body = serde_json::json!({});
    let twice = db.write(move |c: &mut Conn| async move { c.outbox("alias", again, &body).await }.boxed()).await;
    assert!(twice.unwrap_err().is_unique());
}

/// An event of a transaction that is rolled back was never there.
pub async fn outbox_goes_with_its_change(temp: &TempDb) {
    let db = temp.open().await;
    let id = temp.ctx.event_id();
    let write = db.write(move |c: &mut Conn| {
        async move {
            c.outbox("alias", id, &serde_json::json!({})).await?;
            Err::<(), _>(StoreError::Closed)
        }
        .boxed()
    });
    assert!(write.await.is_err());
    assert!(db.outbox_take("alias", 10).await.unwrap().is_empty());
}

/// A relay in the same process hears of a commit that wrote to the outbox, and of no other.
pub async fn outbox_wakes_its_relay(temp: &TempDb) {
    let db = temp.open().await;
    let mut changed = db.outbox_changed();
    changed.mark_unchanged();
    super::execute(&db, "INSERT INTO parents (id, name) VALUES (1, 'a')", Vec::new()).await.unwrap();
    let id = temp.ctx.event_id();
    let failed = db.write(move |c: &mut Conn| {
        async move {
            c.outbox("alias", id, &serde_json::json!({})).await?;
            c.execute("INSERT INTO nowhere VALUES (1)", Vec::new()).await
        }
        .boxed()
    });
    assert!(failed.await.is_err());
    assert!(!changed.has_changed().unwrap());
    send(&db, temp, "alias", 1).await.unwrap();
    tokio::time::timeout(crate::PATIENCE, changed.changed()).await.expect("it hears").unwrap();
}

fn key(name: &str) -> IdempotencyKey {
    IdempotencyKey { tenant: Tenant::default(), scope: "run.create".into(), key: name.into() }
}

async fn put(db: &Db, name: &'static str, reply: &'static str) -> bool {
    let stored = StoredReply { fingerprint: "f".into(), reply: reply.into() };
    let ttl = Duration::from_secs(60);
    db.write(move |c: &mut Conn| async move { c.idempotency_put(&key(name), &stored, ttl).await }.boxed())
        .await
        .unwrap()
}

async fn kept(db: &Db, name: &'static str) -> Option<String> {
    let found = db.read(move |c: &mut Conn| async move { c.idempotency_get(&key(name)).await }.boxed()).await;
    found.unwrap().map(|s| s.reply)
}

/// A reply is kept until its time is over, then swept.
pub async fn idempotency_keys_expire(temp: &TempDb) {
    let db = temp.open().await;
    assert_eq!(kept(&db, "k").await, None);
    assert!(put(&db, "k", "one").await);
    temp.clock.advance(59 * SECOND);
    assert_eq!(kept(&db, "k").await.as_deref(), Some("one"));
    assert_eq!(db.sweep_idempotency().await.unwrap(), 0);
    temp.clock.advance(SECOND);
    assert_eq!(kept(&db, "k").await, None);
    assert!(put(&db, "k", "two").await, "an expired key is free");
    assert_eq!(kept(&db, "k").await.as_deref(), Some("two"));
    temp.clock.advance(60 * SECOND);
    assert_eq!(db.sweep_idempotency().await.unwrap(), 1);
}

/// The first of two replies under one key stays; other scopes and tenants have their own.
pub async fn idempotency_first_wins(temp: &TempDb) {
    let db = temp.open().await;
    let puts = futures::future::join_all((0..8).map(|_| put(&db, "k", "first"))).await;
    assert_eq!(puts.iter().filter(|won| **won).count(), 1);
    assert!(!put(&db, "k", "second").await);
    assert_eq!(kept(&db, "k").await.as_deref(), Some("first"));
    assert_eq!(kept(&db, "other").await, None);
}

/// One holder at a time; a lease that is given back or expires is free.
pub async fn lease_has_one_holder(temp: &TempDb) {
    let db = temp.open().await;
    let tenant = Tenant::default();
    let ttl = Duration::from_secs(10);
    let wanted = (0..8).map(|n| {
        let (db, tenant) = (&db, &tenant);
        async move { db.lease_acquire(tenant, "rollout", &format!("replica-{n}"), ttl).await.unwrap() }
    });
    let won: Vec<_> = futures::future::join_all(wanted).await.into_iter().flatten().collect();
    assert_eq!(won.len(), 1);
    let first = won[0].clone();
    temp.clock.advance(9 * SECOND);
    let renewed = db.lease_renew(&first, ttl).await.unwrap();
    assert_eq!(renewed.token, first.token);
    temp.clock.advance(9 * SECOND);
    assert!(db.lease_acquire(&tenant, "rollout", "late", ttl).await.unwrap().is_none());
    temp.clock.advance(SECOND);
    let second = db.lease_acquire(&tenant, "rollout", "late", ttl).await.unwrap().expect("it expired");
    assert!(second.token > first.token);
    db.lease_release(&renewed).await.unwrap();
    assert!(db.lease_acquire(&tenant, "rollout", "third", ttl).await.unwrap().is_none(), "an old holder frees nothing");
    db.lease_release(&second).await.unwrap();
    let third = db.lease_acquire(&tenant, "rollout", "third", ttl).await.unwrap().expect("it was given back");
    assert!(third.token > second.token);
    assert!(db.lease_acquire(&Tenant::new("other").unwrap(), "rollout", "x", ttl).await.unwrap().is_some());
}

/// One of two leads, renews when half of its time is over, and is succeeded when it says nothing for all of it.
pub async fn one_leads_and_writes_seldom(temp: &TempDb) {
    let db = temp.open().await;
    let claim = |owner: &str| Leader::new(db.clone(), "work", owner.to_owned(), Duration::from_secs(10));
    let (mut a, mut b) = (claim("a"), claim("b"));
    assert_eq!((a.lead().await.unwrap(), b.lead().await.unwrap()), (Lead::Taken, Lead::No));
    let first = a.lease().unwrap().clone();
    temp.clock.advance(4 * SECOND);
    assert_eq!((a.lead().await.unwrap(), a.lease()), (Lead::Kept, Some(&first)), "nothing was written");
    temp.clock.advance(2 * SECOND);
    assert_eq!(a.lead().await.unwrap(), Lead::Kept);
    assert!(a.lease().unwrap().expires_at > first.expires_at && a.lease().unwrap().token == first.token);
    temp.clock.advance(9 * SECOND);
    assert_eq!((b.lead().await.unwrap(), b.lease()), (Lead::No, None));
    temp.clock.advance(SECOND);
    assert_eq!((b.lead().await.unwrap(), a.lead().await.unwrap()), (Lead::Taken, Lead::No));
    b.release().await;
    assert_eq!((a.lead().await.unwrap(), b.lead().await.unwrap()), (Lead::Taken, Lead::No));
    // Late, and nobody wanted its place: what it remembers is still true.
    temp.clock.advance(60 * SECOND);
    assert_eq!((a.lead().await.unwrap(), b.lead().await.unwrap()), (Lead::Kept, Lead::No));
}

struct Trips {
    leader: Leader,
    led: tokio::sync::mpsc::UnboundedSender<Lead>,
    passes: u32,
}

impl Passes for Trips {
    type Error = StoreError;
    const STANDS_STILL: &'static str = "nothing is tried";

    async fn pass(&mut self) -> Result<(), StoreError> {
        let lead = self.leader.lead().await?;
        self.passes += 1;
        if self.passes == 1 {
            std::panic::resume_unwind(Box::new("a bug of the first pass"));
        }
        let _nobody_looks = self.led.send(lead);
        Ok(())
    }

    fn leader(&mut self) -> &mut Leader {
        &mut self.leader
    }
}

/// A pass that panics ends nothing: the next one takes the lease anew.
pub async fn a_pass_that_panics_is_tried_again(temp: &TempDb) {
    let leader = Leader::new(temp.open().await, "work", "a".to_owned(), Duration::from_secs(10));
    let (led, mut seen) = tokio::sync::mpsc::unbounded_channel();
    let run = temp.ctx.tasks.spawn_graceful(Trips { leader, led, passes: 0 }.run(temp.ctx.clone()));
    assert_eq!((seen.recv().await, seen.recv().await), (Some(Lead::Taken), Some(Lead::Kept)));
    assert!(temp.ctx.tasks.shutdown(Duration::from_mins(1)).await);
    run.await.unwrap();
}

/// A holder that is slow keeps what nobody else took; once somebody has, it cannot renew and its change is refused by the
/// token.
pub async fn late_holder_is_fenced_off(temp: &TempDb) {
    let db = temp.open().await;
    let tenant = Tenant::default();
    let ttl = Duration::from_secs(10);
    let old = db.lease_acquire(&tenant, "rollout", "a", ttl).await.unwrap().unwrap();
    let change = |lease: mainspring_store::sql::Lease, id: i64| {
        db.write(move |c: &mut Conn| {
            async move {
                c.lease_check(&lease).await?;
                let sql = "INSERT INTO parents (id, name) VALUES ($1, $2)";
                c.execute(sql, mainspring_store::args![id, id.to_string()]).await
            }
            .boxed()
        })
    };
    change(old.clone(), 1).await.unwrap();
    temp.clock.advance(10 * SECOND);
    change(old.clone(), 2).await.unwrap();
    let old = db.lease_renew(&old, ttl).await.unwrap();
    temp.clock.advance(20 * SECOND);
    let new = db.lease_acquire(&tenant, "rollout", "b", ttl).await.unwrap().unwrap();
    let late = change(old.clone(), 3).await.unwrap_err();
    assert_eq!(late.kind(), ErrorKind::Conflict);
    assert!(matches!(db.lease_renew(&old, ttl).await, Err(StoreError::LeaseLost { .. })));
    change(new, 4).await.unwrap();
    assert_eq!(super::number(&db, "SELECT count(*) AS n FROM parents").await, 3);
}
