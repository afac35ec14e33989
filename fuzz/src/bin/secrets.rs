//! The secret store: a file that was changed is refused, or holds what was put there; never anything else.

#![no_main]

use libfuzzer_sys::fuzz_target;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use vault::secret::Secret;
use vault::store::{Listed, SecretStore};

// The store is compiled in from its files: the crate around it links TLS.
#[allow(dead_code, reason = "the room itself needs more of them")]
#[path = "../../../crates/aecl-egress/src/vault"]
mod vault {
    pub mod secret;
    pub mod store;
}

const NAME: &str = "team/key";
const VALUE: &str = "sk-4711-value";
const AT_S: u64 = 1_700_000_000;

/// A store with one secret in it, and the bytes of its files.
struct Place {
    _dir: tempfile::TempDir,
    store: SecretStore,
    file: PathBuf,
    key: PathBuf,
    sealed: Vec<u8>,
    secret: Vec<u8>,
}

impl Place {
    fn new() -> Self {
        // In memory, where there is such a place.
        let memory = Path::new("/dev/shm");
        let memory = if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() };
        let dir = tempfile::tempdir_in(memory).expect("a directory");
        let (file, key) = (dir.path().join("secrets/store"), dir.path().join("key"));
        let store = SecretStore::new(dir.path().join("secrets"), &key);
        store.set(NAME, Secret::new(VALUE.to_owned()), AT_S).expect("it is set");
        let (sealed, secret) = (fs::read(&file).expect("it is there"), fs::read(&key).expect("it is there"));
        Self { _dir: dir, store, file, key, sealed, secret }
    }
}

fuzz_target!(|bytes: &[u8]| {
    static PLACE: OnceLock<Place> = OnceLock::new();
    let place = PLACE.get_or_init(Place::new);
    let Some((kind, rest)) = bytes.split_first() else { return };
    let (sealed, secret) = match kind {
        b'w' => (rest.to_vec(), place.secret.clone()),
        b'k' => (place.sealed.clone(), rest.to_vec()),
        b'K' => (place.sealed.clone(), edited(&place.secret, rest)),
        _ => (edited(&place.sealed, rest), place.secret.clone()),
    };
    fs::write(&place.file, &sealed).expect("it is written");
    fs::write(&place.key, &secret).expect("it is written");
    let whole = sealed == place.sealed;
    let listed = place.store.list();
    let got = place.store.get(NAME);
    if let Ok(listed) = &listed {
        assert_eq!(listed, &[Listed { name: NAME.to_owned(), changed_at_s: AT_S }], "other secrets");
        assert!(whole, "a file that was changed is taken");
    }
    assert_eq!(listed.is_ok(), got.is_ok(), "two readings of one store");
    if let Ok(got) = got {
        assert_eq!(got.expect("it is listed").expose(), VALUE, "another secret");
    }
    assert!(!whole || secret != place.secret || listed.is_ok(), "what is whole is refused");
    // What cannot be read is not written over.
    if listed.is_err() {
        assert!(place.store.set("other", Secret::new(VALUE.to_owned()), AT_S).is_err(), "it is written over");
        assert!(place.store.remove(NAME).is_err(), "it is written over");
        assert_eq!(fs::read(&place.file).expect("it is there"), sealed, "the file has changed");
    }
});

/// The bytes with changes: each of them three bytes, that say where and what.
fn edited(bytes: &[u8], edits: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for edit in edits.as_chunks::<3>().0 {
        let [high, low, what] = *edit;
        let at = usize::from(u16::from_be_bytes([high, low]));
        match (at.checked_rem(bytes.len()), high & 0xc0) {
            (Some(at), 0xc0) => bytes.truncate(at),
            (Some(at), 0x80) => bytes.insert(at, what),
            (Some(at), 0x40) => drop(bytes.remove(at)),
            (Some(at), _) => {
                if let Some(byte) = bytes.get_mut(at) {
                    *byte ^= what;
                }
            }
            (None, _) => bytes.push(what),
        }
    }
    bytes
}
