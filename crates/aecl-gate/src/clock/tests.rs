//! A machine whose wall clock anything may happen to.

use super::*;
use proptest::prelude::*;
use std::sync::atomic::{AtomicI64, Ordering};

const START: i64 = 1_767_225_600_000;
const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

/// What has passed, and how far the wall clock is off, in milliseconds.
#[derive(Clone, Default)]
struct Machine(Arc<(AtomicI64, AtomicI64)>);

impl Machine {
    fn clock(&self) -> Clock {
        let (wall, passed) = (self.clone(), self.clone());
        let passed = move || Duration::from_millis(u64::try_from(passed.passed()).unwrap());
        Clock::of(move || Timestamp(wall.wall()), passed)
    }

    fn passed(&self) -> i64 {
        self.0.0.load(Ordering::SeqCst)
    }

    fn wall(&self) -> i64 {
        START + self.passed() + self.0.1.load(Ordering::SeqCst)
    }

    /// Time passes; somebody looks at the clock each second, as housekeeping does.
    fn pass(&self, clock: &Clock, ms: i64) {
        for _ in 0..ms / 1000 {
            self.0.0.fetch_add(1000, Ordering::SeqCst);
            clock.now();
        }
        self.0.0.fetch_add(ms % 1000, Ordering::SeqCst);
    }

    fn off_by(&self, ms: i64) {
        self.0.1.store(ms, Ordering::SeqCst);
    }
}

/// How far the time that is told is from the time that has passed.
fn off(machine: &Machine, clock: &Clock) -> i64 {
    clock.now().0 - START - machine.passed()
}

#[test]
fn time_follows_a_wall_clock_that_is_right() {
    let machine = Machine::default();
    let clock = machine.clock();
    for step in [1, 999, 17, HOUR, 30 * MINUTE] {
        machine.pass(&clock, step);
        assert_eq!((clock.now().0, clock.standing()), (machine.wall(), ClockStanding::Right));
    }
    // Small steps ahead are what NTP does.
    machine.off_by(4 * MINUTE);
    assert_eq!(clock.now().0, machine.wall());
}

#[test]
fn time_goes_on_while_the_wall_clock_is_behind_and_meets_it_again() {
    let machine = Machine::default();
    let clock = machine.clock();
    machine.off_by(-20 * MINUTE);
    let before = clock.now();
    machine.pass(&clock, 8 * MINUTE);
    // An eighth slower, never standing still.
    assert_eq!(clock.now().0 - before.0, 7 * MINUTE);
    let ClockStanding::Behind { by } = clock.standing() else { panic!("{:?}", clock.standing()) };
    assert_eq!(i64::try_from(by.as_millis()).unwrap(), 19 * MINUTE);
    machine.pass(&clock, 152 * MINUTE);
    assert_eq!((clock.now().0, clock.standing()), (machine.wall(), ClockStanding::Right));
    machine.off_by(0);
    machine.pass(&clock, BELIEVED.as_millis() as i64 + 2000);
    assert_eq!(off(&machine, &clock), 0);
}

#[test]
fn a_step_that_is_too_small_to_see_is_not_lost() {
    let nanos = Arc::new(std::sync::atomic::AtomicU64::new(0));
    let passed = nanos.clone();
    // The wall clock stands still.
    let clock = Clock::of(|| Timestamp(START), move || Duration::from_nanos(passed.load(Ordering::SeqCst)));
    for _ in 0..1_000_000 {
        nanos.fetch_add(80, Ordering::SeqCst);
        clock.now();
    }
    assert_eq!(clock.now().0 - START, 70, "80 ms have passed, an eighth slower");
}

#[test]
fn a_jump_ahead_for_a_second_changes_nothing() {
    let machine = Machine::default();
    let clock = machine.clock();
    for wide in [2 * HOUR, 400 * DAY, 6 * MINUTE] {
        machine.off_by(wide);
        machine.pass(&clock, 1500);
        assert_eq!(off(&machine, &clock), 0);
        assert!(matches!(clock.standing(), ClockStanding::Ahead { .. }), "{:?}", clock.standing());
        machine.off_by(0);
        assert_eq!((off(&machine, &clock), clock.standing()), (0, ClockStanding::Right));
    }
}

#[test]
fn a_jump_that_stays_is_taken_over_and_one_of_days_has_to_stay_for_a_day() {
    for (wide, ms) in [(8 * HOUR, BELIEVED.as_millis() as i64), (400 * DAY, DAY)] {
        let machine = Machine::default();
        let clock = machine.clock();
        machine.off_by(wide);
        clock.now();
        machine.pass(&clock, ms - 1000);
        assert_eq!(off(&machine, &clock), 0);
        machine.pass(&clock, 2000);
        assert_eq!(off(&machine, &clock), wide);
        assert_eq!(clock.standing(), ClockStanding::Right);
    }
}

#[test]
fn a_jump_that_changes_begins_anew() {
    let machine = Machine::default();
    let clock = machine.clock();
    for wide in [2 * HOUR, 3 * HOUR, 2 * HOUR] {
        machine.off_by(wide);
        machine.pass(&clock, BELIEVED.as_millis() as i64 - 5000);
        assert_eq!(off(&machine, &clock), 0);
    }
}

#[test]
fn an_accepted_jump_counts_at_once() {
    let machine = Machine::default();
    let clock = machine.clock();
    assert_eq!(clock.accept(), None, "there is nothing to accept");
    machine.off_by(3 * DAY);
    clock.now();
    assert_eq!(clock.accept(), Some(Duration::from_secs(3 * 24 * 3600)));
    assert_eq!((off(&machine, &clock), clock.standing()), (3 * DAY, ClockStanding::Right));
}

#[test]
fn time_goes_on_from_the_last_entry() {
    let machine = Machine::default();
    let clock = machine.clock();
    clock.goes_on_from(Timestamp(START + 400 * DAY));
    machine.pass(&clock, 8000);
    assert_eq!(clock.now().0, START + 400 * DAY + 7000);
    // Who has the wall clock only sees what ends soon end soon.
    let seen = clock.as_others_see(clock.now().plus_s(60));
    assert_eq!(seen.0, machine.wall() + MINUTE);
    // A start after a long time takes the wall clock as it is.
    let clock = machine.clock();
    clock.goes_on_from(Timestamp(START - 90 * DAY));
    assert_eq!((clock.now().0, clock.standing()), (machine.wall(), ClockStanding::Right));
}

#[test]
#[expect(clippy::disallowed_methods, reason = "it is the clock that is tested")]
fn the_clock_of_this_machine_moves() {
    let clock = Clock::system();
    let (now, passed_before) = (clock.now(), passed());
    assert!((now.0 - wall().0).abs() < 60_000 && passed_before > Duration::ZERO);
    while passed() == passed_before {
        std::hint::spin_loop();
    }
    assert!(clock.now() >= now);
}

proptest! {
    /// Whatever the wall clock does: time never goes back, and passes by no less than seven eighths and, but for
    /// jumps of the wall clock that count, no more than what has really passed.
    #[test]
    fn no_wall_clock_stops_time(steps in prop::collection::vec((-500 * DAY..500 * DAY, 1..20 * MINUTE, any::<bool>()), 1..12)) {
        let machine = Machine::default();
        let mut clock = machine.clock();
        for (skew, ms, restarts) in steps {
            machine.off_by(skew);
            let before = clock.now();
            if restarts {
                clock = machine.clock();
                clock.goes_on_from(before);
                prop_assert!(clock.now() >= before);
            }
            let (began, told) = (machine.passed(), clock.now());
            machine.pass(&clock, ms);
            prop_assert!(clock.now().0 - told.0 >= (machine.passed() - began) * 7 / 8 - 1);
        }
        machine.off_by(0);
        let told = clock.now();
        machine.pass(&clock, HOUR);
        prop_assert!(clock.now().0 - told.0 >= HOUR * 7 / 8 - 1);
    }
}
