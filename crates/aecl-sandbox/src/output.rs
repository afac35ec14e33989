//! What a program wrote: every byte as it was, up to a limit, and how much there was.

/// Stream of a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    /// Its standard output.
    Stdout,
    /// Its standard error.
    Stderr,
}

/// One stream of a program.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Output {
    /// The first bytes, as they came: no encoding is assumed.
    pub bytes: Vec<u8>,
    /// How much was written, kept or not.
    pub written_bytes: u64,
}

impl Output {
    /// Whether more was written than was kept.
    #[must_use]
    pub fn is_truncated(&self) -> bool {
        self.written_bytes > self.bytes.len() as u64
    }

    /// For eyes: valid UTF-8, and nothing that could move a cursor or colour a terminal. Line ends and tabs
    /// stay.
    #[must_use]
    pub fn for_display(&self) -> String {
        let harmless = |c: char| !c.is_control() || c == '\n' || c == '\t';
        let reordering = |c: char| matches!(c, '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}');
        String::from_utf8_lossy(&self.bytes)
            .chars()
            .map(|c| if harmless(c) && !reordering(c) { c } else { char::REPLACEMENT_CHARACTER })
            .collect()
    }

    #[cfg_attr(not(native_cage), expect(dead_code, reason = "nothing runs there"))]
    pub(crate) fn take(&mut self, bytes: &[u8], kept_max_bytes: u64) {
        self.written_bytes = self.written_bytes.saturating_add(bytes.len() as u64);
        let room = kept_max_bytes.saturating_sub(self.bytes.len() as u64);
        let room = usize::try_from(room).unwrap_or(usize::MAX).min(bytes.len());
        self.bytes.extend_from_slice(bytes.get(..room).unwrap_or_default());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn output_is_kept_to_the_byte_and_shown_harmless() {
        let mut output = Output::default();
        output.take(b"a\x1b[31m\xff\0\tb\n", 100);
        assert_eq!(output.bytes, b"a\x1b[31m\xff\0\tb\n");
        assert!(!output.is_truncated());
        assert_eq!(output.for_display(), "a\u{fffd}[31m\u{fffd}\u{fffd}\tb\n");
    }

    #[test]
    fn more_than_is_kept_is_counted_and_said() {
        let mut output = Output::default();
        output.take(b"abc", 4);
        output.take(b"def", 4);
        output.take(b"ghi", 4);
        assert_eq!(
            (output.bytes.as_slice(), output.written_bytes, output.is_truncated()),
            (&b"abcd"[..], 9, true)
        );
    }
}
