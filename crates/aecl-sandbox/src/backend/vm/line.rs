//! The line to the agent inside a machine, seen from here. What comes over it was written by whoever holds
//! the machine, so nothing of it is believed before it is looked at.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use tokio::sync::mpsc;

use crate::protocol::frame::{self, Kind};
use crate::protocol::nonsense;

pub(super) type Reader = Box<dyn AsyncRead + Send + Unpin>;
pub(super) type Writer = Box<dyn AsyncWrite + Send + Unpin>;

/// Both directions.
pub(super) struct Line {
    pub(super) from: From,
    pub(super) to: To,
}

/// From the agent. Reading can be given up and taken up again at any byte.
pub(super) struct From {
    line: Reader,
    /// What was read of the frame that is coming, its header first.
    buffer: Vec<u8>,
}

/// To the agent.
pub(super) struct To(Writer);

impl Line {
    pub(super) fn new(from: Reader, to: Writer) -> Self {
        Self { from: From { line: from, buffer: Vec::new() }, to: To(to) }
    }
}

impl From {
    /// The next frame; `None` at the end of the line.
    ///
    /// # Errors
    /// When it cannot be read, or what comes is no frame.
    pub(super) async fn next(&mut self) -> io::Result<Option<(Kind, Vec<u8>)>> {
        loop {
            let wanted = match self.buffer.first_chunk() {
                None => frame::HEADER,
                Some(header) => {
                    let (kind, length) = frame::parse(*header).map_err(|_| nonsense("no frame"))?;
                    if self.buffer.len() == frame::HEADER + length {
                        let payload = self.buffer.split_off(frame::HEADER);
                        self.buffer.clear();
                        return Ok(Some((kind, payload)));
                    }
                    frame::HEADER + length
                }
            };
            // One read at a time, so that nothing is lost when the caller turns to something else.
            let missing = wanted.saturating_sub(self.buffer.len()) as u64;
            let mut part = (&mut self.line).take(missing);
            if part.read_buf(&mut self.buffer).await? == 0 {
                return Ok(None);
            }
        }
    }
}

impl To {
    pub(super) async fn send(&mut self, kind: Kind, bytes: &[u8]) -> io::Result<()> {
        self.0.write_all(&frame::header(kind, bytes.len())).await?;
        self.0.write_all(bytes).await?;
        self.0.flush().await
    }

    pub(super) async fn order(&mut self, order: &[u8]) -> io::Result<()> {
        for part in order.chunks(frame::PAYLOAD_MAX) {
            self.send(Kind::Order, part).await?;
        }
        self.send(Kind::OrderEnd, &[]).await
    }
}

impl To {
    /// Says what comes from several sides, one frame at a time, as long as somebody hears it.
    pub(super) async fn say(mut self, mut frames: mpsc::Receiver<Frame>) {
        while let Some((kind, bytes)) = frames.recv().await {
            if self.send(kind, &bytes).await.is_err() {
                return;
            }
        }
        // Kept open: the end of the line is the end of the machine to some monitors.
        std::future::pending::<()>().await;
    }
}

/// One frame, to be said.
pub(super) type Frame = (Kind, Vec<u8>);

/// How many frames wait for the line at a time, from all sides together.
const FRAMES_WAITING: usize = 8;

/// Where frames to the agent are handed in.
#[derive(Clone)]
pub(super) struct Frames(mpsc::Sender<Frame>);

impl Frames {
    pub(super) fn channel() -> (Self, mpsc::Receiver<Frame>) {
        let (frames, line) = mpsc::channel(FRAMES_WAITING);
        (Self(frames), line)
    }

    /// Hands one in, when there is room. False where nobody hears it any more.
    pub(super) async fn send(&self, kind: Kind, bytes: Vec<u8>) -> bool {
        self.0.send((kind, bytes)).await.is_ok()
    }

    /// Waits until one can be handed in. None where nobody hears it any more.
    pub(super) async fn room(&self) -> Option<mpsc::Permit<'_, Frame>> {
        self.0.reserve().await.ok()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    fn over(bytes: Vec<u8>) -> From {
        Line::new(Box::new(std::io::Cursor::new(bytes)), Box::new(tokio::io::sink())).from
    }

    fn block<T>(future: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(future)
    }

    proptest! {
        /// Whatever comes: frames, an error or the end, in bounded memory.
        #[test]
        fn anything_may_come(bytes in vec(any::<u8>(), 0..300)) {
            block(async {
                let mut from = over(bytes.clone());
                while let Ok(Some((_, payload))) = from.next().await {
                    prop_assert!(payload.len() <= bytes.len());
                }
                Ok(())
            })?;
        }

        #[test]
        fn frames_arrive_whole_however_they_are_cut(
            frames in vec(vec(any::<u8>(), 0..50), 1..5),
            cut in 1..20_usize,
        ) {
            block(async {
                let (ours, theirs) = tokio::io::duplex(cut);
                let (from, _) = tokio::io::split(ours);
                let mut from = Line::new(Box::new(from), Box::new(tokio::io::sink())).from;
                let sent = frames.clone();
                let task = tokio::spawn(async move {
                    let mut to = To(Box::new(theirs));
                    for frame in &sent {
                        to.send(Kind::Stdout, frame).await.unwrap();
                    }
                });
                for frame in frames {
                    // Given up and taken up again in the middle.
                    let got = loop {
                        if let Ok(got) = tokio::time::timeout(Duration::from_micros(1), from.next()).await {
                            break got.unwrap();
                        }
                    };
                    prop_assert_eq!(got, Some((Kind::Stdout, frame)));
                }
                prop_assert!(from.next().await.unwrap().is_none());
                task.await.unwrap();
                Ok(())
            })?;
        }
    }
}
