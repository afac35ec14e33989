//! Lines of a stream, with a limit. A server that never breaks its line does not fill our memory.

use tokio::io::{AsyncBufRead, AsyncBufReadExt};

/// Result of reading one line.
#[derive(Debug, PartialEq, Eq)]
pub enum LineRead {
    /// A line is in the buffer, without its end.
    Read,
    /// The stream ended.
    End,
    /// It is longer than the limit.
    TooLong,
}

/// Reads the next line into `line`.
///
/// # Errors
/// When the stream breaks.
pub async fn next_line(
    from: &mut (impl AsyncBufRead + Unpin),
    line: &mut Vec<u8>,
    max_bytes: usize,
) -> std::io::Result<LineRead> {
    line.clear();
    loop {
        let available = from.fill_buf().await?;
        if available.is_empty() {
            // A last line without its end is cut off: nobody can tell whether it is whole.
            return Ok(LineRead::End);
        }
        let (part, used, ended) = match available.iter().position(|byte| *byte == b'\n') {
            Some(at) => (available.get(..at).unwrap_or_default(), at + 1, true),
            None => (available, available.len(), false),
        };
        if line.len() + part.len() > max_bytes {
            return Ok(LineRead::TooLong);
        }
        line.extend_from_slice(part);
        from.consume(used);
        if ended {
            if line.last() == Some(&b'\r') {
                line.pop();
            }
            return Ok(LineRead::Read);
        }
    }
}

/// Passes over the rest of a line that is too long, and says how many bytes it has.
///
/// # Errors
/// When the stream breaks.
pub(super) async fn rest_of_line(from: &mut (impl AsyncBufRead + Unpin)) -> std::io::Result<u64> {
    let mut passed = 0;
    loop {
        let available = from.fill_buf().await?;
        let at = available.iter().position(|byte| *byte == b'\n');
        let used = at.map_or(available.len(), |at| at + 1);
        passed += at.unwrap_or(used) as u64;
        from.consume(used);
        if at.is_some() || used == 0 {
            return Ok(passed);
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[tokio::test]
    async fn lines_end_and_have_a_limit() {
        let mut from = tokio::io::BufReader::with_capacity(3, &b"one\r\n\nfour\nfar too long\n"[..]);
        let mut line = Vec::new();
        for expected in ["one", "", "four"] {
            assert_eq!(next_line(&mut from, &mut line, 6).await.unwrap(), LineRead::Read);
            assert_eq!(line, expected.as_bytes());
        }
        assert_eq!(next_line(&mut from, &mut line, 6).await.unwrap(), LineRead::TooLong);
        assert_eq!(line.len() as u64 + rest_of_line(&mut from).await.unwrap(), "far too long".len() as u64);
        assert_eq!(next_line(&mut from, &mut line, 6).await.unwrap(), LineRead::End);
        let mut cut = &b"no end"[..];
        assert_eq!(next_line(&mut cut, &mut line, 99).await.unwrap(), LineRead::End);
    }
}
