//! The image of every container: our launcher, and places to mount on. What a program sees comes later, as mounts.

use std::io;
use std::sync::OnceLock;

use serde::Deserialize;
use serde_json::{Value, json};
use tar::{Builder, EntryType, Header};

use super::api::{self, Body, Daemon, Refused};
use crate::image::{ARCHITECTURE, ImageDigest};
use crate::launcher::embedded::LAUNCHER;
use crate::protocol::wire::SOCKET;

/// Where the launcher is in it.
pub(super) const PROGRAM: &str = "/aecl-cage";

/// The daemon puts these into every container, and the launcher builds over the last.
const PLACES: [&str; 6] = ["./", "./dev/", "./etc/", "./proc/", "./sys/", "./usr/"];

/// An image as a daemon loads it.
struct Packed {
    /// The digest of its one layer, as the daemon says it.
    layer: String,
    /// Tells it from those of other releases.
    name: String,
    archive: Vec<u8>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Known {
    id: String,
    #[serde(rename = "RootFS")]
    root_fs: Layers,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Layers {
    layers: Vec<String>,
}

/// Sees to it that the daemon has the image. What it calls it.
///
/// # Errors
/// When the daemon does not load it, or has something else under its name afterwards.
pub(super) async fn ensure(daemon: &Daemon) -> Result<String, Refused> {
    let packed = packed().map_err(|error| Refused::Broken(error.kind().into()))?;
    match known(daemon, packed).await {
        Ok(Some(id)) => return Ok(id),
        Err(refused) if !refused.is_not_found() => return Err(refused),
        Ok(None) | Err(_) => {}
    }
    let said = daemon.send("POST", "/images/load?quiet=1", Body::Archive(packed.archive.clone())).await?;
    // It says 200 before it begins, and how that ended as it goes.
    if let Some(why) = api::error_in(&said) {
        return Err(Refused::Broken(io::Error::other(format!("the daemon does not load it: {why}"))));
    }
    let other =
        || Refused::Broken(io::Error::other(format!("the daemon has another image as `{}`", packed.name)));
    known(daemon, packed).await?.ok_or_else(other)
}

/// What the daemon has under the image's name, if that is what it should be.
async fn known(daemon: &Daemon, packed: &Packed) -> Result<Option<String>, Refused> {
    let known: Known = daemon.ask("GET", &format!("/images/{}/json", packed.name), Body::Nothing).await?;
    Ok((known.root_fs.layers == [packed.layer.as_str()]).then_some(known.id))
}

fn packed() -> Result<&'static Packed, &'static io::Error> {
    static PACKED: OnceLock<io::Result<Packed>> = OnceLock::new();
    PACKED.get_or_init(pack).as_ref()
}

/// The same bytes each time, so that its names are digests.
fn pack() -> io::Result<Packed> {
    let mut layer = Builder::new(Vec::new());
    for place in PLACES {
        put(&mut layer, place, EntryType::Directory, 0o755, &[])?;
    }
    put(&mut layer, &format!(".{PROGRAM}"), EntryType::Regular, 0o555, LAUNCHER)?;
    put(&mut layer, &format!(".{SOCKET}"), EntryType::Regular, 0o444, &[])?;
    let layer = layer.into_inner()?;
    let digest = ImageDigest::of(&layer);
    let config = json!({
        "architecture": ARCHITECTURE,
        "os": "linux",
        "config": {},
        "rootfs": { "type": "layers", "diff_ids": [digest.to_string()] },
    });
    let config = config.to_string().into_bytes();
    let config_name = format!("{}.json", ImageDigest::of(&config).hex());
    let layer_name = format!("{}/layer.tar", digest.hex());
    let name = format!("aecl-cage:{}", digest.hex());
    let manifest: Value = json!([{ "Config": config_name, "RepoTags": [name], "Layers": [layer_name] }]);
    let mut archive = Builder::new(Vec::new());
    put(&mut archive, &config_name, EntryType::Regular, 0o644, &config)?;
    put(&mut archive, &layer_name, EntryType::Regular, 0o644, &layer)?;
    put(&mut archive, "manifest.json", EntryType::Regular, 0o644, manifest.to_string().as_bytes())?;
    Ok(Packed { layer: digest.to_string(), name, archive: archive.into_inner()? })
}

fn put(to: &mut Builder<Vec<u8>>, name: &str, kind: EntryType, mode: u32, bytes: &[u8]) -> io::Result<()> {
    let mut header = Header::new_ustar();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_size(bytes.len() as u64);
    to.append_data(&mut header, name, bytes)
}
