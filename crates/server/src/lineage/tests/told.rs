use super::World;
use crate::lineage::outbound::{Outbound, Pass, Teller, start};
use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use mainspring_core::{EventId, Tenant};
use mainspring_lineage::{Happened, TOPIC, Told as Other};
use mainspring_registry::{Changed, Told as Registered};
use mainspring_store::sql::{Lead, Leader};
use mainspring_testkit::{PATIENCE, eventually};
use parking_lot::Mutex;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;

impl World {
    /// Something to tell, in the outbox.
    async fn wait_with(&self, topic: &'static str, n: u64) -> EventId {
        let (id, at) = (self.ctx.event_id(), self.ctx.now());
        let body = match topic {
            Registered::TOPIC => {
                let what = Changed::Version { name: "churn".into(), version: i64::try_from(n).unwrap() };
                serde_json::to_value(Registered { tenant: Tenant::default(), at, what }).unwrap()
            }
            _ => {
                let what = Happened::Event(json!({ "n": n }));
                serde_json::to_value(Other { tenant: Tenant::default(), at, what }).unwrap()
            }
        };
        self.db.write(move |c| Box::pin(async move { c.outbox(topic, id, &body).await })).await.unwrap();
        id
    }

    fn tell(&self, url: &str) {
        start(self.outbound(url), &self.ctx).unwrap();
    }

    fn outbound(&self, url: &str) -> Outbound {
        let (db, house, lineage) = (self.db.clone(), self.house.clone(), self.lineage.clone());
        Outbound { db, house, lineage, url: url.into(), key: None }
    }

    async fn left(&self) -> usize {
        self.db.outbox_take_of(&[TOPIC, Registered::TOPIC], 100).await.unwrap().len()
    }
}

/// A collector: what it got, and how it answers the next ones; 201 when nothing is said.
#[derive(Default)]
struct Collector {
    got: Mutex<Vec<Value>>,
    answers: Mutex<Vec<u16>>,
}

impl Collector {
    async fn listen(self: &Arc<Self>) -> String {
        let answer = async |State(me): State<Arc<Collector>>, body: String| {
            let code = me.answers.lock().pop().unwrap_or(201);
            let mut headers = HeaderMap::new();
            if code == 201 {
                me.got.lock().push(serde_json::from_str(&body).unwrap_or(Value::Null));
            } else if code < 400 {
                headers.insert("location", "/elsewhere".parse().unwrap());
            }
            (StatusCode::from_u16(code).unwrap(), headers)
        };
        let app = Router::new().route("/api/v1/lineage", post(answer)).with_state(Arc::clone(self));
        let elsewhere = axum::routing::any(async || StatusCode::OK);
        let app = app.route("/elsewhere", elsewhere);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        #[expect(clippy::disallowed_methods, reason = "it ends with the test's runtime")]
        tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        url
    }

    async fn until(&self, count: usize) -> Vec<String> {
        eventually("the collector is told", async || self.got.lock().len() >= count).await;
        let shown = |event: &Value| match &event["n"] {
            Value::Null => event["dataset"]["name"].as_str().unwrap_or_default().to_owned(),
            n => n.to_string(),
        };
        self.got.lock().iter().map(shown).collect()
    }
}

#[tokio::test]
async fn what_waits_is_told_in_the_order_in_which_it_happened() {
    let world = World::new().await;
    world.model("churn").await;
    for _ in 0..2 {
        world.version("churn", None, Vec::new()).await;
    }
    for (topic, n) in [(TOPIC, 7), (Registered::TOPIC, 1), (TOPIC, 8), (Registered::TOPIC, 2), (TOPIC, 9)] {
        world.wait_with(topic, n).await;
    }
    let collector = Arc::new(Collector::default());
    world.tell(&collector.listen().await);
    assert_eq!(collector.until(5).await, ["7", "models/churn/1", "8", "models/churn/2", "9"]);
    eventually("nothing waits", async || world.left().await == 0).await;
    // Who ends gives the lease back: the next one need not wait for its end.
    assert!(world.ctx.tasks.shutdown(PATIENCE).await);
    for name in ["lineage", "lineage deployments"] {
        let mut next = Leader::new(world.db.clone(), name, "next".into(), Duration::from_secs(30));
        assert_eq!(next.lead().await.unwrap(), Lead::Taken, "{name}");
    }
}

#[tokio::test]
async fn a_redirected_event_is_told_again_and_a_refused_one_is_left_out() {
    let world = World::new().await;
    for n in 1..4 {
        world.wait_with(TOPIC, n).await;
    }
    let collector = Arc::new(Collector::default());
    // From the last to the first: 1 is sent elsewhere, then taken; 2 is refused for good.
    *collector.answers.lock() = vec![422, 201, 302];
    world.tell(&collector.listen().await);
    assert_eq!(collector.until(2).await, ["1", "3"]);
    eventually("nothing waits", async || world.left().await == 0).await;
    assert!(world.ctx.tasks.shutdown(PATIENCE).await);
}

#[tokio::test]
async fn who_lost_the_lease_tells_no_more() {
    let world = World::new().await;
    for n in 1..4 {
        world.wait_with(TOPIC, n).await;
    }
    let collector = Arc::new(Collector::default());
    // While the first is told, its time runs out, and another server takes over.
    let (db, clock) = (world.db.clone(), world.temp.clock.clone());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let answer = async move |State(got): State<Arc<Collector>>, body: String| {
        let first = got.got.lock().is_empty();
        if first {
            clock.advance(31_000_000);
            let mut other = Leader::new(db.clone(), "lineage", "other".into(), Duration::from_secs(3_600));
            assert_eq!(other.lead().await.unwrap(), Lead::Taken);
        }
        got.got.lock().push(serde_json::from_str(&body).unwrap());
        StatusCode::CREATED
    };
    let app = Router::new().route("/api/v1/lineage", post(answer)).with_state(Arc::clone(&collector));
    #[expect(clippy::disallowed_methods, reason = "it ends with the test's runtime")]
    tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
    let mut teller = Teller::new(&world.outbound(&url), &world.ctx).unwrap();
    assert_eq!(teller.pass().await.unwrap(), Pass::Anothers);
    assert_eq!((collector.until(1).await, world.left().await), (vec!["1".to_owned()], 2));
}
