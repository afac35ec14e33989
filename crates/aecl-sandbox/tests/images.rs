//! Images: what is unpacked of a layout, and what of a stranger's archive never is.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

#[path = "common/layout.rs"]
mod layout;

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use aecl_sandbox::{Image, ImageDigest, ImageLimits, Images, Layout};
use layout::{Layer, Packed, gzip, plain};
use proptest::prelude::*;
use serde_json::{Value, json};
use tar::EntryType;

const LIMITS: ImageLimits = ImageLimits { unpacked_max_bytes: 1 << 20, files_max: 300 };

/// A layout, and where its images are unpacked.
struct Place {
    dir: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("layout")).unwrap();
        Self { dir }
    }

    fn layout(&self) -> std::path::PathBuf {
        self.dir.path().join("layout")
    }

    fn images(&self) -> Images {
        Images::new(self.dir.path().join("images"))
    }

    fn unpack(&self, layers: &[Packed], run: &Value) -> Result<Image, String> {
        let digest = layout::write(&self.layout(), layers, run);
        self.images().unpack(&self.layout(), &digest, LIMITS).map_err(|e| e.to_string())
    }

    /// What is kept.
    fn kept(&self) -> Vec<String> {
        let entries = fs::read_dir(self.dir.path().join("images")).into_iter().flatten().flatten();
        let mut names: Vec<_> =
            entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
        names.retain(|name| name != "lock");
        names
    }
}

fn unpacked(layers: &[Layer]) -> (Place, Image) {
    let place = Place::new();
    let layers: Vec<_> = layers.iter().map(gzip).collect();
    let image = place.unpack(&layers, &json!({})).unwrap();
    (place, image)
}

fn refusal(layers: &[Layer]) -> String {
    let place = Place::new();
    let layers: Vec<_> = layers.iter().map(gzip).collect();
    let why = place.unpack(&layers, &json!({})).unwrap_err();
    assert_eq!(place.kept(), Vec::<String>::new(), "{why}");
    why
}

/// Every path in a tree, with what it is.
fn tree(dir: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut todo = vec![dir.to_owned()];
    while let Some(at) = todo.pop() {
        for entry in fs::read_dir(&at).unwrap().flatten() {
            let about = entry.path().symlink_metadata().unwrap();
            let name = entry.path().strip_prefix(dir).unwrap().display().to_string();
            if about.is_symlink() {
                found.push(format!("{name} -> {}", fs::read_link(entry.path()).unwrap().display()));
            } else if about.is_dir() {
                found.push(format!("{name}/ {:o}", about.mode() & 0o7777));
                todo.push(entry.path());
            } else {
                let content = fs::read_to_string(entry.path()).unwrap();
                found.push(format!("{name} {:o} {content}", about.mode() & 0o7777));
            }
        }
    }
    found.sort();
    found
}

#[test]
fn layers_are_laid_one_over_the_other() {
    let lowest = Layer::new()
        .dir("./")
        .dir("etc/")
        .file("etc/kept", b"1")
        .file("etc/replaced", b"1")
        .file("etc/gone", b"1")
        .dir("opt")
        .file("opt/old", b"1")
        .file("opt/deep/old", b"1")
        .link("bin", "usr/bin")
        .program("usr/bin/sh", b"#!")
        .hard("usr/bin/dash", "usr/bin/sh")
        .file("became/a/directory", b"1")
        .file("became-a-link", b"1");
    // What is gone is gone of the layers below, wherever the marker stands.
    let above = Layer::new()
        .file("etc/replaced", b"2")
        .file("etc/.wh.gone", b"")
        .file("opt/new", b"2")
        .file("opt/deep/new", b"2")
        .file("opt/.wh..wh..opq", b"")
        .file("usr/bin/.wh.dash", b"")
        .file("usr/bin/dash", b"2")
        .file("var/.wh.never-there", b"")
        .file("became", b"2")
        .link("became-a-link", "/etc/shadow")
        .file(".wh..wh.aufs", b"");
    let (_place, image) = unpacked(&[lowest, above]);
    let expected = [
        "bin -> usr/bin",
        "became 444 2",
        "became-a-link -> /etc/shadow",
        "etc/ 755",
        "etc/hosts 444 127.0.0.1 localhost cage\n",
        "etc/kept 444 1",
        "etc/replaced 444 2",
        "opt/ 755",
        "opt/deep/ 755",
        "opt/deep/new 444 2",
        "opt/new 444 2",
        "usr/ 755",
        "usr/bin/ 755",
        "usr/bin/dash 444 2",
        "usr/bin/sh 555 #!",
    ];
    let mut expected = expected.map(String::from);
    expected.sort();
    assert_eq!(tree(image.tree()), expected);
    let about = fs::metadata(image.tree().join("usr/bin/sh")).unwrap();
    assert_eq!(about.mtime(), 1_234_567_890);
}

#[test]
fn each_kind_of_layer_is_read_and_another_is_named() {
    let layer = Layer::new().file("a", b"text");
    let (_, raw, id) = plain(&layer);
    let zstd = |raw: &[u8]| {
        let mut bytes = vec![];
        ruzstd::encoding::compress(raw, &mut bytes, ruzstd::encoding::CompressionLevel::Fastest);
        bytes
    };
    // Two frames, and between them one that is for others.
    let (one, two) = raw.split_at(700);
    let frames = [zstd(one), vec![0x50, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 1, 2, 3], zstd(two)].concat();
    let of_zstd = "application/vnd.oci.image.layer.v1.tar+zstd".to_owned();
    for packed in [
        plain(&layer),
        gzip(&layer),
        (of_zstd.clone(), zstd(&raw), id.clone()),
        (of_zstd, frames, id.clone()),
    ] {
        let place = Place::new();
        let image = place.unpack(&[packed], &json!({})).unwrap();
        assert_eq!(tree(image.tree()), ["a 444 text"]);
    }
    let place = Place::new();
    let other = ("application/vnd.oci.image.layer.v1.tar+encrypted".to_owned(), raw, id);
    let why = place.unpack(&[other], &json!({})).unwrap_err();
    assert!(why.contains("+encrypted`; plain, gzip and zstd"), "{why}");
}

/// What a stranger might put into an archive.
#[test]
fn a_hostile_archive_is_refused_and_nothing_of_it_is_kept() {
    let odd = |kind: EntryType| Layer::new().entry(kind, b"a", b"", 0o644, b"");
    let raw = |path: &[u8]| Layer::new().entry(EntryType::Regular, path, b"", 0o644, b"x");
    let sparse = {
        let mut layer = Layer::new();
        layer.header(EntryType::GNUSparse, b"a", b"", 0o644, 0);
        layer
    };
    let many = (0..301).fold(Layer::new(), |layer, n| layer.file(&format!("f{n}"), b""));
    let many_dirs =
        (0..4).fold(Layer::new(), |layer, n| layer.file(&format!("{n}{}/f", "/d".repeat(90)), b""));
    let cut_off = |size: u64| {
        let mut layer = Layer::new().file("a", b"x");
        layer.header(EntryType::Regular, b"b", b"", 0o644, size);
        layer
    };
    let mut broken = Layer::new().file("a", b"x");
    broken.0[0] = b'b';
    let long_record =
        Layer::new().entry(EntryType::GNULongName, b"././@LongLink", b"", 0o644, &vec![b'a'; 2 << 20]);
    for (name, layers, expected) in [
        ("upwards", vec![raw(b"../a")], "`../a` has `..` in its path"),
        ("upwards inside", vec![raw(b"a/../../b")], "has `..` in its path"),
        ("absolute", vec![raw(b"/etc/cron.d/a")], "has an absolute path"),
        ("device", vec![odd(EntryType::Block)], "`a` is a device"),
        ("character device", vec![odd(EntryType::Char)], "`a` is a device"),
        ("named pipe", vec![odd(EntryType::Fifo)], "`a` is a named pipe"),
        ("unknown kind", vec![odd(EntryType::new(b'V'))], "of a kind that no image needs"),
        ("holes", vec![sparse], "is a file with holes"),
        (
            "holes by records",
            vec![Layer::new().pax(EntryType::XHeader, b"22 GNU.sparse.major=1\n").file("a", b"")],
            "has a file with holes",
        ),
        (
            "hard link out",
            vec![Layer::new().hard("a", "/etc/shadow")],
            "`/etc/shadow`, which has an absolute path",
        ),
        ("hard link up", vec![Layer::new().hard("a", "../../../etc/shadow")], "which has `..` in its path"),
        ("hard link to nothing", vec![Layer::new().hard("a", "etc/shadow")], "is not in the image"),
        (
            "hard link through a link",
            vec![Layer::new().link("e", "/etc").hard("a", "e/shadow")],
            "`e/shadow`, which lies behind a link",
        ),
        ("hard link to a directory", vec![Layer::new().dir("d").hard("a", "d")], "which is no file"),
        ("hard link to itself", vec![Layer::new().file("a", b"").hard("a", "a")], "is itself"),
        (
            "written through a link",
            vec![Layer::new().link("e", "/etc").file("e/a", b"")],
            "`e/a` lies behind a link",
        ),
        (
            "through a link upwards",
            vec![Layer::new().link("e", "../..").file("e/a", b"")],
            "lies behind a link",
        ),
        (
            "through a link of the layer below",
            vec![Layer::new().link("e", "/etc"), Layer::new().dir("e/d/").file("e/d/a", b"")],
            "lies behind a link",
        ),
        (
            "taken away through a link",
            vec![Layer::new().link("e", "/etc"), Layer::new().file("e/.wh.passwd", b"")],
            "lies behind a link",
        ),
        ("in a file", vec![Layer::new().file("e", b"").file("e/a", b"")], "lies in what is no directory"),
        ("everything gone", vec![Layer::new().file(".wh..wh..opq", b"")], "would empty the whole image"),
        ("/proc is a link", vec![Layer::new().link("proc", "/tmp")], "`proc` is no directory"),
        (
            "/dev is a link",
            vec![Layer::new().dir("dev"), Layer::new().link("./dev", "tmp")],
            "`dev` is no directory",
        ),
        ("/sys is a file", vec![Layer::new().file("sys", b"")], "`sys` is no directory"),
        ("/tmp is a link", vec![Layer::new().link("tmp", "/var/tmp")], "`tmp` is no directory"),
        (
            "/scratch is a hard link",
            vec![Layer::new().file("a", b"").hard("scratch", "a")],
            "`scratch` is no directory",
        ),
        ("our own name", vec![Layer::new().program(".init", b"")], "has a name that every cage needs"),
        ("our own directory", vec![Layer::new().file(".lower/x", b"")], "has a name that every cage needs"),
        ("too many files", vec![many], "one entry more than is allowed; raise `files_max`"),
        ("too many directories", vec![many_dirs], "one entry more than is allowed"),
        ("too deep", vec![Layer::new().dir(&"d/".repeat(102))], "lies in more than 100 directories"),
        ("too long a name", vec![raw(&[b'a'; 300])], "a name of more than 255 bytes"),
        ("too long a path", vec![raw(&b"ab/".repeat(2_000))], "a path of more than 4,096 bytes"),
        ("too long a record", vec![long_record], "describes an entry with 2097152 bytes"),
        (
            "a zero byte",
            vec![Layer::new().pax(EntryType::XHeader, b"12 path=a\0b\n").file("a", b"")],
            "a zero byte",
        ),
        (
            "two sizes",
            vec![Layer::new().pax(EntryType::XHeader, b"9 size=0\n").file("a", b"xyz")],
            "`a` has two sizes",
        ),
        (
            "two names",
            vec![Layer::new().pax(EntryType::XHeader, b"10 path=a\n10 path=b\n").file("a", b"")],
            "describes one entry twice",
        ),
        (
            "one name for all",
            vec![Layer::new().pax(EntryType::XGlobalHeader, b"10 path=a\n").file("b", b"")],
            "gives one name or size to all",
        ),
        (
            "a record and no entry",
            vec![Layer::new().pax(EntryType::XHeader, b"10 path=a\n")],
            "ends where an entry should follow",
        ),
        // What comes after it are the zeros at the end of the archive.
        ("cut off", vec![cut_off(4_000)], "is no archive that can be read"),
        ("cut off a little", vec![cut_off(1_400)], "ends in the middle of a file"),
        ("no archive", vec![broken], "is no archive that can be read"),
        (
            "too large a file",
            vec![Layer::new().file("a", &vec![0; (1 << 20) + 1])],
            "raise `unpacked_max_mib`",
        ),
        (
            "too much together",
            vec![Layer::new().file("a", &vec![0; 600 << 10]), Layer::new().file("a", &vec![0; 600 << 10])],
            "raise `unpacked_max_mib`",
        ),
        ("a bomb after the end", vec![Layer(vec![0; 8 << 20])], "raise `unpacked_max_mib`"),
        (
            "an odd name",
            vec![Layer::new().entry(EntryType::Fifo, b"a\n\x1b[31m\xff", b"", 0o644, b"")],
            "a\u{fffd}",
        ),
    ] {
        let why = refusal(&layers);
        assert!(why.contains(expected), "{name}: {why}");
        assert!(!why.contains(|c: char| c.is_control()), "{name}: {why:?}");
    }
}

/// What can stand in an archive, so that changed ones come out strange in many ways.
fn all_kinds() -> Layer {
    Layer::new()
        .dir("dir")
        .file("dir/file", b"text")
        .link("link", "dir")
        .link("out", "../..")
        .hard("hard", "dir/file")
        .pax(EntryType::XHeader, b"12 path=a/b\n")
        .file("x", b"1")
        .file("dir/.wh.gone", b"")
        .file("dir/.wh..wh..opq", b"")
        .program("out-again", b"#!")
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(200) })]

    /// Bytes are changed, blocks of 512 bytes are doubled, moved or left out: what comes of it is refused, or a tree
    /// that lies where it should.
    #[test]
    fn whatever_an_archive_is_nothing_is_written_beside_the_tree(
        changes in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 0..3),
        moves in proptest::collection::vec((any::<proptest::sample::Index>(), any::<proptest::sample::Index>(), any::<bool>()), 0..4),
        with_checksums in any::<bool>(),
    ) {
        let mut blocks: Vec<Vec<u8>> = all_kinds().0.chunks(512).map(<[u8]>::to_vec).collect();
        for (from, to, stays) in moves {
            let block = blocks[from.index(blocks.len())].clone();
            if !stays {
                blocks.remove(from.index(blocks.len()));
            }
            blocks.insert(to.index(blocks.len() + 1), block);
        }
        for (place, byte) in changes {
            let all = blocks.len() * 512;
            let place = place.index(all);
            blocks[place / 512][place % 512] = byte;
        }
        if with_checksums {
            for block in blocks.iter_mut().filter(|block| block[257..262] == *b"ustar") {
                let mut header = tar::Header::from_byte_slice(block).clone();
                header.set_cksum();
                block.copy_from_slice(header.as_bytes());
            }
        }
        let place = Place::new();
        let digest = layout::write(&place.layout(), &[plain(&Layer(blocks.concat()))], &json!({}));
        let beside = || {
            let mut names: Vec<_> = fs::read_dir(place.dir.path()).unwrap().flatten().map(|e| e.file_name()).collect();
            names.sort();
            names
        };
        match place.images().unpack(&place.layout(), &digest, LIMITS) {
            Ok(image) => {
                prop_assert_eq!(place.kept(), [digest.hex()]);
                prop_assert!(image.tree().starts_with(fs::canonicalize(place.dir.path()).unwrap()));
            }
            Err(error) => {
                prop_assert_eq!(place.kept(), Vec::<String>::new(), "{}", error);
                prop_assert!(!error.to_string().contains(char::is_control), "{:?}", error);
            }
        }
        prop_assert_eq!(beside(), ["images", "layout"]);
    }
}

#[test]
fn an_archive_may_be_strange_where_that_harms_nobody() {
    let layer = Layer::new()
        // Twice: the last one counts, as everywhere.
        .file("twice", b"1")
        .link("twice", "/etc/shadow")
        .file("twice", b"3")
        .file("dir", b"1")
        .dir("dir")
        .dir("dir")
        .entry(EntryType::Regular, b"old-directory/", b"", 0o755, b"")
        .entry(EntryType::Regular, b"odd\n\x1b\xff", b"", 0o6777, b"")
        .link("out", "../../../../../../etc/shadow")
        .hard("out-again", "out")
        // Below what every cage has of its own nothing is unpacked, whatever it is.
        .dir("dev")
        .entry(EntryType::Char, b"dev/null", b"", 0o666, b"")
        .entry(EntryType::Fifo, b"tmp/pipe", b"", 0o666, b"")
        .file("proc/self/environ", b"x")
        .pax(EntryType::XGlobalHeader, b"13 comment=x\n")
        .pax(EntryType::XHeader, b"40 SCHILY.xattr.security.capability=\n\0\xff\n")
        .entry(EntryType::Continuous, b"a", b"", 0o644, b"x")
        .pax(EntryType::XHeader, &[&b"215 path="[..], "long/".repeat(41).as_bytes(), b"\n"].concat())
        .dir("short");
    let (_place, image) = unpacked(&[layer]);
    let root = image.tree();
    assert_eq!(fs::read_to_string(root.join("twice")).unwrap(), "3");
    assert!(root.join("dir").is_dir() && root.join("old-directory").is_dir());
    let odd = root.join(OsStr::from_bytes(b"odd\n\x1b\xff")).metadata().unwrap();
    assert_eq!(odd.mode() & 0o7777, 0o555);
    for link in ["out", "out-again"] {
        assert!(root.join(link).symlink_metadata().unwrap().is_symlink());
    }
    for absent in ["dev", "tmp", "proc"] {
        assert!(!root.join(absent).exists());
    }
    assert_eq!(fs::read_to_string(root.join("a")).unwrap(), "x");
    assert!(root.join("long/".repeat(41)).is_dir());
}

#[test]
fn what_was_hidden_from_us_when_it_was_made_can_be_read() {
    let layer = Layer::new().entry(EntryType::Directory, b"secret", b"", 0o000, b"").entry(
        EntryType::Regular,
        b"secret/a",
        b"",
        0o000,
        b"x",
    );
    let (_place, image) = unpacked(&[layer]);
    assert_eq!(tree(image.tree()), ["secret/ 755", "secret/a 444 x"]);
}

#[test]
fn a_blob_that_is_not_what_its_digest_says_is_refused() {
    let change = |what: &dyn Fn(&Place, &Value)| {
        let place = Place::new();
        let digest = layout::write(&place.layout(), &[gzip(&Layer::new().file("a", b"text"))], &json!({}));
        let blob = |hex: &str| place.layout().join("blobs/sha256").join(hex);
        let manifest: Value = serde_json::from_slice(&fs::read(blob(digest.hex())).unwrap()).unwrap();
        what(&place, &manifest);
        let why = place.images().unpack(&place.layout(), &digest, LIMITS).unwrap_err().to_string();
        assert_eq!(place.kept(), Vec::<String>::new(), "{why}");
        why
    };
    let file = |place: &Place, of: &Value| {
        let digest = of["digest"].as_str().unwrap().trim_start_matches("sha256:");
        place.layout().join("blobs/sha256").join(digest)
    };
    let flip = |path: &Path| {
        let mut bytes = fs::read(path).unwrap();
        let last = bytes.len() - 6;
        bytes[last] ^= 1;
        fs::write(path, bytes).unwrap();
    };
    let layer = change(&|place, manifest| flip(&file(place, &manifest["layers"][0])));
    assert!(layer.contains("holds something else"), "{layer}");
    let config = change(&|place, manifest| flip(&file(place, &manifest["config"])));
    assert!(config.contains("holds something else"), "{config}");
    let longer = change(&|place, manifest| {
        let path = file(place, &manifest["layers"][0]);
        let bytes = [fs::read(&path).unwrap(), vec![0]].concat();
        fs::write(path, bytes).unwrap();
    });
    assert!(longer.contains("bytes and should have"), "{longer}");
    let missing = change(&|place, manifest| fs::remove_file(file(place, &manifest["layers"][0])).unwrap());
    assert!(missing.contains("cannot be read"), "{missing}");
    let pipe = change(&|place, manifest| {
        let path = file(place, &manifest["config"]);
        fs::remove_file(&path).unwrap();
        assert!(Command::new("mkfifo").arg(path).status().unwrap().success());
    });
    assert!(pipe.contains("no plain file"), "{pipe}");
    let link = change(&|place, manifest| {
        let path = file(place, &manifest["config"]);
        fs::remove_file(&path).unwrap();
        symlink("/etc/passwd", path).unwrap();
    });
    assert!(link.contains("cannot be read"), "{link}");
    // The layer is the right one, and unpacks to something else than the image says.
    let place = Place::new();
    let (kind, bytes, _) = gzip(&Layer::new().file("a", b"text"));
    let why = place.unpack(&[(kind, bytes, layout::digest(b"other"))], &json!({})).unwrap_err();
    assert!(why.contains("and the image's configuration says"), "{why}");
}

#[test]
fn an_image_is_named_by_a_digest_that_is_offered() {
    let place = Place::new();
    let digest = layout::write(&place.layout(), &[plain(&Layer::new().file("a", b""))], &json!({}));
    let other = ImageDigest::parse(&layout::digest(b"other")).unwrap();
    let why = place.images().unpack(&place.layout(), &other, LIMITS).unwrap_err().to_string();
    assert!(why.contains(&format!("it offers `{digest}` (made)")), "{why}");
    let offers = Layout::open(&place.layout()).unwrap().offers().unwrap();
    assert_eq!((&offers[0].digest, offers[0].name.as_deref()), (&digest, Some("made")));

    // By a list in which it is for our system.
    let path = place.layout().join("blobs/sha256").join(digest.hex());
    let manifest = fs::read(path).unwrap();
    let of = |os: &str, architecture: &str| {
        json!({ "mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": digest.to_string(),
            "size": manifest.len(), "platform": { "os": os, "architecture": architecture } })
    };
    let list = |manifests: &[Value]| {
        let list = json!({ "schemaVersion": 2, "manifests": manifests }).to_string();
        let kind = "application/vnd.oci.image.index.v1+json";
        let list = layout::blob(&place.layout(), kind, list.as_bytes());
        layout::index(&place.layout(), std::slice::from_ref(&list));
        ImageDigest::parse(list["digest"].as_str().unwrap()).unwrap()
    };
    let ours = list(&[of("linux", "arm64"), of("linux", "amd64")]);
    let image = place.images().unpack(&place.layout(), &ours, LIMITS).unwrap();
    assert_eq!((image.digest(), tree(image.tree())), (&ours, vec!["a 444 ".to_owned()]));
    let others = list(&[of("linux", "arm64"), of("windows", "amd64")]);
    let why = place.images().unpack(&place.layout(), &others, LIMITS).unwrap_err().to_string();
    assert!(why.contains("without an image for `linux/amd64`"), "{why}");
}

#[test]
fn a_list_that_is_named_often_is_read_once() {
    let place = Place::new();
    let one = json!({ "mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": layout::digest(b"one"),
        "size": 3, "platform": { "os": "linux", "architecture": "amd64" } });
    // With room in it, of which nothing is anybody's.
    let list = format!(r#"{{"schemaVersion":2,{}"manifests":[{one},{one}]}}"#, " ".repeat(4_000_000));
    layout::write(&place.layout(), &[plain(&Layer::new())], &json!({}));
    let list = layout::blob(&place.layout(), "application/vnd.oci.image.index.v1+json", list.as_bytes());
    layout::index(&place.layout(), &vec![list; 900]);
    let offers = Layout::open(&place.layout()).unwrap().offers().unwrap();
    assert_eq!(offers.iter().filter(|offer| offer.is_list).count(), 900);
    assert_eq!(offers.len(), 902);
}

#[test]
fn what_is_no_layout_or_no_image_for_us_is_said() {
    let dir = tempfile::tempdir().unwrap();
    let open = |path: &Path| Layout::open(path).and_then(|l| l.offers()).unwrap_err().to_string();
    let none = open(dir.path());
    assert!(none.contains("no OCI image layout") && none.contains("skopeo copy"), "{none}");
    layout::index(dir.path(), &[]);
    let other = ImageDigest::parse(&layout::digest(b"other")).unwrap();
    let images = Images::new(dir.path().join("images"));
    let why = images.unpack(dir.path(), &other, LIMITS).unwrap_err().to_string();
    assert!(why.contains("it offers nothing"), "{why}");
    for (text, expected) in [
        ("{", "does not read"),
        (r#"{"manifests":[],"layers":[]}"#, "is also a manifest"),
        (r#"{"manifests":[],"manifests":[]}"#, "duplicate field"),
    ] {
        fs::write(dir.path().join("index.json"), text).unwrap();
        assert!(open(dir.path()).contains(expected), "{text}: {}", open(dir.path()));
    }
    fs::write(dir.path().join("oci-layout"), r#"{"imageLayoutVersion":"2.0.0"}"#).unwrap();
    assert!(open(dir.path()).contains("its version is `2.0.0`"));
    for (run, expected) in [
        (json!({ "Env": ["A"] }), "is not NAME=VALUE"),
        (json!({ "Env": ["=A"] }), "is not NAME=VALUE"),
        (json!({ "Env": [format!("A={}", "x".repeat(70_000))] }), "more than 65536 bytes"),
        (json!({ "WorkingDir": "a/b" }), "is no absolute path"),
    ] {
        let why = Place::new().unpack(&[plain(&Layer::new())], &run).unwrap_err();
        assert!(why.contains(expected), "{run}: {why}");
    }
    let place = Place::new();
    let many: Vec<_> = (0..129).map(|_| plain(&Layer::new())).collect();
    assert!(place.unpack(&many, &json!({})).unwrap_err().contains("it has 129 layers"));
}

#[test]
fn what_is_kept_is_ours_and_complete() {
    let place = Place::new();
    let layers = [gzip(&Layer::new().file("a", b"text"))];
    let image = place.unpack(&layers, &json!({})).unwrap();
    // Once it is here, the layout is not needed.
    fs::remove_dir_all(place.layout()).unwrap();
    let again = place.images().unpack(&place.layout(), image.digest(), LIMITS).unwrap();
    assert_eq!(again, image);
    assert_eq!(place.images().find(image.digest()).unwrap(), Some(image.clone()));
    let dir = place.dir.path().join("images");
    assert_eq!(fs::metadata(&dir).unwrap().mode() & 0o777, 0o700);
    // A tree without its note is none, and what somebody left unfinished goes away.
    fs::remove_file(image.tree().parent().unwrap().join("image.json")).unwrap();
    fs::create_dir_all(dir.join("unfinished/root/x")).unwrap();
    assert_eq!(place.images().find(image.digest()).unwrap(), None);
    fs::create_dir(place.layout()).unwrap();
    place.unpack(&layers, &json!({})).unwrap();
    assert_eq!(place.kept(), [image.digest().hex()]);
    fs::set_permissions(&dir, fs::Permissions::from_mode(0o777)).unwrap();
    let why = place.images().find(image.digest()).unwrap_err().to_string();
    assert!(why.contains("others may write there"), "{why}");
}

#[test]
fn two_who_unpack_at_once_get_the_same() {
    let place = Place::new();
    let files = (0..200).fold(Layer::new(), |layer, n| layer.file(&format!("d/{n}"), b"text"));
    let digest = layout::write(&place.layout(), &[gzip(&files)], &json!({}));
    let place = Arc::new(place);
    let threads: Vec<_> = (0..4)
        .map(|_| {
            let (place, digest) = (place.clone(), digest.clone());
            std::thread::spawn(move || place.images().unpack(&place.layout(), &digest, LIMITS).unwrap())
        })
        .collect();
    for thread in threads {
        assert_eq!(tree(thread.join().unwrap().tree()).len(), 201);
    }
    assert_eq!(place.kept(), [digest.hex()]);
}

/// Not a test of its own: somebody who unpacks a large image and can be killed meanwhile.
#[test]
fn somebody_who_unpacks() {
    let Ok(dir) = std::env::var("AECL_TEST_UNPACK") else { return };
    let dir = Path::new(&dir);
    let offers = Layout::open(&dir.join("layout")).unwrap().offers().unwrap();
    let limits = ImageLimits { unpacked_max_bytes: 1 << 30, files_max: 100_000 };
    Images::new(dir.join("images")).unpack(&dir.join("layout"), &offers[0].digest, limits).unwrap();
}

#[test]
fn who_is_killed_while_unpacking_leaves_nothing_that_counts() {
    let place = Place::new();
    let files = (0..2_000).fold(Layer::new(), |layer, n| layer.file(&format!("d{}/{n}", n % 100), b"text"));
    let digest = layout::write(&place.layout(), &[gzip(&files)], &json!({}));
    let mut killed = 0;
    for after_ms in [20, 60, 120, 250, 500] {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "somebody_who_unpacks"])
            .env("AECL_TEST_UNPACK", place.dir.path())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        std::thread::sleep(std::time::Duration::from_millis(after_ms));
        child.kill().unwrap();
        child.wait().unwrap();
        match place.images().find(&digest).unwrap() {
            None => killed += usize::from(place.kept() == ["unfinished"]),
            Some(image) => assert_eq!(tree(image.tree()).len(), 2_100),
        }
    }
    assert!(killed > 0, "nobody was killed while unpacking");
    let limits = ImageLimits { unpacked_max_bytes: 1 << 30, files_max: 100_000 };
    let image = place.images().unpack(&place.layout(), &digest, limits).unwrap();
    assert_eq!(tree(image.tree()).len(), 2_100);
    assert_eq!(place.kept(), [digest.hex()]);
}
