//! Limits on strangers, before any cryptography is done for them.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, PoisonError};

use governor::{DefaultDirectRateLimiter, DefaultKeyedRateLimiter, Quota, RateLimiter};

use crate::config::Limits;

/// Seconds' worth of handshakes that may come at once.
const BURST_SECONDS: NonZeroU32 = NonZeroU32::MIN.saturating_add(3);

/// After this many admissions what is known of addresses long gone is forgotten.
const FORGET_EVERY: usize = 4096;

/// Admits connections, or does not.
#[derive(Debug)]
pub(super) struct Admissions {
    limits: Limits,
    rate: DefaultDirectRateLimiter,
    rate_per_address: DefaultKeyedRateLimiter<IpAddr>,
    open: Mutex<Open>,
}

#[derive(Debug, Default)]
struct Open {
    all: usize,
    by_address: HashMap<IpAddr, usize>,
    admitted: usize,
}

/// Leave for one connection; dropped when it ends.
#[derive(Debug)]
pub(super) struct Admission {
    admissions: Arc<Admissions>,
    address: IpAddr,
}

impl Admissions {
    pub(super) fn new(limits: Limits) -> Arc<Self> {
        let quota = |per_second: NonZeroU32| {
            Quota::per_second(per_second).allow_burst(per_second.saturating_mul(BURST_SECONDS))
        };
        Arc::new(Self {
            rate: RateLimiter::direct(quota(limits.handshakes_per_second)),
            rate_per_address: RateLimiter::keyed(quota(limits.handshakes_per_second_per_address)),
            open: Mutex::default(),
            limits,
        })
    }

    /// Admits a connection from this address, or names the limit that it is over.
    pub(super) fn admit(self: &Arc<Self>, address: IpAddr) -> Result<Admission, &'static str> {
        let address = network(address);
        self.rate_per_address.check_key(&address).map_err(|_| "handshakes_per_second_per_address")?;
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.admitted += 1;
        if open.admitted.is_multiple_of(FORGET_EVERY) {
            self.rate_per_address.retain_recent();
        }
        if open.all >= self.limits.connections {
            return Err("connections");
        }
        let from_here = open.by_address.get(&address).copied().unwrap_or(0);
        if from_here >= self.limits.connections_per_address {
            return Err("connections_per_address");
        }
        self.rate.check().map_err(|_| "handshakes_per_second")?;
        open.all += 1;
        open.by_address.insert(address, from_here + 1);
        Ok(Admission { admissions: Arc::clone(self), address })
    }
}

impl Drop for Admission {
    fn drop(&mut self) {
        let mut open = self.admissions.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.all -= 1;
        if let Some(from_here) = open.by_address.get_mut(&self.address) {
            *from_here -= 1;
            if *from_here == 0 {
                open.by_address.remove(&self.address);
            }
        }
    }
}

/// What counts as one address: whoever has an IPv6 address has its whole /64.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() >> 64 << 64)),
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn counts_what_is_open_and_by_address() {
        let limits = Limits { connections: 3, connections_per_address: 2, ..Limits::default() };
        let admissions = Admissions::new(limits);
        let (a, b): (IpAddr, IpAddr) = ("10.0.0.1".parse().unwrap(), "10.0.0.2".parse().unwrap());
        let first = admissions.admit(a).unwrap();
        let _second = admissions.admit(a).unwrap();
        assert_eq!(admissions.admit(a).unwrap_err(), "connections_per_address");
        let third = admissions.admit(b).unwrap();
        assert_eq!(admissions.admit(b).unwrap_err(), "connections");
        drop((first, third));
        let _again = admissions.admit(a).unwrap();
        drop(admissions.admit(b).unwrap());
        assert_eq!(admissions.open.lock().unwrap().by_address.len(), 1);
    }

    #[test]
    fn a_flood_from_one_address_leaves_room_for_others() {
        let limits = Limits { handshakes_per_second_per_address: NonZeroU32::MIN, ..Limits::default() };
        let admissions = Admissions::new(limits);
        let flood: IpAddr = "2001:db8::1".parse().unwrap();
        let neighbour: IpAddr = "2001:db8::ffff:1".parse().unwrap();
        let admitted = (0..100).filter(|_| admissions.admit(flood).is_ok()).count();
        assert!((4..=8).contains(&admitted), "{admitted}");
        assert!(admissions.admit(neighbour).is_err(), "the same /64");
        assert!(admissions.admit("2001:db8:0:1::1".parse().unwrap()).is_ok());
    }
}
