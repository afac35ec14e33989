//! `aecl serve`.

use super::{Common, Error, Exit, Result, runtime};
use crate::http::Host;
use aecl_gate::config::Home;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

/// Arguments.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Where to listen, instead of what aecl.yaml says.
    #[arg(long, value_name = "ADDR")]
    listen: Option<String>,
}

/// Runs it.
pub fn run(common: &Common, args: Args) -> Result {
    runtime()?.block_on(serve(common, args))
}

async fn serve(common: &Common, args: Args) -> Result {
    let home = Home::new(&common.dir);
    let address = match args.listen {
        Some(address) => address,
        None => home.read()?.listen,
    };
    let tcp = TcpListener::bind(&address).await.map_err(|e| {
        Error::new(format!("cannot listen on `{address}`: {e}")).hint("choose another with `--listen`")
    })?;
    let host = Host::start(home, Some(tcp)).await?;
    let signals = |kind| signal(kind).map_err(|e| Error::new(format!("signals cannot be caught: {e}")));
    let (mut term, mut int) = (signals(SignalKind::terminate())?, signals(SignalKind::interrupt())?);
    tokio::select! {
        _ = term.recv() => {}
        _ = int.recv() => {}
    }
    host.stop().await;
    Ok(Exit::Done)
}
