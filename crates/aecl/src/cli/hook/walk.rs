//! What becomes of an event: a prompt is kept as goal, a call is asked about and its outcome is reported.

use super::dialect::Dialect;
use super::event::{Answer, Call, Ending, Event, Kind};
use super::server::{Reply, Server};
use super::session::{About, Begun, Held, Session, now_s};
use super::tools::{self, Proposal};
use crate::cli::client::segment;
use crate::cli::{Error, wrap};
use aecl_kernel::base::digest::Digest;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Longest output that is reported, in bytes.
const OUTPUT_BYTES_MAX: usize = 1 << 20;
/// For how long the same call may be asked about again, in seconds: two files of a client may both name this hook.
const AGAIN_S: u64 = 60;

/// Who asks, and how.
#[derive(Debug)]
pub(super) struct Walk {
    pub client: Dialect,
    pub server: Server,
    /// The home that is meant, with which the gateway may stand in front of servers.
    pub home: PathBuf,
    pub agent: String,
    /// The run's token, where the run is somebody else's.
    pub token: Option<String>,
    /// How long to wait for people.
    pub wait: Duration,
}

impl Walk {
    /// Deals with an event. Gives an answer where a tool is about to be used.
    pub(super) fn take(&self, event: &Event) -> Result<Option<Answer>, Error> {
        if event.kind == Kind::Other {
            return Ok(None);
        }
        let session = Session::find(&self.server.name(), self.client.name(), &event.session, &self.agent)?;
        match &event.kind {
            Kind::Prompt(prompt) => {
                let _turn = session.turn()?;
                let mut about = self.about(&session, event)?;
                about.asks(prompt);
                session.keep_about(&about)?;
                Ok(None)
            }
            Kind::Before(call) => self.before(&session, event, call).map(Some),
            Kind::After(call, ending) => self.after(&session, call, ending).map(|()| None),
            Kind::Other => Ok(None),
        }
    }

    fn about(&self, session: &Session, event: &Event) -> Result<About, Error> {
        let mut about = session.about()?;
        if about.project.as_os_str().is_empty() {
            about.project = project(self.client).unwrap_or_else(|| event.cwd.clone());
        }
        Ok(about)
    }

    fn before(&self, session: &Session, event: &Event, call: &Call) -> Result<Answer, Error> {
        let about = self.about(session, event)?;
        let call = &Call { mcp: self.server_of(call, &about.project), ..call.clone() };
        if let Some((server, tool)) = &call.mcp
            && self.client.tells_apart(tool)
            && wrap::is_in_front(self.client.client(), server, &about.project, &self.home)
        {
            // The gateway asks about it.
            return Ok(Answer::Pass);
        }
        let proposal = tools::proposal(self.client, call, &event.cwd, &about.project)
            .map_err(|why| Error::new(format!("the call of `{}` is not understood: {why}", call.tool)))?;
        let (name, what) = (name(call), what(&proposal));
        for again in [false, true] {
            let run = self.run(session, event, &what)?;
            let key = key(self.client, call)?;
            // At first nobody is waited for: a call that was begun already would wait for its own end.
            let mut reply = self.propose(session, &run, &proposal, &key, Duration::ZERO)?;
            if reply.text("state") == "pending" && !self.wait.is_zero() {
                reply = self.propose(session, &run, &proposal, &key, self.wait)?;
            }
            // The run has had its time, or its record is not there any more: the session goes on in another one.
            let is_over = matches!(reply.text("code"), "run_expired" | "run_unknown");
            if is_over && !again && self.token.is_none() {
                session.waits_no_more(&what);
                self.forget(session, event)?;
                continue;
            }
            return self.answered(session, &run, call, &name, &what, &reply);
        }
        Err(Error::new("the run of this session is over").hint("begin a new session of the client"))
    }

    /// The MCP server whose tool it is, where the client says that in one word.
    fn server_of(&self, call: &Call, project: &Path) -> Option<(String, String)> {
        let is_own = self.client != Dialect::Copilot || !call.tool.contains('-');
        if is_own { call.mcp.clone() } else { wrap::server_of(self.client.client(), &call.tool, project) }
    }

    /// The run in which a call is asked about: the one in which people were asked before, or that of the latest prompt.
    fn run(&self, session: &Session, event: &Event, what: &Digest) -> Result<String, Error> {
        if let Some(token) = &self.token {
            let run = claims(token).and_then(|of| Some(of.get("run")?.as_str()?.to_owned()));
            return run.ok_or_else(|| Error::new("AECL_TOKEN is no token of a run"));
        }
        if let Some(run) = session.waiting(what)? {
            return Ok(run);
        }
        if let Some(run) = session.about()?.current {
            return Ok(run);
        }
        let _turn = session.turn()?;
        let mut about = self.about(session, event)?;
        // Another hook may have been faster.
        if let Some(run) = about.current {
            return Ok(run);
        }
        let body = json!({ "agent": self.agent, "goal": about.goal() });
        let path = match &about.root {
            Some(root) => format!("/v1/runs/{}/delegate", segment(root)),
            None => "/v1/runs".to_owned(),
        };
        let mut reply = self.server.post(&path, None, &body, Duration::ZERO)?;
        if about.root.is_some() && matches!(reply.text("code"), "run_expired" | "run_unknown") {
            about.root = None;
            reply = self.server.post("/v1/runs", None, &body, Duration::ZERO)?;
        }
        if reply.status != 201 {
            return Err(problem(&reply, "the run of this session was not opened"));
        }
        let run = reply.text("run").to_owned();
        session.hold(&run, &held(reply.text("token"))?)?;
        about.root = about.root.or_else(|| Some(run.clone()));
        about.current = Some(run.clone());
        session.keep_about(&about)?;
        Ok(run)
    }

    fn forget(&self, session: &Session, event: &Event) -> Result<(), Error> {
        let _turn = session.turn()?;
        let mut about = self.about(session, event)?;
        (about.root, about.current) = (None, None);
        session.keep_about(&about)
    }

    fn token(&self, session: &Session, run: &str, renew: bool) -> Result<String, Error> {
        if let Some(token) = &self.token {
            return Ok(token.clone());
        }
        let there = session.held(run)?;
        if let Some(held) = there.filter(|held| !renew && held.renew_at > now_s()) {
            return Ok(held.token);
        }
        let path = format!("/v1/runs/{}/tokens", segment(run));
        let reply = self.server.post(&path, None, &json!({}), Duration::ZERO)?;
        if reply.status != 201 {
            return Err(problem(&reply, "the token of this session's run was not renewed"));
        }
        let held = held(reply.text("token"))?;
        session.hold(run, &held)?;
        Ok(held.token)
    }

    fn propose(
        &self,
        session: &Session,
        run: &str,
        proposal: &Proposal,
        key: &str,
        wait: Duration,
    ) -> Result<Reply, Error> {
        let body = json!({
            "action": proposal.action, "arguments": proposal.arguments, "mode": "authorize",
            "idempotency_key": key, "wait_s": wait.as_secs(),
        });
        for renew in [false, true] {
            let token = match self.token(session, run, renew) {
                Ok(token) => token,
                // A run that has ended renews nothing.
                Err(Error { code: Some(code), .. })
                    if matches!(code.as_str(), "run_expired" | "run_unknown") =>
                {
                    return Ok(Reply { status: 409, body: json!({ "code": code }) });
                }
                Err(error) => return Err(error),
            };
            let reply = self.server.post("/v1/actions", Some(&token), &body, wait)?;
            if reply.text("code") != "token_expired" || renew || self.token.is_some() {
                return Ok(reply);
            }
        }
        Err(Error::new("the token of this session's run does not count"))
    }

    fn answered(
        &self,
        session: &Session,
        run: &str,
        call: &Call,
        name: &Digest,
        what: &Digest,
        reply: &Reply,
    ) -> Result<Answer, Error> {
        if !matches!(reply.status, 200 | 202) {
            return Err(problem(reply, "the call was not judged"));
        }
        let (action, state, said) = (reply.text("action"), reply.text("state"), reply.text("message"));
        match (reply.status, state) {
            (200, "permitted") => {
                session.begins(name, &Begun { action: action.into(), run: run.into(), at: now_s() })?;
                session.waits_no_more(what);
                Ok(Answer::Pass)
            }
            (202, "pending") => {
                session.waits(what, run)?;
                let asked =
                    |name: &str| reply.body.pointer(&format!("/approval/{name}")).and_then(Value::as_str);
                let (id, url) = (asked("id").unwrap_or_default(), asked("url").unwrap_or_default());
                Ok(Answer::Later(format!(
                    "AECL asks a person about this call, and nobody has answered yet ({id}, {url}). It is pending and nothing was \
                     executed. Do not try to do the same in another way. Go on with what does not need it, or stop and say that it \
                     waits; after the approval the same call with the same arguments is carried out."
                )))
            }
            (200, "blocked" | "rejected") => {
                session.waits_no_more(what);
                let code = reply.text("code");
                let no = if state == "rejected" { "was not approved" } else { "is refused" };
                Ok(Answer::Deny(format!(
                    "AECL: this call {no} [{code}]: {said}. Nothing was executed. Do not try to do the same in another way."
                )))
            }
            // Two files of the client name this hook, and both are asked about one call. Where the client does not name its calls
            // that may as well be another one, which waited beside it for the same yes.
            (202, "started") if call.id.is_some() && Self::is_begun(session, name, action)? => {
                Ok(Answer::Pass)
            }
            (202, "started") | (200, "done" | "failed" | "unknown") => Ok(Answer::Deny(format!(
                "AECL: this very call was begun before ({action}, {state}). It is not done twice. Look at what it did."
            ))),
            _ => Err(Error::new(format!(
                "AECL answers `{state}` with status {}, which is not understood",
                reply.status
            ))),
        }
    }

    /// Whether another hook was given leave for this very call just now. It may be about to write that down.
    fn is_begun(session: &Session, name: &Digest, action: &str) -> Result<bool, Error> {
        for _ in 0..20 {
            if let Some(begun) = session.begun(name)? {
                return Ok(begun.action == action && now_s().saturating_sub(begun.at) < AGAIN_S);
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(false)
    }

    fn after(&self, session: &Session, call: &Call, ending: &Ending) -> Result<(), Error> {
        // What was refused, or passes the gateway, has nothing to report here.
        let Some(begun) = session.ended(&name(call))? else { return Ok(()) };
        let mut report = report(self.client, call, ending);
        for renew in [false, true] {
            let token = self.token(session, &begun.run, renew)?;
            let path = format!("/v1/actions/{}/outcome", segment(&begun.action));
            let mut reply = self.server.post(&path, Some(&token), &report, Duration::ZERO)?;
            if matches!(reply.status, 400 | 413) && report.get("output").is_some() {
                // That it ended counts more than what came out.
                report = json!({ "outcome": report.get("outcome"), "code": "output_unrecorded" });
                reply = self.server.post(&path, Some(&token), &report, Duration::ZERO)?;
            }
            match reply.status {
                200 => return Ok(()),
                401 if !renew && reply.text("code") == "token_expired" => {}
                _ => {
                    return Err(problem(&reply, "the outcome was not taken")
                        .hint(format!("say what came of it with `aecl resolve {}`", begun.action)));
                }
            }
        }
        Ok(())
    }
}

/// What is reported. A program that ended badly has run; a change that a client could not make was not made.
fn report(client: Dialect, call: &Call, ending: &Ending) -> Value {
    let short = |said: &str| said.chars().take(1000).collect::<String>();
    match ending {
        Ending::Answered(output) if output.to_string().len() > OUTPUT_BYTES_MAX => {
            json!({ "outcome": "done", "code": "output_unrecorded" })
        }
        Ending::Answered(output) => json!({ "outcome": "done", "output": output }),
        Ending::NotBegun(said) => {
            json!({ "outcome": "failed", "code": "not_executed", "message": short(said) })
        }
        Ending::Failed(said) if tools::runs(client, &call.tool) => {
            json!({ "outcome": "done", "output": { "error": short(said) } })
        }
        Ending::Failed(said) if call.mcp.is_none() && tools::did_nothing(client, &call.tool) => {
            json!({ "outcome": "failed", "message": short(said) })
        }
        Ending::Failed(said) | Ending::Interrupted(said) => {
            json!({ "outcome": "unknown", "message": short(said) })
        }
    }
}

/// The project's directory, as the client says to its hooks.
fn project(client: Dialect) -> Option<PathBuf> {
    let name = match client {
        Dialect::Claude => "CLAUDE_PROJECT_DIR",
        Dialect::Gemini => "GEMINI_PROJECT_DIR",
        Dialect::Cursor => "CURSOR_PROJECT_DIR",
        Dialect::Codex | Dialect::Copilot => return None,
    };
    std::env::var_os(name).map(PathBuf::from).filter(|dir| Path::is_absolute(dir))
}

/// What tells this call from others of its session.
fn name(call: &Call) -> Digest {
    let input = call.input.to_string();
    match &call.id {
        Some(id) => Digest::of_parts("aecl/hook-call/v1", &[id.as_bytes()]),
        None => Digest::of_parts("aecl/hook-alike/v1", &[call.tool.as_bytes(), input.as_bytes()]),
    }
}

/// What tells a proposal from others, whenever it comes.
fn what(proposal: &Proposal) -> Digest {
    let arguments = proposal.arguments.to_string();
    Digest::of_parts("aecl/hook-what/v1", &[proposal.action.as_bytes(), arguments.as_bytes()])
}

/// The key under which a call happens once. Where a client names no calls, each is one of its own.
fn key(client: Dialect, call: &Call) -> Result<String, Error> {
    match &call.id {
        Some(_) => Ok(format!("hook:{}:{}", client.name(), name(call))),
        None => {
            let mut bytes = [0u8; 16];
            getrandom::fill(&mut bytes).map_err(|e| Error::new(format!("no random number: {e}")))?;
            Ok(format!("once:{}", URL_SAFE_NO_PAD.encode(bytes)))
        }
    }
}

fn held(token: &str) -> Result<Held, Error> {
    let times = claims(token).and_then(|of| Some((of.get("iat")?.as_u64()?, of.get("exp")?.as_u64()?)));
    let Some((issued, ends)) = times else { return Err(Error::new("the answer has no token of a run")) };
    // By its own two times: clocks may differ.
    let renew_at = now_s() + ends.saturating_sub(issued) * 2 / 3;
    Ok(Held { token: token.to_owned(), renew_at })
}

fn claims(token: &str) -> Option<Value> {
    let body = token.split('.').nth(1)?;
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(body.trim_end_matches('=')).ok()?).ok()
}

fn problem(reply: &Reply, what: &str) -> Error {
    let text = |name: &str| Some(reply.text(name).to_owned()).filter(|text| !text.is_empty());
    let detail =
        text("detail").or_else(|| text("message")).unwrap_or_else(|| format!("status {}", reply.status));
    Error { code: text("code"), hint: text("hint"), ..Error::new(format!("{what}: {detail}")) }
}
