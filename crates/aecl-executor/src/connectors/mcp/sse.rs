//! Server-sent events: bytes in, events out.

/// One event.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Event {
    pub id: Option<String>,
    pub data: String,
    pub retry_ms: Option<u64>,
}

/// Collects bytes until an event is whole.
#[derive(Debug)]
pub(crate) struct Events {
    buffer: Vec<u8>,
    event: Event,
    max_bytes: usize,
}

/// An event grew beyond the limit.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct TooLong;

impl Events {
    pub(crate) fn new(max_bytes: usize) -> Self {
        Self { buffer: Vec::new(), event: Event::default(), max_bytes }
    }

    /// Takes the next bytes of the body; gives the events that they complete.
    pub(crate) fn push(&mut self, bytes: &[u8]) -> Result<Vec<Event>, TooLong> {
        let mut whole = Vec::new();
        for part in bytes.split_inclusive(|byte| *byte == b'\n') {
            if self.buffer.len() + self.event.data.len() + part.len() > self.max_bytes {
                return Err(TooLong);
            }
            self.buffer.extend_from_slice(part);
            if part.last() == Some(&b'\n') {
                let line = std::mem::take(&mut self.buffer);
                let text = String::from_utf8_lossy(&line);
                self.line(text.trim_end_matches(['\n', '\r']), &mut whole);
            }
        }
        Ok(whole)
    }

    fn line(&mut self, line: &str, whole: &mut Vec<Event>) {
        if line.is_empty() {
            let event = std::mem::take(&mut self.event);
            if event != Event::default() {
                whole.push(event);
            }
            return;
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "data" => {
                if !self.event.data.is_empty() {
                    self.event.data.push('\n');
                }
                self.event.data.push_str(value);
            }
            "id" => self.event.id = Some(value.to_owned()),
            "retry" => self.event.retry_ms = value.parse().ok(),
            // A comment, an event name, or a field of tomorrow.
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn events_survive_any_cut() {
        let text =
            ": hi\nid: 7\nretry: 50\ndata:\n\nevent: message\r\ndata: {\"a\":\r\ndata: 1}\r\n\r\ndata: ü\n\n";
        for step in 1..text.len() {
            let mut events = Events::new(100);
            let mut got = Vec::new();
            for part in text.as_bytes().chunks(step) {
                got.extend(events.push(part).unwrap());
            }
            let data: Vec<&str> = got.iter().map(|event| event.data.as_str()).collect();
            assert_eq!(data, ["", "{\"a\":\n1}", "ü"], "step {step}");
            assert_eq!((got[0].id.as_deref(), got[0].retry_ms), (Some("7"), Some(50)));
        }
        assert_eq!(Events::new(10).push(b"data: 0123456789\n\n"), Err(TooLong));
    }
}
