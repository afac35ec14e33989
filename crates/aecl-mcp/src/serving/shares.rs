//! Shares of something that there is only so much of, such as seats or bytes: nobody has more than a share, and all
//! together have no more than there is.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Shares of something that is given out, and who has how much of it.
#[derive(Debug, Clone)]
pub struct Shares {
    each: usize,
    all: usize,
    taken: Arc<Mutex<Taken>>,
}

#[derive(Debug, Default)]
struct Taken {
    by: HashMap<String, usize>,
    all: usize,
}

/// Reason why somebody gets no more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NoShare {
    /// They have all that one may have, which is so much.
    Own(usize),
    /// All of it is taken, which is so much.
    All(usize),
}

impl Shares {
    /// Of `all`, everybody may have a quarter, and `least` at least.
    pub fn of(all: usize, least: usize) -> Self {
        Self { each: (all / 4).max(least), all, taken: Arc::default() }
    }

    /// What one may have.
    pub fn each(&self) -> usize {
        self.each
    }

    /// How much of it is taken.
    pub fn taken(&self) -> usize {
        self.lock().all
    }

    /// A share of whoever this is, with nothing in it yet.
    pub fn share(&self, who: &str) -> Share {
        Share { shares: self.clone(), who: who.to_owned(), has: 0 }
    }

    fn lock(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Share that somebody has taken, given back when it is dropped.
#[derive(Debug)]
pub struct Share {
    shares: Shares,
    who: String,
    has: usize,
}

impl Share {
    /// Whether so much more could be taken now.
    pub fn could(&self, more: usize) -> Result<(), NoShare> {
        self.fits(&self.shares.lock(), more)
    }

    /// Takes so much more.
    pub fn take(&mut self, more: usize) -> Result<(), NoShare> {
        let mut taken = self.shares.lock();
        self.fits(&taken, more)?;
        taken.all += more;
        *taken.by.entry(self.who.clone()).or_default() += more;
        drop(taken);
        self.has += more;
        Ok(())
    }

    /// Gives back what it has.
    pub fn give_back(&mut self) {
        let mut taken = self.shares.lock();
        taken.all -= self.has;
        if let Some(of_it) = taken.by.get_mut(&self.who) {
            *of_it -= self.has;
            if *of_it == 0 {
                taken.by.remove(&self.who);
            }
        }
        self.has = 0;
    }

    fn fits(&self, taken: &Taken, more: usize) -> Result<(), NoShare> {
        let Shares { each, all, .. } = self.shares;
        if taken.by.get(&self.who).map_or(0, |has| *has).saturating_add(more) > each {
            return Err(NoShare::Own(each));
        }
        if taken.all.saturating_add(more) > all {
            return Err(NoShare::All(all));
        }
        Ok(())
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.give_back();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_has_more_than_a_share_and_all_no_more_than_there_is() {
        let shares = Shares::of(40, 1);
        let mut one = shares.share("one");
        assert_eq!(one.take(6), Ok(()));
        assert_eq!(shares.share("one").take(5), Err(NoShare::Own(10)), "in another request, too");
        assert_eq!(one.take(4), Ok(()));
        let others: Vec<Share> = ["two", "three", "four"]
            .map(|who| {
                let mut share = shares.share(who);
                assert_eq!(share.take(10), Ok(()), "{who}");
                share
            })
            .into();
        assert_eq!(shares.share("five").could(1), Err(NoShare::All(40)));
        drop(one);
        assert_eq!(shares.share("five").take(10), Ok(()));
        drop(others);
        assert_eq!(shares.taken(), 0);
        assert!(shares.lock().by.is_empty(), "names are not kept");
    }
}
