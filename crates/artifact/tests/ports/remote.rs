//! A bucket.

use futures::stream::{self, StreamExt};
use mainspring_artifact::{ArtifactError, Artifacts, Bytes};
use mainspring_core::{ErrorKind, Failure, Tasks};
use mainspring_testkit::artifacts::{path, pattern};
use mainspring_testkit::{TempArtifacts, eventually};
use std::time::Duration;

#[tokio::test]
async fn stores_with_other_prefixes_do_not_meet() {
    let (a, b) = (TempArtifacts::s3(), TempArtifacts::s3());
    a.put("x", "a").await;
    assert!(b.store.get(&path("x")).await.is_err());
    assert_eq!(b.store.delete_prefix(&path("")).await.unwrap(), 0);
    assert_eq!(a.store.get(&path("x")).await.unwrap(), "a");
}

#[tokio::test]
async fn the_cache_is_keyed_by_content_and_evicted_by_age() {
    let a = TempArtifacts::s3();
    a.put("one/f", "same").await;
    a.put("two/f", "same").await;
    a.put("three/f", "other!").await;
    let one = a.store.local_dir(&path("one")).await.unwrap();
    assert_eq!(one, a.store.local_dir(&path("two")).await.unwrap(), "the same content is kept once");
    let three = a.store.local_dir(&path("three")).await.unwrap();
    assert!(one.starts_with(a.cache()) && three != one);

    let used = |folder: &std::path::Path| {
        let mark = a.cache().join("used").join(folder.file_name().unwrap());
        std::fs::metadata(mark).unwrap().modified().unwrap()
    };
    // Asked for again, the older one is the newer.
    while used(&one) <= used(&three) {
        a.store.local_dir(&path("one")).await.unwrap();
    }
    assert_eq!(a.store.evict(10, Duration::ZERO).await.unwrap(), 0, "ten bytes are in the cache");
    assert_eq!(a.store.evict(9, Duration::ZERO).await.unwrap(), 6);
    assert!(one.is_dir() && !three.exists());
    assert_eq!(a.store.evict(0, Duration::ZERO).await.unwrap(), 4);
    a.store.local_dir(&path("one")).await.unwrap();
    assert_eq!(a.store.evict(0, Duration::from_mins(1)).await.unwrap(), 0, "somebody may be reading it");
    assert_eq!(a.store.evict(0, Duration::ZERO).await.unwrap(), 4);
    assert_eq!(std::fs::read_to_string(a.store.local_dir(&path("three")).await.unwrap().join("f")).unwrap(), "other!");
    assert_eq!(std::fs::read_dir(a.cache().join("partial")).unwrap().count(), 0);
}

#[tokio::test]
async fn a_file_that_never_changes_is_downloaded_once() {
    let a = TempArtifacts::s3();
    a.put("day/1", "one").await;
    let first = a.store.local_files(vec![(path("day/1"), 3)]).await.unwrap();
    a.put("day/2", "two").await;
    let both = a.store.local_files(vec![(path("day/2"), 3), (path("day/1"), 3)]).await.unwrap();
    let texts: Vec<_> = both.iter().map(|f| std::fs::read_to_string(f).unwrap()).collect();
    assert_eq!((texts, &both[1]), (vec!["two".to_owned(), "one".to_owned()], &first[0]));
    assert_eq!(std::fs::read_dir(a.cache().join("whole")).unwrap().count(), 2, "a copy for each");
    // What is in the cache is not asked for again.
    a.store.delete_prefix(&path("day/1")).await.unwrap();
    assert_eq!(a.store.local_files(vec![(path("day/1"), 3)]).await.unwrap(), first);
    let gone = a.store.local_files(vec![(path("day/3"), 3)]).await.unwrap_err();
    assert!(matches!(gone, ArtifactError::NotFound { .. }), "{gone:?}");
}

/// How many uploads of a file `dropped` in this store moto knows of that are not finished.
async fn unfinished(a: &TempArtifacts) -> usize {
    let endpoint = a.options[0].1.trim_start_matches("http://").to_owned();
    let (bucket, prefix) = a.url.trim_start_matches("s3://").split_once('/').unwrap();
    let (bucket, key) = (bucket.to_owned(), format!("<Key>{prefix}/dropped</Key>"));
    let listing = tokio::task::spawn_blocking(move || {
        use std::io::{Read, Write};
        let mut stream = std::net::TcpStream::connect(&endpoint).unwrap();
        let request = format!("GET /{bucket}?uploads HTTP/1.1\r\nHost: {endpoint}\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).unwrap();
        let mut reply = String::new();
        stream.read_to_string(&mut reply).unwrap();
        reply
    });
    let listing = listing.await.unwrap();
    assert!(listing.contains("ListMultipartUploadsResult"), "{listing}");
    listing.matches(&key).count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_parts_of_a_dropped_upload_are_discarded() {
    let a = TempArtifacts::s3();
    let tasks = Tasks::new();
    let store = Artifacts::open_with(&a.url, &a.cache(), &a.options).unwrap().with_tasks(tasks.clone());
    let endless = stream::iter([Ok(Bytes::from(vec![7; 18 << 20]))]).chain(stream::pending());
    let at = path("dropped");
    let mut upload = Box::pin(store.put_stream(&at, endless));
    while unfinished(&a).await == 0 {
        assert!(tokio::time::timeout(Duration::from_millis(20), &mut upload).await.is_err());
    }
    drop(upload);
    eventually("the parts are gone", || async { unfinished(&a).await == 0 }).await;
    assert!(tasks.shutdown(mainspring_testkit::PATIENCE).await);
}

#[tokio::test]
async fn a_bucket_that_does_not_answer_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let port = mainspring_testkit::child::free_port();
    let options = [
        ("AWS_ENDPOINT_URL".to_owned(), format!("http://127.0.0.1:{port}")),
        ("AWS_ACCESS_KEY_ID".to_owned(), "x".to_owned()),
        ("AWS_SECRET_ACCESS_KEY".to_owned(), "x".to_owned()),
    ];
    let store = Artifacts::open_with("s3://bucket/p", dir.path(), &options).unwrap();
    let failed = store.put(&path("f"), pattern(10)).await.unwrap_err();
    assert_eq!(failed.kind(), ErrorKind::Unavailable, "{failed}");
    assert!(failed.to_string().contains("s3://bucket/p") && failed.hint().is_some(), "{failed}");
}

#[tokio::test]
async fn a_bucket_that_does_not_exist_is_not_found() {
    let a = TempArtifacts::s3();
    let store = Artifacts::open_with("s3://no-such-bucket", &a.cache(), &a.options).unwrap();
    let failed = store.put(&path("f"), pattern(1)).await.unwrap_err();
    assert!(matches!(failed, ArtifactError::NotFound { .. }), "{failed:?}");
}
