//! **The gate orders.** It takes a proposal through the walk: submit → parse → rule → wait → perform →
//! conclude. Everything that happens to an action is in [`submit`], in order.
//!
//! **Invariant:** it knows no HTTP, no MCP, no HTML, no SQL and no system calls but the one that tells how much time
//! has passed. Its [`clock`] is the only one. A person's yes, a resumed action and a rollback all come through [`Gate::submit`]: there is no
//! second door.

mod answer;
pub mod approvals;
pub mod clock;
mod conclude;
pub mod config;
mod ending;
pub mod error;
pub mod explain;
pub mod gate;
mod hold;
pub mod identity;
mod ids;
mod issued;
mod judges;
pub mod keys;
mod kills;
mod later;
pub mod loader;
mod looks;
pub mod metrics;
pub mod no;
mod open;
mod outputs;
mod passing;
mod payloads;
pub mod plans;
pub mod proposed;
pub mod proxies;
pub mod queue;
pub mod reach;
mod record;
mod recovery;
mod refusals;
pub mod renewals;
mod resources;
mod resume;
pub mod rollback;
pub mod runs;
mod standing;
pub mod status;
pub mod submit;
pub mod tokens;
mod upkeep;
pub mod votes;
mod wait;
pub mod workers;

pub use clock::Clock;
pub use error::GateError;
pub use gate::Gate;
pub use identity::{Identity, ProxyIdentity, Session, WorkerIdentity};
pub use open::Parts;
