//! Requests as strangers send them.
#![allow(clippy::unwrap_used, clippy::panic)]

use serde_json::Value;

use runeward_policy::evaluate;

use super::check::Check;
use super::filter;
use super::json::{self, Json};
use super::request::Request;

/// Reads a request as a stranger's. Where it is one, serde_json must find the same in it, the
/// command for the node must read back as the same, and its rune must be judged without a panic.
pub(crate) fn request(bytes: &[u8]) {
    let Ok(request) = Request::parse(bytes) else { return };
    let _ = request.has_method_name();
    let _ = request.filter.as_ref().map(filter::check);
    let check = Check::new(1_795_190_400, Some(""), Some(&request.method), &request.params);
    let _ = evaluate(&request.rune, &check);

    let command = [b"{", request.command().as_slice(), b"}"].concat();
    let members = json::members(&command).unwrap().unwrap();
    let [(_, method, _), (_, params, _), filter @ ..] = members.as_slice() else {
        panic!("a command of {} members", members.len())
    };
    assert_eq!(method.as_str(), Some(request.method.as_ref()));
    assert_eq!(*params, request.params);
    assert_eq!(filter.first().map(|(_, filter, _)| filter), request.filter.as_ref());

    let [Some(sent), Some(command)] = [bytes, &command].map(theirs) else { return };
    assert!(request.filter.as_ref().is_none_or(|filter| alike(filter, &sent["filter"])));
    assert!(sent.get("params").is_none_or(|params| alike(&request.params, params)));
    assert!(alike(&request.params, &command["params"]));
    assert_eq!(command["method"], *request.method);
    if let Value::String(name) = &sent["method"] {
        assert_eq!(*name, request.method);
    }
    assert_eq!(serde_json::from_str::<Value>(request.id).unwrap(), sent["id"]);
}

/// What serde_json reads, but for two things of its own: a key that has a meaning to it, and
/// numbers that are too large for it.
fn theirs(bytes: &[u8]) -> Option<Value> {
    if bytes.windows(11).any(|key| key == b"$serde_json") {
        return None;
    }
    match serde_json::from_slice(bytes) {
        Ok(value) => Some(value),
        Err(error) if error.to_string().starts_with("number out of range") => None,
        Err(error) => panic!("only we take it: {error}"),
    }
}

fn alike(ours: &Json<'_>, theirs: &Value) -> bool {
    match (ours, theirs) {
        (Json::Null, Value::Null) => true,
        (Json::Bool(ours), Value::Bool(theirs)) => ours == theirs,
        (Json::Number(ours), Value::Number(_)) => serde_json::from_str::<Value>(ours).unwrap() == *theirs,
        (Json::String(ours), Value::String(theirs)) => ours == theirs,
        (Json::Array(ours), Value::Array(theirs)) => {
            ours.len() == theirs.len() && ours.iter().zip(theirs).all(|(ours, theirs)| alike(ours, theirs))
        }
        (Json::Object(ours), Value::Object(theirs)) => {
            ours.len() == theirs.len()
                && ours
                    .iter()
                    .all(|(key, ours)| theirs.get(key.as_ref()).is_some_and(|theirs| alike(ours, theirs)))
        }
        _ => false,
    }
}
