//! Files that are named on the command line. Somebody else may have made them: nothing is waited for, and nothing is read
//! without an end.

use aecl_executor::root_dir::read_plain;
use std::fs::File;
use std::io::{Error, ErrorKind, Read as _, Result};
use std::path::Path;

/// Most bytes of a file that people write.
pub(super) const TEXT_BYTES_MAX: u64 = 4 << 20;

/// The text of a file of at most so many bytes: a plain one, or what the shell hands over (`<(…)`, `/dev/stdin`), which is
/// waited for as any input is.
pub(super) fn text(path: &Path, most: u64) -> Result<String> {
    let bytes = match is_handed_over(path) {
        true => handed_over(path, most)?,
        false => read_plain(path, most)?,
    };
    String::from_utf8(bytes).map_err(|_| Error::new(ErrorKind::InvalidData, "it is no UTF-8"))
}

fn is_handed_over(path: &Path) -> bool {
    path == Path::new("/dev/stdin") || path.starts_with("/dev/fd") || path.starts_with("/proc/self/fd")
}

fn handed_over(path: &Path, most: u64) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(most + 1).read_to_end(&mut bytes)?;
    match bytes.len() as u64 > most {
        true => Err(Error::new(ErrorKind::InvalidInput, format!("it has more than {most} bytes"))),
        false => Ok(bytes),
    }
}
