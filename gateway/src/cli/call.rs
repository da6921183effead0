//! `runeward call`.

use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::Args;
use runeward_noise::Identity;
use runeward_policy::Rune;
use serde_json::value::RawValue;
use zeroize::Zeroizing;

use super::rune::{now, printable};
use super::{Failed, print, read_rune};
use crate::client::{Client, Uri};
use crate::gate::{explain, fingerprint};
use crate::shown::{printable_json, push_json};
use crate::store::load_identity;

/// Runs one command and prints its result, or takes up what a pairing QR code offers.
#[derive(Args, Clone)]
#[command(after_help = "Examples:
  runeward call 'commando+ws://127.0.0.1:9736?pubkey=02…&rune=…' getinfo
  RUNEWARD_RUNE=… runeward call 02…@127.0.0.1:9736 invoice amount_msat=1000 label=a description='a cup'
  runeward call \"$URI\" decode lnbc1…
  runeward call \"$URI\" listinvoices '{\"label\": \"a\"}'
  runeward call --pair \"$URI_OF_THE_QR_CODE\" --key FILE

Exit status: 0 done, 1 the node or the gateway refused, 2 usage, 3 no connection.")]
pub(super) struct Call {
    /// Where to connect: commando+ws://HOST:PORT?pubkey=ID&rune=R (or commando+wss://), or over TCP
    /// lnlink:ID@HOST:PORT?token=R or ID@HOST:PORT. With wss any certificate is taken: the node is known by its ID.
    #[arg(required_unless_present = "pair")]
    uri: Option<String>,

    /// The node's command.
    #[arg(required_unless_present = "pair")]
    method: Option<String>,

    /// Parameters: all as name=value, or all by position; or one JSON object or array that holds them.
    /// Values are read as JSON, and as plain strings where they are none.
    #[arg(value_name = "name=value|JSON")]
    params: Vec<String>,

    /// The rune, where the connection string has none; `-` reads it from stdin. RUNEWARD_RUNE is used
    /// where none is given.
    #[arg(long)]
    rune: Option<String>,

    /// File with this client's key, made if it is not there: the client then keeps its node id.
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,

    /// Members of the result to keep, in the shape the node takes, such as '{"id":true}'.
    #[arg(long, value_name = "JSON")]
    filter: Option<String>,

    /// Take up what the QR code with this text, a link or a connection string, offers, and print the rune got for it. It serves --key
    /// alone; asking again with that key gets the same rune, while the offer lasts.
    #[arg(long, value_name = "URI", conflicts_with_all = ["uri", "method", "params", "rune", "filter"])]
    pair: Option<String>,

    /// With --pair: what the node's owner is to call this device, unless the offer names it.
    #[arg(long, conflicts_with = "uri")]
    name: Option<String>,
}

/// A request. Values keep the text they were given in, to the last digit.
#[derive(serde::Serialize)]
struct Request<'a> {
    id: &'static str,
    method: &'a str,
    params: Box<RawValue>,
    rune: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    filter: Option<Box<RawValue>>,
}

/// What we read of a reply.
#[derive(serde::Deserialize)]
struct Reply<'a> {
    #[serde(borrow)]
    result: Option<&'a RawValue>,
    #[serde(borrow)]
    error: Option<&'a RawValue>,
}

/// What we read of the answer to a claim.
#[derive(serde::Deserialize)]
struct Claimed {
    rune: String,
    name: String,
}

impl Call {
    pub(super) async fn run(self) -> Result<(), Failed> {
        match (&self.pair, &self.uri, &self.method) {
            (Some(uri), ..) => self.pair(uri).await,
            (None, Some(uri), Some(method)) => self.call(uri, method).await,
            (None, ..) => Err(Failed::Usage("give a connection string and a method".to_owned())),
        }
    }

    async fn call(&self, uri: &str, method: &str) -> Result<(), Failed> {
        let uri = parse_uri(uri)?;
        let rune = match self.rune.as_deref() {
            None => uri.rune.clone().map_or_else(|| read_rune(None), |rune| Ok(Some(rune)))?,
            given => read_rune(given)?,
        };
        let rune = rune.ok_or_else(|| {
            Failed::Usage(
                "no rune given: put it into the connection string, --rune or RUNEWARD_RUNE".to_owned(),
            )
        })?;
        let filter = self.filter.as_deref().map(raw).transpose();
        let request = Request {
            id: "runeward",
            method,
            params: params(&self.params)?,
            rune: &rune,
            filter: filter.map_err(|error| Failed::Usage(format!("--filter is no JSON: {error}")))?,
        };
        let identity = match &self.key {
            Some(file) => load_identity(file)?,
            None => Identity::generate().map_err(|error| Failed::Refused(error.to_string()))?,
        };
        print(&pretty(ask(&uri, &identity, &request).await?.get()))
    }

    /// Claims the offer of a pairing QR code.
    async fn pair(&self, uri: &str) -> Result<(), Failed> {
        let uri = parse_uri(uri)?;
        let usage = |message: &str| Failed::Usage(message.to_owned());
        let rune = uri.rune.as_ref().ok_or_else(|| usage("the text of the QR code has no rune in it"))?;
        let key = self.key.as_ref().ok_or_else(|| {
            usage("the rune will serve one key alone: say with --key FILE where that is kept, or to be kept")
        })?;
        let name = self.name.iter().map(|name| ("name", name)).collect::<BTreeMap<_, _>>();
        let params = serde_json::value::to_raw_value(&name).map_err(|error| usage(&error.to_string()))?;
        let identity = load_identity(key)?;
        let request = Request { id: "runeward", method: "runeward-pair", params, rune, filter: None };
        let result = ask(&uri, &identity, &request).await?;
        let claimed: Claimed = serde_json::from_str(result.get())
            .map_err(|error| Failed::Refused(format!("this is no answer to a claim: {error}")))?;
        let node_id = identity.node_id().to_string();
        eprintln!(
            "Paired as {}. This device's words are: {}.",
            printable(&claimed.name),
            fingerprint(&node_id).unwrap_or_default()
        );
        for sentence in Rune::decode(&claimed.rune).map_or_else(|_| Vec::new(), |rune| explain(&rune, now()))
        {
            eprintln!("- {}", printable(&sentence));
        }
        print(&format!("{}\n", claimed.rune))
    }
}

fn parse_uri(text: &str) -> Result<Uri, Failed> {
    text.parse().map_err(|error| Failed::Usage(format!("{error}")))
}

/// The result of a request.
async fn ask(uri: &Uri, identity: &Identity, request: &Request<'_>) -> Result<Box<RawValue>, Failed> {
    let request =
        Zeroizing::new(serde_json::to_vec(request).map_err(|error| Failed::Usage(error.to_string()))?);
    let lost = |error: crate::client::ClientError| Failed::NoConnection(error.to_string());
    let mut client = Client::connect(uri, identity).await.map_err(lost)?;
    let reply = client.call(&request).await.map_err(lost)?;
    let reply: Reply<'_> = serde_json::from_slice(&reply)
        .map_err(|error| Failed::Refused(format!("the reply is no JSON-RPC: {error}")))?;
    match (reply.result, reply.error) {
        (Some(result), None) => Ok(result.to_owned()),
        (_, Some(error)) => {
            let one_line = error.get().replace(['\n', '\r', '\t'], " ");
            Err(Failed::Refused(printable_json(&one_line)))
        }
        (None, None) => Err(Failed::Refused("the reply has neither result nor error".to_owned())),
    }
}

/// The params the arguments mean, as JSON text.
fn params(arguments: &[String]) -> Result<Box<RawValue>, Failed> {
    if let [only] = arguments
        && let Ok(params) = raw(only)
        && params.get().starts_with(['{', '['])
    {
        return Ok(params);
    }
    let named: Vec<_> = arguments.iter().filter_map(|argument| split_named(argument)).collect();
    let params = if named.is_empty() && !arguments.is_empty() {
        let values: Vec<_> = arguments.iter().map(|argument| value(argument)).collect();
        serde_json::value::to_raw_value(&values)
    } else if named.len() < arguments.len() {
        return Err(Failed::Usage("give all parameters as name=value, or all by position".to_owned()));
    } else {
        let mut params = BTreeMap::new();
        for (name, text) in named {
            if params.insert(name, value(text)).is_some() {
                return Err(Failed::Usage(format!("the parameter '{name}' is given twice")));
            }
        }
        serde_json::value::to_raw_value(&params)
    };
    params.map_err(|error| Failed::Usage(error.to_string()))
}

/// The JSON this is, or else the string.
fn value(text: &str) -> Option<Box<RawValue>> {
    raw(text).or_else(|_| serde_json::value::to_raw_value(text)).ok()
}

fn raw(text: &str) -> Result<Box<RawValue>, serde_json::Error> {
    RawValue::from_string(text.trim().to_owned())
}

/// `name=value`, where the name is one a node's command could have.
fn split_named(argument: &str) -> Option<(&str, &str)> {
    let (name, value) = argument.split_once('=')?;
    let first = name.bytes().next()?;
    let is_name = first.is_ascii_lowercase()
        && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"_-".contains(&b));
    is_name.then_some((name, value))
}

/// JSON text with line breaks and indentation; every token means what it did, and numbers stay as they are.
fn pretty(json: &str) -> String {
    let mut out = String::with_capacity(json.len() * 2);
    let (mut depth, mut in_string, mut escaped) = (0usize, false, false);
    let mut tokens = json.chars().peekable();
    let new_line = |out: &mut String, depth: usize| {
        out.push('\n');
        out.extend(std::iter::repeat_n("  ", depth));
    };
    while let Some(c) = tokens.next() {
        if in_string {
            push_json(c, &mut out);
            in_string = escaped || c != '"';
            escaped = !escaped && c == '\\';
            continue;
        }
        match c {
            '"' => {
                in_string = true;
                out.push(c);
            }
            '{' | '[' => {
                out.push(c);
                while tokens.next_if(|c| c.is_ascii_whitespace()).is_some() {}
                match tokens.next_if(|c| matches!(c, '}' | ']')) {
                    Some(close) => out.push(close),
                    None => {
                        depth += 1;
                        new_line(&mut out, depth);
                    }
                }
            }
            '}' | ']' => {
                depth = depth.saturating_sub(1);
                new_line(&mut out, depth);
                out.push(c);
            }
            ',' => {
                out.push(c);
                new_line(&mut out, depth);
            }
            ':' => out.push_str(": "),
            c if c.is_ascii_whitespace() => {}
            c => out.push(c),
        }
    }
    out.push('\n');
    out
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn read(arguments: &[&str]) -> String {
        let arguments: Vec<String> = arguments.iter().map(|a| (*a).to_owned()).collect();
        params(&arguments).map_or_else(|failed| format!("{failed:?}"), |params| params.get().to_owned())
    }

    #[test]
    fn params_as_people_write_them() {
        assert_eq!(read(&[]), "{}");
        assert_eq!(read(&["b=x y", "a=1", "c=[1]", "d="]), r#"{"a":1,"b":"x y","c":[1],"d":""}"#);
        assert_eq!(read(&["lnbc1xyz"]), r#"["lnbc1xyz"]"#);
        assert_eq!(read(&["1", "x"]), r#"[1,"x"]"#);
        assert_eq!(read(&[r#" {"a": 1}"#]), r#"{"a": 1}"#);
        assert_eq!(read(&["[1]"]), "[1]");
        assert_eq!(
            read(&["n=1.50", "m=123456789012345678901234567890"]),
            r#"{"m":123456789012345678901234567890,"n":1.50}"#
        );
        assert_eq!(read(&["Rune_With-Padding=="]), r#"["Rune_With-Padding=="]"#);
        assert!(read(&["a=1", "x"]).contains("all parameters"));
        assert!(read(&["a=1", "a=2"]).contains("twice"));
    }

    #[test]
    fn pretty_keeps_every_token() {
        let text = r#"{"a":[1.50,1e3,{}, [ ]],"b":"x, {\"y\\"}"#;
        assert_eq!(
            pretty(text),
            "{\n  \"a\": [\n    1.50,\n    1e3,\n    {},\n    []\n  ],\n  \"b\": \"x, {\\\"y\\\\\"\n}\n"
        );
    }
}
