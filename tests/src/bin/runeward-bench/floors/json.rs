//! The parse of a request beside serde_json's look over it, the scan of a reply beside a look at
//! each of its bytes and a copy.

use std::hint::black_box;

use memchr::memchr;
use serde::de::IgnoredAny;

use super::{Pair, rune, timed};
use crate::failure::Result;

/// Bytes of a long reply, and how much of it is read from the node at once.
const REPLY: usize = 1_000_000;
const READ: usize = 32 * 1_024;

pub(super) fn pairs() -> Result<Vec<Pair>> {
    Ok(vec![parse()?, scan()])
}

fn parse() -> Result<Pair> {
    const BATCH: u32 = 200;
    let (request, same) = (request(&rune::usual()?), request(&rune::usual()?));
    Ok(Pair {
        name: "request",
        what: "parse a request, its rune decoded",
        floor_is: "serde_json into IgnoredAny",
        batch: BATCH,
        ours: Box::new(move || {
            timed(BATCH, || {
                black_box(runeward::bench::parse_request(black_box(&request)));
            })
        }),
        floor: Box::new(move || {
            timed(BATCH, || {
                let _read = black_box(serde_json::from_slice::<IgnoredAny>(black_box(&same)));
            })
        }),
    })
}

fn scan() -> Pair {
    let (reply, same) = (reply(), reply());
    let (mut out, mut copy) = (Vec::with_capacity(2 * READ), Vec::with_capacity(2 * READ));
    Pair {
        name: "reply",
        what: "scan a reply of 1 MB",
        floor_is: "memchr and a copy",
        batch: 1,
        ours: Box::new(move || {
            timed(1, || {
                black_box(runeward::bench::scan_reply(black_box(&reply), &mut out));
            })
        }),
        floor: Box::new(move || {
            timed(1, || {
                for piece in black_box(&same).chunks(READ) {
                    black_box(memchr(b'\n', piece));
                    copy.clear();
                    copy.extend_from_slice(piece);
                    black_box(&mut copy);
                }
            })
        }),
    }
}

fn request(rune: &str) -> Vec<u8> {
    let params = r#"{"bolt11":"lnbc2500u1pvjluezpp5qqqsyqcyq5rqwzqfqqqsyqcyq5rqwzqfqqqsyqcyq5rqwzqfqypqdq5xysxxatsyp3k7enxv4jsxqzpu9qrsgquk0rl77nj30yxdy8j9vdx85fkpmdla2087ne0xh8nhedh8w27kyke0lp53ut353s06fv3qfegext0eh0ymjpf39tuven09sam30g4vgpfna3rh","label":"rent","maxfeepercent":0.5,"retry_for":60}"#;
    format!(r#"{{"method":"pay","params":{params},"id":"client:pay#17","rune":"{rune}"}}"#).into_bytes()
}

/// Of the kind `listchannels` gives, as lightningd writes it.
fn reply() -> Vec<u8> {
    let entry = r#"{"source":"0266e4598d1d3c415f572a8488830b60f7e744ed9235eb0b1ba93283b315c03518","destination":"03aacc1e48a3bfddb928de6d40c728a084614c060db4da211976d2a8aa211902cc","short_channel_id":"103x1x0","direction":0,"public":true,"amount_msat":1000000000,"message_flags":1,"channel_flags":0,"active":true,"last_update":1700000000,"base_fee_millisatoshi":1,"fee_per_millionth":10,"delay":6,"htlc_minimum_msat":0,"htlc_maximum_msat":990000000,"features":""}"#;
    let entries = vec![entry; REPLY / entry.len()].join(",");
    format!("{{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{{\"channels\":[{entries}]}}}}\n\n").into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_timed_is_understood() {
        let request = request(&rune::usual().unwrap());
        assert!(runeward::bench::parse_request(&request));
        assert!(runeward::bench::scan_reply(&reply(), &mut Vec::new()));
        assert!((990_000..1_010_000).contains(&reply().len()));
    }
}
