//! Containers that nobody needs any more. A container of ours ends with its supervisor, and the daemon then removes it.
//! One is left where the daemon ended first, or where we ended between two requests.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;

use rustix::io::Errno;
use rustix::process::{Pid, geteuid, test_kill_process};
use serde::Deserialize;
use serde_json::{Value, json};

use super::api::{Body, Daemon};

const PROCESS: &str = "aecl.supervisor";
const STARTED: &str = "aecl.supervisor.started";
const PLACE: &str = "aecl.supervisor.place";

/// Longer than any container takes to start.
const MEETING_MAX: Duration = Duration::from_secs(600);

/// On each container: whose it is.
pub(super) fn labels() -> Value {
    let pid = std::process::id().to_string();
    json!({ PROCESS: pid, STARTED: stat("self").as_deref().and_then(started).unwrap_or_default(), PLACE: place() })
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Container {
    id: String,
    state: String,
    #[serde(default)]
    labels: BTreeMap<String, String>,
}

/// Removes those of ours that have ended, and those whose supervisor has. What cannot be removed now is removed by
/// who comes next.
pub(super) async fn clear_away(daemon: &Daemon) {
    let filter = format!("%7B%22label%22%3A%5B%22{PROCESS}%22%5D%7D");
    let list = format!("/containers/json?all=1&filters={filter}");
    let Ok(all) = daemon.ask::<Vec<Container>>("GET", &list, Body::Nothing).await else { return };
    for container in all.iter().filter(|container| is_left(container)) {
        remove(daemon, &container.id).await;
    }
}

/// Ends and removes a container.
pub(super) async fn remove(daemon: &Daemon, id: &str) {
    let _ = daemon.send("DELETE", &format!("/containers/{id}?force=1&v=1"), Body::Nothing).await;
}

/// Removes directories of ours, named by this and the number of a process that has ended, and the socket in each.
pub(super) fn clear_away_meetings(place: &Path, named: &str) {
    for entry in fs::read_dir(place).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let pid = name.to_str().and_then(|name| name.strip_prefix(named)?.split_once('-')?.0.parse().ok());
        let is_ours = |about: &fs::Metadata| about.is_dir() && about.uid() == geteuid().as_raw();
        // Numbers of processes mean something in their own namespace only; but nobody meets for so long.
        #[expect(
            clippy::disallowed_methods,
            reason = "a file's age is by the wall clock; all that hangs on it is tidiness"
        )]
        let is_old = |about: &fs::Metadata| {
            about.modified().is_ok_and(|at| at.elapsed().is_ok_and(|since| since > MEETING_MAX))
        };
        if pid.is_some_and(is_gone) && entry.metadata().is_ok_and(|about| is_ours(&about) && is_old(&about)) {
            let _ = fs::remove_file(entry.path().join("socket"));
            let _ = fs::remove_dir(entry.path());
        }
    }
}

fn is_left(container: &Container) -> bool {
    let says = |name: &str| container.labels.get(name).map_or("", String::as_str);
    let has_ended = matches!(container.state.as_str(), "exited" | "dead");
    // Numbers of processes mean something in their own namespace only.
    let is_from_here = says(PLACE) == place();
    let has_nobody = || is_over(says(PROCESS), says(STARTED), stat(says(PROCESS)));
    has_ended || (is_from_here && has_nobody())
}

/// Whether a process that started then has ended. One that cannot be read is another user's: where `/proc` hides
/// those, it is not to be taken for one that is not there.
fn is_over(pid: &str, then: &str, stat: Option<String>) -> bool {
    match stat {
        Some(stat) => started(&stat).as_deref() != Some(then),
        None => pid.parse().is_ok_and(is_gone),
    }
}

/// Whether nobody has this number.
fn is_gone(pid: i32) -> bool {
    let pid = if pid > 0 { Pid::from_raw(pid) } else { None };
    pid.is_some_and(|pid| test_kill_process(pid) == Err(Errno::SRCH))
}

/// This boot of this machine, and our namespace of processes.
fn place() -> String {
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    let namespace = fs::read_link("/proc/self/ns/pid").unwrap_or_default();
    format!("{} {}", boot.trim(), namespace.display())
}

/// What the kernel says about a process, if it says it to us.
fn stat(pid: &str) -> Option<String> {
    let is_number = !pid.is_empty() && pid.bytes().all(|byte| byte.is_ascii_digit());
    (is_number || pid == "self").then(|| fs::read_to_string(format!("/proc/{pid}/stat")).ok()).flatten()
}

/// When a process started, in ticks since the boot; nothing when only what is left of it is there.
fn started(stat: &str) -> Option<String> {
    let (_, after_name) = stat.rsplit_once(')')?;
    let mut fields = after_name.split_whitespace();
    let is_alive = fields.next().is_some_and(|state| !matches!(state, "Z" | "X"));
    is_alive.then(|| fields.nth(18).map(str::to_owned)).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_has_ended_or_has_no_supervisor() {
        let with = |state: &str, labels: Value| Container {
            id: String::new(),
            state: state.into(),
            labels: serde_json::from_value(labels).unwrap(),
        };
        let changed = |name: &str, value: &str| {
            let mut labels = labels();
            labels[name] = json!(value);
            labels
        };
        let gone = || changed(STARTED, "1");
        assert!(!is_left(&with("running", labels())) && !is_left(&with("created", labels())));
        assert!(is_left(&with("exited", labels())) && is_left(&with("dead", labels())));
        assert!(is_left(&with("running", gone())) && is_left(&with("created", gone())));
        assert!(is_left(&with("running", changed(PROCESS, "4194999"))));
        assert!(!is_left(&with("running", changed(PROCESS, "../1"))));
        let mut elsewhere = gone();
        elsewhere[PLACE] = json!("another");
        assert!(!is_left(&with("running", elsewhere)));
        assert!(!is_left(&with("running", json!({}))));
    }

    #[test]
    fn places_of_meetings_are_removed_when_who_made_them_is_gone() {
        let place = tempfile::tempdir().unwrap();
        let at = |name: &str| place.path().join(name);
        let ours = format!("m-{}-1", std::process::id());
        for (name, is_old) in
            [("m-4194999-1", true), ("m-4194999-2", false), (ours.as_str(), true), ("n-4194999-1", true)]
        {
            fs::create_dir(at(name)).unwrap();
            fs::write(at(name).join("socket"), "").unwrap();
            if is_old {
                let then = std::time::SystemTime::UNIX_EPOCH;
                fs::File::open(at(name)).unwrap().set_modified(then).unwrap();
            }
        }
        clear_away_meetings(place.path(), "m-");
        assert!(!at("m-4194999-1").exists());
        assert!(at("m-4194999-2").exists() && at(&ours).exists() && at("n-4194999-1").exists());
    }

    #[test]
    fn who_is_hidden_is_not_gone() {
        let us = std::process::id().to_string();
        let then = started(&stat("self").unwrap()).unwrap();
        assert!(!is_over(&us, &then, stat(&us)) && is_over(&us, "1", stat(&us)));
        // As where `/proc` hides other users' processes.
        assert!(!is_over(&us, &then, None) && !is_over("1", &then, None));
        assert!(is_over("4194999", &then, None));
        for bad in ["", "0", "-1", "../1", "99999999999999999999"] {
            assert!(!is_over(bad, &then, stat(bad)), "{bad}");
        }
        let zombie = stat(&us).unwrap().replacen(") R", ") Z", 1).replacen(") S", ") Z", 1);
        assert!(is_over(&us, &then, Some(zombie)));
    }
}
