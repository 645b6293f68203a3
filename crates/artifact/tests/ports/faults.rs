//! Kill -9 in the middle of an upload, and a full disk.

use futures::stream::{self, StreamExt};
use mainspring_artifact::{ArtifactError, Artifacts, Bytes};
use mainspring_core::{ErrorKind, Failure};
use mainspring_testkit::artifacts::{path, pattern};
use mainspring_testkit::{TinyDisk, child};
use std::path::{Path, PathBuf};

/// Stores one file after another and says so after each; a large one is always on its way.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "runs as the child of kill_nine_leaves_whole_files"]
async fn child_that_uploads() {
    let Some(root) = std::env::var_os("MAINSPRING_CHILD").map(PathBuf::from) else { return };
    let store = Artifacts::open(root.to_str().unwrap(), &root).unwrap();
    let endless = stream::repeat_with(|| Ok(Bytes::from(vec![7; 4096]))).take(1 << 20);
    let at = path("half/large");
    let large = store.put_stream(
        &at,
        endless.then(|b| async {
            tokio::task::yield_now().await;
            b
        }),
    );
    let small = async {
        for n in 0.. {
            store.put(&path(&format!("done/{n}")), pattern(10_000 + n)).await.unwrap();
            println!("ack {n}");
        }
    };
    tokio::join!(large, small).0.unwrap();
}

#[tokio::test]
async fn kill_nine_leaves_whole_files() {
    let dir = tempfile::tempdir().unwrap();
    let acks = child::kill_after_acks("faults::child_that_uploads", dir.path(), 40);
    let store = Artifacts::open(dir.path().to_str().unwrap(), dir.path()).unwrap();
    for ack in &acks {
        let n: usize = ack.parse().unwrap();
        assert!(store.get(&path(&format!("done/{n}"))).await.unwrap() == pattern(10_000 + n), "{n} is damaged");
    }
    for entry in store.walk(&path("done")).await.unwrap() {
        let n: usize = entry.path.name().parse().unwrap();
        assert!(store.get(&entry.path).await.unwrap() == pattern(10_000 + n), "{n} is half");
    }
    assert!(store.list(&path("half")).await.unwrap().is_empty(), "half of a file is to be seen");
    let staged = std::fs::read_dir(dir.path().join(".staging")).unwrap().count();
    assert!(staged >= 1, "the large upload was cut");
}

fn count(folder: &Path) -> usize {
    std::fs::read_dir(folder).unwrap().count()
}

#[tokio::test]
async fn a_full_disk_refuses_and_recovers() {
    let disk = TinyDisk::mount(4096);
    let root = disk.path().join("artifacts");
    let store = Artifacts::open(root.to_str().unwrap(), disk.path()).unwrap();
    store.put(&path("kept"), pattern(1000)).await.unwrap();
    let filler = disk.fill(64);
    let big = pattern(300_000);
    let streamed = stream::iter([Ok(big.slice(0..1000)), Ok(big.clone())]);
    for failed in [
        store.put(&path("kept"), big.clone()).await.unwrap_err(),
        store.put_stream(&path("streamed"), streamed).await.unwrap_err(),
    ] {
        assert!(matches!(failed, ArtifactError::Full { .. }), "{failed:?}");
        assert_eq!(failed.kind(), ErrorKind::Unavailable);
        assert!(failed.to_string().contains("full") && failed.hint().is_some());
    }
    assert_eq!(store.get(&path("kept")).await.unwrap(), pattern(1000), "what was there is whole");
    assert_eq!(count(&root.join(".staging")), 0, "what did not fit takes no space");
    std::fs::remove_file(filler).unwrap();
    store.put(&path("kept"), big.clone()).await.unwrap();
    assert!(store.get(&path("kept")).await.unwrap() == big);
}
