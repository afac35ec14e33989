//! Who is connected to one socket. There is room for so many; when it gets scarce, whoever has shown no credential
//! goes first. All may come from one address, as they do behind a proxy, so the address alone says little.

use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, Ipv6Addr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// How long a connection may take until it counts as one that says nothing. Who opens many at once to use them all is
/// faster.
const GRACE: Duration = Duration::from_secs(1);

/// Everybody who is connected to one socket.
#[derive(Debug, Clone)]
pub struct Crowd(Arc<Room>);

#[derive(Debug)]
struct Room {
    /// Most connections.
    most: usize,
    /// Most of one address that have shown no credential.
    strangers: usize,
    /// Most that one caller keeps when there is no room.
    each: usize,
    grace: Duration,
    guests: Mutex<Guests>,
    /// Somebody has gone, or is idle.
    room: Notify,
    gave_way: Arc<AtomicU64>,
}

#[derive(Debug, Default)]
struct Guests {
    /// Counts what happens, as a clock that only says what was earlier.
    ticks: u64,
    by_number: BTreeMap<u64, Guest>,
}

#[derive(Debug)]
struct Guest {
    /// The address it comes from; none for the owner's own socket.
    from: Option<IpAddr>,
    /// Whose credential its last request bore.
    who: Option<String>,
    /// Requests that are not answered to their end.
    underway: usize,
    /// When it came, or was last given an answer.
    since: u64,
    came: Instant,
    leave: CancellationToken,
}

impl Guests {
    fn tick(&mut self) -> u64 {
        self.ticks += 1;
        self.ticks
    }

    /// The oldest of those.
    fn oldest(&self, of: impl Fn(&Guest) -> bool) -> Option<u64> {
        let of_them = self.by_number.iter().filter(|(_, guest)| of(guest));
        of_them.min_by_key(|(_, guest)| guest.since).map(|(number, _)| *number)
    }

    /// Who goes when there is no room: strangers; then who is known and idle; then, of whoever has more than a share
    /// and most of all, the oldest. Everybody else is busy, and is waited for.
    fn first_to_go(&self, share: usize) -> Option<u64> {
        self.oldest(|guest| guest.who.is_none() && guest.underway == 0)
            .or_else(|| self.oldest(|guest| guest.who.is_none()))
            .or_else(|| self.oldest(|guest| guest.underway == 0))
            .or_else(|| {
                let mut count: HashMap<&str, usize> = HashMap::new();
                for who in self.by_number.values().filter_map(|guest| guest.who.as_deref()) {
                    *count.entry(who).or_default() += 1;
                }
                let (most, n) = count.into_iter().max_by_key(|(_, n)| *n)?;
                (n > share).then(|| self.oldest(|guest| guest.who.as_deref() == Some(most)))?
            })
    }
}

impl Crowd {
    /// Room for so many, and for so many strangers of one address. `gave_way` counts who had to go.
    pub fn of(most: usize, strangers: usize, gave_way: Arc<AtomicU64>) -> Self {
        Self::with(most, strangers, most / 4, GRACE, gave_way)
    }

    /// The same where everybody is the same caller, so that nobody has too much.
    pub fn of_one(most: usize, strangers: usize, gave_way: Arc<AtomicU64>) -> Self {
        Self::with(most, strangers, usize::MAX, GRACE, gave_way)
    }

    fn with(most: usize, strangers: usize, each: usize, grace: Duration, gave_way: Arc<AtomicU64>) -> Self {
        let (guests, room) = (Mutex::default(), Notify::new());
        Self(Arc::new(Room { most, strangers, each, grace, guests, room, gave_way }))
    }

    /// Lets somebody in, once there is room.
    pub async fn enter(&self, from: Option<IpAddr>) -> Seat {
        loop {
            // Before the look, so that nobody who goes meanwhile is missed.
            let room = self.0.room.notified();
            if let Some(seat) = self.try_enter(from) {
                return seat;
            }
            room.await;
        }
    }

    fn try_enter(&self, from: Option<IpAddr>) -> Option<Seat> {
        let Room { most, strangers, each, grace, .. } = *self.0;
        let from = from.map(network);
        let mut guests = self.lock();
        let stranger = |guest: &Guest| guest.who.is_none() && guest.from == from;
        if guests.by_number.values().filter(|guest| stranger(guest)).count() >= strangers {
            let had_time = |guest: &Guest| stranger(guest) && guest.came.elapsed() >= grace;
            let idle = guests.oldest(|guest| had_time(guest) && guest.underway == 0);
            if let Some(goes) = idle.or_else(|| guests.oldest(had_time)) {
                self.dismiss(&mut guests, goes);
            }
        }
        if guests.by_number.len() >= most {
            let goes = guests.first_to_go(each)?;
            self.dismiss(&mut guests, goes);
        }
        let (number, leave) = (guests.tick(), CancellationToken::new());
        let guest =
            Guest { from, who: None, underway: 0, since: number, came: Instant::now(), leave: leave.clone() };
        guests.by_number.insert(number, guest);
        Some(Seat(Arc::new(Place { crowd: self.clone(), number, leave })))
    }

    fn dismiss(&self, guests: &mut Guests, number: u64) {
        if let Some(guest) = guests.by_number.remove(&number) {
            self.0.gave_way.fetch_add(1, Ordering::Relaxed);
            guest.leave.cancel();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Guests> {
        self.0.guests.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A machine has a whole network of 64 bits of IPv6 to call from.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << 64))),
    }
}

/// The place of one connection, given back when its last holder lets go.
#[derive(Debug, Clone)]
pub struct Seat(Arc<Place>);

#[derive(Debug)]
struct Place {
    crowd: Crowd,
    number: u64,
    leave: CancellationToken,
}

impl Seat {
    /// Completes when it has to give way to others.
    pub async fn taken_away(&self) {
        self.0.leave.cancelled().await;
    }

    /// A request has come in whole, with the credential of this one, if of anybody.
    pub fn asks(&self, who: Option<&str>) -> Underway {
        let mut guests = self.0.crowd.lock();
        if let Some(guest) = guests.by_number.get_mut(&self.0.number) {
            guest.underway += 1;
            // Who was known stays it: a page loads its style without a credential.
            if let Some(who) = who {
                guest.who = Some(who.to_owned());
            }
        }
        Underway(self.0.clone())
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.crowd.lock().by_number.remove(&self.number);
        self.crowd.0.room.notify_one();
    }
}

/// A request until it is answered to its end.
#[derive(Debug)]
pub struct Underway(Arc<Place>);

impl Drop for Underway {
    fn drop(&mut self) {
        let mut guests = self.0.crowd.lock();
        let now = guests.tick();
        if let Some(guest) = guests.by_number.get_mut(&self.0.number) {
            (guest.underway, guest.since) = (guest.underway.saturating_sub(1), now);
        }
        drop(guests);
        self.0.crowd.0.room.notify_one();
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn from(text: &str) -> Option<IpAddr> {
        Some(text.parse().unwrap())
    }

    fn gone(seat: &Seat) -> bool {
        seat.0.leave.is_cancelled()
    }

    #[test]
    fn strangers_of_one_address_push_out_each_other_and_nobody_else() {
        let crowd = Crowd::with(100, 3, 25, Duration::ZERO, Arc::default());
        let known = crowd.try_enter(from("127.0.0.1")).unwrap();
        drop(known.asks(Some("agent")));
        let elsewhere = crowd.try_enter(from("192.0.2.1")).unwrap();
        let strangers: Vec<Seat> =
            (0..5).map(|_| crowd.try_enter(from("::ffff:127.0.0.1")).unwrap()).collect();
        assert_eq!(strangers.iter().map(gone).collect::<Vec<_>>(), [true, true, false, false, false]);
        assert!(!gone(&known) && !gone(&elsewhere));
        let networks =
            ["2001:db8::1", "2001:db8::2", "2001:db8::3", "2001:db8::4", "2001:db8:0:1::1"].map(from);
        let sixes = networks.map(|address| crowd.try_enter(address).unwrap());
        assert_eq!(
            sixes.each_ref().map(gone),
            [true, false, false, false, false],
            "one network, one machine"
        );
        // A program that opens many at once to use them all.
        let crowd = Crowd::of(100, 3, Arc::default());
        let burst: Vec<Seat> = (0..50).map(|_| crowd.try_enter(from("127.0.0.1")).unwrap()).collect();
        assert!(!burst.iter().any(gone), "none of them had time to say who it is");
    }

    #[test]
    fn who_is_known_goes_after_strangers_and_who_is_busy_last() {
        let crowd = Crowd::of(4, 4, Arc::default());
        let new = || crowd.try_enter(None);
        let (idle, busy, page, silent) = (new().unwrap(), new().unwrap(), new().unwrap(), new().unwrap());
        drop(idle.asks(Some("a")));
        let working = busy.asks(Some("a"));
        let looking = page.asks(None);
        let next = new().unwrap();
        assert!(gone(&silent) && !gone(&page), "who says nothing goes before who has asked something");
        let waiting = next.asks(Some("b"));
        let last = new().unwrap();
        assert!(gone(&page) && !gone(&idle), "then strangers altogether");
        let calling = last.asks(Some("c"));
        let fifth = new().unwrap();
        assert!(gone(&idle) && !gone(&busy));
        let more = fifth.asks(Some("c"));
        // All are busy. Whoever has more than a quarter gives up one.
        let sixth = new().unwrap();
        assert_eq!([&busy, &next, &last, &fifth].map(gone), [false, false, true, false]);
        let whole = sixth.asks(Some("d"));
        assert!(new().is_none(), "nobody has more than a quarter, so the next one waits");
        drop(more);
        assert!(new().is_some());
        drop((working, looking, waiting, calling, whole));
    }
}
