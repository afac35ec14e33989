//! `aecl log accept-loss`: a record whose end is lost goes on from where it ends now, and one that is gone begins anew.

use super::mend::{Record, done};
use crate::cli::{Common, Result};
use serde_json::json;

pub(super) fn run(common: &Common) -> Result {
    let record = Record::of_lost(common)?;
    if record.accept_lost()? {
        record.note("loss_accepted", |_| {
            "the whole record was missing; it is lost, and that was accepted".into()
        })?;
        let text = "a new record begins; what stood in the old one is lost";
        return done(common, &json!({ "accepted": true, "entries": 0 }), text);
    }
    let record = Record::of(common, "there is nothing to accept")?;
    let Some(missing) = record.accept_lost_end()? else {
        let told = json!({ "accepted": false, "entries": null });
        return done(common, &told, "nothing is missing that AECL knows of");
    };
    let size = record.note("loss_accepted", |size| {
        format!("{missing} was missing; what stood after entry {size} is lost, and that was accepted")
    })?;
    let text = format!("the record goes on after {size} entries; what stood there is lost");
    done(common, &json!({ "accepted": true, "entries": size }), &text)
}
