//! Links lead somewhere: relative links in Markdown, and their anchors.

use std::path::{Component, Path, PathBuf};

use super::{Found, House};

pub fn check(house: &House, found: &mut Found) -> Result<(), String> {
    for name in house.ending(".md") {
        let Some(text) = house.text(name) else { continue };
        for (number, link) in links(&text) {
            if let Some(why) = broken(house, name, &text, &link) {
                found.error(format!("{name}:{number}: `{link}` {why}"));
            }
        }
    }
    Ok(())
}

fn broken(house: &House, from: &str, text: &str, link: &str) -> Option<String> {
    if link.is_empty() || has_scheme(link) {
        return None;
    }
    let (path, anchor) = link.split_once('#').map_or((link, None), |(path, anchor)| (path, Some(anchor)));
    if path.starts_with('/') {
        return Some("is absolute; write it relative to this file".into());
    }
    let there = if path.is_empty() { Some(text.to_owned()) } else { None };
    let there = if let Some(text) = there {
        text
    } else {
        let Some(target) = inside(Path::new(from).parent()?, path) else {
            return Some("leaves the house".into());
        };
        if !house.root.join(&target).exists() {
            return Some("leads nowhere".into());
        }
        if target.extension().is_none_or(|kind| kind != "md") {
            return None;
        }
        house.text(target.to_str()?)?
    };
    let anchor = anchor?;
    let known = headings(&there).any(|heading| slug(heading) == anchor)
        || there.contains(&format!("id=\"{anchor}\""));
    (!known).then(|| format!("names no heading; there is no `{anchor}`"))
}

/// `folder/path` without `.` and `..`, or `None` when that leaves the house.
fn inside(folder: &Path, path: &str) -> Option<PathBuf> {
    let mut target = folder.to_path_buf();
    for part in Path::new(path).components() {
        match part {
            Component::Normal(name) => target.push(name),
            Component::ParentDir if !target.pop() => return None,
            Component::ParentDir | Component::CurDir => {}
            Component::RootDir | Component::Prefix(_) => return None,
        }
    }
    Some(target)
}

fn has_scheme(link: &str) -> bool {
    link.split_once(':').is_some_and(|(scheme, _)| scheme.chars().all(|c| c.is_ascii_alphanumeric()))
}

/// Targets of `[text](target)` and `[name]: target` outside of code, with their line numbers.
fn links(text: &str) -> Vec<(usize, String)> {
    let mut links = Vec::new();
    for (number, line) in prose(text) {
        let line = without_code(line);
        for part in line.split("](").skip(1) {
            let target = part.split([')', ' ']).next().unwrap_or_default();
            links.push((number, target.trim_matches(['<', '>']).to_owned()));
        }
        let definition = line.strip_prefix('[').and_then(|rest| rest.split_once("]: "));
        if let Some((_, target)) = definition {
            links.push((number, target.split(' ').next().unwrap_or_default().to_owned()));
        }
    }
    links
}

/// The lines outside of fenced code.
fn prose(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut is_code = false;
    text.lines().enumerate().filter_map(move |(index, line)| {
        let is_fence = line.trim_start().starts_with("```") || line.trim_start().starts_with("~~~");
        is_code ^= is_fence;
        (!is_code && !is_fence).then_some((index + 1, line))
    })
}

fn without_code(line: &str) -> String {
    line.split('`').step_by(2).collect::<Vec<_>>().join("``")
}

fn headings(text: &str) -> impl Iterator<Item = &str> {
    prose(text).filter(|(_, line)| line.starts_with('#')).map(|(_, line)| line.trim_start_matches('#').trim())
}

/// The anchor that hosts of Git repositories give to a heading.
fn slug(heading: &str) -> String {
    let kept = heading.to_lowercase();
    let kept = kept.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    kept.map(|c| if c == ' ' { '-' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn targets(text: &str) -> Vec<String> {
        links(text).into_iter().map(|(_, target)| target).collect()
    }

    #[test]
    fn links_are_found_outside_of_code_only() {
        assert_eq!(targets("see [a](a.md) and [b](b.md#x \"title\")"), ["a.md", "b.md#x"]);
        assert_eq!(targets("`[a](a.md)` [`b`](b.md)"), ["b.md"]);
        assert_eq!(targets("```\n[a](a.md)\n```\n[c]: c.md"), ["c.md"]);
    }

    #[test]
    fn headings_become_anchors() {
        assert_eq!(slug("4. One straight `walk`!"), "4-one-straight-walk");
        assert_eq!(slug("What AECL does, and does not"), "what-aecl-does-and-does-not");
    }

    #[test]
    fn way_out_of_the_house_is_noticed() {
        assert_eq!(inside(Path::new("docs/guides"), "../start.md"), Some("docs/start.md".into()));
        assert_eq!(inside(Path::new("docs"), "../../x.md"), None);
    }
}
