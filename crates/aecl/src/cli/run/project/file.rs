//! The file of a project, read: a plain file of bounded length, whatever a stranger put in its place.

use super::super::Profile;
use crate::cli::Error;
use aecl_egress::egress::HostName;
use aecl_kernel::define::connector::process::LimitsSpec;
use aecl_kernel::define::isolation::IsolationTier;
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use serde::{Deserialize, Deserializer};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read as _;
use std::num::{NonZeroU16, NonZeroU64};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Component, Path, PathBuf};

/// What it is called.
pub(super) const NAME: &str = ".aecl-run.yaml";

/// The longest, in bytes.
const BYTES_MAX: u64 = 16 << 10;

/// Less memory than that starts nothing, in MiB.
const MEMORY_MIN_MIB: u64 = 4;

/// What is taken away.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct ProjectFile {
    /// Held at least so strongly.
    pub(super) min_tier: Option<IsolationTier>,
    /// It takes no longer, in seconds.
    pub(super) timeout_max_s: Option<NonZeroU64>,
    /// No more than that.
    pub(super) limits: BTreeMap<Limit, NonZeroU64>,
    /// Of whom it could reach, only these.
    #[serde(deserialize_with = "a_list")]
    pub(super) hosts: Option<Vec<Place>>,
    /// What of the project stays as it is.
    pub(super) read_only: Vec<Below>,
    /// What of the project is not shown.
    pub(super) hidden: Vec<Below>,
    /// What is said to people; it gives nothing.
    pub(super) profiles: Vec<Profile>,
}

/// A list that is there is a list. Nothing behind the key would mean everybody to one reader and nobody to another.
fn a_list<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Vec<Place>>, D::Error> {
    let list: Option<Vec<Place>> = Option::deserialize(from)?;
    let wrong = || {
        serde::de::Error::custom(
            "`hosts` has no list; `[]` is nobody, and without the key it is whom you allow",
        )
    };
    list.ok_or_else(wrong).map(Some)
}

impl ProjectFile {
    /// Reads that of a directory, if it has one.
    pub(super) fn of(dir: &Path) -> Result<Option<Self>, Error> {
        let path = dir.join(NAME);
        let wrong = |why: &dyn std::fmt::Display| {
            Error::new(format!("`{}`: {why}", path.display())).hint(
                "correct it (docs/reference/isolation.md says what may be in it), or say `--no-project-file`",
            )
        };
        // Nothing here waits: not for a pipe's other end, and not for a terminal.
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        let file = match rustix::fs::open(&path, flags, Mode::empty()) {
            Ok(fd) => File::from(fd),
            Err(Errno::NOENT | Errno::NOTDIR) => return Ok(None),
            Err(Errno::LOOP | Errno::MLINK) => {
                return Err(wrong(&"it is a symbolic link, and none is followed"));
            }
            Err(Errno::NXIO) => return Err(wrong(&NO_FILE)),
            Err(error) => return Err(wrong(&std::io::Error::from(error))),
        };
        let about = file.metadata().map_err(|e| wrong(&e))?;
        // In a directory of everybody's, everybody could put one.
        let owners = [rustix::process::geteuid().as_raw(), 0, dir.metadata().map_err(|e| wrong(&e))?.uid()];
        if !owners.contains(&about.uid()) {
            crate::cli::show::say(&format!(
                "aecl: `{}` is neither yours nor of who owns its directory, and does not count",
                path.display()
            ));
            return Ok(None);
        }
        if !about.is_file() {
            return Err(wrong(&NO_FILE));
        }
        let mut bytes = Vec::new();
        file.take(BYTES_MAX + 1).read_to_end(&mut bytes).map_err(|e| wrong(&e))?;
        if bytes.len() as u64 > BYTES_MAX {
            return Err(wrong(&format!("it has more than {BYTES_MAX} bytes")));
        }
        let text = String::from_utf8(bytes).map_err(|_| wrong(&"it is no UTF-8"))?;
        Self::read(&text).map(Some).map_err(|why| wrong(&why))
    }

    /// Reads its text, or says what is wrong and where.
    pub(super) fn read(text: &str) -> Result<Self, String> {
        let said = text.lines().any(|line| !matches!(line.trim_start().chars().next(), None | Some('#')));
        // A file of nothing but remarks takes nothing away.
        let file: Self = if said { aecl_gate::loader::yaml_as(text)? } else { Self::default() };
        match file.limits.get(&Limit::MemoryMaxMib) {
            Some(memory) if memory.get() < MEMORY_MIN_MIB => {
                Err(format!("`memory_max_mib` is {memory}; less than {MEMORY_MIN_MIB} starts nothing"))
            }
            _ => Ok(file),
        }
    }
}

const NO_FILE: &str = "it is no plain file (a directory, pipe, socket or device)";

/// One of the limits of a program, by its name in a connector.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Limit {
    MemoryMaxMib,
    CpuMaxMillicores,
    ProcessesMax,
    ScratchMaxMib,
    ScratchFilesMax,
    FileMaxMib,
    OpenFilesMax,
    OutputKeptMaxKib,
    OutputMaxMib,
    CollectedMaxKib,
    CollectedFilesMax,
    LifetimeMaxS,
}

impl Limit {
    #[cfg(test)]
    pub(super) const ALL: [Self; 12] = [
        Self::MemoryMaxMib,
        Self::CpuMaxMillicores,
        Self::ProcessesMax,
        Self::ScratchMaxMib,
        Self::ScratchFilesMax,
        Self::FileMaxMib,
        Self::OpenFilesMax,
        Self::OutputKeptMaxKib,
        Self::OutputMaxMib,
        Self::CollectedMaxKib,
        Self::CollectedFilesMax,
        Self::LifetimeMaxS,
    ];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::MemoryMaxMib => "memory_max_mib",
            Self::CpuMaxMillicores => "cpu_max_millicores",
            Self::ProcessesMax => "processes_max",
            Self::ScratchMaxMib => "scratch_max_mib",
            Self::ScratchFilesMax => "scratch_files_max",
            Self::FileMaxMib => "file_max_mib",
            Self::OpenFilesMax => "open_files_max",
            Self::OutputKeptMaxKib => "output_kept_max_kib",
            Self::OutputMaxMib => "output_max_mib",
            Self::CollectedMaxKib => "collected_max_kib",
            Self::CollectedFilesMax => "collected_files_max",
            Self::LifetimeMaxS => "lifetime_max_s",
        }
    }

    /// What it is; `None` is none.
    pub(super) fn of(self, limits: &LimitsSpec) -> Option<u64> {
        match self {
            Self::MemoryMaxMib => limits.memory_max_mib,
            Self::CpuMaxMillicores => limits.cpu_max_millicores.map(u64::from),
            Self::ProcessesMax => Some(limits.processes_max.into()),
            Self::ScratchMaxMib => Some(limits.scratch_max_mib),
            Self::ScratchFilesMax => Some(limits.scratch_files_max),
            Self::FileMaxMib => Some(limits.file_max_mib),
            Self::OpenFilesMax => Some(limits.open_files_max),
            Self::OutputKeptMaxKib => Some(limits.output_kept_max_kib),
            Self::OutputMaxMib => Some(limits.output_max_mib),
            Self::CollectedMaxKib => Some(limits.collected_max_kib),
            Self::CollectedFilesMax => Some(limits.collected_files_max as u64),
            Self::LifetimeMaxS => Some(limits.lifetime_max_s),
        }
    }

    pub(super) fn set(self, limits: &mut LimitsSpec, most: u64) {
        let small = u32::try_from(most).unwrap_or(u32::MAX);
        match self {
            Self::MemoryMaxMib => limits.memory_max_mib = Some(most),
            Self::CpuMaxMillicores => limits.cpu_max_millicores = Some(small),
            Self::ProcessesMax => limits.processes_max = small,
            Self::ScratchMaxMib => limits.scratch_max_mib = most,
            Self::ScratchFilesMax => limits.scratch_files_max = most,
            Self::FileMaxMib => limits.file_max_mib = most,
            Self::OpenFilesMax => limits.open_files_max = most,
            Self::OutputKeptMaxKib => limits.output_kept_max_kib = most,
            Self::OutputMaxMib => limits.output_max_mib = most,
            Self::CollectedMaxKib => limits.collected_max_kib = most,
            Self::CollectedFilesMax => limits.collected_files_max = small as usize,
            Self::LifetimeMaxS => limits.lifetime_max_s = most,
        }
    }
}

/// A host, or every name below one, at a port or at whichever is allowed.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(super) struct Place {
    hosts: Hosts,
    port: Option<NonZeroU16>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Hosts {
    Exact(String),
    Below(String),
}

impl Hosts {
    fn parse(text: &str) -> Option<Self> {
        let name = |text| HostName::parse(text).map(|name| name.as_str().to_owned());
        match text.strip_prefix("*.") {
            Some(suffix) => name(suffix).filter(|suffix| suffix.contains('.')).map(Self::Below),
            None => name(text).map(Self::Exact),
        }
    }

    /// What both are, as a rule says it.
    fn shared_with(&self, other: &Self) -> Option<String> {
        let is_below = |name: &str, suffix: &str| {
            name.strip_suffix(suffix).is_some_and(|rest| rest.len() > 1 && rest.ends_with('.'))
        };
        let narrower = match (self, other) {
            (Self::Exact(one), Self::Exact(two)) => (one == two).then_some(self),
            (Self::Exact(one), Self::Below(suffix)) => is_below(one, suffix).then_some(self),
            (Self::Below(suffix), Self::Exact(one)) => is_below(one, suffix).then_some(other),
            (Self::Below(one), Self::Below(two)) if is_below(two, one) => Some(other),
            (Self::Below(one), Self::Below(two)) => (one == two || is_below(one, two)).then_some(self),
        };
        narrower.map(|hosts| match hosts {
            Self::Exact(name) => name.clone(),
            Self::Below(suffix) => format!("*.{suffix}"),
        })
    }
}

/// Whether the host, or every name, of a rule is one of another.
pub(super) fn covers(wider: &str, host: &str) -> bool {
    let both = Hosts::parse(wider).zip(Hosts::parse(host));
    both.and_then(|(wider, host)| wider.shared_with(&host)).is_some_and(|shared| shared == host)
}

impl TryFrom<String> for Place {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let wrong = || format!("`{}` is not HOST, HOST:PORT or *.HOST", text.escape_debug());
        let (host, port) = match text.split_once(':') {
            None => (text.as_str(), None),
            Some((host, port)) => (host, Some(port.parse().map_err(|_| wrong())?)),
        };
        Ok(Self { hosts: Hosts::parse(host).ok_or_else(wrong)?, port })
    }
}

impl Place {
    /// The host, or the names, that this and a rule have in common. A rule that cannot be read is refused as it is.
    pub(super) fn shared_with(&self, host: &str, port: NonZeroU16) -> Option<String> {
        if self.port.is_some_and(|own| own != port) {
            return None;
        }
        match Hosts::parse(host) {
            Some(hosts) => self.hosts.shared_with(&hosts),
            None => Some(host.to_owned()),
        }
    }
}

/// A path below the project.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(super) struct Below(PathBuf);

impl TryFrom<String> for Below {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let mut parts = Path::new(&text).components();
        let is_plain = parts.all(|part| matches!(part, Component::Normal(_) | Component::CurDir))
            && !text.contains('\0');
        match is_plain && !text.is_empty() {
            true => Ok(Self(PathBuf::from(text))),
            false => Err(format!(
                "`{}` is no path below the project, such as `docs` or `.env`; `.` is all of it",
                text.escape_debug()
            )),
        }
    }
}

impl Below {
    /// Where that is in a directory.
    pub(super) fn of(&self, dir: &Path) -> PathBuf {
        let parts = self.0.components().filter(|part| *part != Component::CurDir);
        parts.fold(dir.to_owned(), |dir, part| dir.join(part))
    }
}
