//! Signals to stop, for all who wait for them at once.

use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::watch;

use crate::sync::Notify;

/// Gives the signal; dropping it gives it too.
#[derive(Debug)]
pub(crate) struct Trigger(watch::Sender<bool>);

/// Waits for the signal.
#[derive(Clone, Debug)]
pub(crate) struct Shutdown(watch::Receiver<bool>);

/// A signal within one place, small enough for every connection to have one of its own.
#[derive(Debug, Default)]
pub(crate) struct Signal {
    given: AtomicBool,
    waiting: Notify,
}

/// A trigger and what it stops.
pub(crate) fn pair() -> (Trigger, Shutdown) {
    let (trigger, shutdown) = watch::channel(false);
    (Trigger(trigger), Shutdown(shutdown))
}

impl Trigger {
    pub(crate) fn pull(&self) {
        self.0.send_replace(true);
    }
}

impl Shutdown {
    /// Returns once the signal is given. Cancel-safe.
    pub(crate) async fn begun(&mut self) {
        // An error says that the trigger is gone: a signal too.
        let _ = self.0.wait_for(|begun| *begun).await;
    }
}

impl Signal {
    pub(crate) fn give(&self) {
        self.given.store(true, Ordering::Release);
        self.waiting.notify_waiters();
    }

    pub(crate) fn is_given(&self) -> bool {
        self.given.load(Ordering::Acquire)
    }

    /// Returns once the signal is given. Cancel-safe.
    pub(crate) async fn given(&self) {
        // Waits from here on, so that a signal given after the look is not missed.
        let given = self.waiting.notified();
        if !self.is_given() {
            given.await;
        }
    }
}
