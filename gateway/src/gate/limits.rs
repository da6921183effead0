//! The gateway's own limits on calls, by rune and by class: they hold whatever the rune says, and before
//! anything is charged to it.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use super::in_use::InUse;
use super::methods::{Class, class_of};
use super::own_methods::OwnMethod;
use super::runes::Denied;
use crate::config::{self, Limit};
use crate::rate::Rate;

/// Methods a node answers only when something happens.
const WAITING_PREFIX: &str = "wait";

/// When to come back where calls under way leave no room.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// The limits that hold for all connections together.
#[derive(Debug)]
pub(super) struct Limits {
    limits: config::Limits,
    /// The classes that have any.
    classes: Vec<Arc<OfClass>>,
}

/// The limits of one class, and what is under way of it.
#[derive(Debug)]
struct OfClass {
    name: &'static str,
    most: Limit,
    calls: InFlight,
    rate: Option<Rate>,
}

/// What is under way under one rune and all derived from it.
#[derive(Debug, Default)]
pub(super) struct UnderWay {
    calls: InFlight,
    waits: InFlight,
    /// Made with the first call, where there is a limit.
    rate: OnceLock<Option<Rate>>,
}

/// What allows a call, for as long as it is under way.
#[derive(Debug)]
pub(crate) struct Leave {
    pub(super) rune: Arc<InUse>,
    waits: bool,
    class: Option<Arc<OfClass>>,
}

#[derive(Debug, Default)]
struct InFlight(AtomicUsize);

/// Whether a method is answered only when something happens.
pub(super) fn waits(method: &str) -> bool {
    method.starts_with(WAITING_PREFIX) || OwnMethod::named(method) == Some(OwnMethod::WaitOffer)
}

impl Limits {
    pub(super) fn new(limits: config::Limits) -> Self {
        let classes = limits.calls_per_class.each().zip(limits.calls_per_second_per_class.each());
        let limited = classes.filter(|((_, most), (_, rate))| [*most, *rate] != [Limit::NONE; 2]);
        let classes = limited.map(|((name, most), (_, rate))| {
            Arc::new(OfClass { name, most, calls: InFlight::default(), rate: Rate::new(rate) })
        });
        Self { limits, classes: classes.collect() }
    }

    /// Leave for a call of this method under a rune about which all is right but its restrictions.
    pub(super) fn enter(&self, rune: Arc<InUse>, method: &str) -> Result<Arc<Leave>, Denied> {
        let waits = waits(method);
        let of_rune = &rune.under_way;
        let (count, most, name) = match waits {
            true => (&of_rune.waits, self.limits.waits_per_rune, "waits_per_rune"),
            false => (&of_rune.calls, self.limits.calls_per_rune, "calls_per_rune"),
        };
        if !count.one_more(most) {
            return Err(busy(name, RETRY_AFTER));
        }
        // From here on given back when dropped.
        let mut leave = Leave { rune: Arc::clone(&rune), waits, class: None };
        let class = self.of_class(method);
        if let Some(class) = class.filter(|_| !waits) {
            if !class.calls.one_more(class.most) {
                return Err(busy(&format!("calls_per_class.{}", class.name), RETRY_AFTER));
            }
            leave.class = Some(Arc::clone(class));
        }
        let rate = of_rune.rate.get_or_init(|| Rate::new(self.limits.calls_per_second_per_rune));
        take(rate).map_err(|wait| busy("calls_per_second_per_rune", wait))?;
        if let Some(class) = class {
            let name = || format!("calls_per_second_per_class.{}", class.name);
            take(&class.rate).map_err(|wait| busy(&name(), wait))?;
        }
        Ok(Arc::new(leave))
    }

    /// The limits of the method's class, if it has any.
    fn of_class(&self, method: &str) -> Option<&Arc<OfClass>> {
        if self.classes.is_empty() {
            return None;
        }
        let name = class_of(method).map_or("other", Class::name);
        self.classes.iter().find(|class| class.name == name)
    }
}

impl Leave {
    /// Returns once the rune is revoked. Cancel-safe.
    pub(super) async fn revoked(&self) {
        self.rune.revoked().await;
    }
}

impl Drop for Leave {
    fn drop(&mut self) {
        let of_rune = &self.rune.under_way;
        if self.waits { &of_rune.waits } else { &of_rune.calls }.one_less();
        if let Some(class) = &self.class {
            class.calls.one_less();
        }
    }
}

impl InFlight {
    fn one_more(&self, limit: Limit) -> bool {
        let most = limit.most();
        let one_more = |count: usize| (count < most).then_some(count + 1);
        self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more).is_ok()
    }

    fn one_less(&self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

fn take(rate: &Option<Rate>) -> Result<(), Duration> {
    rate.as_ref().map_or(Ok(()), |rate| rate.take(1))
}

fn busy(limit: &str, wait: Duration) -> Denied {
    Denied::Busy { limit: limit.to_owned(), wait }
}
