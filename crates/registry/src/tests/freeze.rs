//! A frozen version: what may not take it, what goes on, and who may end it.

use super::Fixture;
use crate::actions::{
    CreateModel, CreateVersion, DeleteAlias, FreezeVersion, ReadModel, ReturnAlias, SetAlias, TransitionStage,
    UnfreezeVersion, UpdateModel, UpdateVersion,
};
use crate::{FROZEN_TAG, ModelUri, NewVersion, Pair, RegistryError};
use mainspring_core::{ErrorKind, Failure, Tenant};

impl Fixture {
    /// Model `m` with two versions, of which the alias `champion` points at the first.
    async fn two_versions(&self) {
        let run = self.run(0, "r").await;
        self.put(&run, "model/MLmodel", "x").await;
        self.registry.create_model(&self.may(CreateModel::on("m")), "m", Vec::new(), None).await.unwrap();
        for _ in 0..2 {
            let source = format!("runs:/{run}/model");
            let new = NewVersion { name: "m".into(), source, run_id: Some(run.clone()), ..NewVersion::default() };
            self.registry.create_version(&self.may(CreateVersion::on("m")), new).await.unwrap();
        }
        self.alias("champion", 1).await.unwrap();
    }

    async fn alias(&self, alias: &str, version: i64) -> Result<(), RegistryError> {
        self.registry.set_alias(&self.may(SetAlias::on("m")), "m", alias, version).await
    }

    async fn freeze(&self, version: i64, reason: &str) -> Result<crate::ModelVersion, RegistryError> {
        self.registry.freeze_version(&self.may(FreezeVersion::on("m")), ("m", version), reason).await
    }

    async fn stage(&self, version: i64, stage: &str) -> Result<crate::ModelVersion, RegistryError> {
        self.registry.transition_stage(&self.may(TransitionStage::on("m")), ("m", version), stage, false).await
    }

    fn frozen(&self, uri: &str) -> Option<String> {
        self.registry.frozen(&Tenant::default(), &uri.parse::<ModelUri>().unwrap())
    }
}

async fn nothing_new_takes_it(f: &Fixture) {
    f.two_versions().await;
    let kept = f.freeze(2, "rollout m-v2 rolled it back").await.unwrap().frozen.unwrap();
    assert_eq!((kept.by.as_str(), kept.reason.as_str()), ("loopback", "rollout m-v2 rolled it back"));
    let refused = f.alias("champion", 2).await.unwrap_err();
    assert!(matches!(refused, RegistryError::Frozen(_)) && refused.kind() == ErrorKind::Conflict, "{refused:?}");
    let text = refused.to_string();
    assert!(text.contains("rolled it back") && text.contains("mainspring model unfreeze m/2"), "{text}");
    assert!(f.stage(2, "Production").await.is_err());
    // What is no promise to users is free.
    assert_eq!(f.stage(2, "Staging").await.unwrap().stage, "Staging");
    // It is still read, and what points elsewhere still moves.
    let read = f.registry.version(&f.may(ReadModel::on("m")), "m", 2).await.unwrap();
    assert!(read.tags.iter().any(|t| t.key == FROZEN_TAG && t.value.ends_with("rolled it back")), "{:?}", read.tags);
    f.alias("other", 1).await.unwrap();
    // The first reason stays.
    assert_eq!(f.freeze(2, "another").await.unwrap().frozen, Some(kept));
    assert_eq!(f.number("SELECT COUNT(*) AS n FROM registered_model_aliases WHERE version = 2").await, 0);
}

/// Who follows the changes asks once for each: what it is told by then has to be true.
#[tokio::test]
async fn whoever_is_told_of_a_freeze_or_its_end_finds_it_known() {
    let f = Fixture::new().await;
    f.two_versions().await;
    for frozen in [true, false] {
        let mut changes = f.registry.changes();
        let told = async {
            changes.changed().await.unwrap();
            f.frozen("models:/m/2").is_some()
        };
        let end = f.may(UnfreezeVersion::on("m"));
        let change = async {
            if frozen {
                f.freeze(2, "wrong").await.unwrap();
            } else {
                f.registry.unfreeze_version(&end, ("m", 2)).await.unwrap();
            }
        };
        let (known, ()) = tokio::join!(told, change);
        assert_eq!(known, frozen);
    }
}

#[tokio::test]
async fn nothing_new_takes_a_frozen_version_until_a_person_ends_that() {
    let f = Fixture::new().await;
    nothing_new_takes_it(&f).await;
    let end = UnfreezeVersion::on("m");
    let free = f.registry.unfreeze_version(&f.may(end.clone()), ("m", 2)).await.unwrap();
    assert!(free.frozen.is_none() && free.tags.iter().all(|t| t.key != FROZEN_TAG));
    f.alias("champion", 2).await.unwrap();
    let again = f.registry.unfreeze_version(&f.may(end), ("m", 2)).await.unwrap_err();
    assert!(matches!(again, RegistryError::State(_)), "{again:?}");
    for (reason, version) in [("", 1), ("why", 7)] {
        assert!(f.freeze(version, reason).await.is_err(), "{reason:?} {version}");
    }
}

async fn an_alias_goes_back_to_a_frozen_version(f: &Fixture) {
    f.two_versions().await;
    f.alias("champion", 2).await.unwrap();
    f.freeze(1, "somebody said so").await.unwrap();
    assert!(f.alias("champion", 1).await.is_err());
    let back = f.may(ReturnAlias::on("m"));
    f.registry.return_alias(&back, "m", "champion", 1).await.unwrap();
    let at = f.registry.version_by_alias(&f.may(ReadModel::on("m")), "m", "champion").await.unwrap();
    assert!(at.version == 1 && at.frozen.is_some(), "it is there, and frozen still: {at:?}");
    let told = "SELECT COUNT(*) AS n FROM audit WHERE action = 'model-alias.return'";
    assert_eq!(f.number(told).await, 1, "and the trail tells it from a move");
    assert!(f.registry.return_alias(&back, "m", "champion", 7).await.is_err());
    assert!(f.registry.return_alias(&back, "m", "latest", 1).await.is_err());
}

#[tokio::test]
async fn an_alias_goes_back_to_a_frozen_version_on_sqlite() {
    an_alias_goes_back_to_a_frozen_version(&Fixture::new().await).await;
}

#[tokio::test]
async fn an_alias_goes_back_to_a_frozen_version_on_postgres() {
    an_alias_goes_back_to_a_frozen_version(&Fixture::replicas().await.0).await;
}

#[tokio::test]
async fn a_stage_and_the_latest_are_known_by_what_they_mean() {
    let f = Fixture::new().await;
    f.two_versions().await;
    f.stage(1, "Production").await.unwrap();
    f.freeze(1, "why").await.unwrap();
    assert!(f.frozen("models:/m/Production").is_some_and(|why| why.contains("mainspring model unfreeze m/1")));
    assert!(f.frozen("models:/m/production").is_some(), "however it is written");
    for free in ["models:/m/latest", "models:/m@latest", "models:/m/Staging", "models:/other/Production"] {
        assert_eq!(f.frozen(free), None, "{free}");
    }
    // The newest of a stage is what it means.
    f.stage(2, "Production").await.unwrap();
    assert_eq!(f.frozen("models:/m/Production"), None);
    f.freeze(2, "why").await.unwrap();
    for known in ["models:/m/Production", "models:/m/latest", "models:/m@latest"] {
        assert!(f.frozen(known).is_some_and(|why| why.contains("m/2")), "{known}");
    }
}

#[tokio::test]
async fn a_reason_is_one_line_that_no_terminal_obeys() {
    let f = Fixture::new().await;
    f.two_versions().await;
    let frozen = f.freeze(2, " wrong\n\u{1b}[31mred\n").await.unwrap().frozen.unwrap();
    assert_eq!(frozen.reason, "wrong  [31mred");
    let refused = f.alias("champion", 2).await.unwrap_err().to_string();
    assert!(!refused.contains(char::is_control), "{refused:?}");
}

#[tokio::test]
async fn on_postgres_another_replica_refuses_it_too() {
    let (a, b) = Fixture::replicas().await;
    nothing_new_takes_it(&a).await;
    assert!(b.alias("champion", 2).await.is_err(), "the database says so");
    assert_eq!(b.frozen("models:/m/2"), None);
    b.registry.refresh().await.unwrap();
    assert!(b.frozen("models:/m/2").is_some(), "and its memory, at the next look");
}

#[tokio::test]
async fn a_tag_of_a_client_neither_freezes_nor_frees() {
    let f = Fixture::new().await;
    f.two_versions().await;
    let auth = f.may(UpdateVersion::on("m"));
    let set = f.registry.set_version_tag(&auth, "m", 1, Pair::new(FROZEN_TAG, "yes")).await.unwrap_err();
    assert!(matches!(&set, RegistryError::Invalid(text) if text.contains("mainspring model freeze")), "{set:?}");
    f.freeze(2, "why").await.unwrap();
    assert!(f.registry.delete_version_tag(&auth, "m", 2, FROZEN_TAG).await.is_err());
    assert!(f.alias("champion", 2).await.is_err());
}

#[tokio::test]
async fn what_points_at_it_already_goes_on_and_is_known_by_every_name() {
    let f = Fixture::new().await;
    f.two_versions().await;
    f.freeze(1, "why").await.unwrap();
    // Said again, an alias is no move.
    f.alias("champion", 1).await.unwrap();
    assert!(f.frozen("models:/m/1").is_some() && f.frozen("models:/m@champion").is_some());
    assert_eq!((f.frozen("models:/m/2"), f.frozen("models:/m@other")), (None, None));
    f.registry.delete_alias(&f.may(DeleteAlias::on("m")), "m", "champion").await.unwrap();
    assert_eq!(f.frozen("models:/m@champion"), None);
    assert!(f.alias("champion", 1).await.is_err(), "and then it is one");
    f.registry.rename_model(&f.may(UpdateModel::on("m")), "m", "n").await.unwrap();
    assert!(f.registry.version(&f.may(ReadModel::on("n")), "n", 1).await.unwrap().frozen.is_some());
}

#[tokio::test]
async fn a_restart_still_knows_it() {
    let f = Fixture::new().await;
    f.two_versions().await;
    f.freeze(2, "why").await.unwrap();
    let settings = mainspring_store::DbSettings::sqlite(f.kept.folder.path().join("meta.db"));
    let again = Fixture::over(&settings, f.clock.clone(), 9, std::sync::Arc::clone(&f.kept)).await;
    assert!(again.frozen("models:/m/2").is_some());
}
