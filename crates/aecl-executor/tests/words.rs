//! An argument of a program is a value. Where something would run it as code, the entry is refused, unless the argument is
//! declared as a command and is all of what runs.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

use aecl_executor::Executor;
use aecl_executor::connectors::process::ProcessConnector;
use aecl_executor::{CallResult, Connector as _};
use aecl_kernel::define::catalogue::TypedAction;
use aecl_kernel::define::connector::ConnectorSpec;
use serde_json::{Value, json};

fn checked(connector: Value) -> Result<ConnectorSpec, String> {
    let mut connector = connector;
    connector["kind"] = json!("process");
    let properties: Value = ["x", "y", "line"]
        .map(|name| (name.to_owned(), json!({})))
        .into_iter()
        .collect::<serde_json::Map<_, _>>()
        .into();
    let manifest = serde_json::from_value(json!({
        "name": "grep.it", "effect": "read", "connector": connector,
        "arguments": { "type": "object", "properties": properties },
        "args": { "line": { "class": "command" }, "y": { "class": "selector" } },
    }))
    .unwrap();
    Executor::check_action(&TypedAction::compile(manifest).unwrap()).cloned()
}

fn of(words: &str) -> Result<ConnectorSpec, String> {
    checked(json!({ "argv": words.split(' ').collect::<Vec<_>>() }))
}

#[test]
fn no_argument_is_put_into_code() {
    for words in [
        "sh -c echo_{x}",
        "sh -c {x}",
        "sh -c {y}",
        "sh -c echo_{line}",
        "sh -c {line...}",
        "sh -c {o.line}",
        "sh -c {@idempotency_key}",
        "/bin/bash -lc {x}",
        "bash -ec {x}",
        "bash -ce {x}",
        "bash -c -e {x}",
        "bash -o pipefail -c {x}",
        "bash --rcfile {x} -i",
        "bash {x}",
        "dash -c {x}",
        "zsh -c {x}",
        "ksh -c {x}",
        "fish --command={x}",
        "fish -c {x}",
        "busybox sh -c {x}",
        "busybox awk {x}",
        "env sh -c {x}",
        "env A=b sh -c {x}",
        "env -S {x}",
        "env -u A B=c /bin/sh -c {x}",
        "env {x}",
        "nice -n 5 sh -c {x}",
        "nice {x} y",
        "timeout -s KILL 5 sh -c {x}",
        "timeout --foreground 5 setsid sh -c {x}",
        "setsid -w sh -c {x}",
        "xargs -I % sh -c {x}",
        "sudo --user bob sh -c {x}",
        "sudo -u bob sh -c {x}",
        "su -c {x}",
        "su bob -c {x}",
        "python -c {x}",
        "python3.11 -c print({x})",
        "python3 -Bc {x}",
        "python3 -c{x}",
        "python3 -m {x}",
        "python3 {x}",
        "perl -e {x}",
        "perl -ne {x}",
        "perl -E {x}",
        "perl5.36 -n -e print -e {x}",
        "perl -M{x} -e 1",
        "ruby -e {x}",
        "node -e {x}",
        "node --eval {x}",
        "node --eval={x}",
        "node -p {x}",
        "node -pe {x}",
        "node -r {x} a.js",
        "php -r {x}",
        "lua -e {x}",
        "lua5.4 -e {x}",
        "awk {x}",
        "gawk -F , {x}",
        "awk /{x}/",
        "sed s/a/{x}/",
        "sed -n {x}p",
        "sed -e {x}",
        "sed --expression={x}",
        "eval {x}",
        "make FILTER={x}",
        "make {x}",
        "ssh host {x}",
        "git {x}",
        "git -c {x} log",
        "git -c a=b -c {x} log",
        "git rebase -x {x}",
        "docker run image {x}",
        "kubectl exec pod -- {x}",
        "npm run {x}",
        "npx {x}",
        "find . -name a -exec {x} ;",
        "find . -exec sh -c {x} ;",
        "sort --compress-program={x}",
        "{x}",
        "{x} -c {line}",
        "/usr/bin/{line}",
    ] {
        // Not even what is judged as a command line, where no shell reads it.
        for words in [words.to_owned(), words.replace("{x}", "a{line}")] {
            let said = of(&words).err().unwrap_or_else(|| panic!("{words}: loads"));
            assert!(said.starts_with("`connector`: `argv`: "), "{words}: {said}");
        }
    }
    for words in
        ["python -c {line}", "perl -e {line}", "sed {line}", "awk {line}", "sh {line}", "ssh host {line}"]
    {
        assert!(of(words).is_err(), "{words}: its language is not the one that is read");
    }
    let said = of("sh -c grep_{x}").unwrap_err();
    assert!(
        said.contains("`grep_{x}`") && said.contains("class: command") && said.contains("\"$1\""),
        "{said}"
    );
}

#[test]
fn an_argument_that_is_a_value_or_is_judged_as_a_command_is_taken() {
    for words in [
        "sh -c {line}",
        "bash -lc {line}",
        "env LANG=C timeout 5 bash -ec {line}",
        "{line}",
        "{line...}",
        "nice {line...}",
        "sh -c printf sh {x}",
        "sh -c printf sh -c{x} {y...}",
        "sh -c {line} sh {x}",
        "sh run.sh {x}",
        "python3 -c print(1) {x}",
        "python3 -m pytest -k {x}",
        "python3 tool.py --name={x}",
        "perl -e print {x}",
        "perl -ne print {x}",
        "node tool.js {x}",
        "awk -v p={x} print {y}",
        "sed -n 1p {x}",
        "sed -e 1p -n {x}",
        "env A={x} printenv A",
        "timeout 5 grep -e {x} make",
        "git log --format=%s -- {x}",
        "git commit -m {x}",
        "git push -u origin {x}",
        "kubectl get pods -n {x}",
        "grep -rn -- {x}",
        "printf [%s] {x} {y...} x{x}",
        "find . -name {x}",
        "sort -k {x}",
    ] {
        of(words).unwrap_or_else(|said| panic!("{words}: {said}"));
    }
}

#[test]
fn no_argument_is_put_into_the_input_of_what_runs_it() {
    let with = |words: &str| checked(json!({ "argv": words.split(' ').collect::<Vec<_>>(), "stdin": "{x}" }));
    for words in [
        "sh",
        "bash -s",
        "sh -",
        "sh /dev/stdin",
        "python3",
        "python3 -",
        "env bash",
        "xargs grep a",
        "ssh host",
        "sed -f -",
    ] {
        let said = with(words).err().unwrap_or_else(|| panic!("{words}: loads"));
        assert!(said.contains("`stdin`: "), "{words}: {said}");
    }
    for words in ["cat", "wc -c", "sh -c cat", "python3 tool.py", "perl -ne print", "sed s/a/b/", "awk 1"] {
        with(words).unwrap_or_else(|said| panic!("{words}: {said}"));
    }
}

#[test]
fn a_variable_that_would_hold_a_placeholder_is_refused() {
    let said = checked(json!({ "argv": ["printenv", "X"], "env": { "X": "{x}" } })).unwrap_err();
    assert!(said.contains("`env` sets `X` to a text") && said.contains("\"X={argument}\""), "{said}");
    checked(json!({ "argv": ["printenv", "X"], "env": { "X": "y" } })).unwrap();
}

#[tokio::test]
async fn a_refusal_names_the_action_once() {
    let mut call = aecl_executor::fake::call("grep.it", r#"{"x":"-v"}"#);
    call.connector = checked(json!({ "argv": ["grep", "{x}"] })).unwrap();
    let CallResult::Failed { message, .. } = ProcessConnector::default().perform(&call).await else {
        panic!()
    };
    assert_eq!(message.matches("`grep.it`").count(), 1, "{message}");
}
