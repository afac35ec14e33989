//! Views of the store for whoever looks: a few for short look-ups and others for long listings, so that a list makes no
//! look-up wait, and no two look-ups wait for each other.

use crate::error::LedgerError;
use crate::store::Store;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::Semaphore;

/// Look-ups at once.
const LOOK_UPS: usize = 4;
/// Listings at once.
const LISTINGS: usize = 2;
/// How long somebody waits for a view.
const PATIENCE: Duration = Duration::from_secs(30);

/// How much is read.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Reach {
    /// What stands under a few keys.
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
    fn of(views: usize) -> Self {
        Self { permits: Arc::new(Semaphore::new(views)), idle: Arc::default() }
    }
}

impl Readers {
    /// Views of what this one shows.
    pub(crate) fn of(source: Box<dyn Store>) -> Self {
        let source = Arc::new(Mutex::new(source));
        Self { source, look_ups: Lane::of(LOOK_UPS), listings: Lane::of(LISTINGS) }
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
        let (lane, views) = match reach {
            Reach::LookUp => (self.look_ups.clone(), LOOK_UPS),
            Reach::Listing => (self.listings.clone(), LISTINGS),
        };
        let Ok(permit) = tokio::time::timeout(PATIENCE, lane.permits.acquire_owned()).await else {
            return Err(LedgerError::Busy { views, waited_s: PATIENCE.as_secs() });
        };
        let permit = permit.map_err(|_| LedgerError::Stopped("nothing is read any more".into()))?;
        let readers = self.clone();
        let work = move || {
            let _permit = permit;
            let idle = lane.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
            let mut view = match idle {
                Some(view) => view,
                None => readers.view()?,
            };
            // Whoever panics takes the view along.
            let found = read(&mut *view);
            lane.idle.lock().unwrap_or_else(PoisonError::into_inner).push(view);
            found
        };
        tokio::task::spawn_blocking(work).await.map_err(|e| LedgerError::Stopped(e.to_string()))?
    }
}
