//! A method's arguments: by position or by name, as its signature says.

use bitcoin::secp256k1::PublicKey;
use serde_json::{Map, Value};

use super::rpc::RpcError;
use super::state::from_hex;

/// Arguments bound to the names of a signature. `null` counts as absent.
pub(super) struct Args(Map<String, Value>);

impl Args {
    /// Binds `params` to a signature such as `amount_msat label [expiry]`.
    pub(super) fn bind(signature: &'static str, params: Value) -> Result<Self, RpcError> {
        let names = || signature.split_whitespace().map(|name| name.trim_matches(['[', ']']));
        let bound = match params {
            Value::Array(values) => by_position(names().collect(), values)?,
            Value::Object(members) => by_name(names().collect(), members)?,
            _ => return Err(RpcError::params("Expected array or object for params")),
        };
        let missing =
            signature.split_whitespace().find(|name| !name.starts_with('[') && !bound.contains_key(*name));
        match missing {
            Some(name) => Err(RpcError::params(format!("missing required parameter: {name}"))),
            None => Ok(Self(bound)),
        }
    }

    /// A string.
    pub(super) fn string(&self, name: &str) -> Result<Option<&str>, RpcError> {
        self.read(name, "should be a string", Value::as_str)
    }

    /// An unsigned integer, also as a string of digits.
    pub(super) fn u64(&self, name: &str) -> Result<Option<u64>, RpcError> {
        self.read(name, "should be an unsigned 64 bit integer", |value| {
            value.as_u64().or_else(|| value.as_str()?.parse().ok())
        })
    }

    /// A boolean, also as the string `true` or `false`.
    pub(super) fn bool(&self, name: &str) -> Result<Option<bool>, RpcError> {
        self.read(name, "should be 'true' or 'false'", |value| {
            value.as_bool().or_else(|| value.as_str()?.parse().ok())
        })
    }

    /// 32 bytes in hex.
    pub(super) fn bytes32(&self, name: &str) -> Result<Option<[u8; 32]>, RpcError> {
        self.read(name, "should be a 32 byte hex value", |value| parse_hex32(value.as_str()?))
    }

    /// Any number of bytes in hex.
    pub(super) fn hex(&self, name: &str) -> Result<Option<Vec<u8>>, RpcError> {
        self.read(name, "should be a hex value", |value| from_hex(value.as_str()?))
    }

    /// An amount in msat.
    pub(super) fn msat(&self, name: &str) -> Result<Option<u64>, RpcError> {
        self.read(name, "should be a millisatoshi amount", parse_msat)
    }

    /// A short channel id: block, transaction, output.
    pub(super) fn scid(&self, name: &str) -> Result<Option<(usize, usize, usize)>, RpcError> {
        self.read(name, "should be a short_channel_id of form NxNxN", |value| parse_scid(value.as_str()?))
    }

    /// Whether an argument was given.
    pub(super) fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// An invoice's label: a string or a number.
    pub(super) fn label(&self, name: &str) -> Result<Option<String>, RpcError> {
        self.read(name, "should be a string or number", |value| match value {
            Value::String(label) => Some(label.clone()),
            Value::Number(label) => Some(label.to_string()),
            _ => None,
        })
    }

    /// A node's public key: 33 bytes in hex that are a point.
    pub(super) fn node_id(&self, name: &str) -> Result<Option<&str>, RpcError> {
        self.read(name, "should be a node id", |value| {
            let id = value.as_str()?;
            let point = id.parse::<PublicKey>().is_ok();
            (id.len() == 66 && point).then_some(id)
        })
    }

    /// Reads an argument; `None` from `parse` means that it is not what it `should` be.
    pub(super) fn read<'a, T>(
        &'a self,
        name: &str,
        should: &str,
        parse: impl FnOnce(&'a Value) -> Option<T>,
    ) -> Result<Option<T>, RpcError> {
        match self.0.get(name) {
            None => Ok(None),
            Some(value) => match parse(value) {
                Some(parsed) => Ok(Some(parsed)),
                None => Err(RpcError::bad_param(name, should)),
            },
        }
    }

    /// For an argument the signature requires: `bind` saw to it that it is there.
    pub(super) fn required<T>(name: &str, value: Option<T>) -> Result<T, RpcError> {
        value.ok_or_else(|| RpcError::params(format!("missing required parameter: {name}")))
    }
}

/// An amount in msat: a number, or a string such as `123`, `123msat`, `1sat` or `0.001btc`.
pub(super) fn parse_msat(value: &Value) -> Option<u64> {
    if let Some(msat) = value.as_u64() {
        return Some(msat);
    }
    let text = value.as_str()?;
    if let Some(btc) = text.strip_suffix("btc") {
        return parse_btc(btc);
    }
    let (digits, unit) = match (text.strip_suffix("msat"), text.strip_suffix("sat")) {
        (Some(digits), _) => (digits, 1),
        (None, Some(digits)) => (digits, 1000),
        (None, None) => (text, 1),
    };
    parse_digits(digits)?.checked_mul(unit)
}

/// 1 btc is 10^11 msat.
fn parse_btc(text: &str) -> Option<u64> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    if fraction.len() > 11 {
        return None;
    }
    let fraction = parse_digits(&format!("{fraction:0<11}"))?;
    parse_digits(whole)?.checked_mul(100_000_000_000)?.checked_add(fraction)
}

/// Rust takes `+1` for a number, lightningd does not.
fn parse_digits(text: &str) -> Option<u64> {
    if text.starts_with('+') {
        return None;
    }
    text.parse().ok()
}

fn parse_hex32(text: &str) -> Option<[u8; 32]> {
    from_hex(text)?.try_into().ok()
}

fn parse_scid(text: &str) -> Option<(usize, usize, usize)> {
    let mut parts = text.split('x').map(str::parse);
    let scid = (parts.next()?.ok()?, parts.next()?.ok()?, parts.next()?.ok()?);
    parts.next().is_none().then_some(scid)
}

fn by_position(names: Vec<&str>, values: Vec<Value>) -> Result<Map<String, Value>, RpcError> {
    if values.len() > names.len() {
        return Err(RpcError::params(format!(
            "too many parameters: got {}, expected {}",
            values.len(),
            names.len()
        )));
    }
    let pairs = names.into_iter().zip(values);
    Ok(pairs.filter(|(_, value)| !value.is_null()).map(|(name, value)| (name.to_owned(), value)).collect())
}

fn by_name(names: Vec<&str>, members: Map<String, Value>) -> Result<Map<String, Value>, RpcError> {
    if let Some(unknown) = members.keys().find(|name| !names.contains(&name.as_str())) {
        return Err(RpcError::params(format!(
            "unknown parameter: {unknown}, this may be caused by a failure to autodetect \
             key=value-style parameters. Please try using the -k flag and explicit key=value \
             pairs of parameters."
        )));
    }
    Ok(members.into_iter().filter(|(_, value)| !value.is_null()).collect())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn amounts() {
        for (value, msat) in [
            (json!(5), Some(5)),
            (json!("5"), Some(5)),
            (json!("5msat"), Some(5)),
            (json!("5sat"), Some(5_000)),
            (json!("0.00000000001btc"), Some(1)),
            (json!("1btc"), Some(100_000_000_000)),
            (json!("1.5btc"), Some(150_000_000_000)),
            (json!("0.000000000001btc"), None),
            (json!("18446744073709551615sat"), None),
            (json!("+5"), None),
            (json!("-5"), None),
            (json!(-5), None),
            (json!("sat"), None),
            (json!([5]), None),
        ] {
            assert_eq!(parse_msat(&value), msat, "{value}");
        }
    }
}
