//! The program that answers: where it is, how it is spoken to, and when it has had its time.

use crate::cli::{Error, Exit, show};
use aecl_analysis::prove::{Question, SolverAnswer};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

/// Of the words between us; `prove/src/main.rs` has the same number.
const PROTOCOL: u32 = 1;
const PROGRAM: &str = "aecl-prove";
/// How long it may take to say that it is ready.
const READY: Duration = Duration::from_secs(20);

/// A running `aecl-prove`.
#[derive(Debug)]
pub(super) struct Solver {
    child: Child,
    questions: ChildStdin,
    answers: Receiver<String>,
    version: String,
    asked: usize,
    /// One question, and a little for the way.
    each: Duration,
    ends: Instant,
    failed: Option<String>,
    shows: bool,
}

impl Solver {
    /// Finds it, starts it, and hears that it is ready.
    pub(super) fn start(schema: &Value, each: Duration, all: Duration) -> Result<Self, Error> {
        let program = find().ok_or_else(absent)?;
        let mut child = Command::new(&program)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|e| absent_because(format!("`{}` does not start: {e}", program.display())))?;
        let (Some(questions), Some(out)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(Error::new("the pipes of `aecl-prove` cannot be opened"));
        };
        let (send, answers) = channel();
        std::thread::spawn(move || {
            let lines = BufReader::new(out).lines().map_while(Result::ok);
            lines.take_while(|line| send.send(line.clone()).is_ok()).for_each(drop);
        });
        let mut solver = Self {
            child,
            questions,
            answers,
            version: String::new(),
            asked: 0,
            each: each + Duration::from_secs(5),
            ends: Instant::now() + all,
            failed: None,
            shows: std::io::stderr().is_terminal(),
        };
        let opening = json!({
            "protocol": PROTOCOL, "schema": schema,
            "timeout_ms": u64::try_from(each.as_millis()).unwrap_or(u64::MAX),
        });
        let ready =
            solver.exchange(&opening, READY).map_err(|why| absent_because(format!("`aecl-prove`: {why}")))?;
        match (ready.get("ready").and_then(Value::as_str), said(&ready, "refused"), said(&ready, "why")) {
            (Some(version), ..) => solver.version = version.to_owned(),
            (None, "solver", why) => return Err(no_solver(why)),
            (None, _, why) => return Err(absent_because(format!("`aecl-prove` refuses: {why}"))),
        }
        Ok(solver)
    }

    /// Asks. Whatever goes wrong, nothing is proven by it.
    pub(super) fn ask(&mut self, question: &Question) -> SolverAnswer {
        if let Some(why) = &self.failed {
            return SolverAnswer::Unknown(why.clone());
        }
        let left = self.ends.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return self.fail("the time for all questions is over (`--timeout`)".into());
        }
        self.asked += 1;
        self.show();
        let question = match serde_json::to_value(question) {
            Ok(question) => question,
            Err(e) => return SolverAnswer::Unknown(e.to_string()),
        };
        let said_back = match self.exchange(&question, left.min(self.each)) {
            Ok(said_back) => said_back,
            Err(why) => return self.fail(why),
        };
        match said(&said_back, "answer") {
            "no" => SolverAnswer::No,
            "yes" => match said_back.pointer("/request/context") {
                Some(context) => SolverAnswer::Yes(with_thing(context.clone(), &said_back)),
                None => SolverAnswer::Unknown("a request without its context".into()),
            },
            _ => SolverAnswer::Unknown(said(&said_back, "why").to_owned()),
        }
    }

    /// How many questions were asked.
    pub(super) fn asked(&self) -> usize {
        self.asked
    }

    /// What answers.
    pub(super) fn version(&self) -> String {
        self.version.clone()
    }

    /// Takes the line of progress away.
    pub(super) fn quiet(&self) {
        if self.shows {
            eprint!("\r\u{1b}[K");
        }
    }

    fn show(&self) {
        if self.shows {
            eprint!("\rproving: question {}\u{1b}[K", self.asked);
        }
    }

    fn fail(&mut self, why: String) -> SolverAnswer {
        // A late answer would be taken for that to the next question.
        drop(self.child.kill());
        self.failed = Some(why.clone());
        SolverAnswer::Unknown(why)
    }

    fn exchange(&mut self, question: &Value, most: Duration) -> Result<Value, String> {
        let sent = writeln!(self.questions, "{question}").and_then(|()| self.questions.flush());
        if let Err(e) = sent
            && e.kind() != std::io::ErrorKind::BrokenPipe
        {
            return Err(e.to_string());
        }
        match self.answers.recv_timeout(most) {
            Ok(line) => serde_json::from_str(&line).map_err(|e| format!("an answer that is none: {e}")),
            Err(RecvTimeoutError::Timeout) => Err(format!("no answer in {} s", most.as_secs())),
            Err(RecvTimeoutError::Disconnected) => Err("it has ended".into()),
        }
    }
}

impl Drop for Solver {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// A context with the thing that the request is about. No member of a context is called `resource`.
fn with_thing(mut context: Value, said_back: &Value) -> Value {
    let attributes = said_back.pointer("/request/attributes").filter(|attributes| attributes.is_object());
    if let (Some(context), Some(attributes)) = (context.as_object_mut(), attributes) {
        context.insert("resource".into(), attributes.clone());
    }
    context
}

fn said<'a>(value: &'a Value, key: &str) -> &'a str {
    value.get(key).and_then(Value::as_str).unwrap_or_default()
}

/// What `AECL_PROVE` names, then beside this program, then on the path.
fn find() -> Option<PathBuf> {
    if let Some(named) = std::env::var_os("AECL_PROVE").filter(|v| !v.is_empty()) {
        return Some(named.into());
    }
    let beside = std::env::current_exe().ok().and_then(|own| Some(own.parent()?.join(PROGRAM)));
    let path = std::env::var_os("PATH").unwrap_or_default();
    let on_path = std::env::split_paths(&path).map(|dir| dir.join(PROGRAM));
    beside.into_iter().chain(on_path).find(|file| Path::is_file(file))
}

fn absent() -> Error {
    absent_because("the program `aecl-prove` is neither beside this one nor on the path".into())
}

fn absent_because(message: String) -> Error {
    Error { exit: Exit::Unknown, ..Error::new(show::inert(&message)) }
        .hint("in the repository: `cargo install --locked --path prove`; it needs cvc5, too: `apt-get install cvc5`")
}

fn no_solver(why: &str) -> Error {
    Error {
        exit: Exit::Unknown,
        ..Error::new(format!("the solver cvc5 cannot be asked: {}", show::inert(why)))
    }
    .hint("`apt-get install cvc5` (1.0.3 or newer), or set CVC5 to the path of its program")
}
