//! `aecl-prove`: answers questions about Cedar policies for all requests of a schema at once.
//!
//! `aecl policy prove` starts it, writes one line of JSON for each question and reads one line for each
//! answer. It knows Cedar and the solver, and nothing of agents, manifests or bundles: what a question means
//! is the business of whoever asks it.
//!
//! ```text
//! > {"protocol": 1, "schema": {…}, "timeout_ms": 10000}
//! < {"ready": "cvc5 1.0.3"}
//! > {"action": "transfer_funds", "allows": [policy, …]}
//! < {"answer": "no"}
//! > {"action": "transfer_funds", "allows": [policy, …], "but_not": [policy, …]}
//! < {"answer": "yes", "request": {"principal": …, "resource": …, "context": {…}}}
//! > {"action": "transfer_funds", "errors": policy}
//! < {"answer": "unknown", "why": "…"}
//! ```

use cedar_policy::{Policy, PolicyId, PolicySet, RequestEnv, Schema};
use cedar_policy_symcc::err::Error as SymError;
use cedar_policy_symcc::solver::LocalSolver;
use cedar_policy_symcc::{CedarSymCompiler, CompiledPolicy, CompiledPolicySet, Env};
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::{BufRead, Write};
use std::process::{ExitCode, Stdio};
use std::time::Duration;

/// Of the words between us and whoever asks.
const PROTOCOL: u32 = 1;

/// Most objects and lists of a line that stand in each other. A rule that loads has at most 2,000 operators, two levels each,
/// and a few hundred `.`, `if` and brackets.
const DEPTH_MAX: usize = 8_192;

/// Of the thread that works: reading and compiling a rule means calling itself for each operator.
const STACK_BYTES: usize = 2 << 30;

/// The first line.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Opening {
    protocol: u32,
    schema: Value,
    /// For one question, in milliseconds.
    timeout_ms: u64,
}

/// Every line after it.
#[derive(Clone, Deserialize)]
#[serde(untagged, deny_unknown_fields)]
enum Question {
    /// Is there a request that these policies allow, and (if given) those do not?
    Allows { action: String, allows: Vec<Value>, but_not: Option<Vec<Value>> },
    /// Is there a request for which this policy cannot be evaluated?
    Errors { action: String, errors: Value },
}

/// What came out.
enum Answer {
    /// For this request, it is so.
    Yes(Box<Env>),
    /// For no request.
    No,
    /// Nobody knows.
    Unknown(String),
}

fn main() -> ExitCode {
    let works = std::thread::Builder::new().stack_size(STACK_BYTES).spawn(converse);
    let ended = match works.map(std::thread::JoinHandle::join) {
        Ok(Ok(ended)) => ended,
        Ok(Err(_)) => Err(refused("question", "the thread that works has panicked")),
        Err(e) => Err(refused("question", format!("the thread that works cannot start: {e}"))),
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(refusal) => {
            say(&refusal);
            ExitCode::FAILURE
        }
    }
}

/// A line as what it says.
fn parse<T: for<'de> Deserialize<'de>>(line: &str) -> Result<T, String> {
    if depth(line) > DEPTH_MAX {
        return Err(format!("it nests deeper than {DEPTH_MAX} levels of JSON; write the rule as several"));
    }
    let mut reader = serde_json::Deserializer::from_str(line);
    // Looked at above, with a stack that is long enough.
    reader.disable_recursion_limit();
    let read = T::deserialize(&mut reader).map_err(|e| e.to_string())?;
    reader.end().map_err(|e| e.to_string())?;
    Ok(read)
}

/// How many objects and lists stand in each other.
fn depth(line: &str) -> usize {
    let (mut deepest, mut now, mut in_text, mut bytes) = (0usize, 0usize, false, line.bytes());
    while let Some(byte) = bytes.next() {
        match byte {
            b'"' => in_text = !in_text,
            b'\\' if in_text => drop(bytes.next()),
            b'{' | b'[' if !in_text => now += 1,
            b'}' | b']' if !in_text => now = now.saturating_sub(1),
            _ => {}
        }
        deepest = deepest.max(now);
    }
    deepest
}

/// One line of answer. If nobody reads it any more, the next line of questions does not come either.
fn say(value: &Value) {
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "{value}").and_then(|()| out.flush());
}

fn refused(kind: &str, why: impl std::fmt::Display) -> Value {
    json!({"refused": kind, "why": why.to_string()})
}

#[tokio::main(flavor = "current_thread")]
async fn converse() -> Result<(), Value> {
    let mut lines = std::io::stdin().lock().lines();
    let first = match lines.next() {
        Some(Ok(line)) => line,
        Some(Err(e)) => return Err(refused("question", e)),
        None => return Ok(()),
    };
    let opening: Opening = parse(&first).map_err(|e| refused("question", e))?;
    if opening.protocol != PROTOCOL {
        let why = format!("protocol {} was asked for, and this program speaks {PROTOCOL}", opening.protocol);
        return Err(refused("protocol", why));
    }
    let schema = Schema::from_json_value(opening.schema).map_err(|e| refused("schema", e))?;
    let mut prover = Prover::new(schema, Duration::from_millis(opening.timeout_ms));
    say(&json!({"ready": solver_version()?}));
    for line in lines {
        let line = line.map_err(|e| refused("question", e))?;
        let answer = match parse(&line) {
            Ok(question) => prover.answer(question).await,
            Err(why) => Err(why),
        };
        say(&match answer {
            Ok(Answer::No) => json!({"answer": "no"}),
            Ok(Answer::Yes(env)) => match told(&env) {
                Ok(request) => json!({"answer": "yes", "request": request}),
                Err(why) => json!({"answer": "unknown", "why": why}),
            },
            Ok(Answer::Unknown(why)) => json!({"answer": "unknown", "why": why}),
            Err(why) => json!({"answer": "wrong", "why": why}),
        });
    }
    Ok(())
}

/// The solver: what `CVC5` names, or `cvc5` on the path.
fn solver() -> OsString {
    std::env::var_os("CVC5").unwrap_or_else(|| "cvc5".into())
}

fn solver_version() -> Result<String, Value> {
    let said = std::process::Command::new(solver()).arg("--version").stdin(Stdio::null()).output();
    let said = said.map_err(|e| refused("solver", format!("`{}`: {e}", solver().to_string_lossy())))?;
    let text = String::from_utf8_lossy(&said.stdout);
    match text.lines().next().filter(|line| line.contains("cvc5")) {
        Some(line) => {
            let plain = line.split(" [").next().unwrap_or(line);
            Ok(plain.trim_start_matches("This is ").replace("cvc5 version", "cvc5"))
        }
        None => Err(refused("solver", format!("`{}` is no cvc5", solver().to_string_lossy()))),
    }
}

struct Prover {
    schema: Schema,
    /// By action: for each kind of thing that it may be about one.
    environments: BTreeMap<String, Vec<RequestEnv>>,
    timeout: Duration,
    compiler: Option<CedarSymCompiler<LocalSolver>>,
}

impl Prover {
    fn new(schema: Schema, timeout: Duration) -> Self {
        let mut environments: BTreeMap<String, Vec<RequestEnv>> = BTreeMap::new();
        for env in schema.request_envs() {
            environments.entry(env.action().id().unescaped().to_owned()).or_default().push(env);
        }
        Self { schema, environments, timeout, compiler: None }
    }

    /// `Err` is a question that makes no sense.
    async fn answer(&mut self, question: Question) -> Result<Answer, String> {
        let mut compiler = match self.compiler.take() {
            Some(compiler) => compiler,
            None => self.start()?,
        };
        // The solver ends by itself at its limit; this is for one that does not.
        let most = self.timeout.saturating_add(Duration::from_secs(2));
        match tokio::time::timeout(most, self.ask(&mut compiler, question)).await {
            Ok(Ok(answer)) => {
                self.compiler = Some(compiler);
                Ok(answer)
            }
            Ok(Err(Trouble::Question(why))) => {
                self.compiler = Some(compiler);
                Err(why)
            }
            // Its state is unknown; the next question gets a new one.
            Ok(Err(Trouble::Solver(why))) => Ok(Answer::Unknown(why)),
            Err(_) => Ok(Answer::Unknown(format!("no answer in {} ms", self.timeout.as_millis()))),
        }
    }

    fn start(&self) -> Result<CedarSymCompiler<LocalSolver>, String> {
        let mut command = tokio::process::Command::new(solver());
        command.args(["--lang", "smt"]).arg(format!("--tlimit-per={}", self.timeout.as_millis()));
        command.kill_on_drop(true);
        let solver = LocalSolver::from_command(&mut command).map_err(|e| e.to_string())?;
        CedarSymCompiler::new(solver).map_err(|e| e.to_string())
    }

    async fn ask(
        &self,
        compiler: &mut CedarSymCompiler<LocalSolver>,
        question: Question,
    ) -> Result<Answer, Trouble> {
        let environments = match &question {
            Question::Allows { action, .. } | Question::Errors { action, .. } => self.environments(action)?,
        };
        let mut answer = Answer::No;
        for env in environments {
            match self.ask_in(compiler, env, question.clone()).await? {
                Answer::No => {}
                yes @ Answer::Yes(_) => return Ok(yes),
                // What nobody knows of one kind of thing is not known.
                unknown @ Answer::Unknown(_) => answer = unknown,
            }
        }
        Ok(answer)
    }

    async fn ask_in(
        &self,
        compiler: &mut CedarSymCompiler<LocalSolver>,
        env: &RequestEnv,
        question: Question,
    ) -> Result<Answer, Trouble> {
        let found = match question {
            Question::Allows { allows, but_not, .. } => {
                let allows = self.compile(env, allows)?;
                match but_not {
                    None => compiler.check_always_denies_with_counterexample_opt(&allows).await,
                    Some(others) => {
                        let others = self.compile(env, others)?;
                        compiler.check_implies_with_counterexample_opt(&allows, &others).await
                    }
                }
            }
            Question::Errors { errors, .. } => {
                let policy = read(0, errors)?;
                let policy = CompiledPolicy::compile(&policy, env, &self.schema)
                    .map_err(|e| Trouble::Question(e.to_string()))?;
                compiler.check_never_errors_with_counterexample_opt(&policy).await
            }
        };
        match found {
            Ok(None) => Ok(Answer::No),
            Ok(Some(env)) => Ok(Answer::Yes(Box::new(env))),
            Err(SymError::SolverUnknown) => {
                Ok(Answer::Unknown("the solver gave up or ran out of time".into()))
            }
            Err(e) => Err(Trouble::Solver(e.to_string())),
        }
    }

    fn environments(&self, action: &str) -> Result<&[RequestEnv], Trouble> {
        let found = self.environments.get(action);
        found
            .map(Vec::as_slice)
            .ok_or_else(|| Trouble::Question(format!("the schema has no action `{action}`")))
    }

    fn compile(&self, env: &RequestEnv, policies: Vec<Value>) -> Result<CompiledPolicySet, Trouble> {
        let mut set = PolicySet::new();
        for (i, policy) in policies.into_iter().enumerate() {
            set.add(read(i, policy)?).map_err(|e| Trouble::Question(e.to_string()))?;
        }
        CompiledPolicySet::compile(&set, env, &self.schema).map_err(|e| Trouble::Question(e.to_string()))
    }
}

/// Why there is no answer.
enum Trouble {
    /// It was asked wrongly.
    Question(String),
    /// The solver failed.
    Solver(String),
}

fn read(i: usize, policy: Value) -> Result<Policy, Trouble> {
    Policy::from_json(Some(PolicyId::new(format!("p{i}"))), policy)
        .map_err(|e| Trouble::Question(e.to_string()))
}

/// A request as JSON. `granted`, `run` and the others are in its context.
fn told(env: &Env) -> Result<Value, String> {
    let uid = |uid: Option<&cedar_policy::EntityUid>| uid.map(|u| u.id().unescaped().to_owned());
    let context = env.request.context().ok_or("the request has no context")?;
    let context = context.to_json_value().map_err(|e| e.to_string())?;
    let thing = env.request.resource().and_then(|resource| env.entities.get(resource));
    let thing = thing.map(|thing| thing.to_json_value().map_err(|e| e.to_string())).transpose()?;
    Ok(json!({
        "principal": uid(env.request.principal()), "resource": uid(env.request.resource()), "context": context,
        "attributes": thing.as_ref().and_then(|thing| thing.get("attrs")),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nested(levels: usize) -> String {
        format!("{}{}", "[".repeat(levels), "]".repeat(levels))
    }

    #[test]
    fn a_line_is_read_as_deep_as_a_rule_may_nest_and_no_deeper() {
        let read = |levels: usize| {
            let works = move || parse::<Value>(&nested(levels)).map(drop);
            std::thread::Builder::new().stack_size(STACK_BYTES).spawn(works).unwrap().join().unwrap()
        };
        assert_eq!(read(DEPTH_MAX), Ok(()));
        let why = read(DEPTH_MAX + 1).unwrap_err();
        assert!(why.contains("deeper than 8192 levels"), "{why}");
        assert!(read(1_000_000).is_err());
        assert_eq!(depth(r#"{"a": ["[[[[\"[[["], "b\\": {}}"#), 2);
        assert!(parse::<Value>("{} {}").is_err(), "a line is one value");
    }
}
