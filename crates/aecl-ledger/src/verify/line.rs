//! An entry, read as far as the story needs it: nothing is copied, and what is not needed is only skipped.
//!
//! Entries are compact JSON, as the writer writes it, and everything else is refused: white space, a key that
//! stands twice, an escape in a key or a name, what is no JSON to others, bytes that are no UTF-8. Reading is most of
//! the work of verifying, and a general reader takes several times as long.

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
    let mut keys = Vec::with_capacity(32);
    let read = reader.object(0, &mut |reader, key, depth| {
        // Of two, other readers take the first or the last.
        if keys.contains(&key) {
            return None;
        }
        keys.push(key);
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
            let key = self.name()?;
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
            b'-' | b'0'..=b'9' => self.any_number(),
            _ => None,
        }
    }

    /// A number of JSON. What is too large for a float is none to many readers.
    fn any_number(&mut self) -> Option<()> {
        let from = self.at;
        self.at += usize::from(self.peek()? == b'-');
        match self.peek()? {
            b'0' => self.at += 1,
            _ => self.digits()?,
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.at += 1;
            self.at += usize::from(matches!(self.peek()?, b'+' | b'-'));
            self.digits()?;
        }
        let number = self.text.get(from..self.at)?;
        (number.len() < 20 && !number.contains(['e', 'E']) || number.parse().is_ok_and(f64::is_finite))
            .then_some(())
    }

    fn digits(&mut self) -> Option<()> {
        let rest = self.text.as_bytes().get(self.at..)?;
        let count = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        self.at += count;
        (count > 0).then_some(())
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
                b'\\' => self.escape()?,
                _ => return None,
            }
        }
        let text = self.text.get(start..self.at)?;
        self.at += 1;
        Some(text)
    }

    /// A backslash and what it escapes.
    fn escape(&mut self) -> Option<()> {
        match self.text.as_bytes().get(self.at + 1)? {
            b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => self.at += 2,
            b'u' => match self.unit()? {
                0xd800..0xdc00 => {
                    self.word("\\u")?;
                    self.at -= 2;
                    (0xdc00..0xe000).contains(&self.unit()?).then_some(())?;
                }
                0xdc00..0xe000 => return None,
                _ => {}
            },
            _ => return None,
        }
        Some(())
    }

    /// A unit of UTF-16 behind `\u`.
    fn unit(&mut self) -> Option<u16> {
        let digits = self.text.get(self.at + 2..self.at + 6)?;
        self.at += 6;
        let is_hex = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        u16::from_str_radix(digits, 16).ok().filter(|_| is_hex)
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
            r#"{"kin\u0064":"a"}"#,
            r#"{"x":1,"x":2}"#,
            r#"{"x":-}"#,
            r#"{"x":1e}"#,
            r#"{"x":1.}"#,
            r#"{"x":[00]}"#,
            r#"{"x":1-1}"#,
            r#"{"x":1e999}"#,
            r#"{"x":"\q"}"#,
            r#"{"x":"\u00g0"}"#,
            r#"{"x":"\u+123"}"#,
            r#"{"x":"\ud83d"}"#,
            r#"{"x":"\ude00"}"#,
            r#"{"x":"\ud83d\u0041"}"#,
        ] {
            assert!(read(bad.as_bytes()).is_err(), "{bad}");
        }
        assert!(read(b"{\"x\":\"\xff\"}").is_err());
        assert!(read(format!("{{\"x\":{}{}}}", "[".repeat(200), "]".repeat(200)).as_bytes()).is_err());
    }

    fn piece() -> impl Strategy<Value = String> {
        let pieces = [
            "{",
            "}",
            "[",
            "]",
            ",",
            ":",
            "\"",
            "\\",
            "\"v\":",
            "\"kind\":",
            "\"x\":",
            "\"kin\\u0064\":",
            "\"decision\":{\"verdict\":",
            "1",
            "0",
            "-",
            ".",
            "e",
            "+",
            "true",
            "null",
            "\"a\"",
            "\\ud83d",
            "\\ude00",
            "u",
            "00e9",
            "\u{e9}",
        ];
        prop::sample::select(pieces.map(str::to_owned).to_vec())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(20_000))]

        #[test]
        fn what_is_read_means_the_same_to_another_reader(inner in prop::collection::vec(piece(), 0..12)) {
            let text = format!("{{{}}}", inner.concat());
            let Ok(line) = read(text.as_bytes()) else { return Ok(()) };
            let theirs: serde_json::Value = serde_json::from_str(&text).expect("it is JSON to others");
            let members = theirs.as_object().map_or(0, serde_json::Map::len);
            prop_assert_eq!(line.v, theirs.get("v").and_then(serde_json::Value::as_u64));
            prop_assert_eq!(line.kind, theirs.get("kind").and_then(serde_json::Value::as_str));
            prop_assert_eq!(line.decision.is_some(), theirs.get("decision").is_some());
            prop_assert_eq!(members == 0, text == "{}");
        }
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
