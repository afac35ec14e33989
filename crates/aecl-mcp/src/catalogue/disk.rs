//! Files of the catalogue: locked, read whole, written whole.

use aecl_executor::root_dir::read_plain;
use aecl_gate::config::Home;
use serde::Serialize;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

/// Reason why the catalogue could not be changed.
#[derive(Debug, thiserror::Error)]
pub enum CatalogueError {
    /// A file.
    #[error("cannot {tried} `{}`: {source}", path.display())]
    File {
        /// What was tried.
        tried: &'static str,
        /// On what.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The policy cannot be read as it is.
    #[error(transparent)]
    Policy(#[from] aecl_gate::GateError),
    /// What should be changed is not there.
    #[error("{0}")]
    Unknown(String),
    /// What waits is not what was shown to whoever accepts it.
    #[error("`{0}` was not shown to you as it is offered now")]
    Unseen(String),
    /// The bundle would not load with the change.
    #[error("`{name}` is not taken into the catalogue: {message}")]
    Refused {
        /// The entry.
        name: String,
        /// Why not.
        message: String,
    },
}

impl CatalogueError {
    /// What of it may stand on record, or in a log: no line of a file.
    pub(crate) fn on_record(&self) -> String {
        match self {
            Self::Policy(error) => error.on_record(),
            other => other.to_string(),
        }
    }
}

/// Where the definitions of a server's tools are kept that were seen.
pub(super) fn seen_file(home: &Home, server: &str) -> PathBuf {
    home.data().join("tools").join(format!("{server}.json"))
}

/// Where is kept what a server says of itself.
pub(super) fn said_file(home: &Home, server: &str) -> PathBuf {
    home.data().join("said").join(format!("{server}.json"))
}

/// Two processes may import and accept at the same time; one change at a time reaches the files.
pub(super) fn lock(home: &Home) -> Result<File, CatalogueError> {
    let dir = home.policy().join("actions");
    let path = dir.join(".mcp.lock");
    let fail = |source| CatalogueError::File { tried: "lock", path: path.clone(), source };
    fs::create_dir_all(&dir).map_err(fail)?;
    let file = File::options().create(true).truncate(false).write(true).open(&path).map_err(fail)?;
    file.lock().map_err(fail)?;
    Ok(file)
}

/// Largest file of a catalogue, in bytes.
const FILE_BYTES_MAX: u64 = 64 << 20;

pub(super) fn read<T: serde::de::DeserializeOwned>(path: &Path) -> Result<Option<T>, CatalogueError> {
    let fail = |source| CatalogueError::File { tried: "read", path: path.to_owned(), source };
    match read_plain(path, FILE_BYTES_MAX) {
        Ok(bytes) => serde_json::from_slice(&bytes).map(Some).map_err(|error| fail(io::Error::other(error))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(fail(error)),
    }
}

/// Writes a whole file or nothing: a reader, or a crash, never meets half of it.
pub(super) fn write<T: Serialize + ?Sized>(path: &Path, value: &T) -> Result<(), CatalogueError> {
    let fail = |source| CatalogueError::File { tried: "write", path: path.to_owned(), source };
    let dir = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(dir).map_err(fail)?;
    let mut text = serde_json::to_vec_pretty(value).map_err(|error| fail(io::Error::other(error)))?;
    text.push(b'\n');
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let part = dir.join(format!(".{name}.{}", std::process::id()));
    let written = File::create(&part).and_then(|mut file| {
        file.write_all(&text)?;
        file.sync_all()?;
        fs::rename(&part, path)?;
        File::open(dir)?.sync_all()
    });
    written.map_err(fail)
}
