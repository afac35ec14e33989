//! The binary.

use std::process::ExitCode;

/// Stack of the thread that a static program begins on, in bytes: what the first thread of a program has on Linux.
const STACK_BYTES: usize = 8 << 20;

fn main() -> ExitCode {
    // With musl the first thread's stack has no end that can be asked for, and policies are evaluated only where enough of
    // it is known to be left.
    if cfg!(target_env = "musl") { on_a_thread() } else { aecl::cli::main() }
}

fn on_a_thread() -> ExitCode {
    let begun =
        std::thread::Builder::new().name("aecl".into()).stack_size(STACK_BYTES).spawn(aecl::cli::main);
    match begun.map(std::thread::JoinHandle::join) {
        Ok(Ok(code)) => code,
        Ok(Err(panic)) => std::panic::resume_unwind(panic),
        Err(error) => {
            eprintln!("error: no thread can be started: {error}");
            ExitCode::FAILURE
        }
    }
}
