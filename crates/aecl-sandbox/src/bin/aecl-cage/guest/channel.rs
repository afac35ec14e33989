//! The line to the host: a virtual serial port, or a socket between the machines.

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::sleep;
use std::time::Duration;

use super::prepare::{Line, Settings};
use crate::frame::{self, Kind};
use crate::wire::Order;
use crate::{Fault, Step, sys};

/// How often a port is looked for, ten milliseconds apart. The host gives up long before.
const TRIES: u32 = 3_000;

pub fn open(settings: &Settings) -> Result<(Incoming, Arc<Outgoing>), Fault> {
    let line = match settings.line {
        Line::Serial => OpenOptions::new().read(true).write(true).open(port()?).step("opening the port")?,
        Line::Vsock => super::file(sys::accept_vsock(frame::VSOCK_PORT).step("listening on vsock")?),
    };
    let incoming = Incoming(line.try_clone().step("opening the line")?);
    Ok((incoming, Arc::new(Outgoing(Mutex::new(line)))))
}

/// The port with our name, once the driver has found it.
fn port() -> Result<PathBuf, Fault> {
    for _ in 0..TRIES {
        for entry in fs::read_dir("/sys/class/virtio-ports").into_iter().flatten().flatten() {
            let name = fs::read_to_string(entry.path().join("name")).unwrap_or_default();
            if name.trim() == frame::SERIAL_NAME {
                return Ok(PathBuf::from("/dev").join(entry.file_name()));
            }
        }
        sleep(Duration::from_millis(10));
    }
    Err(Fault { step: "finding the port".into(), errno: 2 })
}

/// What the host says.
pub struct Incoming(File);

impl Incoming {
    pub fn next(&mut self) -> Result<(Kind, Vec<u8>), Fault> {
        let mut header = [0; frame::HEADER];
        self.fill(&mut header)?;
        let (kind, length) =
            frame::parse(header).map_err(|_| Fault { step: "understanding the host".into(), errno: 22 })?;
        let mut bytes = vec![0; length];
        self.fill(&mut bytes)?;
        Ok((kind, bytes))
    }

    /// Reads all of it. A port on whose other end nobody is yet has nothing to read, which looks like its
    /// end.
    fn fill(&mut self, mut buffer: &mut [u8]) -> Result<(), Fault> {
        let mut empty = 0;
        while !buffer.is_empty() {
            match self.0.read(buffer) {
                Ok(0) if empty == TRIES => {
                    return Err(Fault { step: "hearing the host".into(), errno: 32 });
                }
                Ok(0) => {
                    empty += 1;
                    sleep(Duration::from_millis(10));
                }
                Ok(count) => buffer = buffer.get_mut(count..).unwrap_or_default(),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error).step("hearing the host"),
            }
        }
        Ok(())
    }

    pub fn order(&mut self) -> Result<Order, Fault> {
        let bad = |errno| Fault { step: "understanding the order".into(), errno };
        let mut bytes = Vec::new();
        loop {
            match self.next()? {
                (Kind::Order, part) if bytes.len() + part.len() <= frame::ORDER_MAX => bytes.extend(part),
                (Kind::Order, _) => return Err(bad(7)),
                (Kind::OrderEnd, _) => return Order::decode(&bytes).map_err(|_| bad(22)),
                _ => return Err(bad(71)),
            }
        }
    }

    pub fn again(&self) -> Result<Self, Fault> {
        self.0.try_clone().map(Self).step("opening the line")
    }
}

/// What the host hears. Several threads speak, one frame at a time.
pub struct Outgoing(Mutex<File>);

impl Outgoing {
    pub fn send(&self, kind: Kind, bytes: &[u8]) -> Result<(), Fault> {
        let mut line = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let whole = [&frame::header(kind, bytes.len())[..], bytes].concat();
        line.write_all(&whole).step("speaking to the host")
    }
}
