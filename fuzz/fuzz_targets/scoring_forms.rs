#![no_main]

libfuzzer_sys::fuzz_target!(|rows: mainspring_fuzz::scoring::Rows| mainspring_fuzz::scoring::forms(&rows));
