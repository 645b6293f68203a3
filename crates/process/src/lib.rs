//! What holds for a whole process of ours: its allocator, what is settled before it has a second thread, and counts that
//! outlive it.
//!
//! Small blocks from many threads are what serving allocates, and mimalloc is quick at those. It keeps what was freed
//! for a second before it looks whether to give it back, and looks only when it is called for more; a second of load is
//! many megabytes here. It asks for huge pages too, which are resident whole for the first of their bytes: built
//! without (`no_thp`). What is written in C and C++ (ONNX Runtime, `SQLite`, zstd) has it as well (`override`): the C library's
//! allocator does not use an aligned block of a megabyte again, which is what ONNX Runtime asks for, and answers each with
//! fresh pages.

pub mod tally;

use libmimalloc_sys::{mi_collect, mi_option_set_default, mi_option_t};
use std::ffi::c_long;

#[global_allocator]
static HEAP: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// `mi_option_purge_delay` of mimalloc 3, which the bindings do not name.
const PURGE_DELAY: mi_option_t = 15;

/// How long freed memory waits for its next use, milliseconds: far longer than a request with a large
/// tensor takes, so that the next one finds its pages; short beside what load leaves behind.
const KEEP: c_long = 100;

/// Keeps ONNX Runtime from telling its makers of the process, its models and their use, which it does on Linux since 1.29.
/// Its own function for that comes too late: by then it has made an id of the machine and a first report.
const TELLS_NOBODY: &str = "ORT_DISABLE_TELEMETRY";

/// What comes first in `main`, while there is one thread: the allocator gives freed memory back soon, unless
/// `MIMALLOC_PURGE_DELAY` says when, and no library reports to its makers, unless `ORT_DISABLE_TELEMETRY` is set to let it.
#[allow(unsafe_code)]
pub fn begin() {
    // SAFETY: the option is a number that mimalloc itself reads without a lock; it is not written by
    // another thread, as there is none yet, and any value is a valid delay.
    unsafe { mi_option_set_default(PURGE_DELAY, KEEP) };
    if std::env::var_os(TELLS_NOBODY).is_none_or(|said| said.is_empty()) {
        // SAFETY: nothing else reads or writes the environment meanwhile, as there is no other thread yet.
        unsafe { std::env::set_var(TELLS_NOBODY, "1") };
    }
}

/// Gives back what was freed and has waited long enough. Called every second or so: a server that has gone quiet asks the
/// allocator for nothing, and would keep what its last burst left.
#[allow(unsafe_code)]
pub fn settle() {
    // SAFETY: it may be called from any thread at any time; it touches the calling thread's own heap and, behind
    // the allocator's own locks, what all threads have freed.
    unsafe { mi_collect(false) };
}

/// Gives back what the calling thread's own heap keeps for its next allocations, all of it. For a thread that has gone
/// quiet after some work; what it does next pays for that.
#[allow(unsafe_code)]
pub fn settle_thread() {
    // SAFETY: it may be called from any thread at any time; it touches the calling thread's own heap and, behind the
    // allocator's own locks, what all threads have freed.
    unsafe { mi_collect(true) };
}

#[cfg(test)]
mod tests {
    #[allow(unsafe_code)]
    fn delay() -> i64 {
        // SAFETY: reads one number; no other thread of this test writes it.
        unsafe { libmimalloc_sys::mi_option_get(super::PURGE_DELAY) }
    }

    #[test]
    fn what_comes_first_is_settled() {
        let set = std::env::var_os("MIMALLOC_PURGE_DELAY").is_some();
        assert!(set || delay() == 1000, "mimalloc's own default: another option stands at this number now");
        super::begin();
        assert!(set || delay() == 100);
        super::settle();
        super::settle_thread();
    }

    /// Libraries that are loaded later look for these names in the program first.
    #[cfg(target_os = "linux")]
    #[test]
    #[allow(unsafe_code)]
    fn libraries_have_the_same_allocator() {
        let own: [(&std::ffi::CStr, usize); 3] = [
            (c"malloc", libc::malloc as *const () as usize),
            (c"free", libc::free as *const () as usize),
            (c"posix_memalign", libc::posix_memalign as *const () as usize),
        ];
        for (name, own) in own {
            // SAFETY: looks a name up, which ends with a zero.
            let found = unsafe { libc::dlsym(libc::RTLD_DEFAULT, name.as_ptr()) };
            assert_eq!(found as usize, own, "{name:?}");
        }
        // SAFETY: a block that is given back, and a question about its address.
        unsafe {
            let block = libc::malloc(1 << 20);
            assert!(libmimalloc_sys::mi_is_in_heap_region(block));
            libc::free(block);
        }
    }
}
