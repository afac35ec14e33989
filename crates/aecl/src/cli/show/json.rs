//! Reading answers of the HTTP API by name. What is not there is empty: a newer server may say more, an older
//! one less, and a listing should still be shown.

use serde_json::Value;

/// Fields of an answer, for showing.
pub(crate) trait Field {
    /// The text at a path such as `/decision/risk`, or an empty one.
    fn text(&self, path: &str) -> String;
    /// The items at a path, or none.
    fn items(&self, path: &str) -> &[Value];
}

impl Field for Value {
    fn text(&self, path: &str) -> String {
        match self.pointer(path) {
            None | Some(Value::Null) => String::new(),
            Some(Value::String(text)) => text.clone(),
            Some(other) => other.to_string(),
        }
    }

    fn items(&self, path: &str) -> &[Value] {
        self.pointer(path).and_then(Value::as_array).map_or(&[], Vec::as_slice)
    }
}
