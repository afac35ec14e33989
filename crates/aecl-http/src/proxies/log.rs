//! The access log of a proxy: what came of each request that it let through. It is the proxy's word and not the agent's.

use super::check::TOKEN;
use super::words::log::{AccessLogCommon, HttpAccessLogEntry, HttpResponseProperties};
use crate::App;
use aecl_executor::Outcome;
use aecl_executor::connectors::http::is_refusal;
use aecl_gate::ProxyIdentity;
use aecl_kernel::record::event::OutcomeKind;

/// Where the proxy keeps what its filter was given.
const NAMESPACE: &str = "envoy.filters.http.ext_authz";
/// Entries that are the end of a request, or say nothing about that.
const ENDS: [i32; 2] = [0, 6];
/// Who makes answers for the target: the target.
const VIA_UPSTREAM: &str = "via_upstream";

/// Takes an entry, if it is about a call that we have judged.
pub async fn take(app: &App, proxy: &ProxyIdentity, entry: HttpAccessLogEntry) {
    let HttpAccessLogEntry { common_properties, response } = entry;
    let common = common_properties.unwrap_or_default();
    let token =
        common.metadata.as_ref().and_then(|metadata| metadata.filter_metadata.get(NAMESPACE)?.text(TOKEN));
    let Some(token) = token.filter(|_| ENDS.contains(&common.access_log_type)) else { return };
    let outcome = came_of(&common, &response.unwrap_or_default());
    if let Err(error) = app.gate.take_proxied(proxy, token, outcome).await {
        // Nobody hears an answer to an entry of a log. Without it the call ends as unknown, which people see.
        tracing::warn!(proxy = %proxy.id, %error, "what a proxy saw of a call could not be recorded");
    }
}

/// What the proxy saw, read as a target's answer is read anywhere: only what surely did not happen has failed.
fn came_of(common: &AccessLogCommon, response: &HttpResponseProperties) -> Outcome {
    let number = response.response_code.as_ref().map_or(0, |code| code.value);
    let status = u16::try_from(number).ok().filter(|status| (100..600).contains(status));
    let answered = response.response_code_details == VIA_UPSTREAM;
    let sent = common.time_to_first_upstream_tx_byte.is_some() || common.upstream_request_attempt_count > 1;
    let why = &response.response_code_details;
    let (kind, code, message) = match status {
        Some(status) if answered && (200..300).contains(&status) => (OutcomeKind::Done, None, String::new()),
        Some(status) if answered && is_refusal(status) && common.upstream_request_attempt_count <= 1 => {
            (OutcomeKind::Failed, Some("http_status"), format!("the target answered with status {status}"))
        }
        Some(status) if answered => {
            (OutcomeKind::Unknown, Some("http_status"), format!("the target answered with status {status}"))
        }
        _ if !sent => {
            (OutcomeKind::Failed, Some("not_sent"), format!("the proxy sent nothing to the target ({why})"))
        }
        _ => (
            OutcomeKind::Unknown,
            Some("no_answer"),
            format!("the proxy saw no answer of the target ({why})"),
        ),
    };
    Outcome {
        kind,
        code: code.map(str::to_owned),
        message: message.chars().take(400).collect(),
        output: None,
        may_have_acted: false,
        sandbox: "proxy".into(),
        traffic: None,
    }
}

#[cfg(test)]
mod tests;
