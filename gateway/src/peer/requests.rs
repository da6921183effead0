//! Requests put together from their parts, within bounds.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, PoisonError};

use super::messages::RequestId;
use crate::config::Limits;
use crate::sync::Mutex;

/// Longest request, in bytes.
pub(super) const MAX_REQUEST: usize = 1_048_576;

/// For each request that one connection may have begun and not ended, so many that were refused are remembered.
/// Nobody begins more in earnest.
const REMEMBERED: usize = 8;

/// What each connection may hold of its own, in bytes.
const OWN: usize = 64 * 1024;

/// The memory that all connections share for requests that have not been answered yet. A full pool
/// refuses what is new and never gives up what was begun. Connections on which no rune was good yet may hold half of
/// it together, whatever the others hold.
#[derive(Debug)]
pub(crate) struct Pool {
    limits: Limits,
    taken: Mutex<PoolUse>,
}

#[derive(Debug, Default)]
struct PoolUse {
    all: usize,
    /// Of all, what strangers hold.
    strangers: usize,
    by_address: HashMap<IpAddr, usize>,
}

/// One connection's share of the memory for requests; returned when dropped.
#[derive(Debug)]
pub(super) struct Share {
    pool: Arc<Pool>,
    address: IpAddr,
    /// Whether a rune was good on the connection.
    trusted: bool,
    /// Bytes held, own and pooled.
    held: usize,
}

/// Requests that have begun on one connection.
pub(super) struct Requests {
    begun: HashMap<RequestId, Begun>,
    /// Most that may have begun and not ended; more are refused.
    most: usize,
}

enum Begun {
    Parts(Vec<u8>),
    /// Refused; what follows of it is passed over.
    Over(Over),
}

/// A whole request, or why it was not taken in.
pub(super) type Taken = Result<Vec<u8>, Over>;

/// Why a request is not taken in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Over {
    /// Longer than [`MAX_REQUEST`].
    TooLarge,
    /// Over this limit: many have been begun, or the memory for them is used up.
    Limit(&'static str),
    /// More have been begun than can be kept in mind: the connection has to close.
    TooMany,
}

impl Requests {
    /// At most `most` may have begun and not ended.
    pub(super) fn new(most: usize) -> Self {
        Self { begun: HashMap::new(), most }
    }

    /// Takes in a part. With the last one the request comes out, or why there is none; its bytes stay
    /// counted in `share` until they are given back.
    pub(super) fn part(
        &mut self,
        id: RequestId,
        part: &[u8],
        last: bool,
        share: &mut Share,
    ) -> Option<Taken> {
        let mut request = match self.begun.remove(&id) {
            None if !last && self.begun.len() >= self.most.saturating_mul(REMEMBERED) => {
                return Some(Err(Over::TooMany));
            }
            None if !last && self.begun.len() >= self.most => {
                Err(Over::Limit("requests_begun_per_connection"))
            }
            None => Ok(Vec::new()),
            Some(Begun::Parts(bytes)) => Ok(bytes),
            Some(Begun::Over(over)) => Err(over),
        };
        if let Ok(bytes) = &mut request {
            let taken = match bytes.len() + part.len() > MAX_REQUEST {
                true => Err(Over::TooLarge),
                false => share.take(part.len()).map_err(Over::Limit),
            };
            match taken {
                Ok(()) => bytes.extend_from_slice(part),
                Err(over) => {
                    share.give_back(bytes.len());
                    request = Err(over);
                }
            }
        }
        if last {
            return Some(request);
        }
        self.begun.insert(id, request.map_or_else(Begun::Over, Begun::Parts));
        None
    }
}

impl Pool {
    pub(crate) fn new(limits: Limits) -> Self {
        Self { limits, taken: Mutex::default() }
    }
}

impl PoolUse {
    fn held_by(&self, address: IpAddr) -> usize {
        self.by_address.get(&address).copied().unwrap_or(0)
    }
}

impl Share {
    /// The share of a connection from `address`.
    pub(super) fn new(pool: Arc<Pool>, address: IpAddr) -> Self {
        Self { pool, address, trusted: false, held: 0 }
    }

    /// Whether a rune was good on the connection.
    pub(super) fn is_trusted(&self) -> bool {
        self.trusted
    }

    /// From now on the connection is one on which a rune was good.
    pub(super) fn trust(&mut self) {
        if !self.trusted {
            self.trusted = true;
            let mut taken = self.pool.taken.lock().unwrap_or_else(PoisonError::into_inner);
            taken.strangers -= self.held.saturating_sub(OWN);
        }
    }

    /// Takes `bytes`; where there is no room nothing is taken, and the limit is named.
    pub(super) fn take(&mut self, bytes: usize) -> Result<(), &'static str> {
        let more = (self.held + bytes).saturating_sub(OWN) - self.held.saturating_sub(OWN);
        if more > 0 {
            let limits = &self.pool.limits;
            let mut taken = self.pool.taken.lock().unwrap_or_else(PoisonError::into_inner);
            let all = taken.all + more;
            let counted = limits.counted(self.address);
            let by_address = counted.map(|address| (address, taken.held_by(address) + more));
            let strangers = taken.strangers + if self.trusted { 0 } else { more };
            let most = limits.request_memory.most();
            // Strangers together never keep out those who have shown a rune.
            if all > most || !self.trusted && strangers > most / 2 {
                return Err("request_memory");
            }
            if by_address.is_some_and(|(_, held)| held > limits.request_memory_per_address.most()) {
                return Err("request_memory_per_address");
            }
            (taken.all, taken.strangers) = (all, strangers);
            taken.by_address.extend(by_address);
        }
        self.held += bytes;
        Ok(())
    }

    /// Gives `bytes` back.
    pub(super) fn give_back(&mut self, bytes: usize) {
        let left = self.held.saturating_sub(bytes);
        let less = self.held.saturating_sub(OWN) - left.saturating_sub(OWN);
        self.held = left;
        if less > 0 {
            let mut taken = self.pool.taken.lock().unwrap_or_else(PoisonError::into_inner);
            taken.all -= less;
            taken.strangers -= if self.trusted { 0 } else { less };
            if let Some(address) = self.pool.limits.counted(self.address) {
                match taken.held_by(address).saturating_sub(less) {
                    0 => taken.by_address.remove(&address),
                    held => taken.by_address.insert(address, held),
                };
            }
        }
    }
}

#[cfg(any(test, fuzzing))]
impl Share {
    /// Whether nothing is held, here or of the pool.
    pub(super) fn is_empty(&self) -> bool {
        let taken = self.pool.taken.lock().unwrap_or_else(PoisonError::into_inner);
        self.held == 0 && (taken.all, taken.strangers) == (0, 0) && taken.by_address.is_empty()
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.give_back(self.held);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::sync::in_many_orders;
    use proptest::collection::vec;
    use proptest::prelude::*;
    use proptest::sample::Index;
    use shuttle::future::spawn;
    use std::collections::VecDeque;
    use std::net::Ipv4Addr;

    fn pool() -> Arc<Pool> {
        Arc::new(Pool::new(Limits::default()))
    }

    fn share(pool: &Arc<Pool>, last: u8) -> Share {
        Share::new(Arc::clone(pool), IpAddr::V4(Ipv4Addr::new(10, 0, 0, last)))
    }

    #[test]
    fn puts_parts_together_whatever_lies_between() {
        let mut share = share(&pool(), 1);
        let mut requests = Requests::new(1024);
        assert_eq!(requests.part([1; 8], b"a", false, &mut share), None);
        assert_eq!(requests.part([2; 8], b"x", false, &mut share), None);
        assert_eq!(requests.part([1; 8], b"", false, &mut share), None);
        assert_eq!(requests.part([1; 8], b"b", true, &mut share), Some(Ok(b"ab".to_vec())));
        assert_eq!(requests.part([2; 8], b"", true, &mut share), Some(Ok(b"x".to_vec())));
        assert_eq!(requests.part([1; 8], b"c", true, &mut share), Some(Ok(b"c".to_vec())));
        assert_eq!(share.held, 4);
    }

    #[test]
    fn an_oversize_request_is_answered_once_and_its_id_is_free_again() {
        let mut share = share(&pool(), 1);
        let mut requests = Requests::new(1024);
        let half = vec![b' '; MAX_REQUEST / 2];
        assert_eq!(requests.part([1; 8], &half, false, &mut share), None);
        assert_eq!(requests.part([1; 8], &half, false, &mut share), None);
        assert_eq!(requests.part([1; 8], b"!", false, &mut share), None);
        assert_eq!(share.held, 0);
        assert_eq!(requests.part([1; 8], &half, true, &mut share), Some(Err(Over::TooLarge)));
        assert_eq!(requests.part([1; 8], &half, false, &mut share), None);
        assert_eq!(requests.part([1; 8], &half, true, &mut share).unwrap().unwrap().len(), MAX_REQUEST);
    }

    #[test]
    fn a_full_pool_refuses_the_new_and_keeps_the_old() {
        let pool = pool();
        let part = vec![0; 60_000];
        let mut held = Vec::new();
        for last in 1..=20 {
            let mut share = share(&pool, last);
            let mut requests = Requests::new(1024);
            for id in 0..80u8 {
                requests.part([id; 8], &part, false, &mut share);
            }
            held.push((requests, share));
        }
        assert!(pool.taken.lock().unwrap().all <= Limits::default().request_memory.most());
        let mut other = share(&pool, 99);
        assert_eq!(
            Requests::new(1024).part([1; 8], &part, true, &mut other).unwrap().unwrap().len(),
            part.len(),
            "its own"
        );
        assert!(held.iter().all(|(_, share)| share.held > OWN || share.held == 60_000));
        let (requests, share) = &mut held[0];
        assert_eq!(
            requests.part([0; 8], b"", true, share).unwrap().unwrap().len(),
            part.len(),
            "begun first"
        );
        drop((held, other));
        let taken = pool.taken.lock().unwrap();
        assert_eq!((taken.all, taken.by_address.len()), (0, 0));
    }

    #[test]
    fn strangers_leave_half_of_the_pool_to_others() {
        let pool = pool();
        let part = vec![0; 60_000];
        let fill = |first: u8, trusted: bool| {
            let mut held = Vec::new();
            for last in first..first + 20 {
                let mut share = share(&pool, last);
                if trusted {
                    share.trust();
                }
                while share.take(part.len()).is_ok() {}
                held.push(share);
            }
            held
        };
        let all = || pool.taken.lock().unwrap().all;
        let (most, room) = (Limits::default().request_memory.most(), part.len());
        let mut strangers = fill(1, false);
        assert!((most / 2 - room..=most / 2).contains(&all()), "{}", all());
        // Those who show a rune hold what they hold as others do, and make room for as many strangers.
        strangers.iter_mut().take(4).for_each(Share::trust);
        assert_eq!(share(&pool, 60).take(2 * OWN), Ok(()));
        let others = fill(100, true);
        assert!((most - room..=most).contains(&all()), "{}", all());
        assert_eq!(share(&pool, 200).take(2 * OWN), Err("request_memory"));
        drop((strangers, others));
        // Others alone leave strangers what there is.
        let mut other = share(&pool, 1);
        other.trust();
        assert_eq!(other.take(Limits::default().request_memory_per_address.most()), Ok(()));
        assert_eq!(share(&pool, 2).take(2 * OWN), Ok(()));
        drop(other);
        assert!(share(&pool, 3).is_empty());
    }

    /// Connections that take and give back side by side never hold more than they may, and all is given back.
    #[test]
    fn no_order_takes_more_than_there_is() {
        in_many_orders(async || {
            let most = |bytes: usize| bytes.to_string().parse().unwrap();
            let limits = Limits {
                request_memory: most(3000),
                request_memory_per_address: most(2000),
                ..Limits::default()
            };
            let pool = Arc::new(Pool::new(limits));
            let connection = |last| {
                let (pool, mut share) = (Arc::clone(&pool), share(&pool, last));
                share.trust();
                spawn(async move {
                    share.take(OWN).unwrap();
                    let got =
                        [share.take(1500), share.take(1500)].iter().filter(|taken| taken.is_ok()).count();
                    let taken = pool.taken.lock().unwrap();
                    assert!(taken.all <= 3000 && taken.by_address.values().all(|held| *held <= 2000));
                    drop(taken);
                    share.give_back(got.min(1) * 1500);
                    got
                })
            };
            let connections = [1, 1, 2].map(connection);
            let mut got = 0;
            for connection in connections {
                got += connection.await.unwrap();
            }
            // Nobody is refused while there is room.
            assert!(got >= 2, "only {got} were let in");
            let taken = pool.taken.lock().unwrap();
            assert_eq!((taken.all, taken.by_address.len()), (0, 0));
        });
    }

    proptest! {
        /// In whatever order parts come, what comes out whole is what was put in under its id.
        #[test]
        fn interleaved_parts_stay_apart(steps in vec(any::<u8>(), 0..600)) {
            crate::peer::fuzzing::parts(&steps);
        }

        /// Requests cut anywhere, the parts of several between each other: each comes out as it was, with its last part.
        #[test]
        fn requests_cut_anywhere_come_out_whole(
            cut in vec((vec(any::<u8>(), 0..3000), vec(any::<Index>(), 0..6)), 1..8),
            turns in vec(any::<Index>(), 60),
        ) {
            let mut share = share(&pool(), 1);
            let mut requests = Requests::new(1024);
            let mut begun: Vec<_> = cut.iter().enumerate().map(|(id, (bytes, cuts))| {
                let mut ends: Vec<_> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
                ends.sort_unstable();
                ends.push(bytes.len());
                ([id as u8; 8], bytes, 0, VecDeque::from(ends))
            }).collect();
            let mut turns = turns.iter().cycle();
            while !begun.is_empty() {
                let at = turns.next().unwrap().index(begun.len());
                let (id, bytes, from, ends) = &mut begun[at];
                let end = ends.pop_front().unwrap();
                let taken = requests.part(*id, &bytes[*from..end], ends.is_empty(), &mut share);
                *from = end;
                if ends.is_empty() {
                    prop_assert_eq!(taken, Some(Ok(bytes.clone())));
                    share.give_back(end);
                    begun.remove(at);
                } else {
                    prop_assert_eq!(taken, None);
                }
            }
            prop_assert!(share.is_empty());
        }

        #[test]
        fn gives_back_what_was_taken(
            steps in vec((0u8..4, 0usize..70_000, any::<bool>()), 0..60),
            good_at in 0usize..60,
        ) {
            let pool = pool();
            let mut share = share(&pool, 1);
            let mut requests = Requests::new(1024);
            for (step, (id, length, last)) in steps.into_iter().enumerate() {
                if step >= good_at {
                    share.trust();
                }
                if let Some(Ok(bytes)) = requests.part([id; 8], &vec![0; length], last, &mut share) {
                    share.give_back(bytes.len());
                }
                let begun: usize = requests.begun.values().map(|begun| match begun {
                    Begun::Parts(bytes) => bytes.len(),
                    Begun::Over(_) => 0,
                }).sum();
                prop_assert_eq!(share.held, begun);
                let taken = pool.taken.lock().unwrap();
                let pooled = begun.saturating_sub(OWN);
                prop_assert_eq!((taken.all, taken.strangers), (pooled, if share.is_trusted() { 0 } else { pooled }));
            }
        }
    }
}
