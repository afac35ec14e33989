use std::collections::BTreeMap;

use super::*;

/// Both, wherever the tests run: the kernel's interpreter is simple enough to be played here.
const BOTH: [(&str, Calls); 2] = [("x86_64", x86_64::CALLS), ("aarch64", aarch64::CALLS)];

/// What the kernel would answer.
fn run(program: &[Instruction], architecture: u32, number: u32, arguments: [u32; 3]) -> u32 {
    let (mut at, mut word) = (0, 0);
    loop {
        let Instruction { code, so, not, k } = program[at];
        at += 1;
        let skip = |holds: bool| usize::from(if holds { so } else { not });
        match code {
            LOAD if k == NUMBER => word = number,
            LOAD if k == ARCHITECTURE => word = architecture,
            LOAD => word = arguments[usize::try_from((k - ARGUMENTS) / 8).unwrap()],
            AND => word &= k,
            JUMP => at += usize::try_from(k).unwrap(),
            IF_EQUAL => at += skip(word == k),
            IF_AT_LEAST => at += skip(word >= k),
            IF_ANY_BIT => at += skip(word & k != 0),
            RETURN => return k,
            _ => panic!("{code}"),
        }
    }
}

impl Calls {
    fn number(&self, name: &str) -> u32 {
        let found = self.verdicts.iter().find(|(_, listed, _)| *listed == name);
        found.unwrap_or_else(|| panic!("`{name}` is not listed")).0
    }

    fn answer(&self, name: &str, arguments: [u32; 3]) -> u32 {
        run(&program(self), self.architecture, self.number(name), arguments)
    }

    /// The answers by name.
    fn by_name(&self) -> BTreeMap<&'static str, Verdict> {
        self.verdicts.iter().map(|(_, name, verdict)| (*name, *verdict)).collect()
    }
}

#[test]
fn each_call_is_listed_once_and_in_order() {
    for (architecture, calls) in BOTH {
        assert!(calls.verdicts.is_sorted_by(|(one, ..), (next, ..)| one < next), "{architecture}");
        assert_eq!(calls.by_name().len(), calls.verdicts.len(), "{architecture}");
    }
}

/// A number that is typed wrongly allows another call. These were written down by other people, who took them from
/// the kernel's sources.
#[test]
fn every_number_is_that_of_its_name() {
    use syscall_numbers::{aarch64, x86_64};
    for (of, (architecture, calls)) in [x86_64::sys_call_name, aarch64::sys_call_name].iter().zip(BOTH) {
        for (number, name, _) in calls.verdicts {
            assert_eq!(of(i64::from(*number)), Some(*name), "{architecture}: {number}");
        }
    }
}

/// The launcher has numbers of its own, because it is built without any crate.
#[test]
fn every_number_of_the_launcher_is_that_of_its_name() {
    use syscall_numbers::{aarch64, x86_64};
    let ours = [
        include_str!("../../bin/aecl-cage/sys/x86_64.rs"),
        include_str!("../../bin/aecl-cage/sys/aarch64.rs"),
    ];
    let of = [x86_64::sys_call_name, aarch64::sys_call_name];
    let [x86_64, aarch64] = [0, 1].map(|index| {
        let mut names = Vec::new();
        for line in ours[index].lines().filter_map(|line| line.strip_prefix("pub const ")) {
            let (name, number) = line.trim_end_matches(';').split_once(": i64 = ").unwrap();
            let name = name.to_lowercase();
            assert_eq!(of[index](number.parse().unwrap()), Some(&*name));
            names.push(name);
        }
        names.sort();
        names
    });
    assert_eq!(x86_64, aarch64);
    assert!(x86_64.len() > 50);
}

/// What a program may do does not depend on the machine, but for what only one machine has.
#[test]
fn both_architectures_get_the_same_answers() {
    let [x86_64, aarch64] = BOTH.map(|(_, calls)| calls.by_name());
    for (name, verdict) in &aarch64 {
        assert_eq!(x86_64.get(name), Some(verdict), "`{name}` on x86_64");
    }
    // Left out on aarch64 is what is not there, and nothing else.
    for name in x86_64.keys().filter(|name| !aarch64.contains_key(*name)) {
        let there = (0..1_000).any(|number| syscall_numbers::aarch64::sys_call_name(number) == Some(*name));
        assert!(!there, "`{name}` on aarch64");
    }
}

#[test]
fn every_number_gets_the_answer_of_its_list() {
    for (architecture, calls) in BOTH {
        let program = program(&calls);
        let x32 = 0x4000_0000_u32;
        let (read, ptrace) = (calls.number("read"), calls.number("ptrace"));
        let far = [9_999, x32, x32 + read, x32 + ptrace, u32::MAX];
        for call in (0..1_000).chain(far) {
            let listed = calls.verdicts.iter().find(|(number, ..)| *number == call);
            let expected = match listed.map(|(.., verdict)| verdict) {
                Some(Verdict::Allow) => ALLOW,
                Some(Verdict::NotPermitted) => NOT_PERMITTED,
                Some(Verdict::NotThere) | None => NOT_THERE,
                Some(_) => continue,
            };
            let answer = run(&program, calls.architecture, call, [0; 3]);
            assert_eq!(answer, expected, "{architecture}: system call {call}");
        }
    }
}

#[test]
fn another_architecture_ends_the_program_whatever_the_number() {
    const I386: u32 = 0x4000_0003;
    const ARM: u32 = 0x4000_0028;
    let [x86_64, aarch64] = BOTH.map(|(_, calls)| calls);
    for (ours, others) in [(&x86_64, aarch64.architecture), (&aarch64, x86_64.architecture)] {
        let program = program(ours);
        for number in 0..1_000 {
            for architecture in [I386, ARM, others, 0, u32::MAX] {
                assert_eq!(run(&program, architecture, number, [0; 3]), KILL);
            }
        }
    }
}

#[test]
fn calls_with_two_sides_are_told_apart_by_their_argument() {
    for (architecture, calls) in BOTH {
        println!("{architecture}");
        told_apart(&calls);
    }
}

fn told_apart(calls: &Calls) {
    let word = i32::cast_unsigned;
    let clone = |flags: i32| calls.answer("clone", [word(flags), 0, 0]);
    assert_eq!(clone(libc::CLONE_VM | libc::CLONE_THREAD | libc::SIGCHLD), ALLOW);
    for flag in NAMESPACES {
        assert_eq!(clone(flag | libc::SIGCHLD), NOT_PERMITTED);
    }
    let program = program(calls);
    let (number, architecture) = (calls.number("socket"), calls.architecture);
    let socket =
        |family, kind, protocol| run(&program, architecture, number, [word(family), word(kind), protocol]);
    for family in 0..60 {
        for kind in 0..16 {
            for flags in [0, libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK] {
                let plain = FAMILIES.contains(&family) && KINDS.contains(&kind);
                let expected = if plain || family == libc::AF_NETLINK { ALLOW } else { NOT_PERMITTED };
                assert_eq!(socket(family, kind | flags, 0), expected, "{family} {kind} {flags}");
            }
        }
    }
    for protocol in 1..40 {
        assert_eq!(socket(libc::AF_NETLINK, libc::SOCK_RAW, protocol), NOT_PERMITTED);
    }
    for option in 0..100 {
        let refused = PRCTL_REFUSED.map(word).contains(&option);
        let expected = if refused { NOT_PERMITTED } else { ALLOW };
        assert_eq!(calls.answer("prctl", [option, 0, 0]), expected, "{option}");
    }
    for (request, expected) in [(0x5412, NOT_PERMITTED), (0x541C, NOT_PERMITTED), (0x5401, ALLOW)] {
        assert_eq!(calls.answer("ioctl", [0, request, 0]), expected);
    }
    for (persona, expected) in [(0, ALLOW), (u32::MAX, ALLOW), (0x0004_0000, NOT_PERMITTED)] {
        assert_eq!(calls.answer("personality", [persona, 0, 0]), expected);
    }
}

#[test]
fn it_is_short() {
    for (architecture, calls) in BOTH {
        let length = program(&calls).len();
        assert!(length < 400, "{architecture}: {length}");
    }
}
