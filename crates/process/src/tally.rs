//! Counts that outlive their process, however it ends.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

/// Counts that a tally holds.
pub const COUNTS: usize = 32;
/// Bytes of the file: what the kernel maps at least.
const PAGE: usize = 4096;
/// Where the counts begin, behind the mark; each has a line of a cache to itself, so that threads do not fight over one.
const FIRST: usize = 64;
const APART: usize = 64;
/// What the file begins with: its form. Behind it stands whose it is.
const MARK: [u8; 8] = *b"MSTALLY1";

/// File systems on which a page that was written once can be written again, whatever room is left: on others (btrfs, zfs, one
/// of another machine) that may need room, and a store to a page that finds none kills the process.
const SAFE: [i64; 3] = [0xEF53, 0x5846_5342, 0x0102_1994];

/// The start of the machine, the device and the number of the file.
type Whose = [u8; 32];

/// Counts in a page of a file that this process shares with the kernel: a store is one to memory, and what was stored last is
/// there after a `kill -9`. After the machine itself stopped it may not be, so that what an earlier boot left counts as unknown.
#[derive(Debug)]
pub struct Tally {
    page: *const AtomicU64,
}

// SAFETY: the page is only reached through atomics, and is unmapped by the last owner alone.
#[allow(unsafe_code)]
unsafe impl Send for Tally {}
// SAFETY: as above.
#[allow(unsafe_code)]
unsafe impl Sync for Tally {}

impl Tally {
    /// Opens the file, made when it is not there, and begins to count from nothing. With what the process before this one left:
    /// `None` when there was none, or the machine was started since. `None` altogether where the file system is not one on which
    /// this is safe.
    ///
    /// # Errors
    /// When the file cannot be read, written or mapped.
    #[allow(unsafe_code)]
    pub fn open(path: &Path) -> io::Result<Option<(Self, Option<[u64; COUNTS]>)>> {
        let mut file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
        let whose = whose(&file)?;
        if !is_safe(&file)? {
            return Ok(None);
        }
        let mut before = Vec::new();
        file.read_to_end(&mut before)?;
        let left = left(&before, &whose);
        let mut fresh = [0_u8; PAGE];
        fresh[..8].copy_from_slice(&MARK);
        fresh[8..FIRST - 24].copy_from_slice(&whose);
        // Written, and not only made longer: the blocks must be there before anything is stored to them.
        io::Seek::rewind(&mut file)?;
        file.write_all(&fresh)?;
        file.set_len(PAGE as u64)?;
        file.sync_all()?;
        // SAFETY: a new mapping of a whole page of a file that is as long, at an address that the kernel chooses.
        let page = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                PAGE,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_SHARED,
                file.as_raw_fd(),
                0,
            )
        };
        if page == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        Ok(Some((Self { page: page.cast::<AtomicU64>().cast_const() }, left)))
    }

    /// One count; there are [`COUNTS`].
    #[allow(unsafe_code)]
    fn count(&self, at: usize) -> &AtomicU64 {
        let at = (FIRST + (at % COUNTS) * APART) / size_of::<AtomicU64>();
        // SAFETY: within the page, which lives as long as `self` and begins where a page does; written through atomics alone.
        unsafe { &*self.page.add(at) }
    }

    /// Counts `n` more.
    pub fn add(&self, at: usize, n: u64) {
        self.count(at).fetch_add(n, Ordering::Relaxed);
    }

    /// Puts a number in place of a count.
    pub fn set(&self, at: usize, n: u64) {
        self.count(at).store(n, Ordering::Relaxed);
    }
}

impl Drop for Tally {
    #[allow(unsafe_code)]
    fn drop(&mut self) {
        // SAFETY: mapped by `open` with this length; nobody else has it.
        unsafe { libc::munmap(self.page.cast_mut().cast(), PAGE) };
    }
}

/// What an earlier process left.
fn left(bytes: &[u8], whose: &Whose) -> Option<[u64; COUNTS]> {
    if bytes.len() != PAGE || bytes[..8] != MARK || bytes[8..FIRST - 24] != *whose {
        return None;
    }
    let mut counts = [0; COUNTS];
    for (at, count) in counts.iter_mut().enumerate() {
        let from = FIRST + at * APART;
        *count = u64::from_ne_bytes(bytes.get(from..from + 8)?.try_into().ok()?);
    }
    Some(counts)
}

/// Which start of the machine this is, and which file: a copy of one says nothing of the process that wrote it.
fn whose(file: &File) -> io::Result<Whose> {
    let text = std::fs::read_to_string("/proc/sys/kernel/random/boot_id")?;
    let mut id = [0; 32];
    let digits = text.bytes().filter(u8::is_ascii_hexdigit).take(32);
    for (at, digit) in digits.enumerate() {
        let value = if digit.is_ascii_digit() { digit - b'0' } else { digit.to_ascii_lowercase() - b'a' + 10 };
        id[at / 2] |= value << (4 * ((at + 1) % 2));
    }
    let about = file.metadata()?;
    id[16..24].copy_from_slice(&about.dev().to_ne_bytes());
    id[24..].copy_from_slice(&about.ino().to_ne_bytes());
    Ok(id)
}

#[allow(unsafe_code)]
fn is_safe(file: &File) -> io::Result<bool> {
    let mut about = std::mem::MaybeUninit::<libc::statfs>::uninit();
    // SAFETY: the descriptor is open, and the kernel fills the struct when it answers 0.
    let answer = unsafe { libc::fstatfs(file.as_raw_fd(), about.as_mut_ptr()) };
    if answer != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: filled, as the answer is 0.
    let kind = unsafe { about.assume_init() }.f_type;
    #[allow(clippy::useless_conversion, reason = "elsewhere it has another type")]
    Ok(i64::try_from(kind).is_ok_and(|kind| SAFE.contains(&kind)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_counted_last_is_there_for_the_next_one() {
        let path = std::env::temp_dir().join(format!("mainspring-tally-{}", std::process::id()));
        let _none = std::fs::remove_file(&path);
        let Some((tally, before)) = Tally::open(&path).unwrap() else { return };
        assert!(before.is_none());
        tally.add(0, 3);
        tally.add(0, 4);
        tally.set(31, u64::MAX);
        // As the kernel has it, and not as this process does.
        let (next, found) = Tally::open(&path).unwrap().unwrap();
        let found = found.unwrap();
        assert_eq!((found[0], found[1], found[31]), (7, 0, u64::MAX));
        next.add(1, 1);
        drop((tally, next));
        let bytes = std::fs::read(&path).unwrap();
        let whose = whose(&File::open(&path).unwrap()).unwrap();
        assert_eq!(left(&bytes, &whose).unwrap()[1], 1);
        assert!(left(&bytes, &[9; 32]).is_none(), "of another boot");
        assert!(left(&bytes[..PAGE - 1], &whose).is_none());
        let copy = path.with_extension("copy");
        std::fs::copy(&path, &copy).unwrap();
        assert!(Tally::open(&copy).unwrap().unwrap().1.is_none(), "a copy, as in a backup");
        std::fs::remove_file(&copy).unwrap();
        std::fs::remove_file(&path).unwrap();
    }
}
