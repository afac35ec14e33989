//! Running other programs, from the root of the workspace.

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;

use serde_json::Value;

/// The root of the workspace. Cargo tells where this package lies; the root is its parent.
pub fn root() -> PathBuf {
    let here = std::env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from);
    let here = here.unwrap_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")));
    here.parent().map(Path::to_path_buf).unwrap_or(here)
}

/// The cargo that started us, so that one toolchain does everything.
pub fn cargo(arguments: &[&str]) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(arguments);
    command
}

/// Whether a program of this name can be started.
pub fn exists(name: &str) -> bool {
    let Some(path) = std::env::var_os("PATH") else { return false };
    std::env::split_paths(&path).any(|dir| dir.join(name).is_file())
}

/// Runs to the end and lets the person watch. Says yes or no; `Err` when it could not be started.
pub fn watch(command: &mut Command) -> Result<bool, String> {
    let status = command.current_dir(root()).stdin(Stdio::null()).status();
    status.map(|status| status.success()).map_err(|error| cannot_start(command, &error))
}

/// Like `watch`, and hands back every line of both streams.
pub fn watch_lines(command: &mut Command) -> Result<(bool, Vec<String>), String> {
    command.current_dir(root()).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(|error| cannot_start(command, &error))?;
    let lines = Mutex::new(Vec::new());
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    std::thread::scope(|scope| {
        if let Some(stream) = stderr {
            scope.spawn(|| relay(stream, &lines));
        }
        if let Some(stream) = stdout {
            relay(stream, &lines);
        }
    });
    let status = child.wait().map_err(|error| cannot_start(command, &error))?;
    Ok((status.success(), lines.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner)))
}

/// Runs quietly and hands back what it wrote to stdout, or how it failed.
pub fn ask(command: &mut Command) -> Result<String, String> {
    let output = command.current_dir(root()).stdin(Stdio::null()).output();
    let output = output.map_err(|error| cannot_start(command, &error))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(format!("`{}` ended with {}: {}", name(command), output.status, said.trim_end()));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// `cargo metadata` of the workspace alone.
pub fn metadata() -> Result<Value, String> {
    let text = ask(&mut cargo(&["metadata", "--no-deps", "--format-version", "1"]))?;
    serde_json::from_str(&text).map_err(|error| format!("`cargo metadata` gave no JSON: {error}"))
}

/// Where cargo puts what it builds.
pub fn target() -> Result<PathBuf, String> {
    let metadata = metadata()?;
    let target = metadata.get("target_directory").and_then(Value::as_str);
    target.map(PathBuf::from).ok_or_else(|| "`cargo metadata` names no target directory".into())
}

fn relay(stream: impl Read, lines: &Mutex<Vec<String>>) {
    for line in BufReader::new(stream).split(b'\n').map_while(Result::ok) {
        let line = String::from_utf8_lossy(&line).trim_end().to_owned();
        println!("{line}");
        lines.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push(line);
    }
}

fn cannot_start(command: &Command, error: &std::io::Error) -> String {
    format!("`{}` could not be run: {error}", name(command))
}

fn name(command: &Command) -> String {
    command.get_program().to_string_lossy().into_owned()
}
