//! Images: the files of another system, from a directory on disk, by the digest of their manifest.
//!
//! Nothing here speaks to a registry or a daemon. An image lies in an *OCI image layout*, where other tools
//! put it; everything in it was written by strangers. [`Images::unpack`] reads it once, verifies every byte
//! against the digest, and keeps the tree for all cages that name the same digest.

mod digest;
#[cfg(native_cage)]
mod layer;
#[cfg(native_cage)]
mod layout;
#[cfg(native_cage)]
mod store;
#[cfg(not(native_cage))]
mod unsupported;
#[cfg(native_cage)]
mod write;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

pub use digest::ImageDigest;
#[cfg(not(native_cage))]
pub use unsupported::{Images, Layout};
#[cfg(native_cage)]
pub use {layout::Layout, store::Images};

use crate::program::Program;

/// What images and daemons call the processor that we run on.
#[cfg(native_cage)]
pub(crate) const ARCHITECTURE: &str = if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" };

/// Limits of an image, unpacked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ImageLimits {
    /// All files together, those that a later layer replaces included.
    pub unpacked_max_bytes: u64,
    /// Files, directories and links, those that a later layer replaces included.
    pub files_max: u64,
}

/// Image that can be asked for in a layout.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offer {
    /// By this.
    pub digest: ImageDigest,
    /// What its maker calls it there, if anything.
    pub name: Option<String>,
    /// For which system, if that is said: `linux/amd64`, `linux/arm64`.
    pub platform: Option<String>,
    /// Whether it is a list of images for several systems, of which the one for ours is taken.
    pub is_list: bool,
}

/// An image that is unpacked here, every byte of it verified. Only [`Images`] makes one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    digest: ImageDigest,
    tree: PathBuf,
    setup: Setup,
}

/// What of an image's configuration is used. Its user is not: every program of a cage is the cage's user.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
struct Setup {
    /// Variables.
    env: BTreeMap<String, String>,
    /// Where programs start; nowhere in particular when absent.
    cwd: Option<PathBuf>,
    /// Entry point and command: what is run if nobody says what.
    argv: Vec<String>,
}

impl Image {
    /// The digest by which it was named.
    #[must_use]
    pub fn digest(&self) -> &ImageDigest {
        &self.digest
    }

    /// Its files, here.
    #[must_use]
    pub fn tree(&self) -> &Path {
        &self.tree
    }

    /// The program with what the image says about programs, where the program itself says nothing: variables,
    /// where it starts, and which one it is.
    pub(crate) fn complete(&self, program: Program) -> Program {
        let Program { argv, env, cwd } = program;
        let mut all = self.setup.env.clone();
        all.extend(env);
        Program {
            argv: if argv.is_empty() { self.setup.argv.clone() } else { argv },
            env: all,
            cwd: cwd.or_else(|| self.setup.cwd.clone()),
        }
    }
}

/// Errors of an image. Nothing of it has run, and nothing of it is kept.
#[derive(Debug, thiserror::Error)]
pub enum ImageError {
    /// The name is none.
    #[error("`{text}` is no digest; an image is named by `sha256:` and 64 hexadecimal digits in lower case")]
    NoDigest {
        /// What was given.
        text: String,
    },
    /// The directory is none of that kind.
    #[error("`{layout}` is no OCI image layout: {why}; `skopeo copy docker://IMAGE oci:{layout}` makes one")]
    NoLayout {
        /// The directory.
        layout: PathBuf,
        /// What is missing or wrong.
        why: String,
    },
    /// It is one, and the image is not in it.
    #[error("`{layout}` offers no image `{digest}`; it offers {offers}")]
    NotOffered {
        /// The directory.
        layout: PathBuf,
        /// What was asked for.
        digest: ImageDigest,
        /// What can be asked for instead, in words.
        offers: String,
    },
    /// A file of the layout is not what its name says.
    #[error("the blob `{digest}` of `{layout}` {why}; copy the image again")]
    Blob {
        /// The directory.
        layout: PathBuf,
        /// The name of the blob.
        digest: ImageDigest,
        /// What is wrong.
        why: String,
    },
    /// It is an image, and none for us.
    #[error("the image `{digest}` cannot be used: {why}")]
    Unsupported {
        /// The image.
        digest: ImageDigest,
        /// What is wrong, and what to do.
        why: String,
    },
    /// Something in a layer is not to be unpacked.
    #[error("the image `{digest}` is refused: in its layer {layer}, `{path}` {why}")]
    Refused {
        /// The image.
        digest: ImageDigest,
        /// Which layer, from 1.
        layer: usize,
        /// The entry, fit to be shown.
        path: String,
        /// Why.
        why: String,
    },
    /// The system did not let us.
    #[error("could not {tried} `{path}`: {source}")]
    File {
        /// What was tried.
        tried: &'static str,
        /// On what.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Others could change what we keep.
    #[error("images are kept in `{path}`, and {why}")]
    Store {
        /// The directory.
        path: PathBuf,
        /// What is wrong, and what to do.
        why: String,
    },
}

impl std::fmt::Display for Offer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let words: Vec<&str> =
            [self.name.as_deref(), self.platform.as_deref()].into_iter().flatten().collect();
        match words.is_empty() {
            true => write!(f, "`{}`", self.digest),
            false => write!(f, "`{}` ({})", self.digest, words.join(", ")),
        }
    }
}
