//! A ledger that is too long to be compared before the first decision is compared while the first ones are made. Where it
//! differs, everything stops: what was decided until then is on record, and so is that it may rest on what somebody edited.

use crate::error::GateError;
use crate::gate::Gate;
use aecl_kernel::base::code;
use aecl_ledger::store::Store;
use aecl_ledger::{LedgerError, verify_facts};
use std::sync::Arc;
use tokio::sync::oneshot;

/// What came of the comparison.
struct Compared {
    facts: Result<Option<String>, LedgerError>,
    payloads: Result<Option<String>, LedgerError>,
}

fn compare(view: &dyn Store) -> Compared {
    let facts = || {
        // Of one moment: others write meanwhile.
        let mut store = view.snapshot()?;
        Ok(verify_facts(&mut *store)?.in_words())
    };
    Compared { facts: facts(), payloads: crate::payloads::compare(view, u64::MAX) }
}

impl Gate {
    /// Compares, and heeds what comes of it. Nobody waits for it.
    pub(crate) fn compare_later(&self) -> Result<(), GateError> {
        if self.home().is_none() {
            return Ok(());
        }
        tracing::info!("this ledger is long: it is compared with what stands beside it while AECL runs");
        let (view, gate) = (self.ledger().reader()?, Arc::downgrade(&self.0));
        let (tell, told) = oneshot::channel();
        // A thread of its own: a runtime that ends would wait for one of its.
        let compared = move || drop(tell.send(compare(&*view)));
        std::thread::Builder::new().name("compare".into()).spawn(compared).map_err(|error| {
            LedgerError::Stopped(format!("the thread that compares it cannot start: {error}"))
        })?;
        tokio::spawn(async move {
            let told = told.await;
            let Some(gate) = gate.upgrade().map(Gate) else { return };
            match told {
                Ok(compared) => gate.heed(compared).await,
                Err(_) => gate.ledger().stop("the comparison of the ledger with its facts has panicked"),
            }
        });
        Ok(())
    }

    async fn heed(&self, compared: Compared) {
        match compared.facts {
            Ok(None) => tracing::info!("what decisions are made from is what the ledger says"),
            Ok(Some(differs)) => {
                let error = LedgerError::FactsDiffer(differs);
                let message = format!("{error}; nothing is done any more");
                // It stops either way.
                drop(self.ledger().fault(code::FACTS_DIFFER.as_str(), message, self.now()).await);
                self.ledger().stop(&format!(
                    "[{}] {error}; keep a copy of data/ and find out who changed it, then `aecl log rebuild-facts`",
                    code::FACTS_DIFFER
                ));
                return;
            }
            Err(error) => {
                self.ledger().stop(&format!("the ledger cannot be compared with its facts: {error}"));
                return;
            }
        }
        match compared.payloads {
            Ok(None) => {}
            // It goes on, as at a start.
            Ok(Some(differs)) => drop(self.say_of_payloads(&differs).await),
            Err(error) => {
                tracing::warn!(%error, "payloads cannot be compared with what the entries commit to")
            }
        }
    }

    /// A start goes on without payloads, since what is taken from them is compared with what was committed to before it
    /// counts; it says so where it is read.
    pub(crate) async fn say_of_payloads(&self, differs: &str) -> Result<(), GateError> {
        let message = format!("payloads are not what the entries commit to: {differs}");
        tracing::error!("{message}; `aecl log verify` says more");
        self.0.ledger.fault("payloads_differ", message, self.now()).await?;
        Ok(())
    }
}
