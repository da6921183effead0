//! The request's `filter`: a skeleton of the result, of which only the named members come back.

use serde_json::{Map, Value};

use super::rpc::RpcError;

/// A parsed filter.
#[derive(Debug)]
pub(super) enum Filter {
    /// `true`: everything from here on.
    All,
    /// Only these members of an object.
    Members(Vec<(String, Filter)>),
    /// This of every element of an array.
    Elements(Box<Filter>),
}

impl Filter {
    /// Reads the `filter` member of a request.
    pub(super) fn parse(value: &Value) -> Result<Self, RpcError> {
        match value {
            Value::Object(_) => Self::build(value),
            _ => Err(RpcError::bad_param("filter", "Expected object")),
        }
    }

    /// For a result `{"<name>":[…]}` too large to hold: what each entry passes through. The
    /// filter itself comes back where it keeps no entries.
    pub(super) fn into_elements_of(mut self, name: &str) -> Result<Self, Self> {
        let filter = match &mut self {
            Self::Members(members) => members.iter_mut().find(|(member, _)| member == name),
            _ => None,
        };
        match filter {
            Some((_, Self::All)) => Ok(Self::All),
            Some((_, Self::Elements(elements))) => Ok(std::mem::replace(elements, Self::All)),
            _ => Err(self),
        }
    }

    /// The filtered result, with lightningd's warning where the skeleton did not fit.
    pub(super) fn apply(&self, result: Value) -> Value {
        let mut warning = None;
        let mut kept = self.keep(result, "", &mut warning);
        if let (Some(warning), Value::Object(members)) = (warning, &mut kept) {
            members.insert("warning_parameter_filter".into(), warning.into());
        }
        kept
    }

    /// What stays of the value at `path`, and a warning where the skeleton does not fit it. Text,
    /// numbers and booleans named by the filter stay whatever it says of their insides.
    pub(super) fn keep(&self, value: Value, path: &str, warning: &mut Option<String>) -> Value {
        match (self, value) {
            (Self::Members(filters), Value::Object(members)) => {
                let mut kept = Map::new();
                for (name, value) in members {
                    let named = filters.iter().find(|(member, _)| *member == name);
                    if let Some((_, filter)) = named {
                        let path = format!("{path}.{name}");
                        kept.insert(name, filter.keep(value, &path, warning));
                    }
                }
                Value::Object(kept)
            }
            (Self::Elements(filter), Value::Array(elements)) => {
                let path = format!("{path}[]");
                let kept = elements.into_iter().map(|element| filter.keep(element, &path, warning));
                Value::Array(kept.collect())
            }
            (Self::Members(_), Value::Array(_)) => {
                warning.get_or_insert_with(|| format!("{path} is an array"));
                Value::Array(Vec::new())
            }
            (Self::Elements(_), Value::Object(_)) => {
                warning.get_or_insert_with(|| format!("{path} is an object"));
                Value::Object(Map::new())
            }
            (_, value) => value,
        }
    }

    fn build(value: &Value) -> Result<Self, RpcError> {
        match value {
            Value::Array(elements) => match elements.as_slice() {
                [Value::Object(_) | Value::Array(_)] => {
                    Ok(Self::Elements(Box::new(Self::build(&elements[0])?)))
                }
                [_] => Ok(Self::Elements(Box::new(Self::All))),
                _ => Err(RpcError::bad_param("filter", "Arrays can only have one element")),
            },
            Value::Object(members) => members
                .iter()
                .map(|(name, value)| Ok((name.clone(), Self::build(value)?)))
                .collect::<Result<_, _>>()
                .map(Self::Members),
            Value::Bool(true) => Ok(Self::All),
            Value::String(text) if text == "true" => Ok(Self::All),
            _ => Err(RpcError::bad_param("filter", "value must be true")),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use serde_json::json;

    use super::*;

    fn filtered(filter: Value, result: Value) -> Value {
        Filter::parse(&filter).unwrap().apply(result)
    }

    #[test]
    fn only_named_members_stay() {
        let result = json!({"id": "02", "a": [{"b": 1, "c": 2}, {"c": 3}], "o": {"x": 1, "y": 2}});
        assert_eq!(filtered(json!({"id": true}), result.clone()), json!({"id": "02"}));
        assert_eq!(
            filtered(json!({"a": [{"b": true}], "o": {"y": true}}), result.clone()),
            json!({"a": [{"b": 1}, {}], "o": {"y": 2}})
        );
        assert_eq!(
            filtered(json!({"o": true, "nosuch": true}), result.clone()),
            json!({"o": {"x": 1, "y": 2}})
        );
        assert_eq!(
            filtered(json!({"a": {"b": true}}), result),
            json!({"a": [], "warning_parameter_filter": ".a is an array"})
        );
    }

    #[test]
    fn refusals() {
        let invalid = "invalid token (see logs for details)";
        for (filter, message) in [
            (json!({"id": false}), "filter: value must be true"),
            (json!("id"), "filter: Expected object"),
            (json!(null), "filter: Expected object"),
            (json!({"a": [true, true]}), "filter: Arrays can only have one element"),
        ] {
            let error = Filter::parse(&filter).unwrap_err();
            assert_eq!(error.message, format!("{message}: {invalid}"));
            assert_eq!(error.code, -32602);
        }
    }
}
