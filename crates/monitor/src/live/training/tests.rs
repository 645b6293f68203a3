use super::*;
use crate::live::PortResult;
use mainspring_core::Ctx;
use mainspring_testkit::TempDb;

/// Reads nothing, and not before it is told.
#[derive(Default)]
struct Slow {
    begun: Mutex<u32>,
    go: tokio::sync::Notify,
}

impl Models for Slow {
    fn resolve<'a>(&'a self, _: &'a Tenant, uri: &'a str) -> PortResult<'a, (String, String)> {
        Box::pin(async move { Ok((uri.to_owned(), "1".to_owned())) })
    }

    fn training<'a>(&'a self, _: &'a Tenant, _: &'a str, _: &'a str) -> PortResult<'a, Option<Trained>> {
        *self.begun.lock() += 1;
        Box::pin(async move {
            self.go.notified().await;
            Ok(None)
        })
    }
}

/// A monitor and a reader want one version's, and one of them goes away meanwhile: it is read once.
#[tokio::test]
async fn whoever_wants_what_is_being_read_waits_for_the_same_reading() {
    let ctx: Ctx = TempDb::sqlite().ctx.clone();
    let slow = Arc::new(Slow::default());
    let training = Training::new(Arc::clone(&slow) as Arc<dyn Models>, ctx.tasks.clone());
    let (tenant, of) = (Tenant::default(), ("churn", "3"));
    let reader = || training.of(&tenant, of, READER_WAITS);
    let mut gone = Box::pin(reader());
    assert!(futures::poll!(&mut gone).is_pending());
    drop(gone);
    let (mut one, mut two) = (Box::pin(reader()), Box::pin(reader()));
    assert!(futures::poll!(&mut one).is_pending() && futures::poll!(&mut two).is_pending());
    let impatient = training.of(&tenant, of, Duration::ZERO).await.unwrap_err();
    assert_eq!(impatient.message, "what churn version 3 was trained on is being read");
    slow.go.notify_one();
    let (one, two) = tokio::join!(one, two);
    assert!(one.unwrap().is_none() && two.unwrap().is_none());
    assert_eq!(*slow.begun.lock(), 1);
    slow.go.notify_one();
    assert!(reader().await.unwrap().is_none());
    assert_eq!(*slow.begun.lock(), 2, "what is known then may be another thing later");
}
