//! The few Lightning messages a commando peer needs (BOLT 1), and commando's own.

/// Message types, 2 bytes on the wire.
pub(super) const WARNING: u16 = 1;
pub(super) const INIT: u16 = 16;
pub(super) const ERROR: u16 = 17;
pub(super) const PING: u16 = 18;
pub(super) const PONG: u16 = 19;
pub(super) const REQUEST_MORE: u16 = 0x4c4d;
pub(super) const REQUEST_LAST: u16 = 0x4c4f;
pub(super) const REPLY_MORE: u16 = 0x594b;
pub(super) const REPLY_LAST: u16 = 0x594d;

/// Gossip of even type that a node sends its peers unasked (BOLT 7): known, and of no use here.
const GOSSIP: [u16; 4] = [256, 258, 262, 264];

/// Most zero bytes a ping may ask for; one that asks for more wants no answer (BOLT 1 §ping).
const MAX_PONG: u16 = 65_531;

/// Our `init`: no features, and no networks, so that it fits peers of every network.
pub(super) const OUR_INIT: [u8; 6] = [0, 16, 0, 0, 0, 0];

/// Our keep-alive: asks for one byte.
pub(super) const OUR_PING: [u8; 6] = [0, 18, 0, 1, 0, 0];

/// What a peer said.
#[derive(PartialEq, Eq)]
#[cfg_attr(test, derive(Debug))]
pub(super) enum Message<'a> {
    Init(Result<(), InitFault>),
    /// How many zero bytes the peer wants back, if any.
    Ping(Option<u16>),
    MalformedPing,
    Error,
    /// Part of a request: its id, its bytes, whether it is the last part.
    Request {
        id: RequestId,
        part: &'a [u8],
        last: bool,
    },
    Ignored,
    /// Of an even type nobody told us about: the peer counts on its being understood.
    MustKnow(u16),
}

/// The id a client gives a request. It identifies nothing by itself: some clients always send zero.
pub(super) type RequestId = [u8; 8];

/// What is wrong with a peer's `init`.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum InitFault {
    Malformed,
    NoCommonNetwork,
}

impl<'a> Message<'a> {
    /// Reads a message. What is too short to have a type, or a request's id, means nothing.
    pub(super) fn parse(message: &'a [u8]) -> Self {
        let Some((kind, body)) = message.split_first_chunk::<2>() else { return Self::Ignored };
        match u16::from_be_bytes(*kind) {
            INIT => Self::Init(parse_init(body)),
            PING => match parse_ping(body) {
                None => Self::MalformedPing,
                Some(wanted) => Self::Ping(Some(wanted).filter(|wanted| *wanted <= MAX_PONG)),
            },
            ERROR => Self::Error,
            kind @ (REQUEST_MORE | REQUEST_LAST) => match body.split_first_chunk::<8>() {
                Some((id, part)) => Self::Request { id: *id, part, last: kind == REQUEST_LAST },
                None => Self::Ignored,
            },
            kind if kind % 2 == 0 && !GOSSIP.contains(&kind) => Self::MustKnow(kind),
            _ => Self::Ignored,
        }
    }
}

/// A warning about the whole connection (BOLT 1): 32 zero bytes, then the text.
pub(super) fn warning(text: &str) -> Vec<u8> {
    let length = u16::try_from(text.len()).unwrap_or(0);
    let mut message = Vec::with_capacity(36 + text.len());
    message.extend_from_slice(&WARNING.to_be_bytes());
    message.extend_from_slice(&[0; 32]);
    message.extend_from_slice(&length.to_be_bytes());
    message.extend_from_slice(&text.as_bytes()[..usize::from(length)]);
    message
}

/// A reply in one part; for those made here, which are short.
pub(super) fn reply(id: RequestId, reply: &[u8]) -> Vec<u8> {
    [&REPLY_LAST.to_be_bytes(), &id[..], reply].concat()
}

/// A pong with this many zero bytes.
pub(super) fn pong(zeros: u16) -> Vec<u8> {
    let mut message = vec![0; 4 + usize::from(zeros)];
    message[..2].copy_from_slice(&PONG.to_be_bytes());
    message[2..4].copy_from_slice(&zeros.to_be_bytes());
    message
}

fn parse_ping(body: &[u8]) -> Option<u16> {
    let (wanted, body) = body.split_first_chunk::<2>()?;
    let (padding, body) = body.split_first_chunk::<2>()?;
    (body.len() >= usize::from(u16::from_be_bytes(*padding))).then_some(u16::from_be_bytes(*wanted))
}

/// Two feature vectors, each with its length, then a TLV stream (BOLT 1 §The `init` Message). We
/// offer no feature, so which ones the peer has does not matter.
fn parse_init(body: &[u8]) -> Result<(), InitFault> {
    let vector = |body: &'_ [u8]| -> Option<usize> {
        let (length, rest) = body.split_first_chunk::<2>()?;
        let length = usize::from(u16::from_be_bytes(*length));
        (rest.len() >= length).then_some(2 + length)
    };
    let first = vector(body).ok_or(InitFault::Malformed)?;
    let second = vector(&body[first..]).ok_or(InitFault::Malformed)?;
    parse_init_tlvs(&body[first + second..])
}

fn parse_init_tlvs(mut tlvs: &[u8]) -> Result<(), InitFault> {
    const NETWORKS: u64 = 1;
    const CHAIN_HASH: usize = 32;
    let mut previous = None;
    let mut no_network = false;
    while !tlvs.is_empty() {
        let kind = big_size(&mut tlvs).ok_or(InitFault::Malformed)?;
        let length = big_size(&mut tlvs).and_then(|length| usize::try_from(length).ok());
        let value = length.and_then(|length| tlvs.split_at_checked(length));
        let (value, rest) = value.ok_or(InitFault::Malformed)?;
        tlvs = rest;
        if previous.is_some_and(|previous| previous >= kind) || kind % 2 == 0 {
            return Err(InitFault::Malformed);
        }
        previous = Some(kind);
        if kind == NETWORKS {
            if value.len() % CHAIN_HASH != 0 {
                return Err(InitFault::Malformed);
            }
            no_network = value.is_empty();
        }
    }
    if no_network { Err(InitFault::NoCommonNetwork) } else { Ok(()) }
}

/// A BigSize (BOLT 1, appendix A): 1, 3, 5 or 9 bytes, never more than needed.
fn big_size(bytes: &mut &[u8]) -> Option<u64> {
    let (&first, rest) = bytes.split_first()?;
    let (length, least) = match first {
        0xfd => (2, 0xfd),
        0xfe => (4, 0x1_0000),
        0xff => (8, 0x1_0000_0000),
        small => {
            *bytes = rest;
            return Some(u64::from(small));
        }
    };
    let (digits, rest) = rest.split_at_checked(length)?;
    *bytes = rest;
    let value = digits.iter().fold(0, |value, digit| value << 8 | u64::from(*digit));
    (value >= least).then_some(value)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::panic)]
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn init_as_nodes_and_clients_send_it() {
        let init = |rest: &[u8]| {
            let mut message = vec![0, 16];
            message.extend_from_slice(rest);
            match Message::parse(&message) {
                Message::Init(init) => init,
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(init(&[0, 0, 0, 0]), Ok(()));
        assert_eq!(init(&[0, 0, 0, 5, 0, 0, 0, 0, 0]), Ok(()));
        let networks = |length: u8| [&[0, 0, 0, 0, 1, length][..], &vec![6; usize::from(length)]].concat();
        assert_eq!(init(&networks(32)), Ok(()));
        assert_eq!(init(&networks(64)), Ok(()));
        assert_eq!(init(&networks(0)), Err(InitFault::NoCommonNetwork));
        assert_eq!(init(&networks(31)), Err(InitFault::Malformed));
        assert_eq!(init(&[0, 0, 0, 0, 3, 1, 9]), Ok(()));
        assert_eq!(init(&[0, 0, 0, 0, 55, 2, 1, 2]), Ok(()), "unknown odd");
        for malformed in [
            &[0][..],
            &[0, 1],
            &[0, 0, 0, 2, 1],
            &[0, 0, 0, 0, 54, 0],
            &[0, 0, 0, 0, 3, 0, 1, 0],
            &[0, 0, 0, 0, 3, 0, 3, 0],
            &[0, 0, 0, 0, 3, 5, 1],
            &[0, 0, 0, 0, 0xfd, 0, 3, 0],
            &[0, 0, 0, 0, 3],
        ] {
            assert_eq!(init(malformed), Err(InitFault::Malformed), "{malformed:?}");
        }
    }

    #[test]
    fn pings() {
        assert_eq!(Message::parse(&[0, 18, 0, 4, 0, 0]), Message::Ping(Some(4)));
        assert_eq!(
            Message::parse(&[0, 18, 0, 4, 0, 1, 9, 9]),
            Message::Ping(Some(4)),
            "bytes beyond the padding"
        );
        assert_eq!(Message::parse(&[0, 18, 0xff, 0xfb, 0, 0]), Message::Ping(Some(65_531)));
        assert_eq!(Message::parse(&[0, 18, 0xff, 0xfc, 0, 0]), Message::Ping(None));
        assert_eq!(Message::parse(&[0, 18, 0, 4, 0, 1]), Message::MalformedPing);
        assert_eq!(Message::parse(&[0, 18, 0]), Message::MalformedPing);
        assert_eq!(pong(3), [0, 19, 0, 3, 0, 0, 0]);
    }

    #[test]
    fn the_rest() {
        for ignored in [
            &[][..],
            &[0],
            &[0, 7],
            &[1, 0],
            &[1, 2],
            &[1, 6],
            &[1, 8, 9],
            &[1, 9],
            &[0x4c, 0x4d, 1, 2, 3],
            &[0, 19],
            &[0, 1],
            &[0x59, 0x4d],
        ] {
            assert_eq!(Message::parse(ignored), Message::Ignored, "{ignored:?}");
        }
        assert_eq!(Message::parse(&[0, 17]), Message::Error);
        assert_eq!(Message::parse(&[0, 32, 1]), Message::MustKnow(32));
        assert_eq!(
            Message::parse(&[0x4c, 0x4f, 1, 2, 3, 4, 5, 6, 7, 8, 9]),
            Message::Request { id: [1, 2, 3, 4, 5, 6, 7, 8], part: &[9], last: true }
        );
    }

    proptest! {
        #[test]
        fn never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..120), kind in 0u8..24) {
            let _ = Message::parse(&bytes);
            let _ = Message::parse(&[&[0, kind][..], &bytes].concat());
        }
    }
}
