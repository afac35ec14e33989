//! The I-JSON gate: text becomes one immutable document with one canonical byte string, or is refused.
//!
//! Two readers of the same bytes must not see two different things. A duplicate key, a number that a
//! float would round, a lone surrogate: each is a way to have one value judged and another executed.
//! What passes here has exactly one meaning, and `canonical` (RFC 8785) is how it is written.

use crate::base::code::{self, Code};
use crate::base::digest::Digest;
use serde_json::{Map, Number, Value};
use std::sync::Arc;

/// The largest integer that every JSON reader keeps: 2^53 - 1.
pub const MAX_SAFE_INTEGER: i64 = 9_007_199_254_740_991;

/// Limits of the JSON that is accepted. Every one is explicit.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Longest text, in bytes.
    pub bytes_max: usize,
    /// Deepest nesting of arrays and objects.
    pub depth_max: usize,
    /// Most values (leaves, arrays and objects together).
    pub values_max: usize,
}

/// Deepest nesting that readers of JSON take as a rule. More ends the process of some.
pub const READABLE_DEPTH: usize = 128;

/// For what we have written ourselves.
const UNLIMITED: Limits = Limits { bytes_max: usize::MAX, depth_max: READABLE_DEPTH, values_max: usize::MAX };

/// Whether brackets of this JSON stand deeper in each other than readers take. It calls itself for none of them.
pub fn is_too_deep(text: &[u8]) -> bool {
    let (mut depth, mut is_quoted, mut is_escaped) = (0usize, false, false);
    text.iter().any(|byte| {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' => is_escaped = is_quoted,
            b'"' => is_quoted = !is_quoted,
            b'[' | b'{' if !is_quoted => depth += 1,
            b']' | b'}' if !is_quoted => depth = depth.saturating_sub(1),
            _ => {}
        }
        depth > READABLE_DEPTH
    })
}

impl Default for Limits {
    fn default() -> Self {
        Self { bytes_max: 1 << 20, depth_max: 64, values_max: 100_000 }
    }
}

/// Error in a text that is not accepted: why, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message} at byte {offset}")]
pub struct JsonError {
    /// The stable code of the refusal.
    pub code: Code,
    /// What is wrong, in words.
    pub message: String,
    /// Where in the text, in bytes from its start.
    pub offset: usize,
}

/// A JSON value that was read once and never changes, with its canonical bytes.
///
/// ```
/// use aecl_kernel::base::json::{Document, Limits};
/// let d = Document::parse(br#"{"b": 1.50, "a": "x"}"#, &Limits::default()).unwrap();
/// assert_eq!(d.text(), r#"{"a":"x","b":1.5}"#);
/// assert!(Document::parse(br#"{"a":1,"a":2}"#, &Limits::default()).is_err());
/// ```
#[derive(Debug, Clone)]
pub struct Document {
    value: Arc<Value>,
    canonical: Arc<[u8]>,
}

impl PartialEq for Document {
    fn eq(&self, other: &Self) -> bool {
        self.canonical == other.canonical
    }
}
impl Eq for Document {}

impl Document {
    /// Reads a text, or says why it has no single meaning.
    pub fn parse(text: &[u8], limits: &Limits) -> Result<Self, JsonError> {
        let sealed = Self::seal(Self::read(text, limits)?);
        if *sealed.canonical == *text {
            return Ok(sealed);
        }
        // What is judged is what is recorded: the value of the canonical bytes, in their order and with their numbers.
        // Otherwise `1.0` beside `1`, or two keys in another order, would be one digest with two decisions.
        let value = Self::read(&sealed.canonical, &UNLIMITED)?;
        Ok(Self { value: Arc::new(value), ..sealed })
    }

    /// The value of a text that has a single meaning, where nobody needs its canonical bytes.
    pub fn read(text: &[u8], limits: &Limits) -> Result<Value, JsonError> {
        if text.len() > limits.bytes_max {
            return Err(JsonError {
                code: code::JSON_TOO_LARGE,
                message: format!("{} bytes of JSON; the limit is {}", text.len(), limits.bytes_max),
                offset: limits.bytes_max,
            });
        }
        let text = std::str::from_utf8(text).map_err(|e| JsonError {
            code: code::JSON_INVALID,
            message: "invalid UTF-8".into(),
            offset: e.valid_up_to(),
        })?;
        let mut reader = Reader { bytes: text.as_bytes(), text, at: 0, values: 0, limits };
        reader.space();
        let value = reader.value(0)?;
        reader.space();
        if reader.at != reader.bytes.len() {
            return Err(reader.error(code::JSON_INVALID, "text after the end of the value"));
        }
        Ok(value)
    }

    /// Takes a value that our own code built; refuses numbers that would not survive.
    pub fn from_value(value: Value) -> Result<Self, JsonError> {
        let text = serde_json::to_vec(&value).map_err(|e| JsonError {
            code: code::JSON_INVALID,
            message: e.to_string(),
            offset: 0,
        })?;
        Self::parse(&text, &UNLIMITED)
    }

    /// The document `{}`.
    pub fn empty() -> Self {
        Self::seal(Value::Object(Map::new()))
    }

    fn seal(value: Value) -> Self {
        let mut out = Vec::with_capacity(128);
        write_canonical(&value, &mut out);
        Self { value: Arc::new(value), canonical: out.into() }
    }

    /// The value.
    pub fn value(&self) -> &Value {
        &self.value
    }

    /// The canonical bytes (RFC 8785): what is judged, hashed, executed and logged.
    pub fn canonical(&self) -> &Arc<[u8]> {
        &self.canonical
    }

    /// The canonical bytes as text.
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.canonical).unwrap_or_default()
    }

    /// SHA-256 of the canonical bytes.
    pub fn digest(&self) -> Digest {
        Digest::of(&self.canonical)
    }

    /// The value at a JSON pointer (RFC 6901).
    pub fn pointer(&self, pointer: &str) -> Option<&Value> {
        self.value.pointer(pointer)
    }
}

impl serde::Serialize for Document {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        self.value.serialize(s)
    }
}

impl<'de> serde::Deserialize<'de> for Document {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(d)?;
        Document::from_value(value).map_err(serde::de::Error::custom)
    }
}

/// Writes a value as RFC 8785 asks: keys by UTF-16 code units, numbers as ECMAScript writes them.
pub fn write_canonical(value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::Null => out.extend_from_slice(b"null"),
        Value::Bool(true) => out.extend_from_slice(b"true"),
        Value::Bool(false) => out.extend_from_slice(b"false"),
        Value::Number(n) => out.extend_from_slice(number_text(n).as_bytes()),
        Value::String(s) => write_string(s, out),
        Value::Array(items) => {
            out.push(b'[');
            for (i, item) in items.iter().enumerate() {
                if i > 0 {
                    out.push(b',');
                }
                write_canonical(item, out);
            }
            out.push(b']');
        }
        Value::Object(map) => {
            let mut fields: Vec<_> = map.iter().collect();
            if fields.iter().all(|(k, _)| k.is_ascii()) {
                fields.sort_unstable_by(|a, b| a.0.cmp(b.0));
            } else {
                fields.sort_unstable_by(|a, b| a.0.encode_utf16().cmp(b.0.encode_utf16()));
            }
            out.push(b'{');
            for (i, (key, item)) in fields.into_iter().enumerate() {
                if i > 0 {
                    out.push(b',');
                }
                write_string(key, out);
                out.push(b':');
                write_canonical(item, out);
            }
            out.push(b'}');
        }
    }
}

/// A number as canonical JSON writes it; also the exact text from which decimals are read.
pub fn number_text(n: &Number) -> String {
    if let Some(i) = n.as_i64() {
        return i.to_string();
    }
    if let Some(u) = n.as_u64() {
        return u.to_string();
    }
    let mut buffer = ryu_js::Buffer::new();
    buffer.format(n.as_f64().unwrap_or_default()).to_owned()
}

fn write_string(s: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    for c in s.chars() {
        match c {
            '"' => out.extend_from_slice(b"\\\""),
            '\\' => out.extend_from_slice(b"\\\\"),
            '\u{8}' => out.extend_from_slice(b"\\b"),
            '\u{9}' => out.extend_from_slice(b"\\t"),
            '\u{a}' => out.extend_from_slice(b"\\n"),
            '\u{c}' => out.extend_from_slice(b"\\f"),
            '\u{d}' => out.extend_from_slice(b"\\r"),
            c if (c as u32) < 0x20 => out.extend_from_slice(format!("\\u{:04x}", c as u32).as_bytes()),
            c => out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    out.push(b'"');
}

struct Reader<'a> {
    bytes: &'a [u8],
    text: &'a str,
    at: usize,
    values: usize,
    limits: &'a Limits,
}

impl Reader<'_> {
    fn error(&self, code: Code, message: impl Into<String>) -> JsonError {
        JsonError { code, message: message.into(), offset: self.at }
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn literal(&mut self, word: &str, value: Value) -> Result<Value, JsonError> {
        if self.bytes.get(self.at..self.at + word.len()) == Some(word.as_bytes()) {
            self.at += word.len();
            return Ok(value);
        }
        Err(self.error(code::JSON_INVALID, "expected a JSON value"))
    }

    fn value(&mut self, depth: usize) -> Result<Value, JsonError> {
        self.values += 1;
        if self.values > self.limits.values_max {
            let most = self.limits.values_max;
            return Err(self.error(code::JSON_TOO_LARGE, format!("more than {most} values")));
        }
        match self.peek() {
            Some(b'n') => self.literal("null", Value::Null),
            Some(b't') => self.literal("true", Value::Bool(true)),
            Some(b'f') => self.literal("false", Value::Bool(false)),
            Some(b'"') => self.string().map(Value::String),
            Some(b'-' | b'0'..=b'9') => self.number().map(Value::Number),
            Some(b'[') => self.array(self.deeper(depth)?),
            Some(b'{') => self.object(self.deeper(depth)?),
            Some(_) => Err(self.error(code::JSON_INVALID, "expected a JSON value")),
            None => Err(self.error(code::JSON_INVALID, "the text ends where a value should be")),
        }
    }

    fn deeper(&self, depth: usize) -> Result<usize, JsonError> {
        if depth >= self.limits.depth_max {
            let most = self.limits.depth_max;
            return Err(self.error(code::JSON_TOO_DEEP, format!("nested more than {most} levels deep")));
        }
        Ok(depth + 1)
    }

    fn array(&mut self, depth: usize) -> Result<Value, JsonError> {
        self.at += 1;
        let mut items = Vec::new();
        self.space();
        if self.peek() == Some(b']') {
            self.at += 1;
            return Ok(Value::Array(items));
        }
        loop {
            self.space();
            items.push(self.value(depth)?);
            self.space();
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b']') => {
                    self.at += 1;
                    return Ok(Value::Array(items));
                }
                _ => return Err(self.error(code::JSON_INVALID, "expected `,` or `]`")),
            }
        }
    }

    fn object(&mut self, depth: usize) -> Result<Value, JsonError> {
        self.at += 1;
        let mut map = Map::new();
        self.space();
        if self.peek() == Some(b'}') {
            self.at += 1;
            return Ok(Value::Object(map));
        }
        loop {
            self.space();
            if self.peek() != Some(b'"') {
                return Err(self.error(code::JSON_INVALID, "expected a key in double quotes"));
            }
            let start = self.at;
            let key = self.string()?;
            self.space();
            if self.peek() != Some(b':') {
                return Err(self.error(code::JSON_INVALID, "expected `:`"));
            }
            self.at += 1;
            self.space();
            let value = self.value(depth)?;
            if map.contains_key(&key) {
                self.at = start;
                return Err(self.error(code::JSON_DUPLICATE_KEY, format!("the key `{key}` stands twice")));
            }
            map.insert(key, value);
            self.space();
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b'}') => {
                    self.at += 1;
                    return Ok(Value::Object(map));
                }
                _ => return Err(self.error(code::JSON_INVALID, "expected `,` or `}`")),
            }
        }
    }

    fn string(&mut self) -> Result<String, JsonError> {
        self.at += 1;
        let mut out = String::new();
        loop {
            let start = self.at;
            let rest = self.bytes.get(start..).unwrap_or_default();
            let plain = rest.iter().position(|b| matches!(b, b'"' | b'\\') || *b < 0x20);
            self.at = start + plain.unwrap_or(rest.len());
            out.push_str(self.text.get(start..self.at).unwrap_or_default());
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(out);
                }
                Some(b'\\') => out.push(self.escape()?),
                Some(_) => return Err(self.error(code::JSON_INVALID, "a control character in a string")),
                None => return Err(self.error(code::JSON_INVALID, "the text ends inside a string")),
            }
        }
    }

    fn escape(&mut self) -> Result<char, JsonError> {
        self.at += 1;
        let c = match self.peek() {
            Some(b'"') => '"',
            Some(b'\\') => '\\',
            Some(b'/') => '/',
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => return self.unicode_escape(),
            _ => return Err(self.error(code::JSON_INVALID, "an unknown escape")),
        };
        self.at += 1;
        Ok(c)
    }

    fn unicode_escape(&mut self) -> Result<char, JsonError> {
        let first = self.hex4()?;
        let scalar = match first {
            0xD800..=0xDBFF => {
                if self.bytes.get(self.at..self.at + 2) != Some(b"\\u") {
                    return Err(self.error(code::JSON_INVALID, "a lone surrogate"));
                }
                self.at += 1;
                let second = self.hex4()?;
                if !(0xDC00..=0xDFFF).contains(&second) {
                    return Err(self.error(code::JSON_INVALID, "a lone surrogate"));
                }
                0x10000 + ((first - 0xD800) << 10) + (second - 0xDC00)
            }
            other => other,
        };
        char::from_u32(scalar).ok_or_else(|| self.error(code::JSON_INVALID, "a lone surrogate"))
    }

    /// Reads `uXXXX` and stands behind it.
    fn hex4(&mut self) -> Result<u32, JsonError> {
        let digits = self.text.get(self.at + 1..self.at + 5).unwrap_or_default();
        if digits.len() != 4 || !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(self.error(code::JSON_INVALID, "expected four hexadecimal digits"));
        }
        self.at += 5;
        u32::from_str_radix(digits, 16).map_err(|_| self.error(code::JSON_INVALID, "bad escape"))
    }

    fn number(&mut self) -> Result<Number, JsonError> {
        let start = self.at;
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        match self.peek() {
            Some(b'0') => self.at += 1,
            Some(b'1'..=b'9') => self.digits()?,
            _ => return Err(self.error(code::JSON_INVALID, "expected a digit")),
        }
        let mut integer = true;
        if self.peek() == Some(b'.') {
            integer = false;
            self.at += 1;
            self.digits()?;
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            integer = false;
            self.at += 1;
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.at += 1;
            }
            self.digits()?;
        }
        let text = self.text.get(start..self.at).unwrap_or_default();
        let refuse = |why: &str| JsonError {
            code: code::JSON_NUMBER,
            message: format!("the number `{}` {why}; send it as a string", text.get(..40).unwrap_or(text)),
            offset: start,
        };
        if integer {
            let n: i64 = text.parse().map_err(|_| refuse("does not survive a JSON reader"))?;
            if n == 0 && text.starts_with('-') {
                return Err(refuse("is a negative zero"));
            }
            if n.abs() > MAX_SAFE_INTEGER {
                return Err(refuse("is beyond 2^53 - 1"));
            }
            return Ok(n.into());
        }
        let f: f64 = text.parse().map_err(|_| refuse("is not a number"))?;
        if !f.is_finite() {
            return Err(refuse("is too large"));
        }
        let mut buffer = ryu_js::Buffer::new();
        if normal(text) != normal(buffer.format(f)) || (f == 0.0 && text.starts_with('-')) {
            return Err(refuse("does not survive a JSON reader"));
        }
        // Beyond 2^53 every float is whole, and its canonical text would be an integer that is refused.
        if f.abs() > MAX_SAFE_INTEGER as f64 {
            return Err(refuse("is beyond 2^53 - 1"));
        }
        if f.fract() == 0.0 {
            return Ok((f as i64).into());
        }
        Number::from_f64(f).ok_or_else(|| refuse("is not finite"))
    }

    fn digits(&mut self) -> Result<(), JsonError> {
        let start = self.at;
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        if start == self.at { Err(self.error(code::JSON_INVALID, "expected a digit")) } else { Ok(()) }
    }
}

/// A decimal text as (negative, significant digits, exponent of the last digit), for comparing by value.
fn normal(text: &str) -> (bool, Vec<u8>, i64) {
    let (negative, text) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let mut exponent: i64 = exponent.trim_start_matches('+').parse().unwrap_or(i64::MAX / 2);
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    exponent -= fraction.len() as i64;
    let mut digits: Vec<u8> = whole.bytes().chain(fraction.bytes()).skip_while(|b| *b == b'0').collect();
    while digits.last() == Some(&b'0') {
        digits.pop();
        exponent += 1;
    }
    if digits.is_empty() {
        exponent = 0;
    }
    (negative && !digits.is_empty(), digits, exponent)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(input: &str, expected: Result<&str, Code>) {
        let got = Document::parse(input.as_bytes(), &Limits::default());
        let got = got.as_ref().map(|d| d.text()).map_err(|e| e.code);
        assert_eq!(got, expected, "for {input}");
    }

    #[test]
    fn what_has_one_meaning_passes() {
        check(
            r#" {"b":[1,2.50,1e3],"a":"\u00e9\ud83d\ude00/\n"} "#,
            Ok("{\"a\":\"é😀/\\n\",\"b\":[1,2.5,1000]}"),
        );
        check("[0.1,1.0,-5,9007199254740991,1e3,1e-7]", Ok("[0.1,1,-5,9007199254740991,1000,1e-7]"));
        check("\"\\u20ac\"", Ok("\"€\""));
        check(
            r#"{"€":1,"\r":2,"\ufb33":3,"1":4,"😀":5}"#,
            Ok("{\"\\r\":2,\"1\":4,\"€\":1,\"😀\":5,\"\u{fb33}\":3}"),
        );
    }

    #[test]
    fn what_two_readers_could_read_differently_is_refused() {
        check(r#"{"a":1,"a":1}"#, Err(code::JSON_DUPLICATE_KEY));
        check(r#"{"a":1,"\u0061":2}"#, Err(code::JSON_DUPLICATE_KEY));
        check("9007199254740993", Err(code::JSON_NUMBER));
        check("123456789012345678901234567890", Err(code::JSON_NUMBER));
        check("0.1000000000000000000000001", Err(code::JSON_NUMBER));
        check("1e21", Err(code::JSON_NUMBER));
        check("1e400", Err(code::JSON_NUMBER));
        check("-0", Err(code::JSON_NUMBER));
        check("-0.0", Err(code::JSON_NUMBER));
        check(r#""\ud800""#, Err(code::JSON_INVALID));
        check(r#""\udc00\ud800""#, Err(code::JSON_INVALID));
        for bad in [
            "NaN",
            "Infinity",
            "-Infinity",
            "01",
            "1.",
            ".5",
            "+1",
            "[1,]",
            "{\"a\":1,}",
            "'a'",
            "",
            "1 2",
            "\"\t\"",
            "{a:1}",
            "\u{feff}1",
        ] {
            check(bad, Err(code::JSON_INVALID));
        }
    }

    #[test]
    fn size_and_depth_have_limits() {
        check(&"[".repeat(100_000), Err(code::JSON_TOO_DEEP));
        check(&format!("\"{}\"", "x".repeat(2 << 20)), Err(code::JSON_TOO_LARGE));
        check(&format!("[{}1]", "1,".repeat(200_000)), Err(code::JSON_TOO_LARGE));
        assert!(Document::parse(&[b'"', 0xff, b'"'], &Limits::default()).is_err());
    }

    proptest::proptest! {
        #[test]
        fn canonical_text_reads_back_as_itself(f in proptest::num::f64::NORMAL, s in ".*") {
            if let Some(n) = Number::from_f64(f) {
                let text = serde_json::to_string(&serde_json::json!({"s": s, "n": Value::Number(n)})).unwrap();
                if let Ok(d) = Document::parse(text.as_bytes(), &Limits::default()) {
                    let again = Document::parse(d.canonical(), &Limits::default()).unwrap();
                    proptest::prop_assert_eq!(d.text(), again.text());
                }
            }
        }
    }
}
