#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| mainspring_fuzz::journal::frames(data));
