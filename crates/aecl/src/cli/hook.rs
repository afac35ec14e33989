//! `aecl hook`: what a coding agent asks before it uses a tool, and tells after it. It is a process of some milliseconds that
//! reads one event, asks the running AECL and answers in the client's own dialect.
//!
//! Clients take what goes wrong with a hook for a yes, each in its own cases; so whatever goes wrong here before a tool is
//! used is said in words and with exit code 2, which all of them take for a no, and in time, before the client gives up.

mod dialect;
mod event;
mod server;
mod session;
mod tools;
mod walk;
mod whereabouts;

#[cfg(test)]
mod tests;

pub use dialect::Dialect;

use super::{Common, Error, Exit, Result, show};
use aecl_kernel::base::json::{Document, Limits};
use serde_json::Value;
use server::Server;
use std::io::{Read as _, Write as _};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use walk::Walk;

/// Longest event that is read, in bytes.
const INPUT_BYTES_MAX: usize = 32 << 20;
/// Exit code that every client takes for a no.
const NO: u8 = 2;

/// Arguments.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  aecl hook claude --agent assistant        in the hooks of Claude Code; `aecl wrap claude` writes them
  aecl hook codex --wait 20 --within 25

It reads one event of the client on standard input and answers on standard output: nothing where nothing speaks against the \
call, a refusal in the client's dialect otherwise. Whatever goes wrong before a call is exit code 2 with a reason, which \
refuses it. The server is the one of the home, which is started if nobody serves it. Where the line has no `--dir`, AECL_URL \
with AECL_KEY (of an orchestrator) or AECL_TOKEN (of a run) names another one.")]
pub struct Args {
    /// Which client.
    #[arg(value_enum)]
    client: Dialect,
    /// The agent that acts through it.
    #[arg(long, env = "AECL_AGENT", default_value = "assistant", value_name = "ID")]
    agent: String,
    /// The name of the event, for clients that do not say it: Copilot.
    #[arg(long, value_name = "NAME")]
    event: Option<String>,
    /// Seconds to wait for people before the model is told that the call is pending.
    #[arg(long, default_value_t = 40, value_name = "SECONDS")]
    wait: u64,
    /// Seconds after which the call is refused, whatever is going on. Stay below the client's own time for hooks.
    #[arg(long, default_value_t = 55, value_name = "SECONDS")]
    within: u64,
}

/// Runs it.
pub fn run(common: &Common, args: &Args) -> Result {
    let time = Deadline::begin(Duration::from_secs(args.within.max(1)));
    let (said, guards) = match read() {
        Ok(input) => {
            let input = named(input, args.event.as_deref());
            let guards = args.client.guards(&input);
            (answer(common, args, &input, guards), guards)
        }
        Err(error) => (Err(error), true),
    };
    time.ends();
    match said {
        Ok(said) => {
            if let Some(said) = said.or_else(|| args.client.silence()) {
                println!("{said}");
            }
            Ok(Exit::Done)
        }
        Err(error) => {
            let code = error.code.map_or(String::new(), |code| format!(" [{code}]"));
            let hint = error.hint.map_or(String::new(), |hint| format!(" (for the user: {hint})"));
            let no =
                if guards { "AECL could not judge this call, so nothing was executed: " } else { "aecl: " };
            let why = format!("{no}{}{code}{hint}", error.message);
            show::say(&why);
            // Its model hears what stands in an answer, and not what is said beside it.
            if guards && args.client == Dialect::Copilot {
                println!("{}", args.client.answer(&event::Answer::Deny(why), false).unwrap_or_default());
            }
            // After a call, or with a prompt, there is nothing to refuse.
            Ok(if guards { Exit::Program(NO) } else { Exit::Done })
        }
    }
}

fn answer(
    common: &Common,
    args: &Args,
    input: &Value,
    guards: bool,
) -> std::result::Result<Option<String>, Error> {
    let event = args.client.read(input).map_err(|why| {
        Error::new(format!("the event of `{}` is not understood: {why}", args.client.name()))
            .hint("is this the hook of another client, or a version that AECL does not know?")
    })?;
    let set = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    // What a project says of the environment of its tools reaches this process: where the line names the home, no
    // variable leads it to another server or run.
    let instead = |name: &str| set(name).filter(|_| !names_home(std::env::args()));
    let walk = Walk {
        client: args.client,
        server: Server::find(common, instead("AECL_URL").as_deref())?,
        home: common.dir.clone(),
        agent: args.agent.clone(),
        token: instead("AECL_TOKEN"),
        wait: Duration::from_secs(args.wait.min(args.within.saturating_sub(5))),
    };
    let answer = walk.take(&event)?;
    // Nobody looks at it, and it can come back: `claude -p --resume`.
    let waits = set("CLAUDE_CODE_ENTRYPOINT").as_deref() == Some("sdk-cli");
    match answer {
        Some(answer) => Ok(args.client.answer(&answer, waits)),
        None if guards && event.kind != event::Kind::Other => Err(Error::new("nobody has judged it")),
        None => Ok(None),
    }
}

/// The event with its name, where the line says it.
fn named(mut input: Value, event: Option<&str>) -> Value {
    if let (Some(event), Some(of)) = (event, input.as_object_mut()) {
        of.insert("hook_event_name".into(), event.into());
    }
    input
}

/// Whether the words of a command line themselves say which home it is.
fn names_home(mut words: impl Iterator<Item = String>) -> bool {
    words.any(|word| word == "--dir" || word.starts_with("--dir="))
}

/// The event on standard input, of which no part has two meanings.
fn read() -> std::result::Result<Value, Error> {
    let mut bytes = Vec::new();
    let most = INPUT_BYTES_MAX as u64 + 1;
    std::io::stdin()
        .lock()
        .take(most)
        .read_to_end(&mut bytes)
        .map_err(|e| Error::new(format!("the event cannot be read: {e}")))?;
    let limits = Limits { bytes_max: INPUT_BYTES_MAX, values_max: 1_000_000, ..Limits::default() };
    Document::read(&bytes, &limits).map_err(|e| Error {
        code: Some(e.code.to_string()),
        ..Error::new(format!("the event is no JSON with one meaning: {e}"))
    })
}

/// Time in which an answer has to be there. A client that waits no longer uses the tool.
struct Deadline {
    over: Arc<Mutex<bool>>,
}

impl Deadline {
    fn begin(limit: Duration) -> Self {
        let over = Arc::new(Mutex::new(false));
        let watched = over.clone();
        std::thread::spawn(move || {
            std::thread::sleep(limit);
            let over = watched.lock().unwrap_or_else(PoisonError::into_inner);
            if !*over {
                let said = format!(
                    "AECL could not judge this call within {} s, so nothing was executed.\n",
                    limit.as_secs()
                );
                drop(std::io::stderr().write_all(said.as_bytes()));
                std::process::exit(i32::from(NO));
            }
        });
        Self { over }
    }

    /// The answer is there.
    fn ends(&self) {
        *self.over.lock().unwrap_or_else(PoisonError::into_inner) = true;
    }
}
