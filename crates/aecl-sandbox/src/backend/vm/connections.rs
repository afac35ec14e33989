//! The connections that a program in a machine makes to the listener in its cage, carried over the line to the agent.
//!
//! Each has a number of the agent's and a window in both directions: who sent that much waits until the other end
//! has passed some of it on. So of what the machine says no more than [`CONNECTIONS_MAX`] windows are kept, and a
//! connection that nobody reads holds up no other. A number is free again when both ends have said that they closed it:
//! until ours is said, whoever carries the connection is still there, however long the agent reads nothing.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, ReadHalf, WriteHalf, duplex, split};
use tokio::sync::{Semaphore, mpsc, oneshot};

use super::line::Frames;
use crate::protocol::frame::{self, CONNECTIONS_MAX, INPUT, Kind, WINDOW};
use crate::protocol::nonsense;

/// How much is read at once.
pub(super) const CHUNK: usize = 16 << 10;

/// A number that is not free.
enum Known {
    Open(Open),
    /// The agent has closed it. The number is free when we have said that we did, too.
    Closing(Arc<AtomicBool>),
}

/// One that the agent has not closed.
struct Open {
    /// To whoever passes it on: a window of bytes, so never full. None when the agent has said that no more come.
    said: Option<DuplexStream>,
    /// How much came and was not passed on yet. Never more than the window.
    waiting: Arc<AtomicU64>,
    credit: Arc<Credit>,
    /// Whether we have said that we closed it.
    closed: Arc<AtomicBool>,
    /// Dropped when the agent has closed it.
    _alive: oneshot::Sender<()>,
}

/// All connections of one machine, and its program's input, which is under the same kind of window.
pub(super) struct Connections {
    known: BTreeMap<u64, Known>,
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

    /// Takes one frame. Waits for nobody.
    ///
    /// # Errors
    /// When it makes no sense at this point.
    pub(super) async fn hear(&mut self, kind: Kind, payload: &[u8]) -> io::Result<()> {
        let (number, rest) = frame::numbered(payload).map_err(|_| nonsense("no connection's number"))?;
        match (kind, rest.is_empty()) {
            (Kind::Open, true) => self.open(number),
            (Kind::Data, false) => self.data(number, rest).await,
            (Kind::Shut, true) => match self.find(number)?.said.take() {
                Some(_) => Ok(()),
                None => Err(nonsense("the last byte of a connection again")),
            },
            (Kind::Close, true) => {
                let closed = self.find(number)?.closed.clone();
                self.known.insert(number, Known::Closing(closed));
                Ok(())
            }
            (Kind::Taken, false) => {
                let count = frame::count(rest).map_err(|_| nonsense("no count"))?;
                if number == INPUT { self.input.taken(count) } else { self.find(number)?.credit.taken(count) }
            }
            _ => Err(nonsense("this of a connection")),
        }
    }

    /// One that the agent may speak of.
    fn find(&mut self, number: u64) -> io::Result<&mut Open> {
        match self.known.get_mut(&number) {
            Some(Known::Open(open)) => Ok(open),
            Some(Known::Closing(_)) | None => Err(nonsense("a number of no connection")),
        }
    }

    fn is_free(&self, number: u64) -> bool {
        match self.known.get(&number) {
            Some(Known::Open(_)) => false,
            Some(Known::Closing(closed)) => closed.load(Ordering::Acquire),
            None => number < CONNECTIONS_MAX,
        }
    }

    fn open(&mut self, number: u64) -> io::Result<()> {
        let Some(served) = &self.served else { return Err(nonsense("a connection to no listener")) };
        if !self.is_free(number) {
            return Err(nonsense("a connection with a number that it cannot have"));
        }
        let (said, inward) = duplex(usize::try_from(WINDOW).unwrap_or(CHUNK));
        let (_alive, gone) = oneshot::channel();
        let carried = Carried {
            number,
            frames: self.frames.clone(),
            waiting: Arc::default(),
            credit: Credit::new(),
            closed: Arc::default(),
        };
        let open = Open {
            said: Some(said),
            waiting: carried.waiting.clone(),
            credit: carried.credit.clone(),
            closed: carried.closed.clone(),
            _alive,
        };
        let (ours, theirs) = duplex(CHUNK);
        // Where nobody serves it any more, it closes at once.
        let ours = served.try_send(theirs).is_ok().then_some(ours);
        tokio::spawn(carried.carry(ours, inward, gone));
        self.known.insert(number, Known::Open(open));
        Ok(())
    }

    async fn data(&mut self, number: u64, bytes: &[u8]) -> io::Result<()> {
        let open = self.find(number)?;
        let Some(said) = &mut open.said else {
            return Err(nonsense("more of a connection after its last byte"));
        };
        let length = bytes.len() as u64;
        if open.waiting.fetch_add(length, Ordering::AcqRel).saturating_add(length) > WINDOW {
            return Err(nonsense("more of a connection than fits its window"));
        }
        // There is room for a window. Nobody takes it who has closed the connection; the agent has not heard of
        // that yet.
        let _ = said.write_all(bytes).await;
        Ok(())
    }
}

/// One connection, between the line and who serves it.
struct Carried {
    number: u64,
    frames: Frames,
    waiting: Arc<AtomicU64>,
    credit: Arc<Credit>,
    closed: Arc<AtomicBool>,
}

impl Carried {
    async fn carry(self, ours: Option<DuplexStream>, said: DuplexStream, gone: oneshot::Receiver<()>) {
        if let Some(ours) = ours {
            let (from, to) = split(ours);
            let outward = async {
                tokio::select! {
                    biased;
                    // The agent has closed it, so nobody hears more. What it said before is still passed on.
                    _ = gone => {}
                    () = self.outward(from) => {}
                }
            };
            tokio::join!(outward, self.inward(to, said));
        } else {
            drop(said);
        }
        // Nothing of it is kept while this waits. The number is free before the agent can hear so.
        if let Some(room) = self.frames.room().await {
            self.closed.store(true, Ordering::Release);
            room.send((Kind::Close, frame::number(self.number, &[])));
        }
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
    async fn inward(&self, mut to: WriteHalf<DuplexStream>, mut said: DuplexStream) {
        let mut buffer = vec![0; CHUNK];
        while let Ok(count @ 1..) = said.read(&mut buffer).await {
            if to.write_all(buffer.get(..count).unwrap_or_default()).await.is_err() {
                return;
            }
            let count = count as u64;
            self.waiting.fetch_sub(count, Ordering::AcqRel);
            self.frames.send(Kind::Taken, frame::number(self.number, &count.to_le_bytes())).await;
        }
        let _ = to.shutdown().await;
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

    /// Hears one frame and lets whoever carries do what it can. Ours are the only tasks of the runtime.
    async fn hear(connections: &mut Connections, kind: Kind, number: u64, rest: &[u8]) -> io::Result<()> {
        let heard = connections.hear(kind, &frame::number(number, rest)).await;
        for _ in 0..8 {
            tokio::task::yield_now().await;
        }
        heard
    }

    fn tasks() -> u64 {
        tokio::runtime::Handle::current().metrics().num_alive_tasks() as u64
    }

    /// What was said of all connections and not passed on.
    fn held(connections: &Connections) -> u64 {
        let waiting = |known: &Known| match known {
            Known::Open(open) => open.waiting.load(Ordering::Acquire),
            Known::Closing(_) => 0,
        };
        connections.known.values().map(waiting).sum()
    }

    fn block<T>(future: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(future)
    }

    #[tokio::test]
    async fn a_connection_goes_both_ways_and_its_number_is_free_when_both_ends_have_closed_it() {
        let (mut all, mut listener, mut said) = machine();
        for _ in 0..3 {
            hear(&mut all, Kind::Open, 5, &[]).await.unwrap();
            let mut stream = listener.recv().await.unwrap();
            assert!(hear(&mut all, Kind::Open, 5, &[]).await.is_err(), "the number is taken");
            hear(&mut all, Kind::Data, 5, b"asked").await.unwrap();
            hear(&mut all, Kind::Shut, 5, &[]).await.unwrap();
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
            hear(&mut all, Kind::Close, 5, &[]).await.unwrap();
            assert!(hear(&mut all, Kind::Data, 5, b"x").await.is_err());
        }
    }

    #[tokio::test]
    async fn what_comes_before_the_agent_hears_of_our_end_is_nobodys_and_no_more_than_a_window() {
        let (mut all, mut listener, mut said) = machine();
        hear(&mut all, Kind::Open, 5, &[]).await.unwrap();
        drop(listener.recv().await.unwrap());
        hear(&mut all, Kind::Data, 5, b"asked").await.unwrap();
        assert_eq!(said.recv().await, Some((Kind::Shut, frame::number(5, &[]))));
        assert_eq!(said.recv().await, Some((Kind::Close, frame::number(5, &[]))));
        assert_eq!(tasks(), 0);
        let rest = usize::try_from(WINDOW).unwrap() - b"asked".len();
        hear(&mut all, Kind::Data, 5, &vec![1; rest]).await.unwrap();
        assert!(hear(&mut all, Kind::Data, 5, b"x").await.is_err());
        assert!(hear(&mut all, Kind::Open, 5, &[]).await.is_err());
        hear(&mut all, Kind::Close, 5, &[]).await.unwrap();
        hear(&mut all, Kind::Open, 5, &[]).await.unwrap();
    }

    #[tokio::test]
    async fn after_its_last_byte_the_agent_says_neither_more_nor_that_again() {
        for (kind, rest) in [(Kind::Shut, &[][..]), (Kind::Data, b"x")] {
            let (mut all, _listener, _said) = machine();
            hear(&mut all, Kind::Open, 5, &[]).await.unwrap();
            hear(&mut all, Kind::Shut, 5, &[]).await.unwrap();
            assert!(hear(&mut all, kind, 5, rest).await.is_err(), "{kind:?}");
        }
    }

    #[tokio::test]
    async fn an_agent_that_reads_nothing_has_no_more_connections_than_one_that_does() {
        let (mut all, mut listener, mut said) = machine();
        let piece = vec![7; usize::try_from(WINDOW).unwrap()];
        let mut refused = 0;
        for number in (0..CONNECTIONS_MAX).cycle().take(500) {
            if hear(&mut all, Kind::Open, number, &[]).await.is_err() {
                refused += 1;
                continue;
            }
            drop(listener.recv().await.unwrap());
            hear(&mut all, Kind::Data, number, &piece).await.unwrap();
            hear(&mut all, Kind::Close, number, &[]).await.unwrap();
            assert!(tasks() <= CONNECTIONS_MAX, "{} of them are carried", tasks());
        }
        assert!(refused > 300, "{refused}");
        // Now it reads. Of each it hears once that it is closed, and its number is free.
        let mut closed = 0;
        while tasks() > 0 || !said.is_empty() {
            closed += u64::from(said.recv().await.unwrap().0 == Kind::Close);
            tokio::task::yield_now().await;
        }
        assert_eq!(closed, 500 - refused);
        for number in 0..CONNECTIONS_MAX {
            hear(&mut all, Kind::Open, number, &[]).await.unwrap();
        }
    }

    /// In the memory of this process, others' tests included, so by a large margin.
    #[tokio::test]
    async fn a_window_of_single_bytes_takes_no_more_memory_than_one_of_large_pieces() {
        let resident = || -> u64 {
            let pages = std::fs::read_to_string("/proc/self/statm").unwrap();
            pages.split(' ').nth(1).unwrap().parse::<u64>().unwrap() * 4_096
        };
        let (mut all, _listener, _said) = machine();
        let before = resident();
        for number in 0..16 {
            hear(&mut all, Kind::Open, number, &[]).await.unwrap();
            let byte = frame::number(number, b"x");
            for _ in 0..WINDOW {
                all.hear(Kind::Data, &byte).await.unwrap();
            }
        }
        let grown = resident().saturating_sub(before);
        assert!(grown < 24 << 20, "{grown} bytes for {}", 16 * WINDOW);
    }

    /// On threads of their own, which meet at every point.
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_number_is_free_as_soon_as_the_agent_hears_so() {
        let (mut all, listener, mut said) = machine();
        drop(listener);
        for _ in 0..5_000 {
            all.hear(Kind::Open, &frame::number(5, &[])).await.unwrap();
            all.hear(Kind::Close, &frame::number(5, &[])).await.unwrap();
            assert_eq!(said.recv().await, Some((Kind::Close, frame::number(5, &[]))));
        }
    }

    #[tokio::test]
    async fn who_does_not_read_is_sent_a_window_and_no_more() {
        let (mut all, mut listener, mut said) = machine();
        hear(&mut all, Kind::Open, 0, &[]).await.unwrap();
        let stream = listener.recv().await.unwrap();
        let piece = vec![7; CHUNK];
        let pieces = usize::try_from(WINDOW).unwrap() / CHUNK;
        // Who serves it has a buffer, too.
        for _ in 0..=pieces {
            hear(&mut all, Kind::Data, 0, &piece).await.unwrap();
        }
        assert!(hear(&mut all, Kind::Data, 0, b"x").await.is_err());
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
        assert!(hear(&mut all, Kind::Taken, 0, &(WINDOW + 1).to_le_bytes()).await.is_err());
        hear(&mut all, Kind::Taken, 0, &1_000_u64.to_le_bytes()).await.unwrap();
        sending.abort();
        // The agent closes it when nobody is left who reads.
        drop(from);
        hear(&mut all, Kind::Close, 0, &[]).await.unwrap();
        while said.recv().await.unwrap().0 != Kind::Close {}
    }

    #[tokio::test]
    async fn who_connects_when_nobody_serves_any_more_is_closed_at_once() {
        let (mut all, listener, mut said) = machine();
        drop(listener);
        hear(&mut all, Kind::Open, 63, &[]).await.unwrap();
        assert_eq!(said.recv().await, Some((Kind::Close, frame::number(63, &[]))));
        assert!(hear(&mut all, Kind::Open, CONNECTIONS_MAX, &[]).await.is_err());
        let mut nobody = Connections::new(Frames::channel().0, None);
        assert!(hear(&mut nobody, Kind::Open, 0, &[]).await.is_err());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        /// Whatever comes from an agent that reads nothing: an error or a frame of a connection, never more than
        /// there may be.
        #[test]
        fn anything_may_come(
            frames in vec((0..9_usize, 0..70_u64, vec(any::<u8>(), 0..12), any::<bool>()), 0..1_000),
            odd in vec(any::<u8>(), 0..10),
        ) {
            block(async {
                let (mut all, mut listener, _said) = machine();
                let kinds = [
                    Kind::Open, Kind::Open, Kind::Data, Kind::Shut, Kind::Taken, Kind::Bye,
                    Kind::Close, Kind::Close, Kind::Close,
                ];
                for (kind, number, mut rest, plain) in frames {
                    if plain {
                        rest = if kinds[kind] == Kind::Data { vec![1; 10_000] } else { Vec::new() };
                    }
                    let _ = hear(&mut all, kinds[kind], number, &rest).await;
                    drop(listener.try_recv());
                    prop_assert!(all.known.len() as u64 <= CONNECTIONS_MAX);
                    prop_assert!(tasks() <= CONNECTIONS_MAX, "{} of them are carried", tasks());
                    prop_assert!(held(&all) <= CONNECTIONS_MAX * WINDOW);
                }
                let _ = all.hear(Kind::Data, &odd).await;
                Ok(())
            })?;
        }
    }
}
