//! A program on a terminal of its own: what it can do with it, and what it cannot do with ours.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

mod common;

use std::ops::ControlFlow;
use std::time::Duration;

use aecl_sandbox::{Backend, Cage, Runtime, SandboxError, TerminalSize, Termination, start_on_terminal};
use common::{as_an_ordinary_user, cage, clocks, shell};
use tokio::io::AsyncWriteExt;

const SIZE: TerminalSize = TerminalSize { rows: 33, columns: 101 };

/// Runs it and does something each time that it says `ready`.
async fn on_terminal(
    script: &str,
    mut when_ready: impl FnMut(&aecl_sandbox::Terminal),
) -> (Termination, String) {
    let (mut running, terminal) = start_on_terminal(shell(script), cage(), SIZE).await.unwrap();
    let _open = running.stdin.take();
    let mut said = String::new();
    let mut told = 0;
    let ended = running
        .watch(|_, bytes| {
            said.push_str(&String::from_utf8_lossy(bytes));
            while said.matches("ready").count() > told {
                told += 1;
                when_ready(&terminal);
            }
            ControlFlow::Continue(())
        })
        .await;
    (ended.outcome, said)
}

#[tokio::test]
async fn a_terminal_has_a_size_that_follows_and_all_three_streams() {
    let (outcome, said) =
        on_terminal("test -t 0 && test -t 1 && test -t 2 && stty size; echo err >&2; exit 3", |_| ()).await;
    assert_eq!((outcome, said.as_str()), (Termination::Exited(3), "33 101\r\nerr\r\n"));
    let script = "trap 'stty size; exit 0' WINCH; echo ready; while :; do sleep 0.02; done";
    let larger = TerminalSize { rows: 50, columns: 132 };
    let (outcome, said) = on_terminal(script, |terminal| terminal.resize(larger).unwrap()).await;
    assert_eq!((outcome, said.as_str()), (Termination::Exited(0), "ready\r\n50 132\r\n"));
}

#[tokio::test]
async fn what_is_typed_arrives_as_from_a_keyboard() {
    let typed = |script: &str, keys: &'static [u8]| {
        let script = script.to_owned();
        async move {
            let (mut running, _terminal) = start_on_terminal(shell(&script), cage(), SIZE).await.unwrap();
            let mut keyboard = running.stdin.take().unwrap();
            keyboard.write_all(keys).await.unwrap();
            let ended = running.wait().await;
            (ended.outcome, String::from_utf8_lossy(&ended.stdout.bytes).into_owned())
        }
    };
    let (outcome, said) = typed("stty -echo; read line; echo got $line", b"word\r").await;
    assert!(outcome == Termination::Exited(0) && said.ends_with("got word\r\n"), "{outcome} {said}");
    // The key that interrupts is the program's to feel: the terminal is that of its session.
    let (outcome, said) = typed("echo begun; exec sleep 60", b"\x03").await;
    assert_eq!(outcome, Termination::Signalled(2), "{said}");
    // The end of what is typed is the end of its input.
    let (running, _terminal) = start_on_terminal(shell("cat; echo over"), cage(), SIZE).await.unwrap();
    let ended = running.wait().await;
    assert_eq!(ended.outcome, Termination::Exited(0));
    assert!(ended.stdout.bytes.ends_with(b"over\r\n"));
}

/// No name leads to a terminal, none can be had beside it, and nothing can be pushed into it.
#[tokio::test]
async fn nothing_but_its_own_terminal_is_there() {
    let script = "for path in /dev/tty /dev/ptmx /dev/pts /dev/console /dev/tty0; do \
                  test -e $path && echo there: $path; done; \
                  perl -e 'my $c = \"x\"; ioctl(STDIN, 0x5412, $c) and print \"pushed\"; print 0 + $!, \"\\n\"'; \
                  perl -e 'open(my $m, \"+<\", \"/dev/ptmx\") and print \"made\\n\"'; \
                  echo end";
    let (outcome, said) = on_terminal(script, |_| ()).await;
    let refused = rustix::io::Errno::PERM.raw_os_error();
    assert_eq!((outcome, said), (Termination::Exited(0), format!("{refused}\r\nend\r\n")));
}

#[tokio::test]
async fn limits_hold_on_a_terminal_and_other_backends_say_that_they_have_none() {
    let short = Cage { clocks: clocks(Duration::from_millis(300)), ..cage() };
    let (running, _terminal) = start_on_terminal(shell("sleep 60"), short, SIZE).await.unwrap();
    assert!(matches!(running.wait().await.outcome, Termination::TimedOut(_)));
    let (outcome, _) = on_terminal("yes", |_| ()).await;
    assert_eq!(outcome, Termination::OutputCap);
    let other = Cage { backend: Backend::Runc(Runtime::named("runc")), ..cage() };
    let error = start_on_terminal(shell("true"), other, SIZE).await.unwrap_err();
    assert!(
        matches!(&error, SandboxError::BadCage(why) if why.contains("`runc` gives no terminal")),
        "{error}"
    );
}

#[test]
fn the_same_holds_for_an_ordinary_user() {
    as_an_ordinary_user("the_same_holds_for_an_ordinary_user");
}
