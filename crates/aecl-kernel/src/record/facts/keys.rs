//! Keys that know what stands under them: one for each kind of fact. Whoever looks for a meter under the key of a rate
//! does not find an unused budget, but gets no program.
//!
//! ```compile_fail
//! use aecl_kernel::base::id::RunId;
//! use aecl_kernel::record::facts::{FactStore, keys};
//! use aecl_kernel::record::usage::Meter;
//! fn misplaced<S: FactStore>(store: &mut S, run: RunId, meter: Meter) {
//!     store.put(keys::Run(run), meter);
//! }
//! ```

use super::{ActionFact, Fact, FactKey, KillScope, RunFact, Used};
use crate::base::digest::Digest;
use crate::base::id::{ActionId, AgentId, ApprovalId, RunId};
use crate::base::time::Timestamp;
use crate::define::catalogue::Effect;
use crate::provenance::ingest::Endorsement;
use crate::record::approval::ApprovalRequest;

/// The key of one kind of fact.
pub trait TypedKey {
    /// What stands there.
    type Value;
    /// The key as it is stored.
    fn key(self) -> FactKey;
    /// What stands there, as it is stored.
    fn fact(value: Self::Value) -> Fact;
    /// What is stored there, if it is of this kind.
    fn value(fact: Fact) -> Option<Self::Value>;
}

macro_rules! keys {
    ($($name:ident($($part:ident: $of:ty),+) => $value:ty),+ $(,)?) => {$(
        #[doc = concat!("Key of a [`Fact::", stringify!($name), "`].")]
        #[derive(Debug, Clone)]
        pub struct $name($(pub $of),+);

        impl TypedKey for $name {
            type Value = $value;

            fn key(self) -> FactKey {
                let Self($($part),+) = self;
                FactKey::$name($($part),+)
            }

            fn fact(value: $value) -> Fact {
                Fact::$name(value)
            }

            fn value(fact: Fact) -> Option<$value> {
                match fact {
                    Fact::$name(value) => Some(value),
                    _ => None,
                }
            }
        }
    )+};
}

keys! {
    Run(run: RunId) => RunFact,
    Goal(run: RunId) => crate::record::goal::Goal,
    Kill(scope: KillScope) => super::Kill,
    Meter(name: String) => crate::record::usage::Meter,
    Rate(name: String) => crate::record::usage::Rate,
    Active(agent: AgentId) => u64,
    Idempotency(run: RunId, key: String) => Used,
    AskOf(digest: Digest) => ApprovalId,
    Approval(id: ApprovalId) => ApprovalRequest,
    Open(id: ApprovalId) => Timestamp,
    Summary(id: ApprovalId) => Box<crate::record::approval::Summary>,
    Plan(id: ApprovalId) => crate::record::goal::ProposedPlan,
    Action(id: ActionId) => Box<ActionFact>,
    InFlight(id: ActionId) => Timestamp,
    Revoked(token: String) => Timestamp,
    Trust(run: RunId, atom: Digest) => Vec<Endorsement>,
    Issued(run: RunId, value: Digest) => crate::record::begun::Issuers,
    Calls(run: RunId, action: String) => u64,
    Sum(name: String) => crate::record::history::Sum,
    Known(name: String) => Timestamp,
}

/// Key of [`Fact::Cages`].
#[derive(Debug, Clone)]
pub struct Cages;

impl TypedKey for Cages {
    type Value = crate::define::isolation::HostIsolation;

    fn key(self) -> FactKey {
        FactKey::Cages
    }

    fn fact(value: Self::Value) -> Fact {
        Fact::Cages(value)
    }

    fn value(fact: Fact) -> Option<Self::Value> {
        match fact {
            Fact::Cages(cages) => Some(cages),
            _ => None,
        }
    }
}

/// Those of them that acted on these things, which the goal names.
pub fn calls_on(run: &RunId, action: &str, kind: Option<Effect>, named: &Digest) -> Calls {
    let Calls(run, all) = calls(run, action, kind);
    Calls(run, format!("{all}@{}", named.hex()))
}

/// The calls of an action in a run; where it has cases, those of one kind: to look three times is not to delete three times.
pub fn calls(run: &RunId, action: &str, kind: Option<Effect>) -> Calls {
    Calls(run.clone(), kind.map_or_else(|| action.to_owned(), |kind| format!("{action}#{}", kind.name())))
}
