//! A payments service of its own process, with a book of its own: what AECL protects in the demo and in the
//! examples. It knows nothing of AECL.

mod book;
mod desk;

use crate::Error;
use book::Book;
use std::io::Write as _;
use std::path::Path;
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpListener;

/// Serves this book at this address, to callers with the key in the file, until the process is told to end, or, with a
/// parent, until standard input ends. The first line on standard output is the address.
///
/// # Errors
/// When a file cannot be read, or the address is taken.
pub async fn serve(book: &Path, key_file: &Path, listen: &str, with_parent: bool) -> Result<(), Error> {
    let key = std::fs::read_to_string(key_file)
        .map_err(|e| Error::new(format!("cannot read `{}`: {e}", key_file.display())))?;
    let book = Book::open(book)?;
    let fail = |e: std::io::Error| Error::new(format!("cannot listen on `{listen}`: {e}"));
    let listener = TcpListener::bind(listen).await.map_err(fail)?;
    let address = listener.local_addr().map_err(fail)?;
    let mut out = std::io::stdout();
    drop(writeln!(out, "{address}").and_then(|()| out.flush()));
    let end = async move {
        if with_parent {
            drop(tokio::io::stdin().read_to_end(&mut Vec::new()).await);
        } else {
            drop(tokio::signal::ctrl_c().await);
        }
    };
    axum::serve(listener, desk::router(book, key.trim()))
        .with_graceful_shutdown(end)
        .await
        .map_err(|e| Error::new(format!("the payments service broke: {e}")))
}
