//! Each room says what it is, what it never does, and where to begin.

use super::{Found, House};

/// Whoever wants more reads ARCHITECTURE.md.
const LINES_MAX: usize = 15;

pub fn check(house: &House, found: &mut Found) -> Result<(), String> {
    for manifest in house.ending("/Cargo.toml").filter(|name| name.starts_with("crates/")) {
        let folder = manifest.trim_end_matches("Cargo.toml");
        let page = format!("{folder}README.md");
        let room = folder.trim_start_matches("crates/").trim_end_matches('/');
        for wrong in wrongs(room, house.text(&page).as_deref()) {
            found.error(format!("{page}: {wrong}"));
        }
    }
    Ok(())
}

fn wrongs(room: &str, page: Option<&str>) -> Vec<String> {
    let Some(page) = page else { return vec!["is missing; say what the room is and where to begin".into()] };
    let has = |start: &str| page.lines().any(|line| line.starts_with(start));
    let mut wrong = Vec::new();
    if page.lines().next() != Some(&format!("# {room}")) {
        wrong.push(format!("does not begin with `# {room}`"));
    }
    wrong.extend(
        ["Never: ", "Begin with "]
            .into_iter()
            .filter(|start| !has(start))
            .map(|start| format!("has no line `{start}`")),
    );
    if page.lines().count() > LINES_MAX {
        wrong.push(format!("has more than {LINES_MAX} lines; the rest belongs into ARCHITECTURE.md"));
    }
    wrong
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_room_says_what_it_is_and_where_to_begin() {
        let good = "# aecl-x\n\nIt is.\n\nNever: that.\n\nBegin with this.\n";
        assert_eq!(wrongs("aecl-x", Some(good)), Vec::<String>::new());
        assert_eq!(wrongs("aecl-x", None).len(), 1);
        assert_eq!(wrongs("aecl-y", Some(good)).len(), 1);
        assert_eq!(wrongs("aecl-x", Some(&good.replace("Never", "Mostly"))).len(), 1);
        assert_eq!(wrongs("aecl-x", Some(&(good.to_owned() + &"more\n".repeat(LINES_MAX)))).len(), 1);
    }
}
