#![no_main]

libfuzzer_sys::fuzz_target!(|forgery: mainspring_fuzz::journal::Forgery| mainspring_fuzz::journal::forged(&forgery));
