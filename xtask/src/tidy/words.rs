//! Nothing in the house names a machine of ours or the host of a package registry.
//!
//! A path of somebody's machine is a leak and never works elsewhere. A registry's host
//! overrules the mirror that a user has set up.

use super::{Found, House};

/// Written in halves, so that this file passes its own rule.
const PATHS: [&str; 3] = [concat!("/wo", "rk/"), concat!("/ro", "ot/"), concat!("/.py", "env/")];
const HOSTS: [&str; 9] = [
    concat!("registry.npm", "js.org"),
    concat!("npm", "js.com"),
    concat!("registry.yarn", "pkg.com"),
    concat!("py", "pi.org"),
    concat!("python", "hosted.org"),
    concat!("static.crates", ".io"),
    concat!("index.crates", ".io"),
    concat!("//crates", ".io"),
    concat!("proxy.go", "lang.org"),
];
const ALLOW: &str = "tidy: allow";

pub fn check(house: &House, found: &mut Found) -> Result<(), String> {
    for name in &house.files {
        let Some(text) = house.text(name) else { continue };
        for (number, line) in text.lines().enumerate() {
            if let Some(word) = forbidden(line) {
                found.error(format!("{name}:{}: `{word}` has no place here", number + 1));
            }
        }
        if name.ends_with("package-lock.json") && text.contains("\"resolved\":") {
            found.error(format!(
                "{name}: names where packages came from; set `omit-lockfile-registry-resolved=true`"
            ));
        }
    }
    Ok(())
}

fn forbidden(line: &str) -> Option<&'static str> {
    if line.contains(ALLOW) {
        return None;
    }
    let host = HOSTS.iter().find(|host| line.contains(**host));
    let path = PATHS.iter().find(|path| line.match_indices(**path).any(|(at, _)| begins_there(line, at)));
    host.or(path).copied()
}

/// Whether the path begins at this place, and is not the middle of a longer one or of a URL.
fn begins_there(line: &str, at: usize) -> bool {
    let before = line.get(..at).and_then(|start| start.chars().next_back());
    !before.is_some_and(|c| c.is_alphanumeric() || matches!(c, '.' | '-' | '_' | '/' | '}' | '>' | '~'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn path_of_a_machine_is_found_where_it_begins() {
        let path = PATHS[0];
        assert!(forbidden(&format!("cd {path}main")).is_some());
        assert!(forbidden(&format!("\"{path}x\"")).is_some());
        assert!(forbidden(&format!("example.org{path}x")).is_none());
        assert!(forbidden(&format!("a/b{path}x")).is_none());
        assert!(forbidden(&format!("{path}x  # tidy: allow, the cage mounts it")).is_none());
    }

    #[test]
    fn host_of_a_registry_is_found() {
        assert!(forbidden(&format!("https://{}/x", HOSTS[0])).is_some());
        assert!(forbidden("https://modelcontextprotocol.io").is_none());
        assert!(forbidden("source = \"registry+https://github.com/rust-lang/crates.io-index\"").is_none());
    }
}
