//! The handshake and what follows it, changed on the way.

use runeward_noise::{ACT_ONE, Error, Identity, Initiator, Reader, Responder, Transport};

use super::at_once;

fn identity(byte: u8) -> Identity {
    Identity::from_secret(&[byte; 32]).unwrap()
}

/// The input is laid over acts one and three, bit by bit: where it changes anything, the handshake ends there.
pub(super) fn acts(input: &[u8]) {
    let node = identity(1);
    let (over_one, over_three) = input.split_at(input.len().min(ACT_ONE));
    let mut raw = [0; ACT_ONE];
    raw[..over_one.len()].copy_from_slice(over_one);
    assert!(Responder::new(&node).read_act_one(&raw).is_err(), "an act that nobody made");

    let (awaiting_two, mut act_one) = Initiator::new(&identity(2), node.node_id()).unwrap();
    let answered = Responder::new(&node).read_act_one(lay_over(&mut act_one, over_one));
    let Ok((awaiting_three, act_two)) = answered else {
        return assert!(over_one.iter().any(|byte| *byte != 0), "a good act one was refused");
    };
    assert!(over_one.iter().all(|byte| *byte == 0), "a changed act one was taken");
    let (mut act_three, _) = awaiting_two.read_act_two(&act_two).unwrap();
    let over_three = &over_three[..over_three.len().min(act_three.len())];
    let changed = over_three.iter().any(|byte| *byte != 0);
    match awaiting_three.read_act_three(lay_over(&mut act_three, over_three)) {
        Ok((peer, _)) => assert!(!changed && peer == identity(2).node_id(), "a changed act three was taken"),
        Err(_) => assert!(changed, "a good act three was refused"),
    }
}

/// The input, but for its first four bytes, is sent as messages of a length that the first says, then changed in the place
/// and way the others say: what comes before that is read, what comes after is not.
pub(super) fn frames(input: &[u8]) {
    let Some((&[length, high, low, change], text)) = input.split_first_chunk() else { return };
    let (mut from, to) = connected();
    let messages: Vec<&[u8]> = text.chunks(usize::from(length) + 1).collect();
    let (mut wire, mut ends) = (Vec::new(), Vec::new());
    for message in &messages {
        from.sealer.seal(&[message], &mut wire).unwrap();
        ends.push(wire.len());
    }
    let at = usize::from(u16::from_be_bytes([high, low]));
    let whole = match wire.get_mut(at).filter(|_| change != 0) {
        Some(byte) => {
            *byte ^= change;
            ends.iter().filter(|end| **end <= at).count()
        }
        None => messages.len(),
    };
    let mut reader = Reader::new(wire.as_slice(), to.opener);
    for message in &messages[..whole] {
        assert_eq!(at_once(reader.next()).unwrap(), Some(*message));
    }
    match at_once(reader.next()) {
        Ok(None) => assert_eq!(whole, messages.len(), "messages are missing"),
        Ok(Some(_)) => panic!("a message that nobody sent"),
        Err(_) => {
            assert!(whole < messages.len());
            assert!(matches!(at_once(reader.next()), Err(Error::Poisoned)), "an error that passes");
        }
    }
}

fn connected() -> (Transport, Transport) {
    let (node, client) = (identity(1), identity(2));
    let (awaiting_two, act_one) = Initiator::new(&client, node.node_id()).unwrap();
    let (awaiting_three, act_two) = Responder::new(&node).read_act_one(&act_one).unwrap();
    let (act_three, near) = awaiting_two.read_act_two(&act_two).unwrap();
    (near, awaiting_three.read_act_three(&act_three).unwrap().1)
}

fn lay_over<'a, const N: usize>(act: &'a mut [u8; N], over: &[u8]) -> &'a [u8; N] {
    act.iter_mut().zip(over).for_each(|(byte, over)| *byte ^= over);
    act
}
