//! The place to which the browser comes back: a listener on 127.0.0.1 for one answer. Any program of this machine may
//! knock there, and any page in the browser; only what brings the state that went out counts, once.

use std::sync::Arc;
use std::time::Duration;

use subtle::ConstantTimeEq as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;
use url::{Url, form_urlencoded};

use super::grant::is_code;
use super::spec::is_printable;
use super::{LoginError, quotable};
use crate::vault::Secret;

/// Where the browser comes back to.
const PATH: &str = "/callback";
/// The longest head of a request.
const HEAD_MAX_BYTES: usize = 16 * 1024;
/// How long one may take to say it.
const HEAD_MAX: Duration = Duration::from_secs(5);
/// How many may knock at once.
const KNOCKS_MAX: usize = 16;

/// An open door.
pub(super) struct Door {
    listener: TcpListener,
    host: String,
}

/// What has to come back.
#[derive(Clone)]
pub(super) struct Expected {
    pub state: Arc<Secret>,
    /// The authorization server's name for itself.
    pub issuer: String,
    /// Whether it has to say so in its answer.
    pub says_iss: bool,
}

/// What came back.
enum Knock {
    /// It has nothing to do with this log-in; the reason, for whoever knocked.
    Stranger(&'static str),
    /// The answer, good or bad.
    Answer(Result<Secret, LoginError>),
}

impl Door {
    /// Opens one, at this port or at any.
    pub(super) async fn open(port: Option<u16>) -> Result<Self, LoginError> {
        let port = port.unwrap_or(0);
        let no_door = |source| LoginError::NoDoor { port, source };
        let listener = TcpListener::bind(("127.0.0.1", port)).await.map_err(no_door)?;
        let host = listener.local_addr().map_err(no_door)?.to_string();
        Ok(Self { listener, host })
    }

    /// The address that the browser is sent back to.
    pub(super) fn url(&self) -> String {
        format!("http://{}{PATH}", self.host)
    }

    /// Waits for the code.
    pub(super) async fn wait(self, expected: &Expected, patience: Duration) -> Result<Secret, LoginError> {
        let (tell, mut told) = mpsc::channel(1);
        let mut knocks = JoinSet::new();
        let places = Arc::new(Semaphore::new(KNOCKS_MAX));
        let late = tokio::time::sleep(patience);
        tokio::pin!(late);
        loop {
            tokio::select! {
                biased;
                Some(answer) = told.recv() => {
                    // Whoever is being answered hears it to the end.
                    drop(self.listener);
                    while knocks.join_next().await.is_some() {}
                    return answer;
                }
                () = &mut late => return Err(LoginError::TimedOut(patience.as_secs())),
                knock = self.listener.accept() => {
                    let Ok((stream, _)) = knock else { continue };
                    let Ok(place) = Arc::clone(&places).try_acquire_owned() else { continue };
                    let (expected, host, tell) = (expected.clone(), self.host.clone(), tell.clone());
                    knocks.spawn(async move {
                        let _place = place;
                        let _ = tokio::time::timeout(HEAD_MAX, answer(stream, &host, &expected, &tell)).await;
                    });
                }
                Some(_) = knocks.join_next() => {}
            }
        }
    }
}

async fn answer(
    mut stream: TcpStream,
    host: &str,
    expected: &Expected,
    tell: &mpsc::Sender<Result<Secret, LoginError>>,
) -> std::io::Result<()> {
    let mut head = zeroize::Zeroizing::new(Vec::with_capacity(HEAD_MAX_BYTES));
    while !head.windows(4).any(|four| four == b"\r\n\r\n") {
        if head.len() >= HEAD_MAX_BYTES {
            return page(&mut stream, "431 Request Header Fields Too Large", "This request is too long.")
                .await;
        }
        let room = HEAD_MAX_BYTES - head.len();
        if (&mut stream).take(room as u64).read_buf(&mut *head).await? == 0 {
            return Ok(());
        }
    }
    match knock(&String::from_utf8_lossy(&head), host, expected) {
        Knock::Stranger(why) => page(&mut stream, "400 Bad Request", why).await,
        Knock::Answer(answer) => {
            let (status, words) = match &answer {
                Ok(_) => (
                    "200 OK",
                    "You are logged in, as far as the browser goes. The terminal says the rest; this page can be closed.",
                ),
                Err(_) => (
                    "200 OK",
                    "The log-in did not come about. The terminal says why; this page can be closed.",
                ),
            };
            // The first one counts.
            let is_first = tell.try_send(answer).is_ok();
            let words = if is_first { words } else { "This log-in is over." };
            page(&mut stream, status, words).await
        }
    }
}

async fn page(stream: &mut TcpStream, status: &str, words: &str) -> std::io::Result<()> {
    let body = format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>AECL</title><p>{words}</p></html>\n"
    );
    let answer = format!(
        "HTTP/1.1 {status}\r\ncontent-type: text/html; charset=utf-8\r\ncontent-length: {}\r\ncache-control: no-store\r\n\
         content-security-policy: default-src 'none'\r\nreferrer-policy: no-referrer\r\nx-content-type-options: nosniff\r\n\
         connection: close\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(answer.as_bytes()).await?;
    stream.shutdown().await
}

/// Reads a request. `Host` has to be ours: a page that has its own name point here is a stranger.
fn knock(head: &str, host: &str, expected: &Expected) -> Knock {
    let mut lines = head.split("\r\n");
    let mut words = lines.next().unwrap_or_default().split(' ');
    let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let hosts: Vec<&str> = lines
        .filter_map(|line| line.split_once(':'))
        .filter(|(name, _)| name.eq_ignore_ascii_case("host"))
        .map(|(_, value)| value.trim())
        .collect();
    if hosts != [host] {
        return Knock::Stranger("This is not the address of the log-in.");
    }
    if method != "GET" {
        return Knock::Stranger("A browser comes back by GET.");
    }
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    if path != PATH {
        return Knock::Stranger("There is nothing here.");
    }
    read(query, expected)
}

/// What somebody brought back by hand: the address in the browser.
pub(super) fn pasted(text: &str, own: &str, expected: &Expected) -> Result<Secret, LoginError> {
    let not_it = |why: &str| LoginError::NotCome(why.to_owned());
    let url = Url::parse(text.trim()).map_err(|_| not_it("what was pasted is no address"))?;
    let base = text.trim().split(['?', '#']).next().unwrap_or_default();
    if base != own {
        return Err(not_it(&format!("what was pasted is not the address that begins with `{own}`")));
    }
    match read(url.query().unwrap_or_default(), expected) {
        Knock::Stranger(why) => Err(not_it(why)),
        Knock::Answer(answer) => answer,
    }
}

/// Reads the parameters. Without the right state it is not the answer, whatever else is in it: a code of somebody
/// else would log this client in as that one.
fn read(query: &str, expected: &Expected) -> Knock {
    let pairs: Vec<(String, Secret)> = form_urlencoded::parse(query.as_bytes())
        .map(|(name, value)| (name.into_owned(), Secret::new(value.into_owned())))
        .collect();
    let all = |name: &str| {
        pairs.iter().filter(|(known, _)| known == name).map(|(_, value)| value).collect::<Vec<_>>()
    };
    let states = all("state");
    let [state] = states.as_slice() else { return Knock::Stranger("This is not the answer to the log-in.") };
    if !bool::from(state.expose().as_bytes().ct_eq(expected.state.expose().as_bytes())) {
        return Knock::Stranger("This is not the answer to the log-in.");
    }
    let not_come = |why: String| Knock::Answer(Err(LoginError::NotCome(why)));
    match all("iss").as_slice() {
        [] if expected.says_iss => {
            return not_come(format!(
                "the answer does not say that it comes from `{}`, which says that its answers do",
                quotable(&expected.issuer)
            ));
        }
        [] => {}
        // Byte for byte: whoever is nearly called so is somebody else.
        [iss] if iss.expose() == expected.issuer => {}
        [iss, ..] => {
            return not_come(format!(
                "the answer comes from `{}`, and `{}` was asked",
                quotable(iss.expose()),
                quotable(&expected.issuer)
            ));
        }
    }
    let words =
        |name: &str| all(name).first().map(|value| quotable(value.expose())).filter(|text| !text.is_empty());
    match (all("error").as_slice(), all("code").as_slice()) {
        ([error], []) => {
            let code = if is_code(error.expose()) { error.expose() } else { "an error" };
            let said = words("error_description").map_or(String::new(), |words| format!(" («{words}»)"));
            not_come(format!("`{}` says `{code}`{said}", quotable(&expected.issuer)))
        }
        ([], [code]) if is_printable(code.expose()) => {
            Knock::Answer(Ok(Secret::new(code.expose().to_owned())))
        }
        _ => not_come("the answer has no code that can be read".into()),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]
    use super::*;

    const OWN: &str = "http://127.0.0.1:4711/callback";

    fn expected(says_iss: bool) -> Expected {
        let state = Arc::new(Secret::new("the-state".to_owned()));
        Expected { state, issuer: "https://login.example".into(), says_iss }
    }

    fn word(query: &str, says_iss: bool) -> String {
        match read(query, &expected(says_iss)) {
            Knock::Stranger(_) => "stranger".into(),
            Knock::Answer(Ok(code)) => format!("code {}", code.expose()),
            Knock::Answer(Err(error)) => error.to_string(),
        }
    }

    #[test]
    fn only_the_answer_to_this_log_in_counts() {
        assert_eq!(word("code=a%20b&state=the-state", false), "code a b");
        assert_eq!(word("code=a&state=the-state&iss=https%3A%2F%2Flogin.example", true), "code a");
        for stranger in [
            "",
            "code=a",
            "code=a&state=",
            "code=a&state=other",
            "code=a&state=the-state&state=the-state",
            "code=a&state=the-stat",
            "error=access_denied",
            "error=access_denied&state=other",
        ] {
            assert_eq!(word(stranger, false), "stranger", "{stranger}");
        }
    }

    #[test]
    fn an_answer_of_somebody_else_is_none() {
        let refused = |query: &str, says_iss: bool, why: &str| {
            let said = word(query, says_iss);
            assert!(said.contains(why), "{query}: {said}");
        };
        refused("code=a&state=the-state", true, "does not say that it comes from");
        for iss in [
            "https%3A%2F%2Fevil.example",
            "https%3A%2F%2Flogin.example%2F",
            "HTTPS%3A%2F%2Flogin.example",
            "",
        ] {
            refused(&format!("code=a&state=the-state&iss={iss}"), false, "the answer comes from");
        }
        let twice = "iss=https%3A%2F%2Flogin.example&iss=https%3A%2F%2Flogin.example";
        refused(&format!("code=a&state=the-state&{twice}"), false, "the answer comes from");
        refused("code=a&code=b&state=the-state", false, "no code");
        refused("code=a&error=x&state=the-state", false, "no code");
        refused("code=&state=the-state", false, "no code");
        refused(
            "error=access_denied&error_description=%1b[31mno&state=the-state",
            false,
            "`access_denied` («?[31mno»)",
        );
        refused("error=%3Cscript%3E&state=the-state", false, "`an error`");
    }

    #[test]
    fn a_request_for_another_host_or_path_is_a_strangers() {
        let said = |head: &str| match knock(head, "127.0.0.1:4711", &expected(false)) {
            Knock::Stranger(why) => why.to_owned(),
            Knock::Answer(_) => "answer".to_owned(),
        };
        let good = "GET /callback?code=a&state=the-state HTTP/1.1\r\nhost: 127.0.0.1:4711\r\n\r\n";
        assert_eq!(said(good), "answer");
        for bad in [
            good.replace("host: 127.0.0.1", "host: rebound.example"),
            good.replace("host: 127.0.0.1:4711", "x: y"),
            good.replace("host: 127.0.0.1:4711", "host: 127.0.0.1:4711\r\nHost: rebound.example"),
            good.replace("GET", "POST"),
            good.replace("/callback", "/"),
            "\r\n\r\n".to_owned(),
        ] {
            assert_ne!(said(&bad), "answer", "{bad}");
        }
    }

    #[test]
    fn what_is_pasted_is_held_to_the_same() {
        let said = |text: &str| match pasted(text, OWN, &expected(false)) {
            Ok(code) => code.expose().to_owned(),
            Err(error) => error.to_string(),
        };
        assert_eq!(said(&format!(" {OWN}?code=a&state=the-state\n")), "a");
        assert!(said("a-code").contains("no address"));
        assert!(said("http://127.0.0.1:4712/callback?code=a&state=the-state").contains("begins with"));
        assert!(said(&format!("{OWN}?code=a&state=other")).contains("not the answer"));
    }
}
