//! Command lines: whatever stands there is read, and what is called simple means the same in its plainest writing.

#![no_main]

use aecl_kernel::read::code_arguments::shell::{self, COMMANDS_MAX, Command, Interpretation};
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

fuzz_target!(|bytes: &[u8]| {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let line = shell::read(&Value::from(text));
    assert!(line.commands.len() <= COMMANDS_MAX, "more commands than are listed");
    assert!(line.words().len() <= 9, "more words than are shown");
    for command in &line.commands {
        let words = words(command);
        let code = shell::code_in(&words, |_| true);
        assert!(code.words.keys().all(|at| *at < words.len()), "code in a word that is not there");
        // Its own word decides what runs.
        let own = code.words.get(&0).is_some_and(|(_, runs)| *runs != Interpretation::Line);
        assert!(own, "a program's own word is not what is run: {words:?}");
    }
    if line.simple() {
        let plain: Vec<String> = line.commands.iter().map(quoted).collect();
        let again = shell::read(&Value::from(plain.join(";")));
        assert_eq!(again, line, "simple, and in quotes it is something else: {text}");
        // A list of words has no control characters but the end of a line.
        let lists =
            |command: &&Command| !words(command).concat().contains(|c: char| c.is_control() && c != '\n');
        for command in line.commands.iter().filter(lists) {
            let listed = shell::read(&Value::from(words(command)));
            assert!(listed.simple(), "simple as a line, and not as a list: {listed:?}");
        }
    }
});

fn words(command: &Command) -> Vec<String> {
    std::iter::once(&command.program).chain(&command.arguments).cloned().collect()
}

fn quoted(command: &Command) -> String {
    let quoted = words(command).into_iter().map(|word| format!("'{}'", word.replace('\'', r"'\''")));
    quoted.collect::<Vec<_>>().join(" ")
}
