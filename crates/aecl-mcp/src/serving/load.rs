//! Bodies of requests, received within their share of what may be underway.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::body::{Body, Bytes};
use hyper::body::Body as _;

use super::shares::{NoShare, Share};

/// Load of a request: the bytes of its body, on the account of whoever sends it. They weigh until the request is
/// answered to its end, since so long they may lie in memory.
#[derive(Debug, Clone)]
pub struct Load(Arc<Mutex<Share>>);

impl Load {
    /// Nothing yet, of this share.
    pub fn new(share: Share) -> Self {
        Self(Arc::new(Mutex::new(share)))
    }

    fn with<T>(&self, then: impl FnOnce(&mut Share) -> T) -> T {
        then(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Reason why there is no body.
#[derive(Debug, PartialEq, Eq)]
pub enum NoBody {
    /// It is longer than this.
    TooLong(usize),
    /// It broke off.
    Broken,
    /// It did not come in time.
    Late,
    /// Too many bytes are underway.
    Full(NoShare),
}

impl NoBody {
    /// What is said of it.
    pub fn why(&self) -> String {
        match self {
            NoBody::TooLong(limit) => format!("the body is longer than {limit} bytes"),
            NoBody::Broken => "the body broke off".into(),
            NoBody::Late => "the body did not arrive in time".into(),
            NoBody::Full(NoShare::Own(all)) => {
                format!(
                    "your requests would have more than {all} bytes underway, as many as one caller may have"
                )
            }
            NoBody::Full(NoShare::All(all)) => {
                format!("requests would have more than {all} bytes underway, as many as are accepted")
            }
        }
    }
}

/// Receives a body. Each piece is weighed before it is kept: what somebody only says that they will send takes nothing
/// away from the others.
pub async fn receive(mut body: Body, load: &Load, limit: usize, patience: Duration) -> Result<Bytes, NoBody> {
    let said = body.size_hint().exact().and_then(|said| usize::try_from(said).ok()).unwrap_or(0);
    if said > limit {
        return Err(NoBody::TooLong(limit));
    }
    let mut full = load.with(|share| share.could(said)).err();
    let (mut bytes, mut length) = (Vec::new(), 0_usize);
    let whole = async {
        while let Some(frame) = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
            let Ok(data) = frame.map_err(|_| NoBody::Broken)?.into_data() else { continue };
            length = length.saturating_add(data.len());
            if length > limit {
                return Err(NoBody::TooLong(limit));
            }
            full = full.take().or_else(|| load.with(|share| share.take(data.len())).err());
            match &full {
                None => bytes.extend_from_slice(&data),
                // Read to its end and thrown away: whoever still writes would not read the answer. What it had is for
                // others, or of many that come at once none would get through.
                Some(_) => {
                    bytes = Vec::new();
                    load.with(Share::give_back);
                }
            }
        }
        full.take().map_or(Ok(()), |why| Err(NoBody::Full(why)))
    };
    tokio::time::timeout(patience, whole).await.unwrap_or(Err(NoBody::Late))?;
    Ok(bytes.into())
}

/// How much of a body that nobody wants is read, and for how long.
const DISCARD_BYTES_MAX: usize = 4 << 20;
const DISCARD: Duration = Duration::from_secs(10);

/// Reads a body and throws it away. Whoever still writes when the connection closes does not read the answer.
pub async fn discard(mut body: Body) {
    let mut length = 0_usize;
    let whole = async {
        while let Some(Ok(frame)) = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
            length = length.saturating_add(frame.data_ref().map_or(0, Bytes::len));
            if length > DISCARD_BYTES_MAX {
                return;
            }
        }
    };
    drop(tokio::time::timeout(DISCARD, whole).await);
}
