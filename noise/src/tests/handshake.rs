use proptest::prelude::*;

use super::identity;
use crate::{ACT_ONE, ACT_THREE, ACT_TWO, AwaitingActThree, AwaitingActTwo, Error, Initiator, Responder};

/// Everything is fixed, so that one state can be had again and again.
fn after_act_one() -> (AwaitingActTwo, [u8; ACT_ONE]) {
    Initiator::with_ephemeral(&identity(2), identity(1).node_id(), [4; 32]).unwrap()
}

fn after_act_two() -> (AwaitingActThree, [u8; ACT_TWO]) {
    responder().read_act_one(&after_act_one().1).unwrap()
}

fn responder() -> Responder {
    Responder::with_ephemeral(&identity(1), [3; 32])
}

fn act_three() -> [u8; ACT_THREE] {
    let (awaiting, _) = after_act_one();
    awaiting.read_act_two(&after_act_two().1).unwrap().0
}

/// Every act that differs from `act` in one bit, and whether that bit is of the version.
fn flips<const N: usize>(act: [u8; N]) -> impl Iterator<Item = (bool, [u8; N])> {
    (0..8 * N).map(move |bit| {
        let mut flipped = act;
        flipped[bit / 8] ^= 1 << (bit % 8);
        (bit < 8, flipped)
    })
}

fn assert_refused<T>(version: bool, result: Result<T, Error>) {
    match result {
        Err(Error::BadVersion(_)) => assert!(version),
        Err(Error::BadPoint | Error::BadTag) => assert!(!version),
        Err(error) => panic!("{error:?}"),
        Ok(_) => panic!("accepted"),
    }
}

#[test]
fn every_bit_of_act_one_counts() {
    for (version, act) in flips(after_act_one().1) {
        assert_refused(version, responder().read_act_one(&act));
    }
}

#[test]
fn every_bit_of_act_two_counts() {
    for (version, act) in flips(after_act_two().1) {
        assert_refused(version, after_act_one().0.read_act_two(&act));
    }
}

#[test]
fn every_bit_of_act_three_counts() {
    for (version, act) in flips(act_three()) {
        assert_refused(version, after_act_two().0.read_act_three(&act));
    }
}

#[test]
fn another_nodes_id_is_refused_in_act_one() {
    let (_, act_one) = Initiator::new(&identity(2), identity(5).node_id()).unwrap();
    let result = Responder::new(&identity(1)).read_act_one(&act_one);
    assert!(matches!(result, Err(Error::BadTag)));
}

#[test]
fn ephemeral_keys_are_fresh() {
    let act_one = || Initiator::new(&identity(2), identity(1).node_id()).unwrap().1;
    let one = act_one();
    assert_ne!(one, act_one());
    let act_two = || Responder::new(&identity(1)).read_act_one(&one).unwrap().1;
    assert_ne!(act_two(), act_two());
}

#[test]
fn a_node_may_call_itself() {
    let node = identity(1);
    let (awaiting_two, act_one) = Initiator::new(&node, node.node_id()).unwrap();
    let (awaiting_three, act_two) = Responder::new(&node).read_act_one(&act_one).unwrap();
    let (act_three, _) = awaiting_two.read_act_two(&act_two).unwrap();
    let (peer, _) = awaiting_three.read_act_three(&act_three).unwrap();
    assert_eq!(peer, node.node_id());
}

proptest! {
    #[test]
    fn arbitrary_acts_are_refused(
        one in arbitrary_act::<ACT_ONE>(),
        two in arbitrary_act::<ACT_TWO>(),
        three in arbitrary_act::<ACT_THREE>(),
    ) {
        assert_refused(one[0] != 0, responder().read_act_one(&one));
        assert_refused(two[0] != 0, after_act_one().0.read_act_two(&two));
        assert_refused(three[0] != 0, after_act_two().0.read_act_three(&three));
    }
}

/// Random bytes, mostly under the right version and the prefix of a key, so that they get further.
fn arbitrary_act<const N: usize>() -> impl Strategy<Value = [u8; N]> {
    let start = prop_oneof![Just(Some(2)), Just(Some(3)), Just(None)];
    (start, prop::collection::vec(any::<u8>(), N)).prop_map(|(prefix, bytes)| {
        let mut act: [u8; N] = bytes.try_into().unwrap();
        if let Some(prefix) = prefix {
            act[..2].copy_from_slice(&[0, prefix]);
        }
        act
    })
}
