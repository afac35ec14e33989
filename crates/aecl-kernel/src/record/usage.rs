//! What of budgets and rates is used and held.

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

/// Meter of a budget: what of it is used and held.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Meter {
    /// The number of the window that `used` counts: hours or days since 1970; 0 without a window.
    pub window: i64,
    /// Used in that window.
    pub used: Decimal,
    /// Held by actions that are not concluded; it moves with the window.
    pub held: Decimal,
}

impl Meter {
    /// The meter at the start of another window: what is held stays held.
    #[must_use]
    pub fn rolled_to(&self, window: i64) -> Meter {
        if self.window >= window {
            return self.clone();
        }
        Meter { window, used: Decimal::ZERO, held: self.held }
    }
}

/// A rate limit's theoretical arrival time (generic cell rate algorithm), in microseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rate {
    /// When the bucket is full again.
    pub full_at_us: i64,
}

/// A part of a budget that an action holds until it is concluded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BudgetHold {
    /// The meter.
    pub meter: String,
    /// The window in which it was taken.
    pub window: i64,
    /// How much.
    pub amount: Decimal,
}
