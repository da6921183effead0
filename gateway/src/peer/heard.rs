//! What comes of a message, and what answers a request that does not reach the gate.

use super::messages::{self, Message, RequestId};
use super::requests::{Over, Requests, Share, Taken};
use super::{Closed, RETRY_AFTER};
use crate::gate::{self, Failure, Refusal};
use crate::metrics::METRICS;

/// What comes of a message.
pub(super) enum Heard {
    Nothing,
    Request(RequestId, Taken),
    ToAnswer(Vec<u8>),
}

/// Takes in a message. `room` says whether there is any for one more whole request.
pub(super) fn hear(
    message: Message<'_>,
    requests: &mut Requests,
    share: &mut Share,
    room: impl FnOnce() -> Result<(), Failure>,
) -> Result<Heard, Closed> {
    match message {
        Message::Request { id, part, last } => Ok(match requests.part(id, part, last, share) {
            None => Heard::Nothing,
            Some(Err(Over::TooMany)) => return Err(Closed::Warned("too many requests begun".to_owned())),
            Some(taken) => match room() {
                Ok(()) => Heard::Request(id, taken),
                Err(failure) => {
                    share.give_back(taken.as_ref().map_or(0, Vec::len));
                    Heard::ToAnswer(messages::reply(id, &answer(&taken, &failure)))
                }
            },
        }),
        Message::Ping(Some(zeros)) => Ok(Heard::ToAnswer(messages::pong(zeros))),
        Message::Ping(None) | Message::Ignored => Ok(Heard::Nothing),
        Message::MalformedPing => Err(Closed::Warned("malformed ping".to_owned())),
        Message::Init(_) => Err(Closed::Warned("unexpected second init".to_owned())),
        Message::MustKnow(kind) => Err(Closed::Warned(format!("unknown even message type {kind}"))),
        Message::Error => Err(Closed::PeerError),
    }
}

/// The message that answers a request which came too late.
pub(super) fn refuse(id: RequestId, taken: &Taken) -> Vec<u8> {
    messages::reply(id, &answer(taken, &Failure::shutting_down()))
}

/// The reply to a request that does not reach the gate for this reason.
fn answer(taken: &Taken, failure: &Failure) -> Vec<u8> {
    match taken {
        Ok(request) => gate::fail(request, failure),
        Err(over) => over.reply(),
    }
}

impl Over {
    /// The reply to the request that was not taken in.
    pub(super) fn reply(self) -> Vec<u8> {
        match self {
            Over::TooLarge => {
                METRICS.refusals.count("too large");
                Refusal::malformed("Request too large").reply()
            }
            Over::Limit(limit) => Failure::busy(limit, RETRY_AFTER).reply("null"),
            Over::TooMany => Failure::busy("requests_begun_per_connection", RETRY_AFTER).reply("null"),
        }
    }
}
