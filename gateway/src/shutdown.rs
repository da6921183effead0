//! A signal to stop, for many tasks at once.

use tokio::sync::watch;

/// Gives the signal; dropping it gives it too.
#[derive(Debug)]
pub(crate) struct Trigger(watch::Sender<bool>);

/// Waits for the signal.
#[derive(Clone, Debug)]
pub(crate) struct Shutdown(watch::Receiver<bool>);

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
