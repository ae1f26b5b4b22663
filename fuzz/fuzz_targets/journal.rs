#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| quantpress_fuzz::targets::journal(data));
