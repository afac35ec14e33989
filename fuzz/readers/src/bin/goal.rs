//! Goals and values, the first line and the rest: a value has one writing, and is named only by what stands there.

#![no_main]

use aecl_kernel::define::catalogue::flow::{Class, Intent};
use aecl_kernel::provenance::atoms::{self, AtomKind};
use aecl_kernel::provenance::goal::ParsedGoal;
use aecl_kernel::provenance::{canon, links, seen};
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

/// Links that are asked for.
const LINKS_MAX: usize = 64;

fuzz_target!(|bytes: &[u8]| {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let (value, goal) = text.split_once('\n').unwrap_or((text, text));
    one_writing(value);
    named(goal, value);
    let (found, more) = links::links(text, LINKS_MAX);
    assert!(found.len() <= LINKS_MAX && (!more || found.len() == LINKS_MAX), "another number of links");
    let _ = seen::places(value, goal.as_bytes());
});

fn one_writing(value: &str) {
    // What is written of a link has lost its scheme, so it need not be one; and the host of an address loses one dot, and a
    // number its zeros.
    let _ = (canon::url(value), canon::email(value), canon::number(value));
    let _ = (canon::dirt(value), canon::dirt_of_destination(value), canon::is_date(value));
    for (what, write) in [("account", canon::account as fn(&str) -> Option<String>), ("id", canon::id)] {
        if let Some(written) = write(value) {
            assert_eq!(write(&written).as_ref(), Some(&written), "two writings of one {what}: {value:?}");
        }
    }
}

fn named(goal: &str, value: &str) {
    let reading = ParsedGoal::of(goal);
    let pasted = ParsedGoal::of(&goal.lines().map(|line| format!("> {line}\n")).collect::<String>());
    let values = [Value::from(value), serde_json::from_str(value).unwrap_or_default()];
    for (class, value) in
        Class::ALL.into_iter().flat_map(|class| values.each_ref().map(|value| (class, value)))
    {
        for atom in atoms::wanted(class, value) {
            assert_eq!(pasted.names(&atom), None, "what was pasted names {atom:?}");
            let how = reading.names(&atom);
            assert!(
                reading.names_destination(&atom).is_none() || how.is_some(),
                "a destination, and not named"
            );
            if atom.kind == AtomKind::Email && how.is_some() {
                // A domain may be written in several ways, what stands before it in one.
                let local = atom.text.rsplit_once('@').map_or("", |(local, _)| local);
                let stands = goal.contains(local);
                assert!(stands, "{atom:?} is named, and does not stand in {goal:?}");
            }
        }
    }
    let intent = Intent {
        strong: ["send", "pay"].map(String::from).into(),
        weak: ["make"].map(String::from).into(),
        objects: ["payment"].map(String::from).into(),
    };
    let _ = (
        reading.asks(&intent, true),
        reading.asks(&intent, false),
        reading.spells_out(AtomKind::Email, &intent),
    );
    let _ = (reading.names_record(value), reading.has_word(value));
}
