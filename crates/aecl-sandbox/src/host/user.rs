//! Who a caged program is on the host.

use std::fs;
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::process::{getegid, geteuid};

use crate::error::SandboxError;
use crate::protocol::wire::User;

/// The program's number inside.
const INSIDE: u64 = 1000;

/// High numbers that no distribution gives to anybody.
const FIRST: u64 = 1_900_000_000;
const COUNT: u64 = 64_000_000;

/// First and how many.
pub(crate) const NOBODYS: (u64, u64) = (FIRST, COUNT);

/// As root every cage gets a user of its own, which owns nothing on this host. Who is not root cannot become
/// anybody else.
pub(crate) fn choose() -> Result<User, SandboxError> {
    let (uid, gid) = (u64::from(geteuid().as_raw()), u64::from(getegid().as_raw()));
    let map = fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
    Ok(match free_range(uid, &map) {
        Some(range) => {
            let (outside_uid, outside_gid) = one_of(range);
            User { inside: INSIDE, outside_uid, outside_gid, separate: true }
        }
        None => User { inside: INSIDE, outside_uid: uid, outside_gid: gid, separate: false },
    })
}

/// A number of a range (first and how many) that no other cage of ours has now, for user and group.
pub(crate) fn one_of((first, count): (u64, u64)) -> (u64, u64) {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let slot = (u64::from(std::process::id()) << 8).wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed));
    let one = first + slot % count;
    (one, one)
}

/// In a machine we are root and everything is there for one program.
pub(crate) fn in_a_machine() -> User {
    const OUTSIDE: u64 = 100_000;
    User { inside: INSIDE, outside_uid: OUTSIDE, outside_gid: OUTSIDE, separate: true }
}

/// Numbers that we may give away: first and how many.
fn free_range(uid: u64, map: &str) -> Option<(u64, u64)> {
    if uid != 0 {
        return None;
    }
    let ranges = map.lines().filter_map(|line| {
        let mut words = line.split_whitespace().map(|word| word.parse::<u64>().ok());
        let (first, _, count) = (words.next()??, words.next()??, words.next()??);
        Some((first, count))
    });
    let (first, count) = ranges.max_by_key(|(_, count)| *count)?;
    if first <= FIRST && FIRST + COUNT <= first + count {
        return Some((FIRST, COUNT));
    }
    // Root of a container: the upper half of what it was given. With one number there is nothing to give.
    (count >= 4096).then(|| (first + count / 2, count / 2))
}

/// What keeps us from making namespaces, as far as settings say.
pub(crate) fn why_no_namespaces() -> String {
    let setting =
        |path: &str| fs::read_to_string(path).map(|text| text.trim().to_owned()).unwrap_or_default();
    if setting("/proc/sys/user/max_user_namespaces") == "0" {
        return "user namespaces are off; set the sysctl `user.max_user_namespaces` to 10000".into();
    }
    if setting("/proc/sys/kernel/unprivileged_userns_clone") == "0" {
        return "user namespaces are for root only; set the sysctl `kernel.unprivileged_userns_clone` to 1"
            .into();
    }
    if setting("/proc/sys/kernel/apparmor_restrict_unprivileged_userns") == "1" {
        return "AppArmor restricts user namespaces; add a profile for this program that has `userns,`, or set the \
                sysctl `kernel.apparmor_restrict_unprivileged_userns` to 0"
            .into();
    }
    "inside a container, allow it to make namespaces, or run AECL outside of it".into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_root_with_numbers_to_give_gives_them() {
        assert_eq!(free_range(0, "         0          0 4294967295"), Some((FIRST, COUNT)));
        assert_eq!(free_range(0, "0 100000 65536"), Some((32768, 32768)));
        assert_eq!(free_range(0, "0 1000 1"), None);
        assert_eq!(free_range(0, "0 1000 1\n1 100000 65536"), Some((32769, 32768)));
        assert_eq!(free_range(65534, "0 0 4294967295"), None);
        assert_eq!(free_range(0, ""), None);
    }
}
