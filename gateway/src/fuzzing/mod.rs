//! What reads bytes of strangers, each with what must hold whatever they are. Built for `tests/fuzz` and the tests alone.
//!
//! # Layout
//! - here: the targets, and their seeds tried in every run of the tests.
//! - `rune`, `transport`, `websocket`, `texts`: targets that reach what they test from here; those of the
//!   `gate`, a `peer` and the `node` stand beside what they test.
//! - `seeds`: inputs to start from.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod rune;
mod seeds;
mod texts;
mod transport;
mod websocket;

use std::pin::pin;
use std::task::{Context, Poll, Waker};

use crate::{config, gate, node, peer};

/// A target's name, what it does with an input, and inputs to start from.
type Target = (&'static str, fn(&[u8]), fn() -> Vec<Vec<u8>>);

const TARGETS: [Target; 10] = [
    ("acts", transport::acts, seeds::acts),
    ("frames", transport::frames, seeds::frames),
    ("websocket", websocket::frames, seeds::websocket),
    ("message", peer::fuzzing::message, seeds::messages),
    ("parts", peer::fuzzing::parts, seeds::parts),
    ("request", gate::fuzzing::request, seeds::requests),
    ("rune", rune::rune, seeds::runes),
    ("reply", node::fuzzing::reply, seeds::replies),
    ("uri", texts::uri, seeds::uris),
    ("config", config::fuzzing::config, seeds::configs),
];

/// Gives an input to the target of this name.
pub fn run(target: &str, input: &[u8]) {
    let (_, run, _) = TARGETS.iter().find(|(name, ..)| *name == target).expect("a target");
    run(input);
}

/// What a future gives that never has to wait.
fn at_once<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("it waits"),
    }
}

#[cfg(test)]
mod tests {
    use std::hash::{DefaultHasher, Hash, Hasher};
    use std::path::Path;

    use super::*;

    /// Each seed, cut and flipped, does what it must. `RUNEWARD_SEEDS=DIR` also writes the seeds to
    /// DIR/<target>, for the fuzzer to start from.
    #[test]
    fn seeds_hold() {
        let dir = std::env::var_os("RUNEWARD_SEEDS");
        for (name, run, seeds) in TARGETS {
            let seeds = seeds();
            assert!(!seeds.is_empty(), "{name}");
            for seed in &seeds {
                run(seed);
                for at in (0..seed.len()).step_by(seed.len() / 8 + 1) {
                    run(&seed[..at]);
                    let mut flipped = seed.clone();
                    flipped[at] ^= 1 << (at % 8);
                    run(&flipped);
                }
            }
            if let Some(dir) = &dir {
                write(&Path::new(dir).join(name), &seeds);
            }
        }
    }

    #[test]
    fn every_target_is_fuzzed() {
        let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fuzz");
        let manifest = std::fs::read_to_string(dir.join("Cargo.toml")).unwrap();
        for (name, ..) in TARGETS {
            let text = std::fs::read_to_string(dir.join(format!("{name}.rs"))).unwrap();
            assert!(text.contains(&format!("run(\"{name}\", ")), "{name}.rs");
            assert!(manifest.contains(&format!("path = \"{name}.rs\"")), "{name} in the manifest");
        }
    }

    fn write(dir: &Path, seeds: &[Vec<u8>]) {
        std::fs::create_dir_all(dir).unwrap();
        for seed in seeds {
            let mut hasher = DefaultHasher::new();
            seed.hash(&mut hasher);
            std::fs::write(dir.join(format!("{:016x}", hasher.finish())), seed).unwrap();
        }
    }
}
