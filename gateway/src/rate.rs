//! So many a second.

use std::num::NonZeroU32;
use std::time::Duration;

use governor::clock::Clock;
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};

use crate::config::Limit;

/// Seconds' worth that may come at once.
const BURST_SECONDS: NonZeroU32 = NonZeroU32::MIN.saturating_add(3);

/// A limit on how many come in a second, on average; four seconds' worth may come at once.
#[derive(Debug)]
pub(crate) struct Rate {
    limiter: DefaultDirectRateLimiter,
    burst: NonZeroU32,
}

impl Rate {
    /// `None` where there is no limit.
    pub(crate) fn new(limit: Limit) -> Option<Self> {
        let per_second = limit.get()?;
        let quota = quota(per_second);
        Some(Self { limiter: RateLimiter::direct(quota), burst: quota.burst_size() })
    }

    /// Takes `count`, at most as many as may come at once; where they are not to be had, how long until they are.
    pub(crate) fn take(&self, count: u32) -> Result<(), Duration> {
        let Some(count) = NonZeroU32::new(count) else { return Ok(()) };
        match self.limiter.check_n(count.min(self.burst)) {
            Ok(Err(not_until)) => Err(not_until.wait_time_from(self.limiter.clock().now())),
            // There is never more asked for than may come at once.
            Ok(Ok(())) | Err(_) => Ok(()),
        }
    }

    /// How many may come at once.
    pub(crate) fn burst(&self) -> u32 {
        self.burst.get()
    }
}

/// So many a second, four seconds' worth at once.
pub(crate) fn quota(per_second: NonZeroU32) -> Quota {
    Quota::per_second(per_second).allow_burst(per_second.saturating_mul(BURST_SECONDS))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn four_seconds_worth_at_once_then_one_after_the_other() {
        let rate = Rate::new("2".parse().unwrap()).unwrap();
        assert_eq!(rate.burst(), 8);
        rate.take(7).unwrap();
        rate.take(1).unwrap();
        let wait = rate.take(1).unwrap_err();
        assert!(wait > Duration::from_millis(1) && wait <= Duration::from_millis(500), "{wait:?}");
        // What is more than may come at once counts as that.
        let wait = rate.take(1000).unwrap_err();
        assert!(wait > Duration::from_secs(2) && wait <= Duration::from_secs(4), "{wait:?}");
        assert!(Rate::new(Limit::NONE).is_none());
    }
}
