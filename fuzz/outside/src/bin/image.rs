//! Documents of an image: layout, index, lists of manifests, manifests and configurations. Whatever is in them, the image
//! is refused, or is what another reader of JSON finds behind its digest.

#![no_main]

use aecl_sandbox::{ImageDigest, ImageLimits, Images, Layout};
use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use std::fs;
use std::path::{Path, PathBuf};

const LIMITS: ImageLimits = ImageLimits { unpacked_max_bytes: 1 << 20, files_max: 200 };

/// Of what is offered, so many are unpacked.
const UNPACKED_MAX: usize = 4;

/// Documents of one layout.
const DOCUMENTS_MAX: usize = 40;

const ARCHITECTURE: &str = if cfg!(target_arch = "x86_64") { "amd64" } else { "arm64" };

const LISTS: [&str; 2] =
    ["application/vnd.oci.image.index.v1+json", "application/vnd.docker.distribution.manifest.list.v2+json"];

fuzz_target!(|bytes: &[u8]| {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    // In memory, where there is such a place.
    let place = Path::new("/dev/shm");
    let place = if place.is_dir() { place.to_owned() } else { std::env::temp_dir() };
    let dir = tempfile::tempdir_in(place).expect("a directory");
    let (place, store) = (dir.path().join("layout"), dir.path().join("images"));
    lay_out(&place, text);
    let images = Images::new(store);
    let nobodys = ImageDigest::parse(&sha256(b"nobody's")).expect("a digest");
    assert!(images.unpack(&place, &nobodys, LIMITS).is_err(), "what nobody offers is unpacked");
    let Ok(offers) = Layout::open(&place).and_then(|layout| layout.offers()) else { return };
    for offer in offers.iter().take(UNPACKED_MAX) {
        let shown = [&offer.name, &offer.platform].into_iter().flatten();
        assert!(
            shown.flat_map(|text| text.chars()).all(|c| !c.is_control()),
            "{offer:?} is not fit to be shown"
        );
        let Ok(image) = images.unpack(&place, &offer.digest, LIMITS) else { continue };
        assert_eq!(image.digest(), &offer.digest, "another image");
        is_described(&place, &offer.digest);
        let mut files = Vec::new();
        walk(image.tree(), &mut files);
        files.retain(|path| path.is_file());
        let known = ["etc/hosts", LAYER_FILE].map(|name| image.tree().join(name));
        assert!(files.iter().all(|file| known.contains(file)), "{files:?}: nobody has put that there");
        assert_eq!(
            images.find(&offer.digest).expect("it can be read"),
            Some(image),
            "it is not found as it was"
        );
    }
    let unfinished = dir.path().join("images/unfinished");
    assert!(!unfinished.exists(), "something of a refused image is kept");
});

/// What was unpacked is for us, by its digests all the way down, to a reader that knows nothing of images.
fn is_described(layout: &Path, digest: &ImageDigest) {
    let mut manifest = read(layout, &digest.to_string());
    if manifest.get("manifests").is_some() {
        let ours = |one: &&Value| {
            one["platform"]["os"] == "linux"
                && one["platform"]["architecture"] == ARCHITECTURE
                && !LISTS.iter().any(|list| one["mediaType"] == *list)
        };
        let one = manifest["manifests"].as_array().expect("a list").iter().find(ours).cloned();
        manifest = read(layout, one.expect("one is for us")["digest"].as_str().expect("it has a digest"));
    }
    assert!(manifest.get("manifests").is_none_or(Value::is_null), "it is also a list");
    let config = read(layout, manifest["config"]["digest"].as_str().expect("it has a digest"));
    assert_eq!(
        (&config["os"], &config["architecture"]),
        (&"linux".into(), &ARCHITECTURE.into()),
        "another system"
    );
    let layers = manifest["layers"].as_array().expect("a list");
    let unpacked = config["rootfs"]["diff_ids"].as_array().expect("a list");
    assert_eq!(layers.len(), unpacked.len(), "another number of layers");
    for (layer, unpacked) in layers.iter().zip(unpacked) {
        let bytes = blob(layout, layer["digest"].as_str().expect("it has a digest"));
        assert_eq!(layer["size"].as_u64(), Some(bytes.len() as u64), "another size");
        assert_eq!(*unpacked, sha256(&bytes), "another layer");
    }
}

fn read(layout: &Path, digest: &str) -> Value {
    serde_json::from_slice(&blob(layout, digest)).expect("what is read is JSON to anybody")
}

fn blob(layout: &Path, digest: &str) -> Vec<u8> {
    let hex = digest.strip_prefix("sha256:").expect("a digest");
    let bytes = fs::read(layout.join("blobs/sha256").join(hex)).expect("it is there");
    assert_eq!(sha256(&bytes), digest, "a blob that is another one is taken");
    bytes
}

fn sha256(bytes: &[u8]) -> String {
    let hex: String = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{hex}")
}

/// Documents in a text, each behind a line `===`: the layout's marker, its index, and then what both lead to. In each,
/// `@0` is the digest of the first one behind it and `#0` is its size; `@L` and `#L` are those of a layer.
fn lay_out(dir: &Path, text: &str) {
    let blobs = dir.join("blobs/sha256");
    fs::create_dir_all(&blobs).expect("a layout");
    let keep = |bytes: &[u8]| {
        let digest = sha256(bytes);
        fs::write(blobs.join(&digest["sha256:".len()..]), bytes).expect("a blob");
        (digest, bytes.len())
    };
    let layer = keep(&layer());
    // What is nearest is the last.
    let mut below: Vec<(String, usize)> = Vec::new();
    let documents: Vec<&str> = text.split("===\n").take(DOCUMENTS_MAX).collect();
    for (nth, document) in documents.iter().enumerate().rev() {
        let mut document = document.replace("@L", &layer.0).replace("#L", &layer.1.to_string());
        for (ahead, (digest, size)) in below.iter().rev().enumerate().take(10) {
            document = document.replace(&format!("@{ahead}"), digest);
            document = document.replace(&format!("#{ahead}"), &size.to_string());
        }
        match nth {
            0 => fs::write(dir.join("oci-layout"), document).expect("a marker"),
            1 => fs::write(dir.join("index.json"), document).expect("an index"),
            _ => below.push(keep(document.as_bytes())),
        }
    }
}

const LAYER_FILE: &str = "bin/it";

/// An archive with one file.
fn layer() -> Vec<u8> {
    let mut archive = vec![0; 512 * 4];
    archive[..LAYER_FILE.len()].copy_from_slice(LAYER_FILE.as_bytes());
    for (at, field) in [
        (100, &b"0000755\0"[..]),
        (108, b"0000000\0"),
        (116, b"0000000\0"),
        (124, b"00000000002\0"),
        (136, b"00000000000\0"),
        (148, b"        "),
        (156, b"0"),
        (257, b"ustar\x0000"),
        (512, b"it"),
    ] {
        archive[at..at + field.len()].copy_from_slice(field);
    }
    let sum: u32 = archive[..512].iter().map(|byte| u32::from(*byte)).sum();
    archive[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    archive
}

/// Everything below, without following a link.
fn walk(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).expect("a directory") {
        let path = entry.expect("an entry").path();
        if fs::symlink_metadata(&path).expect("it was listed").is_dir() {
            walk(&path, found);
        }
        found.push(path);
    }
}
