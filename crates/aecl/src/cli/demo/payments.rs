//! `aecl demo-payments`: the payments service of the demo and of the examples.

use crate::cli::{Exit, Result, runtime};
use std::path::PathBuf;

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

/// Serves until it is ended.
pub fn run(args: &Args) -> Result {
    let served = aecl_demo::payments::serve(&args.book, &args.key_file, &args.listen, args.with_parent);
    runtime()?.block_on(served)?;
    Ok(Exit::Done)
}
