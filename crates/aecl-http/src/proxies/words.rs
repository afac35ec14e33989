//! Messages of the protocols that proxies speak: of each the fields that are used here, under their published numbers.
//! What else a proxy sends is skipped.

use prost::{Message, Oneof};
use std::collections::{BTreeMap, HashMap};

/// `google.protobuf.Struct`.
#[derive(Clone, PartialEq, Message)]
pub struct Struct {
    #[prost(btree_map = "string, message", tag = "1")]
    pub fields: BTreeMap<String, Value>,
}

/// `google.protobuf.Value`.
#[derive(Clone, PartialEq, Message)]
pub struct Value {
    #[prost(oneof = "TextKind", tags = "3")]
    pub kind: Option<TextKind>,
}

/// The one kind of it that is used here.
#[derive(Clone, PartialEq, Oneof)]
pub enum TextKind {
    #[prost(string, tag = "3")]
    Text(String),
}

impl Struct {
    /// One text under one name.
    pub fn of(name: &str, text: String) -> Self {
        Self { fields: [(name.to_owned(), Value { kind: Some(TextKind::Text(text)) })].into() }
    }

    /// The text under this name.
    pub fn text(&self, name: &str) -> Option<&str> {
        match self.fields.get(name)?.kind.as_ref()? {
            TextKind::Text(text) => Some(text),
        }
    }
}

/// `envoy.service.auth.v3` and what it is made of.
pub mod auth {
    use super::{BTreeMap, HashMap, Message, Oneof, Struct};

    #[derive(Clone, PartialEq, Message)]
    pub struct CheckRequest {
        #[prost(message, optional, tag = "1")]
        pub attributes: Option<AttributeContext>,
    }

    #[derive(Clone, PartialEq, Message)]
    pub struct AttributeContext {
        #[prost(message, optional, tag = "4")]
        pub request: Option<HttpAttributes>,
        /// What the configuration of the proxy says about the route.
        #[prost(btree_map = "string, string", tag = "10")]
        pub context_extensions: BTreeMap<String, String>,
    }

    #[derive(Clone, PartialEq, Message)]
    pub struct HttpAttributes {
        #[prost(message, optional, tag = "2")]
        pub http: Option<HttpRequest>,
    }

    #[derive(Clone, PartialEq, Message)]
    pub struct HttpRequest {
        #[prost(string, tag = "2")]
        pub method: String,
        /// Headers where those of one name are joined, so that nobody sees that there were two.
        #[prost(map = "string, string", tag = "3")]
        pub headers: HashMap<String, String>,
        /// The path with the query, as it goes on.
        #[prost(string, tag = "4")]
        pub path: String,
        #[prost(string, tag = "5")]
        pub host: String,
        #[prost(string, tag = "11")]
        pub body: String,
        #[prost(bytes = "vec", tag = "12")]
        pub raw_body: Vec<u8>,
        /// Headers as they are.
        #[prost(message, optional, tag = "13")]
        pub header_map: Option<HeaderMap>,
    }

    #[derive(Clone, PartialEq, Message)]
    pub struct HeaderMap {
        #[prost(message, repeated, tag = "1")]
        pub headers: Vec<HeaderValue>,
    }

    #[derive(Clone, PartialEq, Message)]
    pub struct HeaderValue {
        #[prost(string, tag = "1")]
        pub key: String,
        #[prost(string, tag = "2")]
        pub value: String,
        #[prost(bytes = "vec", tag = "3")]
        pub raw_value: Vec<u8>,
    }

    #[derive(Clone, PartialEq, Message)]
    pub struct CheckResponse {
        #[prost(message, optional, tag = "1")]
        pub status: Option<Status>,
        #[prost(oneof = "HttpResponse", tags = "2, 3")]
        pub http_response: Option<HttpResponse>,
        /// Stands in the access log afterwards.
        #[prost(message, optional, tag = "4")]
        pub dynamic_metadata: Option<Struct>,
    }

    #[derive(Clone, PartialEq, Oneof)]
    pub enum HttpResponse {
        #[prost(message, tag = "2")]
        Denied(DeniedHttpResponse),
        #[prost(message, tag = "3")]
        Ok(OkHttpResponse),
    }

    /// `google.rpc.Status`.
    #[derive(Clone, PartialEq, Message)]
    pub struct Status {
        #[prost(int32, tag = "1")]
        pub code: i32,
        #[prost(string, tag = "2")]
        pub message: String,
    }

    #[derive(Clone, PartialEq, Message)]
    pub struct DeniedHttpResponse {
        #[prost(message, optional, tag = "1")]
        pub status: Option<HttpStatus>,
        #[prost(message, repeated, tag = "2")]
        pub headers: Vec<HeaderValueOption>,
        #[prost(string, tag = "3")]
        pub body: String,
    }

    #[derive(Clone, PartialEq, Message)]
    pub struct OkHttpResponse {
        #[prost(message, repeated, tag = "2")]
        pub headers: Vec<HeaderValueOption>,
        #[prost(string, repeated, tag = "5")]
        pub headers_to_remove: Vec<String>,
    }

    #[derive(Clone, PartialEq, Message)]
    pub struct HttpStatus {
        #[prost(int32, tag = "1")]
        pub code: i32,
    }

    #[derive(Clone, PartialEq, Message)]
    pub struct HeaderValueOption {
        #[prost(message, optional, tag = "1")]
        pub header: Option<HeaderValue>,
        /// 2: in place of what there is.
        #[prost(int32, tag = "3")]
        pub append_action: i32,
    }
}

/// `envoy.service.accesslog.v3` and what it is made of.
pub mod log {
    use super::{HashMap, Message, Struct};

    #[derive(Clone, PartialEq, Message)]
    pub struct StreamAccessLogsMessage {
        #[prost(message, optional, tag = "2")]
        pub http_logs: Option<HttpAccessLogEntries>,
    }

    #[derive(Clone, PartialEq, Message)]
    pub struct StreamAccessLogsResponse {}

    #[derive(Clone, PartialEq, Message)]
    pub struct HttpAccessLogEntries {
        #[prost(message, repeated, tag = "1")]
        pub log_entry: Vec<HttpAccessLogEntry>,
    }

    #[derive(Clone, PartialEq, Message)]
    pub struct HttpAccessLogEntry {
        #[prost(message, optional, tag = "1")]
        pub common_properties: Option<AccessLogCommon>,
        #[prost(message, optional, tag = "4")]
        pub response: Option<HttpResponseProperties>,
    }

    #[derive(Clone, PartialEq, Message)]
    pub struct AccessLogCommon {
        /// When the first byte went to the target: absent where none did.
        #[prost(message, optional, tag = "7")]
        pub time_to_first_upstream_tx_byte: Option<Duration>,
        #[prost(message, optional, tag = "17")]
        pub metadata: Option<Metadata>,
        /// How often it was sent to the target.
        #[prost(uint32, tag = "24")]
        pub upstream_request_attempt_count: u32,
        /// Whether it is the end, or a report from the midst of it.
        #[prost(int32, tag = "33")]
        pub access_log_type: i32,
    }

    #[derive(Clone, PartialEq, Message)]
    pub struct Duration {
        #[prost(int64, tag = "1")]
        pub seconds: i64,
        #[prost(int32, tag = "2")]
        pub nanos: i32,
    }

    #[derive(Clone, PartialEq, Message)]
    pub struct Metadata {
        #[prost(map = "string, message", tag = "1")]
        pub filter_metadata: HashMap<String, Struct>,
    }

    #[derive(Clone, PartialEq, Message)]
    pub struct HttpResponseProperties {
        #[prost(message, optional, tag = "1")]
        pub response_code: Option<Number>,
        /// Who made the answer, and why: `via_upstream` where the target did.
        #[prost(string, tag = "6")]
        pub response_code_details: String,
    }

    /// `google.protobuf.UInt32Value`.
    #[derive(Clone, PartialEq, Message)]
    pub struct Number {
        #[prost(uint32, tag = "1")]
        pub value: u32,
    }
}

/// `agentgateway.dev.ext_mcp`.
pub mod mcp {
    use super::{Message, Oneof, Struct};

    #[derive(Clone, PartialEq, Message)]
    pub struct McpRequest {
        #[prost(string, repeated, tag = "1")]
        pub service_names: Vec<String>,
        #[prost(string, tag = "2")]
        pub method: String,
        /// `params` as JSON.
        #[prost(bytes = "vec", optional, tag = "4")]
        pub mcp_request: Option<Vec<u8>>,
        #[prost(message, repeated, tag = "5")]
        pub headers: Vec<McpHeader>,
    }

    #[derive(Clone, PartialEq, Message)]
    pub struct McpHeader {
        #[prost(string, tag = "1")]
        pub key: String,
        #[prost(bytes = "vec", tag = "2")]
        pub value: Vec<u8>,
    }

    #[derive(Clone, PartialEq, Message)]
    pub struct McpRequestResult {
        #[prost(oneof = "McpVerdict", tags = "1, 3")]
        pub result: Option<McpVerdict>,
        /// What the gateway keeps beside the request.
        #[prost(message, optional, tag = "5")]
        pub metadata: Option<Struct>,
    }

    #[derive(Clone, PartialEq, Message)]
    pub struct McpResponse {
        #[prost(string, tag = "2")]
        pub method: String,
        /// What the configuration of the gateway says about the answer.
        #[prost(message, optional, tag = "3")]
        pub metadata_context: Option<Struct>,
        /// `result` as JSON.
        #[prost(bytes = "vec", tag = "4")]
        pub mcp_response: Vec<u8>,
    }

    #[derive(Clone, PartialEq, Message)]
    pub struct McpResponseResult {
        #[prost(oneof = "McpVerdict", tags = "1, 3")]
        pub result: Option<McpVerdict>,
    }

    #[derive(Clone, PartialEq, Oneof)]
    pub enum McpVerdict {
        #[prost(message, tag = "1")]
        Pass(Pass),
        #[prost(message, tag = "3")]
        Error(AuthorizationError),
    }

    #[derive(Clone, PartialEq, Message)]
    pub struct Pass {}

    #[derive(Clone, PartialEq, Message)]
    pub struct AuthorizationError {
        /// 1: not permitted, 2: too much, 3: not understood.
        #[prost(int32, tag = "1")]
        pub code: i32,
        #[prost(string, tag = "2")]
        pub reason: String,
        /// A JSON-RPC error, as JSON.
        #[prost(bytes = "vec", optional, tag = "3")]
        pub mcp_error: Option<Vec<u8>>,
    }
}
