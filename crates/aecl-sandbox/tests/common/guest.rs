//! The calling file's tests once more, in a guest: a kernel of its own, with cgroups of version 2 and none of
//! version 1, as hosts are today. This host may have either. Cages are built there by the library, as here.
//! The guest is emulated, so its kernel is real and its processor slow.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::machine::{MODULES, QEMU, add, kernel, system};

/// As whom and in which cgroup the tests run in the guest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// As root, in a unit of its own.
    Root,
    /// As root, with all the others in the root of the hierarchy, and there is a disk for memory that does not
    /// fit. The first stage: nobody has handed a controller on yet.
    Shared,
    /// As an ordinary user, with a child in a unit that belongs to that user, as by `Delegate=yes`.
    Delegated,
    /// As an ordinary user, in such a unit, and beside somebody else.
    Crowded,
    /// As an ordinary user, in a subgroup of such a unit, and not alone: `DelegateSubgroup=`.
    Subgroup,
    /// As an ordinary user, in a unit of root's.
    Ordinary,
}

impl Stage {
    /// In the order in which they have to come.
    pub const ALL: [Self; 6] =
        [Self::Shared, Self::Root, Self::Delegated, Self::Crowded, Self::Subgroup, Self::Ordinary];

    /// Whether cgroups are there for a user who is not root.
    pub fn is_delegated(self) -> bool {
        matches!(self, Self::Delegated | Self::Subgroup)
    }

    fn name(self) -> String {
        format!("{self:?}")
    }

    /// The unit that a service manager would have made.
    fn unit(self) -> String {
        format!("/sys/fs/cgroup/system.slice/{}.service", self.name())
    }

    fn is_root(self) -> bool {
        matches!(self, Self::Root | Self::Shared)
    }

    /// The commands that bring a shell where the tests are to run.
    fn way(self) -> String {
        let unit = self.unit();
        let make = |dir: &str| format!("mkdir {dir}\n");
        let join = |dir: &str| format!("echo $$ > {dir}/cgroup.procs\n");
        let names = ["", "/cgroup.procs", "/cgroup.subtree_control", "/cgroup.threads"];
        let give = |dir: &str| names.map(|name| format!("chown {USER} {dir}{name}\n")).concat();
        let child = "sleep 1000 &\n";
        match self {
            Self::Shared => {
                let load = MODULES.map(|name| format!("insmod /modules/{name}.ko || true\n")).concat();
                load + "mkswap /dev/vda\nswapon /dev/vda\n"
            }
            Self::Root | Self::Ordinary => MANAGER.to_owned() + &make(&unit) + &join(&unit),
            Self::Delegated => MANAGER.to_owned() + &make(&unit) + &give(&unit) + &join(&unit) + child,
            Self::Crowded => {
                let other = format!("(sleep 1000 & echo $! > {unit}/cgroup.procs)\n");
                MANAGER.to_owned() + &make(&unit) + &give(&unit) + &other + &join(&unit)
            }
            Self::Subgroup => {
                let below = format!("{unit}/main");
                MANAGER.to_owned()
                    + &make(&unit)
                    + &make(&below)
                    + &give(&unit)
                    + &give(&below)
                    + &join(&below)
                    + child
            }
        }
    }

    /// A shell for the stage, which says with what its tests ended.
    fn script(self, not: &[&str]) -> String {
        let user =
            if self.is_root() { "" } else { "/usr/bin/setpriv --reuid 65534 --regid 65534 --clear-groups " };
        let skip: String = not.iter().map(|name| format!("--skip {name} ")).collect();
        let name = self.name();
        format!(
            "echo '@begin {name}'\n(sh -c 'set -e\n{way}export {VARIABLE}={name}\n\
             exec {user}tests {skip}--test-threads 1') 2>&1\necho \"@end {name} $?\"\n",
            way = self.way()
        )
    }
}

const USER: &str = "65534:65534";
const VARIABLE: &str = "AECL_TEST_GUEST";

/// In which stage of a guest we are; `None` outside.
pub fn stage() -> Option<Stage> {
    let name = std::env::var(VARIABLE).ok()?;
    Stage::ALL.into_iter().find(|stage| stage.name() == name)
}

/// How much longer things may take here than outside.
pub fn slowly(outside: Duration) -> Duration {
    if stage().is_some() { outside * 5 } else { outside }
}

/// Longer than all stages take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(240);

/// What the kernel starts with cannot be left by `pivot_root`, as building a cage does. The same files once
/// more, mounted over it, can.
const INIT: &str = "#!/bin/sh
mount -t proc proc /proc; mount -t sysfs sysfs /sys; mount -t devtmpfs dev /dev
mount -o bind / /new
for dir in proc sys dev; do mount -o move /$dir /new/$dir; done
cd /new && mount -o move . / && exec chroot . sh /main
";

/// As a service manager prepares the hierarchy.
const MANAGER: &str = "echo +memory +pids +cpu > /sys/fs/cgroup/cgroup.subtree_control
mkdir -p /sys/fs/cgroup/system.slice
echo +memory +pids +cpu > /sys/fs/cgroup/system.slice/cgroup.subtree_control
";

const MAIN: &str = "exec < /dev/null
export PATH=/usr/bin TMPDIR=/tmp RUST_BACKTRACE=0
mount -t tmpfs -o mode=1777 tmp /tmp
mount -t cgroup2 cgroup2 /sys/fs/cgroup
ip link set lo up
";

/// What is called there beside the programs of every machine.
const PROGRAMS: [&str; 20] = [
    "mount", "chroot", "ip", "insmod", "mkswap", "swapon", "chown", "reboot", "awk", "seq", "split", "tr",
    "ps", "env", "find", "hostname", "umount", "stat", "cp", "sort",
];

/// Runs this file's tests in every one of these stages but those `not` to be run, and asserts that they hold.
/// What the guest said; `None` where there is no kernel for one.
pub fn assert_holds_in(stages: &[Stage], not: &[&str]) -> Option<String> {
    let kernel = kernel()?;
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let archive = archive(dir.path(), kernel, stages, not);
    let disk = dir.path().join("disk");
    fs::File::create(&disk).unwrap().set_len(128 << 20).unwrap();
    let mut qemu = Command::new(QEMU);
    qemu.args(["-no-user-config", "-nodefaults", "-no-reboot", "-display", "none", "-nic", "none"]);
    qemu.args(["-accel", "tcg,tb-size=128", "-machine", "pc,usb=off", "-cpu", "max", "-m", "640M"]);
    qemu.arg("-kernel").arg(kernel.join("vmlinuz")).arg("-initrd").arg(archive);
    qemu.args(["-append", "console=ttyS0 loglevel=1 panic=-1 mitigations=off", "-serial", "stdio"]);
    qemu.arg("-drive").arg(format!("if=virtio,format=raw,cache=unsafe,file={}", disk.display()));
    let mut qemu = qemu.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
    let said = qemu.stdout.take().unwrap();
    let reading = std::thread::spawn(move || {
        let lines = BufReader::new(said).split(b'\n').map_while(Result::ok);
        lines.map(|line| String::from_utf8_lossy(&line).trim_end().to_owned() + "\n").collect::<String>()
    });
    let late = Instant::now() + PATIENCE;
    while qemu.try_wait().unwrap().is_none() {
        if Instant::now() > late {
            qemu.kill().unwrap();
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    let said = reading.join().unwrap();
    for name in stages.iter().map(|stage| stage.name()) {
        let holds = said.contains(&format!("@end {name} 0\n"));
        let of_stage = said.split_once(&format!("@begin {name}\n")).map_or(&*said, |(_, rest)| rest);
        assert!(holds, "{name}:\n{}", of_stage.split("@begin").next().unwrap());
    }
    Some(said)
}

/// The small ones of the container runtimes that are installed here.
fn runtimes() -> impl Iterator<Item = (&'static str, std::path::PathBuf)> {
    let place = |name: &'static str| {
        let places = ["/usr/bin", "/usr/sbin"].map(|dir| Path::new(dir).join(name));
        Some((name, places.into_iter().find(|place| place.exists())?))
    };
    ["runc", "crun"].into_iter().filter_map(place)
}

/// The archive from which the guest starts.
fn archive(dir: &Path, kernel: &Path, stages: &[Stage], not: &[&str]) -> std::path::PathBuf {
    let tree = dir.join("tree");
    system(&tree);
    for name in ["proc", "sys", "dev", "new", "tmp", "mnt", "run", "modules"] {
        fs::create_dir(tree.join(name)).unwrap();
    }
    for name in PROGRAMS {
        std::os::unix::fs::symlink("busybox", tree.join("usr/bin").join(name)).unwrap();
    }
    for name in MODULES.map(|name| format!("modules/{name}.ko")) {
        fs::copy(kernel.join(&name), tree.join(&name)).unwrap();
    }
    let me = dir.join("tests");
    let stripped = Command::new("strip").arg("-o").arg(&me).arg(std::env::current_exe().unwrap()).status();
    assert!(stripped.unwrap().success());
    add(&tree, &me, "tests", 0o755);
    add(&tree, Path::new("/usr/bin/setpriv"), "setpriv", 0o755);
    for (name, program) in runtimes() {
        add(&tree, &program, name, 0o755);
    }
    fs::write(tree.join("etc/passwd"), "root:x:0:0::/:/bin/sh\n").unwrap();
    let scripts: String = stages.iter().map(|stage| stage.script(not)).collect();
    fs::write(tree.join("main"), format!("{MAIN}{scripts}reboot -f\n")).unwrap();
    fs::write(tree.join("init"), INIT).unwrap();
    fs::set_permissions(tree.join("init"), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let archive = dir.join("archive");
    // Whoever runs the tests: root owns the files there.
    let packing = "find . | busybox cpio -o -H newc -R 0:0";
    let packed = Command::new("sh")
        .args(["-c", packing])
        .current_dir(tree)
        .stdout(fs::File::create(&archive).unwrap())
        .stderr(Stdio::null())
        .status();
    assert!(packed.unwrap().success());
    archive
}
