//! The tier `process`: a child with nothing of ours but its pipes.

use std::process::{ExitStatus, Stdio};

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command};

use crate::error::SandboxError;
use crate::program::{Program, Supervised, base_environment};
use crate::spawner::spawn_on_lasting_thread;

/// A running program and its three pipes. Dropping it kills the whole process group.
#[derive(Debug)]
pub struct Contained {
    /// To the program. Take it to write.
    pub stdin: Option<ChildStdin>,
    /// From the program. Take it to read.
    pub stdout: Option<ChildStdout>,
    /// Its talk. Take it to read; a program that nobody listens to may block.
    pub stderr: Option<ChildStderr>,
    child: Child,
    group: Option<Pid>,
}

/// Starts a supervised program: it runs beside us, with what we have.
///
/// # Errors
/// When the program is empty, or the operating system does not start it.
pub async fn spawn(program: Program, supervised: Supervised) -> Result<Contained, SandboxError> {
    let (name, arguments) = program.argv.split_first().ok_or(SandboxError::NoProgram)?;
    let mut command = Command::new(name);
    command.args(arguments).env_clear().envs(base_environment()).envs(&program.env);
    if let Some(cwd) = &program.cwd {
        command.current_dir(cwd);
    }
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.process_group(0).kill_on_drop(true);
    tie(&mut command, supervised);
    let started = spawn_on_lasting_thread(command).await.ok_or(SandboxError::NoSpawner)?;
    let mut child = started.map_err(|source| SandboxError::NotStarted { program: name.clone(), source })?;
    let group = child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    Ok(Contained { stdin, stdout, stderr, child, group })
}

impl Contained {
    /// The process group's number, while it runs.
    #[must_use]
    pub fn id(&self) -> Option<u32> {
        self.child.id()
    }

    /// Waits until the program ends, then ends what it left behind in its group.
    ///
    /// # Errors
    /// When the operating system cannot say how it ended.
    pub async fn wait(&mut self) -> std::io::Result<ExitStatus> {
        let status = self.child.wait().await;
        self.kill();
        status
    }

    /// Kills the whole group at once. There is no grace: what must be tidy is tidied before.
    pub fn kill(&mut self) {
        // Taken, so that a number which the system may hand out again is never signalled twice.
        if let Some(group) = self.group.take() {
            // The group is gone already when nothing in it runs: that is what we want.
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
}

impl Drop for Contained {
    fn drop(&mut self) {
        self.kill();
    }
}

#[cfg(target_os = "linux")]
#[expect(unsafe_code, reason = "`pre_exec` is the only moment to set what dies with the parent")]
fn tie(command: &mut Command, supervised: Supervised) {
    use rustix::process::{Resource, Rlimit, getpid, getppid, set_parent_process_death_signal, setrlimit};

    let (core, files) = (supervised.core_max_bytes, supervised.open_files_max);
    let parent = getpid();
    let in_child = move || {
        set_parent_process_death_signal(Some(Signal::KILL))?;
        // We may have died between fork and the line above; then nobody would ever send the signal.
        if getppid() != Some(parent) {
            return Err(std::io::Error::from_raw_os_error(rustix::io::Errno::SRCH.raw_os_error()));
        }
        setrlimit(Resource::Core, Rlimit { current: Some(core), maximum: Some(core) })?;
        if let Some(files) = files {
            setrlimit(Resource::Nofile, Rlimit { current: Some(files), maximum: Some(files) })?;
        }
        Ok(())
    };
    // SAFETY: between fork and exec only async-signal-safe work is allowed. The closure makes four bare
    // system calls (prctl, getppid, two prlimits) through rustix, takes no lock and allocates nothing:
    // `from_raw_os_error` stores a number, and what it captured are plain integers.
    unsafe {
        command.pre_exec(in_child);
    }
}

#[cfg(not(target_os = "linux"))]
fn tie(_command: &mut Command, _leash: Supervised) {}
