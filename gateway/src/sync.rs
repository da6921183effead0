//! Locks and signals that tasks share where the order of their steps matters.
//!
//! In the unit tests they are the same but for one thing: before each use another task may go first, so that a model of
//! those who share them is run in many orders ([`in_many_orders`]).

#[cfg(not(test))]
pub(crate) use std::sync::Mutex;
#[cfg(not(test))]
pub(crate) use tokio::sync::Notify;

#[cfg(test)]
pub(crate) use modelled::{Mutex, Notify, in_many_orders};

#[cfg(test)]
mod modelled {
    use std::cell::Cell;
    use std::sync::{LockResult, MutexGuard, TryLockError};

    use shuttle::scheduler::RandomScheduler;
    use shuttle::{Config, Runner};
    use tokio::sync::futures::Notified;

    /// How many orders are tried.
    const ORDERS: usize = 1000;

    /// Of each task, in bytes: unoptimised code takes much.
    const STACK: usize = 512 * 1024;

    thread_local! {
        /// Whether a model runs here: its tasks take turns on one thread.
        static MODELLED: Cell<bool> = const { Cell::new(false) };
    }

    /// Runs a model again and again, each time in another order. A task that waits for ever fails it, as a panic does.
    pub(crate) fn in_many_orders(model: impl AsyncFn() + Send + Sync + 'static) {
        let config = {
            let mut config = Config::new();
            config.stack_size = STACK;
            config
        };
        MODELLED.set(true);
        Runner::new(RandomScheduler::new(ORDERS), config).run(move || shuttle::future::block_on(model()));
        MODELLED.set(false);
    }

    /// Another task may go first.
    fn step() {
        if MODELLED.get() {
            shuttle::thread::yield_now();
        }
    }

    #[derive(Debug, Default)]
    pub(crate) struct Mutex<T>(std::sync::Mutex<T>);

    impl<T> Mutex<T> {
        pub(crate) fn new(value: T) -> Self {
            Self(std::sync::Mutex::new(value))
        }

        pub(crate) fn lock(&self) -> LockResult<MutexGuard<'_, T>> {
            while MODELLED.get() {
                step();
                match self.0.try_lock() {
                    Err(TryLockError::WouldBlock) => {}
                    Err(TryLockError::Poisoned(error)) => return Err(error),
                    Ok(guard) => return Ok(guard),
                }
            }
            self.0.lock()
        }
    }

    #[derive(Debug, Default)]
    pub(crate) struct Notify(tokio::sync::Notify);

    impl Notify {
        pub(crate) fn new() -> Self {
            Self::default()
        }

        pub(crate) fn notify_one(&self) {
            step();
            self.0.notify_one();
        }

        pub(crate) fn notify_waiters(&self) {
            step();
            self.0.notify_waiters();
        }

        pub(crate) fn notified(&self) -> Notified<'_> {
            step();
            self.0.notified()
        }
    }
}
