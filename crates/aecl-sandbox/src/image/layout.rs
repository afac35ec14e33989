//! An OCI image layout: which images a directory offers, and what one of them is made of.
//!
//! `index.json` is the only file that is believed, and only for what it offers: everything below it is named
//! by its digest and read as what that digest says, or refused.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde::de::{DeserializeOwned, IgnoredAny};

use super::layer::Compression;
use super::{ARCHITECTURE, ImageDigest, ImageError, Offer, Setup};
use crate::collected::shown;

/// Layers of one image. Docker makes at most 127.
const LAYERS_MAX: usize = 128;

/// Manifests, lists of them and configurations. Real ones have some thousand bytes.
const DOCUMENT_MAX_BYTES: u64 = 4 << 20;

/// What is looked at of all lists together.
const OFFERS_MAX: usize = 1_000;

/// Lists inside of lists.
const LISTS_DEPTH_MAX: usize = 3;

/// Variables of an image, together.
const ENV_MAX_BYTES: usize = 64 << 10;

/// A directory with images.
#[derive(Clone, Debug)]
pub struct Layout {
    dir: PathBuf,
}

/// An image as its manifest describes it, before anything is unpacked.
pub(super) struct Described {
    pub(super) setup: Setup,
    pub(super) layers: Vec<Blob>,
}

/// One layer, opened.
pub(super) struct Blob {
    pub(super) file: File,
    pub(super) size: u64,
    pub(super) digest: ImageDigest,
    pub(super) compression: Compression,
    /// Of what it unpacks to.
    pub(super) unpacked: ImageDigest,
}

#[derive(Deserialize)]
struct Marker {
    #[serde(rename = "imageLayoutVersion")]
    version: String,
}

/// A list of manifests. One that is also something else is nothing: it would be read in two ways.
#[derive(Deserialize)]
struct List {
    manifests: Vec<Descriptor>,
    config: Option<IgnoredAny>,
    layers: Option<IgnoredAny>,
}

#[derive(Deserialize)]
struct Manifest {
    config: Descriptor,
    layers: Vec<Descriptor>,
    manifests: Option<IgnoredAny>,
}

#[derive(Clone, Deserialize)]
struct Descriptor {
    #[serde(rename = "mediaType")]
    kind: String,
    digest: String,
    size: u64,
    platform: Option<Platform>,
    #[serde(default)]
    annotations: std::collections::BTreeMap<String, String>,
}

#[derive(Clone, Deserialize)]
struct Platform {
    os: String,
    architecture: String,
}

#[derive(Deserialize)]
struct Config {
    os: String,
    architecture: String,
    config: Option<Run>,
    rootfs: RootFs,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Run {
    env: Option<Vec<String>>,
    working_dir: Option<String>,
    entrypoint: Option<Vec<String>>,
    cmd: Option<Vec<String>>,
}

#[derive(Deserialize)]
struct RootFs {
    diff_ids: Vec<String>,
}

/// What an entry of a list is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Manifest,
    List,
    Other,
}

impl Kind {
    fn of(media_type: &str) -> Self {
        match media_type {
            "application/vnd.oci.image.manifest.v1+json"
            | "application/vnd.docker.distribution.manifest.v2+json" => Self::Manifest,
            "application/vnd.oci.image.index.v1+json"
            | "application/vnd.docker.distribution.manifest.list.v2+json" => Self::List,
            _ => Self::Other,
        }
    }
}

impl Layout {
    /// Looks at a directory.
    ///
    /// # Errors
    /// When it is no layout.
    pub fn open(dir: &Path) -> Result<Self, ImageError> {
        let layout = Self { dir: dir.to_owned() };
        let marker: Marker = layout.read_json(&dir.join("oci-layout"))?;
        if !marker.version.starts_with("1.") {
            return Err(layout.is_none(&format!("its version is `{}`", shown(marker.version.as_bytes()))));
        }
        Ok(layout)
    }

    /// What it offers: the images of its `index.json`, and those of the lists in there.
    ///
    /// # Errors
    /// When it cannot be read, or a list is not what its digest says.
    pub fn offers(&self) -> Result<Vec<Offer>, ImageError> {
        let mut offers = Vec::new();
        for found in self.all()? {
            let platform = found.platform.as_ref().map(|p| {
                let (os, architecture) = (shown(p.os.as_bytes()), shown(p.architecture.as_bytes()));
                format!("{os}/{architecture}")
            });
            let name = found.annotations.get("org.opencontainers.image.ref.name");
            offers.push(Offer {
                digest: ImageDigest::parse(&found.digest)?,
                name: name.map(|name| shown(name.as_bytes())),
                platform,
                is_list: Kind::of(&found.kind) == Kind::List,
            });
        }
        Ok(offers)
    }

    /// What that image is made of.
    pub(super) fn describe(&self, digest: &ImageDigest) -> Result<Described, ImageError> {
        let all = self.all()?;
        let Some(found) = all.iter().find(|one| one.digest == digest.to_string()) else {
            return Err(self.not_offered(digest)?);
        };
        let manifest = match Kind::of(&found.kind) {
            Kind::List => self.of_our_system(digest, found)?,
            Kind::Manifest | Kind::Other => found.clone(),
        };
        let cannot = |why: String| ImageError::Unsupported { digest: digest.clone(), why };
        let Manifest { config, layers, manifests } = self.read_document(&manifest)?;
        if manifests.is_some() {
            return Err(cannot("its manifest is also a list of manifests".into()));
        }
        if layers.len() > LAYERS_MAX {
            return Err(cannot(format!("it has {} layers, and {LAYERS_MAX} are read", layers.len())));
        }
        let config: Config = self.read_document(&config)?;
        if (config.os.as_str(), config.architecture.as_str()) != ("linux", ARCHITECTURE) {
            let (os, architecture) = (shown(config.os.as_bytes()), shown(config.architecture.as_bytes()));
            return Err(cannot(format!(
                "it is for `{os}/{architecture}`, and this is `linux/{ARCHITECTURE}`"
            )));
        }
        if config.rootfs.diff_ids.len() != layers.len() {
            return Err(cannot("its configuration has another number of layers than its manifest".into()));
        }
        let mut blobs = Vec::new();
        for (layer, unpacked) in layers.iter().zip(&config.rootfs.diff_ids) {
            let compression = Compression::of(&layer.kind).ok_or_else(|| {
                cannot(format!(
                    "a layer is of the kind `{}`; plain, gzip and zstd archives are read",
                    shown(layer.kind.as_bytes())
                ))
            })?;
            let (file, digest) = self.open_blob(layer)?;
            let unpacked = ImageDigest::parse(unpacked)?;
            blobs.push(Blob { file, size: layer.size, digest, compression, unpacked });
        }
        Ok(Described { setup: setup(config.config.unwrap_or_default()).map_err(cannot)?, layers: blobs })
    }

    /// The manifest for our system in a list.
    fn of_our_system(&self, digest: &ImageDigest, list: &Descriptor) -> Result<Descriptor, ImageError> {
        let is_ours = |p: &Platform| (p.os.as_str(), p.architecture.as_str()) == ("linux", ARCHITECTURE);
        let mut manifests = self.read_list(list)?;
        manifests.retain(|one| Kind::of(&one.kind) == Kind::Manifest);
        let ours = manifests.iter().position(|one| one.platform.as_ref().is_some_and(is_ours));
        match ours {
            Some(index) => Ok(manifests.swap_remove(index)),
            None => Err(ImageError::Unsupported {
                digest: digest.clone(),
                why: format!("it is a list without an image for `linux/{ARCHITECTURE}`"),
            }),
        }
    }

    /// Every manifest and list that is offered.
    fn all(&self) -> Result<Vec<Descriptor>, ImageError> {
        let top: List = self.read_json(&self.dir.join("index.json"))?;
        let mut found = Vec::new();
        self.collect(self.check_list(top)?, 0, &mut found)?;
        Ok(found)
    }

    fn collect(
        &self,
        list: Vec<Descriptor>,
        depth: usize,
        found: &mut Vec<Descriptor>,
    ) -> Result<(), ImageError> {
        for one in list {
            if found.len() >= OFFERS_MAX {
                return Err(self.is_none(&format!("it offers more than {OFFERS_MAX} images")));
            }
            match Kind::of(&one.kind) {
                Kind::Other => {}
                Kind::Manifest => found.push(one),
                Kind::List if depth >= LISTS_DEPTH_MAX => {
                    return Err(self.is_none("its lists are nested too deeply"));
                }
                // Each list is read once, however often it is named: it may be long, and be named a thousand times.
                Kind::List if found.iter().any(|known| known.digest == one.digest) => found.push(one),
                Kind::List => {
                    found.push(one.clone());
                    // Of images for other systems, some tools copy the list and not the images.
                    self.collect(self.read_list(&one)?, depth + 1, found)?;
                }
            }
        }
        Ok(())
    }

    fn read_list(&self, descriptor: &Descriptor) -> Result<Vec<Descriptor>, ImageError> {
        self.check_list(self.read_document(descriptor)?)
    }

    fn check_list(&self, list: List) -> Result<Vec<Descriptor>, ImageError> {
        if list.config.is_some() || list.layers.is_some() {
            return Err(self.is_none("a list of manifests in it is also a manifest"));
        }
        Ok(list.manifests)
    }

    fn not_offered(&self, digest: &ImageDigest) -> Result<ImageError, ImageError> {
        const SHOWN: usize = 10;
        let offers = self.offers()?;
        let mut words: Vec<String> = offers.iter().take(SHOWN).map(Offer::to_string).collect();
        if offers.len() > SHOWN {
            words.push(format!("and {} more", offers.len() - SHOWN));
        }
        let offers = if words.is_empty() { "nothing".to_owned() } else { words.join(", ") };
        Ok(ImageError::NotOffered { layout: self.dir.clone(), digest: digest.clone(), offers })
    }

    /// A JSON document that is named by its digest.
    fn read_document<T: DeserializeOwned>(&self, descriptor: &Descriptor) -> Result<T, ImageError> {
        let (file, digest) = self.open_blob(descriptor)?;
        let wrong = |why: String| ImageError::Blob { layout: self.dir.clone(), digest: digest.clone(), why };
        if descriptor.size > DOCUMENT_MAX_BYTES {
            return Err(wrong(format!("is a document of more than {DOCUMENT_MAX_BYTES} bytes")));
        }
        let mut bytes = Vec::new();
        file.take(descriptor.size)
            .read_to_end(&mut bytes)
            .map_err(|e| wrong(format!("cannot be read: {e}")))?;
        let found = ImageDigest::of(&bytes);
        if found != digest {
            return Err(wrong(format!("holds something else: its bytes have the digest `{found}`")));
        }
        serde_json::from_slice(&bytes).map_err(|e| wrong(format!("is not what it is said to be: {e}")))
    }

    /// The file of a digest, of the length that it should have.
    fn open_blob(&self, descriptor: &Descriptor) -> Result<(File, ImageDigest), ImageError> {
        let digest = ImageDigest::parse(&descriptor.digest)?;
        let wrong = |why: String| ImageError::Blob { layout: self.dir.clone(), digest: digest.clone(), why };
        let path = self.dir.join("blobs/sha256").join(digest.hex());
        let file = open(&path).map_err(|e| wrong(format!("cannot be read: {e}")))?;
        let length = file.metadata().map_err(|e| wrong(format!("cannot be read: {e}")))?.len();
        if length != descriptor.size {
            return Err(wrong(format!("has {length} bytes and should have {}", descriptor.size)));
        }
        Ok((file, digest))
    }

    fn read_json<T: DeserializeOwned>(&self, path: &Path) -> Result<T, ImageError> {
        let name = path.file_name().unwrap_or_default().display();
        let file = open(path).map_err(|e| self.is_none(&format!("its `{name}` cannot be read: {e}")))?;
        let mut bytes = Vec::new();
        let read = file.take(DOCUMENT_MAX_BYTES).read_to_end(&mut bytes);
        read.map_err(|e| self.is_none(&format!("its `{name}` cannot be read: {e}")))?;
        serde_json::from_slice(&bytes).map_err(|e| self.is_none(&format!("its `{name}` does not read: {e}")))
    }

    fn is_none(&self, why: &str) -> ImageError {
        ImageError::NoLayout { layout: self.dir.clone(), why: why.to_owned() }
    }
}

/// A plain file. Whatever else has that name is not waited for.
fn open(path: &Path) -> std::io::Result<File> {
    let flags = libc::O_NONBLOCK | libc::O_NOFOLLOW | libc::O_NOCTTY;
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path)?;
    if !file.metadata()?.is_file() {
        return Err(std::io::Error::other("it is no plain file"));
    }
    Ok(file)
}

/// What is used of the configuration.
fn setup(run: Run) -> Result<Setup, String> {
    let mut setup = Setup::default();
    let env = run.env.unwrap_or_default();
    if env.iter().map(String::len).sum::<usize>() > ENV_MAX_BYTES {
        return Err(format!("its variables have more than {ENV_MAX_BYTES} bytes"));
    }
    for variable in env {
        // Of two with one name the last one counts, as everywhere.
        match variable.split_once('=') {
            Some((name, value)) if !name.is_empty() => setup.env.insert(name.to_owned(), value.to_owned()),
            Some(_) | None => {
                return Err(format!("its variable `{}` is not NAME=VALUE", shown(variable.as_bytes())));
            }
        };
    }
    setup.cwd = run.working_dir.filter(|dir| !dir.is_empty()).map(PathBuf::from);
    if setup.cwd.as_ref().is_some_and(|dir| !dir.is_absolute()) {
        return Err("its working directory is no absolute path".into());
    }
    setup.argv = run.entrypoint.unwrap_or_default();
    setup.argv.extend(run.cmd.unwrap_or_default());
    Ok(setup)
}

impl Blob {
    /// Its bytes, from the beginning.
    pub(super) fn bytes(&self) -> std::io::Result<impl Read + use<>> {
        let mut file = self.file.try_clone()?;
        file.rewind()?;
        Ok(file.take(self.size))
    }
}
