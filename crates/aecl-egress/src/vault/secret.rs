//! A secret's value while it is in use.

use std::fmt;

use zeroize::Zeroizing;

/// A secret's value: wiped when dropped, and no `Debug` output shows it. It cannot be cloned by accident.
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Takes a value over; the text it came in becomes the secret and is not copied.
    #[must_use]
    pub fn new(value: String) -> Self {
        Self(Zeroizing::new(value))
    }

    /// The value itself. Never log it, never put it into an error.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Whether it is one line of text that a header, a variable or a password field can hold.
    pub(super) fn is_one_line(&self) -> bool {
        !self.0.is_empty() && self.0.len() <= SECRET_MAX_BYTES && !self.0.chars().any(char::is_control)
    }

    /// Appends, growing by hand: `String` would leave its old buffer, with secrets, unwiped.
    pub(crate) fn push(&mut self, more: &str) {
        if self.0.capacity() - self.0.len() < more.len() {
            let mut larger = Zeroizing::new(String::with_capacity((self.0.len() + more.len()) * 2));
            larger.push_str(&self.0);
            self.0 = larger;
        }
        self.0.push_str(more);
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// The longest secret.
pub(super) const SECRET_MAX_BYTES: usize = 64 * 1024;
