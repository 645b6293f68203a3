#![no_main]

libfuzzer_sys::fuzz_target!(|damage: mainspring_fuzz::journal::Damage| mainspring_fuzz::journal::damaged(&damage));
