//! Checks of folders.

use super::{TempArtifacts, path, pattern};
use futures::future::join_all;
use mainspring_artifact::ArtifactError;
use std::collections::BTreeSet;

async fn model(a: &TempArtifacts, at: &str) {
    a.put(&format!("{at}/MLmodel"), "flavors: {}").await;
    a.put(&format!("{at}/data/model.bin"), "weights").await;
    a.put(&format!("{at}/data/deep/er/x"), "").await;
}

/// One level, sorted, folders without a size; a folder that is not there is empty.
pub async fn listed_one_level(a: &TempArtifacts) {
    model(a, "1/run/artifacts/model").await;
    a.put("1/run/artifacts/a.txt", "1").await;
    a.put("1/run/artifacts/z.txt", "22").await;
    let listed = a.names("1/run/artifacts").await;
    assert_eq!(listed, ["1/run/artifacts/a.txt=1", "1/run/artifacts/model/", "1/run/artifacts/z.txt=2"]);
    assert_eq!(
        a.names("1/run/artifacts/model").await,
        ["1/run/artifacts/model/MLmodel=11", "1/run/artifacts/model/data/"]
            .map(str::to_owned)
            .into_iter()
            .collect::<BTreeSet<_>>()
            .into_iter()
            .collect::<Vec<_>>()
    );
    assert_eq!(a.names("").await, ["1/"]);
    assert!(a.names("1/none").await.is_empty());
    assert!(a.names("1/run/artifacts/a.txt").await.is_empty(), "a file holds nothing");
    assert!(a.names("1/run/art").await.is_empty(), "a part of a name is no folder");
}

/// All files at any depth, and their bytes.
pub async fn walked_and_weighed(a: &TempArtifacts) {
    model(a, "m").await;
    model(a, "m2").await;
    let walked = a.store.walk(&path("m")).await.unwrap();
    let names: Vec<&str> = walked.iter().map(|e| e.path.as_str()).collect();
    assert_eq!(names, ["m/MLmodel", "m/data/deep/er/x", "m/data/model.bin"]);
    assert_eq!(a.store.usage(&path("m")).await.unwrap(), 18);
    assert_eq!(a.store.usage(&path("")).await.unwrap(), 36);
    assert_eq!(a.store.usage(&path("none")).await.unwrap(), 0);
}

/// A folder goes with everything below it, and so does the empty folder that is left above.
pub async fn deleted(a: &TempArtifacts) {
    model(a, "1/run/artifacts/model").await;
    a.put("2/kept", "x").await;
    assert_eq!(a.store.delete_prefix(&path("1/run/artifacts/model/data/deep/er/x")).await.unwrap(), 1);
    assert_eq!(a.names("1/run/artifacts/model/data").await, ["1/run/artifacts/model/data/model.bin=7"]);
    assert_eq!(a.store.delete_prefix(&path("1/run/artifacts")).await.unwrap(), 2);
    assert_eq!(a.store.delete_prefix(&path("1/run/artifacts")).await.unwrap(), 0);
    assert_eq!(a.store.delete_prefix(&path("2/kept/below")).await.unwrap(), 0);
    assert_eq!(a.names("").await, ["2/"]);
    model(a, "1/run/artifacts/model").await;
    assert_eq!(a.store.usage(&path("1")).await.unwrap(), 18);
}

/// Names that only begin alike are left alone.
pub async fn deleted_exactly(a: &TempArtifacts) {
    for at in ["run/1", "run/10", "run1/1", "run"] {
        a.put(&format!("x/{at}/f"), "f").await;
    }
    assert_eq!(a.store.delete_prefix(&path("x/run/1")).await.unwrap(), 1);
    assert_eq!(a.names("x/run").await, ["x/run/10/", "x/run/f=1"]);
    assert_eq!(a.store.delete_prefix(&path("x/run")).await.unwrap(), 2);
    assert_eq!(a.names("x").await, ["x/run1/"]);
}

/// A folder is copied with everything below it; a file alone too.
pub async fn copied(a: &TempArtifacts) {
    model(a, "from").await;
    assert_eq!(a.store.copy_prefix(&path("from"), &path("to/model")).await.unwrap(), 3);
    assert_eq!(a.names("to/model").await, ["to/model/MLmodel=11", "to/model/data/"]);
    assert_eq!(a.store.get(&path("to/model/data/model.bin")).await.unwrap(), "weights");
    assert_eq!(a.store.copy_prefix(&path("from/MLmodel"), &path("single")).await.unwrap(), 1);
    assert_eq!(a.store.get(&path("single")).await.unwrap(), "flavors: {}");
    a.put("from/MLmodel", "changed").await;
    assert_eq!(a.store.get(&path("to/model/MLmodel")).await.unwrap(), "flavors: {}", "a copy is its own");
    let none = a.store.copy_prefix(&path("none"), &path("to/none")).await.unwrap_err();
    assert_eq!(none, ArtifactError::NotFound { path: "none".into() });
}

/// A copy below itself ends.
pub async fn copied_into_itself(a: &TempArtifacts) {
    model(a, "m").await;
    assert_eq!(a.store.copy_prefix(&path("m"), &path("m/backup")).await.unwrap(), 3);
    assert_eq!(a.store.walk(&path("m")).await.unwrap().len(), 6);
}

/// A folder as files on local disk, the same for everybody who asks, until its content changes.
pub async fn local_copy(a: &TempArtifacts) {
    model(a, "m").await;
    a.store.put(&path("m/big"), pattern(300_000)).await.unwrap();
    let at = path("m");
    let asked = join_all((0..6).map(|_| a.store.local_dir(&at))).await;
    let folders: BTreeSet<_> = asked.into_iter().map(Result::unwrap).collect();
    assert_eq!(folders.len(), 1);
    let folder = folders.into_iter().next().unwrap();
    assert_eq!(std::fs::read_to_string(folder.join("MLmodel")).unwrap(), "flavors: {}");
    assert_eq!(std::fs::read(folder.join("big")).unwrap(), pattern(300_000));
    assert!(folder.join("data/deep/er/x").is_file());
    a.put("m/MLmodel", "flavors: {onnx: {}}").await;
    let folder = a.store.local_dir(&at).await.unwrap();
    assert_eq!(std::fs::read_to_string(folder.join("MLmodel")).unwrap(), "flavors: {onnx: {}}");
}

/// A folder that is not there has no local copy.
pub async fn local_copy_of_nothing(a: &TempArtifacts) {
    a.put("file", "x").await;
    for at in ["none", "file"] {
        assert_eq!(a.store.local_dir(&path(at)).await, Err(ArtifactError::NotFound { path: at.into() }));
    }
}

/// Deleting the root empties the store, which works on.
pub async fn clearing_the_root(a: &TempArtifacts) {
    model(a, "m").await;
    a.put("top", "x").await;
    assert_eq!(a.store.delete_prefix(&path("")).await.unwrap(), 4);
    assert!(a.names("").await.is_empty());
    a.put("again/x", "x").await;
    assert_eq!(a.names("").await, ["again/"]);
}
