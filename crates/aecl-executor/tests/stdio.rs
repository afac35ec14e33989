//! Upstream servers in a child process, tried on a real one with every bad habit.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use aecl_egress::egress::Egress;
use aecl_egress::vault::Vault;
use aecl_executor::connectors::mcp::{
    ClientFace, Era, Handshake, McpConnector, RawReply, Transport, Upstream, UpstreamSpec,
};
use aecl_executor::{Call, CallResult, Connector, fake};
use aecl_kernel::define::connector::ConnectorSpec;
use serde_json::Value;
use serde_json::value::RawValue;
use tokio_util::sync::CancellationToken;

struct World {
    desk: McpConnector,
    upstream: Upstream,
    journal: tempfile::NamedTempFile,
}

fn spec(era: &str, journal: &tempfile::NamedTempFile) -> UpstreamSpec {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/upstream_server.py").to_owned();
    let args = vec!["-u".into(), script, era.into(), journal.path().display().to_string()];
    let env = BTreeMap::from([("GIVEN".to_owned(), "yes".to_owned())]);
    let mut spec = UpstreamSpec::new("tiny", Transport::stdio("python3", args, env));
    spec.message_max_bytes = 200_000;
    spec
}

async fn world(era: &str) -> World {
    let journal = tempfile::NamedTempFile::new().unwrap();
    let how = Handshake::Probe(ClientFace::default());
    let upstream =
        Upstream::connect(spec(era, &journal), how, Egress::default(), Vault::default()).await.unwrap();
    let desk = McpConnector::default();
    desk.insert(None, upstream.clone());
    World { desk, upstream, journal }
}

impl World {
    fn call(&self, tool: &str, arguments: &str) -> Call {
        let mut call = fake::call(tool, arguments);
        call.connector = ConnectorSpec::Mcp { server: "tiny".into(), tool: tool.into(), method: None };
        call.timeout_ms = 10_000;
        call
    }

    async fn perform(&self, tool: &str, arguments: &str) -> CallResult {
        self.desk.perform(&self.call(tool, arguments)).await
    }

    fn journal(&self) -> String {
        std::fs::read_to_string(self.journal.path()).unwrap()
    }

    fn count(&self, counter: impl Fn(&aecl_executor::connectors::mcp::Counters) -> u64) -> u64 {
        counter(self.upstream.counters())
    }
}

fn done(performed: CallResult) -> Value {
    match performed {
        CallResult::Done { output, .. } => serde_json::from_slice(&output).unwrap(),
        other => panic!("not done: {other:?}"),
    }
}

fn unknown(performed: &CallResult) -> &'static str {
    match performed {
        CallResult::Unknown { code, .. } => code,
        other => panic!("not unknown: {other:?}"),
    }
}

fn nothing_happened(performed: &CallResult) -> &'static str {
    match performed {
        CallResult::Failed { code, may_have_acted: false, .. } => code,
        other => panic!("not surely nothing: {other:?}"),
    }
}

#[tokio::test]
async fn the_answer_is_relayed_byte_for_byte() {
    let world = world("legacy").await;
    let CallResult::Done { output, .. } = world.perform("echo", r#"{"n":1.0,"s":"ü"}"#).await else {
        panic!()
    };
    let text = String::from_utf8(output).unwrap();
    let start = r#"{ "content":[],  "big":12345678901234567890123, "one":1.0, "got":"#;
    assert!(text.starts_with(start), "{text}");
    assert!(text.contains(r#""arguments": {"n": 1.0, "s": "\u00fc"}"#), "{text}");
}

#[tokio::test]
async fn the_handshake_finds_the_era() {
    for (era, expected) in
        [("legacy", Era::Legacy("2025-11-25".into())), ("modern", Era::Modern("2026-07-28".into()))]
    {
        let world = world(era).await;
        let hello = world.upstream.hello().await.unwrap();
        assert_eq!(hello.era, expected);
        assert!(hello.raw.get().contains("capabilities"));
        let got = done(world.perform("echo", "{}").await);
        let meta = &got["got"]["meta"];
        assert_eq!(meta["io.modelcontextprotocol/protocolVersion"].is_string(), era == "modern", "{meta}");
    }
}

#[tokio::test]
async fn a_server_deaf_to_discovery_is_asked_the_older_way() {
    let journal = tempfile::NamedTempFile::new().unwrap();
    let mut spec = spec("deaf", &journal);
    spec.probe_timeout_ms = 200;
    let how = Handshake::Probe(ClientFace::default());
    let upstream = Upstream::connect(spec, how, Egress::default(), Vault::default()).await.unwrap();
    assert_eq!(upstream.hello().await.unwrap().era, Era::Legacy("2025-11-25".into()));
}

#[tokio::test]
async fn a_clients_own_initialize_is_relayed_also_after_a_crash() {
    let journal = tempfile::NamedTempFile::new().unwrap();
    let params = r#"{"protocolVersion":"2025-06-18", "capabilities":{"roots":{}},"clientInfo":{"name":"x","version":"1"}}"#;
    let how = Handshake::Initialize(RawValue::from_string(params.into()).unwrap());
    let upstream =
        Upstream::connect(spec("legacy", &journal), how, Egress::default(), Vault::default()).await.unwrap();
    assert!(upstream.hello().await.unwrap().raw.get().contains(r#""extra":{"roots":{}}"#));
    let desk = McpConnector::default();
    desk.insert(None, upstream);
    let world = World { upstream: desk.upstream(None, "tiny").unwrap(), desk, journal };
    assert_eq!(unknown(&world.perform("die_after", "{}").await), "upstream_lost");
    done(world.perform("echo", "{}").await);
    assert_eq!(world.journal().matches("initialize 2025-06-18").count(), 2);
}

#[tokio::test]
async fn a_death_under_way_is_unknown_and_the_next_call_reconnects() {
    let world = world("legacy").await;
    assert_eq!(unknown(&world.perform("die_after", "{}").await), "upstream_lost");
    assert!(!world.upstream.is_connected());
    done(world.perform("echo", "{}").await);
    assert_eq!(world.count(|c| c.connections.load(Ordering::Relaxed)), 2);
}

#[tokio::test]
async fn a_death_leaves_every_pending_call_unknown() {
    let world = world("legacy").await;
    let slow = world.call("slow", "{}");
    let (slow, die) = tokio::join!(world.desk.perform(&slow), async {
        tokio::time::sleep(Duration::from_millis(200)).await;
        world.perform("die", "{}").await
    });
    assert_eq!((unknown(&slow), unknown(&die)), ("upstream_lost", "upstream_lost"));
}

#[tokio::test]
async fn a_timeout_is_unknown_and_the_server_is_told() {
    let world = world("legacy").await;
    let mut call = world.call("slow", "{}");
    call.timeout_ms = 200;
    assert_eq!(unknown(&world.desk.perform(&call).await), "upstream_timeout");
    done(world.perform("echo", "{}").await);
    assert!(world.journal().contains("cancelled aecl-"), "{}", world.journal());
}

#[tokio::test]
async fn a_cancelled_call_is_unknown_and_one_cancelled_before_is_nothing() {
    let world = world("legacy").await;
    let call = world.call("slow", "{}");
    let cancel = call.cancel.clone();
    let (performed, ()) = tokio::join!(world.desk.perform(&call), async {
        tokio::time::sleep(Duration::from_millis(200)).await;
        cancel.cancel();
    });
    assert_eq!(unknown(&performed), "upstream_cancelled");
    assert_eq!(nothing_happened(&world.desk.perform(&call).await), "upstream_cancelled");
}

#[tokio::test]
async fn a_dropped_call_tells_the_server() {
    let world = world("legacy").await;
    let call = world.call("slow", "{}");
    assert!(tokio::time::timeout(Duration::from_millis(200), world.desk.perform(&call)).await.is_err());
    done(world.perform("echo", "{}").await);
    assert!(world.journal().contains("cancelled aecl-"));
}

#[tokio::test]
async fn a_second_answer_and_an_answer_to_nobody_are_dropped() {
    let world = world("legacy").await;
    assert_eq!(done(world.perform("twice", "{}").await)["content"][0]["text"], "first");
    assert_eq!(done(world.perform("strange_id", "{}").await)["content"][0]["text"], "ok");
    done(world.perform("echo", "{}").await);
    assert_eq!(world.count(|c| c.stale_answers.load(Ordering::Relaxed)), 1);
    assert_eq!(world.count(|c| c.unknown_answers.load(Ordering::Relaxed)), 2);
}

#[tokio::test]
async fn garbage_lines_are_counted_and_harmless_but_a_garbage_answer_is_unknown() {
    let world = world("legacy").await;
    done(world.perform("garbage", "{}").await);
    assert_eq!(world.count(|c| c.garbage.load(Ordering::Relaxed)), 2);
    assert_eq!(unknown(&world.perform("broken", "{}").await), "upstream_garbage");
}

#[tokio::test]
async fn an_endless_line_tears_the_connection_down() {
    let world = world("legacy").await;
    assert_eq!(unknown(&world.perform("long", r#"{"bytes":300000}"#).await), "upstream_lost");
    done(world.perform("echo", "{}").await);
}

#[tokio::test]
async fn errors_say_what_may_have_happened() {
    let world = world("legacy").await;
    let refused = world.perform("refuse", "{}").await;
    assert_eq!(nothing_happened(&refused), "upstream_error");
    let CallResult::Failed { output: Some(output), .. } = refused else { panic!() };
    assert_eq!(output, br#"{"code":-32602,"message":"no","data":{"x":1}}"#);
    let failed = world.perform("fail", "{}").await;
    let CallResult::Failed { code: "tool_error", output: Some(output), may_have_acted, .. } = failed else {
        panic!()
    };
    assert!(may_have_acted);
    assert_eq!(output, br#"{"content":[{"type":"text","text":"the bank said no"}],"isError":true}"#);
}

#[tokio::test]
async fn too_much_output_is_withheld_but_stays_done() {
    let world = world("legacy").await;
    let mut call = world.call("wide", r#"{"bytes":5000}"#);
    call.max_output_bytes = 1_000;
    let CallResult::Done { output } = world.desk.perform(&call).await else { panic!() };
    assert!(String::from_utf8(output).unwrap().contains("was withheld"));
}

#[tokio::test]
async fn what_nests_too_deep_is_an_error_that_says_why() {
    let world = world("legacy").await;
    let said = done(world.perform("deep", r#"{"levels":100}"#).await);
    assert!(said["data"].is_array());
    for (arguments, acted) in [(r#"{"levels":50000}"#, true), (r#"{"levels":50000,"fails":true}"#, true)] {
        let deep = world.perform("deep", arguments).await;
        let CallResult::Failed { code: "upstream_error", output: Some(output), may_have_acted, .. } = deep
        else {
            panic!("{arguments}")
        };
        let told = String::from_utf8(output).unwrap();
        assert!(
            told.contains("nests deeper than 128") && told.contains("SHA-256") && told.len() < 300,
            "{told}"
        );
        assert_eq!(may_have_acted, acted, "{arguments}");
    }
    let mut inbound = world.upstream.subscribe();
    done(world.perform("deep", r#"{"levels":50000,"unasked":true}"#).await);
    assert!(inbound.try_recv().is_err(), "nobody hears of it");
    assert_eq!(world.count(|c| c.garbage.load(Ordering::Relaxed)), 2);
}

#[tokio::test]
async fn what_the_server_asks_reaches_the_listener_and_back() {
    let world = world("legacy").await;
    let unheard = done(world.perform("ask", "{}").await);
    assert!(unheard["content"][0]["text"].as_str().unwrap().contains("-32601"));
    let mut inbound = world.upstream.subscribe();
    let upstream = world.upstream.clone();
    let answering = tokio::spawn(async move {
        let asked = inbound.recv().await.unwrap();
        assert_eq!(
            (asked.method.as_str(), asked.id.as_ref().unwrap().get()),
            ("sampling/createMessage", "\"srv-1\"")
        );
        let reply = RawReply::Result(RawValue::from_string(r#"{"role": "x"}"#.into()).unwrap());
        upstream.reply_raw(&asked, &reply).await.unwrap();
    });
    let heard = done(world.perform("ask", "{}").await);
    assert_eq!(heard["content"][0]["text"], r#"{"role": "x"}"#);
    answering.await.unwrap();
}

#[tokio::test]
async fn progress_is_handed_on_for_known_tokens_only() {
    let world = world("legacy").await;
    let mut inbound = world.upstream.subscribe();
    let mut call = world.call("progress", "{}");
    call.meta = Some(RawValue::from_string(r#"{"progressToken":"mine"}"#.into()).unwrap());
    done(world.desk.perform(&call).await);
    let progress = inbound.recv().await.unwrap();
    assert!(progress.raw.get().contains(r#""progressToken":"mine""#));
    assert!(inbound.try_recv().is_err());
    assert_eq!(world.count(|c| c.stray_progress.load(Ordering::Relaxed)), 1);
}

#[tokio::test]
async fn tools_are_listed_over_pages_and_changes_are_noticed() {
    let world = world("legacy").await;
    let before = world.upstream.tools(Duration::from_secs(5)).await.unwrap();
    assert_eq!((before.len(), before[0].name.as_str()), (16, "echo"));
    assert_eq!(
        before[0].raw.get(),
        r#"{"name":"echo","description":"does echo","inputSchema":{"type":"object"}}"#
    );
    let generation = world.upstream.tools_generation();
    done(world.perform("more_tools", "{}").await);
    assert!(world.upstream.tools_generation() > generation);
    assert_eq!(world.upstream.tools(Duration::from_secs(5)).await.unwrap().len(), 17);
}

#[tokio::test]
async fn a_list_without_measure_is_refused() {
    let world = world("legacy").await;
    done(world.perform("grow", r#"{"by":1984}"#).await);
    assert_eq!(world.upstream.tools(Duration::from_secs(20)).await.unwrap().len(), 2_000);
    done(world.perform("grow", r#"{"by":1}"#).await);
    let refused = world.upstream.tools(Duration::from_secs(20)).await.unwrap_err();
    assert!(refused.to_string().contains("more than 2000 tools"), "{refused}");
    done(world.perform("echo", "{}").await);
}

#[tokio::test]
async fn the_child_sees_only_what_it_was_given() {
    let world = world("legacy").await;
    let text =
        done(world.perform("environment", "{}").await)["content"][0]["text"].as_str().unwrap().to_owned();
    assert!(text.contains(r#""GIVEN": "yes""#) && text.contains("PATH") && !text.contains("CARGO"), "{text}");
}

#[tokio::test]
async fn what_acts_is_never_relayed() {
    let world = world("legacy").await;
    let (second, cancel) = (Duration::from_secs(5), CancellationToken::new());
    for method in ["tools/call", "resources/read", "prompts/get", "completion/complete"] {
        let error = world.upstream.relay(method, None, second, &cancel).await.unwrap_err();
        assert!(!error.may_have_left && error.to_string().contains("goes through `perform`"), "{error}");
    }
    let reply = world.upstream.relay("logging/setLevel", None, second, &cancel).await.unwrap();
    assert_eq!(reply.error_code(), Some(-32601));
}

#[tokio::test]
async fn resources_are_read_through_perform() {
    let world = world("legacy").await;
    let mut call = world.call("docs", r#"{"uri":"file:///x"}"#);
    let method = Some("resources/read".to_owned());
    call.connector = ConnectorSpec::Mcp { server: "tiny".into(), tool: "docs".into(), method };
    call.meta = Some(RawValue::from_string(r#"{"t":1}"#.into()).unwrap());
    let got = done(world.desk.perform(&call).await);
    assert_eq!(got["params"], serde_json::json!({"uri": "file:///x", "_meta": {"t": 1}}));
    // A retried request may bring its answers, and nothing that replaces what was judged.
    call.extra = Some(RawValue::from_string(r#"{"requestState":"s"}"#.into()).unwrap());
    assert_eq!(done(world.desk.perform(&call).await)["params"]["requestState"], "s");
    call.extra = Some(RawValue::from_string(r#"{"uri":"file:///etc/shadow"}"#.into()).unwrap());
    assert_eq!(nothing_happened(&world.desk.perform(&call).await), "arguments_garbled");
}

#[tokio::test]
async fn fifty_calls_at_once_get_their_own_answers() {
    let world = world("legacy").await;
    let calls: Vec<Call> = (0..50).map(|n| world.call("echo", &format!("{{\"n\":{n}}}"))).collect();
    let answers = futures_util::future::join_all(calls.iter().map(|call| world.desk.perform(call))).await;
    for (n, answer) in answers.into_iter().enumerate() {
        assert_eq!(done(answer)["got"]["arguments"]["n"], n);
    }
}

#[tokio::test]
async fn a_server_that_does_not_start_is_not_hammered() {
    let transport = Transport::Stdio {
        command: "/no/such/server".into(),
        args: vec![],
        env: BTreeMap::new(),
        cwd: None,
        credential_scope: None,
        timeout_ms: None,
        trust_annotations: None,
    };
    let upstream = Upstream::lazy(
        UpstreamSpec::new("gone", transport),
        Handshake::Probe(ClientFace::default()),
        Egress::default(),
        Vault::default(),
    );
    let desk = McpConnector::default();
    desk.insert(None, upstream);
    let mut call = fake::call("x", "{}");
    call.connector = ConnectorSpec::Mcp { server: "gone".into(), tool: "x".into(), method: None };
    for expected in ["did not start", "attempts failed"] {
        let performed = desk.perform(&call).await;
        assert_eq!(nothing_happened(&performed), "upstream_not_connected");
        let CallResult::Failed { message, .. } = performed else { panic!() };
        assert!(message.contains(expected) && message.contains("nothing was sent"), "{message}");
    }
    call.connector = ConnectorSpec::Mcp { server: "nobody".into(), tool: "x".into(), method: None };
    assert_eq!(nothing_happened(&desk.perform(&call).await), "upstream_unknown");
}

#[tokio::test]
async fn a_missing_secret_stops_the_start() {
    let journal = tempfile::NamedTempFile::new().unwrap();
    let mut spec = spec("legacy", &journal);
    if let Transport::Stdio { env, .. } = &mut spec.transport {
        env.insert("TOKEN".into(), "{secret:env:AECL_TEST_NEVER_SET}".into());
    }
    let how = Handshake::Probe(ClientFace::default());
    let Err(error) = Upstream::connect(spec, how, Egress::default(), Vault::default()).await else {
        panic!()
    };
    assert!(error.to_string().contains("`env:AECL_TEST_NEVER_SET` is not set"), "{error}");
}

#[tokio::test]
async fn closing_ends_the_child_quickly() {
    let world = world("legacy").await;
    let before = Instant::now();
    world.upstream.close().await;
    assert!(before.elapsed() < Duration::from_millis(1_500), "{:?}", before.elapsed());
    assert!(!world.upstream.is_connected());
}
