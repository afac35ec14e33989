//! `aecl wrap` on what came with a project: other programs of the name, homes, environments and links.

use crate::home::User;
use std::fs;
use std::path::Path;

/// An entry that came with a project may name another program, or ours with rules of its choosing.
#[test]
fn wrap_vouches_for_this_program_with_a_home_of_this_user_and_for_nothing_else() {
    let user = User::new(false);
    let project = user.at("work/shop");
    fs::create_dir_all(project.join("node_modules/.bin")).unwrap();
    fs::create_dir_all(project.join(".aecl")).unwrap();
    let ours = env!("CARGO_BIN_EXE_aecl");
    let linked = project.join("node_modules/.bin/aecl");
    std::os::unix::fs::symlink(ours, &linked).unwrap();
    fs::write(project.join("aecl"), "#!/bin/sh\n").unwrap();
    user.run("work/shop", &["init"]).ended(0);
    let home = user.at("user/.local/share/aecl/shop").display().to_string();
    let (evil, linked) = (project.join("aecl").display().to_string(), linked.display().to_string());
    let inside = project.join(".aecl").display().to_string();
    let npx = ["mcp", "--agent", "assistant", "--", "npx", "x"];
    let with = |first: &[&str]| [first, &npx].concat().into_iter().map(str::to_owned).collect::<Vec<_>>();
    let plain = serde_json::json!({});
    let fresh = |entries: &serde_json::Value| {
        fs::write(project.join(".mcp.json"), serde_json::json!({ "mcpServers": entries }).to_string())
            .unwrap();
        let ran = user.run("work/shop", &["wrap", "claude", "--yes"]).ended(0);
        let text = fs::read_to_string(project.join(".mcp.json")).unwrap();
        let file: serde_json::Value = serde_json::from_str(&text).unwrap();
        (file["mcpServers"]["x"].clone(), ran.err)
    };
    for (command, args, env, why) in [
        (evil.as_str(), with(&["--dir", &home]), &plain, "is called like AECL and is not this one"),
        ("./aecl", with(&["--dir", &home]), &plain, "is called like AECL and is not this one"),
        (
            "node_modules/.bin/aecl",
            with(&["--dir", &home]),
            &plain,
            "is called like AECL and is not this one",
        ),
        (&linked, with(&["--dir", &home]), &plain, "is called like AECL and is not this one"),
        (ours, with(&["--dir", ".aecl"]), &plain, "names a home that is none of yours: `.aecl`"),
        (ours, with(&["--dir", &inside]), &plain, "names a home that is none of yours"),
        (ours, with(&["--dir=.aecl"]), &plain, "names a home that is none of yours: `.aecl`"),
        (ours, with(&["--dir", &home, "--dir", ".aecl"]), &plain, "does not put AECL in front of a server"),
        (ours, ["help", "mcp"].map(str::to_owned).to_vec(), &plain, "does not put AECL in front of a server"),
        (
            ours,
            ["mcp", "--nonsense"].map(str::to_owned).to_vec(),
            &plain,
            "does not put AECL in front of a server",
        ),
    ] {
        let (entry, said) = fresh(&serde_json::json!({"x": {"command": command, "args": args, "env": env}}));
        assert!(said.contains("`x`") && said.contains(why), "{command} {args:?}: {said}");
        assert!(!said.contains("AECL is in front of it"), "{said}");
        assert_eq!(entry["command"], ours, "it is treated like any other server: {said}");
        let words: Vec<&str> =
            entry["args"].as_array().unwrap().iter().map(|w| w.as_str().unwrap()).collect();
        assert_eq!(words[..3], ["--dir", home.as_str(), "mcp"]);
        assert_eq!(words[words.len() - args.len() - 1], command, "{words:?}");
    }
    for args in [with(&["--dir", &home]), with(&[])] {
        let (entry, said) =
            fresh(&serde_json::json!({"x": {"command": ours, "args": args, "env": {"A": "b"}}}));
        assert!(said.contains("`x` stays as it is: AECL is in front of it"), "{said}");
        assert_eq!(entry["args"], serde_json::json!(args));
    }
    for (option, value) in [("--goal", "Pay evil"), ("--user", "ann"), ("--plan", "plan.json")] {
        let args = ["--dir", &home, "mcp", "--agent", "assistant", option, value, "--", "npx"];
        let (_, said) = fresh(&serde_json::json!({"x": {"command": ours, "args": args}}));
        assert!(said.contains(&format!("speaks for you with `{option}`")), "{said}");
        assert!(!said.contains("AECL is in front of it"), "{said}");
    }
    let args = ["mcp", "--url", "https://evil.example", "--header", "X: {secret:env:HOME}"];
    let (_, said) = fresh(&serde_json::json!({"x": {"command": ours, "args": args}}));
    assert!(said.contains("speaks for you with `--header`"), "{said}");
    let other = ["--dir", &home, "mcp", "--agent", "root", "--", "npx"];
    let (_, said) = fresh(&serde_json::json!({"x": {"command": ours, "args": other}}));
    assert!(said.contains("AECL is in front of it, for the agent `root`"), "{said}");
}

/// What a server is given in its environment, the program in front of it is given as well.
#[test]
fn wrap_leaves_no_environment_that_changes_who_decides() {
    let user = User::new(false);
    let project = user.at("work/shop");
    user.run("work/shop", &["init"]).ended(0);
    let ours = env!("CARGO_BIN_EXE_aecl");
    for (more, name) in [
        (serde_json::json!({"env": {"AECL_DIR": ".aecl"}}), "AECL_DIR"),
        (serde_json::json!({"env": {"AECL_AGENT": "root"}}), "AECL_AGENT"),
        (serde_json::json!({"env": {"LD_PRELOAD": "./x.so"}}), "LD_PRELOAD"),
        (serde_json::json!({"env": {"HOME": "."}}), "HOME"),
        (serde_json::json!({"env": {"XDG_DATA_HOME": "."}}), "XDG_DATA_HOME"),
        (serde_json::json!({"env": {"PATH": "node_modules/.bin:/usr/bin"}}), "PATH"),
        (serde_json::json!({"env": {"PATH": project.join("bin")}}), "PATH"),
        (serde_json::json!({"envFile": ".env"}), "envFile"),
    ] {
        for (command, args) in [("npx", vec!["x"]), (ours, vec!["mcp", "--", "npx", "x"])] {
            let mut entry = serde_json::json!({"command": command, "args": args});
            entry.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            let file = serde_json::json!({"mcpServers": {"x": entry}}).to_string();
            fs::write(project.join(".mcp.json"), &file).unwrap();
            let ran = user.run("work/shop", &["wrap", "claude", "--yes"]).ended(0);
            let why = format!("`x` stays as it is: nothing in front of it would count: `{name}`");
            assert!(ran.err.contains(&why), "{more} {command}: {}", ran.err);
            assert_eq!(fs::read_to_string(project.join(".mcp.json")).unwrap(), file);
        }
    }
    let codex = "[mcp_servers.x]\ncommand = \"npx\"\n[mcp_servers.x.env]\nLD_PRELOAD = \"./x.so\"\n";
    fs::create_dir_all(user.at("user/.codex")).unwrap();
    fs::write(user.at("user/.codex/config.toml"), codex).unwrap();
    let ran = user.run("work/shop", &["wrap", "codex", "--yes"]).ended(0);
    assert!(ran.err.contains("`LD_PRELOAD`"), "{}", ran.err);
}

#[test]
fn wrap_follows_no_link_out_of_the_project() {
    let user = User::new(false);
    let project = user.at("work/shop");
    user.run("work/shop", &["init"]).ended(0);
    let far = user.at("user/far");
    fs::create_dir_all(&far).unwrap();
    let text = "{\"mcpServers\": {\"x\": {\"command\": \"npx\"}}}\n";
    fs::write(far.join("mcp.json"), text).unwrap();
    let link = |to: &Path, at: &str| std::os::unix::fs::symlink(to, project.join(at)).unwrap();
    let refused = |client: &str, name: &str| {
        let ran = user.run("work/shop", &["wrap", client, "--yes"]).ended(1);
        assert!(ran.err.contains(&project.join(name).display().to_string()), "{}", ran.err);
        assert!(ran.err.contains("leads out of the project") && ran.err.contains("hint:"), "{}", ran.err);
        let also = user.run("work/shop", &["init", "--client", client, "--yes", "--force"]).ended(1);
        assert!(also.err.contains("leads out of the project"), "{}", also.err);
    };
    link(&far.join("mcp.json"), ".mcp.json");
    refused("claude", ".mcp.json");
    link(&far, ".cursor");
    refused("cursor", ".cursor/mcp.json");
    // Neither where there is nothing yet.
    fs::remove_file(project.join(".mcp.json")).unwrap();
    link(&far.join("new.json"), ".mcp.json");
    refused("claude", ".mcp.json");
    fs::create_dir(far.join("empty")).unwrap();
    link(&far.join("empty"), ".vscode");
    refused("vscode", ".vscode/mcp.json");
    assert_eq!(fs::read_to_string(far.join("mcp.json")).unwrap(), text);
    assert_eq!(fs::read_dir(far.join("empty")).unwrap().count(), 0);
    assert!(!far.join("new.json").exists());
    // The user's own links, and those within the project, are followed.
    fs::remove_file(project.join(".mcp.json")).unwrap();
    fs::write(project.join("servers.json"), text).unwrap();
    link(Path::new("servers.json"), ".mcp.json");
    user.run("work/shop", &["wrap", "claude", "--yes"]).ended(0);
    assert!(fs::read_to_string(project.join("servers.json")).unwrap().contains("--server"));
    assert!(project.join(".mcp.json").is_symlink());
    // Nor is one followed that came since, to what is the same there.
    fs::copy(project.join("servers.json"), far.join("same.json")).unwrap();
    fs::remove_file(project.join("servers.json")).unwrap();
    link(&far.join("same.json"), "servers.json");
    let left = user.run("work/shop", &["wrap", "claude", "--undo"]).ended(1);
    assert!(left.err.contains("stays as it is"), "{}", left.err);
    assert!(fs::read_to_string(far.join("same.json")).unwrap().contains("--server"));
}

/// Clients write into their own files, and so do people.
#[test]
fn undo_takes_back_our_entries_and_leaves_other_edits() {
    let user = User::new(false);
    let project = user.at("work/shop");
    user.run("work/shop", &["init"]).ended(0);
    let file = project.join(".mcp.json");
    let text = "{\n  \"mcpServers\": {\n    \"one\": { \"command\": \"npx\", \"args\": [ \"a\",  \"b\" ], \"n\": 1.50 },\n    \"two\": {\"command\": \"uvx\"}\n  }\n}\n";
    let (wrap, undo) = (["wrap", "claude", "--yes"], ["wrap", "claude", "--undo"]);
    let wrapped = || {
        fs::write(&file, text).unwrap();
        user.run("work/shop", &wrap).ended(0);
        fs::read_to_string(&file).unwrap()
    };
    // Edits beside ours, and in our entries beside what we wrote.
    let edit = |text: &str| {
        text.replacen("{\n", "{\n  \"theme\": \"dark\",\n", 1)
            .replace("1.50", "1.50, \"env\": {\"X\": \"y\"}")
    };
    let ours = wrapped();
    fs::write(&file, edit(&ours)).unwrap();
    let told = user.run("work/shop", &undo).ended(0);
    assert!(told.err.contains("not in front of `one`, `two` any more"), "{}", told.err);
    assert_eq!(fs::read_to_string(&file).unwrap(), edit(text));
    let again = user.run("work/shop", &undo).ended(0);
    assert!(again.err.contains("nothing was changed"), "{}", again.err);

    // An entry of ours that somebody has edited is named, and the others are taken back.
    let ours = wrapped();
    fs::write(&file, ours.replace("\"uvx\"", "\"uvx\", \"--more\"")).unwrap();
    let told = user.run("work/shop", &undo).ended(1);
    assert!(told.err.contains("not in front of `one` any more"), "{}", told.err);
    assert!(told.err.contains("`two` in `") && told.err.contains("its `args` are `--dir "), "{}", told.err);
    assert!(told.err.contains("uvx --more` now"), "{}", told.err);
    // Once it is as we wrote it, the rest follows.
    let now = fs::read_to_string(&file).unwrap();
    fs::write(&file, now.replace("\"uvx\", \"--more\"", "\"uvx\"")).unwrap();
    user.run("work/shop", &undo).ended(0);
    assert_eq!(fs::read_to_string(&file).unwrap(), text);

    // Under another name it is the same entry.
    let ours = wrapped();
    fs::write(&file, ours.replace("\"two\":", "\"zwei\":")).unwrap();
    let told = user.run("work/shop", &undo).ended(0);
    assert!(told.err.contains("`zwei`"), "{}", told.err);
    assert_eq!(fs::read_to_string(&file).unwrap(), text.replace("\"two\":", "\"zwei\":"));

    // What we added goes; what is broken or gone is said.
    fs::write(&file, "{}").unwrap();
    user.run("work/shop", &wrap).ended(0);
    let ours = fs::read_to_string(&file).unwrap();
    fs::write(&file, ours.replacen('{', "{ \"a\": 1,", 1)).unwrap();
    user.run("work/shop", &undo).ended(0);
    let now: serde_json::Value = serde_json::from_str(&fs::read_to_string(&file).unwrap()).unwrap();
    assert_eq!(now, serde_json::json!({ "a": 1, "mcpServers": {} }));
    wrapped();
    fs::write(&file, "{ no").unwrap();
    let told = user.run("work/shop", &undo).ended(1);
    assert!(told.err.contains("stays as it is: line 1"), "{}", told.err);
    fs::remove_file(&file).unwrap();
    // A pipe in its place is not waited for.
    crate::handed::pipe(&file);
    let told = user.run("work/shop", &undo).ended(1);
    assert!(told.err.contains("no plain file"), "{}", told.err);
    fs::remove_file(&file).unwrap();
    user.run("work/shop", &undo).ended(0);

    // TOML with its comments.
    let codex = "# mine\n[mcp_servers.one]\ncommand = \"npx\" # as it was\nargs = [\"a\"]\n";
    fs::create_dir_all(user.at("user/.codex")).unwrap();
    let file = user.at("user/.codex/config.toml");
    fs::write(&file, codex).unwrap();
    user.run("work/shop", &["wrap", "codex", "--yes"]).ended(0);
    let ours = fs::read_to_string(&file).unwrap();
    fs::write(&file, format!("model = \"o\"\n{ours}\n[tui]\nx = 1\n")).unwrap();
    user.run("work/shop", &["wrap", "codex", "--undo"]).ended(0);
    let now = fs::read_to_string(&file).unwrap();
    assert_eq!(now, format!("model = \"o\"\n{codex}\n[tui]\nx = 1\n"));
}

#[test]
fn uninit_takes_aecl_out_of_the_files_of_all_clients_and_leaves_the_record() {
    let user = User::new(false);
    let project = user.at("work/shop");
    fs::create_dir_all(user.at("user/.codex")).unwrap();
    let servers = project.join(".mcp.json");
    let codex = user.at("user/.codex/config.toml");
    let text = "{\n  \"mcpServers\": { \"one\": { \"command\": \"npx\", \"args\": [\"a\"] } }\n}\n";
    let plain = "# mine\n[mcp_servers.one]\ncommand = \"npx\" # as it was\n";
    let wrap = || {
        fs::write(&servers, text).unwrap();
        fs::write(&codex, plain).unwrap();
        for client in ["claude", "codex", "gemini"] {
            user.run("work/shop", &["wrap", client, "--yes"]).ended(0);
        }
    };
    user.run("work/shop", &["init"]).ended(0);
    let none = user.run("work/shop", &["uninit"]).ended(0);
    assert!(none.err.contains("it stands in no file of a client"), "{}", none.err);
    wrap();
    // A second change of a file that was changed before.
    let once = fs::read_to_string(&servers).unwrap();
    fs::write(
        &servers,
        once.replacen("\"mcpServers\": {", "\"mcpServers\": { \"two\": {\"command\": \"uvx\"},", 1),
    )
    .unwrap();
    user.run("work/shop", &["wrap", "claude", "--yes"]).ended(0);
    let before = fs::read_to_string(&codex).unwrap();

    let asked = user.run("work/shop", &["uninit"]).ended(1);
    for said in
        ["--yes", "nothing was changed", "-command = ", "+command = \"npx\" # as it was", "config.toml"]
    {
        assert!(asked.err.contains(said), "{said}: {}", asked.err);
    }
    assert_eq!(fs::read_to_string(&codex).unwrap(), before);

    let done = user.run("work/shop", &["--json", "uninit", "--yes"]).ended(0).json();
    assert_eq!(done["clients"], serde_json::json!(["claude", "codex", "gemini"]));
    assert_eq!(fs::read_to_string(&codex).unwrap(), plain);
    let now: serde_json::Value = serde_json::from_str(&fs::read_to_string(&servers).unwrap()).unwrap();
    assert_eq!(
        now["mcpServers"],
        serde_json::json!({"one": {"command": "npx", "args": ["a"]}, "two": {"command": "uvx"}})
    );
    assert!(!project.join(".gemini/settings.json").exists(), "there was none");
    user.run("work/shop", &["policy", "check"]).ended(0);
    let again = user.run("work/shop", &["uninit", "--yes"]).ended(0);
    assert!(again.err.contains("it stands in no file of a client"), "{}", again.err);

    // What somebody has edited is named and stays, and the rest goes.
    wrap();
    let ours = fs::read_to_string(&codex).unwrap();
    fs::write(&codex, ours.replace("\"--agent\"", "\"--more\", \"--agent\"")).unwrap();
    let left = user.run("work/shop", &["uninit", "--yes"]).ended(1);
    assert!(left.err.contains("`one` in") && left.err.contains("stays as it is"), "{}", left.err);
    assert_eq!(fs::read_to_string(&servers).unwrap(), text);
}

#[test]
fn uninit_names_a_hook_that_another_home_has_written() {
    let user = User::new(false);
    user.run("work/shop", &["init"]).ended(0);
    user.run("work/shop", &["wrap", "gemini", "--yes"]).ended(0);
    let kept = user.at("user/.local/share/aecl/shop/clients");
    fs::remove_dir_all(&kept).unwrap();
    let told = user.run("work/shop", &["uninit", "--yes"]).ended(0);
    assert!(told.err.contains("has a hook of AECL that this home knows nothing of"), "{}", told.err);
}
