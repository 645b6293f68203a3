//! Profiles of new versions, with nobody who asks for them.

use super::*;

impl Stage {
    /// A version is registered, with training data of so many bytes.
    fn registers(&self, version: &str, bytes: Option<u64>) {
        let at = self.clock.now();
        let (model, version) = ("churn".to_owned(), version.to_owned());
        self.fresh.lock().push((FreshVersion { tenant: Tenant::default(), model, version, at }, bytes));
    }
}

impl Server {
    /// Who has saved the profile of a version.
    async fn saved_by(&self, version: &str) -> Option<String> {
        let (db, version) = (self.monitors.db.clone(), version.to_owned());
        let of = (Tenant::default(), "churn".to_owned(), version);
        let row = db.read(move |c| async move { sql::profile(c, (&of.0, &of.1, &of.2)).await }.boxed()).await.unwrap();
        row.map(|row| row.saved_by)
    }

    /// Passes, a second each, until the version before has been looked at.
    async fn passes(&mut self, stage: &Stage, seconds: usize) {
        for _ in 0..seconds {
            stage.clock.advance(SECOND);
            self.controller.pass().await.unwrap();
            // The data is read beside the passes.
            tokio::time::sleep(Duration::from_millis(3)).await;
        }
    }

    async fn until_saved(&mut self, stage: &Stage, version: &str) {
        for _ in 0..2_000 {
            if self.saved_by(version).await.is_some() {
                return;
            }
            self.passes(stage, 1).await;
        }
        panic!("version {version} has no profile");
    }
}

async fn soon_after_a_registration_its_profile_is_there(temp: TempDb) {
    let db = temp.open_with(&[MIGRATIONS]).await;
    let stage = stage(&temp.clock);
    *stage.trained.lock() = Some(trained(&stage, 0.0));
    stage.registers("1", Some(9));
    temp.clock.advance(2 * MINUTE);
    let mut a = Server::new(&db, &temp.ctx, &stage, "a");
    a.passes(&stage, 40).await;
    assert_eq!(*stage.asked.lock(), 0, "what was there before anybody looked is made when it is needed");
    for (version, bytes) in [("2", Some(9)), ("3", None), ("4", Some(2 << 30)), ("5", Some(9))] {
        stage.registers(version, bytes);
    }
    a.passes(&stage, 25).await;
    assert_eq!(*stage.asked.lock(), 0, "its tags may still come");
    a.until_saved(&stage, "5").await;
    assert_eq!(a.saved_by("2").await.as_deref(), Some("the server"));
    assert_eq!((a.saved_by("1").await, a.saved_by("3").await, a.saved_by("4").await), (None, None, None));
    assert_eq!(*stage.asked.lock(), 2, "nothing to read, and too much, is not read");
    // A leader that is killed while it reads has not finished: the next one goes on there, and with what nobody saw.
    a.passes(&stage, 5).await;
    *stage.slowly.lock() = Some(Arc::default());
    stage.registers("6", Some(9));
    a.passes(&stage, 40).await;
    assert_eq!((a.saved_by("6").await, *stage.asked.lock()), (None, 3));
    drop(a);
    stage.registers("7", Some(9));
    *stage.slowly.lock() = None;
    let mut b = Server::new(&db, &temp.ctx, &stage, "b");
    b.until_saved(&stage, "7").await;
    assert_eq!(b.saved_by("6").await.as_deref(), Some("the server"));
    // What has a profile is left alone, and nothing is read for nothing.
    b.passes(&stage, 90).await;
    assert_eq!(*stage.asked.lock(), 5);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn soon_after_a_registration_its_profile_is_there_on_sqlite() {
    soon_after_a_registration_its_profile_is_there(TempDb::sqlite()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn soon_after_a_registration_its_profile_is_there_on_postgres() {
    soon_after_a_registration_its_profile_is_there(TempDb::postgres()).await;
}
