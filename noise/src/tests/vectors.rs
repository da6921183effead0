//! BOLT 8 §Appendix A, under the names it gives. A short read is one the adapter sees: the core
//! takes whole acts only.

use tokio::io::join;

use super::{identity, opened, sealed, unhex};
use crate::{
    AwaitingActThree, AwaitingActTwo, Error, Identity, Initiator, NodeId, Responder, Transport, accept,
    connect, resolver,
};

const RESPONDER: &str = "028d7500dd4c12685d1f568b4c2b5048e8534b873319f3a8daa612b469132ec7f7";
const INITIATOR: &str = "034f355bdcb7cc0af728ef3cceb9615d90684bb5b2ca5f859ab0f0b704075871aa";

const ACT_ONE: &str = "00036360e856310ce5d294e8be33fc807077dc56ac80d95d9cd4ddbd21325eff73f7\
    0df6086551151f58b8afe6c195782c6a";
const ACT_TWO: &str = "0002466d7fcae563e5cb09a0d1870bb580344804617879a14949cf22285f1bae3f27\
    6e2470b93aac583c9ef6eafca3f730ae";
const ACT_THREE: &str = "00b9e3a702e93e3a9948c2ed6e5fd7590a6e1c3a0344cfc9d5b57357049aa22355\
    361aa02e55a8fc28fef5bd6d71ad0c38228dc68b1c466263b47fdf31e560e139ba";

const CHAINING_KEY: &str = "919219dbb2920afa8db80f9a51787a840bcf111ed8d588caf9ab4be716e42b01";
const INITIATOR_KEY: &str = "969ab31b4d288cedf6218839b27a3e2140827047f2c0f01bf5c04435d43511a9";
const RESPONDER_KEY: &str = "bb9020b8965f4df047e07f955f3c4b88418984aadc5cdb35096b9ea8fa5c3442";

#[test]
fn initiator_successful_handshake() {
    let (act_three, mut transport) = initiator().read_act_two(&act(ACT_TWO)).unwrap();
    assert_eq!(act_three, act(ACT_THREE));
    assert_keys(&mut transport, INITIATOR_KEY, RESPONDER_KEY);
}

#[tokio::test]
async fn initiator_act2_short_read() {
    let act_two = unhex(ACT_TWO);
    let mut stream = join(&act_two[..49], Vec::new());
    let result = connect(&mut stream, &identity(0x11), responder_id()).await;
    assert!(matches!(result, Err(Error::Truncated)));
    assert_eq!(stream.writer().len(), 50, "act one and no more");
}

#[test]
fn initiator_act2_bad_version() {
    let result = initiator().read_act_two(&edited(ACT_TWO, 0, "01"));
    assert!(matches!(result, Err(Error::BadVersion(1))));
}

#[test]
fn initiator_act2_bad_key_serialization() {
    let result = initiator().read_act_two(&edited(ACT_TWO, 1, "04"));
    assert!(matches!(result, Err(Error::BadPoint)));
}

#[test]
fn initiator_act2_bad_mac() {
    let result = initiator().read_act_two(&edited(ACT_TWO, 49, "af"));
    assert!(matches!(result, Err(Error::BadTag)));
}

#[test]
fn responder_successful_handshake() {
    let (peer, mut transport) = awaiting_act_three().read_act_three(&act(ACT_THREE)).unwrap();
    assert_eq!(peer.to_string(), INITIATOR);
    assert_keys(&mut transport, RESPONDER_KEY, INITIATOR_KEY);
}

#[tokio::test]
async fn responder_act1_short_read() {
    let act_one = unhex(ACT_ONE);
    let mut stream = join(&act_one[..49], Vec::new());
    let result = accept(&mut stream, &identity(0x21)).await;
    assert!(matches!(result, Err(Error::Truncated)));
    assert!(stream.writer().is_empty());
}

#[test]
fn responder_act1_bad_version() {
    let result = responder().read_act_one(&edited(ACT_ONE, 0, "01"));
    assert!(matches!(result, Err(Error::BadVersion(1))));
}

#[test]
fn responder_act1_bad_key_serialization() {
    let result = responder().read_act_one(&edited(ACT_ONE, 1, "04"));
    assert!(matches!(result, Err(Error::BadPoint)));
}

#[test]
fn responder_act1_bad_mac() {
    let result = responder().read_act_one(&edited(ACT_ONE, 49, "6b"));
    assert!(matches!(result, Err(Error::BadTag)));
}

#[test]
fn responder_act3_bad_version() {
    let result = awaiting_act_three().read_act_three(&edited(ACT_THREE, 0, "01"));
    assert!(matches!(result, Err(Error::BadVersion(1))));
}

#[tokio::test]
async fn responder_act3_short_read() {
    let acts = [unhex(ACT_ONE), unhex(ACT_THREE)].concat();
    let mut stream = join(&acts[..115], Vec::new());
    let result = accept(&mut stream, &identity(0x21)).await;
    assert!(matches!(result, Err(Error::Truncated)));
    assert_eq!(stream.writer().len(), 50, "act two and no more");
}

#[test]
fn responder_act3_bad_mac_for_ciphertext() {
    let result = awaiting_act_three().read_act_three(&edited(ACT_THREE, 1, "c9"));
    assert!(matches!(result, Err(Error::BadTag)));
}

#[test]
fn responder_act3_bad_rs() {
    let act_three =
        act("00bfe3a702e93e3a9948c2ed6e5fd7590a6e1c3a0344cfc9d5b57357049aa2235536ad09a8ee351870c2bb7f78\
         b754a26c6cef79a98d25139c856d7efd252c2ae73c");
    let result = awaiting_act_three().read_act_three(&act_three);
    assert!(matches!(result, Err(Error::BadPoint)));
}

#[test]
fn responder_act3_bad_mac() {
    let result = awaiting_act_three().read_act_three(&edited(ACT_THREE, 65, "bb"));
    assert!(matches!(result, Err(Error::BadTag)));
}

#[test]
fn message() {
    let expected = [
        (0, "cf2b30ddf0cf3f80e7c35a6e6730b59fe802473180f396d88a8fb0db8cbcf25d2f214cf9ea1d95"),
        (1, "72887022101f0b6753e0c7de21657d35a4cb2a1f5cde2650528bbc8f837d0f0d7ad833b1a256a1"),
        (500, "178cb9d7387190fa34db9c2d50027d21793c9bc2d40b1e14dcf30ebeeeb220f48364f7a4c68bf8"),
        (501, "1b186c57d44eb6de4c057c49940d79bb838a145cb528d6e8fd26dbe50a60ca2c104b56b60e45bd"),
        (1000, "4a2f3cc3b5e78ddb83dcb426d9863d9d9a723b0337c89dd0b005d89f8d3c05c52b76b29b740f09"),
        (1001, "2ecd8c8a5629d0d02ab457a0fdd0f7b90a192cd46be5ecb6ca570bfc5e268338b1a16cf4ef2d36"),
    ];
    let (_, mut initiator) = initiator().read_act_two(&act(ACT_TWO)).unwrap();
    let (_, mut responder) = awaiting_act_three().read_act_three(&act(ACT_THREE)).unwrap();
    let mut outputs = Vec::new();
    for _ in 0..=1001 {
        let output = sealed(&mut initiator, b"hello");
        assert_eq!(opened(&mut responder, &output).unwrap(), b"hello");
        outputs.push(output);
    }
    for (number, output) in expected {
        assert_eq!(outputs[number], unhex(output), "output {number}");
    }
}

#[test]
fn rotated_keys() {
    let (chaining_key, key) = resolver::hkdf(&act(CHAINING_KEY), &unhex(INITIATOR_KEY));
    assert_eq!(*chaining_key, act("cc2c6e467efc8067720c2d09c139d1f77731893aad1defa14f9bf3c48d3f1d31"));
    assert_eq!(*key, act("3fbdc101abd1132ca3a0ae34a669d8d9ba69a587e0bb4ddd59524541cf4813d8"));
    let (chaining_key, key) = resolver::hkdf(&chaining_key, key.as_slice());
    assert_eq!(*chaining_key, act("728366ed68565dc17cf6dd97330a859a6a56e87e2beef3bd828a4c4a54d8df06"));
    assert_eq!(*key, act("9e0477f9850dca41e42db0e4d154e3a098e5a000d995e421849fcd5df27882bd"));
}

fn initiator() -> AwaitingActTwo {
    let identity: Identity = identity(0x11);
    assert_eq!(identity.node_id().to_string(), INITIATOR);
    let (awaiting, act_one) = Initiator::with_ephemeral(&identity, responder_id(), [0x12; 32]).unwrap();
    assert_eq!(act_one, act(ACT_ONE));
    awaiting
}

fn responder() -> Responder {
    let identity = identity(0x21);
    assert_eq!(identity.node_id(), responder_id());
    Responder::with_ephemeral(&identity, [0x22; 32])
}

fn awaiting_act_three() -> AwaitingActThree {
    let (awaiting, act_two) = responder().read_act_one(&act(ACT_ONE)).unwrap();
    assert_eq!(act_two, act(ACT_TWO));
    awaiting
}

fn responder_id() -> NodeId {
    RESPONDER.parse().unwrap()
}

fn act<const N: usize>(text: &str) -> [u8; N] {
    unhex(text).try_into().unwrap()
}

/// The act with one byte replaced, as the vectors of failures differ from the good one.
fn edited<const N: usize>(text: &str, at: usize, byte: &str) -> [u8; N] {
    let mut bytes = act(text);
    bytes[at] = unhex(byte)[0];
    bytes
}

fn assert_keys(transport: &mut Transport, sending: &str, receiving: &str) {
    let wire = sealed(transport, b"");
    let mut length = [0, 0];
    let tag =
        resolver::seal_in_place(&resolver::aead_key(&act(sending)).unwrap(), 0, &[], &mut length).unwrap();
    assert_eq!(wire[..18], [&length, tag.as_ref()].concat());

    let mut length = [0, 7];
    let tag =
        resolver::seal_in_place(&resolver::aead_key(&act(receiving)).unwrap(), 0, &[], &mut length).unwrap();
    let sealed = [&length, tag.as_ref()].concat().try_into().unwrap();
    assert_eq!(transport.opener.open_length(&sealed).unwrap(), 7);
}
