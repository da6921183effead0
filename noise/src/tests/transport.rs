use proptest::prelude::*;

use super::{connected, opened, sealed};
use crate::{Error, MAX_MESSAGE, SEALED_LENGTH, TAG};

#[test]
fn both_directions_rotate_their_keys_apart() {
    let (mut initiator, mut responder) = connected();
    for number in 0..2_500_u32 {
        let message = number.to_be_bytes();
        let wire = sealed(&mut initiator, &message);
        assert_eq!(opened(&mut responder, &wire).unwrap(), message);
        // Every other time only, so that the rotations do not fall together.
        if number % 2 == 0 {
            let wire = sealed(&mut responder, &message);
            assert_eq!(opened(&mut initiator, &wire).unwrap(), message);
        }
    }
    for number in 1_250..2_500_u32 {
        let wire = sealed(&mut responder, &number.to_be_bytes());
        assert_eq!(opened(&mut initiator, &wire).unwrap(), number.to_be_bytes());
    }
}

#[test]
fn sizes() {
    let (mut initiator, mut responder) = connected();
    for size in [0, 1, 2, 65_519, 65_520, MAX_MESSAGE] {
        let message = vec![7; size];
        let wire = sealed(&mut initiator, &message);
        assert_eq!(wire.len(), SEALED_LENGTH + size + TAG);
        assert_eq!(opened(&mut responder, &wire).unwrap(), message);
    }
}

#[test]
fn too_long_leaves_all_as_it_was() {
    let (mut initiator, mut responder) = connected();
    let mut wire = b"before".to_vec();
    let long = vec![0; MAX_MESSAGE];
    for (parts, length) in
        [([&[0; 65_536][..], &[]], 65_536), ([&long, &[0]], 65_536), ([&long, &long], 131_070)]
    {
        let result = initiator.sealer.seal(&parts, &mut wire);
        assert!(matches!(result, Err(Error::MessageTooLong(n)) if n == length));
        assert_eq!(wire, b"before");
    }
    let wire = sealed(&mut initiator, b"still in step");
    assert_eq!(opened(&mut responder, &wire).unwrap(), b"still in step");
}

#[test]
fn parts_are_one_message_and_messages_are_appended() {
    let (mut initiator, mut responder) = connected();
    let mut wire = Vec::new();
    initiator.sealer.seal(&[b"one ", b"", b"message"], &mut wire).unwrap();
    let end = wire.len();
    initiator.sealer.seal(&[], &mut wire).unwrap();
    assert_eq!(opened(&mut responder, &wire[..end]).unwrap(), b"one message");
    assert_eq!(opened(&mut responder, &wire[end..]).unwrap(), b"");
}

#[test]
fn every_bit_of_a_message_counts_and_the_first_error_is_the_last() {
    let size = SEALED_LENGTH + 5 + TAG;
    for bit in 0..8 * size {
        let (mut initiator, mut responder) = connected();
        let good = sealed(&mut initiator, b"hello");
        let mut bad = good.clone();
        bad[bit / 8] ^= 1 << (bit % 8);
        let error = opened(&mut responder, &bad).unwrap_err();
        assert!(matches!(error, Error::BadMac), "bit {bit}: {error:?}");

        let error = opened(&mut responder, &good).unwrap_err();
        assert!(matches!(error, Error::Poisoned), "bit {bit}: {error:?}");
        let error = responder.opener.open_body(&mut [0; 21]).unwrap_err();
        assert!(matches!(error, Error::Poisoned), "bit {bit}: {error:?}");

        let wire = sealed(&mut responder, b"our side can still be read");
        assert!(opened(&mut initiator, &wire).is_ok());
    }
}

#[test]
fn a_message_opens_once_in_its_place_and_its_direction() {
    let (mut initiator, mut responder) = connected();
    let first = sealed(&mut initiator, b"first");
    let second = sealed(&mut initiator, b"second");
    let error = opened(&mut initiator, &first).unwrap_err();
    assert!(matches!(error, Error::BadMac), "reflected");
    let error = opened(&mut connected().1, &first).unwrap_err();
    assert!(matches!(error, Error::BadMac), "of another connection");
    assert!(opened(&mut responder, &first).is_ok());
    let error = opened(&mut responder, &first).unwrap_err();
    assert!(matches!(error, Error::BadMac), "replayed");
    let error = opened(&mut responder, &second).unwrap_err();
    assert!(matches!(error, Error::Poisoned));

    let (mut initiator, mut responder) = connected();
    sealed(&mut initiator, b"first");
    let second = sealed(&mut initiator, b"second");
    let error = opened(&mut responder, &second).unwrap_err();
    assert!(matches!(error, Error::BadMac), "before the first");
}

#[test]
fn a_body_of_another_length_is_refused() {
    for length in [0, 1, 15, 16, 20, 22] {
        let (mut initiator, mut responder) = connected();
        let mut wire = sealed(&mut initiator, b"hello");
        wire.resize(SEALED_LENGTH + length, 0);
        let error = opened(&mut responder, &wire).unwrap_err();
        assert!(matches!(error, Error::BadMac), "{length}");
    }
}

proptest! {
    #[test]
    fn any_message_comes_through(parts in prop::collection::vec(
        prop::collection::vec(any::<u8>(), 0..2_000), 0..5,
    )) {
        let (mut initiator, mut responder) = connected();
        let parts: Vec<&[u8]> = parts.iter().map(Vec::as_slice).collect();
        let mut wire = Vec::new();
        initiator.sealer.seal(&parts, &mut wire).unwrap();
        prop_assert_eq!(opened(&mut responder, &wire).unwrap(), parts.concat());
    }

    #[test]
    fn arbitrary_bytes_are_refused(
        length in any::<[u8; SEALED_LENGTH]>(),
        mut body in prop::collection::vec(any::<u8>(), 0..300),
    ) {
        let (mut initiator, mut responder) = connected();
        prop_assert!(matches!(responder.opener.open_length(&length), Err(Error::BadMac)));
        prop_assert!(matches!(initiator.opener.open_body(&mut body), Err(Error::BadMac)));
    }
}
