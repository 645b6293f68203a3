use super::*;
use proptest::prelude::*;
use std::path::{Component, Path};

#[test]
fn good_paths() {
    for text in [
        "a",
        "1/abc/artifacts/model/MLmodel",
        "a b/c%20d",
        "...",
        "..a/b..",
        "x/.staging",
        "日本/🦀",
        "ab:c/d",
        "a/c:/d",
    ] {
        let path = ArtifactPath::parse(text).unwrap();
        assert_eq!(path.as_str(), text);
        assert_eq!(path.segments().collect::<Vec<_>>().join("/"), text);
    }
}

#[test]
fn bad_paths() {
    for text in [
        "",
        "/",
        "/a",
        "a/",
        "a//b",
        ".",
        "..",
        "a/..",
        "../a",
        "a/./b",
        "a\\b",
        "..\\a",
        "a\0b",
        "a\nb",
        "C:/x",
        "c:",
        "file:/x",
        "s3:",
        ".staging",
        ".staging/1-0",
        ".STAGING/x",
    ] {
        assert!(ArtifactPath::parse(text).is_err(), "{text:?}");
    }
    assert!(ArtifactPath::parse(&"a/".repeat(500)).is_err());
    assert!(ArtifactPath::parse(&"a".repeat(256)).is_err());
    assert!(ArtifactPath::parse(&"a".repeat(255)).is_ok());
}

#[test]
fn paths_below_paths() {
    let path = |t: &str| ArtifactPath::parse(t).unwrap();
    assert_eq!(path("a/b/c").below(&path("a")), Some("b/c"));
    assert_eq!(path("ab/c").below(&path("a")), None);
    assert_eq!(path("a").below(&path("a")), None);
    assert_eq!(path("a").below(&ArtifactPath::root()), Some("a"));
    assert_eq!(path("a/b").parent(), Some(path("a")));
    assert_eq!(path("a").parent(), Some(ArtifactPath::root()));
    assert_eq!(ArtifactPath::root().parent(), None);
    assert_eq!((path("a/b").name(), ArtifactPath::root().name()), ("b", ""));
    assert_eq!(path("a").join("b/c").unwrap(), path("a/b/c"));
    assert_eq!(ArtifactPath::root().join("b").unwrap(), path("b"));
    assert_eq!(path("a").join(".staging").unwrap(), path("a/.staging"));
    for text in ["", "..", "/b", "b/", "../b"] {
        assert!(path("a").join(text).is_err(), "{text:?}");
    }
    assert!(ArtifactPath::root().join(".staging").is_err());
}

proptest! {
    /// Whatever is accepted stays below any folder it is joined to.
    #[test]
    fn accepted_paths_stay_inside(text in "\\PC{0,12}|([a.]{0,3}[/\\\\]?){0,6}|[\\x00-\\x7f]{0,10}") {
        if let Ok(path) = ArtifactPath::parse(&text) {
            let whole = Path::new("/root/folder").join(path.as_str());
            prop_assert!(whole.starts_with("/root/folder"));
            prop_assert!(Path::new(path.as_str()).components().all(|c| matches!(c, Component::Normal(_))));
            let key = object_store::path::Path::parse(path.as_str()).unwrap();
            prop_assert_eq!(key.as_ref(), path.as_str());
        }
    }

    /// Joining is the same as parsing the whole.
    #[test]
    fn joining_is_parsing(a in "[a-c]{1,3}", b in "[a./:]{0,8}") {
        let joined = ArtifactPath::parse(&a).unwrap().join(&b);
        prop_assert_eq!(joined.is_ok(), ArtifactPath::parse(&format!("{a}/{b}")).is_ok());
    }
}

#[test]
fn addresses() {
    let dir = tempfile::tempdir().unwrap();
    let open = |url: &str| Artifacts::open(url, dir.path());
    for url in ["", "gs://bucket", "s3://", "s3:///prefix", "s3://bucket/../x", "file://relative", "https://x/y"] {
        let Err(failed) = open(url) else { panic!("{url:?} was opened") };
        assert!(matches!(failed, ArtifactError::Settings { .. }), "{failed:?}");
    }
    let folder = dir.path().join("new/folder");
    assert_eq!(
        open(&format!("file://{}", folder.display())).unwrap().location(),
        folder.canonicalize().unwrap().display().to_string()
    );
    assert_eq!(open("s3://bucket/a/b/").unwrap().location(), "s3://bucket/a/b/");
    let with = |endpoint: &str| {
        Artifacts::open_with("s3://bucket", dir.path(), &[("AWS_ENDPOINT_URL".to_owned(), endpoint.to_owned())])
    };
    for endpoint in ["http://127.0.0.1:9000", "http://localhost:1", "http://[::1]:1", "https://s3.example.org"] {
        assert!(with(endpoint).is_ok(), "{endpoint}");
    }
    for endpoint in ["http://s3.example.org", "http://127.0.0.1.example.org", "http://10.0.0.1"] {
        assert!(with(endpoint).unwrap_err().to_string().contains("is not https"), "{endpoint}");
    }
    assert!(Artifacts::open_with("s3://bucket", dir.path(), &[("AWS_NONSENSE".to_owned(), String::new())]).is_err());
}

#[tokio::test]
async fn a_folder_that_is_gone_does_not_answer() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("artifacts");
    let store = Artifacts::open(root.to_str().unwrap(), &dir.path().join("cache")).unwrap();
    assert_eq!(store.reach().await, Ok(()));
    std::fs::remove_dir_all(&root).unwrap();
    let said = store.reach().await.unwrap_err().to_string();
    assert!(said.ends_with("artifacts does not answer: it is not there"), "{said}");
}
