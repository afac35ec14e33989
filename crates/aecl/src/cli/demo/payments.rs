//! A payments service of its own process, with a book of its own: what AECL protects in the demo and in the
//! examples. It knows nothing of AECL.

mod book;
mod desk;

use book::Book;

use crate::cli::{Error, Exit, Result, runtime};
use std::io::Write as _;
use std::path::PathBuf;
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpListener;

/// Arguments.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The SQLite file with accounts and transfers; it is made if it is not there.
    #[arg(long, value_name = "FILE")]
    book: PathBuf,
    /// A file with the key that callers must present.
    #[arg(long, value_name = "FILE")]
    key_file: PathBuf,
    /// Where to listen.
    #[arg(long, default_value = "127.0.0.1:7601", value_name = "ADDRESS")]
    listen: String,
    /// End when standard input ends: whoever started the service has gone.
    #[arg(long)]
    with_parent: bool,
}

/// Serves until it is ended. The first line on standard output is the address.
pub fn run(args: &Args) -> Result {
    let key = std::fs::read_to_string(&args.key_file)
        .map_err(|e| Error::new(format!("cannot read `{}`: {e}", args.key_file.display())))?;
    let book = Book::open(&args.book)?;
    let with_parent = args.with_parent;
    runtime()?.block_on(async {
        let fail = |e: std::io::Error| Error::new(format!("cannot listen on `{}`: {e}", args.listen));
        let listener = TcpListener::bind(&args.listen).await.map_err(fail)?;
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
            .map_err(|e| Error::new(format!("the payments service broke: {e}")))?;
        Ok(Exit::Done)
    })
}
