//! A request has a run of its own, and so has an entry: in an entry the request stands under `ask`, because
//! a key that stands twice is read by everybody as they like.

use crate::record::approval::ApprovalRequest;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

#[derive(Serialize)]
struct Written<'a> {
    ask: &'a ApprovalRequest,
}

#[derive(Deserialize)]
struct Read {
    ask: Box<ApprovalRequest>,
}

pub(super) fn serialize<S: Serializer>(ask: &ApprovalRequest, serializer: S) -> Result<S::Ok, S::Error> {
    Written { ask }.serialize(serializer)
}

pub(super) fn deserialize<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Box<ApprovalRequest>, D::Error> {
    Read::deserialize(deserializer).map(|read| read.ask)
}
