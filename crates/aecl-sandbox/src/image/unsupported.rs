//! Where there is no cage, nothing is unpacked for one.

use std::path::{Path, PathBuf};

use super::{Image, ImageDigest, ImageError, ImageLimits, Offer};

/// Store of images. Not on this system.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Images;

/// A directory with images. Not on this system.
#[derive(Clone, Debug)]
pub struct Layout;

fn not_here(dir: &Path) -> ImageError {
    let why = "images are read where there are cages for them, on Linux on x86_64 and aarch64".to_owned();
    ImageError::NoLayout { layout: dir.to_owned(), why }
}

impl Images {
    /// Kept in this directory.
    #[must_use]
    pub fn new(_dir: PathBuf) -> Self {
        Self
    }

    /// The image, if it is unpacked already.
    ///
    /// # Errors
    /// Always.
    pub fn find(&self, _digest: &ImageDigest) -> Result<Option<Image>, ImageError> {
        Ok(None)
    }

    /// The image, unpacked.
    ///
    /// # Errors
    /// Always.
    pub fn unpack(&self, layout: &Path, _: &ImageDigest, _: ImageLimits) -> Result<Image, ImageError> {
        Err(not_here(layout))
    }
}

impl Layout {
    /// Looks at a directory.
    ///
    /// # Errors
    /// Always.
    pub fn open(dir: &Path) -> Result<Self, ImageError> {
        Err(not_here(dir))
    }

    /// What it offers.
    ///
    /// # Errors
    /// Never: there is none of these.
    pub fn offers(&self) -> Result<Vec<Offer>, ImageError> {
        Ok(Vec::new())
    }
}
