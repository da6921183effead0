//! The tables under `conformance/`: what a real node was seen to answer, and our verdict on each case.

use std::fs;
use std::path::Path;

use serde::Deserialize;
use serde_json::{Map, Value};

/// `conformance/observed.json`.
#[derive(Deserialize)]
pub struct Observed {
    /// 64 hex digits: what the recorded runes were made under.
    pub rune_master_secret: String,
    /// The node id of the client that was recorded.
    pub client_id: String,
    /// In the order recorded.
    pub cases: Vec<Case>,
}

/// One recorded case. Which of the optional members are there depends on the group.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Case {
    /// What it is about.
    pub group: String,
    /// Its name.
    #[serde(rename = "case")]
    pub name: String,
    /// `same`, or `differs: ` and why.
    pub verdict: String,
    /// What the node answered. Null: nothing at all.
    #[serde(default)]
    reply: Value,
    /// What we answer, where that differs.
    expect: Option<Value>,
    /// A request's JSON.
    pub raw: Option<String>,
    /// An HTTP request.
    pub request: Option<String>,
    /// Messages in hex.
    pub messages: Option<Vec<String>>,
    /// The last message is filled up with zeros to this many bytes.
    pub message_bytes: Option<usize>,
    /// The request's 8-byte id in hex.
    pub id: Option<String>,
    /// The request is filled up with spaces to this many bytes.
    pub bytes: Option<usize>,
    /// The request leaves in parts of this many bytes.
    pub part: Option<usize>,
    /// Another way to split the request.
    pub parts: Option<String>,
    /// Sizes of the reply's parts.
    pub frames: Option<Vec<usize>>,
    /// Restrictions to make a rune of, in place of the recorded one.
    pub mint: Option<String>,
    /// Milliseconds to wait first.
    pub wait_ms: Option<u64>,
    /// A request to send first, whatever comes back.
    pub before: Option<String>,
    /// `revoke N` or `relist N`, to be done first.
    pub first: Option<String>,
    /// A remark.
    pub note: Option<String>,
}

impl Case {
    /// What our answer must be.
    pub fn expected(&self) -> &Value {
        match &self.expect {
            Some(expect) => {
                assert!(self.verdict.starts_with("differs: "), "{}", self.name);
                expect
            }
            None => {
                assert_eq!(self.verdict, "same", "{}", self.name);
                &self.reply
            }
        }
    }

    /// What the node answered.
    pub fn recorded(&self) -> &Value {
        &self.reply
    }
}

/// `conformance/rune-methods.json`.
#[derive(Deserialize)]
pub struct RuneMethods {
    /// In the order recorded.
    pub cases: Vec<RuneMethod>,
}

/// One call of a rune method.
#[derive(Deserialize)]
pub struct RuneMethod {
    /// The method.
    pub method: String,
    /// Its params.
    pub params: Value,
    /// The restrictions that the rune in `params` was made with.
    pub restrictions: Option<Value>,
    /// `same`, or `differs: ` and why.
    pub verdict: String,
    /// What the node answered.
    pub reply: Value,
    /// What we answer, where that differs.
    pub expect: Option<Value>,
}

/// `conformance/node.json`.
#[derive(Deserialize)]
pub struct NodeCalls {
    /// In the order recorded.
    pub cases: Vec<NodeCall>,
}

/// One call on a node's RPC socket.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NodeCall {
    /// The method.
    pub method: String,
    /// Its params.
    pub params: Value,
    /// `same`; `same shape`; or `differs: ` and why.
    pub verdict: String,
    /// What the node answered: `result` or `error`.
    reply: Map<String, Value>,
    /// What the demo node answers, where that differs.
    expect: Option<Map<String, Value>>,
    /// Members of the result that hold the recorded node's own data: ours must have the same form.
    #[serde(default)]
    pub own: Vec<String>,
    /// The restrictions that the rune in `params` was made with.
    pub restrictions: Option<Value>,
    /// Strings in `params` that earlier replies gave stand for ours.
    #[serde(default)]
    pub ours: bool,
    /// How many channels the node has that is asked: none where nothing is said.
    #[serde(default)]
    pub channels: usize,
    /// A call to make first.
    pub before: Option<Before>,
}

/// A call that another needs to have been made.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Before {
    /// The method.
    pub method: String,
    /// Its params.
    pub params: Value,
}

impl NodeCall {
    /// What the demo node must answer, but for the form of what is its own.
    pub fn expected(&self) -> &Map<String, Value> {
        let name = format!("{} {}", self.method, self.params);
        let known = match self.verdict.as_str() {
            "same" => self.expect.is_none() && self.own.is_empty(),
            "same shape" => self.expect.is_none() && !self.own.is_empty(),
            verdict => {
                verdict.starts_with("differs: ") && self.expect.as_ref().is_some_and(|it| *it != self.reply)
            }
        };
        assert!(known, "{name}: {}", self.verdict);
        self.expect.as_ref().unwrap_or(&self.reply)
    }

    /// What the node answered.
    pub fn recorded(&self) -> &Map<String, Value> {
        &self.reply
    }
}

/// Reads a table.
pub fn read<T: for<'de> Deserialize<'de>>(name: &str) -> T {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("conformance").join(name);
    let text = fs::read_to_string(&path).unwrap();
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}
