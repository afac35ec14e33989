//! What was sent on the streams of one session, kept for a while: a client whose connection broke asks with
//! `Last-Event-ID` for what it missed.

use axum::body::{Body, Bytes};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::http::{HeaderName, HeaderValue};
use axum::response::Response;
use futures_util::stream;
use std::collections::{BTreeMap, VecDeque};
use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::watch;

/// The stream for what the server says unasked; the others belong to one request each.
pub(super) const UNASKED: u64 = 0;
/// How many events a session keeps, and how many bytes of them. Beyond that the oldest go.
const EVENTS_MAX: usize = 1024;
const BYTES_MAX: usize = 8 << 20;
/// Ended streams that are kept for those who come back.
const ENDED_MAX: usize = 64;
/// A comment now and then, so that nothing on the way takes silence for the end.
pub(super) const PING_EVERY: Duration = Duration::from_secs(15);
/// After how many milliseconds a client may come back.
const RETRY_MS: u64 = 1000;

/// The record of one session's streams.
pub(super) struct Events {
    state: Mutex<State>,
    changed: watch::Sender<()>,
}

#[derive(Default)]
struct State {
    streams: BTreeMap<u64, Stream>,
    opened: u64,
    /// Which stream got an event, oldest first.
    order: VecDeque<u64>,
    bytes: usize,
    closed: bool,
}

#[derive(Default)]
struct Stream {
    /// The number of the first event that is still there; numbers begin with 1.
    first: u64,
    events: VecDeque<Arc<str>>,
    ended: bool,
    /// Grows with every reader: an older reader then leaves.
    reader: u64,
}

/// Where a reader stands.
pub(super) struct Place {
    stream: u64,
    next: u64,
    reader: u64,
}

enum Step {
    Event(u64, Arc<str>),
    Wait,
    End,
}

impl Events {
    pub(super) fn new() -> Self {
        let mut state = State::default();
        state.streams.insert(UNASKED, Stream { first: 1, ..Stream::default() });
        Self { state: Mutex::new(state), changed: watch::Sender::new(()) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A stream for one request.
    pub(super) fn open(&self) -> u64 {
        let mut state = self.state();
        state.opened += 1;
        let stream = state.opened;
        state.streams.insert(stream, Stream { first: 1, ..Stream::default() });
        let ended: Vec<u64> = state.streams.iter().filter(|(_, it)| it.ended).map(|(id, _)| *id).collect();
        for old in ended.iter().take(ended.len().saturating_sub(ENDED_MAX)) {
            state.forget(*old);
        }
        stream
    }

    pub(super) fn push(&self, stream: u64, text: &str) {
        self.state().push(stream, text);
        self.changed.send_replace(());
    }

    /// The last event of a stream, and its end: in one step, so that nobody sees the one without the other.
    pub(super) fn finish(&self, stream: u64, last: Option<&str>) {
        let mut state = self.state();
        if let Some(text) = last {
            state.push(stream, text);
        }
        if let Some(known) = state.streams.get_mut(&stream) {
            known.ended = true;
        }
        drop(state);
        self.changed.send_replace(());
    }

    /// The session is over: nothing more will come on any.
    pub(super) fn close(&self) {
        self.state().closed = true;
        self.changed.send_replace(());
    }

    /// The only event of a stream that has ended with it, taken out: then no stream is needed.
    pub(super) async fn only(&self, stream: u64, patience: Duration) -> Option<Arc<str>> {
        let mut changed = self.changed.subscribe();
        let first = async {
            loop {
                changed.borrow_and_update();
                if let Some(known) = self.state().streams.get(&stream)
                    && (known.ended || !known.events.is_empty())
                {
                    return;
                }
                if changed.changed().await.is_err() {
                    return;
                }
            }
        };
        let _ = tokio::time::timeout(patience, first).await;
        let mut state = self.state();
        let known = state.streams.get(&stream)?;
        let one = known.events.front().filter(|_| known.ended && known.events.len() == 1)?.clone();
        state.forget(stream);
        Some(one)
    }

    /// The beginning of a stream. Whoever read it before leaves.
    pub(super) fn read(&self, stream: u64) -> Option<Place> {
        self.read_after(stream, 0)
    }

    /// Where the client was when it saw this event, if that is still known.
    pub(super) fn resume(&self, last: &str) -> Option<Place> {
        let (stream, seen) = last.split_once('-')?;
        self.read_after(stream.parse().ok()?, seen.parse().ok()?)
    }

    fn read_after(&self, stream: u64, seen: u64) -> Option<Place> {
        let mut state = self.state();
        let known = state.streams.get_mut(&stream)?;
        let end = known.first + known.events.len() as u64;
        // An event that never was, or one after which something is lost already.
        if seen >= end || (seen + 1 < known.first && seen > 0) {
            return None;
        }
        known.reader += 1;
        let place = Place { stream, next: (seen + 1).max(known.first), reader: known.reader };
        drop(state);
        self.changed.send_replace(());
        Some(place)
    }

    fn step(&self, place: &Place) -> Step {
        let state = self.state();
        let Some(known) = state.streams.get(&place.stream) else { return Step::End };
        if known.reader != place.reader || place.next < known.first {
            return Step::End;
        }
        let index = usize::try_from(place.next - known.first).unwrap_or(usize::MAX);
        match known.events.get(index) {
            Some(event) => Step::Event(place.next, event.clone()),
            None if known.ended || state.closed => Step::End,
            None => Step::Wait,
        }
    }
}

impl State {
    fn push(&mut self, stream: u64, text: &str) {
        let Some(known) = self.streams.get_mut(&stream) else { return };
        known.events.push_back(text.into());
        self.order.push_back(stream);
        self.bytes += text.len();
        while self.order.len() > 1 && (self.order.len() > EVENTS_MAX || self.bytes > BYTES_MAX) {
            self.drop_oldest();
        }
    }

    fn drop_oldest(&mut self) {
        let Some(stream) = self.order.pop_front() else { return };
        if let Some(known) = self.streams.get_mut(&stream)
            && let Some(event) = known.events.pop_front()
        {
            known.first += 1;
            self.bytes -= event.len();
        }
    }

    fn forget(&mut self, stream: u64) {
        if let Some(known) = self.streams.remove(&stream) {
            self.bytes -= known.events.iter().map(|event| event.len()).sum::<usize>();
            self.order.retain(|of| *of != stream);
        }
    }
}

/// A response that tells a stream from this place on, until it ends. `hold` lives as long as it does.
pub(super) fn stream_of<H: Send + 'static>(
    events: Arc<Events>,
    place: Place,
    prime: bool,
    hold: H,
) -> Response {
    let changed = events.changed.subscribe();
    // An event without data gives the client an id to come back with before anything was said.
    let first =
        prime.then(|| format!("id: {}-{}\nretry: {RETRY_MS}\ndata:\n\n", place.stream, place.next - 1));
    let start = (events, place, changed, first, hold);
    sse(stream::unfold(start, async |(events, mut place, mut changed, mut first, hold)| {
        if let Some(text) = first.take() {
            return Some((Ok(Bytes::from(text)), (events, place, changed, first, hold)));
        }
        loop {
            changed.borrow_and_update();
            let text = match events.step(&place) {
                Step::End => return None,
                Step::Event(number, event) => {
                    place.next = number + 1;
                    frame(Some((place.stream, number)), &event)
                }
                Step::Wait => match tokio::time::timeout(PING_EVERY, changed.changed()).await {
                    Ok(Ok(())) => continue,
                    Ok(Err(_)) => return None,
                    Err(_) => PING.to_owned(),
                },
            };
            return Some((Ok(Bytes::from(text)), (events, place, changed, first, hold)));
        }
    }))
}

/// The comment that keeps a silent stream open.
pub(super) const PING: &str = ": ping\n\n";

/// One message as an event. Line breaks in JSON are space between tokens, so a blank means the same.
pub(super) fn frame(id: Option<(u64, u64)>, text: &str) -> String {
    let id = id.map_or(String::new(), |(stream, number)| format!("id: {stream}-{number}\n"));
    if text.contains(['\n', '\r']) {
        return format!("event: message\n{id}data: {}\n\n", text.replace(['\n', '\r'], " "));
    }
    format!("event: message\n{id}data: {text}\n\n")
}

/// A response of events.
pub(super) fn sse(
    events: impl stream::Stream<Item = Result<Bytes, Infallible>> + Send + 'static,
) -> Response {
    let mut response = Response::new(Body::from_stream(events));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache, no-transform"));
    // A proxy that collects answers would hold them back until the stream ends.
    headers.insert(HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"));
    response
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn all(events: &Events, place: Option<Place>) -> Option<Vec<String>> {
        let mut place = place?;
        let mut seen = Vec::new();
        while let Step::Event(number, event) = events.step(&place) {
            seen.push(event.to_string());
            place.next = number + 1;
        }
        Some(seen)
    }

    #[test]
    fn a_client_gets_what_it_missed_and_nothing_of_others() {
        let events = Events::new();
        let (a, b) = (events.open(), events.open());
        for (stream, text) in [(a, "a1"), (b, "b1"), (a, "a2"), (b, "b2")] {
            events.push(stream, text);
        }
        let resumed = |last: &str| all(&events, events.resume(last));
        assert_eq!(resumed(&format!("{a}-1")).unwrap(), ["a2"]);
        assert_eq!(resumed(&format!("{a}-0")).unwrap(), ["a1", "a2"]);
        assert_eq!(resumed(&format!("{b}-2")).unwrap(), [""; 0]);
        for unknown in ["1-3", "9-1", "x", "", "1", "-1", "1--1", "18446744073709551615-1"] {
            assert!(resumed(unknown).is_none(), "{unknown}");
        }
    }

    #[test]
    fn memory_is_bounded_and_a_gap_is_no_resumption() {
        let events = Events::new();
        for n in 0..3 * EVENTS_MAX {
            events.push(UNASKED, &n.to_string());
        }
        assert_eq!(events.state().order.len(), EVENTS_MAX);
        assert!(events.resume("0-1").is_none());
        assert_eq!(all(&events, events.read(UNASKED)).unwrap().len(), EVENTS_MAX);
        let large = "x".repeat(BYTES_MAX);
        events.push(UNASKED, &large);
        events.push(UNASKED, &large);
        assert_eq!(all(&events, events.read(UNASKED)).unwrap().len(), 1);
        for _ in 0..3 * ENDED_MAX {
            let stream = events.open();
            events.finish(stream, Some("x"));
        }
        assert!(events.state().streams.len() <= ENDED_MAX + 2);
    }

    #[test]
    fn a_later_reader_takes_over() {
        let events = Events::new();
        let first = events.read(UNASKED).unwrap();
        events.push(UNASKED, "1");
        let second = events.read(UNASKED).unwrap();
        assert!(matches!(events.step(&first), Step::End));
        assert!(matches!(events.step(&second), Step::Event(1, _)));
    }

    #[tokio::test]
    async fn one_answer_alone_needs_no_stream() {
        let events = Events::new();
        let (one, two) = (events.open(), events.open());
        events.finish(one, Some("answer"));
        events.push(two, "progress");
        let patience = Duration::from_millis(1);
        assert_eq!(events.only(one, patience).await.as_deref(), Some("answer"));
        assert!(events.only(two, patience).await.is_none());
        assert_eq!(frame(Some((2, 1)), "{\n}"), "event: message\nid: 2-1\ndata: { }\n\n");
    }
}
