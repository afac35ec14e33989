//! The terminal of the person, while a command runs on one of its own: every key goes through as it is, and the size
//! follows. It is left as it was found.

use aecl_sandbox::{Terminal, TerminalSize};
use rustix::termios::{OptionalActions, Termios, isatty, tcgetattr, tcgetwinsize, tcsetattr};
use std::io::stdin;
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinHandle;

/// The kind of terminal that is told to a command if ours has no name that can be passed on.
const KIND: &str = "xterm";

/// How large ours is, if we have one.
pub(super) fn size() -> TerminalSize {
    let ours = tcgetwinsize(stdin()).ok().filter(|size| size.ws_row > 0 && size.ws_col > 0);
    ours.map_or_else(TerminalSize::default, |size| TerminalSize { rows: size.ws_row, columns: size.ws_col })
}

/// What ours is called. A name, and no path to a description that somebody wrote.
pub(super) fn kind() -> String {
    let is_name = |name: &String| {
        (1..=64).contains(&name.len())
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-+_.".contains(&byte))
    };
    std::env::var("TERM").ok().filter(is_name).unwrap_or_else(|| KIND.to_owned())
}

/// Our terminal handed through. Dropping this gives it back as it was.
pub(super) struct HandedThrough {
    before: Option<Termios>,
    follows: Vec<JoinHandle<()>>,
}

impl HandedThrough {
    /// Hands it through to the command's terminal, and lets that follow its size.
    pub(super) fn to(theirs: Terminal) -> Self {
        let before = if isatty(stdin()) { tcgetattr(stdin()).ok() } else { None };
        if let Some(before) = &before {
            let mut raw = before.clone();
            raw.make_raw();
            let _ = tcsetattr(stdin(), OptionalActions::Now, &raw);
        }
        let mut follows = Vec::new();
        if let Ok(mut changes) = signal(SignalKind::window_change()) {
            follows.push(tokio::spawn(async move {
                while changes.recv().await.is_some() {
                    let _ = theirs.resize(size());
                }
            }));
        }
        // Who ends us from outside finds the terminal as it was.
        for (kind, number) in [(SignalKind::terminate(), 15u8), (SignalKind::hangup(), 1)] {
            if let (Ok(mut ends), Some(before)) = (signal(kind), before.clone()) {
                follows.push(tokio::spawn(async move {
                    if ends.recv().await.is_some() {
                        let _ = tcsetattr(stdin(), OptionalActions::Now, &before);
                        std::process::exit(i32::from(128 + number));
                    }
                }));
            }
        }
        Self { before, follows }
    }
}

impl Drop for HandedThrough {
    fn drop(&mut self) {
        self.follows.iter().for_each(JoinHandle::abort);
        if let Some(before) = &self.before {
            let _ = tcsetattr(stdin(), OptionalActions::Now, before);
        }
    }
}
