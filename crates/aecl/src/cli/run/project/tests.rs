#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

use super::file::{Limit, NAME, ProjectFile};
use super::{narrowed, stays_as_it_is, take};
use crate::cli::run::Asked;
use aecl_kernel::define::connector::process::{AccessSpec, AllowSpec, ProcessSpec, ViewSpec};
use aecl_kernel::define::isolation::IsolationTier;
use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::json;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::time::Duration;

fn asked(spec: ProcessSpec) -> Asked {
    Asked {
        spec,
        timeout: Duration::from_secs(30),
        memory_is_ours: true,
        process_memory_max_bytes: None,
        terminal: false,
        caches: BTreeSet::new(),
        hidden: BTreeSet::new(),
        read_only: BTreeSet::new(),
        tier: IsolationTier::Native,
        why: "every program runs in a cage".into(),
    }
}

fn plain() -> ProcessSpec {
    serde_json::from_value(json!({ "argv": ["true"] })).unwrap()
}

fn view(source: &str, access: AccessSpec) -> ViewSpec {
    ViewSpec { source: source.into(), at: source.into(), access }
}

const NAMES: [&str; 6] = ["a.test", "b.a.test", "c.b.a.test", "x.test", "A.test", "xa.test"];
const HOSTS: [&str; 8] =
    ["a.test", "b.a.test", "c.b.a.test", "x.test", "*.a.test", "*.b.a.test", "*.x.test", "A.TEST"];
const PORTS: [u16; 3] = [80, 443, 8443];
const PATHS: [&str; 9] = ["/p", "/p/a", "/p/a/b", "/p/c", "/q", "/p/..", "/", "/pa", "/p/a/b/d"];

prop_compose! {
    fn allow()(
        host in prop::sample::select(HOSTS.to_vec()),
        port in prop::sample::select(PORTS.to_vec()),
        methods in vec(prop::sample::select(vec!["GET", "POST"]), 0..3),
        allow_private in any::<bool>(),
    ) -> AllowSpec {
        let methods: BTreeSet<_> = methods.into_iter().collect();
        let rule = json!({ "host": host, "port": port, "methods": methods, "allow_private": allow_private });
        serde_json::from_value(rule).unwrap()
    }
}

prop_compose! {
    fn any_asked()(
        limits in vec(1_u64..2_000, 12),
        (no_memory, no_cpu) in any::<(bool, bool)>(),
        egress in vec(allow(), 0..5),
        views in vec((prop::sample::select(PATHS.to_vec()), any::<bool>()), 0..4),
        timeout in 1_u64..600,
        tier in 0..3_usize,
        cwd in proptest::option::of(prop::sample::select(PATHS.to_vec())),
    ) -> Asked {
        let mut spec = plain();
        for (limit, most) in Limit::ALL.into_iter().zip(limits) {
            limit.set(&mut spec.limits, most);
        }
        if no_memory { spec.limits.memory_max_mib = None; }
        if no_cpu { spec.limits.cpu_max_millicores = None; }
        spec.egress = egress;
        spec.cwd = cwd.map(Into::into);
        let access = |can_write| if can_write { AccessSpec::Overlay } else { AccessSpec::ReadOnly };
        spec.views = views.into_iter().map(|(source, can_write)| view(source, access(can_write))).collect();
        Asked { timeout: Duration::from_secs(timeout), tier: IsolationTier::ALL[tier], ..asked(spec) }
    }
}

/// A file as somebody could write it, who may be hostile.
fn any_file() -> impl Strategy<Value = String> {
    let number = prop_oneof![4 => (1_u64..2_000).prop_map(|n| n.to_string()), 1 => Just("18446744073709551615".into())];
    let limit = (prop::sample::select(Limit::ALL.to_vec()), number.clone());
    let place =
        (prop::sample::select(HOSTS.to_vec()), proptest::option::of(prop::sample::select(PORTS.to_vec())));
    let path = prop::sample::select(vec![".", "a", "a/b", "./c", "a/b/d", "e"]);
    (
        proptest::option::of(prop::sample::select(IsolationTier::ALL.to_vec())),
        proptest::option::of(number),
        vec(limit, 0..4),
        proptest::option::of(vec(place, 0..4)),
        (vec(path.clone(), 0..3), vec(path, 0..3), any::<bool>()),
    )
        .prop_map(|(tier, timeout, limits, hosts, (read_only, hidden, profile))| {
            let limits: serde_json::Map<_, _> = limits
                .into_iter()
                .map(|(limit, most)| (limit.name().to_owned(), most.parse::<u64>().unwrap().into()))
                .collect();
            let mut all = json!({ "limits": limits, "read_only": read_only, "hidden": hidden });
            if let Some(tier) = tier {
                all["min_tier"] = tier.name().into();
            }
            if let Some(seconds) = timeout {
                all["timeout_max_s"] = seconds.parse::<u64>().unwrap().into();
            }
            if let Some(hosts) = hosts {
                let hosts = hosts.into_iter().map(|(host, port)| match port {
                    Some(port) => format!("{host}:{port}"),
                    None => host.to_owned(),
                });
                all["hosts"] = hosts.collect();
            }
            if profile {
                all["profiles"] = json!(["rust"]);
            }
            all.to_string()
        })
}

/// The rule that a broker would go by: the first that covers it.
fn rule<'a>(list: &'a [AllowSpec], name: &str, port: u16, method: Option<&str>) -> Option<&'a AllowSpec> {
    let covers = |host: &str| {
        let host = host.to_ascii_lowercase();
        match host.strip_prefix("*.") {
            Some(suffix) => {
                name.strip_suffix(suffix).is_some_and(|rest| rest.len() > 1 && rest.ends_with('.'))
            }
            None => host == name,
        }
    };
    list.iter().filter(|allow| allow.port.get() == port && covers(&allow.host)).find(|allow| match method {
        None => allow.methods.is_empty(),
        Some(method) => allow.methods.contains(method),
    })
}

/// Whether nothing is in the one that is not in the other.
fn is_within(one: &Asked, other: &Asked) -> Result<(), TestCaseError> {
    for limit in Limit::ALL {
        let (now, was) = (limit.of(&one.spec.limits), limit.of(&other.spec.limits));
        prop_assert!(
            now.unwrap_or(u64::MAX) <= was.unwrap_or(u64::MAX),
            "{}: {now:?}, {was:?}",
            limit.name()
        );
    }
    prop_assert!(one.timeout <= other.timeout && one.tier >= other.tier);
    for name in NAMES.map(str::to_ascii_lowercase) {
        for (port, method) in
            PORTS.into_iter().flat_map(|port| [None, Some("GET"), Some("POST")].map(|m| (port, m)))
        {
            let now = rule(&one.spec.egress, &name, port, method);
            let was = rule(&other.spec.egress, &name, port, method);
            prop_assert!(now.is_none() || was.is_some(), "{name}:{port} {method:?}");
            if let (Some(now), Some(was)) = (now, was) {
                prop_assert!(!now.allow_private || was.allow_private, "{name}:{port} {method:?}");
            }
        }
    }
    for view in &one.spec.views {
        let was = other.spec.views.iter().filter(|was| (&was.source, &was.at) == (&view.source, &view.at));
        let can = |access| was.clone().any(|was| was.access == access || was.access == AccessSpec::Overlay);
        prop_assert!(can(view.access), "{view:?}");
    }
    prop_assert!(one.spec.cwd.is_none() || one.spec.cwd == other.spec.cwd);
    prop_assert!(one.hidden.is_superset(&other.hidden) && one.read_only.is_superset(&other.read_only));
    // Nothing else is touched at all.
    let rest = |asked: &Asked| {
        let spec = asked.spec.clone();
        let spec =
            ProcessSpec { cwd: None, views: vec![], egress: vec![], limits: Default::default(), ..spec };
        (spec, asked.caches.clone(), asked.terminal, asked.process_memory_max_bytes)
    };
    prop_assert_eq!(rest(one), rest(other));
    Ok(())
}

fn again(asked: &Asked) -> Asked {
    Asked {
        spec: asked.spec.clone(),
        why: asked.why.clone(),
        caches: asked.caches.clone(),
        hidden: asked.hidden.clone(),
        read_only: asked.read_only.clone(),
        ..*asked
    }
}

#[test]
fn whatever_a_project_says_it_gives_nothing() {
    let taken = std::cell::Cell::new(0);
    proptest!(ProptestConfig::with_cases(2_000), |(before in any_asked(), files in vec(any_file(), 1..3))| {
        let mut now = again(&before);
        for text in &files {
            let Ok(file) = ProjectFile::read(text) else { continue };
            let earlier = again(&now);
            let what = take(Path::new("/p"), &file, &mut now);
            is_within(&now, &earlier)?;
            let repeated = again(&now);
            prop_assert!(take(Path::new("/p"), &file, &mut now).is_empty(), "{text} twice is more than once: {what:?}");
            is_within(&repeated, &now)?;
            taken.set(taken.get() + what.len());
        }
        is_within(&now, &before)?;
    });
    assert!(taken.get() > 2_000, "only {} things were taken away", taken.get());
}

#[test]
fn hosts_that_are_said_in_each_other_are_said_once() {
    let allow = |host: &str| AllowSpec {
        host: host.to_owned(),
        ..serde_json::from_str(r#"{"host": "*.a.test"}"#).unwrap()
    };
    let file = ProjectFile::read(r#"{"hosts": ["*.b.a.test", "b.a.test", "c.b.a.test"]}"#).unwrap();
    let once = narrowed(&[allow("*.a.test")], file.hosts.as_ref().unwrap());
    assert_eq!(once, [allow("*.b.a.test"), allow("b.a.test")]);
    assert_eq!(narrowed(&once, file.hosts.as_ref().unwrap()), once);
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused(text in "(?s).{0,200}") {
        let _ = ProjectFile::read(&text);
    }
}

#[test]
fn what_is_wrong_is_named_with_its_line() {
    for (text, why) in [
        ("limits:\n  memory: 3\n", "memory"),
        ("hosts: [a.test]\nhosts: []\n", "hosts"),
        ("min_tier: none\n", "none"),
        ("\n\nview: [/]\n", "line 3"),
        ("hosts:\n  - a.test\n  - 10.0.0.1\n", "`10.0.0.1`"),
        ("hosts:\n", "hosts"),
        ("hidden: [../secrets]\n", "`../secrets`"),
        ("hidden: [/etc]\n", "`/etc`"),
        ("read_only: ['']\n", "no path below"),
        ("timeout_max_s: 0\n", "0"),
        ("limits: { processes_max: -1 }\n", "-1"),
        ("limits: { memory_max_mib: 3 }\n", "less than 4"),
        ("profiles: [everything]\n", "everything"),
        ("- a\n", "1"),
    ] {
        let error = ProjectFile::read(text).map(drop).err().unwrap_or_else(|| "it is read".into());
        assert!(error.contains(why), "{text:?}: {error}");
    }
    for nothing in ["", "# a remark\n", "{}\n"] {
        assert!(ProjectFile::read(nothing).unwrap().limits.is_empty(), "{nothing:?}");
    }
}

/// Whatever lies there: an answer, which names it and the way out.
#[test]
fn a_hostile_file_stops_nobody() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(NAME);
    let refused = |why: &str| {
        let error = ProjectFile::of(dir.path()).map(drop).unwrap_err();
        assert!(error.message.contains(why) && error.message.contains(NAME), "{}", error.message);
        assert!(error.hint.unwrap().contains("--no-project-file"));
    };
    assert!(ProjectFile::of(dir.path()).unwrap().is_none());
    rustix::fs::mknodat(rustix::fs::CWD, &path, rustix::fs::FileType::Fifo, rustix::fs::Mode::RUSR, 0)
        .unwrap();
    refused("no plain file");
    fs::remove_file(&path).unwrap();
    for target in ["/dev/zero", "/dev/tty", "elsewhere", NAME] {
        std::os::unix::fs::symlink(target, &path).unwrap();
        refused("symbolic link");
        fs::remove_file(&path).unwrap();
    }
    fs::create_dir(&path).unwrap();
    refused("no plain file");
    fs::remove_dir(&path).unwrap();
    fs::File::create(&path).unwrap().set_len(1 << 40).unwrap();
    refused("more than 16384 bytes");
    fs::write(&path, [0xff]).unwrap();
    refused("no UTF-8");
    let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..12 {
        let names = vec![format!("*a{}", level - 1); 9].join(", ");
        bomb.push_str(&format!("a{level}: &a{level} [{names}]\n"));
    }
    fs::write(&path, bomb + "hidden: *a11\n").unwrap();
    refused(NAME);
    fs::write(&path, "[".repeat(10_000)).unwrap();
    refused(NAME);
}

#[test]
fn what_was_made_where_nothing_may_be_changed_is_not_kept() {
    let mut asked = asked(ProcessSpec { views: vec![view("/p", AccessSpec::Overlay)], ..plain() });
    let file = ProjectFile::read("read_only: [dist]\nhidden: [.env]\n").unwrap();
    assert_eq!(take(Path::new("/p"), &file, &mut asked).len(), 2);
    let change = |path: &str| json!({ "path": path, "after": { "text": "x" } });
    let all = ["dist", "dist/a", "distant", ".env", "src/.env"].map(change);
    let mut told = json!({ "changes": { "/p": all } });
    stays_as_it_is(&asked, &mut told);
    assert_eq!(told["changes"]["/p"], json!([change("distant"), change("src/.env")]));
    assert_eq!(told["refused"].as_array().unwrap().len(), 3, "{told}");
}
