//! Makes binary modules of the text modules that it is given: `assemble FROM.wat TO.wasm`.
#![allow(clippy::unwrap_used, reason = "a tool of the tests")]

fn main() {
    let mut words = std::env::args().skip(1);
    while let (Some(from), Some(to)) = (words.next(), words.next()) {
        std::fs::write(to, wat::parse_file(from).unwrap()).unwrap();
    }
}
