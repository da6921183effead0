//! What a connection costs in memory.

#![allow(clippy::unwrap_used)]

use allocation_counter::measure;
use runeward_noise::{Identity, Initiator, Responder, Transport};

/// Not even where keys rotate, which they do every 500 messages.
#[test]
fn messages_take_no_allocation() {
    let (mut client, mut node) = connected();
    let message = [7; 200];
    let mut wire = Vec::with_capacity(300);
    let allocations = measure(|| {
        for _ in 0..1_200 {
            wire.clear();
            client.sealer.seal(&[&message[..8], &message[8..]], &mut wire).unwrap();
            let (length, body) = wire.split_first_chunk_mut().unwrap();
            assert_eq!(node.opener.open_length(length).unwrap(), 200);
            assert_eq!(node.opener.open_body(body).unwrap(), message);
        }
    });
    assert_eq!(allocations.count_total, 0);
}

#[test]
fn an_idle_connection_holds_its_keys_and_nothing_else() {
    assert!(size_of::<Transport>() <= 160);
    // What libsecp256k1 keeps once for all.
    let mut connection = Some(connected());
    let allocations = measure(|| connection = Some(connected()));
    assert!(connection.is_some());
    assert_eq!(allocations.bytes_current, 0, "the handshake left something behind");
}

fn connected() -> (Transport, Transport) {
    let (node, client) = (Identity::generate().unwrap(), Identity::generate().unwrap());
    let (client_waits, act_one) = Initiator::new(&client, node.node_id()).unwrap();
    let (node_waits, act_two) = Responder::new(&node).read_act_one(&act_one).unwrap();
    let (act_three, client) = client_waits.read_act_two(&act_two).unwrap();
    let (_, node) = node_waits.read_act_three(&act_three).unwrap();
    (client, node)
}
