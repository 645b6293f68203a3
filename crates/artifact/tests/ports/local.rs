//! A folder on local disk.

use futures::stream;
use mainspring_artifact::{ArtifactError, Artifacts};
use mainspring_testkit::TempArtifacts;
use mainspring_testkit::artifacts::{path, pattern};
use std::fs;
use std::os::unix::fs::symlink;
use std::time::Duration;

#[tokio::test]
async fn a_store_whose_folder_is_gone_refuses_uploads() {
    let a = TempArtifacts::local();
    a.put("inside/file", "mine").await;
    // Gone before the upload starts, and in the middle of one.
    let cut = a.root();
    let ends = stream::once(async move {
        fs::remove_dir_all(cut).unwrap();
        Ok(pattern(10))
    });
    for gone in [
        a.store.put_stream(&path("inside/late"), ends).await.map(|_| ()),
        a.store.put(&path("inside/file"), "new".into()).await,
        a.store.put(&path("file"), "new".into()).await,
    ] {
        assert!(matches!(gone, Err(ArtifactError::Unavailable { .. })), "{gone:?}");
    }
    assert!(!a.root().exists(), "an empty store took the place of what was lost");
}

#[tokio::test]
async fn a_link_cannot_lead_out() {
    let a = TempArtifacts::local();
    a.put("inside/file", "mine").await;
    let secret = a.outside().join("secret");
    fs::create_dir(&secret).unwrap();
    fs::write(secret.join("key"), "not yours").unwrap();
    symlink(&secret, a.root().join("folder")).unwrap();
    symlink(secret.join("key"), a.root().join("file")).unwrap();
    symlink("../../secret", a.root().join("inside/relative")).unwrap();
    symlink("nowhere", a.root().join("dangling")).unwrap();
    symlink(a.root().join("inside"), a.root().join("within")).unwrap();

    for at in ["folder/key", "file", "inside/relative/key"] {
        let at = path(at);
        let escapes = Err(ArtifactError::Escapes { path: at.to_string() });
        assert_eq!(a.store.get(&at).await.map(|_| ()), escapes);
        assert_eq!(a.store.head(&at).await.map(|_| ()), escapes);
        assert_eq!(a.store.get_stream(&at).await.map(|_| ()), escapes);
    }
    for at in ["folder/new", "inside/relative/new", "folder/new/deeper", "dangling/new"] {
        let at = path(at);
        assert!(matches!(a.store.put(&at, "x".into()).await, Err(ArtifactError::Escapes { .. })), "{at}");
    }
    assert!(a.store.list(&path("folder")).await.is_err());
    assert!(a.store.local_dir(&path("folder")).await.is_err());
    assert!(a.store.copy_prefix(&path("folder"), &path("stolen")).await.is_err());
    assert!(matches!(a.store.delete_prefix(&path("folder/key")).await, Err(ArtifactError::Escapes { .. })));

    // A link inside the store is a way like any other; what leads out is not even listed.
    assert_eq!(a.store.get(&path("within/file")).await.unwrap(), "mine");
    assert_eq!(a.names("").await, ["inside/", "within/"]);
    assert_eq!(a.store.walk(&path("")).await.unwrap().len(), 1, "a linked folder is counted once");

    // Writing over a link replaces the link, not what it leads to; deleting one removes the link.
    a.put("file", "new").await;
    assert_eq!(fs::read_to_string(secret.join("key")).unwrap(), "not yours");
    assert_eq!(a.store.delete_prefix(&path("folder")).await.unwrap(), 1);
    assert!(secret.join("key").exists());
}

#[tokio::test]
async fn a_file_and_a_folder_cannot_share_a_name() {
    let a = TempArtifacts::local();
    a.put("x/file", "1").await;
    for at in ["x", "x/file/below", "x/file/be/low"] {
        let failed = a.store.put(&path(at), "2".into()).await.unwrap_err();
        assert!(matches!(failed, ArtifactError::WrongShape { .. }), "{at}: {failed:?}");
    }
    assert_eq!(a.names("x").await, ["x/file=1"]);
}

#[tokio::test]
async fn uploads_are_staged_out_of_sight_and_old_ones_are_swept() {
    let a = TempArtifacts::local();
    a.put("f", "1").await;
    let staging = a.root().join(".staging");
    assert_eq!(fs::read_dir(&staging).unwrap().count(), 0, "nothing is left behind");
    let (old, young) = (staging.join("1-0"), staging.join("1-1"));
    for file in [&old, &young] {
        fs::write(file, "half").unwrap();
    }
    let now = fs::metadata(&young).unwrap().modified().unwrap();
    let yesterday = now - std::time::Duration::from_secs(25 * 3600);
    fs::File::options().write(true).open(&old).unwrap().set_modified(yesterday).unwrap();
    let again = Artifacts::open(&a.url, &a.cache()).unwrap();
    assert!(!old.exists() && young.exists());
    assert_eq!(again.usage(&path("")).await.unwrap(), 1);
}

#[tokio::test]
async fn deletes_and_puts_at_once_lose_nothing() {
    let a = TempArtifacts::local();
    let puts = async {
        for n in 0..100 {
            a.put(&format!("deep/er/est/{n}"), "x").await;
        }
    };
    let deletes = async {
        for n in 0..100 {
            a.store.delete_prefix(&path(&format!("deep/er/est/{n}"))).await.unwrap();
        }
    };
    tokio::join!(puts, deletes);
    for entry in a.store.walk(&path("deep")).await.unwrap() {
        a.store.get(&entry.path).await.unwrap();
    }
}

#[tokio::test]
async fn a_local_store_has_its_folder_at_hand_and_no_cache() {
    let a = TempArtifacts::local();
    a.store.put(&path("m/w"), pattern(10)).await.unwrap();
    assert_eq!(a.store.local_dir(&path("m")).await.unwrap(), a.root().canonicalize().unwrap().join("m"));
    let file = a.root().canonicalize().unwrap().join("m/f");
    std::fs::write(&file, "x").unwrap();
    assert_eq!(a.store.local_files(vec![(path("m/f"), 1)]).await.unwrap(), [file]);
    assert!(a.store.local_files(vec![(path("m/none"), 1)]).await.is_err());
    assert_eq!(a.store.evict(0, Duration::ZERO).await.unwrap(), 0);
    assert_eq!(a.store.get(&path("m/w")).await.unwrap(), pattern(10));
}
