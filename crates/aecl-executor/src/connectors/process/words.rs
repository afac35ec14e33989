//! An argument is a value. Where a shell or an interpreter would run it, it is refused when the entry is read, unless it
//! is declared as a command, so that it is read and judged as one.

use super::ProcessSpec;
use aecl_kernel::define::catalogue::ActionManifest;
use aecl_kernel::define::catalogue::flow::Class;
use aecl_kernel::read::code_arguments::shell::{Interpretation, code_in};

/// Whether an argument is put in there.
pub(super) fn has_placeholder(template: &str) -> bool {
    // `{secret:…}` is no argument, and stays as it is.
    template.split('{').skip(1).any(|name| !name.starts_with("secret:"))
}

/// Checks that no argument of this action becomes code, unless it is read and judged as a command.
///
/// # Errors
/// When one would; which, in words, and the way out.
pub fn check(spec: &ProcessSpec, manifest: &ActionManifest) -> Result<(), String> {
    // A module has the words as its arguments, and its own name is the first of them.
    if spec.wasm.is_some() {
        return Ok(());
    }
    let code = code_in(&spec.argv, has_placeholder);
    for (place, (program, runs)) in &code.words {
        let word = spec.argv.get(*place).map_or("", String::as_str);
        let judged = |scalar_only: bool| {
            only_placeholder(word, scalar_only).is_some_and(|name| is_command(manifest, name))
        };
        match runs {
            Interpretation::Line if judged(true) => {}
            Interpretation::Program if judged(false) => {}
            Interpretation::Line => return Err(line(word, program)),
            Interpretation::Program => return Err(chosen(word)),
            Interpretation::Other => return Err(other("argv", word, program)),
        }
    }
    match (&code.input, &spec.stdin) {
        (Some(program), Some(input)) if has_placeholder(input) => Err(other("stdin", input, program)),
        (Some(_) | None, Some(_) | None) => Ok(()),
    }
}

fn line(word: &str, program: &str) -> String {
    format!(
        "`argv`: `{program}` runs the word `{word}` as code, and an argument in it could be any; hand it over behind the \
         code, as in `[sh, -c, 'echo \"$1\"', sh, \"{{name}}\"]`, or let it be the whole word and declare it, `args: \
         {{ name: {{ class: command }} }}`, so that it is judged as the command line that it is"
    )
}

fn chosen(word: &str) -> String {
    format!(
        "`argv`: the argument `{word}` says which program runs; name the program, or let the argument be the whole word \
         and declare it, `args: {{ name: {{ class: command }} }}`, so that it is judged as the command that it is"
    )
}

fn other(key: &str, word: &str, program: &str) -> String {
    format!(
        "`{key}`: `{program}` may run `{word}` as code, and an argument in it could be any; write the code into the \
         entry or into a file of a view and hand the argument over behind it, as in `[sh, -c, '{program} … \"$1\"', sh, \
         \"{{name}}\"]`. Code that the agent writes is given to a shell, `[sh, -c, \"{{line}}\"]` with `args: {{ line: {{ \
         class: command }} }}`, and judged there"
    )
}

/// An argument of its own name: one inside another can be written in two ways.
fn is_command(manifest: &ActionManifest, name: &str) -> bool {
    let declared = manifest.args.get(name).or_else(|| manifest.args.get(&format!("/{name}")));
    !name.contains(['.', '/', '~']) && declared.is_some_and(|argument| argument.class == Class::Command)
}

fn only_placeholder(word: &str, scalar_only: bool) -> Option<&str> {
    let name = word.strip_prefix('{')?.strip_suffix('}')?;
    let name = match name.strip_suffix("...") {
        Some(_) if scalar_only => return None,
        Some(items) => items,
        None => name,
    };
    (!name.contains(['{', '}'])).then_some(name)
}
