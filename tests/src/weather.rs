//! A bad network between clients and the gateway: slow, chopped, stalled, cut. In the tests' own process, so that it needs no
//! leave of the system.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// A way to a gateway. Gone when dropped, with all that leads over it.
pub struct Weather {
    address: SocketAddr,
    conditions: Arc<Conditions>,
    cuts: watch::Sender<usize>,
    accepting: JoinHandle<()>,
}

#[derive(Default)]
struct Conditions {
    delay_ms: AtomicUsize,
    stalled: AtomicBool,
    chopped: AtomicBool,
}

impl Weather {
    /// A way to `gateway`, fair so far.
    pub async fn before(gateway: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let conditions: Arc<Conditions> = Arc::default();
        let (cuts, cut) = watch::channel(0);
        let passing = Arc::clone(&conditions);
        let accepting = tokio::spawn(async move {
            loop {
                let (near, _) = listener.accept().await.unwrap();
                let far = TcpStream::connect(gateway).await.unwrap();
                for stream in [&near, &far] {
                    stream.set_nodelay(true).unwrap();
                    stream.set_zero_linger().unwrap();
                }
                let ((near_from, near_to), (far_from, far_to)) = (near.into_split(), far.into_split());
                for (from, to) in [(near_from, far_to), (far_from, near_to)] {
                    let (conditions, mut cut) = (Arc::clone(&passing), cut.clone());
                    cut.mark_unchanged();
                    tokio::spawn(async move {
                        tokio::select! {
                            _ = cut.changed() => {}
                            () = pass(from, to, &conditions) => {}
                        }
                    });
                }
            }
        });
        Self { address, conditions, cuts, accepting }
    }

    /// Where it begins.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// From now on what is read passes so much later.
    pub fn delay(&self, delay: Duration) {
        self.conditions.delay_ms.store(delay.as_millis() as usize, Ordering::Relaxed);
    }

    /// Whether it passes in pieces of few bytes.
    pub fn chop(&self, chopped: bool) {
        self.conditions.chopped.store(chopped, Ordering::Relaxed);
    }

    /// Whether nothing passes at all, as when packets are lost and sent again.
    pub fn stall(&self, stalled: bool) {
        self.conditions.stalled.store(stalled, Ordering::Relaxed);
    }

    /// Resets every connection, wherever it is.
    pub fn cut(&self) {
        self.cuts.send_modify(|cuts| *cuts += 1);
    }
}

impl Drop for Weather {
    fn drop(&mut self) {
        self.accepting.abort();
        self.cut();
    }
}

async fn pass(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, conditions: &Conditions) {
    let mut buffer = [0; 4096];
    // Of lengths that no boundary falls on.
    let mut pieces = [7, 1, 613, 18, 2, 1999].into_iter().cycle();
    loop {
        let chopped = conditions.chopped.load(Ordering::Relaxed);
        let room = if chopped { pieces.next().unwrap_or(1) } else { buffer.len() };
        let Ok(read @ 1..) = from.read(&mut buffer[..room]).await else { return };
        let delay = conditions.delay_ms.load(Ordering::Relaxed) as u64;
        if delay > 0 {
            tokio::time::sleep(Duration::from_millis(delay)).await;
        }
        while conditions.stalled.load(Ordering::Relaxed) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        if to.write_all(&buffer[..read]).await.is_err() {
            return;
        }
    }
}
