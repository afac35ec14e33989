//! `aecl __complete`: what a shell offers for the word at the cursor. It starts nothing, waits for nobody, changes
//! nothing and says nothing but names; where there is nothing to offer, it is silent.

mod names;

use super::{Common, Exit, Result, command, show};
use clap::{Arg, Command};
use std::collections::BTreeMap;
use std::path::Path;

/// Most names that are offered at once.
const OFFERED_MAX: usize = 200;

/// Arguments.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The words of the command line after the program, up to the cursor.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    words: Vec<String>,
}

/// A name, and what it is.
type Offer = (String, String);

/// Runs it. The exit code says whether names of files are as good: 0 no, 1 yes.
pub fn run(common: &Common, args: Args) -> Result {
    let (offers, files) = offers(common, &split(args.words));
    for (name, what) in offers.into_iter().take(OFFERED_MAX) {
        println!("{name}\t{}", show::inert_line(&what).replace('\t', " "));
    }
    Ok(if files { Exit::Failed } else { Exit::Done })
}

/// The script that makes a shell ask; nothing for shells that get a fixed list.
pub fn script(shell: clap_complete::Shell) -> Option<&'static str> {
    match shell {
        clap_complete::Shell::Bash => Some(include_str!("complete/aecl.bash")),
        clap_complete::Shell::Zsh => Some(include_str!("complete/aecl.zsh")),
        clap_complete::Shell::Fish => Some(include_str!("complete/aecl.fish")),
        _ => None,
    }
}

/// Bash takes `--agent=payer` apart; the words are as if it had not been written with `=`.
fn split(words: Vec<String>) -> Vec<String> {
    let mut out: Vec<String> = Vec::new();
    let last = words.len().saturating_sub(1);
    for (at, word) in words.into_iter().enumerate() {
        let after_option = out.last().is_some_and(|before| before.starts_with("--"));
        match word.split_once('=') {
            Some(("", rest)) if after_option => {
                // The value is the next word, or begins at the cursor.
                if at == last || !rest.is_empty() {
                    out.push(rest.to_owned());
                }
            }
            _ => out.push(word),
        }
    }
    out
}

/// Where the cursor stands: behind which command, in which argument.
struct Place {
    /// The commands, such as `approvals approve`.
    path: String,
    command: Command,
    /// How many words were arguments of it.
    arguments: usize,
    /// The option whose value comes next.
    option: Option<Arg>,
    /// Options that were given, with their values.
    given: BTreeMap<String, String>,
    /// Behind `--`, everything belongs to somebody else.
    foreign: bool,
}

impl Place {
    fn of(words: &[String]) -> Self {
        let mut root = command();
        root.build();
        let (path, given) = (String::new(), BTreeMap::new());
        let mut place = Self { path, command: root, arguments: 0, option: None, given, foreign: false };
        for word in words {
            place.step(word);
        }
        place
    }

    fn step(&mut self, word: &str) {
        if let Some(option) = self.option.take() {
            self.given.insert(option.get_id().to_string(), word.to_owned());
        } else if word == "--" {
            self.foreign = true;
        } else if let Some(name) = word.strip_prefix("--") {
            let (name, value) =
                name.split_once('=').map_or((name, None), |(name, value)| (name, Some(value)));
            let Some(option) = self.long(name).filter(takes_value) else { return };
            match value {
                Some(value) => {
                    self.given.insert(option.get_id().to_string(), value.to_owned());
                }
                None => self.option = Some(option),
            }
        } else if let Some(name) = word.strip_prefix('-').filter(|name| !name.is_empty()) {
            let mut letters = name.chars();
            let option = letters.next().and_then(|letter| self.short(letter));
            self.option = option.filter(|option| takes_value(option) && letters.as_str().is_empty());
        } else {
            let deeper = self.command.find_subcommand(word).filter(|_| self.arguments == 0).cloned();
            match deeper {
                Some(deeper) => {
                    self.path = format!("{} {}", self.path, deeper.get_name()).trim().to_owned();
                    self.command = deeper;
                }
                None => self.arguments += 1,
            }
        }
    }

    fn long(&self, name: &str) -> Option<Arg> {
        self.command.get_arguments().find(|arg| arg.get_long() == Some(name)).cloned()
    }

    fn short(&self, letter: char) -> Option<Arg> {
        self.command.get_arguments().find(|arg| arg.get_short() == Some(letter)).cloned()
    }

    /// The argument that a word without dashes would be.
    fn positional(&self) -> Option<&Arg> {
        let all = || self.command.get_positionals();
        let many = |arg: &&Arg| arg.get_num_args().is_some_and(|n| n.max_values() > 1);
        all().nth(self.arguments).or_else(|| all().last().filter(many))
    }
}

fn takes_value(arg: &Arg) -> bool {
    arg.get_num_args().is_some_and(|n| n.takes_values())
}

/// What fits the last word, and whether a file would.
fn offers(common: &Common, words: &[String]) -> (Vec<Offer>, bool) {
    let (current, before) = words.split_last().map_or(("", words), |(last, rest)| (last.as_str(), rest));
    let place = Place::of(before);
    if place.foreign {
        return (Vec::new(), true);
    }
    let common = &meant(common, &place);
    if let Some(option) = &place.option {
        return values(common, &place, option, current, "");
    }
    if let Some((name, value)) = current.strip_prefix("--").and_then(|word| word.split_once('=')) {
        let option = place.long(name).filter(takes_value);
        let whole = format!("--{name}=");
        return option.map_or((Vec::new(), false), |option| values(common, &place, &option, value, &whole));
    }
    if current.starts_with('-') {
        let shown = place.command.get_arguments().filter(|arg| !arg.is_hide_set());
        let longs =
            shown.filter_map(|arg| Some((format!("--{}", arg.get_long()?), first_line(arg.get_help()))));
        return (fitting(longs.collect(), current), false);
    }
    let commands = place.command.get_subcommands().filter(|sub| !sub.is_hide_set() && place.arguments == 0);
    let about = |sub: &Command| (sub.get_name().to_owned(), first_line(sub.get_about()));
    let mut found = fitting(commands.map(about).collect(), current);
    let mut files = false;
    if let Some(arg) = place.positional() {
        let (more, as_good) = values(common, &place, arg, current, "");
        found.extend(more);
        files = as_good;
    }
    (found, files)
}

/// The home and the key that the line names.
fn meant(common: &Common, place: &Place) -> Common {
    let mut common = common.clone();
    if let Some(dir) = place.given.get("named") {
        common = Common { key: common.key, ..Common::on(Path::new(dir)) };
    }
    if let Some(key) = place.given.get("key") {
        common.key = Some(key.clone());
    }
    common
}

/// What fits as the value of an argument, each with what stands before it in the same word.
fn values(common: &Common, place: &Place, arg: &Arg, begun: &str, before: &str) -> (Vec<Offer>, bool) {
    let fixed: Vec<Offer> = arg
        .get_possible_values()
        .iter()
        .filter(|value| !value.is_hide_set())
        .map(|value| (value.get_name().to_owned(), first_line(value.get_help())))
        .collect();
    let (found, files) = if fixed.is_empty() {
        match names::of(common, &place.path, arg) {
            Some(found) => (found, false),
            // A path, a text or a number: the shell knows files.
            None => (Vec::new(), true),
        }
    } else {
        (fixed, false)
    };
    let whole = |(name, what): Offer| (format!("{before}{name}"), what);
    (fitting(found, begun).into_iter().map(whole).collect(), files)
}

fn fitting(mut found: Vec<Offer>, begun: &str) -> Vec<Offer> {
    found.retain(|(name, _)| name.starts_with(begun) && name.bytes().all(is_plain));
    found
}

/// What no shell takes for anything but itself.
fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"_.:@/+,-".contains(&byte)
}

fn first_line(text: Option<&clap::builder::StyledStr>) -> String {
    text.map(ToString::to_string).unwrap_or_default().lines().next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<String> {
        line.split(' ').map(str::to_owned).collect()
    }

    fn offered(line: &str) -> (Vec<String>, bool) {
        let nowhere = Common::on(Path::new("/nowhere"));
        let (found, files) = offers(&nowhere, &split(words(line)));
        (found.into_iter().map(|(name, _)| name).collect(), files)
    }

    #[test]
    fn commands_options_and_fixed_values_are_offered_where_they_stand() {
        for (line, wanted) in [
            ("approv", vec!["approvals"]),
            ("approvals re", vec!["reject"]),
            ("--json approvals re", vec!["reject"]),
            ("--dir /x approvals re", vec!["reject"]),
            ("keys add per", vec!["person"]),
            ("keys add orchestrator --ten", vec!["--tenant"]),
            ("completions z", vec!["zsh"]),
            ("serve --log j", vec!["json"]),
            ("serve --log=j", vec!["--log=json"]),
            ("serve --log = j", vec!["json"]),
            ("serve --log =", vec!["text", "json"]),
            ("help approval_cl", vec!["approval_closed"]),
            ("help approvals", vec!["approvals"]),
            ("policy lint --allow wild", vec!["wildcard"]),
            ("run --profile ru", vec!["rust"]),
            ("__", vec![]),
            ("demo-", vec![]),
            ("approvals approve ", vec![]),
        ] {
            assert_eq!(offered(line), (wanted.into_iter().map(str::to_owned).collect(), false), "{line}");
        }
        // What is a path, or belongs to another program, is for the shell.
        for line in ["policy check ", "--dir ", "log verify --head ", "run -- ca", "mcp -- "] {
            assert_eq!(offered(line), (Vec::new(), true), "{line}");
        }
    }

    #[test]
    fn no_name_that_a_shell_would_read_is_offered() {
        let odd = ["$(x)", "a b", "a;b", "`x`", "a*", "a\u{1b}", "ü", "run_1"];
        let found = odd.map(|name| (name.to_owned(), String::new()));
        assert_eq!(fitting(found.into(), ""), [("run_1".to_owned(), String::new())]);
    }
}
