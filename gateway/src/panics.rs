//! Panics, told of and counted: none is meant to be reachable, and none may pass unnoticed.
//!
//! A panic ends the one connection or call it happens in, and nothing else.

use std::panic::{self, Location};
use std::sync::atomic::{AtomicU64, Ordering};

/// How many there were in this process.
static COUNT: AtomicU64 = AtomicU64::new(0);

/// From now on a panic is logged by its place alone: its message could hold what a peer sent.
pub(crate) fn watch() {
    panic::set_hook(Box::new(|info| note(info.location())));
}

/// How many there were.
pub(crate) fn count() -> u64 {
    COUNT.load(Ordering::Relaxed)
}

fn note(place: Option<&Location<'_>>) {
    let count = COUNT.fetch_add(1, Ordering::Relaxed) + 1;
    let place = place.map(ToString::to_string).unwrap_or_default();
    tracing::error!(place, count, "panicked: a fault of this program; please report it");
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::io::{self, Write};
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Log(Arc<Mutex<Vec<u8>>>);

    impl Write for Log {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_panic_is_logged_and_counted() {
        let log = Log::default();
        let writer = log.clone();
        let subscriber = tracing_subscriber::fmt().with_writer(move || writer.clone()).finish();
        tracing::subscriber::with_default(subscriber, || note(Some(Location::caller())));
        assert_eq!(count(), 1);
        let text = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
        assert!(text.contains("ERROR") && text.contains("panicked") && text.contains("panics.rs"), "{text}");
    }
}
