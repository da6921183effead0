//! `runeward-bench node`: stands where lightningd would, on a UNIX socket.
//!
//! It is modelled on what limits lightningd: one thread does all the work, each call costs some of
//! that thread's time, and a connection has one call answered at a time, in order. What is *not*
//! modelled is everything else, so a load on it measures what stands before the node.

use std::io;
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use tokio::task::{LocalSet, spawn_local, yield_now};

use crate::failure::{Failure, Result};
use crate::json::{NotAnObject, Scanner};
use crate::process::thread_time;

/// What `getinfo` answers: the fields a gateway or a client reads at start.
const GETINFO: &str = r#"{"id":"0266e4598d1d3c415f572a8488830b60f7e744ed9235eb0b1ba93283b315c03518","alias":"runeward-bench","color":"0266e4","num_peers":0,"num_pending_channels":0,"num_active_channels":0,"num_inactive_channels":0,"address":[],"binding":[],"version":"v26.06.6","blockheight":0,"network":"regtest","fees_collected_msat":0,"lightning-dir":"/nonexistent/regtest","our_features":{"init":"800898880a8a59a1","node":"808898880a8a59a1","channel":"","invoice":"02000002024100"}}"#;

/// The answer to what is no JSON-RPC request; the connection closes after it.
const INVALID: &[u8] = b"{\"jsonrpc\":\"2.0\",\"id\":null,\"error\":{\"code\":-32600,\"message\":\"Invalid token in json input\"}}\n\n";

/// One entry of a large result, of the kind `listchannels` is made of.
const ENTRY: &str = r#"{"source":"0266e4598d1d3c415f572a8488830b60f7e744ed9235eb0b1ba93283b315c03518","destination":"03aacc1e48a3bfddb928de6d40c728a084614c060db4da211976d2a8aa211902cc","short_channel_id":"103x1x0","direction":0,"public":true,"amount_msat":1000000000,"message_flags":1,"channel_flags":0,"active":true,"last_update":1700000000,"base_fee_millisatoshi":1,"fee_per_millionth":10,"delay":6,"htlc_minimum_msat":0,"htlc_maximum_msat":990000000,"features":""},"#;
const RESULT_HEAD: &str = r#"{"channels":["#;
const RESULT_FILL: &str = r#"],"padding":""#;
const RESULT_TAIL: &str = r#""}"#;

/// The start of methods that say how long a result they want: `reply-1000` gets 1,000 bytes.
pub const REPLY_METHOD: &str = "reply-";

/// The smallest result that can be asked for, in bytes.
pub const MIN_RESULT: u64 = (RESULT_HEAD.len() + RESULT_FILL.len() + RESULT_TAIL.len()) as u64;

/// Answers on `socket` until the process ends. A stale socket file is replaced.
pub fn run(socket: &Path, cost: Duration, reply_bytes: u64) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let listener = {
        let _inside = runtime.enter();
        bind(socket)?
    };
    eprintln!(
        "answering on {}: {} µs a call, results of {reply_bytes} bytes",
        socket.display(),
        cost.as_micros()
    );
    let node = Rc::new(Node { cost, filler: Filler::default(), reply_bytes });
    LocalSet::new().block_on(&runtime, serve(&listener, &node))
}

/// Listens, after removing what a killed predecessor left, but never what still answers.
fn bind(socket: &Path) -> Result<UnixListener> {
    if std::os::unix::net::UnixStream::connect(socket).is_ok() {
        return Err(Failure::usage(format!(
            "{} is in use: something answers on it; choose another path",
            socket.display()
        )));
    }
    let stale = std::fs::symlink_metadata(socket).is_ok_and(|found| {
        use std::os::unix::fs::FileTypeExt;
        found.file_type().is_socket()
    });
    if stale {
        std::fs::remove_file(socket)?;
    }
    UnixListener::bind(socket).map_err(|why| {
        Failure::usage(format!(
            "cannot listen on {}: {why}; its folder must exist and be writable, and the path be at \
             most 107 bytes long",
            socket.display()
        ))
    })
}

async fn serve(listener: &UnixListener, node: &Rc<Node>) -> Result<()> {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                let node = Rc::clone(node);
                spawn_local(async move {
                    // A client that leaves in the middle of a reply is its own affair.
                    let _gone = node.converse(stream).await;
                });
            }
            Err(why) => {
                eprintln!("cannot accept a connection: {why}");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

struct Node {
    cost: Duration,
    filler: Filler,
    /// Length of a result where the method does not say.
    reply_bytes: u64,
}

impl Node {
    /// Answers the calls of one connection, one after another, until it closes.
    async fn converse(&self, mut stream: UnixStream) -> io::Result<()> {
        let mut input = vec![0; 16 * 1_024];
        let mut out = Vec::new();
        let mut scanner = Scanner::default();
        loop {
            let filled = stream.read(&mut input).await?;
            if filled == 0 {
                return Ok(());
            }
            let mut rest = &input[..filled];
            while !rest.is_empty() {
                match scanner.feed(rest) {
                    Ok(None) => break,
                    Ok(Some(end)) => rest = &rest[end..],
                    Err(NotAnObject) => return stream.write_all(INVALID).await,
                }
                burn(self.cost);
                self.answer(&scanner, &mut stream, &mut out).await?;
                scanner.reset();
                if !rest.is_empty() {
                    // The other connections' calls have their turn before this one's next.
                    yield_now().await;
                }
            }
        }
    }

    async fn answer(&self, request: &Scanner, stream: &mut UnixStream, out: &mut Vec<u8>) -> io::Result<()> {
        let id = match request.id() {
            b"" => b"null",
            id => id,
        };
        out.clear();
        out.extend_from_slice(b"{\"jsonrpc\":\"2.0\",\"id\":");
        out.extend_from_slice(id);
        out.extend_from_slice(b",\"result\":");
        if request.method() == b"\"getinfo\"" {
            out.extend_from_slice(GETINFO.as_bytes());
        } else {
            let bytes = asked_length(request.method()).unwrap_or(self.reply_bytes);
            self.filler.write(bytes, stream, out).await?;
        }
        out.extend_from_slice(b"}\n\n");
        stream.write_all(out).await
    }
}

/// The length that a method of [`REPLY_METHOD`] asks for.
fn asked_length(method: &[u8]) -> Option<u64> {
    let method = std::str::from_utf8(method).ok()?.strip_prefix('"')?.strip_suffix('"')?;
    method.strip_prefix(REPLY_METHOD)?.parse().ok()
}

/// Results of any length from [`MIN_RESULT`] on, made while they are sent.
struct Filler {
    /// Whole entries, each with its comma.
    block: Vec<u8>,
}

impl Default for Filler {
    fn default() -> Self {
        Self { block: ENTRY.repeat(64 * 1_024 / ENTRY.len()).into_bytes() }
    }
}

impl Filler {
    /// Writes a result of `bytes` after what `out` holds; what fits one block stays in `out` for the
    /// caller to send.
    async fn write(&self, bytes: u64, stream: &mut UnixStream, out: &mut Vec<u8>) -> io::Result<()> {
        let entry = ENTRY.len() as u64;
        let room = bytes.saturating_sub(MIN_RESULT);
        // The last entry goes without its comma, so one byte more of entries fits.
        let mut left = ((room + 1) / entry * entry).saturating_sub(1);
        let padding = (room - left) as usize;

        out.extend_from_slice(RESULT_HEAD.as_bytes());
        while left > self.block.len() as u64 {
            out.extend_from_slice(&self.block);
            left -= self.block.len() as u64;
            stream.write_all(out).await?;
            out.clear();
        }
        out.extend_from_slice(&self.block[..left as usize]);
        out.extend_from_slice(RESULT_FILL.as_bytes());
        out.resize(out.len() + padding, b'x');
        out.extend_from_slice(RESULT_TAIL.as_bytes());
        Ok(())
    }
}

/// Spends this much of the thread's processor time: unlike a wait on the clock, a call does not
/// become cheaper when other processes crowd the core.
fn burn(cost: Duration) {
    if cost.is_zero() {
        return;
    }
    let until = thread_time() + cost;
    while thread_time() < until {
        std::hint::spin_loop();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn ask(reply_bytes: u64, request: &str) -> Vec<u8> {
        let (mut client, server) = UnixStream::pair().unwrap();
        let node = Node { cost: Duration::ZERO, filler: Filler::default(), reply_bytes };
        let mut reply = Vec::new();
        let (served, read) = tokio::join!(node.converse(server), async {
            client.write_all(request.as_bytes()).await?;
            client.shutdown().await?;
            client.read_to_end(&mut reply).await
        });
        served.unwrap();
        read.unwrap();
        reply
    }

    #[tokio::test]
    async fn a_result_is_json_of_the_length_asked_for() {
        let entry = ENTRY.len() as u64;
        let around = |n: u64| n - 3..n + 3;
        for bytes in (MIN_RESULT..MIN_RESULT + 3)
            .chain(around(MIN_RESULT + entry))
            .chain(around(MIN_RESULT + 2 * entry))
            .chain(around(65_536))
            .chain([1_000_000])
        {
            let reply = ask(bytes, r#"{"id":"a\"b","method":"listchannels"}"#).await;
            let head = br#"{"jsonrpc":"2.0","id":"a\"b","result":"#;
            let result = &reply[head.len()..reply.len() - 3];
            assert!(reply.starts_with(head) && reply.ends_with(b"}\n\n"));
            assert_eq!(result.len() as u64, bytes);
            serde_json::from_slice::<serde_json::Value>(result).unwrap();
        }
    }

    #[tokio::test]
    async fn a_method_may_say_how_long_a_result_it_wants() {
        let frame = r#"{"jsonrpc":"2.0","id":1,"result":}"#.len() + 2;
        for (method, bytes) in [("reply-5000", 5_000), ("reply-1", MIN_RESULT), ("reply-x", 100)] {
            let reply = ask(100, &format!(r#"{{"id":1,"method":"{method}"}}"#)).await;
            assert_eq!((reply.len() - frame) as u64, bytes, "{method}");
        }
    }

    #[tokio::test]
    async fn calls_are_answered_in_order() {
        let replies =
            ask(100, "{\"id\":1,\"method\":\"getinfo\"}{\"method\":\"getinfo\",\"id\":2.50}\n\n {\"id\":3}")
                .await;
        let replies = String::from_utf8(replies).unwrap();
        let ids: Vec<_> = replies
            .split_terminator("\n\n")
            .map(|reply| {
                serde_json::from_str::<serde_json::Value>(reply).unwrap();
                &reply[21..25]
            })
            .collect();
        assert_eq!(ids, [":1,\"", ":2.5", ":3,\""]);
        assert!(replies.contains("v26.06.6"));
    }

    #[tokio::test]
    async fn what_is_no_request_is_refused() {
        assert_eq!(ask(100, "[1]{\"id\":1}").await, INVALID);
    }

    #[test]
    fn burning_takes_processor_time() {
        let before = thread_time();
        burn(Duration::from_millis(2));
        assert!(thread_time() - before >= Duration::from_millis(2));
    }
}
