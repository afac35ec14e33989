//! Where unpacked images are kept: one directory for each digest, made once, complete or not there.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::ErrorKind;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock, syncfs};
use serde::{Deserialize, Serialize};

use super::layer::{self, Refusal};
use super::layout::Layout;
use super::write::Tree;
use super::{Image, ImageDigest, ImageError, ImageLimits, Setup};

/// A name that only something unfinished has.
const UNFINISHED: &str = "unfinished";

/// What a layer's archive has beside the bytes of its files, for each of them: headers, padding, attributes.
const AROUND_A_FILE_BYTES: u64 = 4 << 10;

/// So that `localhost` means something: images have an empty one, or none.
const HOSTS: &[u8] = b"127.0.0.1 localhost cage\n";

/// Images that are unpacked here.
///
/// What is in this directory is believed from then on, as everything else that AECL keeps: only the user as
/// whom it runs may write there, which is looked at each time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Images {
    dir: PathBuf,
}

/// What is written beside a tree, last.
#[derive(Serialize, Deserialize)]
struct Note {
    digest: String,
    #[serde(flatten)]
    setup: Setup,
    /// What was unpacked.
    bytes: u64,
    files: u64,
}

impl Images {
    /// Kept in this directory, which is made when it is needed.
    #[must_use]
    pub fn new(dir: PathBuf) -> Self {
        Self { dir }
    }

    /// The image, if it is unpacked already.
    ///
    /// # Errors
    /// When what is there cannot be trusted or read.
    pub fn find(&self, digest: &ImageDigest) -> Result<Option<Image>, ImageError> {
        if !self.is_ours()? {
            return Ok(None);
        }
        // Cages are shown no way that leads through links.
        let place = fs::canonicalize(&self.dir).map_err(failed("find", &self.dir))?.join(digest.hex());
        let bytes = match fs::read(place.join("image.json")) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(failed("read", &place)(source)),
        };
        let damaged = |why: String| ImageError::Store {
            path: place.clone(),
            why: format!("what is there {why}; remove that directory, and it is unpacked again"),
        };
        let note: Note =
            serde_json::from_slice(&bytes).map_err(|e| damaged(format!("does not read: {e}")))?;
        if note.digest != digest.to_string() {
            return Err(damaged(format!("is `{}`", note.digest)));
        }
        Ok(Some(Image { digest: digest.clone(), tree: place.join("root"), setup: note.setup }))
    }

    /// The image, unpacked: from here, or else from the layout. It reads and writes files, so call it where
    /// blocking is allowed. While somebody else unpacks an image, this waits.
    ///
    /// # Errors
    /// When the image is not there, is not what its digest says, or has something in it that is refused.
    /// Nothing of it is then kept.
    pub fn unpack(
        &self,
        layout: &Path,
        digest: &ImageDigest,
        limits: ImageLimits,
    ) -> Result<Image, ImageError> {
        if let Some(image) = self.find(digest)? {
            return Ok(image);
        }
        // Asked before anything is made here: a wrong digest is the usual mistake.
        let described = Layout::open(layout)?.describe(digest)?;
        self.make()?;
        let _alone = self.lock()?;
        if let Some(image) = self.find(digest)? {
            return Ok(image);
        }
        let new = self.dir.join(UNFINISHED);
        // Whoever made it is gone: we hold the lock.
        clear(&new)?;
        let unpacked = unpack_to(&new, digest, &described, limits);
        let done = unpacked.and_then(|()| self.keep(&new, digest));
        if done.is_err() {
            // The error that is there already says more.
            let _ = clear(&new);
        }
        done?;
        self.find(digest)?.ok_or_else(|| ImageError::Store {
            path: self.dir.clone(),
            why: "what was unpacked there is gone; somebody else removes things".into(),
        })
    }

    /// Gives the finished tree its name, when all of it is on the disk.
    fn keep(&self, new: &Path, digest: &ImageDigest) -> Result<(), ImageError> {
        let dir = File::open(&self.dir).map_err(failed("open", &self.dir))?;
        syncfs(&dir).map_err(|e| failed("write", new)(e.into()))?;
        let place = self.dir.join(digest.hex());
        // There is none, or one without a note, which nobody uses.
        clear(&place)?;
        fs::rename(new, &place).map_err(failed("rename", new))?;
        dir.sync_all().map_err(failed("write", &self.dir))
    }

    fn make(&self) -> Result<(), ImageError> {
        let made = DirBuilder::new().recursive(true).mode(0o700).create(&self.dir);
        made.map_err(failed("make", &self.dir))?;
        self.is_ours().map(drop)
    }

    /// Whether the directory is there. One in which others could write is refused.
    fn is_ours(&self) -> Result<bool, ImageError> {
        let about = match fs::symlink_metadata(&self.dir) {
            Ok(about) => about,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
            Err(source) => return Err(failed("look at", &self.dir)(source)),
        };
        let wrong = |why: &str| Err(ImageError::Store { path: self.dir.clone(), why: why.to_owned() });
        if !about.is_dir() {
            return wrong("that is no directory; name another one");
        }
        if about.uid() != rustix::process::geteuid().as_raw() {
            return wrong("that is another user's; run as that user, or name another directory");
        }
        if about.mode() & 0o022 != 0 {
            return wrong("others may write there; `chmod 700` it, and remove what is in it");
        }
        Ok(true)
    }

    /// Held by one at a time, and by nobody who is gone.
    fn lock(&self) -> Result<OwnedFd, ImageError> {
        let path = self.dir.join("lock");
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(false).mode(0o600);
        let file = options.open(&path).map_err(failed("open", &path))?;
        flock(&file, FlockOperation::LockExclusive).map_err(|e| failed("lock", &path)(e.into()))?;
        Ok(file.into())
    }
}

fn unpack_to(
    new: &Path,
    digest: &ImageDigest,
    described: &super::layout::Described,
    limits: ImageLimits,
) -> Result<(), ImageError> {
    let root = new.join("root");
    for (dir, mode) in [(new, 0o700), (&root, 0o755)] {
        DirBuilder::new().mode(mode).create(dir).map_err(failed("make", dir))?;
    }
    let opened = File::open(&root).map_err(failed("open", &root))?;
    let mut tree = Tree::new(opened.into(), limits);
    let mut left = limits
        .unpacked_max_bytes
        .saturating_add(limits.files_max.saturating_mul(AROUND_A_FILE_BYTES))
        .saturating_add(AROUND_A_FILE_BYTES * 16);
    for (index, blob) in described.layers.iter().enumerate() {
        let refused = |Refusal { path, why }: Refusal| ImageError::Refused {
            digest: digest.clone(),
            layer: index + 1,
            path: if path.is_empty() { blob.digest.to_string() } else { path },
            why,
        };
        // Read twice: the first time for the digests, and for what is gone of the layers below.
        let length =
            layer::read(blob, left, |place, entry| tree.take_away(place, &entry)).map_err(refused)?;
        layer::read(blob, length, |place, entry| tree.write(place, entry)).map_err(refused)?;
        left = left.saturating_sub(length);
    }
    let hosts = tree.put("etc", "hosts", HOSTS);
    hosts.map_err(|Refusal { path, why }| ImageError::Refused {
        digest: digest.clone(),
        layer: 0,
        path,
        why,
    })?;
    let note = Note {
        digest: digest.to_string(),
        setup: described.setup.clone(),
        bytes: tree.bytes,
        files: tree.files,
    };
    let path = new.join("image.json");
    let text = serde_json::to_vec(&note).unwrap_or_default();
    fs::write(&path, text).map_err(failed("write", &path))
}

/// Removes a directory and what is in it. Links are not followed.
fn clear(dir: &Path) -> Result<(), ImageError> {
    match fs::remove_dir_all(dir) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        other => other.map_err(failed("remove", dir)),
    }
}

fn failed(tried: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> ImageError {
    let path = path.to_owned();
    move |source| ImageError::File { tried, path, source }
}
