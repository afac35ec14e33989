//! Three clocks, one deadline.

use std::fmt;
use std::time::{Duration, Instant};

/// Clocks of a program: how long each still lets it run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Clocks {
    /// One call of a tool.
    pub call: Duration,
    /// What is left of the task to which the call belongs.
    pub task_left: Duration,
    /// What is left of the life of the sandbox.
    pub lifetime_left: Duration,
}

/// Level of a clock that ran out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// One call of a tool.
    Call,
    /// The task.
    Task,
    /// The sandbox.
    Lifetime,
}

impl Clocks {
    /// The clocks, as they are when some time has passed since then, and so much later.
    pub(crate) fn later(self, begun: Instant, after: Duration) -> Self {
        let left = |clock: Duration| clock.saturating_sub(begun.elapsed()).saturating_add(after);
        Self {
            call: left(self.call),
            task_left: left(self.task_left),
            lifetime_left: left(self.lifetime_left),
        }
    }

    /// The clock that runs out first, and when. Of equal ones the wider is named: what ended is more.
    #[must_use]
    pub fn deadline(&self) -> (Duration, Level) {
        let all =
            [(self.lifetime_left, Level::Lifetime), (self.task_left, Level::Task), (self.call, Level::Call)];
        all.into_iter().min_by_key(|(left, _)| *left).unwrap_or((self.call, Level::Call))
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Call => "call",
            Self::Task => "task",
            Self::Lifetime => "lifetime",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_smallest_clock_is_the_deadline_and_gives_its_name() {
        let of = |call, task, lifetime| {
            let s = Duration::from_secs;
            Clocks { call: s(call), task_left: s(task), lifetime_left: s(lifetime) }.deadline()
        };
        assert_eq!(of(30, 1200, 3600), (Duration::from_secs(30), Level::Call));
        assert_eq!(of(30, 20, 3600), (Duration::from_secs(20), Level::Task));
        assert_eq!(of(30, 20, 10), (Duration::from_secs(10), Level::Lifetime));
        assert_eq!(of(30, 30, 30), (Duration::from_secs(30), Level::Lifetime));
        assert_eq!(of(30, 0, 5), (Duration::ZERO, Level::Task));
    }
}
