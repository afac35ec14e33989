//! Runs the program, and proposes actions to one that serves.

use serde_json::Value;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

/// What a run of the program gave.
pub struct Ran {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Ran {
    /// Standard output as JSON.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|e| panic!("{e}: {}\n{}", self.out, self.err))
    }

    /// The same, after it ended with this code.
    #[track_caller]
    pub fn ended(self, code: i32) -> Self {
        assert_eq!(self.code, code, "{}\n{}", self.out, self.err);
        self
    }
}

/// The program on a directory.
#[derive(Clone)]
pub struct Aecl {
    dir: PathBuf,
    /// As another user, if we are root.
    nobody: bool,
}

impl Aecl {
    pub fn on(dir: &Path) -> Self {
        Self { dir: dir.to_owned(), nobody: false }
    }

    pub fn by_nobody(self) -> Self {
        Self { nobody: true, ..self }
    }

    pub fn dir(&self) -> &Path {
        &self.dir
    }

    pub fn command(&self, args: &[&str]) -> Command {
        let program = env!("CARGO_BIN_EXE_aecl");
        let mut command = if self.nobody {
            let mut command = Command::new("setpriv");
            command.args(["--reuid", "65534", "--regid", "65534", "--clear-groups", "--", program]);
            command
        } else {
            Command::new(program)
        };
        command.arg("--dir").arg(&self.dir).args(args);
        command.current_dir(self.dir.parent().unwrap()).env_remove("AECL_KEY").env_remove("AECL_DIR");
        command.stdin(Stdio::null());
        command
    }

    pub fn run(&self, args: &[&str]) -> Ran {
        read(self.command(args).output().unwrap())
    }

    /// With something on standard input.
    pub fn fed(&self, args: &[&str], input: &[u8]) -> Ran {
        feed(&mut self.command(args), input)
    }

    /// Serves the directory until the test ends.
    pub fn serve(&self) -> Served {
        let mut child =
            self.command(&["serve"]).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let socket = self.dir.join("data/aecl.sock");
        let late = Instant::now() + Duration::from_secs(30);
        while UnixStream::connect(&socket).is_err() {
            if let Some(status) = child.try_wait().unwrap() {
                let mut said = String::new();
                child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
                panic!("the server ended with {status}: {said}");
            }
            assert!(Instant::now() < late, "nobody serves");
            std::thread::sleep(Duration::from_millis(10));
        }
        Served { child, socket }
    }
}

/// What a program says to this input. One that ends before it has read everything is judged by what it says.
pub fn feed(command: &mut Command, input: &[u8]) -> Ran {
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    if let Err(error) = child.stdin.take().unwrap().write_all(input) {
        assert_eq!(error.kind(), std::io::ErrorKind::BrokenPipe, "{error}");
    }
    read(child.wait_with_output().unwrap())
}

pub fn read(output: Output) -> Ran {
    Ran {
        code: output.status.code().unwrap_or(-1),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

/// A server that ends with the test.
pub struct Served {
    child: Child,
    socket: PathBuf,
}

impl Drop for Served {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

impl Served {
    /// Ends it, and gives what it has said.
    pub fn ended(mut self) -> String {
        self.child.kill().unwrap();
        let mut said = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
        said
    }

    /// Asks over the socket, as any HTTP client would.
    pub fn post(&self, credential: &str, path: &str, body: &Value) -> Value {
        let head = format!("authorization: Bearer {credential}\r\ncontent-type: application/json");
        let (head, answer) = self.ask("POST", path, &head, &body.to_string());
        assert!(head.to_ascii_lowercase().contains("content-length"), "{head}");
        serde_json::from_str(&answer).unwrap()
    }

    /// Reads, as any HTTP client would.
    pub fn get(&self, credential: &str, path: &str) -> Value {
        let (_, answer) = self.ask("GET", path, &format!("authorization: Bearer {credential}"), "");
        serde_json::from_str(&answer).unwrap()
    }

    /// A page, as a browser shows it to whoever has this key.
    pub fn page(&self, key: &str, path: &str) -> String {
        let form = "content-type: application/x-www-form-urlencoded\r\norigin: http://aecl.localhost";
        let (head, _) =
            self.ask_at("aecl.localhost", "POST", "/login", form, &format!("key={key}&next=/approvals"));
        let cookie = head
            .lines()
            .find_map(|line| line.strip_prefix("set-cookie: "))
            .unwrap_or_else(|| panic!("{head}"));
        let cookie = cookie.split(';').next().unwrap();
        self.ask_at("aecl.localhost", "GET", path, &format!("cookie: {cookie}"), "").1
    }

    /// Head and body of the answer.
    fn ask(&self, method: &str, path: &str, headers: &str, body: &str) -> (String, String) {
        self.ask_at("localhost", method, path, headers, body)
    }

    fn ask_at(&self, host: &str, method: &str, path: &str, headers: &str, body: &str) -> (String, String) {
        let mut stream = UnixStream::connect(&self.socket).unwrap();
        let n = body.len();
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nhost: {host}\r\n{headers}\r\ncontent-length: {n}\r\nconnection: close\r\n\r\n{body}",
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head.to_owned(), body.to_owned())
    }

    /// Opens a run, and gives its name and token.
    pub fn open_run(&self, key: &str, agent: &str) -> (String, String) {
        let goal = serde_json::json!({"agent": agent, "goal": "settle the vendor's invoice"});
        let run = self.post(key, "/v1/runs", &goal);
        let text = |name: &str| run[name].as_str().unwrap_or_else(|| panic!("{run}")).to_owned();
        (text("run"), text("token"))
    }

    /// Proposes an action.
    pub fn propose(&self, token: &str, action: &str, arguments: Value) -> Value {
        self.post(token, "/v1/actions", &serde_json::json!({"action": action, "arguments": arguments}))
    }
}
