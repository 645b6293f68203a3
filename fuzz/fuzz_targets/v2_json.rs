#![no_main]

libfuzzer_sys::fuzz_target!(|body: &[u8]| mainspring_fuzz::v2::json(body));
