//! A program is put into its cage, by whatever holds it.

use crate::backend;
use crate::cage::Cage;
use crate::ended::Ended;
use crate::error::SandboxError;
use crate::hidden;
use crate::launcher::running::Running;
use crate::launcher::terminal::{Terminal, TerminalSize};
use crate::program::Program;

/// Runs a program in a cage until nothing of it is left. It gets no input.
///
/// # Errors
/// When the cage cannot be had as described. The program has then not run. How the program itself ended is
/// never an error: see [`Ended::outcome`].
pub async fn run(program: Program, cage: Cage) -> Result<Ended, SandboxError> {
    Ok(start(program, cage).await?.wait().await)
}

/// Starts a program in a cage. When this returns, it runs.
///
/// # Errors
/// As [`run`].
pub async fn start(program: Program, cage: Cage) -> Result<Running, SandboxError> {
    let program = ready(program, &cage)?;
    backend::of(&cage.backend).start(&program, &cage).await
}

/// The same on a terminal of the program's own, of this size. Only our own launcher does that.
///
/// # Errors
/// As [`start`], and for each other backend.
pub async fn start_on_terminal(
    program: Program,
    cage: Cage,
    size: TerminalSize,
) -> Result<(Running, Terminal), SandboxError> {
    let program = ready(program, &cage)?;
    backend::of(&cage.backend).start_on_terminal(&program, &cage, size).await
}

/// The program with what its image says of it, in a cage that shows nothing of ours.
fn ready(program: Program, cage: &Cage) -> Result<Program, SandboxError> {
    hidden::refuse(&cage.views)?;
    Ok(match &cage.image {
        Some(image) => image.complete(program),
        None => program,
    })
}
