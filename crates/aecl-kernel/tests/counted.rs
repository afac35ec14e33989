//! Rows that were counted before anybody was asked: people agree to the number that they were shown.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

mod world;

use aecl_kernel::base::evidence::Evidence;
use aecl_kernel::decide::Ruling;
use serde_json::json;
use world::{World, principal, proposal, wait};

#[test]
fn a_yes_is_for_the_number_of_rows_that_was_shown() {
    let (mut world, who) = (World::acme(), principal("ops_agent"));
    world.open(&who);
    let delete = proposal(&who, "db.run_sql", &json!({"query": "DELETE FROM users"}));
    let ask = wait(&world.propose_with(delete.clone(), &[Evidence::counted(2)]));
    assert_eq!(ask.rows, Some(2));
    world.everybody_agrees(&ask);
    // More have come under it since; fewer would bind, too.
    for (now, bound) in [(7, 2), (1, 1)] {
        let mut later = world.clone();
        let Ruling::Allowed(permit) = later.propose_with(delete.clone(), &[Evidence::counted(now)]) else {
            panic!("it was agreed to");
        };
        assert_eq!(permit.decision().rows_max(), Some(bound));
    }
    let Ruling::Allowed(permit) = world.propose_with(delete, &[]) else { panic!("it was agreed to") };
    assert_eq!(permit.decision().rows_max(), Some(2), "not counted again, and still bound");
}
