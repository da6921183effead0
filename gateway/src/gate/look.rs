//! `runeward-peer`: what a caller's own connection and channels look like from the node's side.

use std::sync::Arc;

use serde_json::value::RawValue;

use super::limits::Leave;
use super::permit::Permit;
use super::reply::{self, Failure};

/// A look at one peer, which takes two of the node's replies.
pub(crate) struct Look {
    id: String,
    node_id: String,
    permits: [Permit; 2],
}

/// What is read of a node's reply.
#[derive(serde::Deserialize)]
struct NodeReply<'a> {
    #[serde(borrow)]
    result: Option<Found<'a>>,
    error: Option<NodeError>,
}

/// A result of `listpeers` or `listpeerchannels`.
#[derive(serde::Deserialize)]
struct Found<'a> {
    #[serde(borrow, default)]
    peers: Vec<&'a RawValue>,
    #[serde(borrow, default)]
    channels: Vec<&'a RawValue>,
}

#[derive(serde::Deserialize)]
struct NodeError {
    code: i32,
    message: String,
}

/// What an entry says of whose it is.
#[derive(serde::Deserialize)]
struct Entry {
    #[serde(alias = "peer_id")]
    id: String,
    #[serde(default)]
    connected: bool,
}

#[derive(serde::Serialize)]
struct View<'a> {
    node_id: &'a str,
    connected: bool,
    peers: Vec<&'a RawValue>,
    channels: Vec<&'a RawValue>,
}

impl Look {
    /// A look at whoever has this node id, asked for by the request with this id token; `leave` allows it.
    pub(super) fn at(node_id: &str, id: &str, leave: &Arc<Leave>) -> Self {
        let permit = |method: &str| {
            let command = format!("\"method\":\"{method}\",\"params\":{{\"id\":\"{node_id}\"}}");
            Permit::new(id, command.into_bytes(), false, false, Arc::clone(leave))
        };
        let permits = [permit("listpeers"), permit("listpeerchannels")];
        Self { id: id.to_owned(), node_id: node_id.to_owned(), permits }
    }

    /// The client's id token.
    pub(crate) fn id(&self) -> &str {
        &self.id
    }

    /// What to ask the node, one after the other.
    pub(crate) fn permits(&self) -> &[Permit] {
        &self.permits
    }

    /// Returns once the rune that allows the look is revoked. Cancel-safe.
    pub(crate) async fn revoked(&self) {
        self.permits[0].revoked().await;
    }

    /// The reply, put together from the node's.
    pub(crate) fn reply(&self, replies: &[Vec<u8>]) -> Result<Vec<u8>, Failure> {
        let view = put_together(&self.node_id, replies)?;
        Ok(reply::success(&self.id, &view))
    }
}

/// What the node's replies say of this peer, as JSON text. The node was asked for this one alone; what
/// it should tell of another all the same is left out.
fn put_together(node_id: &str, replies: &[Vec<u8>]) -> Result<String, Failure> {
    let own = |entry: &RawValue| {
        serde_json::from_str::<Entry>(entry.get()).ok().filter(|entry| entry.id == node_id)
    };
    let mut view = View { node_id, connected: false, peers: Vec::new(), channels: Vec::new() };
    for reply in replies {
        let reply: NodeReply<'_> = serde_json::from_slice(reply).map_err(|_| unreadable())?;
        if let Some(error) = reply.error {
            return Err(Failure::new(error.code, error.message));
        }
        let Found { peers, channels } = reply.result.ok_or_else(unreadable)?;
        for peer in peers {
            if let Some(entry) = own(peer) {
                view.connected |= entry.connected;
                view.peers.push(peer);
            }
        }
        view.channels.extend(channels.into_iter().filter(|channel| own(channel).is_some()));
    }
    serde_json::to_string(&view).map_err(|_| unreadable())
}

fn unreadable() -> Failure {
    Failure::outcome_unknown("the node answers in no way a lightningd does")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn tells_of_nobody_else() {
        let peers =
            br#"{"id":7,"result":{"peers":[{"id":"02bb","connected":true},{"id":"02aa","n":1.50},{"n":1}]}}"#;
        let channels = br#"{"id":7,"result":{"channels":[{"peer_id":"02aa"},{"peer_id":"02bb"},5]}}"#;
        assert_eq!(
            put_together("02aa", &[peers.to_vec(), channels.to_vec()]).unwrap(),
            r#"{"node_id":"02aa","connected":false,"peers":[{"id":"02aa","n":1.50}],"channels":[{"peer_id":"02aa"}]}"#
        );
        let error = br#"{"id":7,"error":{"code":-1,"message":"no"}}"#;
        assert_eq!(put_together("02aa", &[error.to_vec()]), Err(Failure::new(-1, "no")));
        assert!(put_together("02aa", &[b"{}".to_vec()]).is_err());
    }
}
