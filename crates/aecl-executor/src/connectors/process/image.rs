//! The image whose files a program has instead of the host's: named in the catalogue by its digest, unpacked when
//! it is first needed.

use aecl_sandbox::{Image, ImageDigest, ImageError, ImageLimits, Images, Layout};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::call::Call;
use aecl_kernel::define::connector::process::ImageSpec;

/// Which image it is.
///
/// # Errors
/// When that is not said as it should be; what to say instead, as far as the layout tells.
pub fn check(spec: &ImageSpec) -> Result<ImageDigest, String> {
    if !spec.layout.is_absolute() {
        return Err(format!("`image.layout` is `{}`; say an absolute path", spec.layout.display()));
    }
    match &spec.digest {
        Some(text) => ImageDigest::parse(text).map_err(|e| format!("`image`: {e}; {}", offered(spec))),
        None => Err(format!("`image` has no `digest`; {}", offered(spec))),
    }
}

fn offered(spec: &ImageSpec) -> String {
    const SHOWN: usize = 10;
    let offers = match Layout::open(&spec.layout).and_then(|layout| layout.offers()) {
        Ok(offers) => offers,
        Err(error) => return error.to_string(),
    };
    let words: Vec<String> = offers.iter().take(SHOWN).map(ToString::to_string).collect();
    match words.is_empty() {
        true => format!("`{}` offers none", spec.layout.display()),
        false => format!("`{}` offers {}", spec.layout.display(), words.join(", ")),
    }
}

/// How much it may be.
#[must_use]
pub fn limits(spec: &ImageSpec) -> ImageLimits {
    ImageLimits {
        unpacked_max_bytes: spec.unpacked_max_mib.saturating_mul(1 << 20),
        files_max: spec.files_max,
    }
}

/// Why there is no image for a program.
#[derive(Debug, thiserror::Error)]
pub(super) enum NoImage {
    #[error("{0}")]
    Spec(String),
    #[error(transparent)]
    Image(#[from] ImageError),
    #[error("nobody said where images are kept; report this")]
    NoPlace,
    #[error(
        "the image is still being unpacked, and the time of the call is over; propose it again, or unpack it before: \
         `aecl image unpack {}@{digest}`", .layout.display()
    )]
    StillUnpacking { layout: PathBuf, digest: ImageDigest },
    #[error("the call was cancelled; the program did not run")]
    Cancelled,
    #[error("the worker that unpacks the image broke")]
    Worker,
}

/// The image, unpacked. That goes on when the call is over, for the next one.
pub(super) async fn ready(
    spec: &ImageSpec,
    kept_in: Option<&Path>,
    call: &Call,
    patience: Duration,
) -> Result<Image, NoImage> {
    let digest = check(spec).map_err(NoImage::Spec)?;
    let images = Images::new(kept_in.ok_or(NoImage::NoPlace)?.to_owned());
    let (layout, most, wanted) = (spec.layout.clone(), limits(spec), digest.clone());
    let work = tokio::task::spawn_blocking(move || images.unpack(&layout, &wanted, most));
    tokio::select! {
        done = tokio::time::timeout(patience, work) => match done {
            Ok(Ok(image)) => Ok(image?),
            Ok(Err(_)) => Err(NoImage::Worker),
            Err(_) => Err(NoImage::StillUnpacking { layout: spec.layout.clone(), digest }),
        },
        () = call.cancel.cancelled() => Err(NoImage::Cancelled),
    }
}
