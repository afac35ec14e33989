//! Whether what agents and their tools are shown reaches our own keys: tried out on the file system, not read off the
//! configuration.

use super::{Check, Seen};
use aecl_executor::connectors::mcp::Transport;
use aecl_executor::house::{Places, look_at};
use aecl_kernel::base::evidence::Reach;
use aecl_kernel::define::connector::ConnectorSpec;
use aecl_kernel::policy::bundle::Bundle;
use rustix::process::geteuid;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;

pub(super) fn look(seen: &Seen, checks: &mut Vec<Check>) {
    if seen.config.is_none() {
        return;
    }
    place(seen.home.dir(), checks);
    let before = checks.len();
    servers(seen, checks);
    if let Some(bundle) = &seen.bundle {
        for (what, reach) in shown(bundle) {
            checks.push(match reach {
                Reach::Into => Check::broken(
                    "own directory",
                    format!("{what} is of AECL's own directory, so it is refused whenever it is used"),
                    "show another directory",
                ),
                Reach::Around | Reach::Unseen => Check::advice(
                    "own directory",
                    format!(
                        "{what} contains AECL's own directory; that is covered and cannot be changed there"
                    ),
                    "show less, or `aecl home move`",
                ),
            });
        }
    }
    if checks.len() == before {
        checks.push(Check::ok("reach", "nothing that tools are handed leads to keys, policy or record"));
    }
}

/// Where the home itself is.
fn place(dir: &Path, checks: &mut Vec<Check>) {
    let Ok((real, about)) = dir.canonicalize().and_then(|real| Ok((real.clone(), real.metadata()?))) else {
        return;
    };
    let mode = about.permissions().mode() & 0o777;
    let is_ours = about.uid() == geteuid().as_raw();
    let project = std::env::current_dir().unwrap_or_default();
    checks.push(if mode & 0o077 != 0 {
        Check::broken(
            "home",
            format!("others may enter `{}` (mode {mode:o})", real.display()),
            format!("`chmod 700 {}`", real.display()),
        )
    } else if is_ours && real.parent() == Some(&project) {
        Check::advice(
            "home",
            format!("`{}` lies in the directory that agents work in", real.display()),
            format!("`aecl --dir {} home move` moves it out of the project", real.display()),
        )
    } else {
        Check::ok("home", format!("`{}`, for its owner only", real.display()))
    });
}

/// What configured servers are started with.
fn servers(seen: &Seen, checks: &mut Vec<Check>) {
    let servers = seen.config.iter().flat_map(|config| &config.servers);
    for (name, transport) in servers {
        let Transport::Stdio { args, cwd, .. } = transport else { continue };
        let base = cwd.clone().or_else(|| std::env::current_dir().ok());
        for argument in args {
            if let Some((_, said)) = reach(argument, base.as_deref()) {
                checks.push(Check::broken(
                    "reach",
                    format!("the server `{name}` is handed `{argument}`: {said}"),
                    "hand it the directory that is meant, or `aecl home move`; calls that name the home are blocked",
                ));
            }
        }
    }
}

fn reach(path: &str, base: Option<&Path>) -> Option<(Reach, String)> {
    let places = Places { bases: base.map(Path::to_owned).into_iter().collect(), apart: false };
    let found = look_at(&serde_json::Value::String(path.to_owned()), &places)?;
    Some((found.reach?, found.said)).filter(|(reach, _)| *reach != Reach::Unseen)
}

/// What the catalogue shows to programs or lets agents change, and that is a home or contains one.
pub(in crate::cli) fn shown(bundle: &Bundle) -> Vec<(String, Reach)> {
    let mut found = Vec::new();
    for (name, typed) in bundle.catalogue().iter() {
        let paths: Vec<(&str, &Path)> = match typed.connector() {
            Some(ConnectorSpec::Process(spec)) => {
                spec.views.iter().map(|view| ("the view", view.source.as_path())).collect()
            }
            Some(ConnectorSpec::Files(spec)) => vec![("the root", &spec.root)],
            Some(
                ConnectorSpec::Mcp { .. }
                | ConnectorSpec::Http(_)
                | ConnectorSpec::Sql(_)
                | ConnectorSpec::Worker(_),
            )
            | None => Vec::new(),
        };
        for (what, path) in paths {
            if let Some((reach, _)) = reach(&path.display().to_string(), None) {
                found.push((format!("`{name}`: {what} `{}`", path.display()), reach));
            }
        }
    }
    found
}
