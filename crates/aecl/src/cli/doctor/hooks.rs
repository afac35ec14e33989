//! The hooks of coding agents: each that names this home is asked about a call that it has to refuse, by its own line.

use super::check::{Check, Seen};
use crate::cli::place::project_of;
use crate::cli::wrap::{Client, installed, user};
use serde_json::{Value, json};
use std::io::{Read as _, Write as _};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

/// How long a hook may take.
const PATIENCE: Duration = Duration::from_secs(60);
const COOPERATIVE: &str = "cooperative: the client itself keeps to the answer, so hold it in its own sandbox where the answer must hold";

/// Looks at them.
pub(super) fn look(seen: &Seen, checks: &mut Vec<Check>) {
    let Some(project) = project_of(seen.home.dir()).or_else(|| std::env::current_dir().ok()) else { return };
    let home = seen.home.dir().canonicalize().unwrap_or_else(|_| seen.home.dir().to_owned());
    for (client, what) in [
        (Client::Claude, "hooks of claude"),
        (Client::Codex, "hooks of codex"),
        (Client::Gemini, "hooks of gemini"),
        (Client::Copilot, "hooks of copilot"),
        (Client::Cursor, "hooks of cursor"),
    ] {
        for hook in installed(client, &project, user().as_deref()) {
            if !hook.command.contains(&home.display().to_string()) {
                continue;
            }
            let file = hook.file.display();
            let line = format!("`aecl wrap {}` writes it anew", client.name());
            checks.push(match canary(client, &hook.command, &home, &project) {
                Err(why) => Check::broken(what, format!("not enforcing: `{file}`: {why}"), line),
                Ok(()) if hook.lacks.is_empty() => {
                    Check::ok(what, format!("proven: `{file}` refused a canary; {COOPERATIVE}"))
                }
                Ok(()) => {
                    let of = |which: fn(&(String, String)) -> &String| {
                        hook.lacks.iter().map(which).cloned().collect::<Vec<_>>().join("; ")
                    };
                    let found = format!("cooperative: `{file}` refused a canary, and {}", of(|lack| &lack.0));
                    Check::advice(what, found, of(|lack| &lack.1))
                }
            });
        }
    }
}

/// Has a hook asked about a call that leads to our own keys, as the client would. An error says how it was not refused.
fn canary(client: Client, line: &str, home: &Path, project: &Path) -> Result<(), String> {
    let key = home.join("keys/operator.key").display().to_string();
    let (event, tool) = match client {
        Client::Gemini => ("BeforeTool", "run_shell_command"),
        _ => ("PreToolUse", "Bash"),
    };
    let call = json!({ "session_id": "aecl-doctor", "cwd": project, "hook_event_name": event, "tool_name": tool,
                       "tool_input": { "command": format!("cat '{key}'") }, "tool_use_id": "aecl-doctor-canary" });
    let call = match client {
        Client::Copilot => {
            json!({ "sessionId": "aecl-doctor", "cwd": project, "timestamp": 0, "toolName": "bash",
                                   "toolArgs": { "command": format!("cat '{key}'"), "description": "look" } })
        }
        Client::Cursor => {
            json!({ "conversation_id": "aecl-doctor", "cwd": project, "hook_event_name": "preToolUse", "tool_name": "Shell",
                    "tool_input": { "command": format!("cat '{key}'"), "cwd": "" }, "tool_use_id": "aecl-doctor-canary" })
        }
        _ => call,
    };
    let line = match client {
        // As it writes the event itself.
        Client::Cursor => format!("{line} <<'AECL_EVENT'\n{call}\nAECL_EVENT"),
        _ => line.to_owned(),
    };
    let mut command = Command::new("sh");
    command.args(["-c", &line]).current_dir(project).process_group(0);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(|e| format!("its command cannot be started: {e}"))?;
    let (mut input, output, errors) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let group = rustix::process::Pid::from_child(&child);
    let (tell, told) = mpsc::channel();
    std::thread::spawn(move || {
        if let Some(input) = input.as_mut() {
            drop(input.write_all(call.to_string().as_bytes()));
        }
        drop(input);
        let (mut out, mut err) = (String::new(), String::new());
        drop(output.map(|mut pipe| pipe.read_to_string(&mut out)));
        drop(errors.map(|mut pipe| pipe.read_to_string(&mut err)));
        drop(tell.send((child.wait(), out, err)));
    });
    let Ok((ended, out, err)) = told.recv_timeout(PATIENCE) else {
        let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
        return Err(format!("it gave no answer in {} s, and the client uses the tool", PATIENCE.as_secs()));
    };
    let code = ended.map_err(|e| e.to_string())?.code();
    let said = err.trim().lines().next().unwrap_or_default().to_owned();
    match (code, serde_json::from_str::<Value>(out.trim())) {
        (Some(0), Ok(answer)) => {
            let decision =
                answer.pointer("/hookSpecificOutput/permissionDecision").or_else(|| answer.get("decision"));
            let decision =
                decision.or_else(|| answer.get("permissionDecision").or_else(|| answer.get("permission")));
            match decision.and_then(Value::as_str) {
                Some("deny") if out.contains("own_house") => Ok(()),
                Some("deny") => {
                    Err("it refuses everything: the canary was refused for another reason".into())
                }
                Some(_) | None => Err(format!("it let a canary pass that reads our keys: {}", out.trim())),
            }
        }
        (Some(0), Err(_)) => Err("it let a canary pass that reads our keys".into()),
        (Some(2), _) => Err(format!("it refuses everything: {said}")),
        (code, _) => Err(format!("it ended with {code:?}, and the client uses the tool: {said}")),
    }
}
