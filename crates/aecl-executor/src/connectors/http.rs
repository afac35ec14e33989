//! REST requests from a template.
//!
//! Scheme and host are the operator's; arguments fill path segments, query, headers and body. Redirects
//! are never followed, because nobody judged where they lead.

use async_trait::async_trait;
use futures_util::StreamExt as _;
use reqwest::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use reqwest::{Method, Request, Response, StatusCode, Url};

use crate::arguments::{Arguments, TemplateError};
use crate::call::Call;
use crate::connector::{CallPlan, CallResult, Connector, DryRun, Reconciled};
use aecl_egress::egress::{Egress, EgressError, innermost, parse_url, refusal};
use aecl_egress::vault::{self, Use, Vault, VaultError};
use aecl_kernel::define::connector::ConnectorSpec;
use aecl_kernel::define::connector::http::{Body, HttpSpec};

/// Acts through REST endpoints.
#[derive(Clone, Default)]
pub struct HttpConnector {
    egress: Egress,
    vault: Vault,
}

/// A request that is ready to be sent, and the secrets that are in it.
struct Prepared {
    client: reqwest::Client,
    request: Request,
    secrets: Use,
}

#[derive(Debug, thiserror::Error)]
enum Unsendable {
    #[error(transparent)]
    Template(#[from] TemplateError),
    #[error(transparent)]
    Egress(#[from] EgressError),
    #[error(transparent)]
    Vault(#[from] VaultError),
    #[error("`{0}` is no http method")]
    Method(String),
    #[error("the header `{0}` is no header, or its value holds characters that no header may hold")]
    Header(String),
    #[error("the url `{0}` changes when it is read; write it in its plain form")]
    OddUrl(String),
    #[error("the request cannot be built: {0}")]
    Build(String),
}

impl Unsendable {
    fn code(&self) -> &'static str {
        match self {
            Self::Template(_) | Self::Method(_) | Self::Header(_) | Self::OddUrl(_) | Self::Build(_) => {
                "http_template"
            }
            Self::Egress(_) => "egress_denied",
            Self::Vault(_) => "secret_missing",
        }
    }
}

impl HttpConnector {
    /// With a way out of its own, such as one with a fake look-up, and a vault.
    #[must_use]
    pub fn new(egress: Egress, vault: Vault) -> Self {
        Self { egress, vault }
    }

    /// Where a request goes, from the call alone.
    fn addressed(
        &self,
        arguments: &Arguments<'_>,
        spec: &HttpSpec,
        method: &str,
        url_template: &str,
        with_query: bool,
    ) -> Result<(reqwest::Client, Method, Url), Unsendable> {
        let text = arguments.url(url_template)?;
        let mut url = parse_url(&text)?;
        // If reading the URL moved anything in its path, it is not the place that was written down.
        let path = text.split(['?', '#']).next().unwrap_or_default();
        if !path.ends_with(url.path()) && url.path() != "/" {
            return Err(Unsendable::OddUrl(text));
        }
        if with_query {
            for (name, template) in &spec.query {
                if let Some(value) = arguments.optional(template)? {
                    url.query_pairs_mut().append_pair(name, &value);
                }
            }
        }
        let client = self.egress.client(&url, spec.allow_private)?;
        let method = Method::from_bytes(method.to_ascii_uppercase().as_bytes())
            .map_err(|_| Unsendable::Method(method.to_owned()))?;
        Ok((client, method, url))
    }

    /// The request in words. Headers stay out: they hold the credentials, which are looked at as references only,
    /// since one may be made for whoever asks for it.
    fn would(&self, call: &Call, spec: &HttpSpec) -> Result<serde_json::Value, Unsendable> {
        let arguments = Arguments::of(call)?;
        let (_, method, url) = self.addressed(&arguments, spec, &spec.method, &spec.url, true)?;
        for template in spec.headers.values() {
            vault::references(template)?;
        }
        let body = body(call, spec, &arguments)?;
        let body = body.as_deref().map(String::from_utf8_lossy);
        Ok(serde_json::json!({ "method": method.as_str(), "url": url.as_str(), "body": body }))
    }

    async fn prepare(
        &self,
        call: &Call,
        spec: &HttpSpec,
        method: &str,
        url_template: &str,
        with_body: bool,
    ) -> Result<Prepared, Unsendable> {
        let arguments = Arguments::of(call)?;
        let (client, method, url) = self.addressed(&arguments, spec, method, url_template, with_body)?;
        let mut request = client.request(method, url);
        let mut secrets = self.vault.begin();
        for (name, template) in &spec.headers {
            let text = |text: &str| Ok::<_, Unsendable>(arguments.fill(text, str::to_owned)?);
            let value = secrets.fill_around(template, text).await?;
            let odd = || Unsendable::Header(name.clone());
            let header: HeaderName = name.parse().map_err(|_| odd())?;
            let mut value = HeaderValue::from_str(value.expose()).map_err(|_| odd())?;
            value.set_sensitive(true);
            request = request.header(header, value);
        }
        if with_body {
            if !spec.idempotency_header.is_empty() {
                request = request.header(&spec.idempotency_header, &call.idempotency_key);
            }
            if let Some(body) = body(call, spec, &arguments)? {
                request = request.header(CONTENT_TYPE, "application/json").body(body);
            }
        }
        let request = request.build().map_err(|error| Unsendable::Build(innermost(&error)))?;
        Ok(Prepared { client, request, secrets })
    }
}

#[async_trait]
impl Connector for HttpConnector {
    async fn perform(&self, call: &Call) -> CallResult {
        let ConnectorSpec::Http(spec) = &call.connector else {
            let (code, message) = call.connector_mismatch();
            return CallResult::not_sent(code, message);
        };
        let prepared = self.prepare(call, spec, &spec.method, &spec.url, true);
        let Prepared { client, request, secrets } = match prepared.await {
            Ok(prepared) => prepared,
            Err(error) => {
                return CallResult::not_sent(
                    error.code(),
                    format!("`{}` was not sent: {error}", call.action),
                );
            }
        };
        let only_reads = matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS);
        let timeout =
            call.timeout().min(std::time::Duration::from_millis(spec.timeout_ms.unwrap_or(u64::MAX)));
        if call.cancel.is_cancelled() {
            return CallResult::not_sent(
                "http_cancelled",
                format!("`{}` was cancelled before it was sent", call.action),
            );
        }
        let exchange = async {
            let response = client.execute(request).await?;
            let status = response.status();
            Ok((status, read(response, spec.max_response_bytes).await))
        };
        let lost = |code: &'static str, what: String| {
            let message = format!("`{}` {what}", call.action);
            // What only reads changed nothing, whatever became of the answer.
            if only_reads { CallResult::not_sent(code, message) } else { CallResult::unknown(code, message) }
        };
        tokio::select! {
            biased;
            answered = exchange => match answered {
                Ok((status, body)) => concluded(call, spec, status, body, only_reads, &secrets),
                Err(error) => broken(call, &error, lost),
            },
            () = call.cancel.cancelled() => lost("http_cancelled", "was cancelled while it was under way".into()),
            () = tokio::time::sleep(timeout) => {
                lost("http_timeout", format!("got no answer within {} ms", timeout.as_millis()))
            }
        }
    }

    fn plan(&self, call: &Call) -> CallPlan {
        let ConnectorSpec::Http(spec) = &call.connector else {
            return CallPlan::Failed(call.connector_mismatch().1);
        };
        match self.would(call, spec) {
            Ok(would) => CallPlan::Would(would),
            Err(error) => CallPlan::Failed(error.to_string()),
        }
    }

    async fn dry_run(&self, call: &Call) -> DryRun {
        let ConnectorSpec::Http(spec) = &call.connector else {
            let (code, message) = call.connector_mismatch();
            return DryRun::Failed { code, message };
        };
        // Nothing is sent: whether a target has a way to ask is not known here.
        match self.would(call, spec) {
            Ok(would) => DryRun::Would { output: would.to_string().into_bytes(), rows: None },
            Err(error) => DryRun::Failed { code: error.code(), message: error.to_string() },
        }
    }

    async fn reconcile(&self, call: &Call) -> Reconciled {
        let unknown = |message: String| Reconciled::StillUnknown { message };
        let ConnectorSpec::Http(spec) = &call.connector else { return unknown(call.connector_mismatch().1) };
        let Some(lookup) = &spec.lookup else {
            return unknown(format!("`{}` names no `lookup`; check at the target", call.action));
        };
        let prepared = self.prepare(call, spec, &lookup.method, &lookup.url, false);
        let Prepared { client, request, secrets } = match prepared.await {
            Ok(prepared) => prepared,
            Err(error) => return unknown(format!("the look-up was not sent: {error}")),
        };
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            return unknown("a look-up is a GET or HEAD; anything else might act".into());
        }
        let asking = async {
            let response = client.execute(request).await?;
            let status = response.status();
            Ok::<_, reqwest::Error>((status, read(response, spec.max_response_bytes).await))
        };
        match tokio::time::timeout(call.timeout(), asking).await {
            Ok(Ok((status, Ok(body)))) if status.is_success() => {
                Reconciled::Done { output: as_json(status, &body, &secrets) }
            }
            Ok(Ok((StatusCode::NOT_FOUND | StatusCode::GONE, _))) => Reconciled::NotDone,
            Ok(Ok((status, _))) => unknown(format!("the look-up answered with status {}", status.as_u16())),
            Ok(Err(error)) => unknown(format!("the look-up got no answer: {}", innermost(&error))),
            Err(_) => unknown("the look-up got no answer in time".into()),
        }
    }
}

/// The body of the action's own request.
fn body(call: &Call, spec: &HttpSpec, arguments: &Arguments<'_>) -> Result<Option<Vec<u8>>, TemplateError> {
    Ok(match &spec.body {
        Body::Arguments => Some(call.arguments.to_vec()),
        Body::Template(template) => Some(arguments.body(template)?.into_bytes()),
        Body::None => None,
    })
}

/// Whether a status says that the target did not act. A request that a server or a proxy has given up waiting for,
/// or has closed or put off on the way, may have been acted on behind it.
pub fn is_refusal(status: u16) -> bool {
    const GAVE_UP: [u16; 4] = [408, 425, 460, 499];
    (400..500).contains(&status) && !GAVE_UP.contains(&status)
}

struct ReadBody {
    bytes: Vec<u8>,
    truncated: bool,
}

async fn read(response: Response, max_bytes: usize) -> Result<ReadBody, reqwest::Error> {
    let (mut bytes, mut stream) = (Vec::new(), response.bytes_stream());
    while let Some(part) = stream.next().await {
        bytes.extend_from_slice(&part?);
        if bytes.len() > max_bytes {
            bytes.truncate(max_bytes);
            return Ok(ReadBody { bytes, truncated: true });
        }
    }
    Ok(ReadBody { bytes, truncated: false })
}

fn broken(
    call: &Call,
    error: &reqwest::Error,
    lost: impl Fn(&'static str, String) -> CallResult,
) -> CallResult {
    if let Some(refusal) = refusal(error) {
        return CallResult::not_sent("egress_denied", format!("`{}` was not sent: {refusal}", call.action));
    }
    let cause = innermost(error);
    if error.is_connect() || error.is_builder() {
        return CallResult::not_sent(
            "http_no_connection",
            format!("`{}` was not sent: {cause}", call.action),
        );
    }
    lost("http_lost", format!("lost its connection: {cause}"))
}

fn concluded(
    call: &Call,
    spec: &HttpSpec,
    status: StatusCode,
    body: Result<ReadBody, reqwest::Error>,
    only_reads: bool,
    secrets: &Use,
) -> CallResult {
    let number = status.as_u16();
    let expected = match spec.expect_status.as_slice() {
        [] => status.is_success(),
        listed => listed.contains(&number),
    };
    let whole = body.is_ok();
    let output = body.as_ref().ok().map(|body| as_json(status, body, secrets));
    let output = output.filter(|output| output.len() <= call.max_output_bytes);
    let message = format!("the target answered `{}` with status {number}", call.action);
    if expected && whole {
        let withheld = || format!(r#"{{"status":{number},"truncated":true}}"#).into_bytes();
        return CallResult::Done { output: output.unwrap_or_else(withheld) };
    }
    if is_refusal(number) || (only_reads && !expected) {
        return CallResult::Failed { code: "http_status", message, output, may_have_acted: false };
    }
    if only_reads {
        return CallResult::not_sent("http_lost", format!("{message}, but its body was cut off"));
    }
    // 3xx, 5xx, a 4xx that gave up waiting, a 2xx that nobody expected or whose body broke off: it may well have happened.
    CallResult::Unknown { code: "http_status", message, output }
}

/// The answer as JSON: its own bytes when it is JSON and whole, else wrapped.
fn as_json(status: StatusCode, body: &ReadBody, secrets: &Use) -> Vec<u8> {
    let text = secrets.scrub(&String::from_utf8_lossy(&body.bytes), body.truncated);
    if !body.truncated && serde_json::from_str::<serde::de::IgnoredAny>(&text).is_ok() {
        return text.into_bytes();
    }
    let mut wrapped = serde_json::json!({ "status": status.as_u16(), "text": text });
    if body.truncated
        && let Some(members) = wrapped.as_object_mut()
    {
        members.insert("truncated".into(), true.into());
    }
    wrapped.to_string().into_bytes()
}
