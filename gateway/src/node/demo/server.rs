//! The socket: accepts connections, answers each one's requests in order, writes replies.

use std::fs::{self, DirBuilder, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use tokio::task::JoinSet;

use super::filter::Filter;
use super::frame::{Frame, Unread};
use super::rpc::{Call, Handler, INVALID_REQUEST, Reply, Request, RpcError};
use super::state::{Node, hex};

/// How much of a streamed reply is made before it is written.
const CHUNK: usize = 64 << 10;
/// How much is read at a time.
const READ: usize = 8 << 10;
/// How much a client may send ahead while its request waits for something to happen.
const READ_AHEAD: usize = 64 << 10;

/// Makes the state directory, for its owner alone, where there is none.
pub(super) fn prepare_dir(dir: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(dir)
}

/// Listens on `path`, in the place of a socket nobody answers on any more.
pub(super) async fn bind(path: &Path) -> io::Result<UnixListener> {
    if UnixStream::connect(path).await.is_ok() {
        let message = format!("another process answers on {}", path.display());
        return Err(io::Error::new(io::ErrorKind::AddrInUse, message));
    }
    // The socket gets its mode under another name, so that it is never open to others.
    let fresh = path.with_extension("new");
    match fs::remove_file(&fresh) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = UnixListener::bind(&fresh)?;
    fs::set_permissions(&fresh, Permissions::from_mode(0o600))?;
    fs::rename(&fresh, path)?;
    Ok(listener)
}

/// Accepts connections for ever. The connections' tasks end with this future.
pub(super) async fn run(listener: UnixListener, node: Arc<Node>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    connections.spawn(serve(stream, Arc::clone(&node)));
                }
                Err(error) => {
                    // Out of file descriptors, most likely: others may be given back soon.
                    tracing::warn!(%error, "demo node could not accept");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn serve(stream: UnixStream, node: Arc<Node>) {
    let mut connection = Connection { stream, unread: Unread::default() };
    if let Err(error) = connection.serve(&node).await {
        tracing::debug!(%error, "demo node lost a connection");
    }
}

struct Connection {
    stream: UnixStream,
    unread: Unread,
}

impl Connection {
    async fn serve(&mut self, node: &Node) -> io::Result<()> {
        loop {
            match self.unread.next_frame() {
                Frame::Complete(frame) => self.answer(node, &frame).await?,
                Frame::Incomplete => {
                    if self.read().await? == 0 {
                        return Ok(());
                    }
                }
                Frame::Invalid => {
                    let input = hex(&self.unread.bytes);
                    return self.refuse(&format!("Invalid token in json input: '{input}'")).await;
                }
                Frame::TooLong => return self.refuse("Request too long").await,
            }
        }
    }

    async fn answer(&mut self, node: &Node, frame: &str) -> io::Result<()> {
        let Request { id, call } = Request::parse(frame);
        let (outcome, filter) = match call {
            Ok(call) => (self.perform(node, &call).await?, call.filter),
            Err(error) => (Err(error), None),
        };
        match outcome {
            Ok(Reply::Value(result)) => self.write_result(&id, result, filter).await,
            Ok(Reply::Stream { name, entries }) => self.write_stream(&id, name, entries, filter).await,
            Err(error) => self.write_error(&id, &error).await,
        }
    }

    /// Runs the method. While it waits for something to happen, a client that hangs up ends it.
    async fn perform(&mut self, node: &Node, call: &Call) -> io::Result<Result<Reply, RpcError>> {
        match call.method.handler {
            Handler::Now(handler) => Ok(handler(node, &call.args)),
            Handler::Wait(handler) => tokio::select! {
                outcome = handler(node, &call.args) => Ok(outcome),
                error = self.hung_up() => Err(error),
            },
        }
    }

    async fn hung_up(&mut self) -> io::Error {
        while self.unread.bytes.len() < READ_AHEAD {
            match self.read().await {
                Ok(0) => return io::ErrorKind::UnexpectedEof.into(),
                Ok(_) => {}
                Err(error) => return error,
            }
        }
        std::future::pending().await
    }

    async fn read(&mut self) -> io::Result<usize> {
        self.unread.bytes.reserve(READ);
        self.stream.read_buf(&mut self.unread.bytes).await
    }

    async fn write_result(&mut self, id: &str, result: Value, filter: Option<Filter>) -> io::Result<()> {
        let result = match filter {
            Some(filter) => filter.apply(result),
            None => result,
        };
        let reply = format!("{{\"jsonrpc\":\"2.0\",\"id\":{id},\"result\":{result}}}\n\n");
        self.stream.write_all(reply.as_bytes()).await
    }

    async fn write_stream(
        &mut self,
        id: &str,
        name: &str,
        entries: impl Iterator<Item = String>,
        filter: Option<Filter>,
    ) -> io::Result<()> {
        let filter = match filter {
            // Anything but a filter of the entries is about a result without any.
            Some(filter) => match filter.into_elements_of(name) {
                Ok(filter) => filter,
                Err(filter) => {
                    return self.write_result(id, json!({name: []}), Some(filter)).await;
                }
            },
            None => Filter::All,
        };
        let mut chunk = format!("{{\"jsonrpc\":\"2.0\",\"id\":{id},\"result\":{{\"{name}\":[");
        let mut separator = "";
        let path = format!(".{name}[]");
        let mut warning = None;
        for entry in entries {
            chunk.push_str(separator);
            separator = ",";
            match &filter {
                Filter::All => chunk.push_str(&entry),
                filter => {
                    let entry = serde_json::from_str(&entry)?;
                    let kept = filter.keep(entry, &path, &mut warning);
                    chunk.push_str(&kept.to_string());
                }
            }
            if chunk.len() >= CHUNK {
                self.stream.write_all(chunk.as_bytes()).await?;
                chunk.clear();
            }
        }
        chunk.push(']');
        if let Some(warning) = warning {
            let warning = Value::String(warning);
            chunk.push_str(&format!(",\"warning_parameter_filter\":{warning}"));
        }
        chunk.push_str("}}\n\n");
        self.stream.write_all(chunk.as_bytes()).await
    }

    async fn write_error(&mut self, id: &str, error: &RpcError) -> io::Result<()> {
        let error = error.to_json();
        let reply = format!("{{\"jsonrpc\":\"2.0\",\"id\":{id},\"error\":{error}}}\n\n");
        self.stream.write_all(reply.as_bytes()).await
    }

    /// The last word on a connection whose bytes no longer mean anything.
    async fn refuse(&mut self, message: &str) -> io::Result<()> {
        self.write_error("null", &RpcError::new(INVALID_REQUEST, message)).await?;
        self.stream.shutdown().await
    }
}
