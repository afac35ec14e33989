//! The gate in this very process, for one client. The sockets in the data directory are served meanwhile,
//! so that people can answer.

use crate::cli::Error;
use crate::cli::serve::port;
use crate::http::Host;
use crate::http::host::HostError;
use crate::mcp::stdio::{self, AttachRequest};
use aecl_gate::Gate;
use aecl_gate::config::Home;
use tokio_util::sync::CancellationToken;

/// Opens the gate of the home and serves the client on standard input and output.
pub(super) async fn run(home: &Home, hello: AttachRequest) -> Result<(), Error> {
    // The links that the model shows have to lead somewhere.
    let bound = port::bind(home, &home.read()?, None).await?;
    let (at, note) = (bound.at.clone(), bound.note());
    let gate = Gate::open(home.clone()).await.map_err(HostError::from)?;
    gate.listening(&at);
    if let Some(note) = note {
        note.keep(home);
    }
    let host = Host::of(gate, home, Some(bound.listener), None)?;
    let shutdown = CancellationToken::new();
    let ending = shutdown.clone();
    tokio::spawn(async move {
        told_to_end().await;
        ending.cancel();
    });
    let served = stdio::serve(host.gate(), hello, tokio::io::stdin(), tokio::io::stdout(), &shutdown).await;
    host.stop().await;
    served.map_err(|error| {
        let hint = stdio::hint(&error);
        let error = Error::from(error);
        match hint {
            Some(hint) => error.hint(hint),
            None => error,
        }
    })
}

/// Completes when somebody ends this process in good order.
pub(super) async fn told_to_end() {
    use tokio::signal::unix::{SignalKind, signal};
    let (Ok(mut term), Ok(mut int)) = (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
    else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = term.recv() => {}
        _ = int.recv() => {}
    }
}
