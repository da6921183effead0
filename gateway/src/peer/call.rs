//! One request, from decision to last part.

use std::net::IpAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::yield_now;
use tokio::time::timeout;

use super::flow::Waits;
use super::messages::RequestId;
use super::outbox::{MAX_PART, Outbox};
use super::requests::Taken;
use super::{RETRY_AFTER, Shared};
use crate::gate::audit::Record;
use crate::gate::{Accepted, Decision, Failure, Look, Permit, Wait};
use crate::metrics::{Held, METRICS};
use crate::node::{CallError, Reply};
use crate::shutdown::Signal;

/// Longest reply of the node that is read whole, in bytes: many times what it tells of one peer.
const MAX_WHOLE: usize = 1024 * 1024;

/// A client that has not made room for a part of its reply for so long is slow to read.
const SLOW: Duration = Duration::from_millis(100);

/// A call of one peer.
pub(super) struct Call {
    id: RequestId,
    caller: Arc<Caller>,
    /// Whether a part of its reply is sent.
    begun: bool,
    /// What is recorded of it, once it has been decided upon.
    record: Option<Record>,
}

/// What all calls of one connection work with.
pub(super) struct Caller {
    /// The peer's node id, 66 hex digits.
    pub(super) name: String,
    pub(super) address: IpAddr,
    pub(super) outbox: Outbox,
    /// The runes that were good here.
    pub(super) accepted: Accepted,
    /// Those of its calls that wait for something to happen.
    pub(super) waits: Waits,
    /// The connection is closing: its calls must end.
    pub(super) abandoned: Signal,
    pub(super) shared: Arc<Shared>,
}

/// How a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// With a whole reply.
    Answered,
    /// With an error, as its rune was revoked.
    Revoked,
    /// In the middle of its reply, which nothing can mend: the connection has to close.
    Cut,
}

impl Call {
    pub(super) fn new(id: RequestId, caller: Arc<Caller>) -> Self {
        Self { id, caller, begun: false, record: None }
    }

    /// Works on the request until it is answered.
    pub(super) async fn run(mut self, request: Taken) -> End {
        let _under_way = Held::new(&METRICS.calls_under_way);
        let request = match request {
            Ok(request) => request,
            Err(over) => return self.answer(&over.reply()).await,
        };
        let Caller { name, address, accepted, waits, shared, .. } = &*self.caller;
        let stranger = !accepted.any();
        if stranger {
            // What others have to do goes first.
            yield_now().await;
        }
        let (decision, record) = shared.gate.decide(&request, name, *address, accepted).await;
        self.record = Some(record);
        drop(request);
        if stranger {
            // It may be none any more.
            waits.make_room();
        }
        let (ended, id) = match &decision {
            Decision::Answer(reply) => return self.answer(reply).await,
            Decision::Forward(permit) => (unless(permit.revoked(), self.forward(permit)).await, permit.id()),
            Decision::Wait(wait) => (unless(wait.revoked(), self.wait(wait)).await, wait.id()),
            Decision::Look(look) => (unless(look.revoked(), self.look(look)).await, look.id()),
        };
        match ended {
            Ok(end) => end,
            Err(_) if self.begun => End::Cut,
            Err((failure, end)) => match self.answer(&failure.reply(id)).await {
                End::Answered => end,
                cut => cut,
            },
        }
    }

    /// Passes the command to the node and its reply to the peer, part by part.
    async fn forward(&mut self, permit: &Permit) -> Result<End, Failure> {
        let caller = Arc::clone(&self.caller);
        let Caller { waits, abandoned, shared, .. } = &*caller;
        let _place = permit.waits().then(|| waits.begin(&shared.limits)).transpose()?;
        let mut reply = tokio::select! {
            // Looked at first: a command that has been sent is never said not to have been.
            biased;
            reply = shared.node.call(permit) => reply?,
            () = abandoned.given() => return Err(Failure::shutting_down()),
        };
        let mut part = Vec::new();
        loop {
            let next = tokio::select! {
                biased;
                next = reply.next(&mut part) => next,
                () = abandoned.given() => Err(CallError::Lost("the connection is closing".to_owned())),
            };
            let last = next?;
            while part.len() > MAX_PART {
                self.begun = true;
                if self.pass_on(&part[..MAX_PART], &mut reply).await.is_err() {
                    return Ok(End::Cut);
                }
                part.drain(..MAX_PART);
            }
            if last {
                reply.finish();
                if permit.changes_runes() {
                    // Before the client knows that it is done, so that its next call finds it done.
                    shared.node.refresh().await;
                }
                return Ok(self.end(&part).await);
            }
        }
    }

    /// Waits for what the gate waits for.
    async fn wait(&mut self, wait: &Wait) -> Result<End, Failure> {
        let caller = Arc::clone(&self.caller);
        let Caller { waits, abandoned, shared, .. } = &*caller;
        let _place = waits.begin(&shared.limits)?;
        let reply = tokio::select! {
            reply = shared.gate.wait(wait) => reply?,
            () = abandoned.given() => return Err(Failure::shutting_down()),
        };
        Ok(self.answer(&reply).await)
    }

    /// Asks the node what a look takes, and sends what is put together from its replies.
    async fn look(&mut self, look: &Look) -> Result<End, Failure> {
        let mut replies = Vec::new();
        for permit in look.permits() {
            replies.push(self.whole(permit).await?);
        }
        Ok(self.answer(&look.reply(&replies)?).await)
    }

    /// The node's whole reply, where it is a short one.
    async fn whole(&mut self, permit: &Permit) -> Result<Vec<u8>, Failure> {
        let Caller { abandoned, shared, .. } = &*self.caller;
        let mut reply = tokio::select! {
            biased;
            reply = shared.node.call(permit) => reply?,
            () = abandoned.given() => return Err(Failure::shutting_down()),
        };
        let mut whole = Vec::new();
        loop {
            let last = tokio::select! {
                biased;
                next = reply.next(&mut whole) => next?,
                () = abandoned.given() => return Err(Failure::shutting_down()),
            };
            if whole.len() > MAX_WHOLE {
                return Err(Failure::busy("reply_memory", RETRY_AFTER));
            }
            if last {
                reply.finish();
                return Ok(whole);
            }
        }
    }

    /// Sends a reply made here.
    async fn answer(&mut self, reply: &[u8]) -> End {
        let mut parts = reply.chunks(MAX_PART).peekable();
        while let Some(part) = parts.next() {
            if parts.peek().is_none() {
                return self.end(part).await;
            }
            if self.send(part, false).await.is_err() {
                return End::Cut;
            }
        }
        End::Answered
    }

    async fn end(&mut self, last_part: &[u8]) -> End {
        match self.send(last_part, true).await {
            Ok(()) => End::Answered,
            Err(_) => End::Cut,
        }
    }

    /// Sends a part of the node's reply, of which more is to come. Where the client is slow to read, other calls go first.
    async fn pass_on(&mut self, part: &[u8], reply: &mut Reply) -> Result<(), runeward_noise::Error> {
        let mut sending = pin!(self.send(part, false));
        match timeout(SLOW, &mut sending).await {
            Ok(sent) => sent,
            Err(_) => {
                reply.step_aside();
                sending.await
            }
        }
    }

    /// Sends a part of the reply.
    async fn send(&mut self, part: &[u8], last: bool) -> Result<(), runeward_noise::Error> {
        if let Some(record) = &mut self.record {
            record.replied(part);
        }
        self.caller.outbox.reply(self.id, part, last).await
    }
}

/// What comes of `work`, unless the rune that allows it is `revoked` before.
async fn unless(
    revoked: impl Future<Output = ()>,
    work: impl Future<Output = Result<End, Failure>>,
) -> Result<End, (Failure, End)> {
    tokio::select! {
        // Looked at first: a reply that is there is sent.
        biased;
        ended = work => ended.map_err(|failure| (failure, End::Answered)),
        () = revoked => Err((Failure::revoked(), End::Revoked)),
    }
}

impl From<CallError> for Failure {
    fn from(error: CallError) -> Self {
        match error {
            CallError::Unreachable(why) => Failure::unreachable(&why),
            CallError::Busy(limit) => Failure::busy(limit, RETRY_AFTER),
            CallError::Lost(why) => Failure::outcome_unknown(&why),
        }
    }
}
