//! `cargo xtask aarch64`: cages on aarch64, as far as that goes without such a machine.

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::install::{Debian, install};
use crate::programs::{ask, cargo, exists, root, watch_lines};
use crate::test::Tally;

const HELP: &str = "\
cargo xtask aarch64 [--launcher]

Builds the launcher for aarch64 and starts it under user-mode emulation. Then builds tests of cages for aarch64 and runs
them in an emulated machine with Debian's kernel for it: the self-test, the filter's tables, life and death of cages, and
every attack, as root and as an ordinary user. Takes some minutes. Installs what that needs, when root.

  --launcher   the launcher alone, as `cargo xtask test` does it: one call of the compiler
";

const TARGET: &str = "aarch64-unknown-linux-gnu";
const LINKER: &str = "aarch64-linux-gnu-gcc";
const USER: &str = "qemu-aarch64-static";
const MACHINE: &str = "qemu-system-aarch64";

pub fn run(words: &[String]) -> Result<bool, String> {
    let alone = match words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => false,
        ["--launcher"] => true,
        ["--help" | "-h"] => {
            print!("{HELP}");
            return Ok(true);
        }
        _ => return Err("it takes `--launcher` or nothing\nhint: `cargo xtask aarch64 --help`".into()),
    };
    let mut tally = launcher()?;
    if !alone && tally.passed > 0 {
        tally.add(machine()?);
    }
    println!("\n{} passed, {} failed, {} skipped", tally.passed, tally.failed, tally.skipped);
    Ok(tally.failed == 0 && tally.passed > 0)
}

/// The launcher for aarch64: it builds, and it answers under emulation. Skipped, with a word about it, where the
/// toolchain is not to be had.
pub fn launcher() -> Result<Tally, String> {
    if let Err(why) = toolchain() {
        println!("skip aarch64: {why}");
        return Ok(Tally { skipped: 2, ..Tally::default() });
    }
    let built = root().join("target/aarch64/aecl-cage");
    std::fs::create_dir_all(built.parent().unwrap_or(&built)).map_err(|error| error.to_string())?;
    let mut rustc = Command::new("rustc");
    rustc.args(["--edition=2024", "--crate-name=aecl_cage", "--crate-type=bin", "--cap-lints=allow"]);
    // As `build.rs` of the room does it, but for what takes time and changes nothing that is looked at here.
    rustc.args(["-Cpanic=abort", "-Ctarget-feature=+crt-static", "--target", TARGET]);
    rustc.arg(format!("-Clinker={LINKER}")).arg("-o").arg(&built);
    if let Err(why) = ask(rustc.arg(root().join("crates/aecl-sandbox/src/bin/aecl-cage/main.rs"))) {
        println!("FAIL the launcher does not build for aarch64: {why}");
        return Ok(Tally { failed: 1, skipped: 1, ..Tally::default() });
    }
    println!("ok   the launcher builds for aarch64");
    let mut tally = Tally { passed: 1, ..Tally::default() };
    if exists(USER) {
        let holds = refuses_nonsense(&built)?;
        println!("{} it refuses an order that is none, under {USER}", if holds { "ok  " } else { "FAIL" });
        tally.add(Tally { passed: u64::from(holds), failed: u64::from(!holds), skipped: 0 });
    } else {
        println!("skip the launcher's start: there is no `{USER}`");
        tally.skipped += 1;
    }
    Ok(tally)
}

/// The standard library and a linker for it. Emulators are worth a try, and no reason to stop.
fn toolchain() -> Result<(), String> {
    install(&[
        (LINKER, "gcc-aarch64-linux-gnu"),
        (LINKER, "libc6-dev-arm64-cross"),
        (USER, "qemu-user-static"),
    ])?;
    if !exists(LINKER) {
        return Err(format!("there is no `{LINKER}`; `apt-get install gcc-aarch64-linux-gnu`"));
    }
    let sysroot = ask(Command::new("rustc").args(["--print", "sysroot"]))?;
    if Path::new(sysroot.trim()).join("lib/rustlib").join(TARGET).exists() {
        return Ok(());
    }
    println!("installing: the standard library for {TARGET}");
    ask(Command::new("rustup").args(["target", "add", TARGET])).map(drop)
}

/// Starts the launcher with one byte instead of an order. It says which step failed, then that all is over.
fn refuses_nonsense(launcher: &Path) -> Result<bool, String> {
    let failed = |error: std::io::Error| format!("`{}`: {error}", launcher.display());
    let (mut ours, theirs) = UnixStream::pair().map_err(failed)?;
    let mut command = Command::new(USER);
    let mut child = command.arg(launcher).env_clear().stdin(OwnedFd::from(theirs)).spawn().map_err(failed)?;
    // It holds the other end open, and what is said would have no end.
    drop(command);
    ours.write_all(b"x").map_err(failed)?;
    let mut said = Vec::new();
    ours.read_to_end(&mut said).map_err(failed)?;
    let status = child.wait().map_err(failed)?;
    Ok(status.success() && String::from_utf8_lossy(&said).contains("receiving the order"))
}

/// A shell and what it calls, of busybox.
const PROGRAMS: &str = "sh cat id echo head dd sleep ls grep mkdir ln mkfifo touch kill yes true chmod wc tail rm setsid \
     mount chroot ip insmod reboot awk seq ps env find hostname umount stat cp sort su";

/// What the kernel starts with cannot be left by `pivot_root`, as building a cage does. The same files once more,
/// mounted over it, can.
const INIT: &str = "#!/bin/sh
mount -t proc proc /proc; mount -t sysfs sysfs /sys; mount -t devtmpfs dev /dev
mount -o bind / /new
for dir in proc sys dev; do mount -o move /$dir /new/$dir; done
cd /new && mount -o move . / && exec chroot . sh /main
";

/// What runs inside. Of lives and deaths not what starts a thousand cages, or a machine, or needs `setpriv`.
const MAIN: &str = "exec < /dev/null
export PATH=/usr/bin TMPDIR=/tmp RUST_BACKTRACE=0
mount -t tmpfs -o mode=1777 tmp /tmp
mount -t cgroup2 cgroup2 /sys/fs/cgroup
insmod /modules/overlay.ko
ip link set lo up
echo +memory +pids +cpu > /sys/fs/cgroup/cgroup.subtree_control
unit=/sys/fs/cgroup/system.slice/tests.service
mkdir -p $unit
echo +memory +pids +cpu > /sys/fs/cgroup/system.slice/cgroup.subtree_control
echo $$ > $unit/cgroup.procs
cat /proc/version
lib --test-threads 1 host::filter protocol the_self_test_runs_here 2>&1
lifecycle --test-threads 1 --skip thousand --skip lifecycle_holds 2>&1
export AECL_ATTACKS_BACKEND=native AECL_ATTACKS=/attacks
export PLANTED_SECRET=the-half-and-the-other-half AWS_SECRET_ACCESS_KEY=x
echo '@begin as root'
attacks --exact supervisor --nocapture 2>&1
echo '@begin as an ordinary user'
su -m nobody -c 'attacks --exact supervisor --nocapture' 2>&1
echo '@end'
reboot -f
";

fn machine() -> Result<Tally, String> {
    install(&[(MACHINE, "qemu-system-arm"), ("busybox", "busybox-static"), ("dpkg-deb", "dpkg")])?;
    if !exists(MACHINE) {
        println!("skip the machine: there is no `{MACHINE}`; `apt-get install qemu-system-arm`");
        return Ok(Tally { skipped: 1, ..Tally::default() });
    }
    let cache = root().join(".cache/machine-arm64");
    let debian = Debian::of("arm64", &cache)?;
    let kernel = debian.unpacked("linux-image-cloud-arm64")?;
    let busybox = debian.unpacked("busybox-static")?;
    let archive = archive(&kernel, &busybox.join("bin/busybox"), &tests()?)?;
    let image = find(&kernel.join("boot"), "vmlinuz-")?;
    // Nobody waits for a machine that hangs.
    let mut qemu = Command::new("timeout");
    qemu.args(["--kill-after=5", "900", MACHINE]);
    qemu.args(["-no-user-config", "-nodefaults", "-no-reboot", "-display", "none", "-nic", "none"]);
    qemu.args([
        "-machine",
        "virt",
        "-cpu",
        "max,pauth-impdef=on",
        "-accel",
        "tcg,tb-size=256",
        "-m",
        "1024M",
    ]);
    qemu.arg("-kernel").arg(image).arg("-initrd").arg(archive);
    qemu.args(["-append", "console=ttyAMA0 loglevel=1 panic=-1 mitigations=off", "-serial", "stdio"]);
    let (_, said) = watch_lines(&mut qemu)?;
    Ok(judge(&said))
}

/// What came of it: each test, and each of the two rounds of attacks.
fn judge(said: &[String]) -> Tally {
    let mut tally = Tally::default();
    for line in said.iter().filter_map(|line| line.strip_prefix("test ")) {
        tally.passed += u64::from(line.ends_with("... ok"));
        tally.failed += u64::from(line.ends_with("... FAILED"));
    }
    let text = said.join("\n");
    for who in ["as root", "as an ordinary user"] {
        let round = text.split_once(&format!("@begin {who}\n")).map_or("", |(_, rest)| rest);
        let round = round.split("@begin").next().unwrap_or_default();
        let [outside, inside] = ["@outside\t", "@inside\t"].map(|place| {
            let came = round.lines().filter_map(|line| line.split_once(place)).map(|(_, line)| line);
            came.collect::<BTreeSet<_>>()
        });
        let through = |line: &&&str| line.ends_with("\tworks") || line.contains("\treaches");
        let open: Vec<_> = inside.iter().filter(through).collect();
        // The control: by the same programs, most of them work where there is no cage.
        let control = who != "as root" || outside.iter().filter(through).count() * 4 >= outside.len() * 3;
        let holds = open.is_empty() && inside.len() > 100 && control;
        let verdict = if holds { "ok  " } else { "FAIL" };
        println!("{verdict} {} attacks in a cage, {who}; these get through: {open:?}", inside.len());
        tally.add(Tally { passed: u64::from(holds), failed: u64::from(!holds), skipped: 0 });
    }
    tally
}

/// The programs of the tests, by name, linked statically: there is no other library in the machine.
fn tests() -> Result<Vec<(String, PathBuf)>, String> {
    let variable = |what: &str| format!("CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_{what}");
    let mut build = cargo(&["test", "--no-run", "-p", "aecl-sandbox", "--target", TARGET, "--lib"]);
    build.args(["--test", "attacks", "--test", "lifecycle", "--message-format=json"]);
    build.args(["--config", "profile.dev.debug=false"]);
    build.env(variable("LINKER"), LINKER);
    build.env(variable("RUSTFLAGS"), "-Ctarget-feature=+crt-static -Clink-arg=-s");
    let mut found = Vec::new();
    for line in ask(build.stderr(Stdio::inherit()))?.lines() {
        let about: Value = serde_json::from_str(line).map_err(|error| format!("`cargo test`: {error}"))?;
        let Some(program) = about.get("executable").and_then(Value::as_str) else { continue };
        let name = about.pointer("/target/name").and_then(Value::as_str).unwrap_or_default();
        let name = if name == "aecl_sandbox" { "lib" } else { name };
        found.push((name.to_owned(), PathBuf::from(program)));
    }
    Ok(found)
}

/// The archive from which the machine starts.
fn archive(kernel: &Path, busybox: &Path, programs: &[(String, PathBuf)]) -> Result<PathBuf, String> {
    let tree = root().join("target/aarch64/tree");
    let failed = |error: std::io::Error| format!("`{}`: {error}", tree.display());
    if tree.exists() {
        std::fs::remove_dir_all(&tree).map_err(failed)?;
    }
    for dir in "usr/bin usr/lib etc proc sys dev new tmp mnt run root home modules attacks".split(' ') {
        std::fs::create_dir_all(tree.join(dir)).map_err(failed)?;
    }
    let put = |from: &Path, to: &str, mode: u32| {
        std::fs::copy(from, tree.join(to))?;
        std::fs::set_permissions(tree.join(to), std::fs::Permissions::from_mode(mode))
    };
    let fill = || {
        symlink("usr/bin", tree.join("bin"))?;
        symlink("usr/lib", tree.join("lib"))?;
        put(busybox, "usr/bin/busybox", 0o755)?;
        for name in PROGRAMS.split(' ') {
            symlink("busybox", tree.join("usr/bin").join(name))?;
        }
        for (name, program) in programs {
            match name.as_str() {
                "aecl-attacker" => {
                    put(program, "attacks/attacker", 0o755)?;
                    put(program, "attacks/set-user-id", 0o4755)?;
                }
                name => put(program, &format!("usr/bin/{name}"), 0o755)?,
            }
        }
        std::fs::write(tree.join("etc/passwd"), "root:x:0:0::/:/bin/sh\nnobody:x:65534:65534::/:/bin/sh\n")?;
        std::fs::write(tree.join("etc/shadow"), "root:*:::::::\n")?;
        std::fs::write(tree.join("main"), MAIN)?;
        std::fs::write(tree.join("init"), INIT)?;
        std::fs::set_permissions(tree.join("init"), std::fs::Permissions::from_mode(0o755))
    };
    fill().map_err(failed)?;
    let modules = find(&kernel.join("lib/modules"), "")?;
    put(&modules.join("kernel/fs/overlayfs/overlay.ko"), "modules/overlay.ko", 0o644).map_err(failed)?;
    let packing = "find . | busybox cpio -o -H newc -R 0:0 2>/dev/null > ../archive";
    let packed = Command::new("sh").args(["-c", packing]).current_dir(&tree).status().map_err(failed)?;
    if !packed.success() {
        return Err("the machine's files could not be packed".into());
    }
    Ok(tree.with_file_name("archive"))
}

/// What begins with that name in a folder.
fn find(folder: &Path, name: &str) -> Result<PathBuf, String> {
    let failed = |error: std::io::Error| format!("`{}`: {error}", folder.display());
    let entries = std::fs::read_dir(folder).map_err(failed)?.flatten();
    let mut found = entries.filter(|entry| entry.file_name().to_string_lossy().starts_with(name));
    found.next().map(|entry| entry.path()).ok_or_else(|| format!("`{}` has no `{name}`", folder.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(root: &str, user: &str) -> (u64, u64) {
        let outside = "@outside\t1\ta\tworks\n";
        let lines = |came: &str| (0..101).map(|n| format!("@inside\t{n}\ta\t{came}\n")).collect::<String>();
        let text = format!(
            "test x ... ok\n@begin as root\ntest supervisor ... {outside}{}@begin as an ordinary user\n{}@end\n",
            lines(root),
            lines(user)
        );
        let tally = judge(&text.lines().map(str::to_owned).collect::<Vec<_>>());
        (tally.passed, tally.failed)
    }

    #[test]
    fn one_attack_that_works_inside_is_a_failure() {
        assert_eq!(judged("EPERM", "ENOSYS"), (3, 0));
        assert_eq!(judged("EPERM", "works"), (2, 1));
        assert_eq!(judged("reaches the kernel (EINVAL)", "EPERM"), (2, 1));
    }

    #[test]
    fn a_machine_that_said_nothing_shows_nothing() {
        assert_eq!(judge(&[]).failed, 2);
    }
}
