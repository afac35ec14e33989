//! `aecl image`: the images that programs in cages may have, as directories of this host.

use super::show::{self, Page, Table, Tone};
use super::{Common, Error, Exit, Result};
use aecl_executor::connectors::process::image;
use aecl_gate::config::Home;
use aecl_kernel::define::connector::process::ImageSpec;
use aecl_sandbox::{ImageError, Images, Layout};
use clap::Subcommand;
use serde_json::json;
use std::path::{Path, PathBuf};

/// Arguments.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  skopeo copy docker://docker.io/library/python:3.13-slim oci:/srv/images/tools:python
  aecl image list /srv/images/tools
  aecl image unpack /srv/images/tools@sha256:5c0f...

AECL speaks to no registry. `skopeo`, `umoci` and `buildah` put images into such a directory (an OCI image layout). A \
`process` action and `aecl run` name one by directory and digest; every byte of it is verified when it is unpacked, \
which happens when it is first needed, or by `unpack`. Unpacked images are in data/images of the directory, or in \
~/.local/state/aecl/images where no directory is named and none is of this project.")]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Show what a directory offers, and what of it is unpacked.
    List {
        /// The directory.
        #[arg(value_name = "DIR")]
        layout: PathBuf,
    },
    /// Verify an image and unpack it now, so that no call waits for that.
    Unpack {
        /// The directory, and the digest of the image in it.
        #[arg(value_name = "DIR@DIGEST")]
        image: String,
    },
}

impl From<ImageError> for Error {
    fn from(error: ImageError) -> Self {
        Self::new(error.to_string())
    }
}

/// Runs it.
pub fn run(common: &Common, args: Args) -> Result {
    match args.command {
        Command::List { layout } => list(common, &layout),
        Command::Unpack { image } => unpack(common, &image),
    }
}

/// Where unpacked images are: with everything else that AECL keeps, or else where programs of this user keep such
/// things. What lies in the directory of somebody's project is not believed: an image there has been verified by nobody.
pub fn images_dir(common: &Common) -> std::result::Result<PathBuf, Error> {
    let home = Home::new(&common.dir);
    if common.names_dir() && home.config().exists() {
        return Ok(home.images());
    }
    super::place::state_dir().map(|state| state.join("images")).ok_or_else(|| {
        Error::new(
            "there is no place for unpacked images: set HOME or XDG_STATE_HOME, or name a home with `--dir`",
        )
    })
}

/// `DIR@DIGEST`.
pub fn named(said: &str) -> std::result::Result<ImageSpec, Error> {
    let (layout, digest) = match said.rsplit_once('@') {
        Some((layout, digest)) => (layout, Some(digest.to_owned())),
        None => (said, None),
    };
    let layout = std::path::absolute(layout).map_err(|e| Error::new(format!("`{layout}`: {e}")))?;
    Ok(ImageSpec::new(layout, digest))
}

fn list(common: &Common, layout: &Path) -> Result {
    let images = Images::new(images_dir(common)?);
    let mut rows = Vec::new();
    for offer in Layout::open(layout)?.offers()? {
        let unpacked = images.find(&offer.digest)?.is_some();
        rows.push((offer, unpacked));
    }
    if common.json {
        let images: Vec<_> = rows
            .iter()
            .map(|(offer, unpacked)| {
                json!({ "digest": offer.digest.to_string(), "name": offer.name, "platform": offer.platform,
                    "list": offer.is_list, "unpacked": unpacked })
            })
            .collect();
        show::print_json(&json!({ "images": images }));
        return Ok(Exit::Done);
    }
    let mut table = Table::new(&["IMAGE", "NAME", "FOR", "UNPACKED"]);
    for (offer, unpacked) in &rows {
        let platform = match (&offer.platform, offer.is_list) {
            (_, true) => "several systems",
            (Some(platform), false) => platform,
            (None, false) => "",
        };
        let (digest, name) = (offer.digest.to_string(), offer.name.as_deref().unwrap_or_default());
        table.plain(&[&digest, name, platform, if *unpacked { "yes" } else { "" }]);
    }
    let mut page = Page::new();
    match rows.is_empty() {
        true => page.toned(Tone::Mind, "It offers no image: skopeo copy docker://NAME oci:DIR"),
        false => page.table(&table),
    };
    page.print();
    Ok(Exit::Done)
}

fn unpack(common: &Common, said: &str) -> Result {
    let spec = named(said)?;
    let digest = image::check(&spec).map_err(Error::new)?;
    let image = Images::new(images_dir(common)?).unpack(&spec.layout, &digest, image::limits(&spec))?;
    if common.json {
        show::print_json(&json!({ "digest": digest.to_string(), "tree": image.tree() }));
        return Ok(Exit::Done);
    }
    show::say(&format!("`{digest}` is verified and unpacked"));
    Ok(Exit::Done)
}
