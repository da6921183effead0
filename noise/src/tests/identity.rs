use std::collections::HashSet;

use super::{connected, identity, unhex};
use crate::{Error, Identity, Initiator, NodeId, Responder};

const GENERATOR: &str = "0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798";
const ORDER: &str = "fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141";

#[test]
fn secrets_are_between_0_and_the_order() {
    let mut one = [0; 32];
    one[31] = 1;
    let identity = Identity::from_secret(&one).unwrap();
    assert_eq!(identity.node_id().to_string(), GENERATOR);
    assert_eq!(*identity.secret_bytes(), one);

    let mut order: [u8; 32] = unhex(ORDER).try_into().unwrap();
    for bad in [[0; 32], order, [0xff; 32]] {
        assert!(matches!(Identity::from_secret(&bad), Err(Error::InvalidKey)));
    }
    order[31] -= 1;
    assert!(Identity::from_secret(&order).is_ok());
}

#[test]
fn generated_identities_differ_and_can_be_stored() {
    let identity = Identity::generate().unwrap();
    assert_ne!(identity.node_id(), Identity::generate().unwrap().node_id());
    let stored = Identity::from_secret(&identity.secret_bytes()).unwrap();
    assert_eq!(stored.node_id(), identity.node_id());
}

#[test]
fn node_ids_parse_and_print() {
    let id: NodeId = GENERATOR.parse().unwrap();
    assert_eq!(id.to_string(), GENERATOR);
    assert_eq!(format!("{id:?}"), GENERATOR);
    assert_eq!(format!("{id:>70}"), format!("    {GENERATOR}"));
    assert_eq!(GENERATOR.to_uppercase().parse::<NodeId>().unwrap(), id);
    assert_eq!(id.as_bytes().as_slice(), unhex(GENERATOR));
    assert_eq!(NodeId::from_bytes(id.as_bytes()).unwrap(), id);
    assert!(HashSet::from([id]).contains(&id));
}

#[test]
fn what_is_no_node_id_is_refused() {
    let zeros = "0".repeat(66);
    let not_below_the_prime = format!("02{}", "f".repeat(64));
    let off_the_curve = format!("02{}05", "0".repeat(62));
    let uncompressed = format!("04{}{}", &GENERATOR[2..], "1".repeat(64));
    for text in [
        "",
        "02",
        &GENERATOR[..65],
        &format!("{GENERATOR}0"),
        &format!("{GENERATOR}00"),
        &format!("0x{}", &GENERATOR[2..]),
        &format!(" {}", &GENERATOR[1..]),
        &format!("+2{}", &GENERATOR[2..]),
        &format!("éé{}", &GENERATOR[4..]),
        &format!("05{}", &GENERATOR[2..]),
        &zeros,
        &not_below_the_prime,
        &off_the_curve,
        &uncompressed,
    ] {
        assert!(matches!(text.parse::<NodeId>(), Err(Error::InvalidKey)), "{text}");
    }
    let generator = unhex(GENERATOR);
    for bytes in [&[], &generator[..32], &[&generator[..], &[0]].concat()] {
        assert!(matches!(NodeId::from_bytes(bytes), Err(Error::InvalidKey)));
    }
}

#[test]
fn debug_shows_no_secret() {
    let node = identity(0xa5);
    assert_eq!(format!("{node:?}"), format!("Identity({})", node.node_id()));
    let responder = Responder::new(&node);
    let (awaiting_two, act_one) = Initiator::new(&identity(0xa5), node.node_id()).unwrap();
    let (transport, _) = connected();
    let mut shown = format!("{responder:?} {awaiting_two:?} {transport:?}");
    let (awaiting_three, _) = responder.read_act_one(&act_one).unwrap();
    shown += &format!("{awaiting_three:?}");
    for secret in ["a5a5", "165, 165", "[", "key"] {
        assert!(!shown.contains(secret), "{shown}");
    }
}
