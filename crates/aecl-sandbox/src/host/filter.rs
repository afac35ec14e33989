//! The system calls that a program may make. What is not on the list does not exist for it.
//!
//! The answer matters as much as the refusal. What is not listed is "no such call" (`ENOSYS`), which is what
//! programs expect of an older kernel and fall back from. What people know as privileged is "not permitted"
//! (`EPERM`). A call of another architecture, as through the 32-bit entry, ends the program: its numbers mean other things.
//!
//! What is said of each call stands in a file for each architecture, `filter/x86_64.rs` and `filter/aarch64.rs`; both are compiled
//! into the tests on either, and a program for one machine has that of its own.
//!
//! The filter is compiled here, as a search tree over ranges of numbers. A library that compares number after
//! number made a program of 2,000 instructions, and the kernel took more than a millisecond of each start to
//! translate it; this one has some 250. A test interprets it for every number and argument that counts.

use std::collections::BTreeMap;
use std::sync::OnceLock;

/// The verdicts of one architecture, as its file writes them.
macro_rules! verdicts {
    ($($number:literal $name:ident $verdict:ident)*) => {
        &[$(($number, stringify!($name), $crate::host::filter::Verdict::$verdict)),*]
    };
}

#[cfg(any(target_arch = "aarch64", test))]
mod aarch64;
#[cfg(test)]
mod tests;
#[cfg(any(target_arch = "x86_64", test))]
mod x86_64;

#[cfg(target_arch = "aarch64")]
use aarch64::CALLS as OURS;
#[cfg(target_arch = "x86_64")]
use x86_64::CALLS as OURS;

/// What is said about the calls of one architecture.
struct Calls {
    /// As which the kernel presents them.
    architecture: u32,
    /// Number, name and answer, each number once and upwards. What is not here is not there.
    verdicts: &'static [(u32, &'static str, Verdict)],
}

/// Namespaces, in the flags of `clone`.
const NAMESPACES: [i32; 7] = [
    libc::CLONE_NEWNS,
    libc::CLONE_NEWCGROUP,
    libc::CLONE_NEWUTS,
    libc::CLONE_NEWIPC,
    libc::CLONE_NEWUSER,
    libc::CLONE_NEWPID,
    libc::CLONE_NEWNET,
];

/// What a program may ask of a socket: the local machine (which is the cage) and the internet (which is not
/// there, unless a listener is).
const FAMILIES: [i32; 3] = [libc::AF_UNIX, libc::AF_INET, libc::AF_INET6];
const KINDS: [i32; 3] = [libc::SOCK_STREAM, libc::SOCK_DGRAM, libc::SOCK_SEQPACKET];
/// Below these bits is the kind of a socket, above them are flags.
const KIND_BITS: u32 = 0xF;

/// Options of `prctl` that change what others may do to us, or what we are.
const PRCTL_REFUSED: [i32; 4] =
    [libc::PR_SET_SECCOMP, libc::PR_SET_MM, libc::PR_CAP_AMBIENT, libc::PR_SET_SECUREBITS];

/// Typing for the person at the terminal: `TIOCSTI` and `TIOCLINUX`, to which C libraries give different types.
const IOCTL_REFUSED: [u64; 2] = [0x5412, 0x541C];

/// No personality, and the question which one it is. Others switch address randomisation off.
const PERSONALITIES: [u32; 2] = [0, 0xFFFF_FFFF];

/// What the kernel is to say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    /// Files, memory, time, processes of its own, sockets: what ordinary programs are made of.
    Allow,
    NotThere,
    /// What people know as privileged, whatever rights somebody may have.
    NotPermitted,
    /// It depends on an argument.
    Clone,
    Socket,
    Prctl,
    Ioctl,
    Personality,
}

/// The filter as the kernel takes it.
pub(crate) fn filter() -> &'static [u8] {
    static FILTER: OnceLock<Vec<u8>> = OnceLock::new();
    FILTER.get_or_init(|| program(&OURS).into_iter().flat_map(Instruction::bytes).collect())
}

/// `sock_filter`: what to do, how many instructions to skip if so and if not, and a constant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Instruction {
    code: u16,
    so: u8,
    not: u8,
    k: u32,
}

// Load a word, jump by comparison, combine, return: `linux/bpf_common.h`.
const LOAD: u16 = 0x20;
const JUMP: u16 = 0x05;
const IF_EQUAL: u16 = 0x15;
const IF_AT_LEAST: u16 = 0x35;
const IF_ANY_BIT: u16 = 0x45;
const AND: u16 = 0x54;
const RETURN: u16 = 0x06;

// `struct seccomp_data`: number, architecture, address, arguments.
const NUMBER: u32 = 0;
const ARCHITECTURE: u32 = 4;
const ARGUMENTS: u32 = 16;

const KILL: u32 = libc::SECCOMP_RET_KILL_PROCESS;
const ALLOW: u32 = libc::SECCOMP_RET_ALLOW;
const NOT_THERE: u32 = libc::SECCOMP_RET_ERRNO | libc::ENOSYS as u32;
const NOT_PERMITTED: u32 = libc::SECCOMP_RET_ERRNO | libc::EPERM as u32;

impl Instruction {
    fn bytes(self) -> [u8; 8] {
        let ([a, b], [w, x, y, z]) = (self.code.to_le_bytes(), self.k.to_le_bytes());
        [a, b, self.so, self.not, w, x, y, z]
    }
}

fn load(offset: u32) -> Instruction {
    Instruction { code: LOAD, so: 0, not: 0, k: offset }
}

/// The low half of an argument. The kernel reads the arguments that we look at as 32 bits, too.
fn load_argument(index: u32) -> Instruction {
    load(ARGUMENTS + 8 * index)
}

fn answer(k: u32) -> Instruction {
    Instruction { code: RETURN, so: 0, not: 0, k }
}

fn skip_if(code: u16, k: u32, so: u8) -> Instruction {
    Instruction { code, so, not: 0, k }
}

fn program(calls: &Calls) -> Vec<Instruction> {
    let ours = skip_if(IF_EQUAL, calls.architecture, 1);
    let mut program = vec![load(ARCHITECTURE), ours, answer(KILL), load(NUMBER)];
    program.extend(search(&ranges(calls.verdicts)));
    program
}

/// Where each verdict begins. The last range has no end: it has the numbers of x32 in it.
fn ranges(verdicts: &[(u32, &str, Verdict)]) -> Vec<(u32, Verdict)> {
    let verdicts: BTreeMap<u32, Verdict> =
        verdicts.iter().map(|(call, _, verdict)| (*call, *verdict)).collect();
    let end = verdicts.keys().next_back().map_or(0, |last| last + 1);
    let mut ranges: Vec<(u32, Verdict)> = Vec::new();
    for number in 0..=end {
        let verdict = verdicts.get(&number).copied().unwrap_or(Verdict::NotThere);
        if ranges.last().is_none_or(|(_, last)| *last != verdict) {
            ranges.push((number, verdict));
        }
    }
    ranges
}

/// Halves the ranges until one is left.
fn search(ranges: &[(u32, Verdict)]) -> Vec<Instruction> {
    let (below, above) = ranges.split_at(ranges.len() / 2);
    let (Some(_), Some((start, _))) = (below.first(), above.first()) else {
        return ranges.first().map_or_else(|| vec![answer(NOT_THERE)], |(_, verdict)| verdict.instructions());
    };
    let (below, above) = (search(below), search(above));
    let mut tree = match u8::try_from(below.len()) {
        Ok(length) => vec![skip_if(IF_AT_LEAST, *start, length)],
        // A comparison can skip 255 instructions, a jump any number.
        Err(_) => vec![
            Instruction { code: IF_AT_LEAST, so: 0, not: 1, k: *start },
            Instruction { code: JUMP, so: 0, not: 0, k: u32::try_from(below.len()).unwrap_or(u32::MAX) },
        ],
    };
    tree.extend(below);
    tree.extend(above);
    tree
}

impl Verdict {
    fn instructions(self) -> Vec<Instruction> {
        match self {
            Self::Allow => vec![answer(ALLOW)],
            Self::NotThere => vec![answer(NOT_THERE)],
            Self::NotPermitted => vec![answer(NOT_PERMITTED)],
            Self::Clone => {
                let any = NAMESPACES.iter().fold(0, |mask, flag| mask | flag).cast_unsigned();
                vec![load_argument(0), skip_if(IF_ANY_BIT, any, 1), answer(ALLOW), answer(NOT_PERMITTED)]
            }
            Self::Prctl => {
                one_of(load_argument(0), &PRCTL_REFUSED.map(i32::cast_unsigned), NOT_PERMITTED, ALLOW)
            }
            Self::Ioctl => {
                // Both fit: requests are numbers of 32 bits.
                let refused = IOCTL_REFUSED.map(|request| u32::try_from(request).unwrap_or(u32::MAX));
                one_of(load_argument(1), &refused, NOT_PERMITTED, ALLOW)
            }
            Self::Personality => one_of(load_argument(0), &PERSONALITIES, ALLOW, NOT_PERMITTED),
            Self::Socket => socket(),
        }
    }
}

/// One answer if the loaded word is among these, another if not.
fn one_of(load: Instruction, words: &[u32], among: u32, otherwise: u32) -> Vec<Instruction> {
    let mut program = vec![load];
    for (index, word) in words.iter().enumerate() {
        let to_the_end = u8::try_from(words.len() - index).unwrap_or(u8::MAX);
        program.push(skip_if(IF_EQUAL, *word, to_the_end));
    }
    program.extend([answer(otherwise), answer(among)]);
    program
}

fn socket() -> Vec<Instruction> {
    let mut by_kind = vec![load_argument(1), Instruction { code: AND, so: 0, not: 0, k: KIND_BITS }];
    // The kind is what is left in the accumulator; loading it again would lose the mask.
    by_kind
        .extend(one_of(load_argument(1), &KINDS.map(i32::cast_unsigned), ALLOW, NOT_PERMITTED).split_off(1));
    // The C library lists interfaces over the one protocol of netlink that is let through.
    let route = [libc::NETLINK_ROUTE.cast_unsigned()];
    let by_protocol = one_of(load_argument(2), &route, ALLOW, NOT_PERMITTED);
    let mut program = vec![load_argument(0)];
    let length = |instructions: &[Instruction]| u8::try_from(instructions.len()).unwrap_or(u8::MAX);
    for (index, family) in FAMILIES.iter().enumerate() {
        let rest = u8::try_from(FAMILIES.len() - index - 1).unwrap_or(u8::MAX);
        // Over the other families, netlink, the refusal and what belongs to netlink.
        let over = rest + 2 + length(&by_protocol);
        program.push(skip_if(IF_EQUAL, family.cast_unsigned(), over));
    }
    program.push(skip_if(IF_EQUAL, libc::AF_NETLINK.cast_unsigned(), 1));
    program.push(answer(NOT_PERMITTED));
    program.extend(by_protocol);
    program.extend(by_kind);
    program
}
