//! `aecl-wasm` runs one module or component of WebAssembly, and ends. AECL starts it inside of a cage, so that
//! a mistake of the compiler still meets the cage's locks.
//!
//! It reads its order from its standard input: one line of JSON, then the bytes of the module, then the input of
//! the module. The module has its standard streams, its arguments, its variables, the directories of the order,
//! clocks and random numbers, and nothing else: no other file, no network, no process.
//!
//! How a module ended by itself is our own exit code, from 0 to 125. The codes of [`End`] say everything else;
//! no module can end with one of them. A line on standard error says why.

mod end;
mod limits;
mod order;
mod run;

use std::io::{BufRead, Read, Write};
use std::process::ExitCode;

use end::End;
use order::Order;

const HELP: &str = "\
aecl-wasm: runs a module or component of WebAssembly. AECL starts it inside of a cage, for actions with
`wasm` in their connector (docs/reference/connectors.md). It is of no use by itself.

  aecl-wasm --version    what it is, and which runtime is in it
";

/// Beside the module's own stack there are the host's functions and the compiler.
const OWN_STACK_BYTES: usize = 16 << 20;

fn main() -> ExitCode {
    match std::env::args().nth(1).as_deref() {
        None => {}
        Some("--version") => {
            println!("aecl-wasm {}, wasmtime {}", env!("CARGO_PKG_VERSION"), run::WASMTIME);
            return ExitCode::SUCCESS;
        }
        Some(_) => {
            print!("{HELP}");
            return ExitCode::from(2);
        }
    }
    // A worker that breaks must not look like a module that ended by itself.
    std::panic::set_hook(Box::new(|about| {
        drop(writeln!(std::io::stderr(), "aecl-wasm: it broke: {about}"));
        std::process::abort();
    }));
    // The lock is given back here; the module reads the rest.
    let read = read(&mut std::io::stdin().lock());
    let end = match read {
        Ok((order, module)) => on_a_stack(order, module),
        Err(why) => End::Order(why),
    };
    // What the module wrote is flushed by whoever took it; a reader that left has had enough.
    drop(std::io::stdout().flush());
    if let Some(why) = end.why() {
        drop(writeln!(std::io::stderr(), "aecl-wasm: {why}"));
    }
    ExitCode::from(end.code())
}

/// The order and the module. What follows them stays for the module.
fn read(input: &mut impl BufRead) -> Result<(Order, Vec<u8>), String> {
    let mut line = Vec::new();
    let failed = |error: std::io::Error| format!("the order cannot be read: {error}");
    input.take(order::LINE_MAX_BYTES).read_until(b'\n', &mut line).map_err(failed)?;
    let order = Order::parse(&line)?;
    let mut module = Vec::new();
    input.take(order.module_bytes).read_to_end(&mut module).map_err(failed)?;
    if module.len() as u64 != order.module_bytes {
        return Err(format!(
            "the module has {} bytes, and {} were announced",
            module.len(),
            order.module_bytes
        ));
    }
    Ok((order, module))
}

/// Runs the module on a stack that is as large as the order says.
fn on_a_stack(order: Order, module: Vec<u8>) -> End {
    let size = usize::try_from(order.stack_max_bytes).unwrap_or(usize::MAX).saturating_add(OWN_STACK_BYTES);
    let thread = std::thread::Builder::new().stack_size(size).spawn(move || run::run(&order, &module));
    match thread {
        Ok(thread) => thread.join().unwrap_or_else(|_| std::process::abort()),
        Err(error) => End::Order(format!("no stack of {size} bytes: {error}")),
    }
}
