//! The difference of two texts, for people. Every entry begins with a sign of ours, and holds one line of one text or a
//! part of it: nothing in a file can pass for another line, be it a lone carriage return, or look like what was left out.
//!
//! What is left out of a long line is what stays: a cut is around what differs, never through it, unless that itself is
//! longer than somebody has room for.

use similar::{ChangeTag, DiffTag, TextDiff};
use std::ops::Range;
use std::time::{Duration, Instant};

/// How much room there is for one line, in characters.
#[derive(Clone, Copy)]
pub(super) struct Room {
    /// Of a longer line, what stays is cut.
    pub(super) long: usize,
    /// Most of one part that differs; absent: all of it.
    pub(super) part: Option<usize>,
}

/// What stays and is shown on both sides of a cut.
const BESIDE: usize = 60;

/// How long two texts are compared, in milliseconds. What takes longer is shown less finely, and nothing waits for it.
const COMPARED_MS: u64 = 2_000;

/// The lines that differ, with those around them.
#[derive(Debug, Default)]
pub(super) struct Difference {
    pub(super) comes: usize,
    pub(super) goes: usize,
    /// The first character says what an entry is: `@` a place, ` ` a line that stays, `-` one that goes, `+` one that
    /// comes, `…` how much is left out, `\` a word of ours about the line before.
    pub(super) entries: Vec<String>,
}

/// Compares two texts.
pub(super) fn difference(old: &str, new: &str, room: Room) -> Difference {
    let late = Instant::now() + Duration::from_millis(COMPARED_MS);
    let diff = TextDiff::configure().timeout(Duration::from_millis(COMPARED_MS)).diff_lines(old, new);
    let mut out = Difference::default();
    for group in diff.grouped_ops(3) {
        if let (Some(first), Some(last)) = (group.first(), group.last()) {
            let was = first.old_range().start..last.old_range().end;
            out.entries.push(place(&was, &(first.new_range().start..last.new_range().end)));
        }
        for op in &group {
            let lines: Vec<_> = diff.iter_changes(op).collect();
            let of =
                |tag: ChangeTag| lines.iter().filter(move |line| line.tag() == tag).map(|line| line.value());
            let (go, come) = (of(ChangeTag::Delete), of(ChangeTag::Insert));
            let (go, come): (Vec<&str>, Vec<&str>) = (go.collect(), come.collect());
            out.goes += go.len();
            out.comes += come.len();
            for stays in of(ChangeTag::Equal) {
                line(' ', stays, &[Part::Same(bare(stays))], room, &mut out.entries);
            }
            for (sign, own, others) in [('-', &go, &come), ('+', &come, &go)] {
                for (number, text) in own.iter().enumerate() {
                    let parts = match others.get(number) {
                        Some(other) => parts(bare(text), bare(other), room, late),
                        None => vec![Part::Differs(bare(text))],
                    };
                    line(sign, text, &parts, room, &mut out.entries);
                }
            }
        }
    }
    out
}

/// Where the lines that follow stand.
fn place(was: &Range<usize>, is: &Range<usize>) -> String {
    let lines = |range: &Range<usize>| match range.len() {
        1 => format!("line {}", range.start + 1),
        _ => format!("lines {} to {}", range.start + 1, range.end),
    };
    match (was.is_empty(), is.is_empty()) {
        _ if was == is => format!("@{}", lines(was)),
        (true, _) => format!("@{}, new", lines(is)),
        (_, true) => format!("@{}, gone", lines(was)),
        (false, false) => format!("@{}, before {}", lines(is), lines(was)),
    }
}

/// A part of a line beside the one in whose place it comes, or which comes in its place.
#[derive(Debug, PartialEq, Eq)]
enum Part<'a> {
    Same(&'a str),
    Differs(&'a str),
}

fn bare(line: &str) -> &str {
    line.strip_suffix('\n').unwrap_or(line)
}

/// The parts of a line that is long, or is beside a long one.
fn parts<'a>(own: &'a str, other: &'a str, room: Room, late: Instant) -> Vec<Part<'a>> {
    if own.chars().count() <= room.long {
        return vec![Part::Differs(own)];
    }
    let same = |(one, other): &(char, char)| one == other;
    let bytes = |(one, _): (char, char)| one.len_utf8();
    let front: usize = own.chars().zip(other.chars()).take_while(same).map(bytes).sum();
    let (head, own) = own.split_at(front);
    let other = other.get(front..).unwrap_or_default();
    let back: usize = own.chars().rev().zip(other.chars().rev()).take_while(same).map(bytes).sum();
    let (own, tail) = own.split_at(own.len() - back);
    let other = other.get(..other.len() - back).unwrap_or_default();
    let mut parts = vec![Part::Same(head)];
    let left = late.saturating_duration_since(Instant::now());
    if own.is_empty() || other.is_empty() || left.is_zero() {
        parts.push(Part::Differs(own));
    } else {
        let diff = TextDiff::configure().timeout(left).diff_chars(own, other);
        let (mut from, mut rest) = (0, own);
        for op in diff.ops() {
            let until = op.old_range().end;
            let chars = until.saturating_sub(from);
            let end = rest.char_indices().nth(chars).map_or(rest.len(), |(at, _)| at);
            let (text, more) = rest.split_at(end);
            match op.tag() {
                DiffTag::Equal => parts.push(Part::Same(text)),
                DiffTag::Delete | DiffTag::Insert | DiffTag::Replace => parts.push(Part::Differs(text)),
            }
            (from, rest) = (until, more);
        }
    }
    parts.push(Part::Same(tail));
    parts
}

/// One line, in as many entries as it needs.
fn line(sign: char, text: &str, parts: &[Part<'_>], room: Room, out: &mut Vec<String>) {
    let mut entry = String::from(sign);
    for part in parts {
        let (text, most, what) = match part {
            Part::Same(text) => (*text, Some(room.long.min(2 * BESIDE)), " stay and"),
            Part::Differs(text) => (*text, room.part, ""),
        };
        let chars = text.chars().count();
        match most {
            // What is left out is more than the words about it.
            Some(most) if chars > most + BESIDE => {
                let ends = most / 2;
                entry.extend(text.chars().take(ends));
                out.push(std::mem::replace(&mut entry, String::from(sign)));
                out.push(format!("…{} characters of this line{what} are left out", chars - 2 * ends));
                entry.extend(text.chars().skip(chars - ends));
            }
            _ => entry.push_str(text),
        }
    }
    out.push(entry);
    if !text.ends_with('\n') {
        let ends_oddly = text.ends_with('\r');
        let said = if ends_oddly {
            "\\that line ends with a carriage return alone"
        } else {
            "\\no line break at the end"
        };
        out.push(said.into());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TERMINAL: Room = Room { long: 400, part: None };
    const CARD: Room = Room { long: 1_000, part: Some(1_000) };

    fn of(old: &str, new: &str, room: Room) -> Vec<String> {
        difference(old, new, room).entries
    }

    #[test]
    fn a_cut_is_around_what_differs_and_never_through_it() {
        let (head, tail) = ("a".repeat(5_000), "b".repeat(5_000));
        for room in [TERMINAL, CARD] {
            let said = of(&format!("{head}safe1{tail}\n"), &format!("{head}evil2{tail}\n"), room);
            let (ends, a, b) = (60, "a".repeat(60), "b".repeat(60));
            let left = format!("…{} characters of this line stay and are left out", 5_000 - 2 * ends);
            let one = |sign: char, word: &str| {
                [
                    format!("{sign}{a}"),
                    left.clone(),
                    format!("{sign}{a}{word}{b}"),
                    left.clone(),
                    format!("{sign}{b}"),
                ]
            };
            assert_eq!(said, [&["@line 1".to_owned()][..], &one('-', "safe1"), &one('+', "evil2")].concat());
        }
    }

    #[test]
    fn each_of_several_differences_in_one_line_is_shown() {
        let gap = "0123456789".repeat(300);
        let (old, new) = (format!("one{gap}two{gap}three\n"), format!("ONE{gap}TWO{gap}THREE\n"));
        for room in [TERMINAL, CARD] {
            let said = of(&old, &new, room).join("\n");
            for word in ["one", "two", "three", "ONE", "TWO", "THREE"] {
                assert!(said.contains(word), "{word}: {said}");
            }
            assert!(said.len() < 2_500, "{}", said.len());
        }
    }

    /// Where somebody can ask for more, all that comes is there, whatever stands around it.
    #[test]
    fn all_that_differs_is_there_where_there_is_room() {
        let hidden = format!("x = 1{};import os{}\n", " ".repeat(3_000), "#".repeat(3_000));
        for old in ["", "x = 1\n", "something else\n"] {
            let said = of(old, &hidden, TERMINAL);
            let come: String =
                said.iter().filter_map(|entry| entry.strip_prefix('+')).collect::<Vec<_>>().concat();
            assert!(come.contains(";import os#") && come.len() > 5_900, "{old}: {}", come.len());
        }
        // A line that did not change is cut.
        let long = "s".repeat(900);
        let said = of(&format!("{long}\nx\n"), &format!("{long}\ny\n"), TERMINAL);
        assert_eq!(said.iter().filter(|entry| entry.contains("780 characters of this line stay")).count(), 1);
    }

    #[test]
    fn what_has_no_room_shows_both_ends_and_says_how_much_is_missing() {
        let said = of("", &format!("begin{}end\n", "é".repeat(9_000)), CARD);
        assert_eq!(said.get(2).map(String::as_str), Some("…8008 characters of this line are left out"));
    }
}
