//! `aecl hook`: what a coding agent is answered before it uses a tool, with a real home and a server that it starts.

use crate::home::User;
use crate::program::{Ran, feed, read};
use serde_json::{Value, json};
use std::fs;

/// A project with hooks, of which the server ends with the test.
struct Project {
    user: User,
}

impl Drop for Project {
    fn drop(&mut self) {
        let lock = self.user.at("user/.local/share/aecl/shop/data/lock");
        if let Some(pid) = fs::read_to_string(lock).ok().and_then(|pid| pid.trim().parse().ok()) {
            let pid = rustix::process::Pid::from_raw(pid);
            let _ = pid.map(|pid| rustix::process::kill_process(pid, rustix::process::Signal::TERM));
        }
    }
}

impl Project {
    fn new() -> Self {
        let user = User::new(false);
        user.run("work/shop", &["init", "--client", "claude", "--yes"]).ended(0);
        fs::write(user.at("work/shop/a.txt"), "hello\n").unwrap();
        Self { user }
    }

    /// What the hook says to these bytes.
    fn hook(&self, args: &[&str], env: &[(&str, &str)], input: &[u8]) -> Ran {
        let mut command = self.user.command("work/shop", &[&["hook"], args].concat());
        for name in ["AECL_URL", "AECL_TOKEN", "AECL_AGENT", "CLAUDE_PROJECT_DIR", "CLAUDE_CODE_ENTRYPOINT"] {
            command.env_remove(name);
        }
        feed(command.envs(env.iter().copied()), input)
    }

    fn event(&self, name: &str, tool: &str, input: &Value, id: &str) -> Value {
        json!({ "session_id": "s", "cwd": self.user.at("work/shop"), "hook_event_name": name, "tool_name": tool,
                "tool_input": input, "tool_use_id": id })
    }

    fn before(&self, tool: &str, input: &Value, id: &str) -> Ran {
        let event = self.event("PreToolUse", tool, input, id).to_string();
        self.hook(&["claude", "--wait", "0"], &[], event.as_bytes())
    }

    fn after(&self, tool: &str, input: &Value, id: &str, more: Value) -> Ran {
        let mut event = self.event("PostToolUse", tool, input, id);
        event.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        self.hook(&["claude"], &[], event.to_string().as_bytes())
    }

    /// Kinds and actions on record, in order.
    fn record(&self) -> String {
        self.user.run("work/shop", &["log", "tail", "-n", "100"]).ended(0).out
    }

    fn approve(&self) {
        let open = self.user.run("work/shop", &["approvals", "list", "--json"]).ended(0).json();
        let id = open["approvals"][0]["approval"].as_str().or_else(|| open["approvals"][0]["id"].as_str());
        self.user
            .run("work/shop", &["approvals", "approve", id.unwrap_or_else(|| panic!("{open}"))])
            .ended(0);
    }
}

/// The decision and the reason of an answer.
fn decided(ran: &Ran) -> (String, String) {
    let said: Value = serde_json::from_str(&ran.out).unwrap_or_else(|_| panic!("{}: {}", ran.out, ran.err));
    let said = &said["hookSpecificOutput"];
    let text = |name: &str| said[name].as_str().unwrap().to_owned();
    (text("permissionDecision"), text("permissionDecisionReason"))
}

#[test]
fn a_tool_is_allowed_refused_or_held_and_what_came_of_it_is_on_record() {
    let project = Project::new();
    let prompt = json!({ "session_id": "s", "cwd": project.user.at("work/shop"), "hook_event_name": "UserPromptSubmit",
                         "prompt": "List the files." });
    assert_eq!(project.hook(&["claude"], &[], prompt.to_string().as_bytes()).ended(0).out, "");
    let ls = json!({ "command": "ls -la" });
    assert_eq!(
        project.before("Bash", &ls, "t1").ended(0).out,
        "",
        "nothing is said, so the client's own rules go on"
    );
    // Two files of the client name the hook: one call, asked about twice, is one.
    let patient = project.event("PreToolUse", "Bash", &ls, "t1").to_string();
    let again = project.hook(&["claude", "--wait", "70", "--within", "90"], &[], patient.as_bytes());
    assert_eq!(again.ended(0).out, "", "and it does not wait for its own end");
    let output = json!({ "tool_response": { "stdout": "a.txt" } });
    assert_eq!(project.after("Bash", &ls, "t1", output).ended(0).err, "");
    let again = decided(&project.before("Bash", &ls, "t1").ended(0));
    assert!(again.0 == "deny" && again.1.contains("not done twice"), "{again:?}");
    let key = project.user.at("user/.local/share/aecl/shop/keys/operator.key").display().to_string();
    for (tool, input, code) in [
        ("Read", json!({ "file_path": key }), "own_house"),
        ("Bash", json!({ "command": format!("cat {key}") }), "own_house"),
        ("Monitor", json!({}), "action_unknown"),
        ("mcp__files__read", json!({}), "action_unknown"),
    ] {
        let (decision, why) = decided(&project.before(tool, &input, tool).ended(0));
        assert!(decision == "deny" && why.contains(code) && why.contains("Nothing was executed"), "{why}");
    }
    // As a program reads them that is started in the session's directory.
    let below = "../../user/.local";
    for line in [
        format!("diff -N {below}/share/aecl/shop/keys ."),
        format!("cat {below}/share/aecl/shop/aecl.yaml"),
        format!("ls {below}/share/aecl/shop/keys"),
        format!("grep -f{below}/share/aecl/shop/keys/operator.key a.txt"),
        format!("grep -r token {below}/state/aecl/hooks"),
    ] {
        let (decision, why) = decided(&project.before("Bash", &json!({ "command": line }), &line).ended(0));
        assert!(decision == "deny" && why.contains("own_house"), "{line}: {why}");
    }
    for pattern in ["../../user/.local/share/aecl/shop/keys/*", "../../user/.local/share/aecl/*/keys/*"] {
        let glob = json!({ "pattern": pattern });
        let (decision, why) = decided(&project.before("Glob", &glob, pattern).ended(0));
        assert!(decision == "deny" && why.contains("Nothing was executed"), "{pattern}: {why}");
    }
    for (tool, input) in [
        ("Bash", json!({ "command": "make" })),
        ("Bash", json!({ "command": "ls", "as_root": true })),
        ("Read", json!({ "file_path": project.user.at("work/shop/.env") })),
        ("Write", json!({ "file_path": project.user.at("work/shop/.mcp.json"), "content": "{}" })),
        ("Edit", json!({ "file_path": "/etc/hosts", "old_string": "a", "new_string": "b" })),
    ] {
        let (decision, why) = decided(&project.before(tool, &input, &input.to_string()).ended(0));
        assert!(decision == "deny" && why.contains("pending") && why.contains("apr_"), "{tool}: {why}");
    }
    let record = project.record();
    assert!(
        record.contains("allowed    code.shell: ls -la") && record.contains("done       code.shell"),
        "{record}"
    );
    assert_eq!(record.matches("started    code.shell").count(), 1, "{record}");
    project.user.run("work/shop", &["log", "verify"]).ended(0);
}

/// A yes is for the same call, also where the user has said something in between and the run is another one.
#[test]
fn what_was_held_is_carried_out_once_after_the_yes() {
    let project = Project::new();
    let make = json!({ "command": "make" });
    assert_eq!(decided(&project.before("Bash", &make, "t1").ended(0)).0, "deny");
    project.approve();
    let prompt = json!({ "session_id": "s", "cwd": project.user.at("work/shop"), "hook_event_name": "UserPromptSubmit",
                         "prompt": "It is approved, go on." });
    project.hook(&["claude"], &[], prompt.to_string().as_bytes()).ended(0);
    assert_eq!(decided(&project.before("Bash", &json!({ "command": "make all" }), "t2").ended(0)).0, "deny");
    assert_eq!(project.before("Bash", &make, "t3").ended(0).out, "");
    project.after("Bash", &make, "t3", json!({ "tool_response": {} })).ended(0);
    let (decision, why) = decided(&project.before("Bash", &make, "t4").ended(0));
    assert!(decision == "deny" && why.contains("pending"), "the yes was for one call: {why}");
    // Nobody looks at a client that runs a script; it comes back when it is resumed.
    let event = project.event("PreToolUse", "Bash", &make, "t5").to_string();
    let headless = [("CLAUDE_CODE_ENTRYPOINT", "sdk-cli")];
    let later = project.hook(&["claude", "--wait", "0"], &headless, event.as_bytes()).ended(0);
    assert_eq!(decided(&later).0, "defer");
}

/// A client that does not name its calls may make the same one several times at once.
#[test]
fn one_yes_is_for_one_of_the_calls_that_wait_for_it() {
    let project = Project::new();
    let event = json!({ "session_id": "s", "cwd": project.user.at("work/shop"), "hook_event_name": "BeforeTool",
        "timestamp": "x", "tool_name": "run_shell_command", "tool_input": { "command": "make" } });
    let event = event.to_string();
    let ask = |wait: &str| project.hook(&["gemini", "--wait", wait], &[], event.as_bytes()).ended(0).out;
    assert!(ask("0").contains("pending"));
    let said: Vec<String> = std::thread::scope(|scope| {
        let waiting: Vec<_> = (0..4).map(|_| scope.spawn(|| ask("5"))).collect();
        // That they wait already makes the test sharper, and nothing rests on it: whoever comes later is refused, too.
        std::thread::sleep(std::time::Duration::from_millis(700));
        project.approve();
        waiting.into_iter().map(|one| one.join().unwrap()).collect()
    });
    let let_through = said.iter().filter(|said| !said.contains("deny")).count();
    assert_eq!(let_through, 1, "{said:?}");
}

/// Each of these would be a yes to some client if it were not said in words and with this code.
#[test]
fn whatever_goes_wrong_before_a_tool_is_a_no() {
    let project = Project::new();
    let good = project.event("PreToolUse", "Bash", &json!({ "command": "ls" }), "t").to_string();
    let double = good.replacen("\"Bash\"", "\"Bash\",\"tool_name\":\"Read\"", 1);
    let mut huge = good.clone().into_bytes();
    huge.resize(33 << 20, b' ');
    let wrong = [
        ("claude", &b""[..], "json_invalid"),
        ("claude", b"{", "json_invalid"),
        ("claude", b"[]", "not understood"),
        ("claude", b"{}", "no `hook_event_name`"),
        ("claude", &[0xff, 0xfe], "json_invalid"),
        ("claude", double.as_bytes(), "json_duplicate_key"),
        ("claude", &huge, "json_too_large"),
        ("gemini", good.as_bytes(), "event of another client"),
    ];
    for (client, input, why) in wrong {
        let ran = project.hook(&[client], &[], input);
        assert!(
            ran.code == 2 && ran.out.is_empty() && ran.err.contains(why),
            "{why}: {} {}",
            ran.code,
            ran.err
        );
        assert!(ran.err.contains("nothing was executed"), "{}", ran.err);
    }
    let nowhere = project.user.at("other").display().to_string();
    for (args, env, why) in [
        (&["claude", "--agent", "nobody"][..], ("A", "b"), "agent_unknown"),
        (&["claude"], ("AECL_DIR", nowhere.as_str()), "there is no home"),
        (&["claude"], ("AECL_URL", "http://127.0.0.1:9"), "did not answer"),
        (&["claude"], ("AECL_URL", "http://example.com"), "no address for a key"),
        (&["claude"], ("AECL_TOKEN", "x"), "no token of a run"),
        (&["claude", "--nonsense"], ("A", "b"), "unexpected argument"),
    ] {
        let ran = project.hook(args, &[env], good.as_bytes());
        assert!(
            ran.code == 2 && ran.out.is_empty() && ran.err.contains(why),
            "{why}: {} {}",
            ran.code,
            ran.err
        );
    }
    // After a tool and with a prompt there is nothing to refuse, and a client would stop its user.
    let after = project.event("PostToolUse", "Bash", &json!({}), "t").to_string();
    let ran = project.hook(&["claude"], &[("AECL_DIR", &nowhere)], after.as_bytes()).ended(0);
    assert!(ran.err.contains("there is no home"), "{}", ran.err);
}

/// The client waits no longer than it says, and then it uses the tool.
#[test]
fn a_hook_that_gets_no_answer_says_no_in_time() {
    let project = Project::new();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let good = project.event("PreToolUse", "Bash", &json!({ "command": "ls" }), "t").to_string();
    let ran = project.hook(&["codex", "--within", "1"], &[("AECL_URL", &url)], good.as_bytes());
    assert!(ran.code == 2 && ran.err.contains("within 1 s"), "{} {}", ran.code, ran.err);
}

/// Clients use several tools at once, and each hook is a process of its own.
#[test]
fn tools_that_are_used_at_once_are_of_one_run() {
    let project = Project::new();
    std::thread::scope(|scope| {
        let hook =
            |n: usize| project.before("Bash", &json!({ "command": format!("ls {n}") }), &n.to_string());
        let all: Vec<_> = (0..8).map(|n| scope.spawn(move || hook(n))).collect();
        for one in all {
            assert_eq!(one.join().unwrap().ended(0).out, "");
        }
    });
    let record = project.record();
    assert_eq!(record.matches("opened for assistant").count(), 1, "{record}");
    assert_eq!(record.matches("allowed    code.shell").count(), 8, "{record}");
}

/// A server that others share is asked over HTTP, with a key or in a run that somebody has opened.
#[test]
fn a_shared_server_is_asked_with_a_key_and_not_without() {
    let project = Project::new();
    let (_, why) = decided(&project.before("Bash", &json!({ "command": "make" }), "t1").ended(0));
    let url = why.split("http://").nth(1).and_then(|rest| rest.split('/').next()).unwrap();
    let url = format!("http://{url}");
    let key = fs::read_to_string(project.user.at("user/.local/share/aecl/shop/keys/operator.key")).unwrap();
    let asked = |session: &str, env: &[(&str, &str)]| {
        let mut ls = project.event("PreToolUse", "Bash", &json!({ "command": "ls" }), session);
        ls["session_id"] = session.into();
        project.hook(&["claude", "--wait", "0"], env, ls.to_string().as_bytes())
    };
    assert_eq!(asked("one", &[("AECL_URL", &url), ("AECL_KEY", key.trim())]).ended(0).out, "");
    // A project may set variables for its tools. A line that names its home is led nowhere else by one.
    let home = project.user.at("user/.local/share/aecl/shop").display().to_string();
    for env in [("AECL_URL", "http://127.0.0.1:9"), ("AECL_TOKEN", "x"), ("AECL_DIR", "/nowhere")] {
        let ls = project.event("PreToolUse", "Bash", &json!({ "command": "ls" }), env.0).to_string();
        let ran = project.hook(&["claude", "--dir", &home], &[env], ls.as_bytes()).ended(0);
        assert_eq!((ran.out.as_str(), ran.err.as_str()), ("", ""), "{env:?}");
    }
    let without = asked("two", &[("AECL_URL", &url)]);
    assert!(without.code == 2 && without.err.contains("token_invalid"), "{}", without.err);
    // The token of a run that lives: the one that the first call has left with this user.
    let sessions = project.user.at("user/.local/state/aecl/hooks");
    let files = fs::read_dir(sessions).unwrap().flat_map(|dir| fs::read_dir(dir.unwrap().path()).unwrap());
    let held = files
        .map(|file| file.unwrap().path())
        .find(|path| path.display().to_string().contains("/run-"))
        .unwrap();
    let held: Value = serde_json::from_slice(&fs::read(held).unwrap()).unwrap();
    let token = held["token"].as_str().unwrap();
    assert_eq!(asked("three", &[("AECL_URL", &url), ("AECL_TOKEN", token)]).ended(0).out, "");
}

/// Nobody has to know that there are hooks: `aecl init` says for which clients that it finds.
#[test]
fn init_names_the_coding_agents_that_it_finds() {
    let user = User::new(false);
    fs::create_dir_all(user.at("user/.codex")).unwrap();
    let said = user.run("work/shop", &["init"]).ended(0).out;
    assert!(said.contains("wrap codex") && said.contains("its own tools"), "{said}");
    assert!(!said.contains("wrap claude") && !said.contains("wrap gemini"), "{said}");
}

/// A home that is elsewhere is as good: what passes its gateway is left to it, and nothing else is.
#[test]
fn a_server_behind_the_gateway_is_left_to_it() {
    let user = User::new(false);
    let (home, cwd) = (user.at("user/elsewhere").display().to_string(), user.at("work/shop"));
    fs::write(cwd.join(".mcp.json"), r#"{"mcpServers": {"files": {"command": "true", "args": []}}}"#)
        .unwrap();
    user.run("work/shop", &["--dir", &home, "init", "--client", "claude", "--yes"]).ended(0);
    let project = Project { user };
    let asked = |server: &str| {
        let event =
            project.event("PreToolUse", &format!("mcp__{server}__read"), &json!({}), server).to_string();
        project.hook(&["claude", "--wait", "0"], &[("AECL_DIR", &home)], event.as_bytes()).ended(0)
    };
    assert_eq!(asked("files").out, "", "the gateway asks");
    assert!(decided(&asked("other")).1.contains("action_unknown"));
    // Servers that came in another way, whose tools read like some of that one.
    for server in ["files__evil", "files_"] {
        assert!(decided(&asked(server)).1.contains("action_unknown"), "{server}");
    }
    // Another file of the client that names the same server otherwise may be the one that counts.
    let own = json!({ "mcpServers": { "files": { "command": "npx", "args": ["server"] } } });
    fs::write(project.user.at("user/.claude.json"), own.to_string()).unwrap();
    assert!(decided(&asked("files")).1.contains("action_unknown"));
    project.user.run("work/shop", &["--dir", &home, "log", "verify"]).ended(0);
    let lock = fs::read_to_string(format!("{home}/data/lock")).unwrap();
    let pid = rustix::process::Pid::from_raw(lock.trim().parse().unwrap()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
}

#[test]
fn the_hooks_of_a_client_are_written_once_and_taken_back() {
    let project = Project::new();
    let file = project.user.at("work/shop/.claude/settings.local.json");
    let text = fs::read_to_string(&file).unwrap();
    let settings: Value = serde_json::from_str(&text).unwrap();
    let before = &settings["hooks"]["PreToolUse"][0]["hooks"][0];
    assert_eq!((&before["onFailure"], &before["timeout"]), (&json!("block"), &json!(60)));
    assert!(before["command"].as_str().unwrap().contains("hook claude --agent assistant || {"), "{before}");
    project.user.run("work/shop", &["wrap", "claude", "--yes"]).ended(0);
    assert_eq!(fs::read_to_string(&file).unwrap(), text, "twice is once");
    // The user adds something of their own meanwhile.
    let mut own = settings.clone();
    own["model"] = "opus".into();
    own["hooks"]["Stop"] = json!([{ "hooks": [{ "type": "command", "command": "notify" }] }]);
    fs::write(&file, own.to_string()).unwrap();
    project.user.run("work/shop", &["wrap", "claude", "--undo"]).ended(0);
    let left: Value = serde_json::from_str(&fs::read_to_string(&file).unwrap()).unwrap();
    assert_eq!(left, json!({ "model": "opus", "hooks": { "Stop": own["hooks"]["Stop"] } }));
}

/// A server is left to the gateway only where a client can do nothing else than start AECL for it.
#[test]
fn a_server_that_may_be_reached_otherwise_is_asked_about() {
    let project = Project::new();
    let home = project.user.at("user/.local/share/aecl/shop");
    let ours = json!({ "command": env!("CARGO_BIN_EXE_aecl"),
        "args": ["--dir", home, "mcp", "--agent", "assistant", "--server", "files", "--", "true"] });
    let with = |more: Value| {
        let mut entry = ours.clone();
        entry.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        entry
    };
    let answer = |servers: &Value, id: &str| {
        fs::write(project.user.at("work/shop/.mcp.json"), json!({ "mcpServers": servers }).to_string())
            .unwrap();
        project.before("mcp__fi_les__read", &json!({}), id).ended(0).out
    };
    for alone in [json!({}), json!({ "type": "stdio" })] {
        assert_eq!(answer(&json!({ "fi_les": with(alone.clone()) }), "t1"), "", "{alone}");
    }
    for more in [
        json!({ "url": "http://evil.example/mcp" }),
        json!({ "type": "http" }),
        json!({ "type": "sse" }),
        json!({ "type": 5 }),
        json!({ "httpUrl": "http://evil.example" }),
        json!({ "headers": {} }),
    ] {
        let out = answer(&json!({ "fi_les": with(more.clone()) }), &more.to_string());
        assert!(out.contains("deny") && out.contains("action_unknown"), "{more}: {out}");
    }
    // Clients write both names alike.
    for name in ["fi.les", "fi les", "fiäles"] {
        let out = answer(&json!({ "fi_les": ours, name: { "command": "evil" } }), name);
        assert!(out.contains("deny") && out.contains("action_unknown"), "{name}: {out}");
    }
}

/// A hook is what it does: the line that the client runs is run, and what it answers is told.
#[test]
fn doctor_has_each_hook_refuse_a_canary() {
    let project = Project::new();
    let hooks = || {
        let all = project.user.run("work/shop", &["doctor", "--json"]).json();
        let found: Vec<Value> = all["checks"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|one| one["what"] == "hooks of claude")
            .cloned()
            .collect();
        assert_eq!(found.len(), 1, "{all}");
        let text = |name: &str| found[0][name].as_str().unwrap_or_default().to_owned();
        (text("state"), text("found"), text("todo"))
    };
    let (state, found, _) = hooks();
    assert!(state == "ok" && found.starts_with("proven") && found.contains("cooperative"), "{found}");
    let file = project.user.at("work/shop/.claude/settings.local.json");
    let good = fs::read_to_string(&file).unwrap();
    let change = |from: &str, to: &str| {
        assert!(good.contains(from), "{good}");
        fs::write(&file, good.replacen(from, to, 1)).unwrap();
        hooks()
    };
    for (from, to, why, line) in [
        ("\"onFailure\": \"block\"", "\"onFailure\": \"continue\"", "killed or too slow", "onFailure"),
        ("\"matcher\": \"*\"", "\"matcher\": \"Write\"", "about `Write` alone", "matcher"),
        ("\"timeout\": 60", "\"timeout\": 5", "stop waiting", "timeout"),
    ] {
        let (state, found, todo) = change(from, to);
        assert!(state == "advice" && found.starts_with("cooperative") && found.contains(why), "{found}");
        assert!(todo.contains(line), "{todo}");
    }
    let (state, found, _) = change(" --agent assistant ||", " --agent nobody ||");
    assert!(
        state == "broken" && found.starts_with("not enforcing") && found.contains("refuses everything"),
        "{found}"
    );
    let command = good.split("\"command\": \"").nth(1).unwrap().split('"').next().unwrap();
    let (state, found, todo) = change(command, &format!("true # {command}"));
    assert!(state == "broken" && found.contains("let a canary pass"), "{found}");
    assert!(todo.contains("aecl wrap claude"), "{todo}");
}

/// What a client's files say of its hooks, after one of them was changed.
fn said_of_hooks(client: &str, file: &str, changes: &[(&str, &str, &str, &str)]) {
    let user = User::new(false);
    user.run("work/shop", &["init", "--client", client, "--yes"]).ended(0);
    let hooks = || {
        let all = user.run("work/shop", &["doctor", "--json"]).json();
        let found =
            all["checks"].as_array().unwrap().iter().find(|one| one["what"] == format!("hooks of {client}"));
        let found = found.unwrap_or_else(|| panic!("{all}"));
        let text = |name: &str| found[name].as_str().unwrap_or_default().to_owned();
        (text("state"), text("found"), text("todo"))
    };
    assert_eq!(hooks().0, "ok", "{}", hooks().1);
    let path = user.at(file);
    let good = fs::read_to_string(&path).ok();
    for (from, to, why, line) in changes {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let changed = match &good {
            Some(good) => {
                assert!(good.contains(from), "{good}");
                good.replacen(from, to, 1)
            }
            None => (*to).to_owned(),
        };
        fs::write(&path, changed).unwrap();
        let (state, found, todo) = hooks();
        assert_eq!(state, "advice", "{to}: {found}");
        assert!(found.starts_with("cooperative") && found.contains(why), "{found}");
        assert!(todo.contains(line), "{todo}");
        match &good {
            Some(good) => fs::write(&path, good).unwrap(),
            None => fs::remove_file(&path).unwrap(),
        }
    }
    assert_eq!(hooks().0, "ok", "{}", hooks().1);
}

#[test]
fn doctor_says_what_keeps_copilot_and_cursor_from_being_refused() {
    said_of_hooks(
        "cursor",
        "user/.cursor/hooks.json",
        &[
            ("\"failClosed\": true", "\"failClosed\": false", "killed or too slow", "failClosed"),
            ("\"timeout\": 60", "\"timeout\": 5", "stop waiting", "timeout"),
            ("\"version\": 1", "\"of\": 1", "names no version", "version"),
            ("\"beforeMCPExecution\"", "\"before\"", "tools of MCP servers", "beforeMCPExecution"),
        ],
    );
    said_of_hooks(
        "copilot",
        "user/.copilot/settings.json",
        &[("\"timeoutSec\": 60", "\"timeoutSec\": 5", "stop waiting", "timeoutSec")],
    );
    // A file of the project switches those of the user off, or may.
    for name in ["settings.json", "settings.local.json"] {
        said_of_hooks(
            "copilot",
            &format!("work/shop/.github/copilot/{name}"),
            &[
                ("", "{ \"disableAllHooks\": true }", "sets `disableAllHooks`", "take `disableAllHooks` out"),
                ("", "{ \"disableAllHooks\": ", "may set `disableAllHooks`", "make"),
            ],
        );
    }
}

/// The blocks of the guides are what they say.
#[test]
fn the_quickstarts_of_the_guides_work() {
    for (guide, client) in [
        ("claude-code", "claude"),
        ("codex", "codex"),
        ("gemini-cli", "gemini"),
        ("copilot", "copilot"),
        ("cursor", "cursor"),
    ] {
        let path = format!("{}/../../docs/guides/{guide}.md", env!("CARGO_MANIFEST_DIR"));
        let text = fs::read_to_string(path).unwrap();
        let blocks = |kind: &str| {
            let found = text.split("```").skip(1).step_by(2).filter_map(|block| block.strip_prefix(kind));
            found.map(str::to_owned).collect::<Vec<_>>()
        };
        let project = Project { user: User::new(false) };
        let program = std::path::Path::new(env!("CARGO_BIN_EXE_aecl")).parent().unwrap();
        let mut shell = std::process::Command::new("sh");
        shell.args(["-ec", &blocks("sh\n").join("\n")]).current_dir(project.user.at("work/shop"));
        shell.env("PATH", format!("{}:{}", program.display(), std::env::var("PATH").unwrap()));
        for name in [
            "AECL_KEY",
            "AECL_DIR",
            "AECL_URL",
            "AECL_TOKEN",
            "XDG_DATA_HOME",
            "XDG_STATE_HOME",
            "CODEX_HOME",
            "COPILOT_HOME",
        ] {
            shell.env_remove(name);
        }
        let ran = read(shell.env("HOME", project.user.at("user")).output().unwrap()).ended(0);
        for line in blocks("text\n").iter().flat_map(|block| block.lines()) {
            assert!(ran.out.contains(line), "{line}: {}\n{}", ran.out, ran.err);
        }
        let written = [
            "work/shop/.claude/settings.local.json",
            "user/.codex/config.toml",
            "work/shop/.gemini/settings.json",
            "user/.copilot/settings.json",
            "user/.cursor/hooks.json",
        ];
        let hooks = written.iter().filter_map(|path| fs::read_to_string(project.user.at(path)).ok());
        assert!(hooks.collect::<String>().contains(&format!(" hook {client} ")), "{}", ran.err);
    }
}
