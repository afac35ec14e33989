//! The attacker: tries what a hostile program would try, one attack after the other, each in a process of its
//! own, and prints what came of it. `tests/attacks.rs` runs it outside, where attacks should work, and in a
//! cage, where they must not.
//!
//! `aecl-attacker list` prints the attacks; `aecl-attacker all` carries them out. What they look for comes in
//! `ATTACK_*` variables.
#![allow(
    unsafe_code,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::wildcard_imports,
    reason = "an attacker keeps no rules; it is part of the tests"
)]

mod files;
mod kernel;
mod network;
mod processes;
mod resources;

use std::io::Write;

/// What came of an attack: it worked, the kernel said no, or something worth telling.
pub enum Came {
    /// It worked.
    Works,
    /// The kernel said no.
    Errno(i32),
    /// Something worth telling.
    Says(String),
}

/// The case in the catalogue of attacks, a name, the attack, and the errors which show that the kernel would
/// have done it had the arguments been good.
pub type Attack = (u32, &'static str, fn() -> Came, &'static [i32]);

fn attacks() -> Vec<Attack> {
    let mut all = [files::ALL, processes::ALL, kernel::ALL, network::ALL, resources::ALL].concat();
    all.sort_by_key(|attack| attack.0);
    all
}

fn main() {
    match std::env::args().nth(1).as_deref() {
        Some("list") => {
            for (case, name, _, _) in attacks() {
                println!("{case}\t{name}");
            }
        }
        Some("all") => {
            for (case, name, attack, reached) in attacks() {
                println!("{case}\t{name}\t{}", apart(attack, reached));
            }
        }
        // Executed by attacks: who am I now?
        Some("euid") => std::process::exit(i32::from(unsafe { libc::geteuid() } != 0)),
        _ => {
            eprintln!("aecl-attacker list|all");
            std::process::exit(2);
        }
    }
}

/// Carries an attack out in a process of its own, which may not come back.
fn apart(attack: fn() -> Came, reached: &[i32]) -> String {
    let (mut read, mut write) = std::io::pipe().unwrap();
    let pid = unsafe { libc::fork() };
    if pid == 0 {
        drop(read);
        unsafe { libc::alarm(10) };
        let text = match attack() {
            Came::Works => "works".to_owned(),
            Came::Errno(errno) if reached.contains(&errno) => {
                format!("reaches the kernel ({})", name_of(errno))
            }
            Came::Errno(errno) => name_of(errno),
            Came::Says(text) => text,
        };
        let _ = write.write_all(text.as_bytes());
        unsafe { libc::_exit(0) };
    }
    drop(write);
    let mut text = String::new();
    let _ = std::io::Read::read_to_string(&mut read, &mut text);
    let mut status = 0;
    unsafe { libc::waitpid(pid, &raw mut status, 0) };
    if libc::WIFSIGNALED(status) {
        return match libc::WTERMSIG(status) {
            libc::SIGSYS => "SIGSYS".into(),
            libc::SIGXFSZ => "SIGXFSZ".into(),
            libc::SIGKILL => "SIGKILL".into(),
            libc::SIGSEGV => "SIGSEGV".into(),
            other => format!("signal {other}"),
        };
    }
    text
}

/// The result of a call that is -1 for an error.
pub fn came(result: i64) -> Came {
    if result == -1 { errno() } else { Came::Works }
}

/// The last error.
pub fn errno() -> Came {
    Came::Errno(std::io::Error::last_os_error().raw_os_error().unwrap_or(0))
}

/// The result of a function of the standard library.
pub fn came_io<T>(result: std::io::Result<T>) -> Came {
    match result {
        Ok(_) => Came::Works,
        Err(error) => Came::Errno(error.raw_os_error().unwrap_or(0)),
    }
}

/// A system call by number, with up to five arguments.
pub fn call(number: i64, a: &[i64]) -> Came {
    let at = |index: usize| a.get(index).copied().unwrap_or(0);
    came(unsafe { libc::syscall(number, at(0), at(1), at(2), at(3), at(4)) })
}

/// What the attack looks for.
pub fn wanted(name: &str) -> String {
    std::env::var(name).unwrap_or_default()
}

/// As people write it.
pub fn name_of(errno: i32) -> String {
    let known = [
        (libc::EPERM, "EPERM"),
        (libc::ENOENT, "ENOENT"),
        (libc::ESRCH, "ESRCH"),
        (libc::EBADF, "EBADF"),
        (libc::EAGAIN, "EAGAIN"),
        (libc::ENOMEM, "ENOMEM"),
        (libc::EACCES, "EACCES"),
        (libc::EFAULT, "EFAULT"),
        (libc::EBUSY, "EBUSY"),
        (libc::EINVAL, "EINVAL"),
        (libc::EMFILE, "EMFILE"),
        (libc::ENOTTY, "ENOTTY"),
        (libc::ETXTBSY, "ETXTBSY"),
        (libc::EFBIG, "EFBIG"),
        (libc::ENOSPC, "ENOSPC"),
        (libc::EROFS, "EROFS"),
        (libc::ENOSYS, "ENOSYS"),
        (libc::ELOOP, "ELOOP"),
        (libc::ENOEXEC, "ENOEXEC"),
        (libc::ENETUNREACH, "ENETUNREACH"),
        (libc::ECONNREFUSED, "ECONNREFUSED"),
        (libc::EAFNOSUPPORT, "EAFNOSUPPORT"),
        (libc::EPROTONOSUPPORT, "EPROTONOSUPPORT"),
        (libc::ESOCKTNOSUPPORT, "ESOCKTNOSUPPORT"),
        (libc::EOPNOTSUPP, "EOPNOTSUPP"),
        (libc::EADDRNOTAVAIL, "EADDRNOTAVAIL"),
        (libc::EUSERS, "EUSERS"),
    ];
    known
        .iter()
        .find(|(number, _)| *number == errno)
        .map_or_else(|| format!("errno {errno}"), |(_, name)| (*name).to_owned())
}
