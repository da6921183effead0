//! A node's RPC socket, asked directly: nothing of the gateway is in between.

use std::path::Path;

use serde_json::{Map, Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;

use crate::within;

/// A connection to a node's RPC socket.
pub struct Rpc {
    stream: BufReader<UnixStream>,
    calls: u64,
}

impl Rpc {
    /// Connects to the node that listens on `socket`.
    pub async fn connect(socket: &Path) -> Self {
        let stream = UnixStream::connect(socket).await.unwrap();
        Self { stream: BufReader::new(stream), calls: 0 }
    }

    /// Calls `method` and returns what its reply holds besides `jsonrpc` and `id`: `result` or `error`.
    pub async fn call(&mut self, method: &str, params: &Value) -> Map<String, Value> {
        self.calls += 1;
        let id = format!("test#{}", self.calls);
        let request = json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params});
        self.stream.get_mut().write_all(request.to_string().as_bytes()).await.unwrap();
        let text = within(&format!("the reply to {request}"), self.reply()).await;
        let mut reply: Map<String, Value> = serde_json::from_str(&text).unwrap();
        assert_eq!(reply.shift_remove("jsonrpc"), Some(json!("2.0")), "{text}");
        assert_eq!(reply.shift_remove("id"), Some(json!(id)), "{text}");
        reply
    }

    /// The result of a call that must succeed.
    pub async fn result(&mut self, method: &str, params: &Value) -> Value {
        let mut reply = self.call(method, params).await;
        reply.remove("result").unwrap_or_else(|| panic!("{method} {params}: {reply:?}"))
    }

    /// The text up to the empty line that ends a reply.
    async fn reply(&mut self) -> String {
        let mut text = String::new();
        while !text.ends_with("\n\n") {
            let read = self.stream.read_line(&mut text).await.unwrap();
            assert_ne!(read, 0, "the node closed after {text:?}");
        }
        text
    }
}
