//! Checks of uploads that arrive in pieces.

use super::{TempArtifacts, path, pattern, pieces};
use futures::FutureExt;
use futures::TryStreamExt;
use futures::future::join_all;
use futures::stream::{self, StreamExt};
use mainspring_artifact::{ArtifactError, Bytes};
use std::io;

/// A stream of nothing makes an empty file; pieces of any size arrive in order.
pub async fn small_and_empty_streams(a: &TempArtifacts) {
    assert_eq!(a.store.put_stream(&path("empty"), pieces(Vec::new())).await.unwrap(), 0);
    assert!(a.store.get(&path("empty")).await.unwrap().is_empty());
    let all = pattern(3000);
    let cut = vec![Ok(all.slice(0..1)), Ok(Bytes::new()), Ok(all.slice(1..2999)), Ok(all.slice(2999..3000))];
    assert_eq!(a.store.put_stream(&path("small"), pieces(cut)).await.unwrap(), 3000);
    assert_eq!(a.store.get(&path("small")).await.unwrap(), all);
}

/// Twenty megabytes: several parts in a bucket.
pub async fn large_stream(a: &TempArtifacts) {
    let all = pattern((20 << 20) + 17);
    let cut: Vec<_> = (0..all.len()).step_by(300_000).map(|i| Ok(all.slice(i..(i + 300_000).min(all.len())))).collect();
    assert_eq!(a.store.put_stream(&path("large/model.bin"), pieces(cut)).await.unwrap(), all.len() as u64);
    assert!(a.store.get(&path("large/model.bin")).await.unwrap() == all, "the bytes differ");
    assert_eq!(
        a.store.get_range(&path("large/model.bin"), 17_000_000..17_000_100).await.unwrap(),
        all.slice(17_000_000..17_000_100)
    );
    let far = a.store.get_range_stream(&path("large/model.bin"), 1_000_000..19_000_000).await.unwrap().1;
    assert!(
        far.try_collect::<Vec<Bytes>>().await.unwrap().concat() == all.slice(1_000_000..19_000_000),
        "the part differs"
    );
    a.store.put(&path("large/whole"), all.clone()).await.unwrap();
    assert_eq!(a.store.head(&path("large/whole")).await.unwrap().size, all.len() as u64);
}

/// A file on this machine: copied whole, in place of what was there, and itself left alone.
pub async fn copied_file(a: &TempArtifacts) {
    let folder = tempfile::tempdir().unwrap();
    let from = folder.path().join("from");
    for bytes in [Bytes::new(), pattern(3000), pattern((9 << 20) + 17)] {
        std::fs::write(&from, &bytes).unwrap();
        assert_eq!(a.store.put_file(&path("copied/file"), &from).await.unwrap(), bytes.len() as u64);
        assert!(a.store.get(&path("copied/file")).await.unwrap() == bytes, "the bytes differ");
        assert!(std::fs::read(&from).unwrap() == bytes, "the file itself changed");
    }
    let failed = a.store.put_file(&path("copied/file"), &folder.path().join("missing")).await.unwrap_err();
    assert!(matches!(failed, ArtifactError::Upload { .. }), "{failed:?}");
    assert_eq!(a.store.head(&path("copied/file")).await.unwrap().size, (9 << 20) + 17);
}

/// A stream that fails, early or after several parts, leaves what was there before.
pub async fn broken_stream_leaves_nothing(a: &TempArtifacts) {
    a.put("kept", "before").await;
    for size in [10, 18 << 20] {
        for at in ["kept", "fresh/file"] {
            let broken = vec![Ok(Bytes::from(vec![7; size])), Err(io::Error::other("the line went dead"))];
            let failed = a.store.put_stream(&path(at), pieces(broken)).await.unwrap_err();
            let ArtifactError::Upload { path, reason } = &failed else { panic!("{failed:?}") };
            assert_eq!((path.as_str(), reason.as_str()), (at, "the line went dead"));
        }
    }
    assert_eq!(a.names("").await, ["kept=6"]);
    assert_eq!(a.store.get(&path("kept")).await.unwrap(), "before");
}

/// An upload whose future is dropped leaves nothing to see.
pub async fn dropped_upload_leaves_nothing(a: &TempArtifacts) {
    let at = path("fresh/file");
    for size in [10, 18 << 20] {
        let (reached, is_reached) = tokio::sync::oneshot::channel();
        let end = stream::once(async move {
            reached.send(()).expect("the check waits");
            futures::future::pending().await
        });
        let upload = a.store.put_stream(&at, stream::iter([Ok(Bytes::from(vec![7; size]))]).chain(end));
        tokio::select! {
            done = upload => panic!("the stream never ends, but the upload did: {done:?}"),
            _ = is_reached => {}
        }
    }
    let never = a.store.put(&path("other"), pattern(10)).now_or_never();
    drop(never);
    assert!(a.store.list(&path("fresh")).await.unwrap().is_empty());
    assert!(a.store.get(&path("fresh/file")).await.is_err());
}

/// Many writers of the same file at once: one of them wins, whole.
pub async fn writers_at_once(a: &TempArtifacts) {
    let at = path("shared/file");
    let writers = (0..12_u8).map(|n| {
        let at = at.clone();
        async move { a.store.put(&at, Bytes::from(vec![n; 50_000])).await.unwrap() }
    });
    join_all(writers).await;
    let got = a.store.get(&at).await.unwrap();
    assert!(got.len() == 50_000 && got.iter().all(|b| *b == got[0]));
    assert_eq!(a.names("shared").await, ["shared/file=50000"]);
}
