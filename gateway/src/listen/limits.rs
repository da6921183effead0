//! Limits on strangers, before any cryptography is done for them.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use governor::{DefaultKeyedRateLimiter, RateLimiter};

use crate::config::Limits;
use crate::rate::{self, Rate};

/// After this many admissions what is known of addresses long gone is forgotten.
const FORGET_EVERY: usize = 4096;

/// Admits connections, or does not.
#[derive(Debug)]
pub(super) struct Admissions {
    limits: Limits,
    rate: Option<Rate>,
    rate_per_address: Option<DefaultKeyedRateLimiter<IpAddr>>,
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
    /// The address it counts for, if any.
    counted: Option<IpAddr>,
}

impl Admissions {
    pub(super) fn new(limits: Limits) -> Arc<Self> {
        let per_address = limits.handshakes_per_second_per_address.get();
        Arc::new(Self {
            rate: Rate::new(limits.handshakes_per_second),
            rate_per_address: per_address.map(|per_second| RateLimiter::keyed(rate::quota(per_second))),
            open: Mutex::default(),
            limits,
        })
    }

    /// Admits a connection from this address, or names the limit that it is over. `None`: where it comes from
    /// is not known yet, and no limit per address holds for it.
    pub(super) fn admit(self: &Arc<Self>, address: Option<IpAddr>) -> Result<Admission, &'static str> {
        let counted = address.and_then(|address| self.limits.counted(address));
        self.check_rate(counted)?;
        let mut open = self.lock();
        open.admitted += 1;
        if let (true, Some(rate)) = (open.admitted.is_multiple_of(FORGET_EVERY), &self.rate_per_address) {
            rate.retain_recent();
        }
        if open.all >= self.limits.connections.most() {
            return Err("connections");
        }
        let from_there = self.check_count(&open, counted)?;
        self.rate.as_ref().map_or(Ok(()), |rate| rate.take(1)).map_err(|_| "handshakes_per_second")?;
        open.all += 1;
        open.by_address.extend(from_there);
        Ok(Admission { admissions: Arc::clone(self), counted })
    }

    fn check_rate(&self, counted: Option<IpAddr>) -> Result<(), &'static str> {
        match (counted, &self.rate_per_address) {
            (Some(address), Some(rate)) => {
                rate.check_key(&address).map_err(|_| "handshakes_per_second_per_address")
            }
            _ => Ok(()),
        }
    }

    /// How many there are from this address with one more.
    fn check_count(
        &self,
        open: &Open,
        counted: Option<IpAddr>,
    ) -> Result<Option<(IpAddr, usize)>, &'static str> {
        let Some(address) = counted else { return Ok(None) };
        let from_there = open.by_address.get(&address).copied().unwrap_or(0);
        match from_there < self.limits.connections_per_address.most() {
            true => Ok(Some((address, from_there + 1))),
            false => Err("connections_per_address"),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Admission {
    /// Takes over where the connection comes from, or names the limit that it is over.
    pub(super) fn comes_from(&mut self, address: IpAddr) -> Result<(), &'static str> {
        let counted = self.admissions.limits.counted(address);
        self.admissions.check_rate(counted)?;
        let mut open = self.admissions.lock();
        let from_there = self.admissions.check_count(&open, counted)?;
        open.by_address.extend(from_there);
        drop(open);
        self.counted = counted;
        Ok(())
    }
}

impl Drop for Admission {
    fn drop(&mut self) {
        let mut open = self.admissions.lock();
        open.all -= 1;
        if let Some(address) = self.counted
            && let Some(from_there) = open.by_address.get_mut(&address)
        {
            *from_there -= 1;
            if *from_there == 0 {
                open.by_address.remove(&address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn limits(settings: &[(&str, &str)]) -> Limits {
        let text: String = settings.iter().map(|(name, limit)| format!("{name} = {limit}\n")).collect();
        toml::from_str(&text).unwrap()
    }

    fn ip(text: &str) -> Option<IpAddr> {
        Some(text.parse().unwrap())
    }

    #[test]
    fn counts_what_is_open_and_by_address() {
        let admissions = Admissions::new(limits(&[("connections", "3"), ("connections_per_address", "2")]));
        let (a, b) = (ip("10.0.0.1"), ip("10.0.0.2"));
        let first = admissions.admit(a).unwrap();
        let _second = admissions.admit(a).unwrap();
        assert_eq!(admissions.admit(a).unwrap_err(), "connections_per_address");
        let mut third = admissions.admit(None).unwrap();
        assert_eq!(admissions.admit(b).unwrap_err(), "connections");
        assert_eq!(third.comes_from(a.unwrap()).unwrap_err(), "connections_per_address");
        third.comes_from(b.unwrap()).unwrap();
        drop((first, third));
        let _again = admissions.admit(a).unwrap();
        drop(admissions.admit(b).unwrap());
        let open = admissions.lock();
        assert_eq!((open.all, open.by_address.len()), (2, 1));
    }

    #[test]
    fn a_flood_from_one_address_leaves_room_for_others() {
        let admissions = Admissions::new(limits(&[("handshakes_per_second_per_address", "1")]));
        let flood = ip("2001:db8::1");
        let admitted = (0..100).filter(|_| admissions.admit(flood).is_ok()).count();
        assert!((4..=8).contains(&admitted), "{admitted}");
        assert!(admissions.admit(ip("2001:db8::ffff:1")).is_err(), "the same /64");
        assert!(admissions.admit(ip("2001:db8:0:1::1")).is_ok());
    }

    #[test]
    fn loopback_counts_unless_told_otherwise() {
        let one = limits(&[("connections_per_address", "1")]);
        for (exempt_loopback, address, passes) in [
            (false, "127.0.0.1", false),
            (true, "127.0.0.1", true),
            (true, "::1", true),
            (true, "::ffff:127.8.8.8", true),
            (true, "10.0.0.1", false),
        ] {
            let admissions = Admissions::new(Limits { exempt_loopback, ..one });
            let _first = admissions.admit(ip(address)).unwrap();
            assert_eq!(admissions.admit(ip(address)).is_ok(), passes, "{address}");
        }
    }
}
