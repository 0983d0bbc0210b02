//! Any text as a configuration file: it is taken, or one line says why not.
#![no_main]

use earwitness_fuzz::config::{Config, Environment};
use libfuzzer_sys::fuzz_target;
use std::sync::OnceLock;

static FILE: OnceLock<std::path::PathBuf> = OnceLock::new();

fuzz_target!(|input: &[u8]| {
    let path = FILE.get_or_init(|| earwitness_fuzz::scratch("config").join("c.toml"));
    std::fs::write(path, input).expect("a folder that can be written to");
    if let Err(e) = Config::load_in(Some(path), &Environment::default()) {
        let said = e.to_string();
        let own = said.lines().count();
        assert!(own == 1 || input.iter().any(|b| b"\x0b\x0c\x85\r\\".contains(b)), "{own} lines: {said}");
    }
});
