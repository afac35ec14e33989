//! Events of clients as they send them (Claude Code 2.1.331, Codex CLI 0.169.0, Gemini CLI 0.61.0, Copilot CLI 1.0.102, the runtime of Cursor's
//! SDK 1.0.31), and what they are here.

#![allow(clippy::unwrap_used, reason = "tests")]

use super::dialect::Dialect::{self, Claude, Codex, Copilot, Cursor, Gemini};
use super::event::{Answer, Call, Ending, Event, Kind};
use super::tools::proposal;
use serde_json::{Value, json};
use std::path::Path;

fn event(client: Dialect, input: &Value) -> Event {
    client.read(input).unwrap()
}

fn claude(name: &str, more: Value) -> Value {
    let mut input = json!({
        "session_id": "8402d6de", "transcript_path": "/home/me/.claude/projects/p/8402d6de.jsonl", "cwd": "/p",
        "prompt_id": "cdc9b3eb", "permission_mode": "default", "effort": { "level": "medium" }, "hook_event_name": name,
    });
    input.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    input
}

fn call(input: &Value, client: Dialect) -> Call {
    match event(client, input).kind {
        Kind::Before(call) | Kind::After(call, _) => call,
        other => panic!("{other:?}"),
    }
}

#[test]
fn events_of_claude_code_are_understood() {
    let bash = json!({ "tool_name": "Bash", "tool_input": { "command": "ls" }, "tool_use_id": "toolu_1" });
    let before = event(Claude, &claude("PreToolUse", bash.clone()));
    assert_eq!((before.session.as_str(), before.cwd.as_path()), ("8402d6de", Path::new("/p")));
    let ls = Call {
        tool: "Bash".into(),
        input: json!({ "command": "ls" }),
        id: Some("toolu_1".into()),
        mcp: None,
    };
    assert_eq!(before.kind, Kind::Before(ls.clone()));
    let ended = |name: &str, more: Value| {
        let mut all = bash.as_object().unwrap().clone();
        all.extend(more.as_object().unwrap().clone());
        match event(Claude, &claude(name, Value::Object(all))).kind {
            Kind::After(call, ending) if call == ls => ending,
            other => panic!("{other:?}"),
        }
    };
    let stdout = json!({ "stdout": "a", "stderr": "", "interrupted": false });
    assert_eq!(ended("PostToolUse", json!({ "tool_response": stdout })), Ending::Answered(stdout));
    let failed =
        |cut: bool| ended("PostToolUseFailure", json!({ "error": "Exit code 3", "is_interrupt": cut }));
    assert_eq!(failed(false), Ending::Failed("Exit code 3".into()));
    assert_eq!(failed(true), Ending::Interrupted("Exit code 3".into()));
    let prompt = event(Claude, &claude("UserPromptSubmit", json!({ "prompt": "do it" })));
    assert_eq!(prompt.kind, Kind::Prompt("do it".into()));
    assert_eq!(event(Claude, &claude("SessionStart", json!({ "source": "startup" }))).kind, Kind::Other);
    let mcp = json!({ "tool_name": "mcp__my_files__read__all", "tool_input": {}, "tool_use_id": "t" });
    assert_eq!(
        call(&claude("PreToolUse", mcp), Claude).mcp,
        Some(("my_files".to_owned(), "read__all".to_owned()))
    );
}

#[test]
fn events_of_codex_and_gemini_are_understood() {
    let codex = json!({
        "session_id": "01a2", "turn_id": "01a3", "cwd": "/p", "hook_event_name": "PreToolUse", "model": "gpt-5-codex",
        "permission_mode": "default", "tool_name": "Bash", "tool_input": { "command": "ls" }, "tool_use_id": "call_1",
    });
    assert_eq!(call(&codex, Codex).id.as_deref(), Some("call_1"));
    let mut gemini = json!({
        "session_id": "880f", "cwd": "/p", "hook_event_name": "BeforeTool", "timestamp": "2026-11-25T04:12:06.835Z",
        "tool_name": "run_shell_command", "tool_input": { "command": "ls" },
    });
    assert_eq!(call(&gemini, Gemini).id, None);
    gemini["hook_event_name"] = "AfterTool".into();
    gemini["tool_response"] =
        json!({ "llmContent": "x", "returnDisplay": "x", "error": { "message": "no", "type": "e" } });
    assert!(matches!(event(Gemini, &gemini).kind, Kind::After(_, Ending::Failed(said)) if said == "no"));
    gemini["mcp_context"] = json!({ "server_name": "files", "tool_name": "read", "command": "npx" });
    assert_eq!(call(&gemini, Gemini).mcp, Some(("files".to_owned(), "read".to_owned())));
    let agent = json!({ "session_id": "s", "cwd": "/p", "hook_event_name": "BeforeAgent", "prompt": "" });
    assert_eq!(event(Gemini, &agent).kind, Kind::Prompt(String::new()));
}

#[test]
fn events_of_copilot_are_understood_by_the_name_that_the_line_gives_them() {
    let said = |event: &str, more: Value| {
        let mut input = json!({ "sessionId": "aeaa512d", "timestamp": 1_795_624_365_612_u64, "cwd": "/p" });
        input.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        super::named(input, Some(event).filter(|event| !event.is_empty()))
    };
    let ls =
        json!({ "toolName": "bash", "toolArgs": { "command": "ls", "description": "x", "mode": "sync" } });
    let before = said("preToolUse", ls.clone());
    assert_eq!(event(Copilot, &before).session, "aeaa512d");
    let one = call(&before, Copilot);
    assert_eq!((one.tool.as_str(), &one.input["command"], one.id), ("bash", &json!("ls"), None));
    let text = json!({ "toolName": "bash", "toolArgs": "{\"command\":\"ls\"}" });
    assert_eq!(call(&said("preToolUse", text), Copilot).input, json!({ "command": "ls" }));
    let ended = |more: Value| match event(Copilot, &said("postToolUse", more)).kind {
        Kind::After(_, ending) => ending,
        other => panic!("{other:?}"),
    };
    let with = |result: Value| json!({ "toolName": "edit", "toolArgs": {}, "toolResult": result });
    let good = json!({ "resultType": "success", "textResultForLlm": "hi" });
    assert_eq!(ended(with(good.clone())), Ending::Answered(good));
    let bad = json!({ "resultType": "failure", "textResultForLlm": "no" });
    assert_eq!(ended(with(bad)), Ending::Failed("no".into()));
    let failed = json!({ "toolName": "edit", "toolArgs": {}, "error": "ENOENT" });
    let failed = event(Copilot, &said("postToolUseFailure", failed)).kind;
    assert!(matches!(failed, Kind::After(_, Ending::Failed(said)) if said == "ENOENT"));
    let prompt = said("userPromptSubmitted", json!({ "prompt": "do it" }));
    assert_eq!(event(Copilot, &prompt).kind, Kind::Prompt("do it".into()));
    // Without its name an event may be one before a tool.
    let unnamed = said("", ls);
    assert!(Copilot.guards(&unnamed) && Copilot.read(&unnamed).is_err());
    for broken in
        [json!({ "toolName": "bash" }), json!({ "toolName": "bash", "toolArgs": "{\"a\":1,\"a\":2}" })]
    {
        let broken = said("preToolUse", broken);
        assert!(Copilot.guards(&broken) && Copilot.read(&broken).is_err(), "{broken}");
    }
    let no = Copilot.answer(&Answer::Deny("because".into()), false).unwrap();
    assert_eq!(no, r#"{"permissionDecision":"deny","permissionDecisionReason":"because"}"#);
    assert_eq!(Copilot.answer(&Answer::Pass, false), None);
    assert!(Copilot.tells_apart("read_file") && !Copilot.tells_apart("evil-read_file"));
}

#[test]
fn tools_of_copilot_are_actions() {
    let of = |tool: &str, input: Value| {
        let call = Call { tool: tool.into(), input, id: None, mcp: None };
        proposal(Copilot, &call, Path::new("/p"), Path::new("/p"))
    };
    let action = |tool: &str, input: Value| of(tool, input).unwrap().action;
    assert_eq!(action("bash", json!({ "command": "ls", "shellId": "0", "mode": "async" })), "code.shell");
    assert_eq!(action("view", json!({ "path": "a", "view_range": [1, 2] })), "code.read");
    assert_eq!(action("edit", json!({ "path": "a", "old_str": "x", "new_str": "y" })), "code.edit");
    assert_eq!(action("task", json!({ "prompt": "x" })), "code.internal");
    assert_eq!(action("write_bash", json!({ "input": "x" })), "copilot.write_bash");
    let written = of("create", json!({ "path": "/etc/x", "file_text": "t" })).unwrap();
    assert_eq!((written.action.as_str(), &written.arguments["place"]), ("code.write", &json!("outside")));
    let found = of("grep", json!({ "pattern": "x", "paths": ["/etc"] })).unwrap();
    assert_eq!(found.arguments["place"], "outside");
    for several in [json!(["a", "/etc"]), json!([7]), json!([])] {
        assert!(of("glob", json!({ "pattern": "x", "paths": several })).is_err(), "{several}");
    }
}

/// What is missing or of another kind refuses, and what is no event of a tool refuses nothing.
fn cursor(name: &str, more: Value) -> Value {
    let mut input = json!({
        "conversation_id": "c-1", "generation_id": "g-1", "model": "default", "session_id": "c-1", "hook_event_name": name,
        "cursor_version": "1.0.31", "workspace_roots": ["/p"], "user_email": "me@example.com", "transcript_path": null,
    });
    input.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    input
}

#[test]
fn events_of_cursor_are_understood() {
    let ls = json!({ "tool_name": "Shell", "tool_input": { "command": "ls", "cwd": "" }, "tool_use_id": "u-1", "cwd": "" });
    let before = cursor("preToolUse", ls.clone());
    assert_eq!(
        (event(Cursor, &before).session.as_str(), event(Cursor, &before).cwd.as_path()),
        ("c-1", Path::new("/p"))
    );
    assert_eq!(call(&before, Cursor).id.as_deref(), Some("u-1"));
    let ended = |name: &str, of: &Value, more: Value| {
        let mut all = of.as_object().unwrap().clone();
        all.extend(more.as_object().unwrap().clone());
        match event(Cursor, &cursor(name, Value::Object(all))).kind {
            Kind::After(_, ending) => ending,
            other => panic!("{other:?}"),
        }
    };
    let output = json!({ "tool_output": "{\"stdout\":\"a\"}", "duration": 3 });
    assert_eq!(ended("postToolUse", &ls, output), Ending::Answered(json!({ "stdout": "a" })));
    let failed = |kind: &str| {
        let more =
            json!({ "error_message": "no", "failure_type": kind, "duration": 0, "is_interrupt": false });
        ended("postToolUseFailure", &ls, more)
    };
    assert_eq!(failed("permission_denied"), Ending::NotBegun("no".into()));
    assert_eq!(failed("error"), Ending::Failed("no".into()));
    let prompt = cursor("beforeSubmitPrompt", json!({ "prompt": "do it", "attachments": [] }));
    assert_eq!(event(Cursor, &prompt).kind, Kind::Prompt("do it".into()));
}

/// Of a tool of an MCP server two events tell; the one that names the server is asked, and a failure is of the same call.
#[test]
fn a_tool_of_an_mcp_server_is_asked_about_once_by_cursor() {
    let generic = json!({ "tool_name": "MCP:add", "tool_input": { "a": 1 }, "tool_use_id": "u-2" });
    assert_eq!(event(Cursor, &cursor("preToolUse", generic.clone())).kind, Kind::Other);
    let own = json!({ "tool_name": "add", "tool_input": "{\"a\":1}", "mcp_server_name": "notes", "command": "npx notes" });
    let asked = call(&cursor("beforeMCPExecution", own.clone()), Cursor);
    assert_eq!((asked.id.clone(), asked.mcp.clone()), (None, Some(("notes".into(), "add".into()))));
    let mut failed = generic.as_object().unwrap().clone();
    failed.extend(json!({ "error_message": "gone", "failure_type": "error" }).as_object().unwrap().clone());
    let failed = call(&cursor("postToolUseFailure", Value::Object(failed)), Cursor);
    assert_eq!((failed.tool, failed.input, failed.id), (asked.tool, asked.input, asked.id));
    let ended = |result: Value| {
        let mut all = own.as_object().unwrap().clone();
        all.insert("result_json".into(), result.to_string().into());
        match event(Cursor, &cursor("afterMCPExecution", Value::Object(all))).kind {
            Kind::After(_, ending) => ending,
            other => panic!("{other:?}"),
        }
    };
    // What the tool itself says of being rejected stands in its content.
    let text = json!({ "content": [{ "type": "text", "text": "{\"rejected\":true}" }], "isError": false });
    assert_eq!(ended(text.clone()), Ending::Answered(text));
    assert_eq!(ended(json!({ "rejected": true, "reason": "no" })), Ending::NotBegun("no".into()));
    assert_eq!(ended(json!({ "permissionDenied": true, "error": "no" })), Ending::NotBegun("no".into()));
    assert_eq!(ended(json!({ "error": "gone" })), Ending::Failed("gone".into()));
    for broken in [json!({ "mcp_server_name": null }), json!({ "tool_input": "{\"a\":1,\"a\":2}" })] {
        let mut all = own.as_object().unwrap().clone();
        all.extend(broken.as_object().unwrap().clone());
        let broken = cursor("beforeMCPExecution", Value::Object(all));
        assert!(Cursor.guards(&broken) && Cursor.read(&broken).is_err(), "{broken}");
    }
    assert!(!Cursor.guards(&cursor("afterMCPExecution", json!({}))));
    assert!(Claude.read(&claude("beforeMCPExecution", own)).unwrap_err().contains("another client"));
}

#[test]
fn tools_of_cursor_are_actions() {
    let dir = tempfile::tempdir().unwrap();
    let p = dir.path().canonicalize().unwrap();
    let of = |tool: &str, input: Value| {
        let call = Call { tool: tool.into(), input, id: Some("t".into()), mcp: None };
        proposal(Cursor, &call, &p, &p).map(|made| (made.action, made.arguments))
    };
    let at = |path: &str| p.join(path).display().to_string();
    let (name, made) = of("Delete", json!({ "file_path": "a\n*** Update File: b" })).unwrap();
    assert_eq!(
        (name.as_str(), &made["kind"], &made["place"]),
        ("code.patch", &json!("deletes"), &json!("project"))
    );
    assert_eq!(made["paths"], json!([at("a\n*** Update File: b")]));
    assert_eq!(of("Delete", json!({ "file_path": "../../x" })).unwrap().1["place"], "outside");
    let shell = of("Shell", json!({ "command": "ls", "cwd": "/", "timeout": 5 })).unwrap().1;
    assert_eq!((&shell["directory"], shell.get("more")), (&json!("/"), None));
    let grep =
        of("Grep", json!({ "pattern": "x", "file_path": ".", "glob": "*.rs", "output_mode": "content" }));
    assert_eq!(grep.unwrap().1["path"], at("").trim_end_matches('/'));
    for (tool, input, action) in [
        ("Write", json!({ "file_path": "a", "content": "x" }), "code.write"),
        ("Read", json!({ "file_path": "a" }), "code.read"),
        ("List", json!({ "file_path": ".", "ignore": [] }), "code.search"),
        ("Fetch", json!({ "url": "https://example.com" }), "code.fetch"),
        ("ReadLints", json!({}), "code.internal"),
        // What it does is not said, so no catalogue has it.
        ("WriteShellStdin", json!({ "shell_id": 1, "chars_length": 9 }), "cursor.WriteShellStdin"),
    ] {
        assert_eq!(of(tool, input).unwrap().0, action, "{tool}");
    }
    assert!(of("Delete", json!({})).is_err() && of("Write", json!({})).is_err());
    assert_eq!(Cursor.answer(&Answer::Pass, false).as_deref(), Some("{}"));
    let no = json!({ "permission": "deny", "user_message": "x", "agent_message": "x" }).to_string();
    assert_eq!(Cursor.answer(&Answer::Deny("x".into()), false), Some(no));
}

#[test]
fn what_is_not_understood_before_a_tool_refuses_it() {
    let whole = json!({ "session_id": "s", "cwd": "/p", "hook_event_name": "PreToolUse", "tool_name": "Bash",
                        "tool_input": { "command": "ls" }, "tool_use_id": "t" });
    for name in ["session_id", "cwd", "tool_name", "tool_input", "tool_use_id"] {
        let mut broken = whole.clone();
        broken.as_object_mut().unwrap().remove(name);
        let said = Claude.read(&broken).unwrap_err();
        assert!(said.contains(name) && Claude.guards(&broken), "{name}: {said}");
        broken[name] = json!(7);
        // The input may be anything by now; it is refused when it becomes an action.
        assert!(Claude.read(&broken).is_err() || name == "tool_input", "{name}");
    }
    let mut relative = whole.clone();
    relative["cwd"] = "p".into();
    assert!(Claude.read(&relative).unwrap_err().contains("no absolute path"));
    for (client, event, guards) in [
        (Claude, "PreToolUse", true),
        (Claude, "BeforeTool", true),
        (Claude, "PermissionRequest", true),
        (Claude, "PostToolUse", false),
        (Codex, "UserPromptSubmit", false),
        (Gemini, "BeforeTool", true),
        (Gemini, "AfterTool", false),
        (Gemini, "SessionEnd", false),
    ] {
        assert_eq!(client.guards(&json!({ "hook_event_name": event })), guards, "{event}");
    }
    for (client, event) in [(Gemini, "PreToolUse"), (Claude, "BeforeTool"), (Codex, "BeforeTool")] {
        let mut foreign = whole.clone();
        foreign["hook_event_name"] = event.into();
        assert!(
            client.read(&foreign).unwrap_err().contains("another client") && client.guards(&foreign),
            "{event}"
        );
    }
    assert!(Claude.guards(&json!({})) && Claude.guards(&json!([])));
}

#[test]
fn answers_are_in_the_dialect_of_the_client() {
    let of = |client: Dialect, answer: Answer, waits| client.answer(&answer, waits);
    for client in [Claude, Codex, Gemini] {
        assert_eq!(of(client, Answer::Pass, true), None, "the client's own rules go on");
    }
    let decided = |what: &str| {
        let said = json!({ "hookEventName": "PreToolUse", "permissionDecision": what, "permissionDecisionReason": "x" });
        Some(json!({ "hookSpecificOutput": said }).to_string())
    };
    let gemini = Some(json!({ "decision": "deny", "reason": "x" }).to_string());
    for (client, waits, denied, later) in [
        (Claude, false, decided("deny"), decided("deny")),
        (Claude, true, decided("deny"), decided("defer")),
        // Codex uses the tool where it is told anything but a denial.
        (Codex, true, decided("deny"), decided("deny")),
        (Gemini, true, gemini.clone(), gemini),
    ] {
        assert_eq!(of(client, Answer::Deny("x".into()), waits), denied, "{client:?}");
        assert_eq!(of(client, Answer::Later("x".into()), waits), later, "{client:?}");
    }
}

#[test]
fn a_tool_is_the_same_action_whichever_client_uses_it() {
    let dir = tempfile::tempdir().unwrap();
    let p = dir.path().canonicalize().unwrap();
    let at = |path: &str| p.join(path).display().to_string();
    let of = |client: Dialect, tool: &str, input: Value| {
        let call = Call { tool: tool.into(), input, id: Some("t".into()), mcp: None };
        proposal(client, &call, &p, &p).map(|made| (made.action, made.arguments))
    };
    let shell = |more: Value| {
        let mut all = json!({ "command": "ls", "directory": at(""), "place": "project" });
        all["directory"] = p.display().to_string().into();
        all.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        Ok(("code.shell".to_owned(), all))
    };
    let plain = json!({ "command": "ls", "description": "x" });
    for (client, tool) in [(Claude, "Bash"), (Codex, "Bash"), (Gemini, "run_shell_command")] {
        assert_eq!(of(client, tool, plain.clone()), shell(json!({})), "{client:?}");
    }
    // A file that is asked about as a file is asked about in a shell.
    for (line, place) in [
        ("cat .env", "secret"),
        ("head -n 1 src/../.env.local", "secret"),
        ("git show HEAD:deploy/id_rsa", "secret"),
        ("grep --file=server.pem x a", "secret"),
        ("cat a.rs; ls /home/me/.ssh", "secret"),
        ("cat .env.example Cargo.toml", "project"),
    ] {
        assert_eq!(of(Claude, "Bash", json!({ "command": line })).unwrap().1["place"], place, "{line}");
    }
    let odd = json!({ "command": "ls", "run_in_background": true, "dangerouslyDisableSandbox": false, "as_root": true });
    assert_eq!(of(Claude, "Bash", odd), shell(json!({ "background": true, "more": { "as_root": true } })));
    // Two parameters for one thing: nobody knows which one the client takes.
    let twice =
        of(Gemini, "run_shell_command", json!({ "command": "ls", "dir_path": "a", "directory": "b" }));
    assert!(twice.unwrap().1.get("more").is_some());
    let read =
        |place: &str, path: String| Ok(("code.read".to_owned(), json!({ "path": path, "place": place })));
    assert_eq!(
        of(Claude, "Read", json!({ "file_path": at("a.rs"), "limit": 5 })),
        read("project", at("a.rs"))
    );
    assert_eq!(of(Gemini, "read_file", json!({ "file_path": "a.rs" })), read("project", at("a.rs")));
    assert_eq!(of(Gemini, "read_file", json!({ "file_path": ".env" })), read("secret", at(".env")));
    let edit =
        of(Gemini, "replace", json!({ "file_path": ".mcp.json", "old_string": "a", "new_string": "b" }));
    let edited = json!({ "path": at(".mcp.json"), "place": "control", "old": "a", "new": "b" });
    assert_eq!(edit, Ok(("code.edit".to_owned(), edited)));
    for (pattern, place) in [("src/**/*.rs", "project"), ("/etc/*", "outside"), ("../../x/*", "outside")] {
        assert_eq!(of(Claude, "Glob", json!({ "pattern": pattern })).unwrap().1["place"], place, "{pattern}");
    }
    let patch = "*** Begin Patch\n*** Add File: new.rs\n+x\n*** Update File: a.rs\n*** Move to: ../b.rs\n@@\n-a\n+b\n*** End Patch";
    let (name, made) = of(Codex, "apply_patch", json!({ "command": patch })).unwrap();
    assert_eq!(
        (name.as_str(), &made["place"], &made["kind"]),
        ("code.patch", &json!("outside"), &json!("deletes"))
    );
    assert_eq!(made["paths"].as_array().unwrap().len(), 3);
    let fetch = of(Gemini, "web_fetch", json!({ "prompt": "Summarize https://example.com/a, please" }));
    assert_eq!(fetch.unwrap().1["url"], "https://example.com/a");
    for (client, tool, input) in [
        (Claude, "Bash", json!("ls")),
        (Claude, "Read", json!({})),
        (Claude, "Write", json!({ "file_path": 7 })),
        (Codex, "apply_patch", json!({ "command": "*** Begin Patch\n*** End Patch" })),
        (Gemini, "web_fetch", json!({ "prompt": "https://a.example and https://b.example" })),
    ] {
        assert!(of(client, tool, input).is_err(), "{tool}");
    }
    // No catalogue has it, so it is refused.
    assert_eq!(
        of(Claude, "Monitor", json!({ "x": 1 })).unwrap(),
        ("claude.Monitor".into(), json!({ "x": 1 }))
    );
    assert_eq!(of(Gemini, "Bash", plain).unwrap().0, "gemini.Bash");
    assert_eq!(of(Claude, "TodoWrite", json!({ "todos": [] })).unwrap().0, "code.internal");
}
