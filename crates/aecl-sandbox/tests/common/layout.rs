//! Image layouts that are made by hand, so that they may be as wrong as one wants.
#![allow(dead_code, reason = "each file of tests takes what it needs")]

use std::fs;
use std::io::Write;
use std::path::Path;

use aecl_sandbox::ImageDigest;
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tar::{EntryType, Header};

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
pub const PLAIN: &str = "application/vnd.oci.image.layer.v1.tar";
pub const GZIP: &str = "application/vnd.oci.image.layer.v1.tar+gzip";

/// The archive of one layer.
#[derive(Clone, Default)]
pub struct Layer(pub Vec<u8>);

impl Layer {
    pub fn new() -> Self {
        Self::default()
    }

    pub fn dir(self, path: &str) -> Self {
        self.entry(EntryType::Directory, path.as_bytes(), b"", 0o755, b"")
    }

    pub fn file(self, path: &str, content: &[u8]) -> Self {
        self.entry(EntryType::Regular, path.as_bytes(), b"", 0o644, content)
    }

    pub fn program(self, path: &str, content: &[u8]) -> Self {
        self.entry(EntryType::Regular, path.as_bytes(), b"", 0o4755, content)
    }

    pub fn link(self, path: &str, to: &str) -> Self {
        self.entry(EntryType::Symlink, path.as_bytes(), to.as_bytes(), 0o777, b"")
    }

    pub fn hard(self, path: &str, to: &str) -> Self {
        self.entry(EntryType::Link, path.as_bytes(), to.as_bytes(), 0o644, b"")
    }

    /// Whatever it is. Long names get a record of their own.
    pub fn entry(mut self, kind: EntryType, path: &[u8], link: &[u8], mode: u32, content: &[u8]) -> Self {
        for (record, name) in [(EntryType::GNULongName, path), (EntryType::GNULongLink, link)] {
            if name.len() > 99 {
                self.header(record, b"././@LongLink", b"", 0o644, name.len() as u64 + 1);
                self.content(&[name, b"\0"].concat());
            }
        }
        self.header(kind, path, link, mode, content.len() as u64);
        self.content(content);
        self
    }

    /// Keys and values of the entry that follows.
    pub fn pax(mut self, kind: EntryType, records: &[u8]) -> Self {
        self.header(kind, b"pax", b"", 0o644, records.len() as u64);
        self.content(records);
        self
    }

    /// A header alone, with a size of its own.
    pub fn header(&mut self, kind: EntryType, path: &[u8], link: &[u8], mode: u32, size: u64) {
        let mut header = Header::new_gnu();
        header.set_entry_type(kind);
        header.set_mode(mode);
        header.set_mtime(1_234_567_890);
        header.set_size(size);
        let old = header.as_old_mut();
        for (field, bytes) in [(&mut old.name, path), (&mut old.linkname, link)] {
            let length = bytes.len().min(99);
            field[..length].copy_from_slice(&bytes[..length]);
        }
        header.set_cksum();
        self.0.extend(header.as_bytes());
    }

    pub fn content(&mut self, bytes: &[u8]) {
        self.0.extend(bytes);
        self.0.resize(self.0.len().next_multiple_of(512), 0);
    }

    fn end(&self) -> Vec<u8> {
        [self.0.as_slice(), &[0; 1_024]].concat()
    }
}

/// A layer as it lies in a layout: its kind, its bytes, the digest of what they unpack to.
pub type Packed = (String, Vec<u8>, String);

pub fn plain(layer: &Layer) -> Packed {
    let bytes = layer.end();
    let digest = digest(&bytes);
    (PLAIN.into(), bytes, digest)
}

pub fn gzip(layer: &Layer) -> Packed {
    let bytes = layer.end();
    let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
    packed.write_all(&bytes).unwrap();
    (GZIP.into(), packed.finish().unwrap(), digest(&bytes))
}

pub fn digest(bytes: &[u8]) -> String {
    let hex: String = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{hex}")
}

/// Writes a blob, and what names it.
pub fn blob(dir: &Path, kind: &str, bytes: &[u8]) -> Value {
    let blobs = dir.join("blobs/sha256");
    fs::create_dir_all(&blobs).unwrap();
    let digest = digest(bytes);
    fs::write(blobs.join(digest.trim_start_matches("sha256:")), bytes).unwrap();
    json!({ "mediaType": kind, "digest": digest, "size": bytes.len() })
}

/// Writes a layout with one image of these layers, named `made`.
pub fn write(dir: &Path, layers: &[Packed], run: &Value) -> ImageDigest {
    let config = json!({ "architecture": "amd64", "os": "linux", "config": run,
        "rootfs": { "type": "layers", "diff_ids": layers.iter().map(|(_, _, id)| id).collect::<Vec<_>>() } });
    let config = blob(dir, CONFIG, config.to_string().as_bytes());
    let layers: Vec<_> = layers.iter().map(|(kind, bytes, _)| blob(dir, kind, bytes)).collect();
    let manifest = json!({ "schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": layers });
    let mut manifest = blob(dir, MANIFEST, manifest.to_string().as_bytes());
    let digest = ImageDigest::parse(manifest["digest"].as_str().unwrap()).unwrap();
    manifest["annotations"] = json!({ "org.opencontainers.image.ref.name": "made" });
    index(dir, &[manifest]);
    digest
}

pub fn index(dir: &Path, manifests: &[Value]) {
    let index = json!({ "schemaVersion": 2, "manifests": manifests });
    fs::write(dir.join("index.json"), index.to_string()).unwrap();
    fs::write(dir.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).unwrap();
}
