//! What every command takes.

use super::place;
use std::path::{Path, PathBuf};

/// What every command takes.
#[derive(Debug, Clone, clap::Args)]
pub struct Common {
    /// The home: the directory with aecl.yaml, policy/, keys/ and data/. By default the one of this project (see `aecl
    /// home`). A `.aecl` that lies in a directory counts only where it is named.
    #[arg(long = "dir", global = true, env = "AECL_DIR", value_name = "DIR")]
    pub(super) named: Option<PathBuf>,
    /// The home that is meant.
    #[arg(skip)]
    pub dir: PathBuf,
    /// How it was found.
    #[arg(skip)]
    pub(super) how: place::How,
    /// Print JSON instead of text.
    #[arg(long, global = true)]
    pub json: bool,
    /// Your key, if it is not the operator key in keys/.
    #[arg(long, global = true, env = "AECL_KEY", hide_env_values = true, value_name = "KEY")]
    pub key: Option<String>,
}

impl Common {
    /// What every command takes, on the home in this directory.
    pub fn on(dir: &Path) -> Self {
        let named = Some(dir.to_owned());
        Self { named, dir: dir.to_owned(), how: place::How::Named, json: false, key: None }
    }

    /// The home is this user's choice: named, or one of this user's own that names this project. Otherwise there is none.
    pub(super) fn names_dir(&self) -> bool {
        matches!(self.how, place::How::Named | place::How::OfProject)
    }

    /// Finds the home, and keeps everything that this process starts out of it.
    pub(super) fn find(&mut self) {
        (self.dir, self.how) = place::find(self.named.as_deref());
        place::keep_out(&self.dir);
    }
}
