//! A text that matches a simple pattern, for analyses that need a value which a schema takes.

/// Most characters of a sample.
const LENGTH_MAX: usize = 256;

/// A text for patterns of letters, classes, groups, choices and counts; nothing for others. Whoever uses it has
/// the schema check it, so a wrong sample costs an attempt and no more.
pub(super) fn of(pattern: &str) -> Option<String> {
    let mut reader = Reader { rest: pattern.chars().collect::<Vec<_>>().into_iter().peekable() };
    let text = reader.choice(0)?;
    (reader.rest.next().is_none() && text.chars().count() <= LENGTH_MAX).then_some(text)
}

struct Reader {
    rest: std::iter::Peekable<std::vec::IntoIter<char>>,
}

impl Reader {
    /// The first of several ways, up to the end or a closing parenthesis.
    fn choice(&mut self, depth: u8) -> Option<String> {
        let first = self.sequence(depth)?;
        while self.rest.next_if_eq(&'|').is_some() {
            self.sequence(depth)?;
        }
        Some(first)
    }

    fn sequence(&mut self, depth: u8) -> Option<String> {
        let mut out = String::new();
        while let Some(c) = self.rest.peek().copied() {
            if matches!(c, '|' | ')') {
                break;
            }
            self.rest.next();
            let one = match c {
                '^' | '$' => continue,
                '(' if depth < 8 => {
                    if self.rest.next_if_eq(&'?').is_some() {
                        self.rest.next_if_eq(&':')?;
                    }
                    let inner = self.choice(depth + 1)?;
                    self.rest.next_if_eq(&')')?;
                    inner
                }
                '(' | ']' | '{' | '}' | '*' | '+' | '?' => return None,
                '[' => self.class()?.to_string(),
                '.' => "a".to_owned(),
                '\\' => match self.rest.next()? {
                    'd' => "1".to_owned(),
                    'w' => "a".to_owned(),
                    's' => " ".to_owned(),
                    c if c.is_ascii_alphanumeric() => return None,
                    c => c.to_string(),
                },
                c => c.to_string(),
            };
            let times = self.times()?;
            if out.len().saturating_add(one.len().saturating_mul(times)) > LENGTH_MAX * 4 {
                return None;
            }
            out.push_str(&one.repeat(times));
        }
        Some(out)
    }

    /// One character of a class: its first, but no bracket that stands for itself.
    fn class(&mut self) -> Option<char> {
        let mut first = None;
        loop {
            let c = match self.rest.next()? {
                ']' => return first,
                '^' if first.is_none() => return None,
                '\\' => match self.rest.next()? {
                    'd' => '1',
                    'w' => 'a',
                    's' => ' ',
                    c if c.is_ascii_alphanumeric() => return None,
                    c => c,
                },
                c => c,
            };
            // Ids like `0000` mean something to some; the second of a range is as good.
            let c = if c == '0' && self.rest.peek() == Some(&'-') { '1' } else { c };
            first.get_or_insert(c);
        }
    }

    /// How often: once if it may be left out, so that something is there.
    fn times(&mut self) -> Option<usize> {
        match self.rest.peek() {
            Some('?' | '*' | '+') => {
                self.rest.next();
                Some(1)
            }
            Some('{') => {
                self.rest.next();
                let mut counts = String::new();
                loop {
                    match self.rest.next()? {
                        '}' => break,
                        c => counts.push(c),
                    }
                }
                let least = counts.split(',').next().unwrap_or_default();
                least.parse().ok().filter(|n| *n <= LENGTH_MAX)
            }
            _ => Some(1),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::of;

    #[test]
    fn a_sample_has_the_form_of_its_pattern() {
        for (pattern, sample) in [
            ("^INV-[0-9]{3,6}$", Some("INV-111")),
            ("^V-[0-9]{3}$", Some("V-111")),
            ("^(low|high)$", Some("low")),
            (r"^\d{4}-\d{2}$", Some("1111-11")),
            ("^[A-Z]{2}[0-9]+$", Some("AA1")),
            ("^(?:a|b)c?$", Some("ac")),
            ("", Some("")),
            ("^[^x]$", None),
            ("(?=a)", None),
            (r"\bx", None),
            ("a{9999}", None),
            ("((((((((((a))))))))))", None),
        ] {
            assert_eq!(of(pattern).as_deref(), sample, "{pattern}");
        }
    }
}
