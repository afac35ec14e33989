//! What a page is about, so that it hears when that changes.

use crate::App;

/// Subject of a page: what it shows, and how much of the record was there when it was made.
#[derive(Debug)]
pub struct Shown {
    topics: String,
    at: u64,
}

impl Shown {
    /// The queue. Ask for it before what is shown is read, so that nothing falls in between.
    pub fn queue(app: &App) -> Self {
        Self { topics: "inbox".to_owned(), at: *app.gate.ledger().durable().borrow() }
    }

    /// One request, by its id or its number.
    pub fn approval(app: &App, name: &str) -> Self {
        Self { topics: format!("approval:{name}"), ..Self::queue(app) }
    }

    /// Whether it is a list that nobody types into.
    pub fn is_list(&self) -> bool {
        self.topics == "inbox"
    }

    /// Its topics, as the stream is asked for them.
    pub fn topics(&self) -> &str {
        &self.topics
    }

    /// How many entries the record had.
    pub fn at(&self) -> u64 {
        self.at
    }
}
