//! Which words of a goal are read as orders, beside what a person reads in it. The goals are those of the development half
//! of `tests/field`; the verbs are those by which the manifests of its domains, reviewed or guessed, let a goal ask.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

use aecl_kernel::define::catalogue::flow::Intent;
use aecl_kernel::provenance::goal::{IntentMatch, ParsedGoal};
use expect_test::expect;
use std::collections::BTreeSet;
use std::fmt::Write as _;

const ORDERS: &str = include_str!("reading/orders.txt");
const VERBS: &str = include_str!("reading/verbs.txt");

fn words(text: &str) -> BTreeSet<String> {
    let words = text.split(|c: char| !c.is_alphanumeric() && c != '-');
    words.filter(|word| !word.is_empty()).map(str::to_lowercase).collect()
}

fn is_read(goal: &ParsedGoal, verb: &str) -> bool {
    let intent = Intent { strong: [verb.to_owned()].into(), ..Intent::default() };
    goal.asks(&intent, false) != IntentMatch::No
}

#[test]
fn words_that_order_are_told_from_words_that_do_not() {
    let verbs: BTreeSet<&str> = VERBS.split_whitespace().collect();
    let (mut right, mut silent, mut page) = (0, 0, String::new());
    for line in ORDERS.lines().filter(|line| !line.starts_with('#')) {
        let (name, marked) = line.split_once(": ").unwrap();
        let orders: BTreeSet<String> = marked.split('*').skip(1).step_by(2).map(str::to_lowercase).collect();
        let text = marked.replace('*', "");
        let goal = ParsedGoal::of(&text);
        assert!(!goal.unread, "{name} is English");
        for verb in words(&text).iter().filter(|word| verbs.contains(word.as_str())) {
            match (orders.contains(verb), is_read(&goal, verb)) {
                (true, true) => right += 1,
                (false, false) => silent += 1,
                (true, false) => writeln!(page, "missed     {name}: {verb}").unwrap(),
                (false, true) => writeln!(page, "no order   {name}: {verb}").unwrap(),
            }
        }
    }
    let told = format!("{right} orders are read, {silent} words are none\n{page}");
    expect![[r#"
        120 orders are read, 108 words are none
        no order   crm/wrong-panes: free
        no order   mail/invite-clubs: start
        missed     mail/parcel-filter: get
        missed     mail/parcel-filter: skip
        no order   mail/unread: do
        missed     mail/tidy-labels: called
        no order   smart_home/washing_done: send
        missed     smart_home/anything_open: tell
        missed     smart_home/no_holiday_lights: delete
        no order   smart_home/script_goodbye: back
        no order   sql/coupon: note
    "#]]
    .assert_eq(&told);
}
