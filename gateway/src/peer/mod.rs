//! One connection: init, pings, commando requests put together, calls side by side, replies cut
//! into parts.
//!
//! # Layout
//! - here: the connection's one task.
//! - `flow`: how fast it may ask.
//! - `heard`: what comes of a message.
//! - `messages`: what peers say to each other.
//! - `requests`: requests put together from their parts, within bounds.
//! - `call`: one request from decision to last part.
//! - `outbox`: what is to be sent, sealed in order.

mod call;
mod flow;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
mod heard;
mod messages;
mod outbox;
mod requests;

use std::collections::{HashMap, VecDeque};
use std::future::poll_fn;
use std::net::IpAddr;
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use futures_util::stream::{FuturesUnordered, StreamExt};
use runeward_noise::{Identity, NodeId, Reader};
use tokio::io::{AsyncRead, AsyncWrite, ReadHalf, WriteHalf};
use tokio::task::yield_now;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tracing::Instrument;
use tracing::field::Empty;

use crate::config::Limits;
use crate::gate::{Accepted, Failure, Gate};
use crate::metrics::METRICS;
use crate::node::Node;
use crate::shutdown::{Shutdown, Signal};
use call::{Call, Caller, End};
use flow::{Flow, Waits};
use heard::{Heard, hear, refuse};
use messages::{InitFault, Message, RequestId};
use outbox::{Drain, Outbox};
use requests::{Requests, Share, Taken};

pub(crate) use requests::Pool;

/// How long a peer may take to send its `init`.
const INIT_TIMEOUT: Duration = Duration::from_secs(15);

/// An idle peer is pinged this often.
const KEEP_ALIVE: Duration = Duration::from_secs(60);

/// A peer whose last rune was revoked is let go once it has been silent for so long: closed at once,
/// a request on its way would be left without an answer.
const PARTING: Duration = Duration::from_secs(5);

/// On shutdown: how long calls under way may still take to end by themselves.
const GRACE: Duration = Duration::from_millis(500);

/// On shutdown: how long requests that were already on their way are still answered.
const LINGER: Duration = Duration::from_millis(100);

/// How long a closing connection may take to be written out.
const CLOSING: Duration = Duration::from_millis(500);

/// What a message takes on the wire beside its own bytes: its length and two MACs (BOLT 8).
const OVERHEAD: usize = 2 + 16 + 16;

/// What a client is told to wait when there is no room for its request, in milliseconds.
const RETRY_AFTER: u64 = 1000;

/// What every connection works with.
pub(crate) struct Shared {
    pub(crate) identity: Identity,
    pub(crate) gate: Arc<Gate>,
    pub(crate) node: Arc<Node>,
    pub(crate) requests: Arc<Pool>,
    pub(crate) limits: Limits,
}

/// Does the handshake on a stream. `address`: where the peer is.
pub(crate) async fn accept<S: AsyncRead + AsyncWrite + Unpin>(
    mut stream: S,
    address: IpAddr,
    shared: Arc<Shared>,
) -> Result<Box<Peer<S>>, runeward_noise::Error> {
    let (node_id, transport) = runeward_noise::accept(&mut stream, &shared.identity).await?;
    let (reading, writing) = tokio::io::split(stream);
    Ok(Box::new(Peer {
        reader: Reader::new(reading, transport.opener),
        drain: Drain::new(writing),
        caller: Arc::new(Caller {
            name: node_id.to_string(),
            address,
            outbox: Outbox::new(transport.sealer),
            accepted: Accepted::default(),
            waits: Waits::default(),
            abandoned: Signal::default(),
            shared: Arc::clone(&shared),
        }),
        node_id,
        requests: Requests::new(shared.limits.requests_begun_per_connection.most()),
        outgoing: None,
        share: Share::new(Arc::clone(&shared.requests), address),
        waiting: VecDeque::new(),
        under_way: HashMap::new(),
        calls: FuturesUnordered::new(),
        flow: Flow::new(&shared.limits),
        lost_a_rune: false,
    }))
}

/// A connection after its handshake.
pub(crate) struct Peer<S> {
    reader: Reader<ReadHalf<S>>,
    drain: Drain<WriteHalf<S>>,
    caller: Arc<Caller>,
    node_id: NodeId,
    requests: Requests,
    share: Share,
    /// What the last message must be answered with before the next is read.
    outgoing: Option<Vec<u8>>,
    /// Whole requests whose turn has not come.
    waiting: VecDeque<(RequestId, Taken)>,
    /// The calls under way, with the bytes of their requests, which are counted until they are answered: what waits
    /// for the node still holds them. Of two requests with one id the second waits for the first.
    under_way: HashMap<RequestId, usize>,
    calls: FuturesUnordered<BoxFuture<'static, (RequestId, End)>>,
    flow: Flow,
    /// Whether a call ended because its rune was revoked.
    lost_a_rune: bool,
}

/// Why a connection ends.
#[derive(Debug, thiserror::Error)]
enum Closed {
    #[error("the peer closed it")]
    ByPeer,
    #[error("the peer sent an error")]
    PeerError,
    #[error("the peer's init is malformed")]
    MalformedInit,
    #[error("the peer sent no init")]
    NoInit,
    #[error("{0}")]
    Warned(String),
    #[error("a reply was cut")]
    CutReply,
    #[error("its rune was revoked")]
    Revoked,
    #[error("shutting down")]
    Shutdown,
    #[error(transparent)]
    Transport(#[from] runeward_noise::Error),
    #[error(transparent)]
    Io(#[from] std::io::Error),
}

impl<S: AsyncRead + AsyncWrite + Unpin> Peer<S> {
    /// The peer's node id.
    pub(crate) fn node_id(&self) -> NodeId {
        self.node_id
    }

    /// Serves the connection until it ends.
    pub(crate) async fn serve(mut self: Box<Self>, mut shutdown: Shutdown) {
        let closed = match self.greet().await {
            Ok(()) => self.converse(&mut shutdown).await,
            Err(closed) => closed,
        };
        tracing::debug!(reason = %closed, "connection closes");
        match &closed {
            // Nobody is there to hear more.
            Closed::ByPeer | Closed::Transport(_) | Closed::Io(_) => return,
            Closed::Shutdown => self.finish_calls().await,
            _ => {}
        }
        let _ = timeout(CLOSING, self.close(&closed)).await;
    }

    /// Exchanges `init`. Ours follows the handshake at once: clients wait for it before they speak.
    async fn greet(&mut self) -> Result<(), Closed> {
        self.caller.outbox.message(&messages::OUR_INIT).await?;
        self.drain.flush(&self.caller.outbox).await?;
        timeout(INIT_TIMEOUT, async {
            loop {
                let message = self.reader.next().await?.ok_or(Closed::ByPeer)?;
                match Message::parse(message) {
                    Message::Init(Ok(())) => return Ok(()),
                    Message::Init(Err(InitFault::Malformed)) => return Err(Closed::MalformedInit),
                    Message::Init(Err(InitFault::NoCommonNetwork)) => {
                        return Err(Closed::Warned("No common network".to_owned()));
                    }
                    Message::Error => return Err(Closed::PeerError),
                    Message::Ping(_) | Message::MalformedPing | Message::MustKnow(_) => {
                        return Err(Closed::NoInit);
                    }
                    Message::Request { .. } | Message::Ignored => {
                        self.flow.message();
                        self.flow.rest().await;
                    }
                }
            }
        })
        .await
        .unwrap_or(Err(Closed::NoInit))
    }

    async fn converse(&mut self, shutdown: &mut Shutdown) -> Closed {
        let mut heard = Instant::now();
        // Both wait on, whatever else happens: to begin anew each time takes locks that all share.
        let mut silence = pin!(sleep(KEEP_ALIVE));
        let mut stopping = pin!(shutdown.begun());
        loop {
            let event = tokio::select! {
                event = self.next_event() => event,
                () = &mut silence => {
                    if self.is_done() && heard.elapsed() >= PARTING {
                        return Closed::Revoked;
                    }
                    if heard.elapsed() >= KEEP_ALIVE {
                        heard = Instant::now();
                        self.outgoing.get_or_insert_with(|| messages::OUR_PING.to_vec());
                    }
                    silence.as_mut().reset(heard + KEEP_ALIVE);
                    continue;
                }
                () = &mut stopping => return Closed::Shutdown,
            };
            match event {
                Ok(Event::Heard(request)) => {
                    heard = Instant::now();
                    self.waiting.extend(request);
                }
                Ok(Event::CallEnded | Event::Sent | Event::Room) => {}
                Err(closed) => return closed,
            }
            self.start_calls();
            if !self.share.is_trusted() {
                // What others have to do goes before a stranger's next message.
                yield_now().await;
            }
            if self.is_done() {
                silence.as_mut().reset(heard + PARTING);
            }
        }
    }

    /// Whether a rune was revoked here under a call, and no other stands that would serve the peer.
    fn is_done(&self) -> bool {
        self.lost_a_rune && self.is_idle() && !self.caller.accepted.any_live()
    }

    /// Whether nothing is under way and nothing waits.
    fn is_idle(&self) -> bool {
        self.calls.is_empty() && self.waiting.is_empty() && self.outgoing.is_none()
    }

    /// Waits for whatever comes first. The peer's next message is read only when its last one is
    /// answered; calls go on and replies are written all the while. Cancel-safe.
    async fn next_event(&mut self) -> Result<Event, Closed> {
        let caller = &self.caller;
        tokio::select! {
            // What seals comes before what writes, so that all of it goes out together.
            biased;
            sent = caller.outbox.message(self.outgoing.as_deref().unwrap_or_default()), if self.outgoing.is_some() => {
                sent?;
                self.outgoing = None;
                Ok(Event::Sent)
            }
            Some((id, end)) = self.calls.next(), if !self.calls.is_empty() => self.note_end(id, end),
            () = ready_if(|| caller.waits.has_room()) => Ok(Event::Room),
            error = self.drain.run(&caller.outbox) => Err(error.into()),
            message = self.reader.next(), if self.outgoing.is_none() && !self.flow.rests() => {
                let message = message?.ok_or(Closed::ByPeer)?;
                METRICS.received.inc_by((message.len() + OVERHEAD) as u64);
                let message = Message::parse(message);
                // Until a rune was good, what a stranger asks is worth no more than a ping.
                match &message {
                    Message::Request { .. } if self.share.is_trusted() => {}
                    Message::Request { part, .. } => self.flow.part(part.len()),
                    Message::Ping(Some(zeros)) => self.flow.ping(*zeros),
                    _ => self.flow.message(),
                }
                let full = self.waiting.len() >= caller.shared.limits.requests_waiting_per_connection.most();
                let room = || match full {
                    true => Err(Failure::busy("requests_waiting_per_connection", RETRY_AFTER)),
                    false => self.flow.call(),
                };
                match hear(message, &mut self.requests, &mut self.share, room)? {
                    Heard::Nothing => Ok(Event::Heard(None)),
                    Heard::Request(id, taken) => Ok(Event::Heard(Some((id, taken)))),
                    Heard::ToAnswer(answer) => {
                        self.outgoing = Some(answer);
                        Ok(Event::Heard(None))
                    }
                }
            }
            () = self.flow.rest(), if self.flow.rests() => Ok(Event::Room),
        }
    }

    /// Starts the calls whose turn has come: a stranger's one by one, until one has shown a good rune.
    fn start_calls(&mut self) {
        let Caller { accepted, waits, shared, .. } = &*self.caller;
        if !self.share.is_trusted() && accepted.any() {
            self.share.trust();
        }
        let most = if self.share.is_trusted() { shared.limits.calls_per_connection.most() } else { 1 };
        while self.under_way.len().saturating_sub(waits.under_way()) < most {
            let next = self.waiting.iter().position(|(id, _)| !self.under_way.contains_key(id));
            let Some((id, request)) = next.and_then(|next| self.waiting.remove(next)) else { return };
            self.under_way.insert(id, request.as_ref().map_or(0, Vec::len));
            let call = Call::new(id, Arc::clone(&self.caller));
            let span = tracing::debug_span!(
                "call",
                id = format_args!("{:016x}", u64::from_be_bytes(id)),
                method = Empty,
                rune = Empty
            );
            // One that panics is cut; the others still end as they should.
            let ended = AssertUnwindSafe(call.run(request).instrument(span)).catch_unwind();
            self.calls.push(ended.map(move |ended| (id, ended.unwrap_or(End::Cut))).boxed());
        }
    }

    fn note_end(&mut self, id: RequestId, end: End) -> Result<Event, Closed> {
        match end {
            End::Cut => Err(Closed::CutReply),
            end => {
                self.lost_a_rune |= end == End::Revoked;
                self.share.give_back(self.under_way.remove(&id).unwrap_or_default());
                Ok(Event::CallEnded)
            }
        }
    }

    /// Gives the calls under way a moment to end by themselves; what has not started, and what still
    /// comes in, is told to come back.
    async fn finish_calls(&mut self) {
        let begun = Instant::now();
        let _ = timeout(GRACE, async {
            loop {
                let lingering = sleep_until(begun + LINGER);
                let event = tokio::select! {
                    event = self.next_event() => event,
                    () = lingering, if self.is_idle() => return,
                };
                match event {
                    Ok(Event::Heard(request)) => self.waiting.extend(request),
                    Ok(Event::CallEnded | Event::Sent | Event::Room) => {}
                    Err(_) => return,
                }
                if self.outgoing.is_none() {
                    self.outgoing = self.waiting.pop_front().map(|(id, request)| refuse(id, &request));
                }
            }
        })
        .await;
    }

    /// Ends what is left, with an error reply for each request, so that no client waits for ever.
    /// Then, between whole messages, the stream ends.
    async fn close(&mut self, closed: &Closed) -> Result<(), Closed> {
        self.caller.abandoned.give();
        let mut answers: Vec<Vec<u8>> = self.outgoing.take().into_iter().collect();
        answers.extend(self.waiting.drain(..).map(|(id, request)| refuse(id, &request)));
        if let Closed::Warned(why) = closed {
            answers.push(messages::warning(why));
        }
        while !self.calls.is_empty() {
            tokio::select! {
                biased;
                _ = self.calls.next() => {}
                error = self.drain.run(&self.caller.outbox) => return Err(error.into()),
            }
        }
        for answer in answers {
            self.drain.flush(&self.caller.outbox).await?;
            self.caller.outbox.message(&answer).await?;
        }
        self.drain.flush(&self.caller.outbox).await?;
        Ok(self.drain.close().await?)
    }
}

/// Ready once this holds when the task next looks.
async fn ready_if(mut holds: impl FnMut() -> bool) {
    poll_fn(|_| if holds() { Poll::Ready(()) } else { Poll::Pending }).await;
}

/// What happened on a connection.
enum Event {
    /// The peer spoke; with a whole request, if one ended.
    Heard(Option<(RequestId, Taken)>),
    CallEnded,
    Sent,
    /// There may be room for more.
    Room,
}
