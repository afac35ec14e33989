//! The names of the kinds of entries, once.

use super::Event;

macro_rules! kinds {
    ($($event:ident = $name:literal,)*) => {
        impl Event {
            /// All kinds, as entries write them.
            pub const KINDS: &[&str] = &[$($name),*];

            /// The kind, as entries write it.
            pub fn kind(&self) -> &'static str {
                match self {
                    $(Event::$event(_) => $name,)*
                }
            }
        }
    };
}

kinds! {
    BundleLoaded = "bundle_loaded",
    SandboxProbed = "sandbox_probed",
    RunOpened = "run_opened",
    RunClosed = "run_closed",
    TokenIssued = "token_issued",
    TokenRevoked = "token_revoked",
    Ruled = "ruled",
    Asked = "asked",
    Answered = "answered",
    Expired = "expired",
    Withdrawn = "withdrawn",
    Started = "started",
    Concluded = "concluded",
    Kill = "kill",
    Lift = "lift",
    BudgetAdjusted = "budget_adjusted",
    Erased = "erased",
    KeyChanged = "key_changed",
    Heartbeat = "heartbeat",
    Fault = "fault",
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn what_reads_entries_knows_the_same_kinds() {
        let why = serde_json::from_str::<Event>(r#"{"kind":"none"}"#).unwrap_err().to_string();
        let known = why.split_once("expected one of ").unwrap().1;
        let known: Vec<&str> = known.split(" at line ").next().unwrap().split(", ").collect();
        let ours: Vec<String> = Event::KINDS.iter().map(|kind| format!("`{kind}`")).collect();
        assert_eq!(known, ours);
    }
}
