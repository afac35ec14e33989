#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use std::os::unix::fs::PermissionsExt as _;

use super::*;

struct Place {
    dir: tempfile::TempDir,
    store: SecretStore,
}

fn place() -> Place {
    let dir = tempfile::tempdir().unwrap();
    let store = SecretStore::new(dir.path().join("secrets"), dir.path().join("keys/secrets.key"));
    Place { dir, store }
}

impl Place {
    fn set(&self, name: &str, value: &str) -> bool {
        self.store.set(name, Secret::new(value.into()), 7).unwrap()
    }
    fn file(&self) -> PathBuf {
        self.dir.path().join("secrets/store")
    }
    fn key(&self) -> PathBuf {
        self.dir.path().join("keys/secrets.key")
    }
    fn refused(&self) -> String {
        let error = self.store.get("a").unwrap_err();
        assert!(!format!("{error} {error:?}").contains("value-a"), "{error}");
        error.to_string()
    }
}

#[test]
fn entries_come_back_and_nothing_of_them_can_be_read_in_the_files() {
    let place = place();
    assert_eq!(place.store.list().unwrap(), []);
    assert!(!place.store.remove("a").unwrap());
    assert!(!place.set("a", "value-a") && !place.set("finance/stripe", "sk_live_1"));
    assert!(place.set("a", "value-b"), "it replaced one");
    assert_eq!(place.store.get("a").unwrap().unwrap().expose(), "value-b");
    assert!(place.store.get("b").unwrap().is_none());
    let names: Vec<String> = place.store.list().unwrap().into_iter().map(|it| it.name).collect();
    assert_eq!(names, ["a", "finance/stripe"]);
    let bytes = std::fs::read(place.file()).unwrap();
    for hidden in ["value-b", "finance", "stripe", "sk_live"] {
        assert!(!bytes.windows(hidden.len()).any(|w| w == hidden.as_bytes()), "{hidden}");
    }
    assert!(place.store.remove("a").unwrap() && place.store.get("a").unwrap().is_none());
}

#[test]
fn files_are_for_their_owner_only_and_a_key_that_others_may_read_is_refused() {
    let place = place();
    place.set("a", "value-a");
    for (path, mode) in [
        (place.file(), 0o600),
        (place.key(), 0o600),
        (place.dir.path().join("secrets"), 0o700),
        (place.dir.path().join("keys"), 0o700),
    ] {
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, mode, "{path:?}");
    }
    assert!(!place.dir.path().join("secrets/store.new").exists());
    std::fs::set_permissions(place.key(), std::fs::Permissions::from_mode(0o640)).unwrap();
    assert!(place.refused().contains("others may read the key"), "{}", place.refused());
}

#[test]
fn names_and_values_that_no_reference_or_credential_has_are_refused() {
    let place = place();
    for name in ["", "a b", "a}", "/a", "../a", "ä", &"a".repeat(129)] {
        assert!(matches!(place.store.set(name, Secret::new("v".into()), 1), Err(SecretStoreError::Name(_))));
    }
    for value in ["", "a\nb", "a\0b", "a\r", &"v".repeat(SECRET_MAX_BYTES + 1)] {
        assert!(matches!(
            place.store.set("a", Secret::new(value.into()), 1),
            Err(SecretStoreError::Value(_))
        ));
    }
    assert!(!place.file().exists() && !place.key().exists(), "nothing was begun");
    place.set("a", &"v".repeat(SECRET_MAX_BYTES));
}

#[test]
fn every_flipped_byte_and_every_cut_is_found() {
    let place = place();
    place.set("a", "value-a");
    let whole = std::fs::read(place.file()).unwrap();
    for at in 0..whole.len() {
        let mut bytes = whole.clone();
        bytes[at] ^= 1;
        std::fs::write(place.file(), &bytes).unwrap();
        let said = place.refused();
        let expected = match at {
            0..15 => "no secret store",
            15..23 => "sealed with the key",
            _ => "changed or is damaged",
        };
        assert!(said.contains(expected), "byte {at}: {said}");
    }
    for length in 0..whole.len() {
        std::fs::write(place.file(), &whole[..length]).unwrap();
        assert!(place.refused().contains("is cut off"), "{length}: {}", place.refused());
        let error = place.store.set("b", Secret::new("v".into()), 1).unwrap_err();
        assert!(matches!(error, SecretStoreError::Truncated(_)), "a broken store is not written over");
    }
    std::fs::write(place.file(), &whole).unwrap();
    assert_eq!(place.store.get("a").unwrap().unwrap().expose(), "value-a");
}

#[test]
fn another_key_a_garbled_key_and_no_key_say_what_they_are() {
    let (place, other) = (place(), self::place());
    place.set("a", "value-a");
    other.set("a", "value-c");
    let own = std::fs::read(place.key()).unwrap();
    std::fs::copy(other.key(), place.key()).unwrap();
    assert!(place.refused().contains("was sealed with the key"), "{}", place.refused());
    for garbled in [&b""[..], b"not base64!", b"AAAA", &own[..40], &[b'A'; 2000]] {
        std::fs::write(place.key(), garbled).unwrap();
        assert!(place.refused().contains("holds no key"), "{}", place.refused());
    }
    std::fs::remove_file(place.key()).unwrap();
    assert!(place.refused().contains("AECL_SECRETS_KEY_FILE"), "{}", place.refused());
    let error = place.store.set("b", Secret::new("v".into()), 1).unwrap_err();
    assert!(matches!(error, SecretStoreError::NoKey(_)), "no new key over an old store");
    std::fs::write(place.key(), own).unwrap();
    std::fs::set_permissions(place.key(), std::fs::Permissions::from_mode(0o400)).unwrap();
    assert_eq!(place.store.get("a").unwrap().unwrap().expose(), "value-a");
}

#[test]
fn many_writers_at_once_lose_nothing_and_readers_always_see_a_whole_store() {
    let place = place();
    place.set("first", "value-0");
    std::thread::scope(|threads| {
        for writer in 0..8 {
            let store = &place.store;
            threads.spawn(move || {
                for n in 0..10 {
                    let value = Secret::new(format!("value-{writer}-{n}"));
                    store.set(&format!("w{writer}.{n}"), value, 1).unwrap();
                    assert!(store.get("first").unwrap().is_some());
                }
            });
        }
    });
    assert_eq!(place.store.list().unwrap().len(), 81);
}

#[test]
fn what_a_killed_writer_left_behind_is_no_obstacle() {
    let place = place();
    place.set("a", "value-a");
    std::fs::write(place.dir.path().join("secrets/store.new"), b"half").unwrap();
    place.set("b", "value-b");
    assert_eq!(place.store.list().unwrap().len(), 2);
}
