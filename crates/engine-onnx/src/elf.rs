//! A look at a shared library before it is loaded. The dynamic linker maps what the headers say; in
//! a file that was cut short this ends the process with SIGBUS instead of an error.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

/// Whether the file is a whole ELF64 library, by the ELF-64 object file format (version 1.5, §4
/// and §8). Says nothing about files of other systems.
pub(crate) fn check(path: &Path) -> Result<(), String> {
    if !cfg!(target_os = "linux") {
        return Ok(());
    }
    let mut file = File::open(path).map_err(|e| e.to_string())?;
    let len = file.metadata().map_err(|e| e.to_string())?.len();
    let mut header = [0_u8; 64];
    file.read_exact(&mut header).map_err(|_| "it is too short to be a library".to_owned())?;
    if !header.starts_with(b"\x7fELF") {
        return Err("it is not a shared library (no ELF header)".into());
    }
    if header[4] != 2 || header[5] != 1 {
        return Err("it is a library for another kind of machine".into());
    }
    let table = word(&header, 32);
    let (size, count) = (half(&header, 54), half(&header, 56));
    if size < 56 || count == 0 {
        return Err("its ELF header has no segments".into());
    }
    let mut segment = [0_u8; 56];
    for i in 0..u64::from(count) {
        let at = table.checked_add(i * u64::from(size)).ok_or("its ELF header is damaged")?;
        let read = file.seek(SeekFrom::Start(at)).and_then(|_| file.read_exact(&mut segment));
        read.map_err(|_| "it is cut short".to_owned())?;
        let end = word(&segment, 8).checked_add(word(&segment, 32)).ok_or("its ELF header is damaged")?;
        // PT_LOAD and everything inside it: what is not in the file cannot be mapped.
        if end > len {
            return Err(format!("it is cut short: {len} bytes, but its header needs {end}"));
        }
    }
    Ok(())
}

fn half(bytes: &[u8], at: usize) -> u16 {
    bytes.get(at..at + 2).and_then(|b| b.try_into().ok()).map_or(0, u16::from_le_bytes)
}

fn word(bytes: &[u8], at: usize) -> u64 {
    bytes.get(at..at + 8).and_then(|b| b.try_into().ok()).map_or(0, u64::from_le_bytes)
}
