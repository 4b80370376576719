//! The text of a configuration file: any text is read or refused with an error.
#![no_main]

use itemory::config::parse_config_text;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Err(error) = parse_config_text(text) {
        assert!(!error.to_string().is_empty());
    }
});
