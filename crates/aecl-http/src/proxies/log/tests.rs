use super::super::words::log::{Duration, Number};
use super::*;

#[test]
fn only_what_surely_did_not_happen_has_failed() {
    use OutcomeKind::{Done, Failed, Unknown};
    let cases = [
        // status, who answered, how often it was sent, what that says
        (200, "via_upstream", 1, Done),
        (204, "via_upstream", 2, Done),
        (303, "via_upstream", 1, Unknown),
        (400, "via_upstream", 1, Failed),
        (404, "via_upstream", 1, Failed),
        (404, "via_upstream", 2, Unknown),
        (408, "via_upstream", 1, Unknown),
        (425, "via_upstream", 1, Unknown),
        (499, "via_upstream", 1, Unknown),
        (500, "via_upstream", 1, Unknown),
        (503, "via_upstream", 1, Unknown),
        // The proxy answers in the target's place.
        (503, "no_healthy_upstream", 0, Failed),
        (404, "route_not_found", 0, Failed),
        (200, "direct_response", 0, Failed),
        (503, "upstream_reset_before_response_started{connection_termination}", 1, Unknown),
        (504, "upstream_response_timeout", 1, Unknown),
        (504, "upstream_response_timeout", 3, Unknown),
        // The agent has gone.
        (0, "downstream_remote_disconnect", 0, Failed),
        (0, "downstream_remote_disconnect", 1, Unknown),
        (70_000, "via_upstream", 1, Unknown),
    ];
    for (status, details, sent, kind) in cases {
        let common = AccessLogCommon {
            time_to_first_upstream_tx_byte: (sent > 0).then(Duration::default),
            upstream_request_attempt_count: sent,
            ..AccessLogCommon::default()
        };
        let response = HttpResponseProperties {
            response_code: (status > 0).then_some(Number { value: status }),
            response_code_details: details.into(),
        };
        let outcome = came_of(&common, &response);
        assert_eq!(outcome.kind, kind, "{status} {details} {sent}: {outcome:?}");
        assert_eq!(outcome.code.is_none(), kind == Done, "{outcome:?}");
    }
}
