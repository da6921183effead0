//! What a request, a reply and an error are, and the table of methods.

use std::fmt;
use std::future::Future;
use std::pin::Pin;

use serde_json::{Value, json};

use super::filter::Filter;
use super::frame::member;
use super::params::Args;
use super::state::Node;
use super::{
    channels, checkrune, datastore, decode, funds, gossip, info, invoices, messages, nodes, offers, pay,
    payments, peers, runes, wait, wallet,
};

pub(super) const INVALID_REQUEST: i64 = -32600;
pub(super) const METHOD_NOT_FOUND: i64 = -32601;
pub(super) const INVALID_PARAMS: i64 = -32602;
/// For what lightningd has no error, since it cannot happen there.
pub(super) const INTERNAL: i64 = -32603;

/// Every method the demo node answers, in the order `help` lists them. Signatures are those of
/// lightningd v26.06.6: parameters in order, optional ones in brackets. Only the `dev-` methods are
/// our own: they move the simulated peers.
pub(super) const METHODS: &[Method] = &[
    Method::now("blacklistrune", "[start] [end] [relist]", runes::blacklistrune),
    Method::now("checkmessage", "message zbase [pubkey]", messages::checkmessage),
    Method::now("checkrune", "rune [nodeid] [method] [params]", checkrune::checkrune),
    Method::now("createrune", "[rune] [restrictions]", runes::createrune),
    Method::now("datastore", "key [string] [hex] [mode] [generation]", datastore::datastore),
    Method::now("decode", "string", decode::decode),
    Method::now("deldatastore", "key [generation]", datastore::deldatastore),
    Method::now("delinvoice", "label status [desconly]", invoices::delinvoice),
    Method::now("destroyrune", "[start] [end] [relist]", runes::blacklistrune),
    Method::now("dev-peerinvoice", "amount_msat [description] [id]", peers::peerinvoice),
    Method::now("dev-peerpays", "label", peers::peerpays),
    Method::now("feerates", "style", wallet::feerates),
    Method::now("getinfo", "", info::getinfo),
    Method::now("help", "[command]", info::help),
    Method::now(
        "invoice",
        "amount_msat label description [expiry] [fallbacks] [preimage] [exposeprivatechannels] \
         [cltv] [deschashonly] [dev-routes]",
        invoices::invoice,
    ),
    Method::now("invokerune", "[rune] [restrictions]", runes::createrune),
    Method::now("listchannels", "[short_channel_id] [source] [destination]", gossip::listchannels),
    Method::now("listdatastore", "[key]", datastore::listdatastore),
    Method::now(
        "listforwards",
        "[status] [in_channel] [out_channel] [index] [start] [limit]",
        funds::listforwards,
    ),
    Method::now("listfunds", "[spent]", funds::listfunds),
    Method::now(
        "listinvoices",
        "[label] [invstring] [payment_hash] [offer_id] [index] [start] [limit]",
        invoices::listinvoices,
    ),
    Method::now("listnodes", "[id]", nodes::listnodes),
    Method::now("listoffers", "[offer_id] [active_only]", offers::listoffers),
    Method::now("listpays", "[bolt11] [payment_hash] [status] [index] [start] [limit]", payments::listpays),
    Method::now("listpeerchannels", "[id] [short_channel_id] [channel_id]", channels::listpeerchannels),
    Method::now("listpeers", "[id] [level]", funds::listpeers),
    Method::now(
        "listsendpays",
        "[bolt11] [payment_hash] [status] [index] [start] [limit]",
        payments::listsendpays,
    ),
    Method::now("listtransactions", "", funds::listtransactions),
    Method::now("makesecret", "[hex] [string]", wallet::makesecret),
    Method::now("newaddr", "[addresstype]", wallet::newaddr),
    Method::now(
        "offer",
        "amount [description] [issuer] [label] [quantity_max] [absolute_expiry] [recurrence] \
         [recurrence_base] [recurrence_paywindow] [recurrence_limit] [single_use] \
         [proportional_amount] [optional_recurrence] [fronting_nodes] [dev_paths]",
        offers::offer,
    ),
    Method::now(
        "pay",
        "invstring [amount_msat] [label] [riskfactor] [maxfeepercent] [retry_for] [maxdelay] \
         [exemptfee] [localinvreqid] [exclude] [maxfee] [description] [partial_msat] \
         [dev_use_shadow]",
        pay::pay,
    ),
    Method::now("showrunes", "[rune]", runes::showrunes),
    Method::now("signmessage", "message", messages::signmessage),
    Method::wait("wait", "subsystem indexname nextvalue", |node, args| Box::pin(wait::wait(node, args))),
    Method::wait("waitanyinvoice", "[lastpay_index] [timeout]", |node, args| {
        Box::pin(invoices::waitanyinvoice(node, args))
    }),
    Method::wait("waitinvoice", "label", |node, args| Box::pin(invoices::waitinvoice(node, args))),
    Method::now(
        "xpay",
        "invstring [amount_msat] [maxfee] [layers] [retry_for] [partial_msat] [maxdelay] \
         [payer_note] [label] [localinvreqid] [dev_use_shadow]",
        pay::xpay,
    ),
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
pub(super) struct Call {
    pub(super) method: &'static Method,
    pub(super) args: Args,
    pub(super) filter: Option<Filter>,
}

/// A request's id as the client wrote it, and the call it makes.
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
    pub(super) data: Option<Value>,
}

impl RpcError {
    pub(super) fn new(code: i64, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), data: None }
    }

    /// With more for programs to read.
    pub(super) fn with(self, data: Value) -> Self {
        Self { data: Some(data), ..self }
    }

    pub(super) fn internal(error: impl fmt::Display) -> Self {
        Self::new(INTERNAL, error.to_string())
    }

    pub(super) fn params(message: impl Into<String>) -> Self {
        Self::new(INVALID_PARAMS, message)
    }

    /// An argument that is not what it should be.
    pub(super) fn bad_param(name: &str, should: &str) -> Self {
        Self::params(format!("{name}: {should}: invalid token (see logs for details)"))
    }

    pub(super) fn to_json(&self) -> Value {
        let mut error = json!({"code": self.code, "message": self.message});
        if let Some(data) = &self.data {
            error["data"] = data.clone();
        }
        error
    }
}
