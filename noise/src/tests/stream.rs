use std::{
    future::{Future, ready},
    io,
    pin::Pin,
    task::{Context, Poll},
};

use proptest::prelude::*;
use tokio::io::{AsyncWrite, AsyncWriteExt, duplex, join, split};

use super::{connected, identity, sealed};
use crate::{
    ACT_ONE, ACT_THREE, ACT_TWO, Error, Initiator, MAX_MESSAGE, Reader, Responder, SEALED_LENGTH, Writer,
    accept, connect,
};

/// Keeps each write apart.
#[derive(Default)]
struct Writes(Vec<Vec<u8>>);

impl AsyncWrite for Writes {
    fn poll_write(mut self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.0.push(bytes.to_vec());
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// Polls once and drops, as a `select!` does whose other branch is ready.
async fn poll_once<T>(future: impl Future<Output = T>) -> Option<T> {
    tokio::select! {
        biased;
        output = future => Some(output),
        () = ready(()) => None,
    }
}

#[tokio::test]
async fn one_byte_at_a_time() {
    let (mut near, mut far) = duplex(1);
    let (node, client) = (identity(1), identity(2));
    let sent: Vec<Vec<u8>> = [0, 1, 5, 300, 3_000].map(|size| vec![size as u8; size]).into();
    let client_id = client.node_id();
    let serve = async {
        let (peer, transport) = accept(&mut near, &node).await.unwrap();
        assert_eq!(peer, client_id);
        let (reader, writer) = split(near);
        let mut reader = Reader::new(reader, transport.opener);
        let mut writer = Writer::new(writer, transport.sealer);
        while let Some(message) = reader.next().await.unwrap() {
            let message = message.to_vec();
            writer.send(&[&message, b"!"]).await.unwrap();
        }
    };
    let call = async {
        let transport = connect(&mut far, &client, node.node_id()).await.unwrap();
        let (reader, writer) = split(far);
        let mut reader = Reader::new(reader, transport.opener);
        let mut writer = Writer::new(writer, transport.sealer);
        for message in &sent {
            writer.send(&[message]).await.unwrap();
            let reply = reader.next().await.unwrap().unwrap();
            assert_eq!(reply, [&message[..], b"!"].concat());
        }
    };
    tokio::join!(serve, call);
}

#[tokio::test]
async fn act_two_is_one_write_and_nothing_follows_a_bad_act() {
    let (node, client) = (identity(1), identity(2));
    let (_, act_one) = Initiator::new(&client, node.node_id()).unwrap();

    let input = [&act_one[..], &[0; ACT_THREE]].concat();
    let mut stream = join(&input[..], Writes::default());
    let result = accept(&mut stream, &node).await;
    assert!(matches!(result, Err(Error::BadTag)));
    let writes = &stream.writer().0;
    assert_eq!(writes.iter().map(Vec::len).collect::<Vec<_>>(), [ACT_TWO]);

    let mut bad = act_one;
    bad[ACT_ONE - 1] ^= 1;
    let mut stream = join(&bad[..], Writes::default());
    let result = accept(&mut stream, &node).await;
    assert!(matches!(result, Err(Error::BadTag)));
    assert!(stream.writer().0.is_empty());

    let mut stream = join(&[0; ACT_TWO][..], Writes::default());
    let result = connect(&mut stream, &client, node.node_id()).await;
    assert!(matches!(result, Err(Error::BadPoint)));
    assert_eq!(stream.writer().0.len(), 1, "act one only");
}

#[tokio::test]
async fn every_truncation_of_every_act_is_refused() {
    let (node, client) = (identity(1), identity(2));
    let (_, act_one) = Initiator::new(&client, node.node_id()).unwrap();
    for length in 0..ACT_ONE + ACT_THREE {
        let input = [&act_one[..], &[0; ACT_THREE]].concat();
        let mut stream = join(&input[..length], Vec::new());
        let result = accept(&mut stream, &node).await;
        assert!(matches!(result, Err(Error::Truncated)), "{length}");
        let expected = if length < ACT_ONE { 0 } else { ACT_TWO };
        assert_eq!(stream.writer().len(), expected);
    }
    let (_, act_two) = Responder::new(&node).read_act_one(&act_one).unwrap();
    for length in 0..ACT_TWO {
        let mut stream = join(&act_two[..length], Vec::new());
        let result = connect(&mut stream, &client, node.node_id()).await;
        assert!(matches!(result, Err(Error::Truncated)), "{length}");
        assert_eq!(stream.writer().len(), ACT_ONE);
    }
}

#[tokio::test]
async fn the_handshake_takes_no_byte_of_the_first_message() {
    let (node, client) = (identity(1), identity(2));
    let (mut near, mut far) = duplex(1024);
    let call = async {
        let mut transport = connect(&mut far, &client, node.node_id()).await.unwrap();
        far.write_all(&sealed(&mut transport, b"at once")).await.unwrap();
    };
    let (accepted, ()) = tokio::join!(accept(&mut near, &node), call);
    let mut reader = Reader::new(near, accepted.unwrap().1.opener);
    assert_eq!(reader.next().await.unwrap().unwrap(), b"at once");
}

#[tokio::test]
async fn a_dropped_next_loses_nothing() {
    let (mut initiator, responder) = connected();
    let (mut near, far) = duplex(1024);
    let mut reader = Reader::new(far, responder.opener);
    for message in [&b"hello"[..], b"", b"there"] {
        let wire = sealed(&mut initiator, message);
        let (last, rest) = wire.split_last().unwrap();
        assert!(poll_once(reader.next()).await.is_none());
        for byte in rest {
            near.write_u8(*byte).await.unwrap();
            assert!(poll_once(reader.next()).await.is_none());
        }
        near.write_u8(*last).await.unwrap();
        let next = poll_once(reader.next()).await.unwrap();
        assert_eq!(next.unwrap().unwrap(), message);
    }
    drop(near);
    assert!(reader.next().await.unwrap().is_none());
    assert!(reader.next().await.unwrap().is_none());
}

#[tokio::test]
async fn a_dropped_send_leaves_the_stream_sound() {
    let (initiator, responder) = connected();
    let (near, far) = duplex(7);
    let mut writer = Writer::new(near, initiator.sealer);
    let mut reader = Reader::new(far, responder.opener);
    assert!(poll_once(writer.send(&[b"cut"])).await.is_none());
    assert!(poll_once(writer.send(&[b"never sealed"])).await.is_none());
    let read = async {
        assert_eq!(reader.next().await.unwrap().unwrap(), b"cut");
        assert_eq!(reader.next().await.unwrap().unwrap(), b"whole");
    };
    let (result, ()) = tokio::join!(writer.send(&[b"whole"]), read);
    result.unwrap();
}

#[tokio::test]
async fn an_end_inside_a_message_is_not_an_end_between_messages() {
    let (mut initiator, _) = connected();
    let size = sealed(&mut initiator, b"hello").len();
    for length in 0..=size {
        let (mut initiator, responder) = connected();
        let wire = sealed(&mut initiator, b"hello");
        let mut reader = Reader::new(&wire[..length], responder.opener);
        if length == size {
            assert_eq!(reader.next().await.unwrap().unwrap(), b"hello");
        }
        match reader.next().await {
            Ok(None) => assert!(length == 0 || length == size),
            Err(Error::Truncated) => assert!(0 < length && length < size),
            other => panic!("{length}: {other:?}"),
        };
    }
}

#[tokio::test]
async fn many_messages_arrive_in_one_read() {
    let (mut initiator, responder) = connected();
    let mut wire = Vec::new();
    for size in (0..600).chain([MAX_MESSAGE, 0, MAX_MESSAGE]) {
        initiator.sealer.seal(&[&vec![1; size]], &mut wire).unwrap();
    }
    let mut reader = Reader::new(&wire[..], responder.opener);
    for size in (0..600).chain([MAX_MESSAGE, 0, MAX_MESSAGE]) {
        assert_eq!(reader.next().await.unwrap().unwrap(), vec![1; size]);
    }
    assert!(reader.next().await.unwrap().is_none());
}

#[tokio::test]
async fn a_forged_message_ends_the_reader_at_once() {
    for at in [0, SEALED_LENGTH] {
        let (mut initiator, responder) = connected();
        let (mut near, far) = duplex(1024);
        let mut reader = Reader::new(far, responder.opener);
        let mut wire = sealed(&mut initiator, b"hello");
        wire[at] ^= 1;
        near.write_all(&wire).await.unwrap();
        assert!(matches!(reader.next().await, Err(Error::BadMac)));
        assert!(matches!(reader.next().await, Err(Error::Poisoned)));
    }
}

#[tokio::test]
async fn too_long_a_message_leaves_the_writer_usable() {
    let (initiator, responder) = connected();
    let mut wire = Vec::new();
    let mut writer = Writer::new(&mut wire, initiator.sealer);
    let result = writer.send(&[&[0; MAX_MESSAGE], &[0]]).await;
    assert!(matches!(result, Err(Error::MessageTooLong(65_536))));
    writer.send(&[b"short"]).await.unwrap();
    let mut reader = Reader::new(&wire[..], responder.opener);
    assert_eq!(reader.next().await.unwrap().unwrap(), b"short");
}

#[tokio::test]
async fn debug_shows_no_message() {
    let (mut initiator, responder) = connected();
    let wire = sealed(&mut initiator, &[0xa5; 8]);
    let mut reader = Reader::new(&wire[..], responder.opener);
    assert!(reader.next().await.unwrap().is_some());
    let shown = format!("{reader:?} {:?}", Writer::new(Vec::new(), initiator.sealer));
    assert!(!shown.contains("165") && !shown.contains('['), "{shown}");
}

#[tokio::test]
async fn a_broken_stream_is_an_io_error() {
    let (initiator, _) = connected();
    let (near, far) = duplex(1024);
    drop(far);
    let result = Writer::new(near, initiator.sealer).send(&[b"hello"]).await;
    let Err(Error::Io(error)) = result else {
        panic!("{result:?}");
    };
    assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
}

/// So that they can be spawned. Nothing needs to run.
#[test]
fn futures_are_send() {
    fn assert_send<T: Send>(_: T) {}
    let (transport, _) = connected();
    let (mut near, far) = duplex(1);
    let node = identity(1);
    assert_send(accept(&mut near, &node));
    assert_send(connect(&mut near, &node, node.node_id()));
    assert_send(Reader::new(near, transport.opener).next());
    assert_send(Writer::new(far, transport.sealer).send(&[b""]));
}

proptest! {
    #[test]
    fn arbitrary_streams_are_refused(bytes in prop::collection::vec(any::<u8>(), 1..400)) {
        let (_, responder) = connected();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let mut reader = Reader::new(&bytes[..], responder.opener);
            let error = reader.next().await.unwrap_err();
            assert!(matches!(error, Error::BadMac | Error::Truncated));
            let mut stream = join(&bytes[..], Vec::new());
            assert!(accept(&mut stream, &identity(1)).await.is_err());
            assert!(stream.writer().is_empty());
        });
    }
}
