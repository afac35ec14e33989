//! Programs that have an image's files instead of the host's: in the tier `native` as root and as an ordinary user,
//! and by each container runtime that is installed.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

mod common;
#[path = "common/layout.rs"]
mod layout;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use aecl_sandbox::{
    Access, Backend, Cage, ChangeKind, CollectLimits, Image, ImageDigest, ImageLimits, Images, Layout,
    Network, Program, Termination, View, probe, run, start,
};
use common::{as_an_ordinary_user, cage, is_root, shell, text};
use layout::{Layer, gzip};
use serde_json::{Value, json};
use tokio::io::AsyncBufReadExt;

const LIMITS: ImageLimits = ImageLimits { unpacked_max_bytes: 64 << 20, files_max: 10_000 };

#[test]
fn the_same_for_an_ordinary_user() {
    as_an_ordinary_user("the_same_for_an_ordinary_user");
}

/// A cage by everything that holds programs here.
async fn cages() -> Vec<Cage> {
    let mut cages = vec![cage()];
    if is_root() {
        for found in probe(&Backend::all()[1..]).await {
            if found.available {
                cages.push(Cage { backend: found.backend, ..cage() });
            } else {
                println!("`{}` is not tested: {}", found.backend, found.reason);
            }
        }
    }
    cages
}

fn busybox() -> Vec<u8> {
    fs::read("/bin/busybox").or_else(|_| fs::read("/usr/bin/busybox")).unwrap()
}

/// A small system.
fn system() -> Layer {
    Layer::new()
        .dir("etc")
        .dir("usr/bin")
        .program("usr/bin/busybox", &busybox())
        .link("bin", "usr/bin")
        .hard("usr/bin/sh", "usr/bin/busybox")
}

fn image(dir: &Path, layers: &[Layer], run: &Value) -> Image {
    let at = dir.join("layout");
    fs::create_dir_all(&at).unwrap();
    let layers: Vec<_> = layers.iter().map(gzip).collect();
    let digest = layout::write(&at, &layers, run);
    Images::new(dir.join("images")).unpack(&at, &digest, LIMITS).unwrap()
}

fn dir() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
    dir
}

#[tokio::test]
async fn a_program_has_the_files_of_the_image_and_none_of_the_hosts() {
    let dir = dir();
    let above = Layer::new()
        .file("etc/of-the-image", b"1")
        .file("opt/tool/data", b"2")
        .file("tmp/hidden", b"3")
        .link("leads-out", "../../../../../../etc/hostname")
        .link("etc/shadow", "/proc/1/root/etc/shadow");
    let image = image(dir.path(), &[system(), above], &json!({}));
    let script = "busybox ls /; busybox cat /etc/of-the-image /opt/tool/data; busybox ls /tmp /usr/bin; \
                  busybox cat /etc/hosts; busybox cat /leads-out; busybox cat /etc/shadow; \
                  echo x > /opt/x; echo x > /x; echo kept > /scratch/y; echo t > /tmp/t && busybox cat /tmp/t; \
                  busybox head -c 3 /dev/zero | busybox wc -c; busybox id -u; busybox hostname";
    for cage in cages().await {
        let name = cage.backend.to_string();
        let end = run(shell(script), Cage { image: Some(image.clone()), ..cage }).await.unwrap();
        assert_eq!(end.outcome, Termination::Exited(0), "{name}: {}", text(&end));
        let said = String::from_utf8(end.stdout.bytes.clone()).unwrap();
        let list = |s: &str| s.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        let expected = list(
            "bin dev etc leads-out opt proc scratch tmp usr 12/tmp: /usr/bin: busybox sh \
             127.0.0.1 localhost cage t 3 1000 cage",
        );
        let mut words = list(&said);
        // gVisor has a `/sys` of its own kernel.
        words.retain(|word| word != "sys");
        assert_eq!(words, expected, "{name}: {}", text(&end));
        let refused = end.stderr.for_display().matches("can't create").count();
        assert_eq!(refused, 2, "{name}: {}", text(&end));
        assert_eq!(end.held.image.as_ref(), Some(image.digest()), "{name}");
        let collect = CollectLimits { file_max_bytes: 100, total_max_bytes: 100, entries_max: 10 };
        let left = end.scratch[0].collect(collect).unwrap();
        assert_eq!(left.changes[0].kind, ChangeKind::File { mode: 0o644, bytes: b"kept\n".to_vec() });
    }
    assert_eq!(fs::read(image.tree().join("opt/tool/data")).unwrap(), b"2");
}

/// A copy of the image, in a machine whose own disk has other files.
#[tokio::test]
async fn a_machine_has_the_files_of_the_image_and_none_of_its_disk() {
    let Some(machine) = common::machine::machine() else { return };
    let dir = dir();
    let above = Layer::new()
        .file("etc/of-the-image", b"1")
        .file("opt/one", b"2")
        .file("srv/it/a", b"of the image")
        .link("etc/shadow", "/proc/1/root/etc/shadow");
    let run_as = json!({ "Env": ["A=image"], "WorkingDir": "/opt" });
    let image = image(dir.path(), &[system(), above], &run_as);
    let project = dir.path().join("project");
    fs::create_dir(&project).unwrap();
    fs::write(project.join("a"), "of the host").unwrap();
    let views = vec![View { source: project.clone(), at: "/srv/it".into(), access: Access::Overlay }];
    let script = "busybox ls /; busybox cat /etc/of-the-image one /srv/it/a; busybox ls /usr/bin; echo $A; \
                  busybox cat /etc/shadow; echo x > /opt/x; echo new > /srv/it/b; echo kept > /scratch/y; \
                  busybox head -c 3 /dev/zero | busybox wc -c; busybox id -u";
    let native = Cage { image: Some(image.clone()), views, ..cage() };
    let mut there = native.clone();
    there.backend = common::machine::emulated(machine);
    there.limits.memory_max_bytes = Some(96 << 20);
    there.clocks = common::clocks(std::time::Duration::from_secs(90));
    let (native, there) =
        (run(shell(script), native).await.unwrap(), run(shell(script), there).await.unwrap());
    assert_eq!(text(&there), text(&native));
    assert!(text(&there).contains("12of the hostbusybox\nsh\nimage\n3\n1000\n"), "{}", text(&there));
    assert_eq!(there.held.image.as_ref(), Some(image.digest()));
    let collect = CollectLimits { file_max_bytes: 100, total_max_bytes: 100, entries_max: 10 };
    for place in 0..2 {
        let left = [&there, &native].map(|ended| ended.scratch[place].collect(collect).unwrap());
        assert_eq!((&left[0], left[0].changes.len()), (&left[1], 1));
    }
}

#[tokio::test]
async fn what_the_image_says_of_programs_counts_where_nobody_says_otherwise() {
    let dir = dir();
    let run_as = json!({ "Env": ["A=image", "B=image", "PATH=/usr/bin", "HOME=/root"], "WorkingDir": "/etc", "User": "0:0",
        "Entrypoint": ["sh", "-c"], "Cmd": ["echo $A $B $HOME $PATH $TMPDIR; busybox pwd; busybox id -u"] });
    let image = image(dir.path(), &[system()], &run_as);
    for cage in cages().await {
        let cage = Cage { image: Some(image.clone()), ..cage };
        let nothing = Program { argv: vec![], env: BTreeMap::new(), cwd: None };
        let end = run(nothing, cage.clone()).await.unwrap();
        assert_eq!(text(&end), "image image /root /usr/bin /tmp\n/etc\n1000\n", "{}", cage.backend);
        let something = Program {
            env: [("A".into(), "ours".into())].into(),
            cwd: Some("/scratch".into()),
            ..shell("echo $A $B; busybox pwd")
        };
        let end = run(something, cage).await.unwrap();
        assert_eq!(text(&end), "ours image\n/scratch\n");
    }
}

#[tokio::test]
async fn an_image_without_anything_but_a_program_will_do() {
    let dir = dir();
    let layer = Layer::new().program("busybox", &busybox());
    let image = image(dir.path(), &[layer], &json!({}));
    for cage in cages().await {
        let argv = ["/busybox", "cat", "/etc/passwd", "/etc/hosts"].map(String::from).to_vec();
        let cage = Cage { image: Some(image.clone()), ..cage };
        let end = run(Program { argv, ..shell("") }, cage.clone()).await.unwrap();
        let expected = "cage:x:1000:1000:cage:/tmp:/bin/sh\n127.0.0.1 localhost cage\n";
        assert_eq!(text(&end), expected, "{}", cage.backend);
        let missing = run(shell("true"), cage).await.unwrap_err().to_string();
        assert!(
            missing.contains("`sh` did not start in the cage") && missing.contains("the image"),
            "{missing}"
        );
    }
}

#[tokio::test]
async fn a_view_appears_beside_and_inside_of_what_the_image_has() {
    let dir = dir();
    let project = dir.path().join("project");
    fs::create_dir(&project).unwrap();
    fs::set_permissions(&project, fs::Permissions::from_mode(0o755)).unwrap();
    fs::write(project.join("a"), "of the host").unwrap();
    let above = Layer::new()
        .dir("home")
        .file("opt/one", b"1")
        .link("opt/two", "one")
        .file("opt/deep/three", b"3")
        .file("srv/it/a", b"of the image")
        .link("link", "opt")
        .file("file", b"");
    let image = image(dir.path(), &[system(), above], &json!({}));
    let at = |at: &str| View { source: project.clone(), at: at.into(), access: Access::ReadOnly };
    for cage in cages().await {
        let name = cage.backend.to_string();
        let with = |views: Vec<View>| Cage { image: Some(image.clone()), views, ..cage.clone() };
        let script =
            "busybox cat /opt/one /opt/two /opt/deep/three /opt/deep/mine/a /home/me/a /srv/it/a /new/a";
        let views = vec![at("/opt/deep/mine"), at("/home/me"), at("/srv/it"), at("/new")];
        let end = run(shell(script), with(views)).await.unwrap();
        assert_eq!(text(&end), format!("113{}", "of the host".repeat(4)), "{name}");
        for (place, expected) in [
            ("/usr/mine", "must appear at an absolute path of its own"),
            ("/link/mine", "no directory in the image"),
            ("/file/mine", "no directory in the image"),
        ] {
            let why = run(shell("true"), with(vec![at(place)])).await.unwrap_err().to_string();
            assert!(why.contains(expected), "{name}, {place}: {why}");
        }
        if matches!(cage.backend, Backend::Runsc(_)) {
            continue;
        }
        let over = View { access: Access::Overlay, ..at("/home/me") };
        let end = run(shell("echo new > /home/me/b"), with(vec![over])).await.unwrap();
        assert_eq!(
            (end.outcome, end.scratch[1].at()),
            (Termination::Exited(0), Path::new("/home/me")),
            "{name}"
        );
    }
}

#[tokio::test]
async fn an_image_with_too_much_at_its_top_is_refused() {
    let dir = dir();
    let many = (0..130).fold(system(), |layer, n| layer.dir(&format!("top{n}")));
    let image = image(dir.path(), &[many], &json!({}));
    let why = run(shell("true"), Cage { image: Some(image), ..cage() }).await.unwrap_err().to_string();
    assert!(why.contains("more to show one by one"), "{why}");
}

#[tokio::test]
async fn a_listener_serves_a_program_of_an_image() {
    let dir = dir();
    let image = image(dir.path(), &[system()], &json!({}));
    for cage in cages().await {
        if matches!(cage.backend, Backend::Runsc(_)) {
            continue;
        }
        let cage = Cage { image: Some(image.clone()), network: Network::Listener { port: 3128 }, ..cage };
        let mut running = start(shell("echo asked | busybox nc localhost 3128"), cage).await.unwrap();
        let mut listener = running.listener.take().unwrap();
        let served = listener.accept().await.unwrap();
        let mut lines = tokio::io::BufReader::new(served).lines();
        assert_eq!(lines.next_line().await.unwrap().as_deref(), Some("asked"));
        drop(lines);
        running.wait().await;
    }
}

/// What other tools make, with several layers, markers and both compressions.
#[tokio::test]
async fn layouts_of_other_tools_are_read() {
    let there = |name: &str| Command::new(name).arg("--version").output().is_ok();
    if !there("umoci") || !there("skopeo") {
        println!("`umoci` or `skopeo` is not installed: `apt-get install umoci skopeo`");
        return;
    }
    let dir = dir();
    let path = |name: &str| dir.path().join(name).display().to_string();
    let tool = |program: &str, args: &[&str]| {
        let mut command = Command::new(program);
        command.args(args).env("HOME", dir.path()).env("TMPDIR", dir.path());
        let output = command.output().unwrap();
        assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    };
    fs::create_dir_all(dir.path().join("data/sub")).unwrap();
    fs::write(dir.path().join("data/gone"), "1").unwrap();
    fs::write(dir.path().join("data/sub/kept"), "2").unwrap();
    fs::create_dir_all(dir.path().join("other")).unwrap();
    fs::write(dir.path().join("other/new"), "3").unwrap();
    let busybox = if Path::new("/bin/busybox").exists() { "/bin/busybox" } else { "/usr/bin/busybox" };
    let tagged = format!("{}:tools", path("made"));
    let umoci = |args: &[&str]| tool("umoci", args);
    umoci(&["init", "--layout", &path("made")]);
    umoci(&["new", "--image", &tagged]);
    let insert = |args: &[&str]| {
        umoci(&[&["insert", "--rootless", "--image", &tagged], args].concat());
    };
    fs::copy(busybox, dir.path().join("busybox")).unwrap();
    insert(&[&path("busybox"), "/bin/busybox"]);
    insert(&[&path("data"), "/data"]);
    insert(&[&path("data"), "/all"]);
    insert(&["--whiteout", "/data/gone"]);
    insert(&["--opaque", &path("other"), "/all"]);
    umoci(&["config", "--image", &tagged, "--config.env", "MADE=umoci", "--config.workingdir", "/data"]);
    let skopeo = |name: &str, how: &[&str]| {
        let to = format!("oci:{}:tools", path(name));
        let from = format!("oci:{tagged}");
        tool("skopeo", &[&["--insecure-policy", "copy"], how, &[&from, &to]].concat());
    };
    skopeo("copied", &[]);
    skopeo("zstd", &["--dest-compress-format", "zstd", "--dest-compress"]);
    for name in ["made", "copied", "zstd"] {
        let at = dir.path().join(name);
        let offers = Layout::open(&at).unwrap().offers().unwrap();
        let [offer] = offers.as_slice() else { panic!("{name}: {offers:?}") };
        assert_eq!(offer.name.as_deref(), Some("tools"), "{name}");
        let images = Images::new(dir.path().join(format!("images-{name}")));
        let image = images.unpack(&at, &offer.digest, LIMITS).unwrap_or_else(|e| panic!("{name}: {e}"));
        let script =
            "busybox pwd; echo $MADE; busybox find /data /all -type f | busybox sort; busybox cat /all/new";
        let argv = ["/bin/busybox", "sh", "-c", script].map(String::from).to_vec();
        let program = Program { argv, env: [("PATH".into(), "/bin".into())].into(), cwd: None };
        let end = run(program, Cage { image: Some(image), ..cage() }).await.unwrap();
        assert_eq!(text(&end), "/data\numoci\n/all/new\n/data/sub/kept\n3", "{name}");
    }
    // The same image, compressed in another way, is another image by its digest.
    let digest = |name: &str| -> ImageDigest {
        Layout::open(&dir.path().join(name)).unwrap().offers().unwrap()[0].digest.clone()
    };
    println!("made {}, copied {}, zstd {}", digest("made"), digest("copied"), digest("zstd"));
}
