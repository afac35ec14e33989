//! The reference page of the command line is made from the command line. `UPDATE_EXPECT=1` writes it anew.

use clap::Command;
use std::fmt::Write as _;

fn page() -> String {
    let mut out = String::from(
        "# Commands\n\nMade from the program itself; do not edit. `aecl COMMAND --help` says the same.\n\n\
         Data goes to standard output, talk to standard error. `--json` gives JSON from every command: a value, or one\n\
         line per item from those that follow. Colour is used on terminals only, and never with `NO_COLOR`.\n\n\
         | exit code | meaning |\n|---|---|\n| 0 | done |\n| 1 | failed |\n| 2 | wrong usage |\n\
         | 3 | refused by policy or a person |\n| 4 | waiting for a person |\n| 5 | the record does not verify |\n| 6 | not known |\n\n\
         `aecl run` ends as its command does; what is wrong with AECL itself has codes of its own there.\n",
    );
    let mut root = aecl::cli::command().term_width(100);
    root.build();
    section(&mut out, &root, &[]);
    out
}

fn section(out: &mut String, command: &Command, path: &[&str]) {
    let mut path = path.to_vec();
    path.push(command.get_name());
    // Global options stand once, at the top; values of this machine's environment nowhere.
    let top = path.len() == 1;
    let shown = command.clone().mut_args(|arg| {
        let global = arg.is_global_set() || arg.get_id() == "help";
        arg.hide_env_values(true).hide(!top && global)
    });
    let help = shown.term_width(100).disable_help_flag(!top).render_long_help().to_string();
    let lines: Vec<&str> = help.lines().map(str::trim_end).collect();
    writeln!(
        out,
        "\n{} `{}`\n\n```text\n{}\n```",
        "#".repeat(path.len().min(3) + 1),
        path.join(" "),
        lines.join("\n").trim_end()
    )
    .unwrap();
    for sub in command.get_subcommands().filter(|s| s.get_name() != "help" && !s.is_hide_set()) {
        section(out, sub, &path);
    }
}

#[test]
fn the_page_of_commands_is_up_to_date() {
    expect_test::expect_file!["../../../../docs/reference/cli.md"].assert_eq(&page());
}

#[test]
fn completions_are_there_for_every_shell() {
    let place = tempfile::tempdir().unwrap();
    let aecl = crate::program::Aecl::on(&place.path().join("home"));
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let ran = aecl.run(&["completions", shell]).ended(0);
        assert!(ran.out.contains("approvals") || ran.out.contains("__complete"), "{shell}");
    }
}

#[test]
fn every_command_has_help_with_examples() {
    let missing: Vec<String> = aecl::cli::command()
        .get_subcommands()
        .filter(|c| {
            !c.is_hide_set() && !["help", "completions", "serve", "demo", "catalog"].contains(&c.get_name())
        })
        .filter(|c| !c.get_after_help().is_some_and(|h| h.to_string().starts_with("Examples:\n")))
        .map(|c| c.get_name().to_owned())
        .collect();
    assert_eq!(missing, Vec::<String>::new());
}
