//! `runeward-bench direct`: the load put straight on a node's UNIX socket.

use std::io::{self, Write};
use std::path::Path;

use memchr::memmem;
use tokio::io::AsyncReadExt;
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};

use crate::calls::{Incoming, Outbox, Replies, Requests};
use crate::failure::{Failure, Result};

/// Where lightningd's replies end; JSON has an empty line nowhere else.
const END: &[u8] = b"\n\n";

/// Connects to the node.
pub async fn open(socket: &Path, request: &Request) -> Result<(NodeReplies, NodeRequests)> {
    let stream = UnixStream::connect(socket).await.map_err(|why| {
        Failure::connect(format!(
            "cannot connect to {}: {why}; name the node's RPC socket, usually \
             ~/.lightning/bitcoin/lightning-rpc",
            socket.display()
        ))
    })?;
    let (reader, writer) = stream.into_split();
    let replies = NodeReplies { reader, buffer: vec![0; 128 * 1_024], start: 0, end: 0, answering: 0 };
    let requests = NodeRequests { writer, out: Outbox::default(), request: request.clone() };
    Ok((replies, requests))
}

/// A call, all but its id.
#[derive(Debug, Clone)]
pub struct Request(String);

impl Request {
    /// `params` is JSON.
    pub fn new(method: &str, params: &str) -> Self {
        let method = serde_json::Value::from(method);
        Self(format!(",\"method\":{method},\"params\":{params}}}"))
    }
}

/// Replies come in the order of the requests, each ended by an empty line.
pub struct NodeReplies {
    reader: OwnedReadHalf,
    buffer: Vec<u8>,
    /// What is read but not handed on lies between these two.
    start: usize,
    end: usize,
    /// The call whose reply comes next.
    answering: u64,
}

impl Replies for NodeReplies {
    async fn next(&mut self) -> io::Result<Option<Incoming<'_>>> {
        loop {
            let (start, id) = (self.start, self.answering);
            if let Some(length) = memmem::find(&self.buffer[start..self.end], END) {
                self.start += length + END.len();
                self.answering += 1;
                return Ok(Some(Incoming::Reply {
                    id,
                    bytes: &self.buffer[start..start + length],
                    last: true,
                }));
            }
            // A newline at the end may be half of an empty line: it waits for what follows.
            let half = usize::from(self.buffer[start..self.end].ends_with(b"\n"));
            let whole = self.end - half;
            if whole > start {
                self.start = whole;
                return Ok(Some(Incoming::Reply { id, bytes: &self.buffer[start..whole], last: false }));
            }
            self.buffer.copy_within(start..self.end, 0);
            (self.start, self.end) = (0, half);
            match self.reader.read(&mut self.buffer[half..]).await? {
                0 => return Ok(None),
                filled => self.end += filled,
            }
        }
    }
}

/// Requests are written back to back; the node answers them in order.
pub struct NodeRequests {
    writer: OwnedWriteHalf,
    out: Outbox,
    request: Request,
}

impl Requests for NodeRequests {
    fn call(&mut self, id: u64) -> io::Result<()> {
        write!(self.out.bytes, "{{\"jsonrpc\":\"2.0\",\"id\":{id}")?;
        self.out.bytes.extend_from_slice(self.request.0.as_bytes());
        Ok(())
    }

    fn pong(&mut self, _bytes: u16) -> io::Result<()> {
        Ok(())
    }

    fn pending(&self) -> bool {
        self.out.pending()
    }

    async fn flush(&mut self) -> io::Result<()> {
        self.out.flush(&mut self.writer).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::AsyncWriteExt;

    #[tokio::test]
    async fn replies_are_told_apart_however_they_are_cut() {
        let text = b"{\n \"id\":0}\n\n{\"id\":1}\n\n{}\n\n";
        for cut in 0..=text.len() {
            let (client, mut node) = UnixStream::pair().unwrap();
            let (reader, _writer) = client.into_split();
            let mut replies = NodeReplies { reader, buffer: vec![0; 5], start: 0, end: 0, answering: 0 };
            let (head, tail) = text.split_at(cut);
            let mut whole = vec![Vec::new(); 4];
            let ((), ()) = tokio::join!(
                async {
                    node.write_all(head).await.unwrap();
                    tokio::task::yield_now().await;
                    node.write_all(tail).await.unwrap();
                    drop(node);
                },
                async {
                    while let Some(incoming) = replies.next().await.unwrap() {
                        let Incoming::Reply { id, bytes, last } = incoming else {
                            panic!("only replies come from a node");
                        };
                        whole[id as usize].extend_from_slice(bytes);
                        if last {
                            whole[id as usize].push(b'.');
                        }
                    }
                }
            );
            assert_eq!(whole, [&b"{\n \"id\":0}."[..], b"{\"id\":1}.", b"{}.", b""]);
        }
    }
}
