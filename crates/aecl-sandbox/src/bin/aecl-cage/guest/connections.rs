//! The connections that the program makes to the listener in its cage, carried over the line to the host, where they
//! are served. The host's side says how (`vm/connections.rs`).

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread;
use std::time::Duration;

use super::channel::Outgoing;
use crate::frame::{self, CONNECTIONS_MAX, Kind, WINDOW};
use crate::{Fault, Step};

const CHUNK: usize = 16 << 10;

/// All that are open.
pub struct Connections {
    outgoing: Arc<Outgoing>,
    known: Mutex<BTreeMap<u64, Arc<Connection>>>,
    /// When a number is free again.
    freed: Condvar,
}

struct Connection {
    number: u64,
    socket: TcpStream,
    state: Mutex<State>,
    /// When more may be sent, or the host has closed it.
    moved: Condvar,
}

struct State {
    /// To the thread that writes to the program; an empty piece is the end.
    pieces: Option<mpsc::Sender<Vec<u8>>>,
    /// How much may still be sent.
    window: u64,
    /// Directions that are still carried.
    carried: u8,
    closed_by_us: bool,
    closed_by_host: bool,
}

impl Connections {
    pub fn new(outgoing: &Arc<Outgoing>) -> Arc<Self> {
        Arc::new(Self { outgoing: outgoing.clone(), known: Mutex::default(), freed: Condvar::new() })
    }

    /// Accepts from now on, as long as the machine runs.
    pub fn accept(self: Arc<Self>, listener: TcpListener) -> Result<(), Fault> {
        let work = move || {
            loop {
                let number = self.free_number();
                let Ok((socket, _)) = listener.accept() else {
                    thread::sleep(Duration::from_millis(10));
                    continue;
                };
                self.open(number, socket);
            }
        };
        thread::Builder::new().spawn(work).step("starting a thread").map(drop)
    }

    /// Waits until one is free. Only one thread takes numbers.
    fn free_number(&self) -> u64 {
        let mut known = self.known();
        loop {
            match (0..CONNECTIONS_MAX).find(|number| !known.contains_key(number)) {
                Some(number) => return number,
                None => known = self.freed.wait(known).unwrap_or_else(PoisonError::into_inner),
            }
        }
    }

    fn known(&self) -> MutexGuard<'_, BTreeMap<u64, Arc<Connection>>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn open(self: &Arc<Self>, number: u64, socket: TcpStream) {
        let (pieces, from_host) = mpsc::channel();
        let state = State {
            pieces: Some(pieces),
            window: WINDOW,
            carried: 2,
            closed_by_us: false,
            closed_by_host: false,
        };
        let state = Mutex::new(state);
        let connection = Arc::new(Connection { number, socket, state, moved: Condvar::new() });
        self.known().insert(number, connection.clone());
        self.say(Kind::Open, number, &[]);
        let (all, one) = (self.clone(), connection.clone());
        let outward = move || {
            all.listen_to(&one);
            all.carried(&one);
        };
        let (all, one) = (self.clone(), connection.clone());
        let inward = move || {
            all.speak_to(&one, from_host);
            all.carried(&one);
        };
        for started in [thread::Builder::new().spawn(outward), thread::Builder::new().spawn(inward)] {
            if started.is_err() {
                let _ = connection.socket.shutdown(Shutdown::Both);
                self.carried(&connection);
            }
        }
    }

    fn say(&self, kind: Kind, number: u64, rest: &[u8]) {
        // If the host is gone, so are we soon.
        let _ = self.outgoing.send(kind, &frame::number(number, rest));
    }

    fn listen_to(&self, connection: &Connection) {
        let mut buffer = vec![0; CHUNK];
        while let Ok(count @ 1..) = (&connection.socket).read(&mut buffer) {
            if !connection.wait_for_room(count as u64) {
                return;
            }
            self.say(Kind::Data, connection.number, buffer.get(..count).unwrap_or_default());
        }
        self.say(Kind::Shut, connection.number, &[]);
    }

    fn speak_to(&self, connection: &Connection, pieces: mpsc::Receiver<Vec<u8>>) {
        for piece in pieces {
            if piece.is_empty() {
                let _ = connection.socket.shutdown(Shutdown::Write);
                return;
            }
            if (&connection.socket).write_all(&piece).is_err() {
                return;
            }
            self.say(Kind::Taken, connection.number, &(piece.len() as u64).to_le_bytes());
        }
        // The host has closed it, and everything that it said before has been passed on.
        let _ = connection.socket.shutdown(Shutdown::Both);
    }

    /// One direction is done. After both, we close it.
    fn carried(&self, connection: &Connection) {
        let mut known = self.known();
        let mut state = connection.state();
        state.carried = state.carried.saturating_sub(1);
        if state.carried > 0 || state.closed_by_us {
            return;
        }
        state.closed_by_us = true;
        let is_free = state.closed_by_host;
        drop(state);
        // Before anybody can take the number: the host is to hear of the end of the old one first.
        self.say(Kind::Close, connection.number, &[]);
        if is_free {
            known.remove(&connection.number);
            self.freed.notify_all();
        }
    }

    /// What the host says of a connection. What makes no sense is passed over: it has made us.
    pub fn hear(&self, kind: Kind, payload: &[u8]) {
        let Ok((number, rest)) = frame::numbered(payload) else { return };
        let Some(connection) = self.known().get(&number).cloned() else { return };
        match kind {
            Kind::Data if !rest.is_empty() => connection.pass_on(rest),
            Kind::Shut => connection.pass_on(&[]),
            Kind::Taken => connection.make_room(frame::count(rest).unwrap_or_default()),
            Kind::Close => self.closed(&connection),
            _ => {}
        }
    }

    fn closed(&self, connection: &Connection) {
        let mut known = self.known();
        let mut state = connection.state();
        state.closed_by_host = true;
        state.pieces = None;
        connection.moved.notify_all();
        // What the program still says nobody hears. What the host said last is still to be passed on.
        let _ = connection.socket.shutdown(Shutdown::Read);
        if state.closed_by_us {
            known.remove(&connection.number);
            self.freed.notify_all();
        }
    }
}

impl Connection {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn pass_on(&self, piece: &[u8]) {
        if let Some(pieces) = &self.state().pieces {
            let _ = pieces.send(piece.to_vec());
        }
    }

    fn make_room(&self, count: u64) {
        let mut state = self.state();
        state.window = state.window.saturating_add(count);
        self.moved.notify_all();
    }

    /// False when the host has closed it.
    fn wait_for_room(&self, count: u64) -> bool {
        let mut state = self.state();
        while state.window < count && !state.closed_by_host {
            state = self.moved.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.window = state.window.saturating_sub(count);
        !state.closed_by_host
    }
}
