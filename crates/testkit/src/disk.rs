//! A disk small enough to fill.

use std::path::{Path, PathBuf};
use std::process::Command;

/// A file system in memory of a few megabytes, unmounted when dropped. Mounting needs root.
#[derive(Debug)]
pub struct TinyDisk {
    folder: tempfile::TempDir,
}

impl TinyDisk {
    /// Mounts one that holds `kib` KiB.
    ///
    /// # Panics
    /// When this process may not mount: run the tests as root, in a container with the capability
    /// `SYS_ADMIN`.
    pub fn mount(kib: u32) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={kib}k"), "tmpfs"])
            .arg(folder.path())
            .output()
            .expect("the program mount; apt-get install -y mount");
        assert!(
            mounted.status.success(),
            "a small disk could not be mounted ({}); run the tests as root with the capability SYS_ADMIN, \
             e.g. docker run --cap-add SYS_ADMIN",
            String::from_utf8_lossy(&mounted.stderr).trim()
        );
        Self { folder }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Takes all the space that is left but `spare_kib`, in the file that is returned.
    pub fn fill(&self, spare_kib: u32) -> PathBuf {
        let path = self.path().join("filler");
        let spare = self.path().join("spare");
        std::fs::write(&spare, vec![0_u8; spare_kib as usize * 1024]).expect("room for the spare space");
        let mut file = std::fs::File::create(&path).expect("a file on the small disk");
        // Ends with "no space left on device", which is what it is for.
        let _ = std::io::copy(&mut std::io::repeat(7), &mut file);
        std::fs::remove_file(&spare).expect("the spare space is given back");
        path
    }
}

impl Drop for TinyDisk {
    fn drop(&mut self) {
        // Lazily, because a thread may still have a file open.
        let _ = Command::new("umount").arg("-l").arg(self.folder.path()).status();
    }
}
