//! A file fits in a head.

use super::{Found, House};

const TOO_LONG: usize = 1_000;
const LONG: usize = 400;

pub fn check(house: &House, found: &mut Found) -> Result<(), String> {
    for name in house.ending(".rs") {
        let lines = house.text(name).map_or(0, |text| text.lines().count());
        if lines > TOO_LONG {
            found.error(format!("{name} has {lines} lines; more than {TOO_LONG} is more than one idea"));
        } else if lines > LONG {
            found.note(format!("{name} has {lines} lines; most files stay under 300"));
        }
    }
    Ok(())
}
