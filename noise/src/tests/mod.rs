mod handshake;
mod identity;
mod stream;
mod transport;
mod vectors;
mod wycheproof;

use crate::{Identity, Initiator, Responder, SEALED_LENGTH, Transport};

/// Two transports that speak to each other: the initiator's and the responder's.
fn connected() -> (Transport, Transport) {
    let (node, client) = (identity(1), identity(2));
    let (awaiting_two, act_one) = Initiator::new(&client, node.node_id()).unwrap();
    let (awaiting_three, act_two) = Responder::new(&node).read_act_one(&act_one).unwrap();
    let (act_three, initiator) = awaiting_two.read_act_two(&act_two).unwrap();
    let (peer, responder) = awaiting_three.read_act_three(&act_three).unwrap();
    assert_eq!(peer, client.node_id());
    (initiator, responder)
}

fn identity(byte: u8) -> Identity {
    Identity::from_secret(&[byte; 32]).unwrap()
}

fn sealed(from: &mut Transport, message: &[u8]) -> Vec<u8> {
    let mut wire = Vec::new();
    from.sealer.seal(&[message], &mut wire).unwrap();
    wire
}

/// Opens the only message in `wire`.
fn opened(to: &mut Transport, wire: &[u8]) -> Result<Vec<u8>, crate::Error> {
    let (length, body) = wire.split_first_chunk::<SEALED_LENGTH>().unwrap();
    let length = to.opener.open_length(length)?;
    let mut body = body.to_vec();
    let message = to.opener.open_body(&mut body)?.to_vec();
    assert_eq!(message.len(), usize::from(length));
    Ok(message)
}

fn unhex(text: &str) -> Vec<u8> {
    assert_eq!(text.len() % 2, 0);
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}
