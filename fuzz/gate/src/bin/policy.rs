//! The directory of a policy: Cedar, manifests, claims and examples, as JSON and YAML. Whatever stands there, it loads or
//! is refused on a thread's stack, and what has loaded loads as the same from the sources that are put on record.

#![no_main]

use aecl_analysis::lint::lint;
use aecl_analysis::load::VettedBundle;
use aecl_gate::{GateError, loader};
use libfuzzer_sys::fuzz_target;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// The stack of a thread of the server.
const STACK_BYTES: usize = 2 << 20;

/// The longest name of a file, in bytes, and the most directories it is in.
const NAME_MAX: usize = 60;
const DEPTH_MAX: usize = 3;

fuzz_target!(|bytes: &[u8]| {
    let files = files(bytes);
    let thread = std::thread::Builder::new().stack_size(STACK_BYTES);
    thread.spawn(move || load(&files)).expect("a thread").join().expect("it came to its end");
});

/// Files by their names: what follows a line such as `=== rules/a.cedar`.
fn files(bytes: &[u8]) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::<String, Vec<u8>>::new();
    let mut last = None;
    for line in bytes.split_inclusive(|byte| *byte == b'\n') {
        match name(line) {
            Some(name) => {
                files.insert(name.clone(), Vec::new());
                last = Some(name);
            }
            None => {
                if let Some(file) = last.as_ref().and_then(|last| files.get_mut(last)) {
                    file.extend_from_slice(line);
                }
            }
        }
    }
    files
}

fn name(line: &[u8]) -> Option<String> {
    let name = std::str::from_utf8(line).ok()?.strip_prefix("=== ")?.trim_end();
    let is_plain = |part: &str| {
        !matches!(part, "" | "." | "..")
            && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-~".contains(&b))
    };
    let fits =
        name.len() <= NAME_MAX && name.split('/').count() <= DEPTH_MAX && name.split('/').all(is_plain);
    fits.then(|| name.to_owned())
}

fn load(files: &BTreeMap<String, Vec<u8>>) {
    // In memory, where there is such a place.
    let memory = Path::new("/dev/shm");
    let memory = if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() };
    let dir = tempfile::tempdir_in(memory).expect("a directory");
    for (name, content) in files {
        let path = dir.path().join(name);
        // One that is called like a directory of another.
        if fs::create_dir_all(path.parent().expect("it lies below")).is_ok() {
            drop(fs::write(path, content));
        }
    }
    let bundle = match loader::load(dir.path()) {
        Ok(bundle) => bundle,
        Err(GateError::Bundle(problems)) => {
            assert!(problems.iter().any(|problem| problem.fatal), "refused, and nobody knows why");
            return;
        }
        Err(why) => panic!("what is there cannot be read: {why}"),
    };
    drop(lint(&bundle));
    let warnings =
        |bundle: &VettedBundle| bundle.warnings().iter().map(ToString::to_string).collect::<Vec<_>>();
    let mut sources = bundle.sources().to_vec();
    let again = VettedBundle::load(sources.clone());
    let again = again.unwrap_or_else(|why| panic!("what is on record is refused: {why:?}"));
    assert_eq!(again.hash(), bundle.hash(), "one bundle, two hashes");
    assert_eq!(again.sources(), bundle.sources(), "one bundle, two records of it");
    assert_eq!(warnings(&again), warnings(&bundle), "one bundle, two lists of doubts");
    sources.reverse();
    let turned = VettedBundle::load(sources).expect("the sequence of files counts");
    assert_eq!(turned.hash(), bundle.hash(), "the sequence of files counts");
}
