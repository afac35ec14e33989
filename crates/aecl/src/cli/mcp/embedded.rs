//! The gate in this very process, for one client.

use crate::cli::Error;
use crate::mcp::stdio::{self, Hello};
use aecl_gate::Gate;
use aecl_gate::config::Home;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Opens the gate of the home and serves the client on standard input and output.
pub(super) async fn run(home: &Home, hello: Hello) -> Result<(), Error> {
    let gate = Gate::open(home.clone()).await?;
    let (keeper, gate_of_keeper) = (CancellationToken::new(), gate.clone());
    let stop = keeper.clone();
    let keeping = tokio::spawn(async move {
        tokio::select! {
            () = gate_of_keeper.keep_house() => {}
            () = stop.cancelled() => {}
        }
    });
    let shutdown = CancellationToken::new();
    let ending = shutdown.clone();
    tokio::spawn(async move {
        super::attach::told_to_end().await;
        ending.cancel();
    });
    let served = stdio::serve(&gate, hello, tokio::io::stdin(), tokio::io::stdout(), &shutdown).await;
    keeper.cancel();
    drop(keeping.await);
    gate.drain(Duration::from_secs(10)).await;
    served.map_err(|error| {
        let hint = stdio::hint(&error);
        let error = Error::from(error);
        match hint {
            Some(hint) => error.hint(hint),
            None => error,
        }
    })
}
