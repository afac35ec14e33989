use super::*;
use proptest::prelude::*;

/// The vectors of Go's `sumdb/note`, which C2SP took over.
const SECRET: &str = "AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz";
const PUBLIC: &str = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
const TEXT: &str =
    "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n";
const LINE: &str = "— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n";

fn peter() -> SigningKey {
    let bytes = STANDARD.decode(SECRET).unwrap();
    SigningKey::from_bytes(bytes[1..].try_into().unwrap())
}

fn other() -> SigningKey {
    SigningKey::from_bytes(&[7; 32])
}

fn pinned() -> VerifierKey {
    PUBLIC.parse().unwrap()
}

#[test]
fn notes_are_those_of_the_reference_implementation() {
    let mut note = Note::new(TEXT).unwrap();
    note.sign("PeterNeumann", &peter()).unwrap();
    assert_eq!(note.to_string(), format!("{TEXT}\n{LINE}"));
    assert_eq!(VerifierKey::new("PeterNeumann", peter().verifying_key()).unwrap().to_string(), PUBLIC);
    assert_eq!(Note::parse(&note.to_string()).unwrap().verify(&pinned()), Ok(TEXT));
}

#[test]
fn a_text_may_have_empty_lines() {
    let mut note = Note::new("a\n\nb\n\n").unwrap();
    note.sign("x", &other()).unwrap();
    let read = Note::parse(&note.to_string()).unwrap();
    assert_eq!(read, note);
    assert_eq!(read.unverified_text(), "a\n\nb\n\n");
}

#[test]
fn unknown_signers_are_ignored_and_a_bad_known_one_is_not() {
    let mut note = Note::new(TEXT).unwrap();
    note.sign("witness.example/1", &other()).unwrap();
    // Same name with another key, same key with another name: both unknown.
    note.sign("PeterNeumann", &other()).unwrap();
    note.sign("Peter", &peter()).unwrap();
    assert_eq!(note.verify(&pinned()), Err(NoteError::NotSigned(PUBLIC.into())));
    note.sign("PeterNeumann", &peter()).unwrap();
    assert_eq!(note.verify(&pinned()), Ok(TEXT));
    assert_eq!(note.signers().count(), 4);

    // A good signature does not outweigh a bad one by the same key.
    let mut forged = Note::new(TEXT.to_uppercase()).unwrap();
    forged.sign("PeterNeumann", &peter()).unwrap();
    note.signatures.extend(forged.signatures);
    assert_eq!(note.verify(&pinned()), Err(NoteError::BadSignature(PUBLIC.into())));
}

#[test]
fn an_external_signature_is_checked_before_it_is_attached() {
    let mut note = Note::new(TEXT).unwrap();
    let good = peter().sign(TEXT.as_bytes()).to_bytes();
    assert_eq!(note.attach(&pinned(), [0; 64]), Err(NoteError::BadSignature(PUBLIC.into())));
    note.attach(&pinned(), good).unwrap();
    assert_eq!(note.to_string(), format!("{TEXT}\n{LINE}"));
}

#[test]
fn malformed_notes_are_refused() {
    let signature = LINE.rsplit(' ').next().unwrap();
    let cases = [
        String::new(),
        TEXT.to_owned(),
        format!("{TEXT}\n"),
        format!("{TEXT}{LINE}"),
        format!("{TEXT}\n{}", LINE.trim_end()),
        format!("{TEXT}\n{LINE}\n"),
        format!("{TEXT}\n{LINE}x\n"),
        format!("\n{LINE}"),
        format!("{TEXT}\r\n\n{LINE}"),
        format!("{TEXT}\n{}", LINE.replace('—', "-")),
        format!("{TEXT}\n{}", LINE.replace("PeterNeumann", "Peter Neumann")),
        format!("{TEXT}\n{}", LINE.replace("PeterNeumann", "Peter+Neumann")),
        format!("{TEXT}\n{}", LINE.replace("PeterNeumann", "")),
        format!("{TEXT}\n{}", LINE.replace("PeterNeumann", "Peter\u{2003}Neumann")),
        format!("{TEXT}\n{}", LINE.replace('=', "")),
        format!("{TEXT}\n{}", LINE.replace(signature, "x08gow==\n")),
        format!("{TEXT}\n{}", LINE.replace(signature, "x08g\n")),
        format!("{TEXT}\n{}", LINE.repeat(SIGNATURES_MAX + 1)),
        format!("{}\n{LINE}", "x\n".repeat(NOTE_MAX_BYTES / 2)),
    ];
    for case in &cases {
        assert!(Note::parse(case).and_then(|note| note.verify(&pinned()).map(drop)).is_err(), "{case:.200}");
    }
    assert!(
        Note::parse(&format!("{TEXT}\n{}", LINE.repeat(SIGNATURES_MAX))).unwrap().verify(&pinned()).is_ok()
    );
}

#[test]
fn malformed_keys_are_refused() {
    let zero = STANDARD.encode([[1].as_slice(), &[0; 32]].concat());
    let cases = [
        "".to_owned(),
        "PeterNeumann".to_owned(),
        PUBLIC.replace("c74f20a3", "c74f20a4"),
        PUBLIC.replace("c74f20a3", "C74F20A3"),
        PUBLIC.replace("c74f20a3", "c74f20a"),
        PUBLIC.replace("PeterNeumann", ""),
        PUBLIC.replace("PeterNeumann", "Peter\n"),
        PUBLIC.replace("ARpc", "BBpc"),
        PUBLIC.replace("0TW", "0T"),
        format!("{PUBLIC}\n"),
        format!("zero+00000000+{zero}"),
    ];
    for case in &cases {
        assert!(case.parse::<VerifierKey>().is_err(), "{case}");
    }
    assert!(Note::new(TEXT).unwrap().sign("a b", &other()).is_err());
    assert!(Note::new("no newline").is_err());
    assert!(Note::new("tab\t\n").is_err());
}

proptest! {
    #[test]
    fn a_flipped_byte_breaks_the_note(at: usize, bits in 1u8..) {
        let mut bytes = format!("{TEXT}\n{LINE}").into_bytes();
        let at = at % bytes.len();
        bytes[at] ^= bits;
        let verified = String::from_utf8(bytes).is_ok_and(|note| {
            Note::parse(&note).is_ok_and(|note| note.verify(&pinned()).is_ok())
        });
        prop_assert!(!verified);
    }

    #[test]
    fn what_parses_is_printed_as_it_was(text in "([a-z— \n]{0,40}\n){1,3}\n(— [a-z]{1,3} [A-Za-z0-9+/=]{8}\n){1,3}") {
        if let Ok(note) = Note::parse(&text) {
            prop_assert_eq!(note.to_string(), text);
        }
    }
}
