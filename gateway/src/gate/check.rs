//! What a rune's conditions read of a request.

use std::borrow::Cow;
use std::cell::OnceCell;
use std::collections::HashMap;

use std::time::Duration;

use runeward_policy::{Parameter, Quota, Room, SinceLastUse, Value};

use super::in_use::Spent;
use super::json::Json;
use super::methods::{Class, class_of};

/// One command as the conditions of a rune see it. Values are made only when a condition asks.
pub(crate) struct Check<'a, 's> {
    /// UNIX seconds.
    pub(crate) time: u64,
    pub(super) peer: Option<&'a str>,
    method: Option<&'a str>,
    params: &'a Json<'a>,
    /// The method's parameters in order, where they are known: they tell whether a parameter given
    /// in one view is there in the other.
    signature: Option<&'a [String]>,
    /// Named parameters by their names without punctuation, once one has been asked for: a rune may
    /// ask hundreds of times, of thousands of parameters.
    by_name: OnceCell<HashMap<Cow<'a, str>, Named<'a>>>,
    /// What the calls before it have used, and now, in nanoseconds since 1970.
    spent: Option<(&'s Spent, i64)>,
}

/// The parameters whose names are the same without punctuation.
enum Named<'a> {
    One(&'a str, &'a Json<'a>),
    Several,
}

impl<'a> Check<'a, '_> {
    /// `peer`: a node id, 66 lower-case hex digits. `params`: an array or an object.
    pub(crate) fn new(
        time: u64,
        peer: Option<&'a str>,
        method: Option<&'a str>,
        params: &'a Json<'a>,
    ) -> Self {
        let (signature, by_name, spent) = (None, OnceCell::new(), None);
        Self { time, peer, method, params, signature, by_name, spent }
    }

    /// With the method's parameters as the node's `help` tells them.
    pub(crate) fn with_signature(self, signature: Option<&'a [String]>) -> Self {
        Self { signature, ..self }
    }

    /// With what the calls before it have used, at `now` (nanoseconds since 1970). Without it, `rate`,
    /// `per`, `quota` and `rows` all refuse.
    pub(super) fn with_spent<'s>(self, spent: &'s Spent, now: i64) -> Check<'a, 's> {
        let Self { time, peer, method, params, signature, by_name, .. } = self;
        Check { time, peer, method, params, signature, by_name, spent: Some((spent, now)) }
    }

    fn by_name(&self, members: &'a [(Cow<'a, str>, Json<'a>)]) -> &HashMap<Cow<'a, str>, Named<'a>> {
        self.by_name.get_or_init(|| {
            let mut by_name = HashMap::with_capacity(members.len());
            for (name, value) in members {
                by_name
                    .entry(strip(name))
                    .and_modify(|named| *named = Named::Several)
                    .or_insert(Named::One(name, value));
            }
            by_name
        })
    }
}

impl runeward_policy::Request for Check<'_, '_> {
    fn time(&self) -> u64 {
        self.time
    }

    fn peer(&self) -> Option<Cow<'_, str>> {
        self.peer.map(Cow::Borrowed)
    }

    fn method(&self) -> Option<Cow<'_, str>> {
        self.method.map(Cow::Borrowed)
    }

    fn parameter_count(&self) -> u64 {
        match self.params {
            Json::Array(items) => items.len() as u64,
            Json::Object(members) => members.len() as u64,
            _ => 0,
        }
    }

    /// A name matches as written or with the parameter's punctuation stripped. Of parameters that
    /// differ in punctuation alone no condition can tell which one the node will read.
    fn named(&self, name: &str) -> Parameter<'_> {
        match self.params {
            Json::Object(members) => match self.by_name(members).get(strip(name).as_ref()) {
                Some(Named::One(written, value)) if *written == name || !has_punctuation(name) => {
                    Parameter::Present(text_of(value))
                }
                Some(Named::Several) => Parameter::Elsewhere,
                Some(Named::One(..)) | None => Parameter::Absent,
            },
            // Absent if the parameter stands behind those given, or if there is none of this name.
            Json::Array(items) if !items.is_empty() => match self.signature {
                Some(signature)
                    if !signature.iter().take(items.len()).any(|known| strip(known) == strip(name)) =>
                {
                    Parameter::Absent
                }
                _ => Parameter::Elsewhere,
            },
            _ => Parameter::Absent,
        }
    }

    fn positional(&self, index: u64) -> Parameter<'_> {
        match self.params {
            Json::Array(items) => match usize::try_from(index).ok().and_then(|index| items.get(index)) {
                Some(value) => Parameter::Present(text_of(value)),
                None => Parameter::Absent,
            },
            Json::Object(members) if !members.is_empty() => {
                let name = self
                    .signature
                    .map(|signature| signature.get(usize::try_from(index).unwrap_or(usize::MAX)));
                match name {
                    Some(None) => Parameter::Absent,
                    Some(Some(name)) if !self.by_name(members).contains_key(strip(name).as_ref()) => {
                        Parameter::Absent
                    }
                    _ => Parameter::Elsewhere,
                }
            }
            _ => Parameter::Absent,
        }
    }

    fn since_last_use(&self) -> SinceLastUse {
        match self.spent {
            None => SinceLastUse::Unknown,
            Some((Spent { last_used: None, .. }, _)) => SinceLastUse::Never,
            Some((Spent { last_used: Some(last), .. }, now)) => {
                SinceLastUse::Elapsed(Duration::from_nanos(u64::try_from(now - last).unwrap_or(0)))
            }
        }
    }

    fn room(&self, quota: Quota) -> Room {
        match self.spent {
            Some((Spent { buckets: Some(buckets), .. }, now)) => buckets.room(quota, self.peer, now),
            _ => Room::Unknown,
        }
    }

    /// Where nobody keeps buckets, `rows` is refused for every command.
    fn writes_rows(&self) -> bool {
        !matches!(self.spent, Some((Spent { buckets: Some(_), .. }, _)))
            || self.method.and_then(class_of) == Some(Class::Receive)
    }
}

fn has_punctuation(name: &str) -> bool {
    name.bytes().any(|byte| byte.is_ascii_punctuation())
}

/// The name without its ASCII punctuation.
fn strip(name: &str) -> Cow<'_, str> {
    match has_punctuation(name) {
        true => name.chars().filter(|c| !c.is_ascii_punctuation()).collect(),
        false => Cow::Borrowed(name),
    }
}

fn text_of<'a>(value: &'a Json<'_>) -> Value<'a> {
    match value {
        Json::String(text) => Value::Text(Cow::Borrowed(text)),
        Json::Number(text) => match integer(text) {
            Some(value) => Value::Integer { text: Cow::Borrowed(text), value },
            None => Value::Text(Cow::Borrowed(text)),
        },
        other => Value::Text(Cow::Owned(other.to_text())),
    }
}

/// The number where its text is a decimal integer as every reader writes it, else nothing: `1e3`,
/// `5.0` and `-0` are no integers here, so that no two readers can differ on one.
fn integer(text: &str) -> Option<i64> {
    let value: i64 = text.parse().ok()?;
    (value != 0 || text == "0").then_some(value)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use super::*;
    use crate::gate::json;
    use runeward_policy::Request;

    fn named(params: &str, name: &str) -> String {
        let params = json::parse(params).unwrap();
        let check = Check::new(0, None, None, &params);
        show(check.named(name))
    }

    fn positional(params: &str, index: u64) -> String {
        let params = json::parse(params).unwrap();
        let check = Check::new(0, None, None, &params);
        show(check.positional(index))
    }

    fn show(parameter: Parameter<'_>) -> String {
        match parameter {
            Parameter::Absent => "absent".to_owned(),
            Parameter::Elsewhere => "elsewhere".to_owned(),
            Parameter::Present(Value::Text(text)) => format!("text {text}"),
            Parameter::Present(Value::Integer { text, value }) => format!("integer {text} {value}"),
        }
    }

    #[test]
    fn fields_of_the_call_itself() {
        for (params, count) in [("[]", 0), ("[1,2]", 2), ("{}", 0), (r#"{"a":1,"b":2,"c":3}"#, 3)] {
            let params = json::parse(params).unwrap();
            let check = Check::new(7, Some("02ab"), Some("pay"), &params);
            assert_eq!(check.parameter_count(), count);
            assert_eq!(check.time(), 7);
            assert_eq!(check.peer().as_deref(), Some("02ab"));
            assert_eq!(check.method().as_deref(), Some("pay"));
        }
        let none = Json::Object(Vec::new());
        let check = Check::new(7, None, None, &none);
        assert_eq!((check.peer(), check.method()), (None, None));
        assert_eq!(check.since_last_use(), SinceLastUse::Unknown);
    }

    #[test]
    fn names_match_with_punctuation_kept_or_stripped() {
        let params = r#"{"payment_hash":"ab","x-y":1}"#;
        assert_eq!(named(params, "payment_hash"), "text ab");
        assert_eq!(named(params, "paymenthash"), "text ab");
        assert_eq!(named(params, "payment__hash"), "absent");
        assert_eq!(named(params, "xy"), "integer 1 1");
        assert_eq!(named(params, "nosuch"), "absent");
        assert_eq!(named(r#"{"xy":1}"#, "x_y"), "absent");
    }

    #[test]
    fn of_two_that_differ_in_punctuation_none_can_be_told() {
        assert_eq!(named(r#"{"x-y":1,"x_y":2}"#, "xy"), "elsewhere");
        assert_eq!(named(r#"{"xy":1,"x_y":2}"#, "xy"), "elsewhere");
        assert_eq!(named(r#"{"xy":1,"x_y":2}"#, "x_y"), "elsewhere");
    }

    #[test]
    fn the_other_view_is_elsewhere_unless_it_is_empty() {
        assert_eq!(named("[1]", "x"), "elsewhere");
        assert_eq!(named("[]", "x"), "absent");
        assert_eq!(positional(r#"{"x":1}"#, 0), "elsewhere");
        assert_eq!(positional("{}", 0), "absent");
        assert_eq!(positional("[5]", 0), "integer 5 5");
        assert_eq!(positional("[5]", 1), "absent");
        assert_eq!(positional("[5]", u64::MAX), "absent");
    }

    #[test]
    fn a_signature_tells_what_the_other_view_holds() {
        let signature = ["amount_msat".to_owned(), "label".to_owned()];
        let check = |params: &str, look: &dyn Fn(&Check<'_, '_>) -> String| {
            let params = json::parse(params).unwrap();
            look(&Check::new(0, None, None, &params).with_signature(Some(&signature)))
        };
        let named = |params: &str, name: &str| check(params, &|check| show(check.named(name)));
        assert_eq!(named("[1]", "amount_msat"), "elsewhere");
        assert_eq!(named("[1]", "amountmsat"), "elsewhere");
        assert_eq!(named("[1]", "label"), "absent");
        assert_eq!(named("[1,2]", "label"), "elsewhere");
        assert_eq!(named("[1,2,3]", "nosuch"), "absent");
        let positional = |params: &str, index: u64| check(params, &|check| show(check.positional(index)));
        assert_eq!(positional(r#"{"label":1}"#, 0), "absent");
        assert_eq!(positional(r#"{"label":1}"#, 1), "elsewhere");
        assert_eq!(positional(r#"{"la-bel":1}"#, 1), "elsewhere");
        assert_eq!(positional(r#"{"label":1}"#, 2), "absent");
        assert_eq!(positional(r#"{"label":1}"#, u64::MAX), "absent");
    }

    #[test]
    fn integers_are_what_every_reader_takes_for_one() {
        for (json, shown) in [
            ("0", "integer 0 0"),
            ("-7", "integer -7 -7"),
            ("9223372036854775807", "integer 9223372036854775807 9223372036854775807"),
            ("9223372036854775808", "text 9223372036854775808"),
            ("-0", "text -0"),
            ("1e3", "text 1e3"),
            ("5.0", "text 5.0"),
            ("\"5\"", "text 5"),
            ("true", "text true"),
            ("null", "text null"),
            ("{\"a\": [1, \"\\u0062\"]}", "text {\"a\":[1,\"b\"]}"),
        ] {
            assert_eq!(positional(&format!("[{json}]"), 0), shown);
        }
    }
}
