//! The paths in a file of Rust, as far as they stay in its crate.

use std::collections::{BTreeMap, BTreeSet};

/// Segments of a module's path, from the crate's root.
pub type Path = Vec<String>;

/// The paths of a file, from the crate's root, and what it hands on of others.
#[derive(Debug, Default)]
pub struct Source {
    /// Each with its line.
    pub paths: Vec<(Path, usize)>,
    /// By the name that it has here.
    pub handed_on: BTreeMap<String, Path>,
}

impl Source {
    /// Reads a file by its module.
    pub fn read(module: &Path, text: &str) -> Self {
        // Tests stand last, and may know what they like.
        let text = text.split("#[cfg(test)]\nmod ").next().unwrap_or_default();
        let tokens = tokens(text);
        let children = children(&tokens);
        let mut out = Self::default();
        let mut i = 0;
        while let Some(token) = tokens.get(i) {
            match &token.what {
                What::Word(word) if word == "use" => {
                    let is_public =
                        i.checked_sub(1).and_then(|b| tokens.get(b)).is_some_and(Token::ends_visibility);
                    let mut trees = Vec::new();
                    i = use_tree(&tokens, i + 1, &Vec::new(), &mut trees);
                    for (path, name, line) in trees {
                        let Some(path) = from_root(module, &children, path) else { continue };
                        // What of one's own is handed on stands where it stands.
                        if !is_public || !path.starts_with(module) {
                            out.paths.push((path.clone(), line));
                        }
                        if is_public {
                            out.handed_on.insert(name, path);
                        }
                    }
                }
                What::Word(_) => {
                    let line = token.line;
                    let path = path_at(&tokens, i);
                    i += path.len() * 2 - 1;
                    if path.len() > 1
                        && let Some(path) = from_root(module, &children, path)
                    {
                        out.paths.push((path, line));
                    }
                }
                What::Text(text) => {
                    let path: Path = text.split("::").map(str::to_owned).collect();
                    if path.first().is_some_and(|first| first == "crate")
                        && let Some(path) = from_root(module, &children, path)
                    {
                        out.paths.push((path, token.line));
                    }
                    i += 1;
                }
                What::Sign(_) => i += 1,
            }
        }
        out
    }

    /// The same, with other paths.
    pub fn map(self, to: impl Fn(Path) -> Path) -> Self {
        Self {
            paths: self.paths.into_iter().map(|(path, line)| (to(path), line)).collect(),
            handed_on: self.handed_on.into_iter().map(|(name, path)| (name, to(path))).collect(),
        }
    }
}

/// A path as written, from the crate's root; nothing for what is not the kernel's.
fn from_root(module: &Path, children: &BTreeSet<String>, path: Path) -> Option<Path> {
    let first = path.first()?;
    match first.as_str() {
        "crate" => Some(path.get(1..)?.to_vec()),
        "self" => Some(module.iter().chain(path.get(1..)?).cloned().collect()),
        "super" => {
            let up = path.iter().take_while(|step| *step == "super").count();
            let base = module.get(..module.len().checked_sub(up)?)?;
            Some(base.iter().chain(path.get(up..)?).cloned().collect())
        }
        child if children.contains(child) => Some(module.iter().chain(&path).cloned().collect()),
        _ => None,
    }
}

/// The modules that a file declares.
fn children(tokens: &[Token]) -> BTreeSet<String> {
    let pairs = tokens.windows(3).filter_map(|three| <&[Token; 3]>::try_from(three).ok());
    pairs
        .filter_map(|[word, name, end]| match (&word.what, &name.what, &end.what) {
            (What::Word(word), What::Word(name), What::Sign(';')) if word == "mod" => Some(name.clone()),
            _ => None,
        })
        .collect()
}

#[derive(Debug)]
struct Token {
    what: What,
    line: usize,
}

#[derive(Debug)]
enum What {
    Word(String),
    /// What stands in quotation marks.
    Text(String),
    /// `:` is `::`.
    Sign(char),
}

impl Token {
    fn is(&self, sign: char) -> bool {
        matches!(self.what, What::Sign(s) if s == sign)
    }

    fn ends_visibility(&self) -> bool {
        self.is(')') || matches!(&self.what, What::Word(word) if word == "pub")
    }
}

/// Words, texts and signs, without comments.
fn tokens(text: &str) -> Vec<Token> {
    let mut out = Vec::new();
    let mut rest = text;
    let mut line = 1;
    while let Some(c) = rest.chars().next() {
        let (taken, what) = if rest.starts_with("//") {
            (rest.find('\n').unwrap_or(rest.len()), None)
        } else if rest.starts_with("/*") {
            (rest.find("*/").map_or(rest.len(), |end| end + 2), None)
        } else if let Some(end) = raw_text(rest) {
            (end, None)
        } else if c == '"' {
            let end = end_of_text(rest);
            (end, rest.get(1..end.saturating_sub(1)).map(|inner| What::Text(inner.to_owned())))
        } else if c == '\'' {
            (end_of_character(rest), None)
        } else if rest.starts_with("::") {
            (2, Some(What::Sign(':')))
        } else if c.is_alphanumeric() || c == '_' {
            let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
            (end, rest.get(..end).map(|word| What::Word(word.to_owned())))
        } else if c.is_whitespace() || c == ':' {
            (c.len_utf8(), None)
        } else {
            (c.len_utf8(), Some(What::Sign(c)))
        };
        out.extend(what.map(|what| Token { what, line }));
        let (before, after) = rest.split_at(taken);
        line += before.matches('\n').count();
        rest = after;
    }
    out
}

/// The end of a text in which nothing is escaped.
fn raw_text(rest: &str) -> Option<usize> {
    let inner = rest.strip_prefix("br").or_else(|| rest.strip_prefix('r'))?;
    let hashes = inner.len() - inner.trim_start_matches('#').len();
    inner.get(hashes..)?.strip_prefix('"')?;
    let start = rest.len() - inner.len() + hashes + 1;
    let end = format!("\"{}", "#".repeat(hashes));
    Some(start + rest.get(start..)?.find(&end)? + end.len())
}

fn end_of_text(rest: &str) -> usize {
    let mut escaped = false;
    for (at, c) in rest.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return at + 1,
            _ => {}
        }
    }
    rest.len()
}

/// A character, or the mark of a lifetime.
fn end_of_character(rest: &str) -> usize {
    let mut inner = rest.char_indices().skip(1);
    match (inner.next(), inner.next()) {
        (Some((_, '\\')), Some((at, escaped))) => {
            let after = at + escaped.len_utf8();
            rest.get(after..).and_then(|rest| rest.find('\'')).map_or(rest.len(), |end| after + end + 1)
        }
        (Some(_), Some((at, '\''))) => at + 1,
        _ => 1,
    }
}

/// The path that begins here.
fn path_at(tokens: &[Token], start: usize) -> Path {
    let mut path = Vec::new();
    let mut i = start;
    while let Some(Token { what: What::Word(word), .. }) = tokens.get(i) {
        path.push(word.clone());
        let goes_on = tokens.get(i + 1).is_some_and(|t| t.is(':'));
        if !goes_on || !matches!(tokens.get(i + 2), Some(Token { what: What::Word(_), .. })) {
            break;
        }
        i += 2;
    }
    path
}

/// Reads one tree of an import, and gives where it ends. Each path comes with the name that it has here.
fn use_tree(tokens: &[Token], start: usize, above: &Path, out: &mut Vec<(Path, String, usize)>) -> usize {
    let mut path = above.clone();
    let mut name = None;
    let mut i = start;
    while let Some(token) = tokens.get(i) {
        match &token.what {
            What::Word(word) if word == "as" => {
                if let Some(Token { what: What::Word(alias), .. }) = tokens.get(i + 1) {
                    name = Some(alias.clone());
                }
                i += 2;
            }
            What::Word(word) => {
                if word != "self" || path.is_empty() {
                    path.push(word.clone());
                }
                i += 1;
            }
            What::Sign(':' | '*') => i += 1,
            What::Sign('{') => {
                i += 1;
                while tokens.get(i).is_some_and(|t| !t.is('}')) {
                    i = use_tree(tokens, i, &path, out);
                    if tokens.get(i).is_some_and(|t| t.is(',')) {
                        i += 1;
                    }
                }
                return i + 1;
            }
            What::Sign(_) | What::Text(_) => break,
        }
    }
    let line = start.checked_sub(1).and_then(|b| tokens.get(b)).or(tokens.get(start)).map_or(0, |t| t.line);
    let name = name.or_else(|| path.last().cloned()).unwrap_or_default();
    out.push((path, name, line));
    i
}
