//! Each dependency says why it is there.

use super::{Found, House};

pub fn check(house: &House, found: &mut Found) -> Result<(), String> {
    examine(&house.text("Cargo.toml").ok_or("the root has no Cargo.toml")?, found);
    Ok(())
}

fn examine(manifest: &str, found: &mut Found) {
    let (mut is_dependencies, mut has_reason, mut count) = (false, false, 0);
    for line in manifest.lines() {
        if line.starts_with('[') {
            is_dependencies = line.trim_end() == "[workspace.dependencies]";
            has_reason = false;
        } else if line.trim().is_empty() {
            has_reason = false;
        } else if line.starts_with("# ---") {
            // A heading names a group; it is no reason for any one of them.
            has_reason = false;
        } else if line.starts_with('#') {
            has_reason = true;
        } else if is_dependencies && line.starts_with(|first: char| first.is_ascii_alphabetic()) {
            count += 1;
            let name = line.split('=').next().unwrap_or(line).trim();
            let is_ours = line.contains("path = ");
            if !has_reason && !is_ours {
                found
                    .error(format!("Cargo.toml: `{name}` has no comment above it that says why it is there"));
            }
        }
    }
    if count == 0 {
        found.error("Cargo.toml: no dependency was found; has its form changed?");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn errors(dependencies: &str) -> usize {
        let mut found = Found::default();
        examine(&format!("[workspace.dependencies]\n{dependencies}"), &mut found);
        found.errors.len()
    }

    #[test]
    fn dependency_without_a_reason_is_found() {
        assert_eq!(errors("# Why.\na = \"1\"\nb = \"2\"\n\n# Why too.\nc = { version = \"1\" }\n"), 0);
        assert_eq!(errors("# Why.\na = \"1\"\n\nb = \"2\"\n"), 1);
        assert_eq!(errors("# --- guests\na = \"1\"\n"), 1);
        assert_eq!(errors("# --- ours\na = { path = \"a\" }\n"), 0);
        assert_eq!(errors(""), 1);
    }
}
