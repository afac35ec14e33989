//! What listens in a cage and is served by us, wherever the cage's loopback is.

use std::io;
use std::net::TcpListener;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::mpsc;

/// Listener on which one caged program, and no other, is served.
#[derive(Debug)]
pub struct Listener(Inner);

#[derive(Debug)]
enum Inner {
    /// On the loopback of a cage of this host; nobody has accepted yet.
    Fresh(TcpListener),
    Here(tokio::net::TcpListener),
    /// On the loopback of a machine: what was accepted there comes over its line.
    Machine(mpsc::Receiver<DuplexStream>),
}

impl Listener {
    /// Connections that somebody else accepts.
    #[cfg(native_cage)]
    pub(crate) fn of_machine(connections: mpsc::Receiver<DuplexStream>) -> Self {
        Self(Inner::Machine(connections))
    }

    /// The next connection. May be given up and asked again. It has to be asked within a runtime of tokio.
    ///
    /// # Errors
    /// When it cannot be accepted: we are out of descriptors, or the other end has gone already.
    pub async fn accept(&mut self) -> io::Result<Connection> {
        if let Inner::Fresh(listener) = &self.0 {
            listener.set_nonblocking(true)?;
            self.0 = Inner::Here(tokio::net::TcpListener::from_std(listener.try_clone()?)?);
        }
        match &mut self.0 {
            Inner::Here(listener) => Ok(Connection(Stream::Socket(listener.accept().await?.0))),
            Inner::Machine(connections) => match connections.recv().await {
                Some(stream) => Ok(Connection(Stream::Machine(stream))),
                // The machine is gone: nobody connects any more.
                None => std::future::pending().await,
            },
            Inner::Fresh(_) => Err(io::ErrorKind::InvalidInput.into()),
        }
    }
}

/// A socket that already listens.
impl From<TcpListener> for Listener {
    fn from(listener: TcpListener) -> Self {
        Self(Inner::Fresh(listener))
    }
}

/// A connection that a caged program made to its listener.
#[derive(Debug)]
pub struct Connection(Stream);

#[derive(Debug)]
enum Stream {
    Socket(TcpStream),
    Machine(DuplexStream),
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        to: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match &mut self.0 {
            Stream::Socket(stream) => Pin::new(stream).poll_read(cx, to),
            Stream::Machine(stream) => Pin::new(stream).poll_read(cx, to),
        }
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match &mut self.0 {
            Stream::Socket(stream) => Pin::new(stream).poll_write(cx, bytes),
            Stream::Machine(stream) => Pin::new(stream).poll_write(cx, bytes),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.0 {
            Stream::Socket(stream) => Pin::new(stream).poll_flush(cx),
            Stream::Machine(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.0 {
            Stream::Socket(stream) => Pin::new(stream).poll_shutdown(cx),
            Stream::Machine(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}
