//! A scripted node: lightningd's RPC socket, answering each method as a test says.
//!
//! Framing as lightningd's: JSON objects back to back, requests on one connection answered in order, each reply ended by
//! an empty line. A method without a script gets `Unknown command`; `getinfo` and an empty `help` are always known.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde::de::IgnoredAny;
use serde_json::{Deserializer, Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use tokio::task::{JoinHandle, JoinSet};

/// The node id `getinfo` tells unless scripted otherwise.
pub const NODE_ID: &str = "03aacc1e48a3bfddb928de6d40c728a084614c060db4da211976d2a8aa211902cc";

/// What a method answers. In [`Answer::Text`] and [`Answer::Half`] each `$ID` stands for the id of the request.
#[derive(Clone)]
pub enum Answer {
    /// A success with this JSON text as its result.
    Result(String),
    /// An error with this code and message.
    Error(i64, String),
    /// A success whose result is the request's own params.
    Echo,
    /// A success of a result that is one string of about this many bytes, streamed.
    Huge(usize),
    /// These bytes as they are.
    Text(String),
    /// These bytes, then the connection is closed.
    Half(String),
    /// So many bytes of a success, then the connection is closed.
    HalfHuge(usize),
    /// The connection is closed at once.
    Close,
    /// The connection is reset before the request has been read to its end: give it params of some 100 bytes.
    Reset,
    /// Nothing, ever.
    Never,
    /// The answer, later.
    Late(Duration, Box<Answer>),
    /// Whatever this makes of the request.
    By(Arc<dyn Fn(&Value) -> Answer + Send + Sync>),
}

impl Answer {
    /// A success.
    pub fn result(value: Value) -> Self {
        Self::Result(value.to_string())
    }

    /// Later.
    pub fn after(self, delay: Duration) -> Self {
        Self::Late(delay, Box::new(self))
    }
}

#[derive(Default)]
struct Script {
    answers: HashMap<String, Answer>,
    otherwise: Option<Answer>,
    requests: Vec<String>,
    forgets: bool,
    connections: usize,
}

/// A scripted node. Stops when dropped.
pub struct FakeNode {
    dir: TempDir,
    socket: PathBuf,
    script: Arc<Mutex<Script>>,
    accepting: Option<JoinHandle<()>>,
    /// Held by every open connection.
    open: Arc<()>,
}

impl FakeNode {
    /// A node that listens.
    pub async fn start() -> Self {
        let mut node = Self::absent();
        node.restart().await;
        node
    }

    /// A node that does not listen yet: its socket is missing.
    pub fn absent() -> Self {
        let dir = tempfile::Builder::new().prefix("fake-node-").tempdir().unwrap();
        let socket = dir.path().join("lightning-rpc");
        let node = Self { dir, socket, script: Arc::default(), accepting: None, open: Arc::default() };
        node.on("getinfo", Answer::result(getinfo(NODE_ID)));
        node.on("help", Answer::result(json!({"help": []})));
        node
    }

    /// Its RPC socket.
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// From now on `method` is answered so.
    pub fn on(&self, method: &str, answer: Answer) {
        let mut script = self.script.lock().unwrap();
        script.answers.insert(method.into(), answer);
    }

    /// From now on any method without a script of its own is answered so.
    pub fn otherwise(&self, answer: Answer) {
        self.script.lock().unwrap().otherwise = Some(answer);
    }

    /// From now on requests are answered and not kept: for tests that make very many.
    pub fn keep_no_requests(&self) {
        self.script.lock().unwrap().forgets = true;
    }

    /// How often `method` was called.
    pub fn calls(&self, method: &str) -> usize {
        self.requests().iter().filter(|text| method_of(text) == method).count()
    }

    /// The exact text of every request for `method`, in order of arrival.
    pub fn requests_for(&self, method: &str) -> Vec<String> {
        let mut requests = self.requests();
        requests.retain(|text| method_of(text) == method);
        requests
    }

    /// The exact text of every request so far.
    pub fn requests(&self) -> Vec<String> {
        self.script.lock().unwrap().requests.clone()
    }

    /// How many connections were accepted so far.
    pub fn connections(&self) -> usize {
        self.script.lock().unwrap().connections
    }

    /// Dies as a process does: every connection ends, nothing listens, the socket's file stays behind.
    pub async fn stop(&mut self) {
        if let Some(accepting) = self.accepting.take() {
            accepting.abort();
            let _ = accepting.await;
        }
        while Arc::strong_count(&self.open) > 1 {
            tokio::task::yield_now().await;
        }
    }

    /// Listens (again) on the same path.
    pub async fn restart(&mut self) {
        self.stop().await;
        let _ = std::fs::remove_file(&self.socket);
        let listener = UnixListener::bind(&self.socket).unwrap();
        let (script, open) = (self.script.clone(), self.open.clone());
        let task = tokio::spawn(async move {
            // Dropped with this task, and every connection with it.
            let mut connections = JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                script.lock().unwrap().connections += 1;
                let (script, open) = (script.clone(), open.clone());
                connections.spawn(async move {
                    serve(stream, script).await;
                    drop(open);
                });
            }
        });
        self.accepting = Some(task);
    }

    /// The directory of the socket.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }
}

impl Drop for FakeNode {
    fn drop(&mut self) {
        if let Some(accepting) = &self.accepting {
            accepting.abort();
        }
    }
}

/// A `getinfo` as lightningd's.
pub fn getinfo(id: &str) -> Value {
    json!({
        "id": id, "alias": "fake", "color": "0000aa", "num_peers": 0, "num_pending_channels": 0,
        "num_active_channels": 0, "num_inactive_channels": 0, "address": [], "binding": [],
        "version": "v26.06.6", "blockheight": 0, "network": "regtest", "fees_collected_msat": 0,
        "lightning-dir": "/home/node/regtest",
    })
}

fn method_of(request: &str) -> String {
    let value: Value = serde_json::from_str(request).unwrap_or_default();
    value["method"].as_str().unwrap_or_default().to_owned()
}

async fn serve(mut stream: UnixStream, script: Arc<Mutex<Script>>) {
    let mut unread = Vec::new();
    while let Some(text) = next_request(&mut stream, &mut unread, &script).await {
        let request: Value = serde_json::from_str(&text).unwrap_or_default();
        let method = request["method"].as_str().unwrap_or_default();
        let answer = {
            let mut script = script.lock().unwrap();
            if !script.forgets {
                script.requests.push(text.clone());
            }
            let known = script.answers.get(method).or(script.otherwise.as_ref());
            let unknown = || Answer::Error(-32601, format!("Unknown command '{method}'"));
            known.cloned().unwrap_or_else(unknown)
        };
        if !reply(&mut stream, &request, answer).await {
            return;
        }
    }
}

/// The text of the next request; `None` at the end of the connection, or where it is to be reset.
async fn next_request(
    stream: &mut UnixStream,
    unread: &mut Vec<u8>,
    script: &Mutex<Script>,
) -> Option<String> {
    // Small steps, so that a reset leaves bytes unread.
    let mut piece = [0; 64];
    loop {
        if let Some(text) = whole_object(unread) {
            return Some(text);
        }
        let size = stream.read(&mut piece).await.unwrap_or(0);
        if size == 0 {
            return None;
        }
        unread.extend(&piece[..size]);
        if resets(unread, &script.lock().unwrap()) {
            return None;
        }
        // The rest of a long request in larger steps.
        if unread.len() > 1024 {
            let mut more = vec![0; 64 * 1024];
            if let Ok(size) = stream.try_read(&mut more) {
                unread.extend(&more[..size]);
            }
        }
    }
}

fn resets(unread: &[u8], script: &Script) -> bool {
    let text = String::from_utf8_lossy(unread);
    let mut answers = script.answers.iter();
    answers.any(|(method, answer)| {
        matches!(answer, Answer::Reset) && text.contains(&format!("\"method\":\"{method}\""))
    })
}

/// Takes the first whole JSON value off the front.
fn whole_object(unread: &mut Vec<u8>) -> Option<String> {
    let at = unread.iter().position(|byte| !byte.is_ascii_whitespace())?;
    let mut values = Deserializer::from_slice(&unread[at..]).into_iter::<IgnoredAny>();
    match values.next()? {
        Ok(_) => {
            let end = at + values.byte_offset();
            let text = String::from_utf8(unread[at..end].to_vec()).expect("requests are UTF-8");
            unread.drain(..end);
            Some(text)
        }
        Err(error) if error.is_eof() => None,
        Err(error) => panic!("the gateway sent the node no JSON: {error}"),
    }
}

/// Whether the connection stays open.
async fn reply(stream: &mut UnixStream, request: &Value, answer: Answer) -> bool {
    let id = request["id"].to_string();
    let success = |result: &str| format!("{{\"jsonrpc\":\"2.0\",\"id\":{id},\"result\":{result}}}\n\n");
    let (text, stays) = match answer {
        Answer::Result(result) => (success(&result), true),
        Answer::Echo => (success(&request["params"].to_string()), true),
        Answer::Error(code, message) => {
            let error = json!({"code": code, "message": message});
            (format!("{{\"jsonrpc\":\"2.0\",\"id\":{id},\"error\":{error}}}\n\n"), true)
        }
        Answer::Text(text) => (text.replace("$ID", &id), true),
        Answer::Half(text) => (text.replace("$ID", &id), false),
        Answer::Huge(size) => {
            return stream_huge(stream, &id, size).await && stream.write_all(b"\"}\n\n").await.is_ok();
        }
        Answer::HalfHuge(size) => {
            stream_huge(stream, &id, size).await;
            return false;
        }
        Answer::Close | Answer::Reset => return false,
        Answer::Never => std::future::pending().await,
        Answer::By(answer) => return Box::pin(reply(stream, request, answer(request))).await,
        Answer::Late(delay, answer) => {
            tokio::time::sleep(delay).await;
            return Box::pin(reply(stream, request, *answer)).await;
        }
    };
    stream.write_all(text.as_bytes()).await.is_ok() && stays
}

async fn stream_huge(stream: &mut UnixStream, id: &str, size: usize) -> bool {
    let head = format!("{{\"jsonrpc\":\"2.0\",\"id\":{id},\"result\":\"");
    let mut written = stream.write_all(head.as_bytes()).await;
    let piece = [b'a'; 16 * 1024];
    let mut left = size;
    while left > 0 && written.is_ok() {
        let step = left.min(piece.len());
        written = stream.write_all(&piece[..step]).await;
        left -= step;
    }
    written.is_ok()
}
