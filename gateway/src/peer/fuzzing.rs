//! Messages and parts of requests as strangers send them.
#![allow(clippy::panic)]

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use super::messages::{Message, RequestId, pong};
use super::requests::{MAX_REQUEST, Pool, Requests, Share};
use crate::config::Limits;

/// Requests that may have begun; fewer than the ids there are.
const MOST: usize = 60;

/// A message, type and body.
pub(crate) fn message(input: &[u8]) {
    match Message::parse(input) {
        Message::Request { id, part, .. } => assert_eq!([&id[..], part].concat(), input[2..]),
        Message::Ping(Some(zeros)) => assert_eq!(pong(zeros).len(), 4 + usize::from(zeros)),
        Message::MustKnow(kind) => assert!(kind % 2 == 0),
        _ => {}
    }
}

/// Steps of three bytes: an id and whether it is the last part; how many kilobytes, or bytes; which. What comes out
/// whole is what was put in, and memory is counted to the byte.
pub(crate) fn parts(input: &[u8]) {
    let pool = Arc::new(Pool::new(Limits::default()));
    let mut share = Share::new(pool, IpAddr::V4(Ipv4Addr::LOCALHOST));
    let mut requests = Requests::new(MOST);
    let mut begun: HashMap<RequestId, Vec<u8>> = HashMap::new();
    for step in input.chunks_exact(3).take(400) {
        let (id, last) = ([step[0] & 0x3f; 8], step[0] & 0x80 != 0);
        let length = if step[0] & 0x40 == 0 { usize::from(step[1]) } else { usize::from(step[1]) * 256 };
        let part = vec![step[2]; length];
        let sent = begun.entry(id).or_default();
        sent.extend_from_slice(&part);
        match requests.part(id, &part, last, &mut share) {
            None => assert!(!last, "a request that ends unanswered"),
            Some(Ok(request)) => {
                assert!(last && request == *sent && request.len() <= MAX_REQUEST);
                share.give_back(request.len());
            }
            Some(Err(_)) => assert!(last || begun.len() > MOST, "a refusal before the end"),
        }
        if last {
            begun.remove(&id);
        }
    }
    for id in begun.into_keys() {
        if let Some(Ok(request)) = requests.part(id, b"", true, &mut share) {
            share.give_back(request.len());
        }
    }
    assert!(share.is_empty(), "memory that nobody has is counted");
}
