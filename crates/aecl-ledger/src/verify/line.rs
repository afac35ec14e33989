//! An entry, read as far as the story needs it: nothing is copied, and what is not needed is only skipped.
//!
//! Entries are compact JSON, as the writer writes it, and everything else is refused: white space, a key that
//! stands twice, an escape in a name, bytes that are no UTF-8. Reading is most of the work of verifying, and
//! a general reader takes several times as long.

/// The parts of an entry that the story is about.
#[derive(Debug, Default)]
pub(super) struct Line<'a> {
    pub(super) v: Option<u64>,
    pub(super) position: Option<u64>,
    pub(super) at: Option<&'a str>,
    pub(super) kind: Option<&'a str>,
    pub(super) run: Option<&'a str>,
    pub(super) seq: Option<u64>,
    pub(super) action: Option<&'a str>,
    pub(super) outcome: Option<&'a str>,
    pub(super) mode: Option<&'a str>,
    pub(super) attempt: Option<u64>,
    pub(super) decision: Option<Decided<'a>>,
    /// `arguments`, `output`, `stated`, `sources` or `payload`: an entry has at most one of them.
    pub(super) payload: Option<&'a str>,
    /// What stands beside it.
    pub(super) beside: Option<&'a str>,
    pub(super) resolved_by: Option<&'a str>,
    pub(super) reported: Option<bool>,
    pub(super) unkept: Option<bool>,
}

/// What was decided, as far as the story needs it.
#[derive(Debug, Default)]
pub(super) struct Decided<'a> {
    pub(super) verdict: Option<&'a str>,
    pub(super) approval: Option<&'a str>,
    pub(super) replays: Option<&'a str>,
}

/// Reads an entry, or says what is wrong with its bytes.
pub(super) fn read(bytes: &[u8]) -> Result<Line<'_>, String> {
    let text =
        std::str::from_utf8(bytes).map_err(|e| format!("it is no UTF-8 at byte {}", e.valid_up_to()))?;
    let mut reader = Reader { text, at: 0 };
    let mut line = Line::default();
    let read = reader.object(0, &mut |reader, key, depth| {
        let twice = match key {
            "v" => reader.number()?.fill(&mut line.v),
            "position" => reader.number()?.fill(&mut line.position),
            "seq" => reader.number()?.fill(&mut line.seq),
            "attempt" => reader.number()?.fill(&mut line.attempt),
            "at" => reader.name()?.fill(&mut line.at),
            "kind" => reader.name()?.fill(&mut line.kind),
            "run" => reader.name()?.fill(&mut line.run),
            "beside" => reader.name()?.fill(&mut line.beside),
            "action" => reader.name()?.fill(&mut line.action),
            "outcome" => reader.name()?.fill(&mut line.outcome),
            "mode" => reader.name()?.fill(&mut line.mode),
            "arguments" | "output" | "stated" | "sources" | "payload" => {
                reader.name()?.fill(&mut line.payload)
            }
            "resolved_by" => reader.string()?.fill(&mut line.resolved_by),
            "reported" => reader.truth()?.fill(&mut line.reported),
            "unkept" => reader.truth()?.fill(&mut line.unkept),
            "decision" => {
                let mut decided = Decided::default();
                reader.object(depth, &mut |reader, key, depth| {
                    let twice = match key {
                        "verdict" => reader.name()?.fill(&mut decided.verdict),
                        "approval" => reader.name()?.fill(&mut decided.approval),
                        "replays" => reader.name()?.fill(&mut decided.replays),
                        _ => return reader.skip(depth),
                    };
                    (!twice).then_some(())
                })?;
                decided.fill(&mut line.decision)
            }
            _ => return reader.skip(depth),
        };
        (!twice).then_some(())
    });
    match read {
        Some(()) if reader.at == bytes.len() => Ok(line),
        _ => Err(format!("it is not as the writer writes it, at byte {}", reader.at)),
    }
}

/// Puts a value into its place. Gives whether there was one already.
trait Fill: Sized {
    fn fill(self, place: &mut Option<Self>) -> bool {
        place.replace(self).is_some()
    }
}

impl<T> Fill for T {}

/// Deeper nesting is refused.
const DEPTH_MAX: usize = 128;

struct Reader<'a> {
    text: &'a str,
    at: usize,
}

type Member<'a, 'm> = dyn FnMut(&mut Reader<'a>, &'a str, usize) -> Option<()> + 'm;

impl<'a> Reader<'a> {
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn eat(&mut self, byte: u8) -> Option<()> {
        (self.peek()? == byte).then(|| self.at += 1)
    }

    fn truth(&mut self) -> Option<bool> {
        let rest = self.text.get(self.at..)?;
        let (word, truth) = if rest.starts_with("true") { ("true", true) } else { ("false", false) };
        rest.starts_with(word).then(|| self.at += word.len())?;
        Some(truth)
    }

    /// An object; `member` reads each value.
    fn object(&mut self, depth: usize, member: &mut Member<'a, '_>) -> Option<()> {
        self.eat(b'{')?;
        if self.peek()? == b'}' {
            return self.eat(b'}');
        }
        loop {
            let key = self.string()?;
            self.eat(b':')?;
            member(self, key, depth + 1)?;
            match self.peek()? {
                b',' => self.at += 1,
                _ => return self.eat(b'}'),
            }
        }
    }

    /// Any value.
    fn skip(&mut self, depth: usize) -> Option<()> {
        if depth > DEPTH_MAX {
            return None;
        }
        match self.peek()? {
            b'"' => self.string().map(drop),
            b'{' => {
                self.at += 1;
                if self.peek()? == b'}' {
                    return self.eat(b'}');
                }
                loop {
                    self.string()?;
                    self.eat(b':')?;
                    self.skip(depth + 1)?;
                    match self.peek()? {
                        b',' => self.at += 1,
                        _ => return self.eat(b'}'),
                    }
                }
            }
            b'[' => {
                self.at += 1;
                if self.peek()? == b']' {
                    return self.eat(b']');
                }
                loop {
                    self.skip(depth + 1)?;
                    match self.peek()? {
                        b',' => self.at += 1,
                        _ => return self.eat(b']'),
                    }
                }
            }
            b't' => self.word("true"),
            b'f' => self.word("false"),
            b'n' => self.word("null"),
            b'-' | b'0'..=b'9' => {
                let rest = self.text.as_bytes().get(self.at..)?;
                let is_number = |b: &u8| matches!(b, b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E');
                self.at += rest.iter().position(|b| !is_number(b)).unwrap_or(rest.len());
                Some(())
            }
            _ => None,
        }
    }

    fn word(&mut self, word: &str) -> Option<()> {
        self.text.get(self.at..)?.starts_with(word).then(|| self.at += word.len())
    }

    fn number(&mut self) -> Option<u64> {
        let rest = self.text.get(self.at..)?;
        let end = rest.bytes().position(|b| !b.is_ascii_digit()).unwrap_or(rest.len());
        let digits = rest.get(..end)?;
        self.at += end;
        // One number, one spelling.
        digits.parse().ok().filter(|_| digits == "0" || !digits.starts_with('0'))
    }

    /// A string without escapes: names, times and words have none.
    fn name(&mut self) -> Option<&'a str> {
        let name = self.string()?;
        (!name.as_bytes().contains(&b'\\')).then_some(name)
    }

    /// A string as it is written, escapes and all.
    fn string(&mut self) -> Option<&'a str> {
        self.eat(b'"')?;
        let start = self.at;
        let bytes = self.text.as_bytes();
        loop {
            let rest = bytes.get(self.at..)?;
            self.at += plain(rest);
            match bytes.get(self.at)? {
                b'"' => break,
                // Whatever is escaped, it is not the end.
                b'\\' => self.at += 2,
                _ => return None,
            }
        }
        let text = self.text.get(start..self.at)?;
        self.at += 1;
        Some(text)
    }
}

/// How many bytes stand before the next quote, backslash or control character. Eight at a time.
fn plain(bytes: &[u8]) -> usize {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const TOPS: u64 = 0x8080_8080_8080_8080;
    let (words, _) = bytes.as_chunks::<8>();
    let mut at = 0;
    for word in words {
        let word = u64::from_le_bytes(*word);
        let zero = |x: u64| x.wrapping_sub(ONES) & !x & TOPS;
        let quote = zero(word ^ (ONES * b'"' as u64));
        let backslash = zero(word ^ (ONES * b'\\' as u64));
        let control = word.wrapping_sub(ONES * 0x20) & !word & TOPS;
        let found = quote | backslash | control;
        if found != 0 {
            // The lowest mark is right: only marks above it can be carried over by mistake.
            return at + found.trailing_zeros() as usize / 8;
        }
        at += 8;
    }
    let rest = bytes.get(at..).unwrap_or_default();
    at + rest.iter().position(|b| matches!(b, b'"' | b'\\' | 0..0x20)).unwrap_or(rest.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn only_what_the_writer_writes_is_read() {
        let line = read(
            r#"{"v":1,"position":7,"x":{"a":[1,-2.5e3,"\"}",{}],"b":[]},"kind":"ruled","y":null}"#.as_bytes(),
        );
        let line = line.unwrap();
        assert_eq!((line.v, line.position, line.kind), (Some(1), Some(7), Some("ruled")));
        for bad in [
            "",
            "{",
            "{}x",
            "[]",
            r#"{"v":1,}"#,
            r#"{"v" :1}"#,
            r#"{"v":01}"#,
            r#"{"v":1,"v":1}"#,
            r#"{"v":-1}"#,
            r#"{"v":1.0}"#,
            r#"{"kind":"a\u0062"}"#,
            r#"{"x":[1,]}"#,
            r#"{"x":[1 ]}"#,
            r#"{"x":{"a"}}"#,
            r#"{"x":tru}"#,
            r#"{"x":"a"#,
            r#"{"x":"a\"}"#,
            "{\"x\":\"a\nb\"}",
            r#"{"x":}"#,
            r#"{"x":'a'}"#,
            r#"{"decision":{"verdict":"a","verdict":"b"}}"#,
            r#"{"arguments":"a","output":"b"}"#,
        ] {
            assert!(read(bad.as_bytes()).is_err(), "{bad}");
        }
        assert!(read(b"{\"x\":\"\xff\"}").is_err());
        assert!(read(format!("{{\"x\":{}{}}}", "[".repeat(200), "]".repeat(200)).as_bytes()).is_err());
    }

    proptest! {
        #[test]
        fn eight_at_a_time_finds_what_one_at_a_time_finds(text in "[ -~\"\\\\\n\u{e9}\u{1f600}]{0,40}") {
            let slow = text.bytes().position(|b| matches!(b, b'"' | b'\\' | 0..0x20)).unwrap_or(text.len());
            prop_assert_eq!(plain(text.as_bytes()), slow);
        }

        #[test]
        fn any_compact_value_is_skipped(keys in prop::collection::vec(("\\PC{0,12}", any::<f64>()), 0..6)) {
            let map: serde_json::Map<_, _> = keys.into_iter().map(|(k, n)| (k.clone(), serde_json::json!([k, n, {"a": null}]))).collect();
            let text = serde_json::json!({"v": 1, "zz": map, "position": 3}).to_string();
            let line = read(text.as_bytes()).unwrap();
            prop_assert_eq!((line.v, line.position), (Some(1), Some(3)));
        }
    }
}
