//! Layers of an image: whatever is in them, they are unpacked into their directory or refused, and nothing else changes.

#![no_main]

use aecl_sandbox::{ImageDigest, ImageLimits, Images};
use libfuzzer_sys::fuzz_target;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

const LIMITS: ImageLimits = ImageLimits { unpacked_max_bytes: 1 << 20, files_max: 200 };

/// The most that a layer unpacks to here, in bytes.
const UNPACKED_MAX: u64 = 4 << 20;

/// Of an archive: a block, and where a header has its size and its sum.
const BLOCK: usize = 512;
const SIZE: std::ops::Range<usize> = 124..136;
const SUM: std::ops::Range<usize> = 148..156;

const CANARY: &[u8] = b"nobody writes here";

fuzz_target!(|bytes: &[u8]| {
    let Some((kind, bytes)) = bytes.split_first() else { return };
    // In memory, where there is such a place.
    let place = Path::new("/dev/shm");
    let place = if place.is_dir() { place.to_owned() } else { std::env::temp_dir() };
    let dir = tempfile::tempdir_in(place).expect("a directory");
    let canary = dir.path().join("canary");
    fs::write(&canary, CANARY).expect("a canary");
    let layers = layers(*kind, bytes);
    let digest = lay_out(&dir.path().join("layout"), &layers);
    let images = Images::new(dir.path().join("images"));
    let unpacked = images.unpack(&dir.path().join("layout"), &digest, LIMITS);
    assert_eq!(fs::read(&canary).expect("the canary is there"), CANARY, "the canary is another");
    let mut names = names(dir.path());
    names.sort();
    assert_eq!(names, ["canary", "images", "layout"], "something came beside the image");
    let Ok(image) = unpacked else {
        assert!(!dir.path().join("images/unfinished").exists(), "something of a refused image is kept");
        return;
    };
    let (mut files, mut size) = (0, 0);
    walk(image.tree(), &mut |at| {
        let about = fs::symlink_metadata(at).expect("it was listed");
        (files, size) = (files + 1, size + if about.is_file() { about.len() } else { 0 });
        use std::os::unix::fs::MetadataExt;
        let mode = if about.is_symlink() { 0 } else { about.mode() };
        assert_eq!(mode & 0o7022, 0, "{at:?} could be written by others, or is run as somebody else");
        assert!(about.is_file() || about.is_dir() || about.is_symlink(), "{at:?} is a device");
    });
    assert!(
        size <= LIMITS.unpacked_max_bytes + 100 && files <= LIMITS.files_max + 20,
        "more than was agreed"
    );
    assert!(images.find(&digest).expect("it can be read").is_some(), "it is not found again");
});

/// A layer's media type, its bytes, and what they unpack to.
type Layer = (&'static str, Vec<u8>, Vec<u8>);

fn layers(kind: u8, bytes: &[u8]) -> Vec<Layer> {
    const PLAIN: &str = "application/vnd.oci.image.layer.v1.tar";
    const GZIP: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
    const ZSTD: &str = "application/vnd.oci.image.layer.v1.tar+zstd";
    let plain = |bytes: &[u8]| {
        let archive = summed(bytes.to_vec());
        (PLAIN, archive.clone(), archive)
    };
    match kind {
        b'g' => {
            let mut unpacked = Vec::new();
            // What does not unpack has no digest; any will do to read as far as it goes.
            drop(flate2::read::MultiGzDecoder::new(bytes).take(UNPACKED_MAX).read_to_end(&mut unpacked));
            vec![(GZIP, bytes.to_vec(), unpacked)]
        }
        b'z' => vec![(ZSTD, bytes.to_vec(), Vec::new())],
        // Blocks for the lower layer.
        b'0'..=b'9' => {
            let (lower, upper) = bytes.split_at(bytes.len().min(usize::from(kind - b'0') * 1024));
            vec![plain(lower), plain(upper)]
        }
        _ => vec![plain(bytes)],
    }
}

/// The archive with the sums that its headers should have: a change of one byte would end the reading otherwise.
fn summed(mut archive: Vec<u8>) -> Vec<u8> {
    let mut at = 0_usize;
    while let Some(header) = archive.get_mut(at..at.saturating_add(BLOCK)) {
        at += BLOCK;
        if header.iter().all(|byte| *byte == 0) {
            continue;
        }
        header[SUM].fill(b' ');
        let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
        header[SUM].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        let size = std::str::from_utf8(&header[SIZE]).unwrap_or_default();
        let size = usize::from_str_radix(size.trim_matches(['\0', ' ']), 8).unwrap_or(0);
        at = at.saturating_add(size.next_multiple_of(BLOCK));
    }
    archive
}

fn lay_out(dir: &Path, layers: &[Layer]) -> ImageDigest {
    let blobs = dir.join("blobs/sha256");
    fs::create_dir_all(&blobs).expect("a layout");
    let blob = |kind: &str, bytes: &[u8]| -> Value {
        let name = sha256(bytes);
        fs::write(blobs.join(&name), bytes).expect("a blob");
        json!({"mediaType": kind, "digest": format!("sha256:{name}"), "size": bytes.len()})
    };
    let digests: Vec<String> = layers.iter().map(|(_, _, raw)| format!("sha256:{}", sha256(raw))).collect();
    let architecture = if cfg!(target_arch = "x86_64") { "amd64" } else { "arm64" };
    let config = json!({"os": "linux", "architecture": architecture, "rootfs": {"type": "layers", "diff_ids": digests}});
    let config = blob("application/vnd.oci.image.config.v1+json", config.to_string().as_bytes());
    let layers: Vec<Value> = layers.iter().map(|(kind, bytes, _)| blob(kind, bytes)).collect();
    let kind = "application/vnd.oci.image.manifest.v1+json";
    let manifest = json!({"schemaVersion": 2, "mediaType": kind, "config": config, "layers": layers});
    let manifest = blob(kind, manifest.to_string().as_bytes());
    let digest = ImageDigest::parse(manifest["digest"].as_str().expect("a digest")).expect("our own digest");
    let index = json!({"schemaVersion": 2, "manifests": [manifest]});
    fs::write(dir.join("index.json"), index.to_string()).expect("an index");
    fs::write(dir.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).expect("a marker");
    digest
}

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn names(dir: &Path) -> Vec<String> {
    let all = fs::read_dir(dir).expect("a directory");
    all.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned()).collect()
}

/// Everything below, without following a link.
fn walk(dir: &Path, each: &mut impl FnMut(&PathBuf)) {
    for entry in fs::read_dir(dir).expect("a directory") {
        let path = entry.expect("an entry").path();
        each(&path);
        if fs::symlink_metadata(&path).expect("it was listed").is_dir() {
            walk(&path, each);
        }
    }
}
