//! Exports of a ledger, as an auditor is handed them: no byte of one can be changed unseen, and what is verified of
//! somebody else's says the same to another reader of JSON.

#![no_main]

use aecl_ledger::replay::Redecided;
use aecl_ledger::{AuditReport, Auditor, Export, redecide, verify_export};
use aecl_proof::tile::write_entries;
use aecl_proof::{Checkpoint, Frontier, Hash, TilePath, VerifierKey, leaf_hash};
use ed25519_dalek::SigningKey;
use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// An export that everybody has, whose key is known.
const GOLDEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../crates/aecl-ledger/tests/golden/export");
const ORIGIN: &str = "ledger.test/acme";

/// Entries of one bundle that is not full.
const ENTRIES_MAX: usize = 200;

fuzz_target!(|bytes: &[u8]| {
    static PLACE: OnceLock<Place> = OnceLock::new();
    let place = PLACE.get_or_init(Place::new);
    let [kind, rest @ ..] = bytes else { return };
    match (kind, rest) {
        (b'e', [file, edits @ ..]) => place.differs(*file, |honest| Some(edited(honest, edits))),
        (b'w', [file, content @ ..]) => place.differs(*file, |_| Some(content.to_vec())),
        (b'd', [file, ..]) => place.differs(*file, |_| None),
        (b'r', lines) => drop(place.decides_again(&split(lines))),
        (b'l', lines) => place.tells(split(lines)),
        (_, lines) => place.tells(in_sequence(lines)),
    }
});

/// Two exports in memory, where there is such a place: the golden one, and one with other entries.
struct Place {
    dir: tempfile::TempDir,
    auditor: Auditor,
    /// Names and content of the golden one's files.
    files: Vec<(String, Vec<u8>)>,
}

impl Place {
    fn new() -> Self {
        let memory = Path::new("/dev/shm");
        let memory = if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() };
        let dir = tempfile::tempdir_in(memory).expect("a directory");
        let key = VerifierKey::new(ORIGIN, signer().verifying_key()).expect("a key");
        let mut files = Vec::new();
        walk(Path::new(GOLDEN), "", &mut files);
        files.sort();
        let place = Self { dir, auditor: Auditor::new(ORIGIN, key), files };
        for (name, content) in &place.files {
            write(&place.golden().join(name), content);
            // What its entries commit to, beside other ones.
            if name.starts_with("payloads/") {
                write(&place.other().join(name), content);
            }
        }
        verify_export(&place.golden(), &place.auditor, None).expect("it is as it was made");
        place
    }

    fn golden(&self) -> PathBuf {
        self.dir.path().join("golden")
    }

    fn other(&self) -> PathBuf {
        self.dir.path().join("other")
    }

    /// With one file changed, or gone, it does not verify, or it still says the same.
    fn differs(&self, file: u8, change: impl FnOnce(&[u8]) -> Option<Vec<u8>>) {
        let (name, honest) = &self.files[usize::from(file) % self.files.len()];
        let path = self.golden().join(name);
        let changed = change(honest);
        match &changed {
            Some(changed) => fs::write(&path, changed).expect("it is written"),
            None => fs::remove_file(&path).expect("it is removed"),
        }
        let verified = verify_export(&self.golden(), &self.auditor, None);
        fs::write(&path, honest).expect("it is written");
        let Some(changed) = changed else {
            let gone = verified.map(|report| report.payloads_missing);
            return assert!(
                gone.is_err() || name.starts_with("payloads/"),
                "`{name}` is gone, and is verified"
            );
        };
        assert!(verified.is_ok() || changed != *honest, "what is whole is refused");
        if verified.is_err() || changed == *honest {
            return;
        }
        match name.split_once('/').map_or(name.as_str(), |(dir, _)| dir) {
            // A note of the exporter to itself.
            "payloads" if name.ends_with("/through") => {}
            // The commitment covers what is in it, however it is written.
            "payloads" => {
                let value = |bytes| serde_json::from_slice::<Value>(bytes).expect("it was read as JSON");
                assert_eq!(value(&changed), value(honest), "`{name}` says something else, and is verified");
            }
            // Somebody may have signed it, too.
            "checkpoint" => {
                let text = honest.windows(2).position(|two| two == b"\n\n").expect("a note has a text");
                assert_eq!(
                    changed.get(..text),
                    honest.get(..text),
                    "the head is another one, and is verified"
                );
            }
            _ => panic!("`{name}` is another one, and is verified"),
        }
    }

    /// What is verified of these entries is what another reader finds; they continue each head of theirs, and no other.
    fn tells(&self, mut lines: Vec<Vec<u8>>) {
        let dir = self.other();
        lay_out(&dir, &lines);
        let Ok(report) = verify_export(&dir, &self.auditor, None) else { return };
        is_told_as(&report, &lines);
        if let Some(again) = self.decides_again(&lines) {
            let decided = again.decisions + again.turned_away + again.unavailable.len() as u64;
            assert_eq!(decided, report.decisions.values().sum::<u64>(), "another number of decisions");
        }
        let kept = |lines: &[Vec<u8>]| signed(lines).0;
        let half = lines.len() / 2;
        let before = verify_export(&dir, &self.auditor, Some(&kept(&lines[..half])));
        assert_eq!(before.expect("it continues that head").continues, Some(half as u64));
        lines.push(Vec::new());
        let longer = verify_export(&dir, &self.auditor, Some(&kept(&lines)));
        assert!(longer.is_err(), "the end was cut off, and it is verified");
        lines.pop();
        lines[0].push(b' ');
        let another = verify_export(&dir, &self.auditor, Some(&kept(&lines)));
        assert!(another.is_err(), "history was written anew, and it is verified");
    }

    /// Whoever tries out another policy reads an export without an auditor's key.
    fn decides_again(&self, lines: &[Vec<u8>]) -> Option<Redecided> {
        let dir = self.other();
        lay_out(&dir, lines);
        let mut export = Export::open(&dir).expect("its head is ours");
        redecide(&mut export, 0..lines.len() as u64).ok()
    }
}

fn signer() -> SigningKey {
    SigningKey::from_bytes(&[7; 32])
}

fn walk(dir: &Path, prefix: &str, files: &mut Vec<(String, Vec<u8>)>) {
    for entry in fs::read_dir(dir).expect("a directory") {
        let entry = entry.expect("an entry");
        let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
        match entry.path().is_dir() {
            true => walk(&entry.path(), &format!("{name}/"), files),
            false => files.push((name, fs::read(entry.path()).expect("it is read"))),
        }
    }
}

fn write(path: &Path, content: &[u8]) {
    fs::create_dir_all(path.parent().expect("it lies below")).expect("a directory");
    fs::write(path, content).expect("it is written");
}

/// The signed head of these entries, and their hashes.
fn signed(lines: &[Vec<u8>]) -> (String, Vec<Hash>) {
    let (mut tree, mut complete) = (Frontier::new(), Vec::new());
    let leaves: Vec<Hash> = lines.iter().map(|line| leaf_hash(line)).collect();
    for leaf in &leaves {
        tree.append(*leaf, &mut complete);
    }
    let head = Checkpoint::new(ORIGIN, tree.size(), tree.root()).expect("a head");
    (head.sign(&signer()).expect("it is signed"), leaves)
}

/// Writes an export with these entries, as the exporter does it.
fn lay_out(dir: &Path, lines: &[Vec<u8>]) {
    drop(fs::remove_dir_all(dir.join("tile")));
    let width = u16::try_from(lines.len()).expect("few entries");
    let (head, leaves) = signed(lines);
    let hashes: Vec<u8> = leaves.iter().flat_map(|leaf| leaf.0).collect();
    let entries = write_entries(lines).expect("short entries");
    write(&dir.join("checkpoint"), head.as_bytes());
    write(&dir.join(TilePath::entries(0, width).expect("a bundle").to_string()), &entries);
    write(&dir.join(TilePath::hashes(0, 0, width).expect("a tile").to_string()), &hashes);
}

/// Lines with the numbers that they should have, and no time before the one above: a change of one line would end
/// the reading otherwise.
fn in_sequence(bytes: &[u8]) -> Vec<Vec<u8>> {
    let (mut runs, mut last) = (HashMap::<Vec<u8>, usize>::new(), Vec::new());
    let numbered = |(position, mut line): (usize, Vec<u8>)| {
        number(&mut line, b"\"position\":", position);
        if let Some(run) = text(&line, b"\"run\":\"") {
            let seq = runs.entry(line[run].to_vec()).or_default();
            if number(&mut line, b"\"seq\":", *seq) {
                *seq += 1;
            }
        }
        if let Some(at) = text(&line, b"\"at\":\"") {
            if line[at.clone()] < last[..] && at.len() == last.len() {
                line[at].copy_from_slice(&last);
            } else {
                last = line[at].to_vec();
            }
        }
        line
    };
    split(bytes).into_iter().enumerate().map(numbered).collect()
}

/// Entries of an export: neither more nor longer ones.
fn split(bytes: &[u8]) -> Vec<Vec<u8>> {
    let lines = bytes.split(|byte| *byte == b'\n').filter(|line| line.len() <= usize::from(u16::MAX));
    lines.take(ENTRIES_MAX).map(<[u8]>::to_vec).collect()
}

/// Where the text behind these words is.
fn text(line: &[u8], words: &[u8]) -> Option<std::ops::Range<usize>> {
    let start = line.windows(words.len()).position(|here| here == words)? + words.len();
    let length = line[start..].iter().position(|byte| *byte == b'"')?;
    Some(start..start + length)
}

/// Puts this number behind these words. Gives whether they are there.
fn number(line: &mut Vec<u8>, words: &[u8], number: usize) -> bool {
    let Some(start) = line.windows(words.len()).position(|here| here == words) else { return false };
    let start = start + words.len();
    let digits = line[start..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    line.splice(start..start + digits, number.to_string().into_bytes());
    true
}

/// What was verified is, entry by entry, what another reader finds.
fn is_told_as(report: &AuditReport, lines: &[Vec<u8>]) {
    assert_eq!(report.entries, lines.len() as u64, "another number of entries");
    let (mut kinds, mut decisions) = (BTreeMap::<String, u64>::new(), BTreeMap::<String, u64>::new());
    for (position, line) in lines.iter().enumerate() {
        let entry: Value = serde_json::from_slice(line).expect("what is verified is JSON to anybody");
        assert_eq!(entry["position"].as_u64(), Some(position as u64), "another position");
        let kind = entry["kind"].as_str().expect("it has a kind").to_owned();
        if kind == "ruled" {
            let outcome = entry["outcome"].as_str().expect("it has an outcome").to_owned();
            *decisions.entry(outcome).or_default() += 1;
        }
        *kinds.entry(kind).or_default() += 1;
    }
    assert_eq!(report.kinds, kinds, "other kinds");
    assert_eq!(report.decisions, decisions, "other decisions");
}

/// The bytes with changes: each of them three bytes, that say where and what.
fn edited(bytes: &[u8], edits: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for edit in edits.as_chunks::<3>().0 {
        let [high, low, what] = *edit;
        let at = usize::from(u16::from_be_bytes([high & 0x3f, low]) << 2 | u16::from(high >> 6));
        let at = at % (bytes.len() + 1);
        match (bytes.get_mut(at), what) {
            (Some(_), 0) => drop(bytes.remove(at)),
            (Some(_), 0xff) => bytes.truncate(at),
            (Some(byte), 1..0x80) => *byte ^= what,
            (_, what) => bytes.insert(at, what & 0x7f),
        }
    }
    bytes
}
