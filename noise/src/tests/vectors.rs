//! BOLT 8 §Appendix A, from the table that other implementations of ours are tested against too. A
//! short read is one the adapter sees: the core takes whole acts only.

use serde_json::Value;
use tokio::io::join;

use super::{identity, opened, sealed, unhex};
use crate::{
    AwaitingActThree, AwaitingActTwo, Error, Identity, Initiator, NodeId, Responder, Transport, accept,
    connect, resolver,
};

#[tokio::test]
async fn handshakes_of_the_initiator() {
    let table = Table::load();
    for case in table.handshakes("initiator") {
        let act_two = case.bytes("act_two");
        let Ok(whole) = act_two.clone().try_into() else {
            let mut stream = join(&act_two[..], Vec::new());
            case.refused(connect(&mut stream, &identity(0x11), table.responder_id()).await);
            assert_eq!(stream.writer().len(), 50, "{}: act one and no more", case.name());
            continue;
        };
        let result = table.initiator().read_act_two(&whole);
        if case.fails() {
            case.refused(result);
        } else {
            let (act_three, mut transport) = result.unwrap();
            assert_eq!(act_three, table.act::<66>(2));
            table.assert_keys(&mut transport, "initiator", "responder");
        }
    }
}

#[tokio::test]
async fn handshakes_of_the_responder() {
    let table = Table::load();
    for case in table.handshakes("responder") {
        let sent = [case.bytes("act_one"), case.bytes("act_three")].concat();
        let Ok(act_one) = case.bytes("act_one").try_into() else {
            let mut stream = join(&sent[..], Vec::new());
            case.refused(accept(&mut stream, &identity(0x21)).await);
            assert!(stream.writer().is_empty(), "{}", case.name());
            continue;
        };
        let (awaiting, act_two) = match table.responder().read_act_one(&act_one) {
            Ok(answer) => answer,
            error => {
                case.refused(error);
                continue;
            }
        };
        assert_eq!(act_two, table.act::<50>(1));
        let Ok(act_three) = case.bytes("act_three").try_into() else {
            let mut stream = join(&sent[..], Vec::new());
            case.refused(accept(&mut stream, &identity(0x21)).await);
            assert_eq!(stream.writer().len(), 50, "{}: act two and no more", case.name());
            continue;
        };
        let result = awaiting.read_act_three(&act_three);
        if case.fails() {
            case.refused(result);
        } else {
            let (peer, mut transport) = result.unwrap();
            assert_eq!(peer.to_string(), table.text("/initiator/node_id"));
            table.assert_keys(&mut transport, "responder", "initiator");
        }
    }
}

#[test]
fn messages() {
    let table = Table::load();
    let (_, mut initiator) = table.initiator().read_act_two(&table.act(1)).unwrap();
    let (_, mut responder) = table.awaiting_act_three().read_act_three(&table.act(2)).unwrap();
    let message = table.bytes("/transport-message test/message");
    let mut outputs = Vec::new();
    for _ in 0..=1001 {
        let output = sealed(&mut initiator, &message);
        assert_eq!(opened(&mut responder, &output).unwrap(), message);
        outputs.push(output);
    }
    let expected = table.0.pointer("/transport-message test/outputs").unwrap().as_object().unwrap();
    assert_eq!(expected.len(), 6);
    for (number, output) in expected {
        assert_eq!(outputs[number.parse::<usize>().unwrap()], unhex(output.as_str().unwrap()), "{number}");
    }
}

#[test]
fn rotated_keys() {
    let table = Table::load();
    let mut chaining_key = table.key("/keys/chaining_key");
    let mut key = table.key("/keys/initiator");
    for rotation in 0..2 {
        let (next_chaining_key, next_key) = resolver::hkdf(&chaining_key, &key);
        let expected =
            |name: &str| table.key(&format!("/transport-message test/rotations/{rotation}/{name}"));
        (chaining_key, key) = (*next_chaining_key, *next_key);
        assert_eq!((chaining_key, key), (expected("chaining_key"), expected("key")));
    }
}

struct Table(Value);

struct Case<'a>(&'a Value);

impl Table {
    fn load() -> Self {
        let text = include_str!("../../../tests/conformance/bolt8.json");
        let table = Self(serde_json::from_str(text).unwrap());
        assert_eq!(table.handshakes("initiator").count(), 5);
        assert_eq!(table.handshakes("responder").count(), 10);
        table
    }

    fn handshakes<'a>(&'a self, side: &'a str) -> impl Iterator<Item = Case<'a>> {
        let all = self.0["handshakes"].as_array().unwrap().iter();
        all.filter(move |case| case["side"] == side).map(Case)
    }

    fn text(&self, pointer: &str) -> &str {
        self.0.pointer(pointer).and_then(Value::as_str).unwrap()
    }

    fn bytes(&self, pointer: &str) -> Vec<u8> {
        unhex(self.text(pointer))
    }

    fn key(&self, pointer: &str) -> [u8; 32] {
        self.bytes(pointer).try_into().unwrap()
    }

    fn act<const N: usize>(&self, index: usize) -> [u8; N] {
        self.bytes(&format!("/acts/{index}")).try_into().unwrap()
    }

    fn responder_id(&self) -> NodeId {
        self.text("/responder/node_id").parse().unwrap()
    }

    fn initiator(&self) -> AwaitingActTwo {
        let identity = Identity::from_secret(&self.key("/initiator/secret")).unwrap();
        assert_eq!(identity.node_id().to_string(), self.text("/initiator/node_id"));
        let ephemeral = self.key("/initiator/ephemeral");
        let (awaiting, act_one) =
            Initiator::with_ephemeral(&identity, self.responder_id(), ephemeral).unwrap();
        assert_eq!(act_one, self.act(0));
        awaiting
    }

    fn responder(&self) -> Responder {
        let identity = Identity::from_secret(&self.key("/responder/secret")).unwrap();
        assert_eq!(identity.node_id(), self.responder_id());
        Responder::with_ephemeral(&identity, self.key("/responder/ephemeral"))
    }

    fn awaiting_act_three(&self) -> AwaitingActThree {
        let (awaiting, act_two) = self.responder().read_act_one(&self.act(0)).unwrap();
        assert_eq!(act_two, self.act(1));
        awaiting
    }

    fn assert_keys(&self, transport: &mut Transport, sending: &str, receiving: &str) {
        let key = |side: &str| resolver::aead_key(&self.key(&format!("/keys/{side}"))).unwrap();
        let wire = sealed(transport, b"");
        let mut length = [0, 0];
        let tag = resolver::seal_in_place(&key(sending), 0, &[], &mut length).unwrap();
        assert_eq!(wire[..18], [&length, tag.as_ref()].concat());

        let mut length = [0, 7];
        let tag = resolver::seal_in_place(&key(receiving), 0, &[], &mut length).unwrap();
        let sealed = [&length, tag.as_ref()].concat().try_into().unwrap();
        assert_eq!(transport.opener.open_length(&sealed).unwrap(), 7);
    }
}

impl Case<'_> {
    fn name(&self) -> &str {
        self.0["name"].as_str().unwrap()
    }

    /// Empty where the case has none.
    fn bytes(&self, act: &str) -> Vec<u8> {
        unhex(self.0[act].as_str().unwrap_or_default())
    }

    fn fails(&self) -> bool {
        self.0.get("error").is_some()
    }

    fn refused<T>(&self, result: Result<T, Error>) {
        let error = match result {
            Ok(_) => "none",
            Err(Error::Truncated) => "short read",
            Err(Error::BadVersion(1)) => "bad version",
            Err(Error::BadPoint) => "bad key",
            Err(Error::BadTag) => "bad MAC",
            Err(_) => "another",
        };
        assert_eq!(self.0["error"], error, "{}", self.name());
    }
}
