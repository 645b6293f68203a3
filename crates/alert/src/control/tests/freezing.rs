//! A channel that freezes the version that an alert is about.

use super::*;
use crate::ports::Freezer;
use crate::render::Freeze;
use crate::{AlertError, DETECTED_CHANGE, DeliveryState, TryChannel};

/// Versions that were frozen, in order, and what it says instead.
#[derive(Default)]
struct Registry {
    frozen: Mutex<Vec<Freeze>>,
    refuses: Mutex<Option<Refused>>,
}

impl Freezer for Registry {
    fn freeze(&self, freeze: Freeze) -> BoxFuture<'_, Result<(), Refused>> {
        let refused = self.refuses.lock().clone();
        if refused.is_none() {
            self.frozen.lock().push(freeze);
        }
        Box::pin(std::future::ready(refused.map_or(Ok(()), Err)))
    }
}

const FREEZE: &str = "{on: [drift], severity: page, freeze: {}}";

/// Drift of version 8, or of nobody's.
fn drift(active: bool, version: Option<&str>) -> Signal {
    let of = burn(active);
    let numbers = version.map_or_else(|| json!({}), |version| json!({"model": "churn", "version": version}));
    Signal { subject: Subject { numbers, ..of.subject }, ..of }
}

fn process(stage: &Stage) -> (Arc<Registry>, Alerts, Controller) {
    let registry = Arc::new(Registry::default());
    let (alerts, controller) = stage.process(1, FREEZE);
    let alerts = alerts.frozen_by(registry.clone());
    (registry, alerts.clone(), Controller { alerts, ..controller })
}

async fn states(alerts: &Alerts) -> Vec<(DeliveryState, Option<String>)> {
    let channels = alerts.channels(&may(ReadAlerts), 10).await.unwrap();
    channels[0].deliveries.iter().map(|d| (d.state, d.error.clone())).collect()
}

async fn a_version_is_frozen_once_each_time_its_alert_begins(temp: TempDb) {
    let stage = Stage::on(temp).await;
    let (registry, alerts, mut controller) = process(&stage);
    let frozen = || registry.frozen.lock().len();
    alerts.observe(&tenant(), drift(true, Some("8"))).await.unwrap();
    stage.turn(&mut controller).await;
    assert_eq!(frozen(), 1, "at once: it waits for no others");
    let first = registry.frozen.lock()[0].clone();
    assert_eq!((first.model.as_str(), first.version.as_str(), &first.tenant), ("churn", "8", &tenant()));
    assert_eq!(first.reason, "alert Drift (deployment churn): age drifted");
    // It goes on for days, and is over: whoever unfreezes meanwhile has the last word.
    for _ in 0..3 {
        stage.pass_time(86_400);
        alerts.observe(&tenant(), drift(true, Some("8"))).await.unwrap();
        stage.turn(&mut controller).await;
    }
    alerts.observe(&tenant(), drift(false, Some("8"))).await.unwrap();
    stage.turn(&mut controller).await;
    stage.turn(&mut controller).await;
    assert_eq!(frozen(), 1);
    alerts.observe(&tenant(), drift(true, Some("9"))).await.unwrap();
    stage.turn(&mut controller).await;
    assert_eq!((frozen(), registry.frozen.lock()[1].version.clone()), (2, "9".to_owned()));
    assert_eq!(states(&alerts).await, [(DeliveryState::Sent, None), (DeliveryState::Sent, None)]);
}

#[tokio::test]
async fn a_version_is_frozen_once_each_time_its_alert_begins_on_sqlite() {
    a_version_is_frozen_once_each_time_its_alert_begins(TempDb::sqlite()).await;
}

#[tokio::test]
async fn a_version_is_frozen_once_each_time_its_alert_begins_on_postgres() {
    a_version_is_frozen_once_each_time_its_alert_begins(TempDb::postgres()).await;
}

#[tokio::test]
async fn what_cannot_be_frozen_is_said_and_what_can_later_is_tried_again() {
    let stage = Stage::on(TempDb::sqlite()).await;
    let (registry, alerts, mut controller) = process(&stage);
    alerts.observe(&tenant(), drift(true, None)).await.unwrap();
    stage.turn(&mut controller).await;
    let (state, error) = states(&alerts).await.remove(0);
    assert_eq!(state, DeliveryState::Refused, "it is not tried for a day");
    assert!(error.as_deref().is_some_and(|e| e.contains("mainspring model freeze")), "{error:?}");
    alerts.observe(&tenant(), drift(false, None)).await.unwrap();
    stage.turn(&mut controller).await;
    let away = Refused { reason: "the database does not answer".into(), for_good: false, after: None };
    *registry.refuses.lock() = Some(away);
    alerts.observe(&tenant(), drift(true, Some("8"))).await.unwrap();
    stage.turn(&mut controller).await;
    assert_eq!(states(&alerts).await[0].0, DeliveryState::Waiting);
    *registry.refuses.lock() = None;
    stage.pass_time(10);
    stage.turn(&mut controller).await;
    assert_eq!(states(&alerts).await[0].0, DeliveryState::Sent);
    assert_eq!(registry.frozen.lock().len(), 1);
}

#[tokio::test]
async fn a_silenced_alert_freezes_nothing_and_a_test_neither() {
    let stage = Stage::on(TempDb::sqlite()).await;
    let (registry, alerts, mut controller) = process(&stage);
    let matching = vec!["deployment=churn".parse().unwrap()];
    let silence = NewSilence { matching, length: Duration::from_secs(3600), reason: "known".into() };
    alerts.silence(&may(SilenceAlerts { id: None }), silence).await.unwrap();
    alerts.observe(&tenant(), drift(true, Some("8"))).await.unwrap();
    stage.turn(&mut controller).await;
    assert!(registry.frozen.lock().is_empty());
    let tried = alerts.try_channel(&may(TryChannel { channel: name("oncall") })).await.unwrap_err();
    assert!(matches!(&tried, AlertError::Render(e) if e.to_string().contains("cannot be tried")), "{tried:?}");
    stage.pass_time(3601);
    stage.turn(&mut controller).await;
    assert_eq!(registry.frozen.lock().len(), 1, "it still fires when the silence ends");
}

/// What a stream detector calls may be nothing: no version is frozen for it, however the channel asks.
#[tokio::test]
async fn a_detected_change_freezes_nothing() {
    let stage = Stage::on(TempDb::sqlite()).await;
    let (registry, alerts, mut controller) = process(&stage);
    let of = drift(true, Some("8"));
    let named = Subject { name: DETECTED_CHANGE.to_owned(), ..of.subject.clone() };
    alerts.observe(&tenant(), Signal { subject: named, ..of.clone() }).await.unwrap();
    stage.turn(&mut controller).await;
    assert!(registry.frozen.lock().is_empty() && states(&alerts).await.is_empty(), "nor is it refused");
    alerts.observe(&tenant(), of).await.unwrap();
    stage.turn(&mut controller).await;
    assert_eq!(registry.frozen.lock().len(), 1, "drift does");
}
