//! What stands in for the world in tests is in no program: a call that nobody was permitted is made there and nowhere else.

use super::{Found, House};

const FAKE: &str = "aecl_executor::fake";

pub fn check(house: &House, found: &mut Found) -> Result<(), String> {
    for name in house.files.iter().filter(|name| is_of_a_program(name)) {
        if house.text(name).is_some_and(|text| text.contains(FAKE)) {
            found.error(format!("{name}: `{FAKE}` is for tests; a program acts by `Executor::perform`"));
        }
    }
    Ok(())
}

fn is_of_a_program(file: &str) -> bool {
    file.ends_with(".rs") && file.starts_with("crates/") && file.contains("/src/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_are_told_from_tests() {
        assert!(is_of_a_program("crates/aecl-gate/src/submit.rs"));
        assert!(!is_of_a_program("crates/aecl-gate/tests/walk/house.rs"));
        assert!(!is_of_a_program("xtask/src/tidy/fakes.rs"));
    }
}
