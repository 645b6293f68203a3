//! Temporary artifact stores, and the suite that every implementation of the port passes.

pub mod files;
pub mod folders;
pub mod uploads;

use futures::stream::{self, BoxStream, StreamExt};
use mainspring_artifact::{ArtifactPath, Artifacts, Bytes};
use std::io;
use std::path::{Path, PathBuf};

/// An artifact store of its own for one test, gone afterwards.
#[derive(Debug)]
pub struct TempArtifacts {
    /// The store.
    pub store: Artifacts,
    /// How to open it again: its address and the settings of a bucket.
    pub url: String,
    /// Settings by the names of the `AWS_*` environment.
    pub options: Vec<(String, String)>,
    folder: tempfile::TempDir,
}

impl TempArtifacts {
    /// A folder.
    pub fn local() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let url = folder.path().join("artifacts").display().to_string();
        Self::open(folder, url, Vec::new())
    }

    /// A folder of a bucket, see [`crate::s3::place`].
    pub fn s3() -> Self {
        let place = crate::s3::place();
        Self::open(tempfile::tempdir().expect("a temporary folder"), place.url, place.options)
    }

    fn open(folder: tempfile::TempDir, url: String, options: Vec<(String, String)>) -> Self {
        let store = Artifacts::open_with(&url, &folder.path().join("cache"), &options).expect("the store opens");
        Self { store, url, options, folder }
    }

    /// The folder of a local store.
    pub fn root(&self) -> PathBuf {
        self.folder.path().join("artifacts")
    }

    /// The folder of the local copies.
    pub fn cache(&self) -> PathBuf {
        self.folder.path().join("cache")
    }

    /// A folder beside the store, for what is outside of it.
    pub fn outside(&self) -> &Path {
        self.folder.path()
    }

    /// Stores a text under a path.
    pub async fn put(&self, at: &str, text: &str) {
        self.store.put(&path(at), Bytes::from(text.to_owned())).await.expect("it is stored");
    }

    /// The paths and sizes directly inside a folder; a folder's path ends in a slash.
    pub async fn names(&self, dir: &str) -> Vec<String> {
        let entries = self.store.list(&path(dir)).await.expect("it is listed");
        entries
            .iter()
            .map(|e| if e.is_dir { format!("{}/", e.path) } else { format!("{}={}", e.path, e.size) })
            .collect()
    }
}

/// A path that is known to be right; an empty text is the root.
pub fn path(text: &str) -> ArtifactPath {
    if text.is_empty() { ArtifactPath::root() } else { ArtifactPath::parse(text).expect("a path") }
}

/// A stream of these pieces.
pub fn pieces(all: Vec<io::Result<Bytes>>) -> BoxStream<'static, io::Result<Bytes>> {
    stream::iter(all).boxed()
}

/// Bytes that tell their place, so that a mixed-up piece is found.
pub fn pattern(size: usize) -> Bytes {
    (0..size).map(|i| ((i * 31) ^ (i >> 8) ^ (i >> 16)) as u8).collect::<Vec<_>>().into()
}

/// Makes a test of each check of the suite, on the store that the expression makes:
/// `artifacts_suite!(TempArtifacts::local());`
#[macro_export]
macro_rules! artifacts_suite {
    ($fixture:expr) => {
        $crate::artifacts_suite!(@each $fixture;
            files::round_trip, files::replaced_whole, files::missing, files::ranges, files::odd_names,
            files::root_is_no_file,
            uploads::small_and_empty_streams, uploads::large_stream, uploads::broken_stream_leaves_nothing,
            uploads::copied_file, uploads::dropped_upload_leaves_nothing, uploads::writers_at_once,
            folders::listed_one_level, folders::walked_and_weighed, folders::deleted, folders::deleted_exactly,
            folders::copied, folders::copied_into_itself, folders::local_copy, folders::local_copy_of_nothing,
            folders::clearing_the_root,
        );
    };
    (@each $fixture:expr; $($module:ident :: $check:ident),* $(,)?) => {$(
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $check() {
            $crate::artifacts::$module::$check(&$fixture).await;
        }
    )*};
}
