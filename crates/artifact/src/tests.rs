use super::*;

#[tokio::test]
async fn a_file_is_read_back() {
    let dir = tempfile::tempdir().unwrap();
    let a = Artifacts::open(dir.path().to_str().unwrap(), dir.path()).unwrap();
    let path = ArtifactPath::parse("1/abc/artifacts/model/MLmodel").unwrap();
    a.put(&path, Bytes::from_static(b"flavors: {}")).await.unwrap();
    assert_eq!(a.get(&path).await.unwrap(), "flavors: {}");
}
