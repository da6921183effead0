//! Inputs to start from: what was recorded of a real node and its clients, and one of each kind of the rest.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE;
use serde_json::{Value, json};

/// The tables that hold what was recorded.
const TABLES: [&str; 4] = [
    include_str!("../../../tests/conformance/observed.json"),
    include_str!("../../../tests/conformance/rune-methods.json"),
    include_str!("../../../tests/conformance/node.json"),
    include_str!("../../../policy/tests/recorded.json"),
];

/// A node id.
const ID: &str = "03aacc1e48a3bfddb928de6d40c728a084614c060db4da211976d2a8aa211902cc";

pub(super) fn acts() -> Vec<Vec<u8>> {
    // Nothing changed; the version; a key; a tag; act three.
    vec![
        vec![0; 116],
        vec![1],
        [vec![0; 5], vec![9]].concat(),
        [vec![0; 49], vec![1]].concat(),
        [vec![0; 60], vec![1]].concat(),
    ]
}

pub(super) fn frames() -> Vec<Vec<u8>> {
    let text = b"a message and another and one more, which is long enough to be cut";
    [[255, 0, 0, 0], [9, 0, 3, 1], [9, 0, 30, 1], [0, 1, 0, 0x80], [3, 0, 90, 7]]
        .map(|head| [&head[..], text].concat())
        .into()
}

pub(super) fn websocket() -> Vec<Vec<u8>> {
    let frame = |first: u8, text: &[u8]| [&[first, 0x80 | text.len() as u8, 0, 0, 0, 0][..], text].concat();
    vec![
        [frame(0x82, b"one"), frame(0x82, b"two")].concat(),
        [frame(0x02, b"a"), frame(0x89, b"ping"), frame(0x00, b"b"), frame(0x80, b"c")].concat(),
        [frame(0x81, b"text"), frame(0x8a, b""), frame(0x88, &[3, 232])].concat(),
        frame(0xc2, b"compressed"),
        [&[0x82, 0xfe, 0, 126, 1, 2, 3, 4][..], &[5; 126]].concat(),
        vec![0x82, 0xff, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
    ]
}

pub(super) fn messages() -> Vec<Vec<u8>> {
    let recorded =
        tables().flat_map(|table| strings(&table)).filter(|text| text.len() >= 4 && text.len() < 400);
    let mut messages: Vec<Vec<u8>> = recorded.filter_map(|text| unhex(&text)).collect();
    messages.extend(
        [&[0x4c, 0x4f, 1, 2, 3, 4, 5, 6, 7, 8, 9][..], &[0, 18, 0, 4, 0, 0], &[0, 16, 0, 0, 0, 0]]
            .map(<[u8]>::to_vec),
    );
    messages
}

pub(super) fn parts() -> Vec<Vec<u8>> {
    vec![
        vec![1, 3, b'a', 2, 3, b'b', 0x81, 1, b'c', 0x82, 0, 0],
        [[0x41, 0xff, 1].repeat(17), vec![0x81, 0, 0]].concat(),
        (0..63).flat_map(|id| [0x40 | id, 0xf0, id]).collect(),
    ]
}

/// Every request that was recorded.
pub(super) fn requests() -> Vec<Vec<u8>> {
    tables().flat_map(|table| requests_in(&table)).map(String::into_bytes).collect()
}

/// The same as the target `rune` reads them.
pub(super) fn runes() -> Vec<Vec<u8>> {
    let requests = tables().flat_map(|table| requests_in(&table));
    let requests = requests.filter_map(|text| serde_json::from_str::<Value>(&text).ok());
    requests.filter_map(|request| rune_inputs(&request)).flatten().collect()
}

pub(super) fn replies() -> Vec<Vec<u8>> {
    let results = tables().flat_map(|table| results_in(&table)).filter(|result| result.len() < 3000);
    let mut replies: Vec<Vec<u8>> = results
        .map(|result| {
            format!("\u{40}{{\"jsonrpc\":\"2.0\",\"id\":\"rw#1\",\"result\":{result}}}\n\n").into_bytes()
        })
        .collect();
    for text in [
        "{\"result\":[1,{\"id\":\"rw#1\"}],\"id\":\"rw#1\"}",
        "{ \"id\" : \"rw#1\" , \"error\" : {\"code\":-1,\"message\":\"a \\\" b\"} }",
        "{\"id\":\"rw#2\",\"result\":{}}",
        "{\"id\":\"rw#1\",\"result\":\"half",
    ] {
        replies.push([&[3], text.as_bytes()].concat());
    }
    replies
}

pub(super) fn uris() -> Vec<Vec<u8>> {
    [
        format!("commando+ws://1.2.3.4:9736?pubkey={ID}&rune=ab-_%3D%3d"),
        format!("commando+wss://[::1]:443?pubkey={ID}&certs=AAAA"),
        format!("commando+tcp://h.example:1/?invoiceRune=y&pubkey={ID}"),
        format!("lnlink:{ID}@h.onion?token=t"),
        format!("ln-message://h:2?rune=r&pubkey={ID}"),
        format!(" {ID}@[2001:db8::1]:9735\n"),
        "the connection string names no node id, so nobody can tell wheth".to_owned(),
    ]
    .map(String::into_bytes)
    .into()
}

pub(super) fn configs() -> Vec<Vec<u8>> {
    [
        "node = \"demo\"\nauthority = \"own\"\nadvertise = \"example.org:9736\"\nlog = \"json\"\n[limits]\nconnections = 50\n",
        "node = 'cln:/x'\nlisten = ['127.0.0.1:0', '[::1]:5']\ntls = 'self-signed'\nallow_host = ['h']\nallow_origin = ['https://h']\n",
        "tls_cert = 'c'\ntls_key = 'k'\nstate_dir = '/s'\ndemo_channels = 8\n",
        "nosuch = 1\n[limits]\nconnections = 0\nconections = -1\n",
    ]
    .map(|text| text.as_bytes().to_vec())
    .into()
}

fn tables() -> impl Iterator<Item = Value> {
    TABLES.into_iter().map(|text| serde_json::from_str(text).unwrap())
}

/// Every request in a table, as text: they stand in it as strings or as objects.
fn requests_in(value: &Value) -> Vec<String> {
    match value {
        Value::String(text) if text.trim_start().starts_with('{') && text.contains("\"rune\"") => {
            vec![text.clone()]
        }
        Value::Object(members) if members.contains_key("rune") && members.contains_key("method") => {
            let mut request = members.clone();
            request.entry("id").or_insert(json!(1));
            vec![Value::Object(request).to_string()]
        }
        Value::Object(members) => members.values().flat_map(requests_in).collect(),
        Value::Array(items) => items.iter().flat_map(requests_in).collect(),
        _ => Vec::new(),
    }
}

/// Every result of a node's in a table.
fn results_in(value: &Value) -> Vec<String> {
    match value {
        Value::Object(members) => match members.get("result") {
            Some(result) => vec![result.to_string()],
            None => members.values().flat_map(results_in).collect(),
        },
        Value::Array(items) => items.iter().flat_map(results_in).collect(),
        _ => Vec::new(),
    }
}

fn strings(value: &Value) -> Vec<String> {
    match value {
        Value::String(text) => vec![text.clone()],
        Value::Object(members) => members.values().flat_map(strings).collect(),
        Value::Array(items) => items.iter().flat_map(strings).collect(),
        _ => Vec::new(),
    }
}

/// A rune or its restrictions, one restriction more, the method, the parameters: a line each.
fn rune_inputs(request: &Value) -> Option<[Vec<u8>; 2]> {
    let (rune, method) = (request["rune"].as_str()?, request["method"].as_str()?);
    let text = URL_SAFE.decode(rune).ok()?;
    let text = String::from_utf8(text.get(32..)?.to_vec()).ok()?;
    let params: String = match &request["params"] {
        Value::Object(params) => params.iter().map(|(name, value)| format!("\n{name}={value}")).collect(),
        Value::Array(params) => params.iter().map(|value| format!("\n{value}")).collect(),
        _ => String::new(),
    };
    let restrictions = text.split_once('&').map_or("", |(_, restrictions)| restrictions);
    Some(
        [rune, restrictions]
            .map(|first| format!("{first}\nmethod^list|pnum<2\n{method}{params}").into_bytes()),
    )
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digit = |at| u8::from_str_radix(text.get(at..at + 2)?, 16).ok();
    text.len().is_multiple_of(2).then(|| (0..text.len()).step_by(2).map(digit).collect())?
}
