//! What a verifier is handed: notes, keys, places of tiles and their content. Each has one spelling.

#![no_main]

use aecl_proof::tile::write_entries;
use aecl_proof::{Hash, Note, TilePath, VerifierKey};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    for width in 1..=3 {
        let bundle = TilePath::entries(0, width).expect("a bundle");
        if let Ok(entries) = bundle.read_entries(bytes) {
            assert_eq!(write_entries(entries).ok().as_deref(), Some(bytes), "two forms of a bundle");
        }
        if let Ok(hashes) = TilePath::hashes(0, 0, width).expect("a tile").read_hashes(bytes) {
            assert_eq!(
                hashes.iter().flat_map(|hash| hash.0).collect::<Vec<u8>>(),
                bytes,
                "two forms of a tile"
            );
        }
    }
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Ok(note) = Note::parse(text) {
        assert_eq!(note.to_string(), text, "two spellings of one note");
    }
    if let Ok(key) = text.parse::<VerifierKey>() {
        assert_eq!(key.to_string(), text, "two spellings of one key");
    }
    if let Ok(path) = text.parse::<TilePath>() {
        assert_eq!(path.to_string(), text, "two spellings of one place");
    }
    if let Ok(hash) = Hash::from_base64(text) {
        assert_eq!(hash.to_base64(), text, "two spellings of one hash");
    }
});
