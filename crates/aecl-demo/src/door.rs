//! The door: HTTP with a credential. The agent of the demo has nothing else.

use crate::Error;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE};
use reqwest::{Client, Method};
use serde_json::Value;
use std::net::SocketAddr;

/// Somebody's way to a service: an address and a credential.
#[derive(Clone)]
pub struct Door {
    base: String,
    bearer: String,
    client: Client,
}

impl Door {
    /// To this address, with this credential.
    pub fn to(address: SocketAddr, credential: &str) -> Result<Self, Error> {
        // Loopback is never behind a proxy.
        let client = Client::builder().no_proxy().build();
        let client = client.map_err(|e| Error::new(format!("no HTTP client can be made: {e}")))?;
        Ok(Self { base: format!("http://{address}"), bearer: format!("Bearer {credential}"), client })
    }

    /// The same door for somebody else.
    pub fn with(&self, credential: &str) -> Self {
        Self { bearer: format!("Bearer {credential}"), ..self.clone() }
    }

    /// Reads.
    pub async fn get(&self, path: &str) -> Result<Value, Error> {
        self.call(Method::GET, path, None).await
    }

    /// Changes.
    pub async fn post(&self, path: &str, body: &Value) -> Result<Value, Error> {
        self.call(Method::POST, path, Some(body)).await
    }

    async fn call(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Value, Error> {
        let lost = |e: reqwest::Error| Error::new(format!("`{path}` got no answer: {e}"));
        let mut request =
            self.client.request(method, format!("{}{path}", self.base)).header(AUTHORIZATION, &self.bearer);
        if let Some(body) = body {
            request = request.header(CONTENT_TYPE, "application/json").body(body.to_string());
        }
        let response = request.send().await.map_err(lost)?;
        let status = response.status();
        let value: Option<Value> = serde_json::from_slice(&response.bytes().await.map_err(lost)?).ok();
        match value {
            Some(value) if status.is_success() => Ok(value),
            value => {
                let text = |name: &str| value.as_ref()?.get(name)?.as_str().map(str::to_owned);
                let message = text("detail").or_else(|| text("error"));
                let message = message.unwrap_or_else(|| format!("`{path}` answered {status}"));
                Err(Error { code: text("code"), hint: text("hint"), ..Error::new(message) })
            }
        }
    }
}
