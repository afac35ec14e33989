//! Work on pieces beside each other, whose results are taken in order.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// State to which each piece is added when it is its turn. However many work on pieces, it goes as if one had taken
/// them one after the other.
pub(super) struct Turns<S> {
    order: Mutex<Order<S>>,
    moved: Condvar,
}

struct Order<S> {
    next: u64,
    over: bool,
    state: S,
}

impl<S> Turns<S> {
    pub(super) fn new(state: S) -> Self {
        Self { order: Mutex::new(Order { next: 0, over: false, state }), moved: Condvar::new() }
    }

    /// Waits until all pieces before the `nth` were added, and adds it. False once nothing more is wanted.
    pub(super) fn add(&self, nth: u64, piece: impl FnOnce(&mut S) -> bool) -> bool {
        let mut order = self.lock();
        while !order.over && order.next != nth {
            order = self.moved.wait(order).unwrap_or_else(PoisonError::into_inner);
        }
        if order.over {
            return false;
        }
        let goes_on = piece(&mut order.state);
        order.next += 1;
        order.over = !goes_on;
        drop(order);
        self.moved.notify_all();
        goes_on
    }

    /// Whoever works is present. If one of them panics nobody waits for its piece.
    pub(super) fn present(&self) -> Present<'_, S> {
        Present(self)
    }

    pub(super) fn end(self) -> S {
        self.order.into_inner().unwrap_or_else(PoisonError::into_inner).state
    }

    fn lock(&self) -> MutexGuard<'_, Order<S>> {
        self.order.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Presence of one who works.
pub(super) struct Present<'a, S>(&'a Turns<S>);

impl<S> Drop for Present<'_, S> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.lock().over = true;
            self.0.moved.notify_all();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU64, Ordering};

    /// Runs `threads` that take 1,000 pieces, until `stop`. Gives what was added, and whether all came to an end.
    fn run(threads: usize, piece: impl Fn(u64, &mut Vec<u64>) -> bool + Sync) -> (Vec<u64>, bool) {
        let (turns, taken) = (Turns::new(Vec::new()), AtomicU64::new(0));
        let work = || {
            let _present = turns.present();
            loop {
                let nth = taken.fetch_add(1, Ordering::SeqCst);
                // Some take longer than those after them.
                (0..nth % 7).for_each(|_| std::thread::yield_now());
                if nth >= 1_000 || !turns.add(nth, |added| piece(nth, added)) {
                    return;
                }
            }
        };
        let all = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
            threads.into_iter().filter_map(|thread| thread.join().err()).count() == 0
        });
        (turns.end(), all)
    }

    #[test]
    fn pieces_are_added_in_order_however_many_work() {
        for threads in [1, 2, 7] {
            let (added, all) = run(threads, |nth, added| {
                added.push(nth);
                true
            });
            assert!(all && added.into_iter().eq(0..1_000), "{threads}");
        }
    }

    #[test]
    fn nothing_is_added_after_the_end() {
        let (added, all) = run(4, |nth, added| {
            added.push(nth);
            nth < 500
        });
        assert!(all && added.into_iter().eq(0..=500));
    }

    #[test]
    fn nobody_waits_for_a_piece_that_is_lost() {
        let (added, all) = run(4, |nth, added| {
            assert!(nth != 300, "lost");
            added.push(nth);
            true
        });
        assert!(!all && added.into_iter().eq(0..300));
    }
}
