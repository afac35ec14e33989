//! Toolchains of the home: what a command needs to be built and tested, and none of what lies beside it.
//!
//! Each place is named, and nothing else of the home is shown: not `~/.cargo/credentials.toml` and `config.toml`, not
//! `~/.npmrc`, `~/.pypirc`, `~/.config` or `~/.ssh`. Tools are read-only. Caches get a layer of their own that ends with
//! the cage: what a stranger's build script put into a cache that is kept would run in the next build.

use crate::cli::show;
use aecl_kernel::define::connector::process::{AccessSpec, ProcessSpec, ViewSpec};
use std::collections::BTreeSet;
use std::env;
use std::path::{Path, PathBuf};

/// Whose toolchain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Profile {
    /// rustup and cargo.
    Rust,
    /// nvm, volta and fnm, with npm's cache.
    Node,
    /// pyenv and uv, with their caches and pip's.
    Python,
}

/// What a toolchain consists of, below the home.
struct Toolchain {
    /// Read-only, at the same place as here.
    tools: &'static [&'static str],
    /// Directories of programs, first to last, as far as they are among the tools.
    path: &'static [&'static str],
    /// Written in the cage only; below the home of the cage.
    caches: &'static [&'static str],
    /// Variables that name one of the tools.
    variables: &'static [(&'static str, &'static str)],
}

/// What is the home in every cage.
const HOME_IN_CAGE: &str = "/tmp";

/// What every cage has, behind what a profile adds.
const PATH_IN_CAGE: &str = "/usr/local/bin:/usr/bin:/bin";

impl Profile {
    /// As the command line says it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Profile::Rust => "rust",
            Profile::Node => "node",
            Profile::Python => "python",
        }
    }

    fn toolchain(self) -> Toolchain {
        match self {
            // Beside `bin` and the caches, `~/.cargo` has credentials and settings with tokens.
            Profile::Rust => Toolchain {
                tools: &[".rustup", ".cargo/bin"],
                path: &[".cargo/bin"],
                caches: &[".cargo/registry", ".cargo/git"],
                variables: &[("RUSTUP_HOME", ".rustup")],
            },
            Profile::Node => Toolchain {
                tools: &[".nvm/versions", ".volta/bin", ".volta/tools", ".local/share/fnm/node-versions"],
                path: &[".volta/bin"],
                caches: &[".npm/_cacache"],
                variables: &[],
            },
            Profile::Python => Toolchain {
                tools: &[".pyenv", ".local/share/uv/python", ".local/bin/uv", ".local/bin/uvx"],
                path: &[".pyenv/shims", ".pyenv/bin"],
                caches: &[".cache/pip", ".cache/uv"],
                variables: &[("PYENV_ROOT", ".pyenv")],
            },
        }
    }

    /// The program by which one knows which of several versions is in use.
    fn program(self) -> &'static str {
        match self {
            Profile::Rust => "cargo",
            Profile::Node => "node",
            Profile::Python => "python3",
        }
    }
}

/// Adds what the toolchains need to what a command may have. Where it writes over caches.
pub(super) fn add(profiles: &[Profile], spec: &mut ProcessSpec) -> BTreeSet<PathBuf> {
    let Some(home) = env::var_os("HOME").and_then(|home| Path::new(&home).canonicalize().ok()) else {
        return BTreeSet::new();
    };
    let searched: Vec<PathBuf> = env::split_paths(&env::var_os("PATH").unwrap_or_default()).collect();
    add_from(profiles, &home, &searched, spec)
}

fn add_from(
    profiles: &[Profile],
    home: &Path,
    searched: &[PathBuf],
    spec: &mut ProcessSpec,
) -> BTreeSet<PathBuf> {
    let (mut caches, mut path) = (BTreeSet::new(), Vec::new());
    for profile in profiles {
        let toolchain = profile.toolchain();
        let mut there = Vec::new();
        for tool in toolchain.tools {
            // What a link leads to is shown only if it is one of these places itself.
            if let Some(source) = plain(home, tool) {
                show_at(spec, &source, &source, AccessSpec::ReadOnly);
                there.push(source);
            }
        }
        if there.is_empty() {
            show::say(&format!(
                "aecl: `--profile {}`: nothing of it is in the home; what is below /usr is there anyway",
                profile.name()
            ));
        }
        // The version that is in use here comes first.
        let is_shown = |dir: &PathBuf| there.iter().any(|tool| dir.starts_with(tool));
        path.extend(in_use(profile.program(), searched).filter(is_shown));
        path.extend(toolchain.path.iter().map(|dir| home.join(dir)).filter(is_shown));
        if there.iter().any(|tool| tool.ends_with(".local/bin/uv")) {
            path.push(home.join(".local/bin"));
        }
        for (name, tool) in toolchain.variables {
            if there.contains(&home.join(tool)) {
                let value = home.join(tool).display().to_string();
                spec.env.entry((*name).to_owned()).or_insert(value);
            }
        }
        for cache in toolchain.caches {
            let at = Path::new(HOME_IN_CAGE).join(cache);
            if let Some(source) = plain(home, cache)
                && show_at(spec, &source, &at, AccessSpec::Overlay)
            {
                caches.insert(at);
            }
        }
    }
    if !path.is_empty() {
        let mut seen = BTreeSet::new();
        path.retain(|dir| seen.insert(dir.clone()));
        let dirs: Vec<String> = path.iter().map(|dir| dir.display().to_string()).collect();
        spec.env.entry("PATH".into()).or_insert_with(|| format!("{}:{PATH_IN_CAGE}", dirs.join(":")));
    }
    caches
}

/// A place below the home that is there, with no link on the way to it.
fn plain(home: &Path, below: &str) -> Option<PathBuf> {
    let place = home.join(below);
    let found = place.canonicalize().ok()?;
    (found == place).then_some(found)
}

/// Where the program is that this user would run now.
fn in_use(program: &str, searched: &[PathBuf]) -> Option<PathBuf> {
    let found = searched.iter().map(|dir| dir.join(program)).find(|path| path.is_file())?;
    found.canonicalize().ok()?.parent().map(Path::to_owned)
}

/// Shows it, unless that place is inside of something that is shown already. Whether it is now.
fn show_at(spec: &mut ProcessSpec, source: &Path, at: &Path, access: AccessSpec) -> bool {
    let is_in_the_way = |view: &ViewSpec| at.starts_with(&view.at) || view.at.starts_with(at);
    if spec.views.iter().any(is_in_the_way) {
        return false;
    }
    spec.views.push(ViewSpec { source: source.to_owned(), at: at.to_owned(), access });
    true
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use serde_json::json;
    use std::fs;

    fn home() -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let home = dir.path().canonicalize().unwrap();
        for file in [
            ".cargo/bin/cargo",
            ".cargo/registry/cache/x",
            ".cargo/credentials.toml",
            ".cargo/config.toml",
            ".rustup/settings.toml",
            ".npmrc",
            ".npm/_cacache/x",
            ".npm/_logs/x",
            ".nvm/versions/node/v20/bin/node",
            ".nvm/versions/node/v18/bin/node",
            ".pyenv/shims/python3",
            ".pypirc",
            ".config/pip/pip.conf",
            ".ssh/id",
            ".cache/pip/x",
            ".local/bin/uv",
            ".local/bin/mine",
            ".netrc",
        ] {
            let file = home.join(file);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, "x").unwrap();
        }
        (dir, home)
    }

    fn spec() -> ProcessSpec {
        serde_json::from_value(json!({ "argv": ["true"] })).unwrap()
    }

    #[test]
    fn a_toolchain_is_shown_without_the_tokens_beside_it() {
        let (_dir, home) = home();
        let all = [Profile::Rust, Profile::Node, Profile::Python];
        let mut spec = spec();
        let searched = [home.join(".nvm/versions/node/v20/bin"), home.join(".pyenv/shims")];
        let caches = add_from(&all, &home, &searched, &mut spec);
        let shows = |file: &str| spec.views.iter().any(|view| home.join(file).starts_with(&view.source));
        for file in [
            ".cargo/credentials.toml",
            ".cargo/config.toml",
            ".npmrc",
            ".npm/_logs/x",
            ".pypirc",
            ".config/pip/pip.conf",
            ".ssh/id",
            ".netrc",
            ".local/bin/mine",
        ] {
            assert!(!shows(file), "{file}");
        }
        for file in [
            ".cargo/bin/cargo",
            ".rustup/settings.toml",
            ".nvm/versions/node/v18",
            ".pyenv/shims",
            ".local/bin/uv",
        ] {
            assert!(shows(file), "{file}");
        }
        for view in &spec.views {
            let is_cache = caches.contains(&view.at);
            assert_eq!(view.access == AccessSpec::Overlay, is_cache, "{}", view.at.display());
            assert_eq!(
                view.at.starts_with("/tmp/."),
                is_cache || view.at.starts_with(&home),
                "{}",
                view.at.display()
            );
        }
        assert_eq!(caches.len(), 3, "{caches:?}");
        let path = spec.env["PATH"].replace(&home.display().to_string(), "~");
        assert!(path.starts_with("~/.cargo/bin:~/.nvm/versions/node/v20/bin:~/.pyenv/shims:"), "{path}");
        assert!(path.ends_with(PATH_IN_CAGE) && !path.contains("v18"), "{path}");
        assert_eq!(spec.env["RUSTUP_HOME"], home.join(".rustup").display().to_string());
    }

    #[test]
    fn links_are_not_followed_and_what_is_said_by_hand_counts() {
        let (_dir, home) = home();
        fs::remove_dir_all(home.join(".cargo/bin")).unwrap();
        fs::create_dir_all(home.join("elsewhere")).unwrap();
        std::os::unix::fs::symlink(home.join("elsewhere"), home.join(".cargo/bin")).unwrap();
        let mut spec = spec();
        spec.env.insert("PATH".into(), "/mine".into());
        let by_hand =
            ViewSpec { source: home.clone(), at: "/tmp/.cargo".into(), access: AccessSpec::ReadOnly };
        spec.views.push(by_hand.clone());
        let caches = add_from(&[Profile::Rust], &home, &[], &mut spec);
        assert!(caches.is_empty(), "they would lie in a view that is there already: {caches:?}");
        let sources: Vec<_> = spec.views.iter().map(|view| view.source.clone()).collect();
        assert_eq!(sources, [home.clone(), home.join(".rustup")]);
        assert_eq!((&spec.views[0], spec.env["PATH"].as_str()), (&by_hand, "/mine"));
    }
}
