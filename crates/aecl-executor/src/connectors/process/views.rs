//! The host's side of views that a program may write to: held open since before it started.
//!
//! What lay there when the program began is what its changes are about. Whatever somebody else has changed since
//! then is theirs, and is recognised by the time that the file system keeps for each file, which nobody can set.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{AccessSpec, ProcessSpec};
use crate::root_dir::{FileStamp, RootDir};

/// How far the clock may have been set back while a program ran, in nanoseconds.
const BACK_MAX_NS: i128 = 100_000_000;

/// The directories of the host above which a program writes.
#[derive(Debug)]
pub struct Views {
    all: Vec<(PathBuf, io::Result<RootDir>)>,
    since: Clocks,
}

impl Views {
    /// Opens what the program's views with an overlay show. Call it before the program starts.
    pub async fn open(spec: &ProcessSpec) -> Self {
        let overlays = spec.views.iter().filter(|view| view.access == AccessSpec::Overlay);
        let wanted: Vec<_> = overlays.map(|view| (view.at.clone(), view.source.clone())).collect();
        if wanted.is_empty() {
            return Self { all: Vec::new(), since: Clocks::now() };
        }
        let open =
            move || wanted.into_iter().map(|(at, source)| (at, RootDir::open_strict(&source))).collect();
        let all = tokio::task::spawn_blocking(open).await.unwrap_or_default();
        // File systems know the time in ticks. Whatever is changed after the next one is seen to be later than
        // all that was changed before.
        let before = Clocks::now();
        let mut since = Clocks::now();
        while since.tick_ns <= before.tick_ns {
            tokio::time::sleep(Duration::from_millis(1)).await;
            since = Clocks::now();
        }
        Self { all, since }
    }

    /// What is held of the view at a path in the cage.
    ///
    /// # Errors
    /// When it could not be opened; in words.
    pub fn place(&self, at: &Path) -> Option<Result<&RootDir, String>> {
        let (_, place) = self.all.iter().find(|(found, _)| found == at)?;
        Some(place.as_ref().map_err(|e| format!("the directory of the host does not open: {e}")))
    }

    /// Whether a file is as it was when the program began, and if not, why that cannot be said.
    pub(super) fn is_as_before(&self, file: &FileStamp) -> Result<(), &'static str> {
        let now = Clocks::now();
        if self.since.is_set_back(&now) {
            return Err(
                "the clock of this host was set back while the program ran, so nobody knows whether somebody \
                        else has changed it",
            );
        }
        if file.changed_ns >= self.since.tick_ns {
            return Err("somebody else has changed it while the program ran");
        }
        Ok(())
    }
}

/// What time it is: as files are stamped, and as it passes.
#[derive(Clone, Copy, Debug)]
struct Clocks {
    tick_ns: i128,
    passed_ns: i128,
}

impl Clocks {
    #[cfg(target_os = "linux")]
    #[expect(
        clippy::disallowed_methods,
        reason = "it is compared with what file systems say of files, and decides nothing"
    )]
    fn now() -> Self {
        use rustix::time::{ClockId, clock_gettime};
        let ns = |clock| {
            let now = clock_gettime(clock);
            i128::from(now.tv_sec) * 1_000_000_000 + i128::from(now.tv_nsec)
        };
        Self { tick_ns: ns(ClockId::RealtimeCoarse), passed_ns: ns(ClockId::Boottime) }
    }

    /// Where there is no cage, nothing changes in one.
    #[cfg(not(target_os = "linux"))]
    #[expect(
        clippy::disallowed_methods,
        reason = "it is compared with what file systems say of files, and decides nothing"
    )]
    fn now() -> Self {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        let ns = i128::try_from(now.as_nanos()).unwrap_or(i128::MAX);
        Self { tick_ns: ns, passed_ns: ns }
    }

    fn is_set_back(&self, now: &Self) -> bool {
        (now.passed_ns - self.passed_ns) - (now.tick_ns - self.tick_ns) > BACK_MAX_NS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_was_set_back_is_noticed() {
        let at = |tick_ms: i128, passed_ms: i128| Clocks {
            tick_ns: tick_ms * 1_000_000,
            passed_ns: passed_ms * 1_000_000,
        };
        let since = at(1_000, 50);
        assert!(!since.is_set_back(&at(2_000, 1_050)));
        assert!(!since.is_set_back(&at(1_990, 1_050)), "ticks are coarse");
        assert!(!since.is_set_back(&at(90_000, 1_050)), "ahead is no harm");
        assert!(since.is_set_back(&at(1_500, 1_050)));
    }
}
