//! `aecl.yaml`: whatever stands there, it is read or refused on a thread's stack, and what is read is written and read
//! again as the same.

#![no_main]

use aecl_gate::config::{Config, Home};
use libfuzzer_sys::fuzz_target;
use std::fs;
use std::path::Path;
use std::sync::OnceLock;

/// The stack of a thread of the server.
const STACK_BYTES: usize = 2 << 20;

fuzz_target!(|bytes: &[u8]| {
    let bytes = bytes.to_vec();
    let thread = std::thread::Builder::new().stack_size(STACK_BYTES);
    thread.spawn(move || read(&bytes)).expect("a thread").join().expect("it came to its end");
});

fn read(bytes: &[u8]) {
    static PLACE: OnceLock<tempfile::TempDir> = OnceLock::new();
    let dir = PLACE.get_or_init(|| {
        // In memory, where there is such a place.
        let memory = Path::new("/dev/shm");
        let memory = if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() };
        tempfile::tempdir_in(memory).expect("a directory")
    });
    let home = Home::new(dir.path());
    fs::write(home.config(), bytes).expect("it is written");
    let read = home.read();
    let Ok(text) = std::str::from_utf8(bytes) else {
        return assert!(read.is_err(), "what is no text is read");
    };
    let parsed = Config::parse(text);
    assert_eq!(read.as_ref().ok(), parsed.as_ref().ok(), "a file and its text are two configurations");
    assert_eq!(home.sandbox().ok(), parsed.as_ref().ok().map(|c| c.sandbox.clone()), "another sandbox");
    let Ok(config) = parsed else { return };
    // What was named once is itself.
    for person in &config.people {
        for name in person.names.iter().map(String::as_str).chain([person.id.as_str()]) {
            assert_eq!(config.person_named(name), Some(&person.id), "`{name}` is somebody else");
        }
    }
    assert!(!config.url().ends_with('/'), "links would have two slashes");
    // Less is what it says: nobody's program, socket or lower tier.
    let less = config.sandbox.narrowing();
    assert!(less.described().is_empty() && less.lowered().is_none(), "it gives something");
    let json = serde_json::to_string(&config).expect("it is written as JSON");
    assert_eq!(Config::parse(&json).as_ref(), Ok(&config), "as JSON it is another one");
}
