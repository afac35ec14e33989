//! Installs what the peer tests need. Says what it does, and does nothing twice.
//!
//! System programs come by apt-get when we are root. Programs of the peers go into
//! `.cache/peers`, by the exact versions in `tests/peers/`; nothing is installed globally.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::programs::{ask, exists, root, watch};

/// A program, the Debian package that holds it, and what fails without it.
const SYSTEM: [(&str, &str, &str); 18] = [
    ("git", "git", "the repository in front of which mcp-server-git stands"),
    ("sqlite3", "sqlite3", "looking into a database behind the server's back"),
    ("setpriv", "util-linux", "tests that drop root"),
    ("strace", "strace", "a keep that is killed at a system call"),
    ("curl", "curl", "walking the HTTP API as the start page does"),
    ("cvc5", "cvc5", "proofs about policies"),
    ("openssl", "openssl", "a TLS server behind the egress broker"),
    ("qemu-system-x86_64", "qemu-system-x86", "virtual machines, emulated"),
    ("c++", "g++", "libFuzzer and the reader of local models, which have C++ in them"),
    ("busybox", "busybox-static", "programs in virtual machines"),
    ("mkfs.ext4", "e2fsprogs", "a disk for virtual machines"),
    ("dpkg-deb", "dpkg", "unpacking a kernel for virtual machines"),
    ("umoci", "umoci", "images as other tools make them"),
    ("skopeo", "skopeo", "images as other tools copy them"),
    ("timeout", "coreutils", "the deadline of a peer test"),
    ("python3", "python3", "peer scripts, mcp-server-sqlite, mcp-server-git"),
    ("node", "nodejs", "the servers on Node.js"),
    ("npm", "npm", "installing the servers on Node.js"),
];

/// Container runtimes and a daemon, each with its package. Not every Debian has all of them; the tests say which
/// one they went without.
const RUNTIMES: [(&str, &str); 4] =
    [("runc", "runc"), ("crun", "crun"), ("runsc", "runsc"), ("dockerd", "docker.io")];

/// The oldest Node.js that the conformance suite runs on. Debian's is older; npm brings one.
const NODE_OLDEST: u32 = 22;

/// Where the peers are.
pub struct Installed {
    pub folder: PathBuf,
    pub python: PathBuf,
    pub node: PathBuf,
}

pub fn run(with_browser: bool) -> Result<Installed, String> {
    system(with_browser)?;
    kernel(&root().join(".cache/machine"))?;
    let folder = root().join(".cache/peers");
    std::fs::create_dir_all(&folder).map_err(|error| format!("`{}`: {error}", folder.display()))?;
    python(&folder.join("python"), "requirements.txt")?;
    python(&folder.join("python-legacy"), "requirements-legacy.txt")?;
    python(&folder.join("dojo"), "requirements-dojo.txt")?;
    library()?;
    python(&folder.join("frameworks"), "requirements-frameworks.txt")?;
    let node = node(&folder.join("node"))?;
    typescript()?;
    modules("sdk/typescript/frameworks", "frameworks-js")?;
    let installed = Installed { python: folder.join("python/bin/python"), node, folder };
    all_there(&installed)?;
    Ok(installed)
}

/// What is too large for every run: environments of some 800 MB each.
pub fn large(installed: &Installed) -> Result<(), String> {
    python(&installed.folder.join("crewai"), "requirements-crewai.txt")?;
    python(&installed.folder.join("litellm"), "requirements-litellm.txt").map(drop)
}

fn system(with_browser: bool) -> Result<(), String> {
    let mut packages: Vec<&str> = Vec::new();
    for (program, package, purpose) in SYSTEM {
        if !exists(program) {
            println!("missing: `{program}` ({purpose})");
            packages.push(package);
        }
    }
    // Debian splits the module off; asking Python is the only way to know.
    let venv = ask(Command::new("python3").args(["-c", "import ensurepip, venv"]));
    if venv.is_err() {
        println!("missing: the Python modules `ensurepip` and `venv`");
        packages.push("python3-venv");
    }
    if !with_browser {
        println!("skip chromium: no browser test is here");
    } else if !exists("chromium") {
        println!("missing: `chromium` (browser tests)");
        packages.push("chromium");
    }
    let runtimes = missing_runtimes();
    packages.extend(&runtimes);
    if packages.is_empty() {
        println!("system programs: all there");
        return Ok(());
    }
    packages.dedup();
    let list = packages.join(" ");
    let is_root = ask(Command::new("id").arg("-u"))?.trim() == "0";
    if !is_root || !exists("apt-get") {
        return Err(format!(
            "programs are missing and only root may install them\nhint: apt-get install {list}"
        ));
    }
    println!("installing: {list}");
    let quiet = |arguments: &[&str]| {
        watch(
            Command::new("apt-get")
                .args(["-qq", "-y"])
                .args(arguments)
                .env("DEBIAN_FRONTEND", "noninteractive"),
        )
    };
    let mut install = vec!["install", "--no-install-recommends"];
    install.extend(&packages);
    let installed = without_services(|| Ok(quiet(&["update"])? && quiet(&install)?))?;
    if !installed {
        return Err(format!("apt-get could not install {list}"));
    }
    Ok(())
}

/// What Debian asks before it starts a service of a package. There mostly is none, which means yes.
const ASKED: &str = "/usr/sbin/policy-rc.d";

/// A daemon that comes with a package is for tests, which start their own: nothing of it runs on this host, now or
/// after the next boot, and no rule for its packets changes.
fn without_services(install: impl FnOnce() -> Result<bool, String>) -> Result<bool, String> {
    let had_docker = exists("dockerd");
    let has_a_say = Path::new(ASKED).exists();
    if !has_a_say {
        let failed = |error: std::io::Error| format!("`{ASKED}`: {error}");
        std::fs::write(ASKED, "#!/bin/sh\nexit 101\n").map_err(failed)?;
        std::fs::set_permissions(ASKED, std::fs::Permissions::from_mode(0o755)).map_err(failed)?;
    }
    let installed = install();
    if !has_a_say {
        std::fs::remove_file(ASKED).map_err(|error| format!("`{ASKED}`: {error}"))?;
    }
    if !had_docker && exists("dockerd") && exists("systemctl") {
        let units = ["docker.service", "docker.socket", "containerd.service"];
        // Where systemd does not run, there is nothing to disable.
        let _ = ask(Command::new("systemctl").args(["--quiet", "disable"]).args(units));
    }
    installed
}

/// Those that are not here and can be had.
fn missing_runtimes() -> Vec<&'static str> {
    let missing = RUNTIMES.into_iter().filter(|(program, _)| !exists(program)).map(|(_, package)| package);
    let known = |package: &&str| {
        let there = ask(Command::new("apt-cache").args(["show", "--no-all-versions", package])).is_ok();
        println!(
            "missing: `{package}` (cages by container runtimes){}",
            if there { "" } else { ", and no package of it" }
        );
        there
    };
    let is_root = ask(Command::new("id").arg("-u")).is_ok_and(|id| id.trim() == "0");
    if is_root { missing.filter(known).collect() } else { Vec::new() }
}

/// What a virtual machine of the tests needs of its kernel beside it: the names of the modules, below
/// `kernel`.
const MODULES: [&str; 8] = [
    "drivers/virtio/virtio_ring",
    "drivers/virtio/virtio",
    "drivers/virtio/virtio_pci_modern_dev",
    "drivers/virtio/virtio_pci_legacy_dev",
    "drivers/virtio/virtio_pci",
    "drivers/char/virtio_console",
    "drivers/block/virtio_blk",
    "fs/overlayfs/overlay",
];

/// Fetches Debian's kernel for virtual machines and unpacks it; nothing is installed.
fn kernel(folder: &Path) -> Result<(), String> {
    let name = |module: &str| format!("{}.ko", module.rsplit('/').next().unwrap_or(module));
    let there = |path: &str| folder.join(path).exists();
    if there("vmlinuz") && MODULES.iter().all(|module| there(&format!("modules/{}", name(module)))) {
        println!("a kernel for virtual machines: there");
        return Ok(());
    }
    clear(folder)?;
    let debian = Debian { folder: folder.to_owned(), settings: None };
    let unpacked = debian.unpacked("linux-image-cloud-amd64")?;
    let failed = |error: std::io::Error| format!("`{}`: {error}", folder.display());
    let version = first(&unpacked.join("boot"), "vmlinuz-").map_err(failed)?;
    std::fs::create_dir_all(folder.join("modules")).map_err(failed)?;
    for module in MODULES {
        let from = unpacked.join(format!("lib/modules/{version}/kernel/{module}.ko"));
        let from = if from.exists() {
            from
        } else {
            unpacked.join("usr").join(from.strip_prefix(&unpacked).unwrap_or(&from))
        };
        std::fs::copy(&from, folder.join("modules").join(name(module))).map_err(failed)?;
    }
    std::fs::copy(unpacked.join(format!("boot/vmlinuz-{version}")), folder.join("vmlinuz"))
        .map_err(failed)?;
    clear(&unpacked)
}

/// What comes after this in the name of a file there.
fn first(folder: &Path, start: &str) -> std::io::Result<String> {
    let names = std::fs::read_dir(folder)?.flatten().map(|entry| entry.file_name());
    let found = names.filter_map(|name| Some(name.to_str()?.strip_prefix(start)?.to_owned())).next();
    found.ok_or_else(|| std::io::Error::other(format!("nothing there is called `{start}...`")))
}

/// Packages of Debian that are unpacked below a folder and not installed.
pub struct Debian {
    folder: PathBuf,
    /// What apt is to read, where it is not what this machine has.
    settings: Option<PathBuf>,
}

impl Debian {
    /// Packages for another architecture, by lists of our own: nothing changes for this machine.
    pub fn of(architecture: &str, folder: &Path) -> Result<Self, String> {
        let failed = |error: std::io::Error| format!("`{}`: {error}", folder.display());
        let at = folder.join("apt");
        for dir in ["state/lists/partial", "cache/archives/partial"] {
            std::fs::create_dir_all(at.join(dir)).map_err(failed)?;
        }
        let at_text = at.display();
        let text = format!(
            "APT::Architecture \"{architecture}\";\nAPT::Architectures {{ \"{architecture}\"; }};\n\
             Dir::State \"{at_text}/state\";\nDir::State::status \"{at_text}/status\";\n\
             Dir::Cache \"{at_text}/cache\";\n"
        );
        std::fs::write(at.join("status"), "").map_err(failed)?;
        std::fs::write(at.join("settings"), text).map_err(failed)?;
        Ok(Self { folder: folder.to_owned(), settings: Some(at.join("settings")) })
    }

    fn apt(&self, program: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(program);
        command.args(arguments).envs(self.settings.iter().map(|path| ("APT_CONFIG", path)));
        command
    }

    /// The files of a package, or of the one that it stands for. Fetched once.
    pub fn unpacked(&self, meta: &str) -> Result<PathBuf, String> {
        let unpacked = self.folder.join(meta);
        if unpacked.exists() {
            println!("{meta}: there");
            return Ok(unpacked);
        }
        if self.settings.is_some() && !watch(&mut self.apt("apt-get", &["-qq", "update"]))? {
            return Err("apt-get could not fetch its lists".into());
        }
        let depends = ask(&mut self.apt("apt-cache", &["depends", meta]))?;
        let depends =
            depends.lines().find_map(|line| line.trim().strip_prefix("Depends: ").map(str::to_owned));
        // A kernel's name changes with every update; the package of the other name is empty.
        let package = if meta.starts_with("linux-image-") {
            depends.ok_or_else(|| format!("apt-cache does not know `{meta}`"))?
        } else {
            meta.to_owned()
        };
        println!("fetching: {package}");
        let fetched = self.folder.join("fetched");
        clear(&fetched)?;
        let failed = |error: std::io::Error| format!("unpacking {package}: {error}");
        std::fs::create_dir_all(&fetched).map_err(failed)?;
        // It downloads to where it is.
        let status = self.apt("apt-get", &["-qq", "download", &package]).current_dir(&fetched).status();
        if !status.is_ok_and(|status| status.success()) {
            return Err(format!("apt-get could not download {package}"));
        }
        let files = std::fs::read_dir(&fetched).map_err(failed)?.flatten().map(|entry| entry.path());
        let file = files.into_iter().find(|path| path.extension().is_some_and(|end| end == "deb"));
        let file = file.ok_or_else(|| format!("apt-get downloaded no file of {package}"))?;
        let half = self.folder.join("half");
        clear(&half)?;
        if !watch(Command::new("dpkg-deb").arg("-x").args([&file, &half]))? {
            return Err(format!("dpkg-deb could not unpack {package}"));
        }
        clear(&fetched)?;
        std::fs::rename(half, &unpacked).map_err(failed)?;
        Ok(unpacked)
    }
}

/// Installs the packages of programs that are not here, if we may. What is still missing then, the caller sees.
pub fn install(wanted: &[(&str, &str)]) -> Result<(), String> {
    let missing: Vec<&str> =
        wanted.iter().filter(|(program, _)| !exists(program)).map(|(_, package)| *package).collect();
    let is_root = ask(Command::new("id").arg("-u")).is_ok_and(|id| id.trim() == "0");
    if missing.is_empty() || !is_root || !exists("apt-get") {
        return Ok(());
    }
    println!("installing: {}", missing.join(" "));
    let apt = |arguments: &[&str]| {
        let mut command = Command::new("apt-get");
        watch(command.args(["-qq", "-y"]).args(arguments).env("DEBIAN_FRONTEND", "noninteractive"))
    };
    let install = [&["install", "--no-install-recommends"], &missing[..]].concat();
    without_services(|| Ok(apt(&["update"])? && apt(&install)?)).map(drop)
}

/// A Python with what a list in `tests/peers/` names.
pub fn python(folder: &Path, list: &str) -> Result<PathBuf, String> {
    let program = folder.join("bin/python");
    let wanted = read(&root().join("tests/peers").join(list))?;
    let version = ask(Command::new("python3").arg("--version"))?;
    let stamp = Stamp { path: folder.join("installed"), text: format!("{version}{wanted}") };
    if stamp.holds() && program.exists() {
        println!("{list}: all there");
        return Ok(program);
    }
    println!("{list}: installing");
    // From nothing, so that what is no longer listed is no longer there.
    clear(folder)?;
    let made = watch(Command::new("python3").args(["-m", "venv"]).arg(folder))?;
    let list = root().join("tests/peers").join(list);
    // Takes seconds where pip takes minutes. It may be there and not know where this machine gets its packages from.
    let mut uv = Command::new("uv");
    uv.args(["pip", "install", "--quiet", "--python"]).arg(&program).arg("-r").arg(&list);
    let by_uv = made && exists("uv") && watch(&mut uv)?;
    let mut pip = Command::new(&program);
    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input", "-r"]);
    if !by_uv && (!made || !watch(pip.arg(&list))?) {
        return Err(format!("pip could not install `{}`", list.display()));
    }
    stamp.set()?;
    Ok(program)
}

/// A Python with what checks and builds the Python library.
pub fn library() -> Result<PathBuf, String> {
    python(&root().join(".cache/peers/library"), "requirements-library.txt")
}

/// Installs the Node.js peers and returns the `node` they run on.
fn node(folder: &Path) -> Result<PathBuf, String> {
    let ours = folder.join("node_modules/.bin/node");
    let own_is_new = node_version().is_some_and(|version| version >= NODE_OLDEST);
    let chosen = if own_is_new { PathBuf::from("node") } else { ours.clone() };

    let source = root().join("tests/peers");
    let lock = read(&source.join("package-lock.json"))?;
    let text = format!("{}\n{lock}", if own_is_new { "node of the machine" } else { "node from npm" });
    let stamp = Stamp { path: folder.join("installed"), text };
    if stamp.holds() && (own_is_new || ours.exists()) {
        println!("package-lock.json: all there");
        return Ok(chosen);
    }
    println!("package-lock.json: installing");
    // With what is optional: it is there that coding agents keep the program for this kind of machine.
    npm_ci(&source, folder)?;
    if !own_is_new && !ours.exists() {
        return Err(format!(
            "Node.js {NODE_OLDEST} or newer is needed, and npm has none for this kind of machine\n\
             hint: install Node.js {NODE_OLDEST} and run again"
        ));
    }
    stamp.set()?;
    Ok(chosen)
}

/// The modules with which the TypeScript library is compiled, by the lock that stands beside it.
pub fn typescript() -> Result<PathBuf, String> {
    modules("sdk/typescript", "typescript")
}

/// Modules that the lock in a folder of the repository lists, installed for the peers.
fn modules(source: &str, name: &str) -> Result<PathBuf, String> {
    let (from, folder) = (root().join(source), root().join(".cache/peers").join(name));
    let modules = folder.join("node_modules");
    let stamp = Stamp { path: folder.join("installed"), text: read(&from.join("package-lock.json"))? };
    if stamp.holds() {
        println!("{source}/package-lock.json: all there");
        return Ok(modules);
    }
    println!("{source}/package-lock.json: installing");
    npm_ci(&from, &folder)?;
    stamp.set()?;
    Ok(modules)
}

/// Installs exactly what the lock in a folder lists, into another one. From nothing, so that what is no longer listed
/// is no longer there.
fn npm_ci(source: &Path, folder: &Path) -> Result<(), String> {
    clear(folder)?;
    std::fs::create_dir_all(folder).map_err(|error| format!("`{}`: {error}", folder.display()))?;
    for name in ["package.json", "package-lock.json", ".npmrc"] {
        let from = source.join(name);
        let copied = std::fs::copy(&from, folder.join(name));
        copied.map_err(|error| format!("`{}`: {error}", from.display()))?;
    }
    let mut npm = Command::new("npm");
    // Scripts of packages stay unrun: none of these needs one.
    npm.args(["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error", "--prefix"])
        .arg(folder);
    if !watch(&mut npm)? {
        return Err(format!("npm could not install `{}`", source.join("package-lock.json").display()));
    }
    Ok(())
}

fn node_version() -> Option<u32> {
    let said = ask(Command::new("node").arg("--version")).ok()?;
    said.trim().trim_start_matches('v').split('.').next()?.parse().ok()
}

/// Installers can succeed and leave a part out; a test that then skips would hide it.
fn all_there(installed: &Installed) -> Result<(), String> {
    let parts = [
        "python/bin/python",
        "python/bin/mcp-server-git",
        "python/bin/envoy",
        "python-legacy/bin/mcp-server-sqlite",
        "dojo/bin/python",
        "library/bin/pytest",
        "frameworks/bin/pytest",
        "node/node_modules/@modelcontextprotocol/conformance/package.json",
        "node/node_modules/@modelcontextprotocol/server-everything/package.json",
        "node/node_modules/@modelcontextprotocol/server-filesystem/package.json",
        "typescript/node_modules/typescript/bin/tsc",
        "frameworks-js/node_modules/ai/package.json",
        "frameworks-js/node_modules/@openai/agents/package.json",
        "frameworks-js/node_modules/langchain/package.json",
    ];
    for part in parts.iter().map(|part| installed.folder.join(part)) {
        if !part.exists() {
            return Err(format!(
                "`{}` should have been installed\nhint: delete `.cache` and run again",
                part.display()
            ));
        }
    }
    let sdk = ask(Command::new(&installed.python).args(["-c", "import mcp, uvicorn"]));
    sdk.map(|_| ()).map_err(|error| format!("the Python SDK does not load: {error}"))
}

/// Written when an installation is complete, so a broken one is repeated.
struct Stamp {
    path: PathBuf,
    text: String,
}

impl Stamp {
    fn holds(&self) -> bool {
        std::fs::read_to_string(&self.path).is_ok_and(|text| text == self.text)
    }

    fn set(&self) -> Result<(), String> {
        std::fs::write(&self.path, &self.text).map_err(|error| format!("`{}`: {error}", self.path.display()))
    }
}

fn read(path: &Path) -> Result<String, String> {
    std::fs::read_to_string(path).map_err(|error| format!("`{}`: {error}", path.display()))
}

/// Removes a folder with all that is in it.
pub fn clear(folder: &Path) -> Result<(), String> {
    if folder.exists() {
        std::fs::remove_dir_all(folder).map_err(|error| format!("`{}`: {error}", folder.display()))?;
    }
    Ok(())
}
