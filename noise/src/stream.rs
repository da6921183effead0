use std::{fmt, future::poll_fn, io, mem::MaybeUninit, ops::Range, pin::Pin, task::Poll};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};

use crate::{
    ACT_ONE, ACT_THREE, ACT_TWO, Error, Identity, Initiator, NodeId, Opener, Responder, SEALED_LENGTH,
    Sealer, TAG, Transport,
};

/// The most bytes taken from the stream at once.
const READ: usize = 16 * 1024;

/// A reader that waits with less than this keeps no larger buffer.
const KEEP: usize = 2 * 1024;

/// Answers a handshake: reads act one, writes act two in one write, reads act three.
///
/// Takes 116 bytes from the stream and not one more. Sets no deadline. Not cancel-safe.
///
/// # Errors
///
/// As [`Responder::read_act_one`] and [`AwaitingActThree::read_act_three`], which leave nothing
/// written after a bad act; [`Error::Truncated`] if the stream ends; [`Error::Io`].
///
/// [`AwaitingActThree::read_act_three`]: crate::AwaitingActThree::read_act_three
pub async fn accept<S>(stream: &mut S, identity: &Identity) -> Result<(NodeId, Transport), Error>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut act_one = [0; ACT_ONE];
    stream.read_exact(&mut act_one).await?;
    let (awaiting, act_two) = Responder::new(identity).read_act_one(&act_one)?;
    stream.write_all(&act_two).await?;
    stream.flush().await?;

    let mut act_three = [0; ACT_THREE];
    stream.read_exact(&mut act_three).await?;
    awaiting.read_act_three(&act_three)
}

/// Performs a handshake with the node `peer`: writes act one, reads act two, writes act three.
///
/// Sets no deadline. Not cancel-safe.
///
/// # Errors
///
/// As [`Initiator::new`] and [`AwaitingActTwo::read_act_two`]; [`Error::Truncated`] if the stream
/// ends, as it does where the node is not `peer`; [`Error::Io`].
///
/// [`AwaitingActTwo::read_act_two`]: crate::AwaitingActTwo::read_act_two
pub async fn connect<S>(stream: &mut S, identity: &Identity, peer: NodeId) -> Result<Transport, Error>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let (awaiting, act_one) = Initiator::new(identity, peer)?;
    stream.write_all(&act_one).await?;
    stream.flush().await?;

    let mut act_two = [0; ACT_TWO];
    stream.read_exact(&mut act_two).await?;
    let (act_three, transport) = awaiting.read_act_two(&act_two)?;
    stream.write_all(&act_three).await?;
    stream.flush().await?;
    Ok(transport)
}

/// Reads messages from a stream.
///
/// Takes up to 16 KiB at once, so it holds at most that and one message. While it waits it holds no
/// buffer between messages, and 2 KiB for a message of which it has less.
pub struct Reader<R> {
    stream: R,
    opener: Opener,
    /// What was read: `..start` has been returned to the caller, the rest is still sealed.
    buffer: Vec<u8>,
    start: usize,
    /// Bytes of the sealed body to come, once its length is open.
    body: Option<usize>,
}

impl<R: AsyncRead + Unpin> Reader<R> {
    /// Reads from `stream`, whose next byte is the first after the handshake.
    pub fn new(stream: R, opener: Opener) -> Self {
        Self { stream, opener, buffer: Vec::new(), start: 0, body: None }
    }

    /// The next message, whole and decrypted: 0 to 65,535 bytes. `None` if the stream ended where
    /// a message would have started.
    ///
    /// Cancel-safe: a call dropped before it is ready loses nothing.
    ///
    /// # Errors
    ///
    /// [`Error::BadMac`] and then [`Error::Poisoned`], [`Error::Truncated`] if the stream ended
    /// inside a message, [`Error::Io`].
    pub async fn next(&mut self) -> Result<Option<&[u8]>, Error> {
        if self.opener.is_poisoned() {
            return Err(Error::Poisoned);
        }
        loop {
            if let Some(sealed) = self.take_body()? {
                let sealed = &mut self.buffer[sealed];
                return Ok(Some(self.opener.open_body(sealed)?));
            }
            self.buffer.drain(..self.start);
            self.start = 0;
            if self.fill().await? == 0 {
                return match (self.buffer.is_empty(), self.body) {
                    (true, None) => Ok(None),
                    _ => Err(Error::Truncated),
                };
            }
        }
    }

    /// Where in the buffer the next sealed body is, if all of it has been read.
    fn take_body(&mut self) -> Result<Option<Range<usize>>, Error> {
        let body = match self.body {
            Some(body) => body,
            None => {
                let Some(sealed) = self.buffer[self.start..].first_chunk::<SEALED_LENGTH>() else {
                    return Ok(None);
                };
                let body = usize::from(self.opener.open_length(sealed)?) + TAG;
                self.start += SEALED_LENGTH;
                *self.body.insert(body)
            }
        };
        let sealed = self.start..self.start + body;
        if sealed.end > self.buffer.len() {
            return Ok(None);
        }
        self.start = sealed.end;
        self.body = None;
        Ok(Some(sealed))
    }

    /// Appends what the stream has to the buffer: how many bytes, 0 at its end.
    ///
    /// The bytes come by way of the stack, so that waiting for them needs no memory.
    async fn fill(&mut self) -> io::Result<usize> {
        poll_fn(|context| {
            let mut chunk = [const { MaybeUninit::uninit() }; READ];
            let mut chunk = ReadBuf::uninit(&mut chunk);
            match Pin::new(&mut self.stream).poll_read(context, &mut chunk) {
                Poll::Ready(result) => {
                    self.buffer.extend_from_slice(chunk.filled());
                    Poll::Ready(result.map(|()| chunk.filled().len()))
                }
                Poll::Pending => {
                    match self.buffer.len() {
                        0 => self.buffer = Vec::new(),
                        1..=KEEP => self.buffer.shrink_to(KEEP),
                        _ => {}
                    }
                    Poll::Pending
                }
            }
        })
        .await
    }
}

/// Shows no message.
impl<R> fmt::Debug for Reader<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reader").field("opener", &self.opener).finish_non_exhaustive()
    }
}

/// Writes messages to a stream. Holds no buffer between them.
pub struct Writer<W> {
    stream: W,
    sealer: Sealer,
    /// A sealed message of which `..written` has been written.
    buffer: Vec<u8>,
    written: usize,
}

impl<W: AsyncWrite + Unpin> Writer<W> {
    /// Writes to `stream`, where the last byte was that of the handshake.
    pub fn new(stream: W, sealer: Sealer) -> Self {
        Self { stream, sealer, buffer: Vec::new(), written: 0 }
    }

    /// Sends one message made of all `parts` in order, at most 65,535 bytes, and flushes.
    ///
    /// If a call is dropped before it is ready, its message has been sent in whole, in part or not
    /// at all; the next call sends the rest of it first, so the stream stays sound.
    ///
    /// # Errors
    ///
    /// [`Error::MessageTooLong`], after which shorter messages may still be sent; [`Error::Io`].
    pub async fn send(&mut self, parts: &[&[u8]]) -> Result<(), Error> {
        self.write_buffer().await?;
        self.sealer.seal(parts, &mut self.buffer)?;
        self.write_buffer().await?;
        self.stream.flush().await?;
        Ok(())
    }

    async fn write_buffer(&mut self) -> io::Result<()> {
        while self.written < self.buffer.len() {
            match self.stream.write(&self.buffer[self.written..]).await? {
                0 => return Err(io::ErrorKind::WriteZero.into()),
                written => self.written += written,
            }
        }
        self.buffer = Vec::new();
        self.written = 0;
        Ok(())
    }
}

impl<W> fmt::Debug for Writer<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Writer").field("sealer", &self.sealer).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncWriteExt, duplex};

    use super::*;
    use crate::MAX_MESSAGE;

    #[tokio::test]
    async fn buffers_are_bounded_and_idle_ones_are_released() {
        let (node, client) = (Identity::generate().unwrap(), Identity::generate().unwrap());
        let (mut near, mut far) = duplex(1 << 20);
        let (accepted, connected) =
            tokio::join!(accept(&mut near, &node), connect(&mut far, &client, node.node_id()));
        let mut reader = Reader::new(near, accepted.unwrap().1.opener);
        let mut sealer = connected.unwrap().sealer;

        for round in 0..3 {
            let mut wire = Vec::new();
            for _ in 0..8 {
                sealer.seal(&[&[0; MAX_MESSAGE]], &mut wire).unwrap();
            }
            // The start of one more, so that it does not wait with an empty buffer each time.
            let mut next = Vec::new();
            sealer.seal(&[b"hello"], &mut next).unwrap();
            let (now, later) = next.split_at(19 * round);
            wire.extend_from_slice(now);
            far.write_all(&wire).await.unwrap();
            for _ in 0..8 {
                assert!(reader.next().await.unwrap().is_some());
                assert!(reader.buffer.len() <= MAX_MESSAGE + SEALED_LENGTH + TAG + READ);
                assert!(reader.buffer.capacity() <= 2 * (MAX_MESSAGE + READ));
            }
            let waiting = tokio::select! {
                biased;
                _ = reader.next() => false,
                () = std::future::ready(()) => true,
            };
            assert!(waiting || later.is_empty());
            let kept = reader.buffer.capacity();
            assert!(kept <= if round == 0 { 0 } else { KEEP }, "{kept}");
            far.write_all(later).await.unwrap();
            if waiting {
                assert_eq!(reader.next().await.unwrap().unwrap(), b"hello");
            }
        }

        let mut writer = Writer::new(far, sealer);
        writer.send(&[&[0; MAX_MESSAGE]]).await.unwrap();
        assert_eq!(writer.buffer.capacity(), 0);
    }
}
