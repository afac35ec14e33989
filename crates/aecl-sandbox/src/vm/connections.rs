//! The connections that a program in a machine makes to the listener in its cage, carried over the line to the agent.
//!
//! Each has a number of the agent's and a window in both directions: who sent that much waits until the other end
//! has passed some of it on. So nothing that the machine says takes more memory than [`CONNECTIONS_MAX`] windows, and a
//! connection that nobody reads holds up no other. A number is free again when both ends have said that they closed it.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, ReadHalf, WriteHalf, duplex, split};
use tokio::sync::{Semaphore, mpsc, oneshot};

use super::frame::{self, CONNECTIONS_MAX, INPUT, Kind, WINDOW};
use super::line::{Frames, nonsense};

/// How much is read at once.
pub(super) const CHUNK: usize = 16 << 10;

/// One that the agent has not closed.
struct Open {
    /// To whoever passes it on; an empty piece is the end of what the program says.
    pieces: mpsc::UnboundedSender<Vec<u8>>,
    /// What came and was not passed on yet. Never more than the window.
    waiting: Arc<AtomicU64>,
    credit: Arc<Credit>,
    /// Dropped when the agent has closed it.
    _alive: oneshot::Sender<()>,
}

/// All connections of one machine, and its program's input, which is under the same kind of window.
pub(super) struct Connections {
    known: BTreeMap<u64, Open>,
    /// Where whoever serves the listener takes them; none where nobody was to listen.
    served: Option<mpsc::Sender<DuplexStream>>,
    frames: Frames,
    pub(super) input: Arc<Credit>,
}

/// How much may still be sent before some of it is taken.
pub(super) struct Credit {
    free: Semaphore,
    on_its_way: AtomicU64,
}

impl Credit {
    pub(super) fn new() -> Arc<Self> {
        let free = Semaphore::new(usize::try_from(WINDOW).unwrap_or(Semaphore::MAX_PERMITS));
        Arc::new(Self { free, on_its_way: AtomicU64::new(0) })
    }

    /// Waits until so much may be sent: no more than a window.
    pub(super) async fn take(&self, count: usize) {
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        if let Ok(permits) = self.free.acquire_many(count).await {
            permits.forget();
            self.on_its_way.fetch_add(u64::from(count), Ordering::AcqRel);
        }
    }

    /// So much was taken.
    ///
    /// # Errors
    /// When more was taken than was sent.
    fn taken(&self, count: u64) -> io::Result<()> {
        let less = |sent: u64| sent.checked_sub(count);
        let known = self.on_its_way.fetch_update(Ordering::AcqRel, Ordering::Acquire, less);
        known.map_err(|_| nonsense("more was taken than was sent"))?;
        self.free.add_permits(usize::try_from(count).unwrap_or_default());
        Ok(())
    }
}

impl Connections {
    pub(super) fn new(frames: Frames, served: Option<mpsc::Sender<DuplexStream>>) -> Self {
        Self { known: BTreeMap::new(), served, frames, input: Credit::new() }
    }

    /// Takes one frame. Never waits.
    ///
    /// # Errors
    /// When it makes no sense at this point.
    pub(super) fn hear(&mut self, kind: Kind, payload: &[u8]) -> io::Result<()> {
        let (number, rest) = frame::numbered(payload).map_err(|_| nonsense("no connection's number"))?;
        match (kind, rest.is_empty()) {
            (Kind::Open, true) => self.open(number),
            (Kind::Data, false) => self.piece(number, rest),
            (Kind::Shut, true) => self.piece(number, rest),
            (Kind::Close, true) => match self.known.remove(&number) {
                Some(_) => Ok(()),
                None => Err(nonsense("the end of no connection")),
            },
            (Kind::Taken, false) => {
                let count = frame::count(rest).map_err(|_| nonsense("no count"))?;
                if number == INPUT { self.input.taken(count) } else { self.find(number)?.credit.taken(count) }
            }
            _ => Err(nonsense("this of a connection")),
        }
    }

    fn find(&self, number: u64) -> io::Result<&Open> {
        self.known.get(&number).ok_or_else(|| nonsense("a number of no connection"))
    }

    fn open(&mut self, number: u64) -> io::Result<()> {
        let Some(served) = &self.served else { return Err(nonsense("a connection to no listener")) };
        if number >= CONNECTIONS_MAX || self.known.contains_key(&number) {
            return Err(nonsense("a connection with a number that it cannot have"));
        }
        let (pieces, inward) = mpsc::unbounded_channel();
        let (_alive, closed) = oneshot::channel();
        let (waiting, credit) = (Arc::new(AtomicU64::new(0)), Credit::new());
        let carried =
            Carried { number, frames: self.frames.clone(), waiting: waiting.clone(), credit: credit.clone() };
        let (ours, theirs) = duplex(CHUNK);
        // Where nobody serves it any more, it closes at once.
        let ours = served.try_send(theirs).is_ok().then_some(ours);
        tokio::spawn(carried.carry(ours, inward, closed));
        self.known.insert(number, Open { pieces, waiting, credit, _alive });
        Ok(())
    }

    fn piece(&mut self, number: u64, bytes: &[u8]) -> io::Result<()> {
        let connection = self.find(number)?;
        let length = bytes.len() as u64;
        if connection.waiting.fetch_add(length, Ordering::AcqRel).saturating_add(length) > WINDOW {
            return Err(nonsense("more of a connection than fits its window"));
        }
        // Nobody takes it who has closed the connection; the agent has not heard of that yet.
        let _ = connection.pieces.send(bytes.to_vec());
        Ok(())
    }
}

/// One connection, between the line and who serves it.
struct Carried {
    number: u64,
    frames: Frames,
    waiting: Arc<AtomicU64>,
    credit: Arc<Credit>,
}

impl Carried {
    async fn carry(
        self,
        ours: Option<DuplexStream>,
        pieces: mpsc::UnboundedReceiver<Vec<u8>>,
        closed: oneshot::Receiver<()>,
    ) {
        if let Some(ours) = ours {
            let (from, to) = split(ours);
            let outward = async {
                tokio::select! {
                    biased;
                    // The agent has closed it, so nobody hears more. What it said before is still passed on.
                    _ = closed => {}
                    () = self.outward(from) => {}
                }
            };
            tokio::join!(outward, self.inward(to, pieces));
        }
        self.frames.send(Kind::Close, frame::number(self.number, &[])).await;
    }

    /// From who serves it to the program.
    async fn outward(&self, mut from: ReadHalf<DuplexStream>) {
        let mut buffer = vec![0; CHUNK];
        while let Ok(count @ 1..) = from.read(&mut buffer).await {
            self.credit.take(count).await;
            let bytes = buffer.get(..count).unwrap_or_default();
            self.frames.send(Kind::Data, frame::number(self.number, bytes)).await;
        }
        self.frames.send(Kind::Shut, frame::number(self.number, &[])).await;
    }

    /// From the program to who serves it.
    async fn inward(&self, mut to: WriteHalf<DuplexStream>, mut pieces: mpsc::UnboundedReceiver<Vec<u8>>) {
        while let Some(piece) = pieces.recv().await {
            if piece.is_empty() {
                let _ = to.shutdown().await;
                return;
            }
            if to.write_all(&piece).await.is_err() {
                return;
            }
            let count = piece.len() as u64;
            self.waiting.fetch_sub(count, Ordering::AcqRel);
            self.frames.send(Kind::Taken, frame::number(self.number, &count.to_le_bytes())).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::super::line::Frame;
    use super::*;

    /// Connections of a machine whose agent we are.
    fn machine() -> (Connections, mpsc::Receiver<DuplexStream>, mpsc::Receiver<Frame>) {
        let (frames, said) = Frames::channel();
        let (served, listener) = mpsc::channel(64);
        (Connections::new(frames, Some(served)), listener, said)
    }

    fn hear(connections: &mut Connections, kind: Kind, number: u64, rest: &[u8]) -> io::Result<()> {
        connections.hear(kind, &frame::number(number, rest))
    }

    fn block<T>(future: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(future)
    }

    #[tokio::test]
    async fn a_connection_goes_both_ways_and_its_number_is_free_when_both_ends_have_closed_it() {
        let (mut all, mut listener, mut said) = machine();
        for _ in 0..3 {
            hear(&mut all, Kind::Open, 5, &[]).unwrap();
            let mut stream = listener.recv().await.unwrap();
            assert!(hear(&mut all, Kind::Open, 5, &[]).is_err(), "the number is taken");
            hear(&mut all, Kind::Data, 5, b"asked").unwrap();
            hear(&mut all, Kind::Shut, 5, &[]).unwrap();
            let mut heard = String::new();
            stream.read_to_string(&mut heard).await.unwrap();
            assert_eq!(heard, "asked");
            stream.write_all(b"answered").await.unwrap();
            drop(stream);
            for (kind, rest) in [
                (Kind::Taken, &5_u64.to_le_bytes()[..]),
                (Kind::Data, b"answered"),
                (Kind::Shut, b""),
                (Kind::Close, b""),
            ] {
                assert_eq!(said.recv().await, Some((kind, frame::number(5, rest))));
            }
            // The agent has not heard of it.
            hear(&mut all, Kind::Data, 5, b"more").unwrap();
            hear(&mut all, Kind::Close, 5, &[]).unwrap();
            assert!(hear(&mut all, Kind::Data, 5, b"x").is_err());
        }
    }

    #[tokio::test]
    async fn who_does_not_read_is_sent_a_window_and_no_more() {
        let (mut all, mut listener, mut said) = machine();
        hear(&mut all, Kind::Open, 0, &[]).unwrap();
        let stream = listener.recv().await.unwrap();
        let piece = vec![7; CHUNK];
        let pieces = usize::try_from(WINDOW).unwrap() / CHUNK;
        (0..pieces).for_each(|_| hear(&mut all, Kind::Data, 0, &piece).unwrap());
        assert!(hear(&mut all, Kind::Data, 0, b"x").is_err());
        // The other way: the agent takes nothing.
        let (from, mut to) = split(stream);
        let sending = tokio::spawn(async move { to.write_all(&vec![1; 1 << 20]).await });
        let mut sent = 0;
        while let Ok(Some((kind, bytes))) =
            tokio::time::timeout(Duration::from_millis(100), said.recv()).await
        {
            if kind == Kind::Data {
                sent += bytes.len() as u64 - 8;
            }
        }
        assert_eq!(sent, WINDOW);
        assert!(hear(&mut all, Kind::Taken, 0, &(WINDOW + 1).to_le_bytes()).is_err());
        hear(&mut all, Kind::Taken, 0, &1_000_u64.to_le_bytes()).unwrap();
        sending.abort();
        // The agent closes it when nobody is left who reads.
        drop(from);
        hear(&mut all, Kind::Close, 0, &[]).unwrap();
        while said.recv().await.unwrap().0 != Kind::Close {}
    }

    #[tokio::test]
    async fn who_connects_when_nobody_serves_any_more_is_closed_at_once() {
        let (mut all, listener, mut said) = machine();
        drop(listener);
        hear(&mut all, Kind::Open, 63, &[]).unwrap();
        assert_eq!(said.recv().await, Some((Kind::Close, frame::number(63, &[]))));
        assert!(hear(&mut all, Kind::Open, CONNECTIONS_MAX, &[]).is_err());
        let mut nobody = Connections::new(Frames::channel().0, None);
        assert!(hear(&mut nobody, Kind::Open, 0, &[]).is_err());
    }

    proptest! {
        /// Whatever comes: an error or a frame of a connection, never more than there may be.
        #[test]
        fn anything_may_come(
            frames in vec((0..6_u8, 0..4_u64, vec(any::<u8>(), 0..12)), 0..60),
            odd in vec(any::<u8>(), 0..10),
        ) {
            block(async {
                let (mut all, _listener, _said) = machine();
                let kinds = [Kind::Open, Kind::Data, Kind::Shut, Kind::Taken, Kind::Close, Kind::Bye];
                for (kind, number, rest) in frames {
                    let _ = hear(&mut all, kinds[usize::from(kind)], number, &rest);
                    prop_assert!(all.known.len() as u64 <= CONNECTIONS_MAX);
                }
                let _ = all.hear(Kind::Data, &odd);
                Ok(())
            })?;
        }
    }
}
