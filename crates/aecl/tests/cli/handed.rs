//! What somebody else has made and hands over: exports and bundles with links, pipes and files without an end in them.

use crate::program::Aecl;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

pub fn pipe(path: &Path) {
    let (kind, mode) = (rustix::fs::FileType::Fifo, rustix::fs::Mode::from_raw_mode(0o644));
    rustix::fs::mknodat(rustix::fs::CWD, path, kind, mode, 0).unwrap();
}

/// The first name in a directory.
fn first(dir: &Path) -> PathBuf {
    let mut names: Vec<_> = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect();
    names.sort();
    names.into_iter().next().unwrap()
}

/// How a name is spoilt, and what is said of it.
#[rustfmt::skip]
const SPOILT: [(&str, &str); 3] =
    [("link", "it is a symbolic link, and none is followed"), ("pipe", "it is no plain file"), ("endless", "bytes")];

#[test]
fn an_export_of_somebody_else_is_read_without_following_or_waiting() {
    let place = tempfile::tempdir().unwrap();
    let aecl = Aecl::on(&place.path().join("home"));
    aecl.run(&["init"]).ended(0);
    drop(aecl.serve());
    let (export, real) = (place.path().join("export"), place.path().join("real"));
    let to = export.to_str().unwrap();
    aecl.run(&["log", "export", to, "--payloads"]).ended(0);
    let key = aecl.run(&["log", "key"]).ended(0).out.trim().to_owned();
    let verify = ["log", "verify", to, "--key", &key];
    aecl.run(&verify).ended(0);
    let paper = fs::read_dir(export.join("payloads")).unwrap().map(|entry| entry.unwrap().path());
    let paper = paper.into_iter().find(|path| path.extension().is_some()).unwrap();
    let (entries, hashes) = (first(&export.join("tile/entries")), first(&export.join("tile/0")));
    let files = [export.join("checkpoint"), first(&entries), first(&hashes), paper];
    let directories = [export.join("tile"), export.join("tile/entries"), export.join("payloads")];
    let cases = files.iter().flat_map(|file| SPOILT.iter().map(move |(how, why)| (file, *how, *why)));
    let cases = cases.chain(directories.iter().map(|dir| (dir, SPOILT[0].0, SPOILT[0].1)));
    for (path, how, why) in cases {
        fs::rename(path, &real).unwrap();
        match how {
            "link" => symlink(&real, path).unwrap(),
            "pipe" => pipe(path),
            _ => fs::File::create(path).unwrap().set_len(300 << 20).unwrap(),
        }
        let said = aecl.run(&verify).ended(5).out;
        let name = path.file_name().unwrap().to_str().unwrap();
        assert!(said.contains(why) && said.contains(name), "{}, {how}: {said}", path.display());
        // Nor is it continued, or written through.
        let more = aecl.run(&["log", "export", to, "--payloads"]);
        let is_read_again = [&files[0], &directories[2]].contains(&path);
        assert!(!is_read_again || more.code == 1 && more.err.contains(why), "{how}: {}", more.err);
        fs::remove_file(path).unwrap();
        fs::rename(&real, path).unwrap();
        aecl.run(&verify).ended(0);
    }
}

#[test]
fn a_file_that_is_named_is_neither_waited_for_nor_read_without_end() {
    let place = tempfile::tempdir().unwrap();
    let aecl = Aecl::on(&place.path().join("home"));
    aecl.run(&["init"]).ended(0);
    drop(aecl.serve());
    let (waits, endless) = (place.path().join("pipe"), place.path().join("endless"));
    pipe(&waits);
    fs::File::create(&endless).unwrap().set_len(300 << 20).unwrap();
    for (args, code) in [
        (&["log", "verify", "--head"][..], 1),
        (&["policy", "residual", "--goals"], 1),
        (&["mcp", "--plan"], 1),
        (&["doctor", "--sandbox", "--machines"], 1),
        (&["run", "--policy"], 125),
    ] {
        for (file, why) in [(&waits, "no plain file"), (&endless, "more than")] {
            let mut args = [args, &[file.to_str().unwrap()]].concat();
            if matches!(args[0], "mcp" | "run") {
                args.extend(["--", "true"]);
            }
            let said = aecl.run(&args).ended(code).err;
            assert!(said.contains(why), "{args:?}: {said}");
        }
    }
    let (waits, policy) = (waits.to_str().unwrap(), aecl.dir().join("policy"));
    for (args, code) in [
        (&["policy", "simulate", "--bundle", policy.to_str().unwrap(), "--export", waits][..], 1),
        (&["policy", "simulate", "--bundle", waits], 1),
        (&["log", "verify", waits], 5),
        (&["log", "export", waits], 1),
    ] {
        let said = aecl.run(args).ended(code);
        let said = said.err + &said.out;
        assert!(said.contains("Not a directory") || said.contains("File exists"), "{args:?}: {said}");
    }
    // What the shell hands over is waited for.
    let export = place.path().join("export");
    aecl.run(&["log", "export", export.to_str().unwrap()]).ended(0);
    let program = env!("CARGO_BIN_EXE_aecl");
    let line = format!(
        "{program} --dir {} log verify --head <(cat {}/checkpoint)",
        aecl.dir().display(),
        export.display()
    );
    let ran = std::process::Command::new("bash").args(["-c", &line]).output().unwrap();
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stdout));
}

#[test]
fn a_draft_that_lies_in_an_export_is_not_written_through() {
    let place = tempfile::tempdir().unwrap();
    let aecl = Aecl::on(&place.path().join("home"));
    aecl.run(&["init"]).ended(0);
    drop(aecl.serve());
    let (export, mine) = (place.path().join("export"), place.path().join("mine"));
    fs::create_dir(&export).unwrap();
    fs::write(&mine, "mine").unwrap();
    symlink(&mine, export.join("checkpoint.draft")).unwrap();
    aecl.run(&["log", "export", export.to_str().unwrap()]).ended(0);
    assert_eq!(fs::read_to_string(&mine).unwrap(), "mine");
}

#[test]
fn a_bundle_whose_links_lead_back_is_refused() {
    let place = tempfile::tempdir().unwrap();
    let aecl = Aecl::on(&place.path().join("home"));
    let bundle = place.path().join("bundle");
    fs::create_dir(&bundle).unwrap();
    for name in ["a", "b"] {
        symlink(".", bundle.join(name)).unwrap();
    }
    for command in ["check", "lint", "test"] {
        let said = aecl.run(&["policy", command, bundle.to_str().unwrap()]).ended(1);
        let all = said.out + &said.err;
        assert!(all.contains("a link may lead back"), "{command}: {all}");
    }
}
