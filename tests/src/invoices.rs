//! The plainest exchange there is, for tests of what surrounds it: a node that has no invoices is asked for them.

use serde_json::{Value, json};

use crate::{Answer, FakeNode, Gateway, client};

/// The most bytes a request may hold.
pub const LIMIT: usize = 1_048_576;

/// A refusal's text.
pub fn refusal(code: i64, message: &str) -> String {
    let message = Value::from(message);
    format!(r#"{{"error":{{"code":{code},"message":{message}}}}}"#)
}

/// A request for all invoices.
pub fn listinvoices(id: &str, rune: &str) -> String {
    client::request(&json!(id), "listinvoices", &json!({}), rune)
}

/// Its answer.
pub fn answered(id: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":"{id}","result":{{"invoices":[]}}}}"#)
}

/// A gateway before a node that has no invoices, and a rune that allows everything.
pub async fn before_invoices() -> (FakeNode, Gateway, String) {
    let node = FakeNode::start().await;
    node.on("listinvoices", Answer::result(json!({"invoices": []})));
    let (gateway, rune) = Gateway::before(&node).await;
    (node, gateway, rune)
}
