use super::*;

/// In the recorded order. Texts and codes are the recorded ones, and so are the generations.
#[tokio::test]
async fn the_recorded_sequence() {
    let (_dir, _node, mut client) = demo().await;
    let a = json!(["rec", "a"]);
    let not_there = json!({"code": 1203, "message": "Key does not exist"});
    let value = |key: Value, generation: u64, hex: &str, text: Option<&str>| {
        let mut value = json!({"key": key, "generation": generation, "hex": hex});
        if let Some(text) = text {
            value["string"] = text.into();
        }
        Ok(value)
    };
    let error = |code: i64, message: &str| Err(json!({"code": code, "message": message}));
    let modes = "mode: should be 'must-create', 'must-replace', 'create-or-replace', 'must-append', or \
                 'create-or-append': invalid token (see logs for details)";
    for (params, expected) in [
        (json!({"key": a, "string": "one"}), value(a.clone(), 0, "6f6e65", Some("one"))),
        (json!({"key": a, "string": "two"}), error(1202, "Key already exists")),
        (
            json!({"key": a, "string": "two", "mode": "must-replace"}),
            value(a.clone(), 1, "74776f", Some("two")),
        ),
        (
            json!({"key": a, "string": "+", "mode": "must-append"}),
            value(a.clone(), 2, "74776f2b", Some("two+")),
        ),
        (
            json!({"key": a, "string": "+", "mode": "create-or-append"}),
            value(a.clone(), 3, "74776f2b2b", Some("two++")),
        ),
        (
            json!({"key": a, "hex": "00ff", "mode": "create-or-replace", "generation": 2}),
            error(-32602, "generation only valid with must-replace or must-append"),
        ),
        (
            json!({"key": a, "hex": "00ff", "mode": "must-replace", "generation": 2}),
            error(1204, "generation is different"),
        ),
        (
            json!({"key": a, "hex": "00ff", "mode": "must-replace", "generation": 3}),
            value(a.clone(), 4, "00ff", None),
        ),
        (json!({"key": ["rec"], "string": "parent"}), error(1205, "Key has children already")),
        (json!({"key": ["rec", "a", "child"], "string": "x"}), error(1206, "Parent key [rec,a] exists")),
        (json!({"key": ["rec", "b"], "string": "b"}), value(json!(["rec", "b"]), 0, "62", Some("b"))),
        (json!({"key": ["rec", "c"], "string": "x", "mode": "must-replace"}), Err(not_there.clone())),
        (json!({"key": ["rec", "c"], "string": "x", "mode": "must-append"}), Err(not_there)),
        (json!({"key": "plain", "string": "p"}), value(json!(["plain"]), 0, "70", Some("p"))),
        (json!({"key": ["rec", "d"]}), error(-32602, "Must have either hex or string")),
        (
            json!({"key": ["rec", "d"], "string": "x", "hex": "00"}),
            error(-32602, "Cannot have both hex and string"),
        ),
        (json!({"key": ["rec", "d"], "string": "x", "mode": "nosuch"}), error(-32602, modes)),
    ] {
        let reply = client.call("datastore", params.clone()).await;
        match expected {
            Ok(value) => assert_eq!(reply["result"].to_string(), value.to_string(), "{params}"),
            Err(error) => assert_eq!(reply["error"], error, "{params}"),
        }
    }

    let (a, b) =
        (value(a, 4, "00ff", None).unwrap(), value(json!(["rec", "b"]), 0, "62", Some("b")).unwrap());
    let plain = value(json!(["plain"]), 0, "70", Some("p")).unwrap();
    for (params, expected) in [
        (json!({}), json!([plain, {"key": ["rec"]}])),
        (json!({"key": ["rec"]}), json!([a, b])),
        (json!({"key": ["rec", "a"]}), json!([a])),
        (json!({"key": ["nosuch"]}), json!([])),
    ] {
        let listed = client.result("listdatastore", params).await;
        assert_eq!(listed.to_string(), json!({"datastore": expected}).to_string());
    }

    for (params, expected) in [
        (json!({"key": ["rec", "a"], "generation": 99}), error(1201, "generation is different")),
        (json!({"key": ["rec", "a"]}), Ok(a)),
        (json!({"key": ["rec", "a"]}), error(1200, "Key does not exist")),
        (json!({"key": ["rec", "b"], "generation": 0}), Ok(b)),
        (json!({"key": "plain"}), Ok(plain)),
    ] {
        let reply = client.call("deldatastore", params.clone()).await;
        match expected {
            Ok(value) => assert_eq!(reply["result"], value, "{params}"),
            Err(error) => assert_eq!(reply["error"], error, "{params}"),
        }
    }
    assert_eq!(client.result("listdatastore", json!({})).await, json!({"datastore": []}));
}
