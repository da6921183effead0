//! The handshake beside its elliptic-curve operations, messages beside their two AEAD calls.

use std::hint::black_box;
use std::time::Duration;

use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey};
use ring::rand::{SecureRandom, SystemRandom};
use runeward_noise::{Identity, Initiator, Opener, Responder, SEALED_LENGTH, Sealer, TAG};
use secp256k1::ecdh::SharedSecret;
use secp256k1::{PublicKey, SecretKey};

use super::{Pair, broken, timed};
use crate::failure::Result;
use crate::process::thread_time;

type Tried<T> = std::result::Result<T, runeward_noise::Error>;

pub(super) fn pairs() -> Result<Vec<Pair>> {
    Ok(vec![
        handshake()?,
        seal("seal_200", "seal a message of 200 B", 200, 1_000)?,
        open("open_200", "open a message of 200 B", 200, 1_000)?,
        seal("seal_65535", "seal a message of 65 kB", 65_535, 8)?,
        open("open_65535", "open a message of 65 kB", 65_535, 8)?,
    ])
}

fn handshake() -> Result<Pair> {
    const BATCH: u32 = 20;
    let node = Identity::generate().map_err(broken)?;
    let client = Identity::generate().map_err(broken)?;
    let respond = move || -> Tried<Duration> {
        let clients: Vec<_> =
            (0..BATCH).map(|_| Initiator::new(&client, node.node_id())).collect::<Tried<_>>()?;
        let start = thread_time();
        let answered: Vec<_> = clients
            .iter()
            .map(|(_, act_one)| Responder::new(&node).read_act_one(act_one))
            .collect::<Tried<_>>()?;
        let first = thread_time() - start;
        let mut last_acts = Vec::new();
        for ((client, _), (awaiting, act_two)) in clients.into_iter().zip(answered) {
            last_acts.push((awaiting, client.read_act_two(&act_two)?.0));
        }
        let start = thread_time();
        for (awaiting, act_three) in last_acts {
            black_box(awaiting.read_act_three(&act_three)?);
        }
        Ok(first + (thread_time() - start))
    };

    let random = SystemRandom::new();
    let mut secret = [0; 32];
    random.fill(&mut secret).map_err(broken)?;
    let ours = SecretKey::from_slice(&secret).map_err(broken)?;
    let point = PublicKey::from_secret_key_global(&ours).serialize();
    let bare = move || -> Option<()> {
        let mut secret = [0; 32];
        random.fill(&mut secret).ok()?;
        let ephemeral = SecretKey::from_slice(&secret).ok()?;
        black_box(PublicKey::from_secret_key_global(&ephemeral));
        let theirs = PublicKey::from_slice(black_box(&point)).ok()?;
        let also_theirs = PublicKey::from_slice(black_box(&point)).ok()?;
        black_box(SharedSecret::new(&theirs, &ours));
        black_box(SharedSecret::new(&theirs, &ephemeral));
        black_box(SharedSecret::new(&also_theirs, &ephemeral));
        Some(())
    };
    Ok(Pair {
        name: "handshake",
        what: "answer a handshake",
        floor_is: "3 ECDHs, a key generation, 2 points parsed",
        batch: BATCH,
        ours: Box::new(move || respond().unwrap_or_default()),
        floor: Box::new(move || {
            timed(BATCH, || {
                black_box(bare());
            })
        }),
    })
}

const TWO_CALLS: &str = "two ring AEAD calls";

fn seal(name: &'static str, what: &'static str, length: usize, batch: u32) -> Result<Pair> {
    let (mut sealer, _) = connection()?;
    let (message, mut wire) = (vec![7; length], Vec::new());
    let mut bare = Bare::new(length)?;
    Ok(Pair {
        name,
        what,
        floor_is: TWO_CALLS,
        batch,
        ours: Box::new(move || {
            timed(batch, || {
                wire.clear();
                let _sealed = sealer.seal(&[black_box(&message)], &mut wire);
                black_box(&mut wire);
            })
        }),
        floor: Box::new(move || timed(batch, || bare.seal())),
    })
}

fn open(name: &'static str, what: &'static str, length: usize, batch: u32) -> Result<Pair> {
    let (mut sealer, mut opener) = connection()?;
    let (message, mut wire) = (vec![7; length], Vec::new());
    let mut open_all = move || -> Tried<Duration> {
        wire.clear();
        for _ in 0..batch {
            sealer.seal(&[&message], &mut wire)?;
        }
        let start = thread_time();
        let mut rest = wire.as_mut_slice();
        while let Some((sealed, after)) = rest.split_first_chunk_mut::<SEALED_LENGTH>() {
            let length = usize::from(opener.open_length(sealed)?);
            let (body, after) = after.split_at_mut(length + TAG);
            black_box(opener.open_body(body)?);
            rest = after;
        }
        Ok(thread_time() - start)
    };
    let mut bare = Bare::new(length)?;
    Ok(Pair {
        name,
        what,
        floor_is: TWO_CALLS,
        batch,
        ours: Box::new(move || open_all().unwrap_or_default()),
        floor: Box::new(move || bare.open(batch)),
    })
}

/// The sealer of one side and the opener of the other.
fn connection() -> Result<(Sealer, Opener)> {
    let made = || {
        let (node, client) = (Identity::generate()?, Identity::generate()?);
        let (client, act_one) = Initiator::new(&client, node.node_id())?;
        let (node, act_two) = Responder::new(&node).read_act_one(&act_one)?;
        let (act_three, client) = client.read_act_two(&act_two)?;
        let (_, node) = node.read_act_three(&act_three)?;
        Tried::Ok((client.sealer, node.opener))
    };
    made().map_err(broken)
}

/// What a message costs at least: its length and its body sealed with a key at hand.
struct Bare {
    key: LessSafeKey,
    uses: u64,
    length: usize,
    wire: Vec<u8>,
}

impl Bare {
    fn new(length: usize) -> Result<Self> {
        let key = UnboundKey::new(&CHACHA20_POLY1305, &[7; 32]).map_err(broken)?;
        Ok(Self { key: LessSafeKey::new(key), uses: 0, length, wire: vec![0; SEALED_LENGTH + length + TAG] })
    }

    /// Seals the same bytes again and again.
    fn seal(&mut self) {
        let (length, body) = self.wire.split_at_mut(SEALED_LENGTH);
        for part in [&mut length[..2], &mut body[..self.length]] {
            let tag = self.key.seal_in_place_separate_tag(nonce(self.uses), Aad::empty(), part);
            self.uses += 1;
            let _tag = black_box(tag);
        }
    }

    /// How long it takes to open so many messages.
    fn open(&mut self, count: u32) -> Duration {
        let first = self.uses;
        let mut wire = Vec::with_capacity(count as usize * self.wire.len());
        for _ in 0..count {
            for length in [2, self.length] {
                let start = wire.len();
                wire.resize(start + length, 7);
                let tag =
                    self.key.seal_in_place_separate_tag(nonce(self.uses), Aad::empty(), &mut wire[start..]);
                wire.extend(tag.iter().flat_map(|tag| tag.as_ref()));
                self.uses += 1;
            }
        }
        let mut uses = first;
        let start = thread_time();
        for message in wire.chunks_exact_mut(SEALED_LENGTH + self.length + TAG) {
            let (length, body) = message.split_at_mut(SEALED_LENGTH);
            for part in [length, body] {
                let _opened = black_box(self.key.open_in_place(nonce(uses), Aad::empty(), part));
                uses += 1;
            }
        }
        thread_time() - start
    }
}

fn nonce(counter: u64) -> Nonce {
    let mut nonce = [0; 12];
    nonce[4..].copy_from_slice(&counter.to_le_bytes());
    Nonce::assume_unique_for_key(nonce)
}
