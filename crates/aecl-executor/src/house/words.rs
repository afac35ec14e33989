//! The words of a text that a program could take for a path, and the ways in which it could be spelled.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::path::{Component, Path, PathBuf};

/// Longest text that is taken apart, in bytes.
const TAKEN_APART_MAX: usize = 16 << 10;
/// Longest text that may be one path once `..` is worked out.
const ONE_PATH_MAX: usize = 1 << 20;
/// Between words, for a shell and for those who write lists.
const BETWEEN: &[char] = &['"', '\'', '`', ';', ',', '|', '&', '<', '>', '(', ')', '[', ']', '{', '}', '\0'];
/// Within a word, before what is a path: `--file=/x`, `user@host:/x`, `@/x`.
const WITHIN: &[char] = &['=', ':', '@', '#'];
/// Variables that commands name directories by.
const VARIABLES: [&str; 8] =
    ["HOME", "PWD", "XDG_DATA_HOME", "XDG_STATE_HOME", "XDG_CONFIG_HOME", "AECL_DIR", "USER", "LOGNAME"];

/// The words of a text, and whether these are all. `runs`: somebody will take it for a command line.
pub(super) fn of(text: &str, runs: bool) -> (BTreeSet<String>, bool) {
    let mut words = BTreeSet::new();
    if text.len() > TAKEN_APART_MAX {
        return (words, false);
    }
    take_apart(text, &mut words);
    // How a shell joins them: `/home/"me"/x`, `/home/m\e/x`.
    if text.contains(['"', '\'', '\\']) {
        let joined: String = text.chars().filter(|c| !matches!(c, '"' | '\'' | '\\')).collect();
        take_apart(&joined, &mut words);
    }
    if !runs {
        // In plain text a bare word is a word.
        words.retain(|word| word.contains(['/', '~', '\\', '$', '%']) || word.starts_with('.'));
    }
    (words, true)
}

fn take_apart(text: &str, words: &mut BTreeSet<String>) {
    for word in
        text.split(|c: char| c.is_whitespace() || BETWEEN.contains(&c)).filter(|word| !word.is_empty())
    {
        words.insert(word.to_owned());
        for (index, _) in word.match_indices(WITHIN) {
            words.extend(word.get(index + 1..).filter(|rest| !rest.is_empty()).map(str::to_owned));
        }
        // `-fpath`: a value that is glued to the letter of its option.
        let glued =
            word.strip_prefix('-').filter(|rest| rest.starts_with(|c: char| c.is_ascii_alphanumeric()));
        words.extend(glued.and_then(|rest| rest.get(1..)).filter(|rest| !rest.is_empty()).map(str::to_owned));
        // `-I/usr/include`
        if let Some(index) = word.find(['/', '~']).filter(|index| *index > 0) {
            words.extend(word.get(index..).map(str::to_owned));
        }
    }
}

/// What a word may mean: as it is, without its scheme, with what is encoded in it decoded, with variables.
pub(super) fn spellings(word: &str) -> BTreeSet<String> {
    let mut all = BTreeSet::new();
    if word.is_empty() || word.len() > ONE_PATH_MAX || word.contains('\0') {
        return all;
    }
    let once = decoded(word);
    let twice = decoded(&once);
    for spelled in [word, once.as_ref(), twice.as_ref()] {
        let spelled = spelled.trim();
        for spelled in [Some(spelled), without_scheme(spelled)].into_iter().flatten() {
            if !spelled.is_empty() {
                all.insert(with_variables(spelled));
            }
        }
    }
    all
}

/// The path of a URI. What is fetched over a network is on another machine, or the server there is asked.
fn without_scheme(word: &str) -> Option<&str> {
    let (scheme, rest) = word.split_once(':')?;
    let is_scheme =
        scheme.len() > 1 && scheme.bytes().all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b));
    let is_remote =
        ["http", "https", "ws", "wss", "mailto"].iter().any(|known| scheme.eq_ignore_ascii_case(known));
    if !is_scheme || is_remote {
        return None;
    }
    let path = match rest.strip_prefix("//") {
        Some(after) => after.get(after.find('/')?..)?,
        None => rest,
    };
    Some(path.split(['?', '#']).next().unwrap_or(path))
}

fn decoded(word: &str) -> Cow<'_, str> {
    if !word.contains('%') {
        return Cow::Borrowed(word);
    }
    let mut bytes = Vec::with_capacity(word.len());
    let mut rest = word.as_bytes();
    while let [first, tail @ ..] = rest {
        let digit = |byte: u8| char::from(byte).to_digit(16);
        match (first, tail) {
            (b'%', [high, low, after @ ..]) if digit(*high).is_some() && digit(*low).is_some() => {
                let value = digit(*high).unwrap_or(0) * 16 + digit(*low).unwrap_or(0);
                bytes.push(u8::try_from(value).unwrap_or(b'%'));
                rest = after;
            }
            _ => {
                bytes.push(*first);
                rest = tail;
            }
        }
    }
    Cow::Owned(String::from_utf8_lossy(&bytes).into_owned())
}

fn with_variables(word: &str) -> String {
    let home = || std::env::var("HOME").ok().filter(|home| !home.is_empty());
    let mut out = word.to_owned();
    if let (Some(rest), Some(home)) = (word.strip_prefix('~'), home()) {
        if rest.is_empty() || rest.starts_with('/') {
            out = format!("{home}{rest}");
        } else if let Some(parent) = Path::new(&home).parent() {
            // Another's name, or our own: homes lie beside each other, and root's lies at the top.
            let (name, rest) = rest.split_once('/').unwrap_or((rest, ""));
            let dir = if Path::new(&home).ends_with(name) { PathBuf::from(&home) } else { parent.join(name) };
            out = format!("{}/{rest}", dir.display());
        }
    }
    if out.contains('$') {
        for name in VARIABLES {
            let Ok(value) = std::env::var(name) else { continue };
            out = out.replace(&format!("${{{name}}}"), &value).replace(&format!("${name}"), &value);
        }
    }
    out
}

/// The part of a word that no shell would work out further: `/home/*/x` is somewhere below `/home`.
pub(super) fn fixed(word: &str) -> PathBuf {
    let is_open =
        |part: &str| part.contains(['*', '?', '$', '`']) || part.contains('[') && part.contains(']');
    if !word.split('/').any(is_open) || Path::new(word).symlink_metadata().is_ok() {
        return PathBuf::from(word);
    }
    let mut fixed = PathBuf::new();
    for part in Path::new(word).components() {
        if is_open(&part.as_os_str().to_string_lossy()) {
            break;
        }
        fixed.push(part);
    }
    fixed
}

/// With `.` and `..` worked out by the text alone, as many programs do before they open anything.
pub(super) fn normal(path: &Path) -> PathBuf {
    let mut out = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => {
                out.pop();
            }
            Component::CurDir => {}
            Component::Prefix(_) | Component::RootDir | Component::Normal(_) => out.push(part),
        }
    }
    out
}
