//! Views of the store for whoever looks: some for short look-ups and others for long listings, so that a list makes no
//! look-up wait. All of them are opened at the start; whoever finds none free waits for one.

use crate::error::LedgerError;
use crate::store::{Store, StoreError};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::Semaphore;

/// Look-ups at once.
const LOOK_UPS: usize = 3;
/// Listings at once.
const LISTINGS: usize = 2;

/// How much is read.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Reach {
    /// What stands under a few keys, or is about one action.
    LookUp,
    /// Rows by the page, or all of them.
    Listing,
}

/// The views.
#[derive(Clone)]
pub(crate) struct Readers {
    source: Arc<Mutex<Box<dyn Store>>>,
    look_ups: Lane,
    listings: Lane,
}

#[derive(Clone)]
struct Lane {
    permits: Arc<Semaphore>,
    idle: Arc<Mutex<Vec<Box<dyn Store>>>>,
}

impl Lane {
    fn of(source: &dyn Store, views: usize) -> Result<Self, StoreError> {
        let idle = (0..views).map(|_| source.reader()).collect::<Result<Vec<_>, _>>()?;
        Ok(Self { permits: Arc::new(Semaphore::new(views)), idle: Arc::new(Mutex::new(idle)) })
    }
}

impl Readers {
    /// Views of what this one shows.
    pub(crate) fn of(source: Box<dyn Store>) -> Result<Self, LedgerError> {
        let look_ups = Lane::of(&*source, LOOK_UPS)?;
        let listings = Lane::of(&*source, LISTINGS)?;
        Ok(Self { source: Arc::new(Mutex::new(source)), look_ups, listings })
    }

    /// A view that is nobody else's.
    pub(crate) fn view(&self) -> Result<Box<dyn Store>, LedgerError> {
        Ok(self.source.lock().unwrap_or_else(PoisonError::into_inner).reader()?)
    }

    /// Reads from a view of its own, on a thread that may wait.
    pub(crate) async fn read<T: Send + 'static>(
        &self,
        reach: Reach,
        read: impl FnOnce(&mut dyn Store) -> Result<T, LedgerError> + Send + 'static,
    ) -> Result<T, LedgerError> {
        let lane = match reach {
            Reach::LookUp => self.look_ups.clone(),
            Reach::Listing => self.listings.clone(),
        };
        // Without a deadline: who is told to come back later does not know whether what was asked for has been done.
        let permit = lane.permits.acquire_owned().await;
        let permit = permit.map_err(|_| LedgerError::Stopped("nothing is read any more".into()))?;
        let readers = self.clone();
        let work = move || {
            let _permit = permit;
            let idle = lane.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
            // Whoever panics takes the view along.
            let mut view = idle.map_or_else(|| readers.view(), Ok)?;
            let found = read(&mut *view);
            lane.idle.lock().unwrap_or_else(PoisonError::into_inner).push(view);
            found
        };
        tokio::task::spawn_blocking(work).await.map_err(|e| LedgerError::Stopped(e.to_string()))?
    }
}
