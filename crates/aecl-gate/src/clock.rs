//! The only source of time. Everything else is told the time, and whatever expires is judged by this one: tokens,
//! runs, requests to people, permits, budgets by the day.
//!
//! The wall clock of a machine may be set back, jump for a second, or be wrong by a year; time that nobody can set
//! passes anyway. So time goes on from the last entry of the ledger by what has really passed, a sleep of the
//! machine included, and takes over from the wall clock what can be believed:
//!
//! - never back. A wall clock that is behind makes time go a little slower until both agree again;
//! - ahead at once, if it is not far; a jump is taken over when it has stayed, or when an operator accepts it.
//!
//! Nothing stands still meanwhile, and nothing is dead when the wall clock is right again.

use aecl_kernel::base::time::Timestamp;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A wall clock that is further ahead than this has jumped. A machine that slept has not: sleep counts as time. What
/// NTP steps in daily life is below a second, what a drifting clock gains in a month is below five minutes.
pub const JUMP: Duration = Duration::from_secs(5 * 60);
/// A jump is believed after it has stayed for so long: a virtual machine that was paused is right again soon.
pub const BELIEVED: Duration = Duration::from_secs(15 * 60);
/// A jump by more than a day is no pause. It would stay in the record for good, so it has to stay for a day.
pub const WIDE: Duration = Duration::from_secs(24 * 3600);
/// A wall clock that differs by more than this is worth a word.
const WORTH_A_WORD: Duration = Duration::from_secs(1);
/// A jump stays the same jump while its width changes by less than this.
const SAME: Duration = Duration::from_secs(60);
/// While the wall clock is behind, time passes slower by one part in so many.
const SLOWER: i128 = 8;

const NANOS_PER_MS: i128 = 1_000_000;

/// Tells the time. Tests bring their own. Clones tell the same.
#[derive(Clone)]
pub struct Clock(Arc<Inner>);

struct Inner {
    wall: Box<dyn Fn() -> Timestamp + Send + Sync>,
    passed: Box<dyn Fn() -> Duration + Send + Sync>,
    line: Mutex<Line>,
}

/// Standing of the wall clock against the time that is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClockStanding {
    /// They agree.
    Right,
    /// The wall clock is behind; time goes on without it, slower, until they agree again.
    Behind {
        /// By how much.
        by: Duration,
    },
    /// The wall clock has jumped ahead, and is not believed yet.
    Ahead {
        /// By how much.
        by: Duration,
        /// When it will be, if it stays so.
        believed_in: Duration,
    },
}

impl Clock {
    /// The clock of this machine.
    pub fn system() -> Self {
        Self::of(wall, passed)
    }

    /// A clock of one's own that also says how much time really passes.
    pub fn from_fn(now: impl Fn() -> Timestamp + Send + Sync + 'static) -> Self {
        let now = Arc::new(now);
        let wall = now.clone();
        let passed = move || Duration::from_millis(u64::try_from(now().0).unwrap_or(0));
        Self::of(move || wall(), passed)
    }

    /// A clock of a wall clock, which anything may happen to, and of the time that has passed since any moment.
    pub fn of(
        wall: impl Fn() -> Timestamp + Send + Sync + 'static,
        passed: impl Fn() -> Duration + Send + Sync + 'static,
    ) -> Self {
        let line = Line { told: nanos(wall()), passed: passed(), jump: None };
        Self(Arc::new(Inner { wall: Box::new(wall), passed: Box::new(passed), line: Mutex::new(line) }))
    }

    /// Now. Never before what was told already.
    pub fn now(&self) -> Timestamp {
        millis(self.line().told)
    }

    /// How the wall clock stands to the time.
    pub fn standing(&self) -> ClockStanding {
        let (line, wall) = (self.line(), nanos((self.0.wall)()));
        line.standing(wall)
    }

    /// How much a moment of ours is later than others see it, who have the wall clock only.
    pub(crate) fn as_others_see(&self, at: Timestamp) -> Timestamp {
        match self.standing() {
            ClockStanding::Behind { by } => {
                Timestamp(at.0.saturating_sub(i64::try_from(by.as_millis()).unwrap_or(i64::MAX)))
            }
            ClockStanding::Right | ClockStanding::Ahead { .. } => at,
        }
    }

    /// What is on record already lies before now. At a start nothing else says how long nobody was there, so the
    /// wall clock is believed as far as it is ahead: what expires too early does no harm.
    pub(crate) fn goes_on_from(&self, last: Timestamp) {
        let mut line = self.line();
        line.told = line.told.max(nanos((self.0.wall)())).max(nanos(last));
        line.jump = None;
    }

    /// Takes over a jump of the wall clock that is not believed yet. Gives by how much.
    pub(crate) fn accept(&self) -> Option<Duration> {
        let mut line = self.line();
        let wall = nanos((self.0.wall)());
        let by = line.jump.take().and(duration(wall - line.told));
        line.told = line.told.max(wall);
        by
    }

    /// The line, moved on to now.
    fn line(&self) -> MutexGuard<'_, Line> {
        // The lock first: whoever reads later is told later.
        let mut line = self.0.line.lock().unwrap_or_else(PoisonError::into_inner);
        let (wall, passed) = ((self.0.wall)(), (self.0.passed)());
        line.move_on(nanos(wall), passed);
        line
    }
}

impl std::fmt::Debug for Clock {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Clock")
    }
}

/// The wall clock of this machine, for people to read. Nothing expires by it: that is what [`Clock`] is for.
#[expect(clippy::disallowed_methods, reason = "this is the one place that reads the wall clock")]
pub fn wall() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

/// The time since the machine has started, sleep included: a laptop that was shut for a night has not jumped.
#[expect(clippy::disallowed_methods, reason = "this is the one place that reads the time that passes")]
fn passed() -> Duration {
    let since = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    Duration::new(u64::try_from(since.tv_sec).unwrap_or(0), u32::try_from(since.tv_nsec).unwrap_or(0))
}

/// Where time has come to, in nanoseconds since 1970: steps of less than a millisecond add up.
struct Line {
    told: i128,
    passed: Duration,
    jump: Option<Jump>,
}

/// A jump ahead of the wall clock.
#[derive(Clone, Copy)]
struct Jump {
    wide: i128,
    since: Duration,
}

impl Line {
    fn move_on(&mut self, wall: i128, passed: Duration) {
        let went = i128::try_from(passed.saturating_sub(self.passed).as_nanos()).unwrap_or(0);
        self.passed = passed;
        let told = self.told + went;
        let ahead = wall - told;
        if ahead < 0 {
            self.jump = None;
            self.told = wall.max(told - went / SLOWER);
        } else if ahead <= as_nanos(JUMP) {
            self.jump = None;
            self.told = wall;
        } else {
            self.told = told;
            match self.jump {
                Some(jump) if (jump.wide - ahead).abs() < as_nanos(SAME) => {
                    if passed.saturating_sub(jump.since) >= believed_after(jump.wide) {
                        self.jump = None;
                        self.told = wall;
                    }
                }
                Some(_) | None => self.jump = Some(Jump { wide: ahead, since: passed }),
            }
        }
    }

    fn standing(&self, wall: i128) -> ClockStanding {
        if let Some(jump) = self.jump {
            let stayed = self.passed.saturating_sub(jump.since);
            let believed_in = believed_after(jump.wide).saturating_sub(stayed);
            return ClockStanding::Ahead { by: duration(jump.wide).unwrap_or(JUMP), believed_in };
        }
        match duration(self.told - wall) {
            Some(by) if by > WORTH_A_WORD => ClockStanding::Behind { by },
            Some(_) | None => ClockStanding::Right,
        }
    }
}

fn believed_after(wide: i128) -> Duration {
    if wide > as_nanos(WIDE) { WIDE } else { BELIEVED }
}

fn nanos(at: Timestamp) -> i128 {
    i128::from(at.0) * NANOS_PER_MS
}

fn millis(nanos: i128) -> Timestamp {
    Timestamp(i64::try_from(nanos.div_euclid(NANOS_PER_MS)).unwrap_or(i64::MAX))
}

fn as_nanos(duration: Duration) -> i128 {
    i128::try_from(duration.as_nanos()).unwrap_or(i128::MAX)
}

fn duration(nanos: i128) -> Option<Duration> {
    let ms = u64::try_from(nanos.checked_div(NANOS_PER_MS)?).ok()?;
    Some(Duration::from_millis(ms))
}

#[cfg(test)]
mod tests;
