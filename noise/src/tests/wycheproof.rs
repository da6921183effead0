//! Project Wycheproof's vectors, those that fit what BOLT 8 does with our primitives.

use std::sync::Arc;

use sha2::{Digest, Sha256};
use snow::{params::DHChoice, resolvers::CryptoResolver};
use wycheproof::{TestResult, aead, ecdh, hkdf};

use crate::{
    Identity,
    resolver::{self, Random, Resolver, aead_key, open_in_place, seal_in_place},
};

/// Points that arithmetic on the curve stumbles over. The vectors give the shared point's x
/// coordinate, of which BOLT 8 takes the SHA-256 behind the sign of y.
#[test]
fn shared_secrets() {
    let set = ecdh::TestSet::load(ecdh::TestName::EcdhSecp256k1).unwrap();
    let valid = set.test_groups.iter().flat_map(|group| &group.tests);
    let valid: Vec<_> = valid.filter(|test| test.result == TestResult::Valid).collect();
    for test in &valid {
        let (_, point) = test.public_key.split_last_chunk::<64>().unwrap();
        let (x, y) = point.split_at(32);
        let peer = [&[2 + (y[31] & 1)], x].concat();

        let significant = test.private_key.iter().position(|byte| *byte != 0).unwrap();
        let significant = &test.private_key[significant..];
        let mut secret = [0; 32];
        secret[32 - significant.len()..].copy_from_slice(significant);
        let identity = Identity::from_secret(&secret).unwrap();
        let resolver = Resolver::new(&identity, Random::System, Arc::default());
        let mut dh = resolver.resolve_dh(&DHChoice::Curve25519).unwrap();
        dh.set(&secret);
        let mut shared = [0; 32];
        dh.dh(&peer, &mut shared).unwrap();

        let hashed = |sign: u8| -> [u8; 32] {
            Sha256::new_with_prefix([sign]).chain_update(&*test.shared_secret).finalize().into()
        };
        assert!([hashed(2), hashed(3)].contains(&shared), "{}", test.tc_id);
    }
    assert!(valid.len() > 400, "only {} fit", valid.len());
}

/// Salts of at most 32 bytes, which count as if zeros followed, and no `info`.
#[test]
fn key_derivation() {
    let set = hkdf::TestSet::load(hkdf::TestName::HkdfSha256).unwrap();
    let fitting = set.test_groups.iter().flat_map(|group| &group.tests).filter(|test| {
        test.result == TestResult::Valid && test.info.is_empty() && test.salt.len() <= 32 && test.size <= 64
    });
    let mut count = 0;
    for test in fitting {
        let mut chaining_key = [0; 32];
        chaining_key[..test.salt.len()].copy_from_slice(&test.salt);
        let (first, second) = resolver::hkdf(&chaining_key, &test.ikm);
        let keys = [first.as_slice(), second.as_slice()].concat();
        assert_eq!(keys[..test.size], *test.okm, "{}", test.tc_id);
        count += 1;
    }
    assert!(count > 20, "only {count} fit");
}

/// Nonces that are a counter: four zero bytes first.
#[test]
fn cipher() {
    let set = aead::TestSet::load(aead::TestName::ChaCha20Poly1305).unwrap();
    let mut count = 0;
    for test in set.test_groups.iter().flat_map(|group| &group.tests) {
        let Some(([0, 0, 0, 0], counter)) = test.nonce.split_first_chunk() else { continue };
        let Ok(counter) = counter.try_into().map(u64::from_le_bytes) else { continue };
        let key = aead_key(test.key.as_slice().try_into().unwrap()).unwrap();
        let sealed = [test.ct.as_slice(), &test.tag].concat();

        let mut text = test.pt.to_vec();
        let tag = seal_in_place(&key, counter, &test.aad, &mut text).unwrap();
        assert_eq!([&text, tag.as_ref()].concat() == sealed, test.result == TestResult::Valid);
        let mut text = sealed.clone();
        let opened = open_in_place(&key, counter, &test.aad, &mut text);
        assert_eq!(opened.as_deref() == Some(&test.pt), test.result == TestResult::Valid);
        for at in 0..sealed.len() {
            let mut forged = sealed.clone();
            forged[at] ^= 0x80;
            assert!(open_in_place(&key, counter, &test.aad, &mut forged).is_none());
        }
        count += 1;
    }
    assert!(count >= 10, "only {count} fit");
}
