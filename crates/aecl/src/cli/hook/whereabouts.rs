//! Where a path of a tool leads: into the project, out of it, to what says what tools and agents do, or to secrets. Links
//! are followed as far as there is anything: what counts is the file that would be touched.

use aecl_executor::connectors::files::special;
use std::path::{Component, Path, PathBuf};

/// Place of a path, as actions name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Whereabouts {
    /// Below the project's directory.
    Project,
    /// Anywhere else.
    Outside,
    /// What a tool, an editor, a shell or an agent obeys.
    Control,
    /// Where keys and passwords usually are.
    Secret,
}

/// Names of files that hold keys or passwords, in small letters.
const SECRET_FILES: [&str; 14] = [
    ".netrc",
    ".npmrc",
    ".pypirc",
    ".pgpass",
    ".my.cnf",
    ".git-credentials",
    ".vault-token",
    ".htpasswd",
    "credentials",
    "credentials.json",
    "id_rsa",
    "id_ed25519",
    "id_ecdsa",
    "secrets.yaml",
];
/// Directories in which all are.
const SECRET_DIRECTORIES: [&str; 7] =
    [".ssh", ".gnupg", ".aws", ".azure", ".kube", ".docker", ".password-store"];
/// Ends of their names.
const SECRET_ENDINGS: [&str; 5] = [".pem", ".key", ".p12", ".pfx", ".kdbx"];

impl Whereabouts {
    /// The word in arguments.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Project => "project",
            Self::Outside => "outside",
            Self::Control => "control",
            Self::Secret => "secret",
        }
    }
}

/// The path as it leads from a directory, and where that is.
pub(super) fn of(path: &str, from: &Path, project: &Path) -> (String, Whereabouts) {
    let full = match (path.strip_prefix("~/"), std::env::var_os("HOME")) {
        (Some(rest), Some(user)) => PathBuf::from(user).join(rest),
        _ => from.join(path),
    };
    let real = real(&full);
    let shown = real.display().to_string();
    let root = project.canonicalize().unwrap_or_else(|_| project.to_owned());
    let below = real.strip_prefix(&root).ok();
    // Above the project everything counts; a project may itself lie below a directory of such a name.
    let judged = below.unwrap_or(&real).display().to_string();
    let place = if is_secret(&judged) || is_secret(path) {
        Whereabouts::Secret
    } else if special(&judged).is_some() || special(path.trim_start_matches('/')).is_some() && below.is_none()
    {
        Whereabouts::Control
    } else if below.is_some() {
        Whereabouts::Project
    } else {
        Whereabouts::Outside
    };
    (shown, place)
}

/// The path without links and without steps back, as far as there is anything.
fn real(path: &Path) -> PathBuf {
    // What is there says where a step back leads; what is not there is taken by its letters.
    let mut done = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => {
                done.pop();
            }
            Component::CurDir => {}
            Component::Prefix(_) | Component::RootDir | Component::Normal(_) => {
                done.push(part);
                if let Ok(there) = done.canonicalize() {
                    done = there;
                } else if let Ok(target) = done.read_link() {
                    // A link to nothing is written through all the same.
                    done.pop();
                    done = done.join(target);
                }
            }
        }
    }
    done
}

fn is_secret(path: &str) -> bool {
    let folded = path.to_lowercase();
    let parts: Vec<&str> = folded.split('/').collect();
    let name = parts.last().copied().unwrap_or_default();
    let is_env = name == ".env"
        || name.starts_with(".env.") && !matches!(name, ".env.example" | ".env.sample" | ".env.template");
    is_env
        || SECRET_FILES.contains(&name)
        || SECRET_ENDINGS.iter().any(|end| name.ends_with(end))
        || parts.iter().any(|part| SECRET_DIRECTORIES.contains(part))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn a_path_is_where_it_leads_and_not_what_it_is_called() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        let project = root.join("work/shop");
        std::fs::create_dir_all(project.join("src")).unwrap();
        std::fs::create_dir_all(root.join("other")).unwrap();
        std::fs::write(project.join("src/a.rs"), "").unwrap();
        std::os::unix::fs::symlink(root.join("other"), project.join("link")).unwrap();
        std::os::unix::fs::symlink(root.join("other/new.txt"), project.join("dangling")).unwrap();
        std::os::unix::fs::symlink(".git", project.join("harmless")).unwrap();
        for (path, place) in [
            ("src/a.rs", "project"),
            ("src/new/b.rs", "project"),
            ("./src/../src/a.rs", "project"),
            ("../shop/src/a.rs", "project"),
            ("../other/x", "outside"),
            ("/etc/hosts", "outside"),
            ("link/x", "outside"),
            ("link/../x", "outside"),
            ("dangling", "outside"),
            (".mcp.json", "control"),
            (".claude/settings.json", "control"),
            ("sub/.git/hooks/pre-commit", "control"),
            ("harmless/hooks/pre-commit", "control"),
            ("CLAUDE.md", "control"),
            (".env", "secret"),
            ("src/.ENV.production", "secret"),
            ("deploy/server.pem", "secret"),
            ("/home/me/.ssh/id_ed25519", "secret"),
            (".env.example", "project"),
        ] {
            let (_, found) = of(path, &project, &project);
            assert_eq!(found.name(), place, "{path}");
        }
        assert_eq!(
            of("b.rs", &project.join("src"), &project).0,
            project.join("src/b.rs").display().to_string()
        );
    }
}
