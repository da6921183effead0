//! Strangers on threads of their own, which the system runs where honest clients and the gateway hardly want to.
//!
//! Strangers have machines of their own. In a test they share its few cores with the gateway, and what they compute to
//! attack, more than it costs to be attacked, would pass for harm that the gateway lets be done. With hardly any claim to
//! a core they take what is left over, and honest clients wait for what the gateway does for strangers, not for what strangers
//! do. How true that is [`spin`] shows: beside it honest clients should take hardly longer than alone.

use std::panic::resume_unwind;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use tokio::runtime::{Builder, Runtime};

/// Threads of strangers.
const THREADS: usize = 2;

/// How much nicer they are than the rest of the process: where both want a core, they get a thirtieth of it.
const NICER: i32 = 15;

/// Runs `work` and all that it spawns on those threads.
pub async fn aside<T: Send + 'static>(work: impl Future<Output = T> + Send + 'static) -> T {
    let ended = strangers().spawn(work).await;
    ended.unwrap_or_else(|error| resume_unwind(error.into_panic()))
}

/// Keeps all of those threads busy for so long with nothing that reaches the gateway.
pub async fn spin(time: Duration) {
    let spinning = || async move {
        let begun = Instant::now();
        while begun.elapsed() < time {
            std::hint::spin_loop();
        }
    };
    tokio::join!(aside(spinning()), aside(spinning()));
}

fn strangers() -> &'static Runtime {
    static STRANGERS: OnceLock<Runtime> = OnceLock::new();
    STRANGERS.get_or_init(|| {
        // It holds for the thread that says so, on Linux.
        let give_way = || {
            rustix::process::nice(NICER).unwrap();
        };
        let mut runtime = Builder::new_multi_thread();
        runtime.worker_threads(THREADS).thread_name("strangers").on_thread_start(give_way).enable_all();
        runtime.build().unwrap()
    })
}
