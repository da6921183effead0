//! What a request, a reply and an error are, and the table of methods.

use std::fmt;
use std::future::Future;
use std::pin::Pin;

use serde_json::{Value, json};

use super::filter::Filter;
use super::frame::member;
use super::params::Args;
use super::state::Node;
use super::{decode, funds, gossip, info, invoices};

pub(super) const INVALID_REQUEST: i64 = -32600;
pub(super) const METHOD_NOT_FOUND: i64 = -32601;
pub(super) const INVALID_PARAMS: i64 = -32602;

/// Every method the demo node answers, in the order `help` lists them. Signatures are those of
/// lightningd v26.06.6: parameters in order, optional ones in brackets.
pub(super) const METHODS: &[Method] = &[
    Method::now("decode", "string", decode::decode),
    Method::now("getinfo", "", info::getinfo),
    Method::now("help", "[command]", info::help),
    Method::now(
        "invoice",
        "amount_msat label description [expiry] [fallbacks] [preimage] [exposeprivatechannels] \
         [cltv] [deschashonly] [dev-routes]",
        invoices::invoice,
    ),
    Method::now("listchannels", "[short_channel_id] [source] [destination]", gossip::listchannels),
    Method::now("listfunds", "[spent]", funds::listfunds),
    Method::now(
        "listinvoices",
        "[label] [invstring] [payment_hash] [offer_id] [index] [start] [limit]",
        invoices::listinvoices,
    ),
    Method::now("listpeers", "[id] [level]", funds::listpeers),
    Method::wait("waitanyinvoice", "[lastpay_index] [timeout]", |node, args| {
        Box::pin(invoices::waitanyinvoice(node, args))
    }),
];

/// A method: its name, its parameters as `help` shows them, what answers it.
#[derive(Debug)]
pub(super) struct Method {
    pub(super) name: &'static str,
    pub(super) signature: &'static str,
    pub(super) handler: Handler,
}

/// What answers a method: at once, or when something happens.
#[derive(Debug)]
pub(super) enum Handler {
    Now(fn(&Node, &Args) -> Result<Reply, RpcError>),
    Wait(for<'a> fn(&'a Node, &'a Args) -> Waiting<'a>),
}

pub(super) type Waiting<'a> = Pin<Box<dyn Future<Output = Result<Reply, RpcError>> + Send + 'a>>;

impl Method {
    const fn now(
        name: &'static str,
        signature: &'static str,
        handler: fn(&Node, &Args) -> Result<Reply, RpcError>,
    ) -> Self {
        Self { name, signature, handler: Handler::Now(handler) }
    }

    const fn wait(
        name: &'static str,
        signature: &'static str,
        handler: for<'a> fn(&'a Node, &'a Args) -> Waiting<'a>,
    ) -> Self {
        Self { name, signature, handler: Handler::Wait(handler) }
    }

    pub(super) fn find(name: &str) -> Option<&'static Self> {
        METHODS.iter().find(|method| method.name == name)
    }
}

/// A request that named a method we have, with arguments that fit it.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) method: &'static Method,
    pub(super) args: Args,
    pub(super) filter: Option<Filter>,
}

/// A request's id as the client wrote it, and the call it makes.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) id: String,
    pub(super) call: Result<Call, RpcError>,
}

impl Request {
    /// Reads a request, in the order lightningd finds fault with one. Until an id is known the
    /// answer goes to `null`.
    pub(super) fn parse(frame: &str) -> Self {
        let malformed =
            |message: &str| Self { id: "null".into(), call: Err(RpcError::new(INVALID_REQUEST, message)) };
        if !frame.starts_with('{') {
            return malformed("Expected {} for json command");
        }
        let Some(id) = member(frame, "id") else {
            return malformed("No id");
        };
        if id.starts_with(['{', '[']) {
            return malformed("Expected string/primitive for id");
        }
        if member(frame, "jsonrpc") != Some("\"2.0\"") {
            return malformed("jsonrpc: \"2.0\" must be specified in the request");
        }
        Self { id: id.to_owned(), call: parse_call(frame) }
    }
}

fn parse_call(frame: &str) -> Result<Call, RpcError> {
    let invalid = |message| RpcError::new(INVALID_REQUEST, message);
    let method = member(frame, "method").ok_or_else(|| invalid("No method"))?;
    let params = member(frame, "params").ok_or_else(|| invalid("No params"))?;
    let Ok(Value::String(name)) = serde_json::from_str(method) else {
        return Err(invalid("Expected string for method"));
    };
    let filter = match member(frame, "filter") {
        Some(text) => Some(Filter::parse(&parse_value(text)?)?),
        None => None,
    };
    let method = Method::find(&name)
        .ok_or_else(|| RpcError::new(METHOD_NOT_FOUND, format!("Unknown command '{name}'")))?;
    Ok(Call { method, args: Args::bind(method.signature, parse_value(params)?)?, filter })
}

/// The frame is known to be JSON; this fails only on what a `Value` cannot hold (a number like
/// `1e999`).
fn parse_value(text: &str) -> Result<Value, RpcError> {
    serde_json::from_str(text).map_err(|error| RpcError::new(INVALID_REQUEST, error.to_string()))
}

/// What a call results in.
pub(super) enum Reply {
    /// A whole result.
    Value(Value),
    /// A result `{"<name>":[…]}` whose entries are made while they are written: it may be larger
    /// than memory should hold.
    Stream {
        name: &'static str,
        /// Each entry as JSON text.
        entries: Box<dyn Iterator<Item = String> + Send>,
    },
}

impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Value(value) => write!(f, "Value({value})"),
            Self::Stream { name, .. } => write!(f, "Stream({name})"),
        }
    }
}

/// An error as it goes to the client: texts are lightningd's own.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message} ({code})")]
pub(super) struct RpcError {
    pub(super) code: i64,
    pub(super) message: String,
}

impl RpcError {
    pub(super) fn new(code: i64, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }

    pub(super) fn params(message: impl Into<String>) -> Self {
        Self::new(INVALID_PARAMS, message)
    }

    /// An argument that is not what it should be.
    pub(super) fn bad_param(name: &str, should: &str) -> Self {
        Self::params(format!("{name}: {should}: invalid token (see logs for details)"))
    }

    pub(super) fn to_json(&self) -> Value {
        json!({"code": self.code, "message": self.message})
    }
}
