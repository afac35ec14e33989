//! `cargo xtask dist`: what is handed out.

mod bill;
mod npm;
mod packages;
mod program;

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::install;
use crate::programs::{ask, exists, root};
use program::{Built, Target};

const HELP: &str = "\
cargo xtask dist [--target TRIPLE]... [--out FOLDER]
cargo xtask dist --program FILE [--out FOLDER]

Makes what is handed out, below `target/packages` or in FOLDER, which is emptied before:

  aecl-VERSION-TRIPLE.tar.gz   the program, with its licence and those of all that is in it
  aecl-VERSION-py3-none-*.whl  the Python library, and the program as the command `aecl`
  aecl-VERSION.tar.gz          the Python library alone, as source
  aecl-sdk-VERSION.tgz         the TypeScript library, with the command `aecl`, for npm
  aecl-linux-*-VERSION.tgz     the program, which npm installs along with it
  aecl-VERSION.cdx.json        what the program is made of, as CycloneDX
  LICENSES.txt                 the licences of what it is made of
  SHA256SUMS                   the digest of each of these

Without a target it builds for each architecture (x86_64, aarch64) whose standard library is installed: static for musl
where that target is installed, otherwise against glibc 2.17, by the linker of Zig. It takes some minutes for each.
The tools for that are installed below `.cache/dist`, by exact version.

  --target TRIPLE  this one; may be said again
  --program FILE   nothing is built: this program, for the machine that it runs on. Without bill and licences
  --out FOLDER     where to
";

/// The digest of each file.
const SUMS: &str = "SHA256SUMS";

struct Plan {
    targets: Vec<Target>,
    program: Option<PathBuf>,
    out: PathBuf,
}

/// What all packages of one run have in common.
pub struct Release {
    pub version: String,
    /// When the last commit was made, in seconds: the time of all files, so that two runs make the same.
    pub epoch: String,
    pub out: PathBuf,
    /// A Python with what builds wheels.
    pub python: PathBuf,
}

pub fn run(words: &[String]) -> Result<bool, String> {
    let Some(plan) = read(words)? else {
        print!("{HELP}");
        return Ok(true);
    };
    if !["tar", "sha256sum", "node", "npm"].into_iter().all(exists) {
        let hint = "hint: apt-get install tar coreutils nodejs npm";
        return Err(format!("`tar`, `sha256sum`, `node` and `npm` are needed\n{hint}"));
    }
    install::clear(&plan.out)?;
    std::fs::create_dir_all(&plan.out).map_err(|error| format!("`{}`: {error}", plan.out.display()))?;
    let release = Release {
        version: version()?,
        epoch: ask(Command::new("git").args(["log", "-1", "--format=%ct"]))?.trim().to_owned(),
        out: plan.out,
        python: install::library()?,
    };
    let built = match &plan.program {
        Some(file) => vec![program::of_this_machine(file)?],
        None => {
            bill::make(&release, &plan.targets)?;
            program::build(&plan.targets)?
        }
    };
    for built in &built {
        program::try_out(built)?;
        packages::archive(&release, built)?;
        packages::wheel(&release, built)?;
        npm::program(&release, built)?;
    }
    packages::sdist(&release)?;
    npm::library(&release, &built)?;
    sums(&release.out)?;
    for file in listed(&release.out)? {
        let size = std::fs::metadata(release.out.join(&file)).map_or(0, |data| data.len());
        println!("{:>8.1} MB  {file}", size as f64 / 1e6);
    }
    println!("all of it: {}", release.out.display());
    Ok(true)
}

fn read(words: &[String]) -> Result<Option<Plan>, String> {
    let mut plan =
        Plan { targets: Vec::new(), program: None, out: crate::programs::target()?.join("packages") };
    let mut words = words.iter();
    while let Some(word) = words.next() {
        let mut value = |what: &str| words.next().cloned().ok_or(format!("`{word}` wants {what}"));
        match word.as_str() {
            "--target" => plan.targets.push(Target::named(&value("the name of a target")?)?),
            "--program" => plan.program = Some(absolute(&value("a file")?)?),
            "--out" => plan.out = absolute(&value("a folder")?)?,
            "--help" | "-h" => return Ok(None),
            other => return Err(format!("`dist` does not know `{other}`\nhint: `cargo xtask dist --help`")),
        }
    }
    if plan.program.is_some() && !plan.targets.is_empty() {
        return Err(
            "`--program` builds nothing, and `--target` says for what to build\nhint: say one of them".into(),
        );
    }
    if plan.program.is_none() && plan.targets.is_empty() {
        plan.targets = Target::installed()?;
    }
    holds_nothing_else(&plan.out)?;
    Ok(Some(plan))
}

fn absolute(path: &str) -> Result<PathBuf, String> {
    std::path::absolute(path).map_err(|error| format!("`{path}`: {error}"))
}

/// The folder is emptied, so it has to be one of these.
fn holds_nothing_else(out: &Path) -> Result<(), String> {
    let ours = |name: &String| name.starts_with("aecl-") || [bill::LICENCES, SUMS].contains(&name.as_str());
    match listed(out) {
        Ok(names) if !names.iter().all(ours) => Err(format!(
            "`{}` holds something else, and would be emptied\nhint: name a new folder",
            out.display()
        )),
        Ok(_) | Err(_) => Ok(()),
    }
}

fn version() -> Result<String, String> {
    let metadata = crate::programs::metadata()?;
    let packages = metadata.get("packages").and_then(serde_json::Value::as_array);
    let ours =
        packages.into_iter().flatten().find(|package| package.get("name").is_some_and(|n| n == "aecl"));
    let version = ours.and_then(|package| package.get("version")).and_then(serde_json::Value::as_str);
    version.map(str::to_owned).ok_or_else(|| "`cargo metadata` names no package `aecl`".into())
}

/// The names of the files there, in order.
fn listed(folder: &Path) -> Result<Vec<String>, String> {
    let entries = std::fs::read_dir(folder).map_err(|error| format!("`{}`: {error}", folder.display()))?;
    let mut names: Vec<String> =
        entries.flatten().filter_map(|entry| entry.file_name().into_string().ok()).collect();
    names.sort();
    Ok(names)
}

fn sums(folder: &Path) -> Result<(), String> {
    let mut command = Command::new("sh");
    let names = listed(folder)?;
    let listed = ask(command.args(["-c", "cd \"$0\" && exec sha256sum -- \"$@\""]).arg(folder).args(names))?;
    std::fs::write(folder.join(SUMS), listed).map_err(|error| format!("`{SUMS}`: {error}"))
}

/// Where tools for this are kept.
fn tools() -> PathBuf {
    root().join(".cache/dist")
}

/// Those files of a program that packages take along.
fn papers(release: &Release) -> Vec<PathBuf> {
    let licences = release.out.join(bill::LICENCES);
    let own = ["LICENSE", "README.md"].map(|name| root().join(name));
    own.into_iter().chain(licences.exists().then_some(licences)).collect()
}

/// A folder for what is made on the way, which goes with this.
struct Room(PathBuf);

impl Room {
    fn new(built: &Built) -> Result<Self, String> {
        Self::named(&built.target)
    }

    fn named(name: &str) -> Result<Self, String> {
        let path = tools().join("room").join(name);
        install::clear(&path)?;
        std::fs::create_dir_all(&path).map_err(|error| format!("`{}`: {error}", path.display()))?;
        Ok(Self(path))
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
