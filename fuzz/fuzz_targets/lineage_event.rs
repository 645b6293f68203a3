#![no_main]

libfuzzer_sys::fuzz_target!(|text: &str| mainspring_fuzz::lineage::event(text));
