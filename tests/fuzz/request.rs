//! Requests as strangers send them: the gateway's strict parser beside serde_json.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| runeward::fuzzing::request(bytes));
