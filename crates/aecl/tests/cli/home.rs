//! Where keys, policy and record are: outside of the project, found from there, and never where a stranger says.

use crate::handed::pipe;
use crate::program::{Ran, read};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A user with a home directory of its own, and projects.
pub struct User {
    dir: tempfile::TempDir,
    nobody: bool,
}

impl User {
    pub fn new(nobody: bool) -> Self {
        let dir = tempfile::tempdir().unwrap();
        for made in ["", "user", "work/shop/src", "other/shop"] {
            let made = dir.path().join(made);
            fs::create_dir_all(&made).unwrap();
            for above in made.ancestors().take_while(|above| above.starts_with(dir.path())) {
                fs::set_permissions(above, fs::Permissions::from_mode(0o777)).unwrap();
            }
        }
        Self { dir, nobody }
    }

    pub fn at(&self, path: &str) -> PathBuf {
        self.dir.path().canonicalize().unwrap().join(path)
    }

    pub fn command(&self, cwd: &str, args: &[&str]) -> Command {
        let program = env!("CARGO_BIN_EXE_aecl");
        let mut command = Command::new(if self.nobody { "setpriv" } else { program });
        if self.nobody {
            command.args(["--reuid", "65534", "--regid", "65534", "--clear-groups", "--", program]);
        }
        command.args(args).current_dir(self.at(cwd)).stdin(Stdio::null());
        for name in ["AECL_KEY", "AECL_DIR", "XDG_DATA_HOME", "XDG_STATE_HOME"] {
            command.env_remove(name);
        }
        command.env("HOME", self.at("user"));
        command
    }

    pub fn run(&self, cwd: &str, args: &[&str]) -> Ran {
        read(self.command(cwd, args).output().unwrap())
    }
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

fn first_steps(user: &User) {
    let written = user.run("work/shop", &["init", "--json"]).ended(0).json();
    let home = user.at("user/.local/share/aecl/shop");
    assert_eq!(written["dir"], home.display().to_string());
    assert_eq!((mode(&home), mode(home.parent().unwrap())), (0o700, 0o700));
    assert_eq!(fs::read_dir(user.at("work/shop")).unwrap().count(), 1, "nothing is in the project but `src`");
    // What the client is to serve does not hold the keys.
    let entry = written["mcp_client"]["mcpServers"]["filesystem"]["args"].to_string();
    let served = user.at("work/shop").display().to_string();
    assert!(entry.contains(&format!("\"{served}\"")) && !home.starts_with(&served), "{entry}");
    // Found from the project and from below, and from nowhere else.
    for cwd in ["work/shop", "work/shop/src"] {
        assert_eq!(user.run(cwd, &["home"]).ended(0).out, format!("{}\n", home.display()), "{cwd}");
        user.run(cwd, &["policy", "check"]).ended(0);
    }
    let nowhere = user.run("other", &["home"]).ended(1);
    assert!(nowhere.err.contains("hint: `aecl init`"), "{}", nowhere.err);
    let again = user.run("work/shop", &["init"]).ended(1);
    assert!(again.err.contains("exists already"), "{}", again.err);
    // Another project of the same name has another home.
    let other = user.run("other/shop", &["init", "--json"]).ended(0).json();
    assert_eq!(other["dir"], user.at("user/.local/share/aecl/shop-2").display().to_string());
    // A cage that sees the project, and one that sees all of the user's files.
    let look =
        "find / -name operator.key 2>/dev/null; cat /it/.local/share/aecl/shop/keys/operator.key; true";
    for view in ["work/shop", "user"] {
        let view = format!("{}:/it", user.at(view).display());
        let args = ["run", "--memory", "none", "--view", &view, "--write", ".:/here", "--", "sh", "-c", look];
        let ran = user.run("work/shop", &args).ended(0);
        assert_eq!(ran.out, "", "{view}: {}", ran.err);
    }
    let refused = user
        .run("work/shop", &["run", "--memory", "none", "--view", &home.display().to_string(), "--", "id"]);
    assert!(refused.code == 125 && refused.err.contains("which no program sees"), "{}", refused.err);
}

#[test]
fn init_puts_the_home_outside_and_every_command_finds_it() {
    first_steps(&User::new(false));
}

#[test]
fn an_ordinary_user_has_a_home_outside_as_well() {
    // An ordinary user runs the test above as one.
    if rustix::process::geteuid().is_root() {
        first_steps(&User::new(true));
    }
}

#[test]
fn without_a_place_for_homes_init_says_the_way_out() {
    let user = User::new(true);
    let without = |name: &str, value: Option<&str>| {
        let mut command = user.command("work/shop", &["init"]);
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
        read(command.output().unwrap()).ended(1)
    };
    for (name, value) in
        [("HOME", None), ("HOME", Some("")), ("HOME", Some("/proc/nowhere")), ("HOME", Some("relative"))]
    {
        let ran = without(name, value);
        assert!(ran.err.contains("--dir"), "{value:?}: {}", ran.err);
        assert_eq!(fs::read_dir(user.at("work/shop")).unwrap().count(), 1, "{value:?}");
    }
}

#[test]
fn a_home_in_the_project_is_said_and_moves_out_as_a_whole() {
    let user = User::new(false);
    user.run("work/shop", &["--dir", ".aecl", "init"]).ended(0);
    let key = fs::read(user.at("work/shop/.aecl/keys/operator.key")).unwrap();
    let told = user.run("work/shop", &["policy", "check"]).ended(1);
    assert!(told.err.contains("`aecl --dir ./.aecl home move` takes it"), "{}", told.err);
    user.run("work/shop", &["home", "move"]).ended(1);
    let told = user.run("work/shop", &["--dir", ".aecl", "home"]).ended(0);
    assert!(told.err.contains("`aecl --dir .aecl home move` moves it out"), "{}", told.err);

    let mut server = user
        .command("work/shop", &["--dir", ".aecl", "serve"])
        .stderr(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let socket = user.at("work/shop/.aecl/data/aecl.sock");
    let late = std::time::Instant::now() + std::time::Duration::from_secs(30);
    while std::os::unix::net::UnixStream::connect(&socket).is_err() {
        assert!(std::time::Instant::now() < late && server.try_wait().unwrap().is_none(), "nobody serves");
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    let busy = user.run("work/shop", &["--dir", ".aecl", "home", "move"]).ended(1);
    assert!(busy.err.contains("nothing was moved"), "{}", busy.err);
    server.kill().unwrap();
    server.wait().unwrap();

    // It is of where it lies, whatever it says.
    let elsewhere = user.at("other/shop");
    fs::write(user.at("work/shop/.aecl/project"), format!("{}\n", elsewhere.display())).unwrap();
    let moved = user.run("work/shop", &["--dir", ".aecl", "home", "move", "--json"]).ended(0).json();
    let home = user.at("user/.local/share/aecl/shop");
    assert_eq!(moved["dir"], home.display().to_string());
    assert_eq!(moved["project"], user.at("work/shop").display().to_string());
    assert!(!user.at("work/shop/.aecl").exists());
    assert_eq!(fs::read(home.join("keys/operator.key")).unwrap(), key);
    // The same record goes on, from below the project, too.
    user.run("work/shop/src", &["log", "verify"]).ended(0);
    user.run("work/shop/src", &["home", "move"]).ended(1);
}

/// Wherever a home was moved to, the next command finds it, and nobody else can say where it is.
#[test]
fn a_home_that_was_moved_elsewhere_is_found_again() {
    let user = User::new(false);
    user.run("work/shop", &["init"]).ended(0);
    let (first, second) = (user.at("user/srv/shop"), user.at("user/link/other"));
    fs::create_dir(user.at("user/real")).unwrap();
    fs::set_permissions(user.at("user/real"), fs::Permissions::from_mode(0o755)).unwrap();
    std::os::unix::fs::symlink(user.at("user/real"), user.at("user/link")).unwrap();
    let finds = |home: &Path| {
        for cwd in ["work/shop", "work/shop/src"] {
            let found = user.run(cwd, &["home"]).ended(0).out;
            assert_eq!(found, format!("{}\n", home.display()));
            user.run(cwd, &["policy", "check"]).ended(0);
        }
    };
    let wrong = user.run("work/shop", &["home", "move", "--to", "nothing/../here"]).ended(1);
    assert!(wrong.err.contains("nothing was moved"), "{}", wrong.err);
    user.run("work/shop", &["home", "move", "--to", "../../user/srv/shop"]).ended(0);
    finds(&first);
    // Neither a cage nor the tools of another project reach it there.
    user.run("other/shop", &["init"]).ended(0);
    let view = format!("{}:/it", user.at("user/srv").display());
    let look = ["run", "--memory", "none", "--view", &view, "--", "find", "/it", "-name", "operator.key"];
    assert_eq!(user.run("other/shop", &look).ended(0).out, "");
    // From there to somewhere else, behind a link, and back.
    user.run("work/shop", &["home", "move", "--to", second.to_str().unwrap()]).ended(0);
    finds(&user.at("user/real/other"));
    user.run("work/shop", &["home", "move"]).ended(0);
    finds(&user.at("user/.local/share/aecl/shop-2"));
    let notes = user.at("user/.local/share/aecl/.elsewhere");
    assert_eq!(fs::read_dir(&notes).unwrap().count(), 0);

    // What lies in the project is found by whoever names it, and says so.
    fs::set_permissions(user.at("work/shop/src"), fs::Permissions::from_mode(0o755)).unwrap();
    let moved = user.run("work/shop", &["home", "move", "--to", "src/mine"]).ended(0);
    let inside = user.at("work/shop/src/mine").display().to_string();
    assert!(moved.err.contains(&format!("`--dir {inside}`")), "{}", moved.err);
    assert!(moved.err.contains(&format!("AECL_DIR={inside}")), "{}", moved.err);
    user.run("work/shop", &["home"]).ended(1);
    user.run("work/shop", &["--dir", &inside, "home", "move", "--to", first.to_str().unwrap()]).ended(0);
    finds(&first);

    // Both have to say so, and it has to be a directory of this user's.
    let project = first.join("project");
    let named = fs::read_to_string(&project).unwrap();
    fs::write(&project, "/somewhere/else\n").unwrap();
    user.run("work/shop", &["home"]).ended(1);
    fs::write(&project, named).unwrap();
    finds(&first);
    fs::rename(&first, user.at("user/srv/away")).unwrap();
    user.run("work/shop", &["home"]).ended(1);
    std::os::unix::fs::symlink(user.at("user/srv/away"), &first).unwrap();
    user.run("work/shop", &["home"]).ended(1);
}

/// Two processes that write one ledger would both sign heads of it.
#[test]
fn a_copy_of_a_home_does_not_sign_beside_the_original() {
    let user = User::new(false);
    user.run("work/shop", &["init"]).ended(0);
    let home = user.at("user/.local/share/aecl/shop");
    user.run("work/shop", &["kill", "list"]).ended(0);
    let mut server = user.command("work/shop", &["serve"]);
    let mut server = server.stderr(Stdio::null()).stdout(Stdio::null()).spawn().unwrap();
    let socket = home.join("data/aecl.sock");
    let late = std::time::Instant::now() + std::time::Duration::from_secs(30);
    while std::os::unix::net::UnixStream::connect(&socket).is_err() {
        assert!(std::time::Instant::now() < late && server.try_wait().unwrap().is_none(), "nobody serves");
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    let copy = user.at("user/copy");
    let copied = Command::new("cp").arg("-a").args([&home, &copy]).status().unwrap();
    assert!(copied.success());
    for name in ["lock", "aecl.sock", "mcp.sock"] {
        fs::remove_file(copy.join("data").join(name)).unwrap();
    }
    let copy = copy.to_str().unwrap();
    for command in [&["serve"][..], &["kill", "list"], &["log", "rebuild-facts"]] {
        let ran = user.run("work/shop", &[&["--dir", copy], command].concat()).ended(1);
        assert!(ran.err.contains("is a copy of it"), "{command:?}: {}", ran.err);
        assert!(ran.err.contains(&home.join("data").display().to_string()), "{}", ran.err);
    }
    user.run("work/shop", &["--dir", copy, "log", "verify"]).ended(0);
    // One after the other they do, also where the first has left its claim behind.
    server.kill().unwrap();
    server.wait().unwrap();
    user.run("work/shop", &["--dir", copy, "kill", "list"]).ended(0);
    user.run("work/shop", &["kill", "list"]).ended(0);
    // A place that others may write to holds no claim of anybody.
    let claims = user.at("user/.local/state/aecl/ledgers");
    assert_eq!(mode(&claims), 0o700);
    assert!(fs::read_dir(&claims).unwrap().count() <= 1);
    fs::set_permissions(&claims, fs::Permissions::from_mode(0o777)).unwrap();
    user.run("work/shop", &["kill", "list"]).ended(0);
}

#[test]
fn a_cloned_repository_chooses_neither_home_nor_images() {
    let user = User::new(false);
    user.run("work/shop", &["init"]).ended(0);
    // What a stranger could commit: a home, one with the name of a project, and a link to somebody's home.
    let clone = user.at("work/shop/src");
    user.run("work/shop/src", &["--dir", ".aecl", "init"]).ended(0);
    fs::write(clone.join(".aecl/project"), format!("{}\n", clone.display())).unwrap();
    let found = user.run("work/shop/src", &["home", "--json"]).ended(0).json();
    assert_eq!(found["dir"], user.at("user/.local/share/aecl/shop").display().to_string());

    // Where there is none of ours, what is there is not believed about images.
    let layout = layout(&user.at("other/layout"));
    let clone = user.at("other/shop");
    read(user.command("other/shop", &["--dir", ".aecl", "init"]).output().unwrap()).ended(0);
    let unpacked = |args: &[&str]| {
        let listed =
            user.run("other/shop", &[args, &["--json", "image", "list", layout.to_str().unwrap()]].concat());
        listed.ended(0).json()["images"][0]["unpacked"].clone()
    };
    let digest =
        user.run("other/shop", &["--json", "image", "list", layout.to_str().unwrap()]).ended(0).json();
    let image = format!("{}@{}", layout.display(), digest["images"][0]["digest"].as_str().unwrap());
    user.run("other/shop", &["--dir", ".aecl", "image", "unpack", &image]).ended(0);
    assert!(clone.join(".aecl/data/images").is_dir());
    assert_eq!(unpacked(&["--dir", "./.aecl"]), true);
    assert_eq!(unpacked(&[]), false);
}

/// What is in a directory, by path: content, or where a link leads.
fn all_below(dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        let about = path.symlink_metadata().unwrap();
        if about.is_dir() {
            found.extend(all_below(&path));
        } else {
            let link = || fs::read_link(&path).unwrap_or_default().into_os_string().into_encoded_bytes();
            let content = if about.is_file() { fs::read(&path).unwrap() } else { link() };
            found.insert(path, content);
        }
    }
    found
}

/// A whole home, with keys of mode 600, that a stranger has put into a project: everything is allowed to everybody, and
/// its server leaves a trace.
fn strangers(user: &User) -> PathBuf {
    user.run("other/shop", &["--dir", ".aecl", "init"]).ended(0);
    let home = user.at("other/shop/.aecl");
    let config = fs::read_to_string(home.join("aecl.yaml")).unwrap();
    let trace = user.at("trace");
    let server = format!(
        "servers:\n  filesystem: {{ kind: stdio, command: touch, args: [\"{}\"] }}\n",
        trace.display()
    );
    fs::write(home.join("aecl.yaml"), config.replace("servers: {}", &server)).unwrap();
    fs::write(home.join("project"), format!("{}\n", user.at("other/shop").display())).unwrap();
    home
}

/// Each command of the program as somebody calls it who names no home, and how it ends where there is none.
#[rustfmt::skip]
const WITHOUT_A_HOME: &[(&[&str], i32)] = &[
    (&["mcp", "--server", "filesystem", "--", "touch", "trace"], 1), (&["mcp", "--embedded"], 1),
    (&["serve"], 1), (&["doctor"], 1), (&["wrap", "claude", "--yes"], 1), (&["wrap", "claude", "--undo"], 1), (&["uninit", "--yes"], 1), (&["hook", "claude"], 2),
    (&["home"], 1), (&["home", "move"], 1), (&["home", "move", "--to", "taken"], 1),
    (&["policy", "check"], 1), (&["policy", "show"], 1), (&["policy", "test"], 1), (&["policy", "lint"], 1),
    (&["policy", "residual"], 1), (&["policy", "prove"], 1), (&["policy", "calibrate"], 1), (&["policy", "learn"], 1),
    (&["policy", "simulate", "--bundle", "."], 1),
    (&["explain", "assistant", "filesystem.read_file", "{}"], 1), (&["approvals"], 1),
    (&["approvals", "approve", "last"], 1),
    (&["log", "tail"], 1), (&["log", "verify"], 1), (&["log", "export", "taken"], 1), (&["log", "accept-loss"], 1), (&["log", "key"], 1), (&["log", "replay"], 1), (&["log", "rebuild-facts"], 1),
    (&["kill", "--all", "--reason", "x"], 1), (&["kill", "list"], 1), (&["clock"], 1), (&["rollback", "act_01JCXYZ0000000000000000000", "--reason", "x"], 1),
    (&["resolve", "act_01JCXYZ0000000000000000000", "--note", "x", "--done"], 1),
    (&["catalog", "list"], 1), (&["catalog", "diff"], 1), (&["catalog", "import", "filesystem"], 1),
    (&["catalog", "accept", "filesystem"], 1), (&["catalog", "import", "--python", "shop"], 1), (&["gen", "python"], 1),
    (&["keys", "list"], 1), (&["keys", "add", "person", "me", "--group", "operators"], 1),
    (&["secrets", "list"], 1), (&["secrets", "rm", "x"], 1),
    (&["image", "list", "layout"], 0), (&["run", "--memory", "none", "--", "true"], 0),
    (&["servers", "status"], 1), (&["workers"], 1),
    (&["help", "config_invalid"], 0), (&["completions", "bash"], 0), (&["__complete", "--", "log", "show", ""], 0),
];

#[test]
fn a_home_that_came_with_a_project_is_nobodys() {
    let user = User::new(false);
    let home = strangers(&user);
    layout(&user.at("other/shop/layout"));
    let client = "{ \"mcpServers\": { \"files\": { \"command\": \"npx\", \"args\": [\"server\"] } } }";
    fs::write(user.at("other/shop/.mcp.json"), client).unwrap();
    let named: BTreeSet<&str> = WITHOUT_A_HOME.iter().map(|(args, _)| args[0]).collect();
    let known = aecl::cli::command();
    let known: BTreeSet<&str> = known.get_subcommands().map(|command| command.get_name()).collect();
    let own = ["init", "demo", "demo-payments"];
    assert_eq!(named, known.into_iter().filter(|name| !own.contains(name)).collect());

    let before = all_below(&user.at("other"));
    let tried = || {
        for (args, code) in WITHOUT_A_HOME {
            for place in [Some("user"), None] {
                let mut command = user.command("other/shop", args);
                match place {
                    Some(place) => command.env("HOME", user.at(place)),
                    None => command.env_remove("HOME"),
                };
                // Images have no place of their own without a directory of the user's.
                let code = if args[0] == "image" && place.is_none() { 1 } else { *code };
                let ran = read(command.output().unwrap());
                assert_eq!(ran.code, code, "{args:?} {place:?}: {}\n{}", ran.out, ran.err);
                let told = ran.err.contains("`.aecl` in this directory counts for nothing");
                assert_eq!(
                    told,
                    !["run", "image", "help", "completions", "__complete"].contains(&args[0]),
                    "{args:?}"
                );
                assert!(!ran.err.contains("Usage:"), "{args:?}: {}", ran.err);
            }
        }
        assert!(!user.at("trace").exists() && !user.at("other/shop/trace").exists());
    };
    tried();
    assert_eq!(all_below(&user.at("other")), before);
    // Its home for this project is one of the user's own, and the stranger's stays as it was.
    let told = user.run("other/shop", &["init", "--json"]).ended(0);
    assert!(told.err.contains("counts for nothing"), "{}", told.err);
    let made = user.at("user/.local/share/aecl/shop");
    assert_eq!(told.json()["dir"], made.display().to_string());
    assert_eq!(user.run("other/shop", &["home"]).ended(0).out, format!("{}\n", made.display()));
    assert_eq!(all_below(&user.at("other")), before);

    // Nothing in it is opened, so nothing in it stops anybody.
    fs::remove_dir_all(&made).unwrap();
    let config = home.join("aecl.yaml");
    for (kind, is_run) in [("pipe", true), ("endless", true), ("link", false)] {
        match kind {
            "pipe" => {
                fs::remove_dir_all(&home).unwrap();
                for dir in ["keys", "policy/agents", "data"] {
                    fs::create_dir_all(home.join(dir)).unwrap();
                }
                for path in ["aecl.yaml", "project", "keys/operator.key", "data/ledger.db", "data/aecl.sock"]
                {
                    pipe(&home.join(path));
                }
            }
            "endless" => {
                fs::remove_file(&config).unwrap();
                std::os::unix::fs::symlink("/dev/zero", &config).unwrap();
            }
            _ => {
                fs::remove_dir_all(&home).unwrap();
                std::os::unix::fs::symlink("/proc/self/root", &home).unwrap();
            }
        }
        for (args, code) in WITHOUT_A_HOME {
            // `aecl run` reads of it what can take something away, and says what is wrong with that.
            let code = if is_run && args[0] == "run" { 125 } else { *code };
            let ran = user.run("other/shop", args);
            assert_eq!(ran.code, code, "{kind}, {args:?}: {}\n{}", ran.out, ran.err);
        }
    }
}

/// An image without anything in it.
fn layout(dir: &Path) -> PathBuf {
    let blobs = dir.join("blobs/sha256");
    fs::create_dir_all(&blobs).unwrap();
    let blob = |bytes: &[u8]| {
        let digest = aecl_kernel::base::digest::Digest::of(bytes).to_string();
        let hex = digest.rsplit(':').next().unwrap();
        fs::write(blobs.join(hex), bytes).unwrap();
        serde_json::json!({ "digest": format!("sha256:{hex}"), "size": bytes.len() })
    };
    let with = |mut descriptor: serde_json::Value, kind: &str| {
        descriptor["mediaType"] = format!("application/vnd.oci.image.{kind}+json").into();
        descriptor
    };
    let config = serde_json::json!({ "architecture": "amd64", "os": "linux", "config": {},
        "rootfs": { "type": "layers", "diff_ids": [] } });
    let config = with(blob(config.to_string().as_bytes()), "config.v1");
    let manifest = serde_json::json!({ "schemaVersion": 2, "config": config, "layers": [],
        "mediaType": "application/vnd.oci.image.manifest.v1+json" });
    let manifest = with(blob(manifest.to_string().as_bytes()), "manifest.v1");
    fs::write(dir.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).unwrap();
    let index = serde_json::json!({ "schemaVersion": 2, "manifests": [manifest] });
    fs::write(dir.join("index.json"), index.to_string()).unwrap();
    dir.to_owned()
}

#[test]
fn doctor_tries_what_tools_are_handed() {
    let user = User::new(false);
    user.run("work/shop", &["init"]).ended(0);
    let home = user.at("user/.local/share/aecl/shop");
    let states = |what: &str, code: i32| {
        let told = user.run("work/shop", &["doctor", "--json"]).ended(code).json();
        let checks = told["checks"].as_array().unwrap().clone();
        let of = checks.into_iter().filter(|check| check["what"] == what);
        of.map(|check| (check["state"].as_str().unwrap().to_owned(), check["found"].to_string()))
            .collect::<Vec<_>>()
    };
    assert_eq!(states("home", 0)[0].0, "ok");
    assert_eq!(states("reach", 0)[0].0, "ok");

    // A server over all of the user's files, by another spelling; and a program that is shown them.
    let config = fs::read_to_string(home.join("aecl.yaml")).unwrap();
    let server =
        "servers:\n  files: { kind: stdio, command: npx, args: [server-filesystem, \"../../user\"] }\n";
    assert!(config.contains("servers: {}"));
    fs::write(home.join("aecl.yaml"), config.replace("servers: {}", server)).unwrap();
    let found = states("reach", 1);
    assert!(found[0].0 == "broken" && found[0].1.contains("../../user"), "{found:?}");
    fs::write(home.join("aecl.yaml"), config).unwrap();
    let view = serde_json::json!({ "source": user.at("user"), "at": "/user", "access": "read_only" });
    let program = serde_json::json!({ "name": "look", "effect": "execute", "reversibility": "reversible",
        "arguments": { "type": "object", "properties": {} },
        "connector": { "kind": "process", "argv": ["ls"], "views": [view] } });
    fs::create_dir_all(home.join("policy/actions")).unwrap();
    fs::write(home.join("policy/actions/look.json"), program.to_string()).unwrap();
    let found = states("own directory", 0);
    assert!(found[0].0 == "advice" && found[0].1.contains("`look`"), "{found:?}");
    let checked = user.run("work/shop", &["policy", "check"]).ended(0);
    assert!(checked.out.contains("contains AECL's own directory"), "{}", checked.out);

    fs::set_permissions(&home, fs::Permissions::from_mode(0o755)).unwrap();
    assert_eq!(states("home", 1)[0].0, "broken");
}

/// The three commands of the first hour: `init --client`, the client, and what was held. Here the first, both ways.
#[test]
fn a_clients_own_file_gets_aecl_in_front_of_its_servers_and_is_given_back() {
    let user = User::new(false);
    let project = user.at("work/shop");
    let claude = "{\n  \"zeta\": 1.50,\n  \"mcpServers\": {\n    \"files\": {\n      \"command\": \"npx\",\n      \"args\": [\"-y\", \"server\", \".\"],\n      \"env\": { \"A\": \"b\" }\n    }\n  }\n}\n";
    fs::write(project.join(".mcp.json"), claude).unwrap();
    // Nobody to ask, nothing changed.
    let asked = user.run("work/shop", &["init", "--client", "claude"]).ended(1);
    assert!(asked.err.contains("--yes") && asked.err.contains("+"), "{}", asked.err);
    assert_eq!(fs::read_to_string(project.join(".mcp.json")).unwrap(), claude);

    user.run("work/shop", &["wrap", "claude", "--yes"]).ended(0);
    let changed = fs::read_to_string(project.join(".mcp.json")).unwrap();
    assert!(
        changed.starts_with("{\n  \"zeta\": 1.50,")
            && changed.ends_with("\"env\": { \"A\": \"b\" }\n    }\n  }\n}\n")
    );
    let entry: serde_json::Value = serde_json::from_str(&changed).unwrap();
    let args: Vec<&str> = entry["mcpServers"]["files"]["args"]
        .as_array()
        .unwrap()
        .iter()
        .map(|a| a.as_str().unwrap())
        .collect();
    let home = user.at("user/.local/share/aecl/shop").display().to_string();
    assert_eq!(args[..3], ["--dir", home.as_str(), "mcp"]);
    assert_eq!(args[args.len() - 4..], ["npx", "-y", "server", "."]);
    assert!(Path::new(entry["mcpServers"]["files"]["command"].as_str().unwrap()).is_absolute());
    // The manifest that `init` wrote allows what the client has.
    let manifest = fs::read_to_string(Path::new(&home).join("policy/agents/assistant.yaml")).unwrap();
    assert!(manifest.contains("files.*"), "{manifest}");
    let twice = user.run("work/shop", &["wrap", "claude", "--yes"]).ended(0);
    assert!(twice.err.contains("nothing to change"), "{}", twice.err);

    user.run("work/shop", &["wrap", "claude", "--undo"]).ended(0);
    assert_eq!(fs::read_to_string(project.join(".mcp.json")).unwrap(), claude);
    // What somebody has changed since stays as it is.
    user.run("work/shop", &["wrap", "claude", "--yes"]).ended(0);
    fs::write(project.join(".mcp.json"), "{}").unwrap();
    let left = user.run("work/shop", &["wrap", "claude", "--undo"]).ended(0);
    assert!(left.err.contains("was changed since"), "{}", left.err);
    assert_eq!(fs::read_to_string(project.join(".mcp.json")).unwrap(), "{}");
}

#[test]
fn a_client_without_servers_gets_one_over_the_project() {
    let user = User::new(false);
    fs::create_dir_all(user.at("user/.codex")).unwrap();
    let codex = "model = \"o\" # mine\n";
    fs::write(user.at("user/.codex/config.toml"), codex).unwrap();
    for (client, file) in [
        ("codex", "user/.codex/config.toml"),
        ("gemini", "work/shop/.gemini/settings.json"),
        ("cursor", "work/shop/.cursor/mcp.json"),
        ("vscode", "work/shop/.vscode/mcp.json"),
    ] {
        let first = if client == "codex" {
            vec!["init", "--client", client, "--yes"]
        } else {
            vec!["wrap", client, "--yes"]
        };
        let ran = user.run("work/shop", &first).ended(0);
        let text = fs::read_to_string(user.at(file)).unwrap_or_else(|e| panic!("{client}: {e}: {}", ran.err));
        assert!(
            text.contains("server-filesystem") && text.contains(&user.at("work/shop").display().to_string()),
            "{text}"
        );
        user.run("work/shop", &["wrap", client, "--undo"]).ended(0);
        assert_eq!(user.at(file).exists(), client == "codex", "{client}");
    }
    assert_eq!(fs::read_to_string(user.at("user/.codex/config.toml")).unwrap(), codex);
}
