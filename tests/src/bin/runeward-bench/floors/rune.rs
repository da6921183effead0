//! The check of a rune beside the base64 and the SHA-256 blocks in it.

use std::borrow::Cow;
use std::hint::black_box;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE;
use runeward_policy::{MasterSecret, Parameter, Request, Rune, SinceLastUse, evaluate, parse_restrictions};
use sha2::compress256;
use sha2::digest::generic_array::GenericArray;

use super::{Pair, broken, timed};
use crate::failure::Result;

const BATCH: u32 = 200;

/// Bytes of the authcode that a rune starts with.
const AUTHCODE: usize = 32;

/// Bytes that SHA-256 takes at a time, and those of its padding that are always there.
const BLOCK: usize = 64;
const PADDING: usize = 9;

const PEER: &str = "02d4bdc177c74c7c0dd16bda40b69c04b7d6db511a99a14249315ac36f14d986bf";

/// Decoded, verified, evaluated: runes of several sizes, the worst that are taken among them.
pub(super) fn pairs() -> Result<Vec<Pair>> {
    let three = three_restrictions();
    let sixteen = format!("{three}{}", "&method/withdraw".repeat(13));
    let most = vec!["method/withdraw"; 256].join("&");
    let worst = vec![vec!["a<"; 255].join("|"); 7].join("&");
    [
        ("rune_0", "check a rune: id alone", String::new()),
        ("rune_3", "check a rune: id and 3 restrictions", three),
        ("rune_16", "check a rune: id and 16 restrictions", sixteen),
        ("rune_256", "check a rune: id and 256 restrictions", most),
        ("rune_worst", "check a rune: 8 KiB of alternatives", worst),
    ]
    .into_iter()
    .map(|(name, what, restrictions)| check(name, what, &restrictions))
    .collect()
}

/// A rune of usual size.
pub(super) fn usual() -> Result<String> {
    issue(&secret()?, &three_restrictions())
}

fn three_restrictions() -> String {
    format!("id={PEER}&method^get|method=pay&time<4000000000")
}

fn check(name: &'static str, what: &'static str, restrictions: &str) -> Result<Pair> {
    let secret = secret()?;
    let rune = issue(&secret, restrictions)?;
    let decoded = URL_SAFE.decode(&rune).map_err(broken)?;
    let text = str::from_utf8(&decoded[AUTHCODE..]).map_err(broken)?;
    let blocks: usize = text.split('&').map(|text| (text.len() + PADDING).div_ceil(BLOCK)).sum();
    let bare_rune = rune.clone();
    Ok(Pair {
        name,
        what,
        floor_is: "base64, SHA-256 blocks",
        batch: BATCH,
        ours: Box::new(move || {
            timed(BATCH, || {
                let rune = Rune::decode(black_box(&rune)).ok();
                black_box(rune.map(|rune| secret.derived(&rune).then(|| evaluate(&rune, &Call).is_ok())));
            })
        }),
        floor: Box::new(move || {
            timed(BATCH, || {
                let _decoded = black_box(URL_SAFE.decode(black_box(&bare_rune)));
                let mut state = [0; 8];
                for _ in 0..blocks {
                    let block = black_box([7; BLOCK]);
                    compress256(&mut state, std::slice::from_ref(GenericArray::from_slice(&block)));
                }
                black_box(state);
            })
        }),
    })
}

fn secret() -> Result<MasterSecret> {
    MasterSecret::new(&[7; 32]).map_err(broken)
}

fn issue(secret: &MasterSecret, restrictions: &str) -> Result<String> {
    let restrictions = parse_restrictions(restrictions).map_err(broken)?;
    Ok(secret.issue(1, &restrictions).map_err(broken)?.encode())
}

/// `getinfo` by [`PEER`], a rune's first use.
struct Call;

impl Request for Call {
    fn time(&self) -> u64 {
        1_795_190_400
    }

    fn peer(&self) -> Option<Cow<'_, str>> {
        Some(Cow::Borrowed(PEER))
    }

    fn method(&self) -> Option<Cow<'_, str>> {
        Some(Cow::Borrowed("getinfo"))
    }

    fn parameter_count(&self) -> u64 {
        0
    }

    fn named(&self, _: &str) -> Parameter<'_> {
        Parameter::Absent
    }

    fn positional(&self, _: u64) -> Parameter<'_> {
        Parameter::Absent
    }

    fn since_last_use(&self) -> SinceLastUse {
        SinceLastUse::Never
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_usual_rune_allows_the_call() {
        let secret = secret().unwrap();
        let rune = Rune::decode(&usual().unwrap()).unwrap();
        assert!(secret.derived(&rune) && evaluate(&rune, &Call).is_ok());
    }
}
