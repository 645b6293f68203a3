//! Checks of single files.

use super::{TempArtifacts, path, pattern};
use futures::TryStreamExt;
use mainspring_artifact::{ArtifactError, Bytes};
use mainspring_core::{ErrorKind, Failure};

/// What is put is what is got, whole and as a stream.
pub async fn round_trip(a: &TempArtifacts) {
    for size in [0, 1, 1000, 700_000] {
        let at = path(&format!("1/run/artifacts/{size}.bin"));
        let bytes = pattern(size);
        a.store.put(&at, bytes.clone()).await.unwrap();
        assert_eq!(a.store.get(&at).await.unwrap(), bytes);
        let (said, stream) = a.store.get_stream(&at).await.unwrap();
        let all: Vec<Bytes> = stream.try_collect().await.unwrap();
        assert_eq!((said, all.concat()), (size as u64, bytes.to_vec()));
        let head = a.store.head(&at).await.unwrap();
        assert_eq!((head.size, head.is_dir, head.path), (size as u64, false, at));
    }
}

/// A second put replaces the first; a reader that began before sees one of the two, whole.
pub async fn replaced_whole(a: &TempArtifacts) {
    let at = path("m/weights");
    a.store.put(&at, Bytes::from(vec![1; 400_000])).await.unwrap();
    let (_, stream) = a.store.get_stream(&at).await.unwrap();
    a.store.put(&at, Bytes::from(vec![2; 10])).await.unwrap();
    if let Ok(all) = stream.try_collect::<Vec<Bytes>>().await {
        assert_eq!(all.concat(), vec![1; 400_000]);
    }
    assert_eq!(a.store.get(&at).await.unwrap(), vec![2; 10]);
}

/// What is not there is not found, whether it was never there, is a folder, or is below a file.
pub async fn missing(a: &TempArtifacts) {
    a.put("dir/file", "x").await;
    for at in ["nothing", "dir", "dir/none", "dir/file/below"] {
        let at = path(at);
        for failed in [
            a.store.get(&at).await.map(|_| ()),
            a.store.head(&at).await.map(|_| ()),
            a.store.get_stream(&at).await.map(|_| ()),
            a.store.get_range(&at, 0..1).await.map(|_| ()),
        ] {
            assert_eq!(failed, Err(ArtifactError::NotFound { path: at.to_string() }));
        }
    }
}

/// Ranges are cut at the end of the file and refused past it.
pub async fn ranges(a: &TempArtifacts) {
    let at = path("f");
    let bytes = pattern(5000);
    a.store.put(&at, bytes.clone()).await.unwrap();
    for (start, end) in [(0, 1), (0, 5000), (4999, 5000), (100, 4000), (4000, 9999), (5000, 5000), (7, 7)] {
        let got = a.store.get_range(&at, start..end).await.unwrap();
        assert_eq!(got, bytes.slice(start as usize..end.min(5000) as usize), "{start}..{end}");
        let (size, stream) = a.store.get_range_stream(&at, start..end).await.unwrap();
        assert_eq!((size, stream.try_collect::<Vec<Bytes>>().await.unwrap().concat()), (5000, got.to_vec()));
    }
    let past = a.store.get_range(&at, 5001..5002).await.unwrap_err();
    assert_eq!(past.kind(), ErrorKind::InvalidInput);
    assert!(a.store.get_range_stream(&at, 5001..5002).await.is_err());
    #[expect(clippy::reversed_empty_ranges, reason = "the range that is refused")]
    let backwards = a.store.get_range(&at, 3..2).await;
    assert!(matches!(backwards, Err(ArtifactError::Range { .. })));
}

/// Names with spaces, percent signs and letters of all kinds are kept as they are.
pub async fn odd_names(a: &TempArtifacts) {
    let names = [
        "with space",
        "percent%20sign",
        "hash#1",
        "Grüße 日本 🦀",
        "a+b=c&d",
        "..hidden",
        "~tilde",
        "{x}[y]*?",
        "q\"'q",
    ];
    for name in names {
        a.put(&format!("odd/{name}"), name).await;
    }
    let mut expected: Vec<String> = names.iter().map(|n| format!("odd/{n}={}", n.len())).collect();
    expected.sort();
    assert_eq!(a.names("odd").await, expected);
    for name in names {
        assert_eq!(a.store.get(&path(&format!("odd/{name}"))).await.unwrap(), name.as_bytes());
    }
}

/// The root cannot be read or written as a file.
pub async fn root_is_no_file(a: &TempArtifacts) {
    let root = path("");
    assert!(matches!(a.store.put(&root, Bytes::new()).await, Err(ArtifactError::WrongShape { .. })));
    assert!(a.store.get(&root).await.is_err());
}
