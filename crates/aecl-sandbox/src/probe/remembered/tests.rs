use std::os::unix::fs::{PermissionsExt, symlink};

use super::*;
use crate::tier::Runtime;

/// A runtime that is installed here and holds, with a directory to remember that in.
async fn remembered() -> Option<(tempfile::TempDir, ProbeCache, Backend)> {
    let caches = tempfile::tempdir().unwrap();
    let memory = ProbeCache::below(caches.path());
    for backend in [Backend::Runc(Runtime::named("runc")), Backend::Crun(Runtime::named("crun"))] {
        let (found, is_remembered) = memory.probe(&backend).await;
        assert!(!is_remembered, "nothing was remembered yet");
        if found.available {
            return Some((caches, memory, backend));
        }
    }
    println!("neither `runc` nor `crun` holds here: `apt-get install runc`");
    None
}

#[tokio::test]
async fn what_held_is_remembered_with_all_that_was_found_out() {
    let Some((caches, memory, backend)) = remembered().await else { return };
    let file = caches.path().join("aecl").join(name(&backend));
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&file), mode(&caches.path().join("aecl"))), (0o600, 0o700));
    let fresh = probe_one(&backend).await;
    let (found, is_remembered) = memory.probe(&backend).await;
    assert!(is_remembered && !found.attacks.is_empty());
    assert_eq!(
        (&found.version, found.offers, &found.attacks),
        (&fresh.version, fresh.offers, &fresh.attacks)
    );
    memory.forget(&backend);
    assert!(!memory.probe(&backend).await.1);
}

#[tokio::test]
async fn what_somebody_else_could_have_written_is_not_believed() {
    let Some((caches, memory, backend)) = remembered().await else { return };
    let dir = caches.path().join("aecl");
    let file = dir.join(name(&backend));
    let is_believed = || memory.recall(&backend, &rests_on(&backend).unwrap(), now_s()).is_some();
    let set = |path: &Path, mode: u32| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    assert!(is_believed());
    for (path, bad, good) in
        [(&file, 0o620, 0o600), (&file, 0o602, 0o600), (&dir, 0o770, 0o700), (&dir, 0o707, 0o700)]
    {
        set(path, bad);
        assert!(!is_believed(), "{} with {bad:o}", path.display());
        set(path, good);
        assert!(is_believed());
    }
    // Under two names it may be somebody's who kept the other one.
    fs::hard_link(&file, dir.join("twice")).unwrap();
    assert!(!is_believed());
    fs::remove_file(dir.join("twice")).unwrap();
    // Behind links it is wherever somebody says.
    fs::rename(&file, caches.path().join("elsewhere")).unwrap();
    symlink(caches.path().join("elsewhere"), &file).unwrap();
    assert!(!is_believed());
    fs::rename(caches.path().join("elsewhere"), &file).unwrap();
    fs::rename(&dir, caches.path().join("real")).unwrap();
    symlink(caches.path().join("real"), &dir).unwrap();
    assert!(!is_believed());
    fs::remove_file(&dir).unwrap();
    fs::rename(caches.path().join("real"), &dir).unwrap();
    assert!(is_believed());
    if rustix::process::geteuid().is_root() {
        std::os::unix::fs::chown(&file, Some(12_345), None).unwrap();
        assert!(!is_believed());
        std::os::unix::fs::chown(&file, Some(0), None).unwrap();
        std::os::unix::fs::chown(&dir, Some(12_345), None).unwrap();
        assert!(!is_believed());
    }
}

#[tokio::test]
async fn it_counts_only_as_long_as_everything_is_as_it_was() {
    let Some((caches, memory, backend)) = remembered().await else { return };
    let file = caches.path().join("aecl").join(name(&backend));
    let rests_on = rests_on(&backend).unwrap();
    assert!(memory.recall(&backend, &rests_on, now_s()).is_some());
    for index in 0..rests_on.len() {
        let mut other = rests_on.clone();
        other[index].push('x');
        assert!(memory.recall(&backend, &other, now_s()).is_none(), "{}", rests_on[index]);
    }
    let text = fs::read_to_string(&file).unwrap();
    let with = |key: &str, value: serde_json::Value| {
        let mut kept: serde_json::Value = serde_json::from_str(&text).unwrap();
        kept[key] = value;
        fs::write(&file, kept.to_string()).unwrap();
        memory.recall(&backend, &rests_on, now_s()).is_some()
    };
    let after = |time: Duration| memory.recall(&backend, &rests_on, now_s() + time.as_secs()).is_some();
    assert!(after(BELIEVED_MAX - Duration::from_secs(60)));
    assert!(!after(BELIEVED_MAX + Duration::from_secs(60)), "too old");
    assert!(!with("at_s", (now_s() + 60).into()), "from the future");
    assert!(!with("memory", (!cgroup::enforced().memory).into()), "other limits");
    assert!(!with("runtime", serde_json::Value::Null), "of no program");
    let mut facts = serde_json::to_value(oci::facts(&backend)).unwrap();
    facts["stamp"][1] = 1.into();
    assert!(!with("runtime", facts), "another program");
    fs::write(&file, &text[..text.len() / 2]).unwrap();
    assert!(memory.recall(&backend, &rests_on, now_s()).is_none(), "half of it");
}

#[tokio::test]
async fn what_does_not_hold_is_tried_again_each_time() {
    let caches = tempfile::tempdir().unwrap();
    let memory = ProbeCache::below(caches.path());
    let missing = Backend::Runc(Runtime::named("no-such-runtime"));
    for _ in 0..2 {
        let (found, is_remembered) = memory.probe(&missing).await;
        assert!(!found.available && !is_remembered);
    }
    assert!(!caches.path().join("aecl").join(name(&missing)).exists());
}
