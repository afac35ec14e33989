//! The machine: sockets, addresses, clock, disk, and who can read the keys.

use super::record::Record;
use super::{Check, Seen};
use crate::cli::show::duration;
use crate::http::host;
use aecl_gate::clock;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::net::UnixStream;
use std::path::Path;

/// The longest path of a Unix socket on Linux, in bytes.
const SOCKET_PATH_MAX: usize = 107;
/// Below this much free space nothing can be recorded for long.
const DISK_LEAST: u64 = 100 << 20;
/// Below this much it is time to make room.
const DISK_LOW: u64 = 1 << 30;

pub(super) fn look(seen: &Seen, record: &Record, checks: &mut Vec<Check>) {
    sockets(seen, checks);
    super::address::look(seen, checks);
    clock(seen, record, checks);
    disk(seen, checks);
    owner(seen, checks);
}

fn sockets(seen: &Seen, checks: &mut Vec<Check>) {
    let path = host::socket(&seen.home);
    let bytes = path.as_os_str().len();
    if bytes > SOCKET_PATH_MAX {
        let found =
            format!("the path `{}` has {bytes} bytes; a socket may have {SOCKET_PATH_MAX}", path.display());
        checks.push(Check::broken("socket", found, "use a shorter --dir"));
        return;
    }
    checks.push(if UnixStream::connect(&path).is_ok() {
        Check::ok("socket", "AECL is running")
    } else {
        Check::ok("socket", "nobody serves now; commands serve for themselves, `aecl mcp` starts it")
    });
}

/// The wall clock against the last entry: what a server that runs, or the next one, makes of it.
fn clock(seen: &Seen, record: &Record, checks: &mut Vec<Check>) {
    let now = clock::wall();
    let Some(last) = record.last_at else {
        checks.push(Check::ok("clock", now.to_string()));
        return;
    };
    let (behind_ms, ahead_ms) = (last.since_ms(now), now.since_ms(last));
    let runs = UnixStream::connect(host::socket(&seen.home)).is_ok();
    let jump_ms = u64::try_from(clock::JUMP.as_millis()).unwrap_or(u64::MAX);
    // A server that runs records something each minute.
    let heartbeat_ms = seen.config.as_ref().map_or(60, |c| c.limits.heartbeat_s) * 2000;
    checks.push(if behind_ms > jump_ms {
        Check::broken(
            "clock",
            format!("{now}, which is {} before the last entry", duration(behind_ms / 1000)),
            "set the clock (NTP), if it is wrong; time goes on from the last entry meanwhile, and nothing stands still. If the entry is wrong, docs/reference/http.md#time has a way out",
        )
    } else if behind_ms > 1000 {
        let found = format!("{now}, which is {} before the last entry", duration(behind_ms / 1000));
        Check::advice("clock", found, "let NTP keep it; time goes a little slower until it agrees again")
    } else if runs && ahead_ms > jump_ms + heartbeat_ms {
        Check::broken(
            "clock",
            format!("{now}, which is {} after the last entry of a server that runs: it has jumped", duration(ahead_ms / 1000)),
            "set the clock (NTP), if it is wrong; if it is right, `aecl clock accept`",
        )
    } else {
        Check::ok("clock", now.to_string())
    });
}

fn disk(seen: &Seen, checks: &mut Vec<Check>) {
    let dir = [seen.home.data(), seen.home.dir().to_owned()].into_iter().find(|d| d.exists());
    let Some(Ok(stat)) = dir.map(|d| rustix::fs::statvfs(&d)) else { return };
    let free = stat.f_bavail.saturating_mul(stat.f_frsize);
    let found = format!("{} MB free", free >> 20);
    checks.push(match free {
        0..DISK_LEAST => Check::broken("disk", found, "make room: what cannot be recorded does not happen"),
        DISK_LEAST..DISK_LOW => Check::advice("disk", found, "make room soon"),
        _ => Check::ok("disk", found),
    });
}

/// Who can read the keys. Whoever runs as the same user can, and an agent often does.
fn owner(seen: &Seen, checks: &mut Vec<Check>) {
    let keys = seen.home.keys();
    let Ok(meta) = std::fs::metadata(&keys) else { return };
    if meta.permissions().mode() & 0o077 != 0 {
        checks.push(Check::broken(
            "owner",
            format!("others may enter `{}`", keys.display()),
            format!("chmod 700 {}", keys.display()),
        ));
        return;
    }
    let uid = meta.uid();
    let (me, found) =
        (rustix::process::geteuid().as_raw(), user_name(uid).unwrap_or_else(|| format!("user {uid}")));
    let todo =
        "run AECL as a user of its own (`aecl serve` under a service account) and the agent as another";
    checks.push(if uid == 0 {
        Check::advice("owner", "the keys belong to root", todo)
    } else if uid == me {
        Check::advice("owner", format!("every program that runs as {found} can read the keys and answer approvals, also an agent on this machine"), todo)
    } else {
        Check::ok("owner", format!("the keys belong to {found}"))
    });
}

fn user_name(uid: u32) -> Option<String> {
    let text = std::fs::read_to_string(Path::new("/etc/passwd")).ok()?;
    text.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)? == uid.to_string()).then(|| name.to_owned())
    })
}
