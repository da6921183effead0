//! Clients that do everything right, and the count of what they get: no call of theirs may be lost, doubled or answered
//! with another's reply.

use std::collections::HashMap;
use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::net::TcpSocket;
use tokio::task::JoinSet;

use super::commando;
use crate::client::{self, PART, identity};
use crate::gateway::At;
use crate::stream::{self, Frames};
use crate::{Answer, Client, FakeNode, Gateway};

/// Between attempts of a client that was turned away.
const AGAIN: Duration = Duration::from_millis(50);

/// How long a client that is told to wait, each time it asks, asks again before its call counts as lost; where very many
/// clients want more memory at once than there is for all.
const PATIENCE: Duration = Duration::from_secs(120);

/// Honest clients come from this many addresses.
const ADDRESSES: usize = 100;

/// What the node was asked, by the caller's own mark.
#[derive(Clone, Default)]
pub struct Ledger(Arc<Mutex<HashMap<String, u32>>>);

impl Ledger {
    /// From now on `node` answers `echo` with its params, and every call is entered here and kept nowhere else.
    pub fn of(node: &FakeNode) -> Self {
        let ledger = Self::default();
        let entries = ledger.clone();
        let enter = move |request: &Value| {
            let mark = request["params"]["mark"].as_str().unwrap_or_default().to_owned();
            *entries.0.lock().unwrap().entry(mark).or_default() += 1;
            Answer::Echo
        };
        node.on("echo", Answer::By(Arc::new(enter)));
        node.keep_no_requests();
        ledger
    }

    fn times(&self, mark: &str) -> u32 {
        self.0.lock().unwrap().get(mark).copied().unwrap_or(0)
    }
}

/// What became of the calls.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// Calls made.
    pub calls: usize,
    /// Answered right.
    pub right: usize,
    /// Not answered, or with an error other than those that say when to come back.
    pub lost: usize,
    /// Answered twice, or run twice by the node.
    pub doubled: usize,
    /// Answered with what is not theirs.
    pub swapped: usize,
    /// Told to come back, and made again.
    pub told_to_wait: usize,
    /// How long each took, those made side by side as one.
    pub took: Vec<(Work, Duration)>,
}

impl Tally {
    /// The time that 99 of 100 calls did not exceed, of clients that work so.
    pub fn p99(&self, works: &[Work]) -> Duration {
        let of = self.took.iter().filter(|(work, _)| works.contains(work));
        let mut took: Vec<Duration> = of.map(|(_, took)| *took).collect();
        took.sort_unstable();
        took.get(took.len().saturating_sub(1) * 99 / 100).copied().unwrap_or_default()
    }

    /// Asserts that every call was answered right, once.
    pub fn assert_whole(&self) {
        let faults = (self.lost, self.doubled, self.swapped);
        assert_eq!(faults, (0, 0, 0), "lost, doubled, swapped of {} calls", self.calls);
        assert_eq!(self.right, self.calls);
        assert!(self.calls > 0, "no call was made");
    }

    /// Adds what became of other calls.
    pub fn add(&mut self, other: Self) {
        self.calls += other.calls;
        self.right += other.right;
        self.lost += other.lost;
        self.doubled += other.doubled;
        self.swapped += other.swapped;
        self.told_to_wait += other.told_to_wait;
        self.took.extend(other.took);
    }
}

/// How a client works.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Work {
    /// Short commands, one at a time, over TCP.
    Short,
    /// Commands of 200 kB, in parts, over TCP.
    Long,
    /// Eight at a time over a WebSocket, their parts between each other.
    Woven,
    /// A new connection for each.
    Newcomer,
}

impl Work {
    /// One of each.
    pub const ALL: [Self; 4] = [Self::Short, Self::Long, Self::Woven, Self::Newcomer];

    fn batch(self) -> usize {
        if self == Self::Woven { 8 } else { 1 }
    }

    /// Between calls: together the clients are busy, and no flood of their own.
    fn pace(self) -> Duration {
        Duration::from_millis(match self {
            Self::Short => 5,
            Self::Long | Self::Newcomer => 50,
            Self::Woven => 100,
        })
    }

    fn padding(self) -> usize {
        match self {
            Self::Short | Self::Newcomer => 10,
            Self::Long => 200_000,
            Self::Woven => 70_000,
        }
    }
}

/// Honest clients at work.
pub struct Honest {
    stop: Arc<AtomicBool>,
    clients: JoinSet<Tally>,
}

/// Numbers the clients of this process, so that no two marks are alike.
static NEXT: AtomicUsize = AtomicUsize::new(0);

impl Honest {
    /// Begins to work, until [`Honest::done`]; each client so.
    pub async fn begin(gateway: &Gateway, rune: &str, ledger: &Ledger, works: &[Work]) -> Self {
        Self::begin_with(gateway, rune, ledger, works, usize::MAX, crate::DEADLINE)
    }

    /// Makes so many calls with each client, as many clients at once as there are works.
    pub async fn make(gateway: &Gateway, rune: &str, ledger: &Ledger, works: &[Work], calls: usize) -> Tally {
        Self::begin_with(gateway, rune, ledger, works, calls, PATIENCE).joined().await
    }

    fn begin_with(
        gateway: &Gateway,
        rune: &str,
        ledger: &Ledger,
        works: &[Work],
        calls: usize,
        patience: Duration,
    ) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let mut clients = JoinSet::new();
        for work in works {
            let name = NEXT.fetch_add(1, Ordering::Relaxed);
            let from = Ipv4Addr::new(127, 0, 2, u8::try_from(1 + name % ADDRESSES).unwrap());
            let place = Place { gateway: gateway.at(), rune: rune.to_owned(), from };
            let worker = Worker {
                name,
                work: *work,
                place,
                client: None,
                calls,
                patience,
                made: 0,
                tally: Tally::default(),
            };
            clients.spawn(worker.run(Arc::clone(&stop), ledger.clone()));
        }
        Self { stop, clients }
    }

    /// Ends the work, and counts.
    pub async fn done(self) -> Tally {
        self.stop.store(true, Ordering::Relaxed);
        self.joined().await
    }

    async fn joined(mut self) -> Tally {
        let mut all = Tally::default();
        while let Some(tally) = self.clients.join_next().await {
            all.add(tally.unwrap());
        }
        all
    }
}

/// Where a client connects to, and with what right.
struct Place {
    gateway: At,
    rune: String,
    from: Ipv4Addr,
}

struct Worker {
    name: usize,
    work: Work,
    place: Place,
    client: Option<Client>,
    /// Calls to be made.
    calls: usize,
    /// How long a call that is told to wait is made again.
    patience: Duration,
    made: usize,
    tally: Tally,
}

/// One call: its mark, the text of its answer.
struct Made {
    mark: String,
    request: String,
    answer: String,
}

impl Worker {
    async fn run(mut self, stop: Arc<AtomicBool>, ledger: Ledger) -> Tally {
        while !stop.load(Ordering::Relaxed) && self.made < self.calls {
            let calls: Vec<Made> = (0..self.work.batch()).map(|_| self.make()).collect();
            self.tally.calls += calls.len();
            let start = Instant::now();
            let right = self.answered(&calls).await;
            self.tally.took.push((self.work, start.elapsed()));
            self.tally.right += right;
            for call in &calls {
                match ledger.times(&call.mark) {
                    0 if right == calls.len() => self.tally.swapped += 1,
                    0 | 1 => {}
                    _ => self.tally.doubled += 1,
                }
            }
            if self.work == Work::Newcomer {
                self.client = None;
            }
            tokio::time::sleep(self.work.pace()).await;
        }
        self.tally
    }

    /// The next call; no other has its mark.
    fn make(&mut self) -> Made {
        self.made += 1;
        let mark = format!("{}-{}", self.name, self.made);
        let padding = format!("{mark}.").repeat(self.work.padding() / (mark.len() + 1));
        let params = json!({"mark": mark, "padding": padding});
        Made {
            request: client::request(&json!(mark), "echo", &params, &self.place.rune),
            answer: format!(r#"{{"jsonrpc":"2.0","id":"{mark}","result":{params}}}"#),
            mark,
        }
    }

    /// Makes the calls side by side; how many were answered right. A call that is told to wait is made again.
    async fn answered(&mut self, calls: &[Made]) -> usize {
        let mut open: Vec<usize> = (0..calls.len()).collect();
        let (mut right, begun) = (0, Instant::now());
        while !open.is_empty() {
            if begun.elapsed() > self.patience {
                self.tally.lost += open.len();
                return right;
            }
            let Some(mut client) = self.connected().await else {
                self.tally.lost += open.len();
                return right;
            };
            send(&mut client, calls, &open).await;
            let mut again = Vec::new();
            let mut awaited = open.clone();
            while !awaited.is_empty() {
                let reply = tokio::time::timeout(crate::DEADLINE, client.next_reply()).await;
                let Ok(Ok(reply)) = reply else {
                    self.tally.lost += awaited.len();
                    return right;
                };
                let Some(at) = awaited.iter().position(|index| *index as u64 == reply.id) else {
                    self.tally.doubled += 1;
                    continue;
                };
                let index = awaited.swap_remove(at);
                match reply.text() == calls[index].answer {
                    true => right += 1,
                    false => match retry_after(&reply.json()) {
                        Some(wait) => {
                            self.tally.told_to_wait += 1;
                            again.push((index, wait));
                        }
                        None if reply.code().is_some() => self.tally.lost += 1,
                        None => self.tally.swapped += 1,
                    },
                }
            }
            self.client = Some(client);
            if let Some(wait) = again.iter().map(|(_, wait)| *wait).max() {
                tokio::time::sleep(wait).await;
            }
            open = again.into_iter().map(|(index, _)| index).collect();
        }
        right
    }

    /// The connection, made anew where there is none; who is turned away asks again.
    async fn connected(&mut self) -> Option<Client> {
        if let Some(client) = self.client.take() {
            return Some(client);
        }
        let connecting = async {
            loop {
                if let Some(client) = connect(&self.place, self.work == Work::Woven).await {
                    return client;
                }
                tokio::time::sleep(AGAIN).await;
            }
        };
        tokio::time::timeout(crate::DEADLINE, connecting).await.ok()
    }
}

/// A client ready for requests, unless the gateway turned it away.
async fn connect(place: &Place, websocket: bool) -> Option<Client> {
    let node_id = &place.gateway.node_id;
    let socket = TcpSocket::new_v4().ok()?;
    socket.bind((place.from, 0).into()).ok()?;
    let tcp = socket.connect(place.gateway.address).await.ok()?;
    tcp.set_nodelay(true).ok()?;
    let me = identity();
    let mut client = match websocket {
        false => Client::try_over(tcp, node_id, &me, 4096).await.ok()?,
        true => {
            let url = format!("ws://{}/", place.gateway.address);
            let (socket, _) = stream::try_websocket_over(tcp, &url, Frames::Of(PART)).await?;
            Client::try_over(socket, node_id, &me, 4096).await.ok()?
        }
    };
    client.next_message().await.ok()?;
    client.try_send(&client::EMPTY_INIT).await.then_some(client)
}

/// Sends the calls, a part of each in turn.
async fn send(client: &mut Client, calls: &[Made], open: &[usize]) {
    let longest = open.iter().map(|index| calls[*index].request.len()).max().unwrap_or(0);
    for at in (0..longest).step_by(PART) {
        for index in open {
            let request = calls[*index].request.as_bytes();
            if at < request.len() {
                let end = request.len().min(at + PART);
                let kind: u16 =
                    if end == request.len() { client::REQUEST_LAST } else { client::REQUEST_MORE };
                commando(client, kind, *index as u64, &request[at..end]).await;
            }
        }
    }
}

/// When to come back, where the gateway says so.
fn retry_after(reply: &Value) -> Option<Duration> {
    let wait = reply["error"]["data"]["retry_after_ms"].as_u64()?;
    (reply["error"]["code"] == 19542).then(|| Duration::from_millis(wait.min(2000)))
}
