use runeward_policy::{MasterSecret, Restriction};

use super::*;

const RECORDED: &str =
    "qhdsO5AaxyQM6kV6aUrPaOepFJpQ_RhJLPiFLUhWk_I9NDEwJm1ldGhvZD1nZXRpbmZvfG1ldGhvZF5saXN0JnJhdGU9NjA=";

fn invalid(name: &str, should: &str) -> Value {
    json!({"code": -32602, "message": format!("{name}: {should}: invalid token (see logs for details)")})
}

#[tokio::test]
async fn runes_come_from_the_secret() {
    let (_dir, _node, mut client) = demo().await;
    let secret = client.result("makesecret", json!({"string": "commando"})).await;
    let secret = state::from_hex(secret["secret"].as_str().unwrap()).unwrap();
    let master = MasterSecret::new(&secret).unwrap();

    let first = client.result("createrune", json!({})).await;
    assert_eq!(keys(&first), ["rune", "unique_id", "warning_unrestricted_rune"]);
    assert_eq!(first["rune"], master.issue(0, &[]).unwrap().encode());

    let second = client.result("createrune", json!({"restrictions": "readonly"})).await;
    let readonly = ["method^list|method^get|method=summary", "method/listdatastore"];
    let readonly = readonly.map(|text| Restriction::parse(text).unwrap());
    assert_eq!(second, json!({"rune": master.issue(1, &readonly).unwrap().encode(), "unique_id": "1"}));
    let escaped = json!({"restrictions": [["method=a\\|b\\&c\\\\d"]]});
    let escaped = client.result("invokerune", escaped).await;
    let decoded = client.result("decode", json!([escaped["rune"]])).await;
    assert!(decoded["string"].as_str().unwrap().ends_with(r":=2&method=a\\\|b\\\&c\\\\d"), "{decoded}");

    let narrowed = client
        .result("createrune", json!({"rune": second["rune"], "restrictions": [["time<4000000000"]]}))
        .await;
    assert_eq!(narrowed["unique_id"], "1");
    assert_ne!(narrowed["rune"], second["rune"]);
    let shown = client.result("showrunes", json!({})).await;
    assert_eq!(shown["runes"].as_array().unwrap().len(), 3);

    let not_valid = invalid("restrictions", "not a valid restriction (should be array)");
    for restrictions in
        [json!([["=5"]]), json!(["method=getinfo"]), json!("nosuch"), json!([["method@x"]]), json!([[]])]
    {
        assert_eq!(client.error("createrune", json!({"restrictions": restrictions})).await, not_valid);
    }
    let base64 = invalid("rune", "should be base64 string");
    assert_eq!(client.error("createrune", json!({"rune": "AAAA", "restrictions": []})).await, base64);
    assert_eq!(client.error("checkrune", json!({"rune": "AAAA", "method": "x"})).await, base64);
}

#[tokio::test]
async fn a_rune_is_used_shown_and_revoked() {
    let (_dir, _node, mut client) = demo().await;
    client.result("createrune", json!({})).await;
    let params = json!({"restrictions": [["method=getinfo", "method^list"], ["rate=60"]]});
    let made = client.result("createrune", params).await;
    let (rune, id) = (&made["rune"], &made["unique_id"]);
    let restrictions = json!([
        {
            "alternatives": [
                {
                    "fieldname": "method",
                    "value": "getinfo",
                    "condition": "=",
                    "english": "method equal to getinfo",
                },
                {
                    "fieldname": "method",
                    "value": "list",
                    "condition": "^",
                    "english": "method starts with list",
                },
            ],
            "english": "method equal to getinfo OR method starts with list",
        },
        {
            "alternatives": [
                {"fieldname": "rate", "value": "60", "condition": "=", "english": "rate equal to 60"},
            ],
            "english": "rate equal to 60",
        },
    ]);
    let english = "method equal to getinfo OR method starts with list AND rate equal to 60";
    let mut shown = json!({
        "rune": rune,
        "unique_id": id,
        "restrictions": restrictions,
        "restrictions_as_english": english,
    });
    let listed = client.result("showrunes", json!({"rune": rune})).await;
    assert_eq!(listed.to_string(), json!({"runes": [shown]}).to_string());

    let check = |method: &str| json!({"rune": rune, "method": method});
    assert_eq!(client.result("checkrune", check("getinfo")).await, json!({"valid": true}));
    for (params, message) in [
        (check("getinfo"), "too soon"),
        (check("pay"), "method is not equal to getinfo AND method does not start with list"),
        (json!({"rune": rune}), "method not present AND method not present"),
    ] {
        let error = json!({"code": 1502, "message": format!("Not permitted: {message}")});
        assert_eq!(client.error("checkrune", params).await, error);
    }
    assert_eq!(
        client.error("checkrune", json!({})).await,
        json!({"code": -32602, "message": "missing required parameter: rune"})
    );
    assert_eq!(client.error("checkrune", json!({"rune": RECORDED, "method": "getinfo"})).await["code"], 1501);

    let range = |start: u64, end: u64| json!({"start": start, "end": end});
    for (params, ranges) in [
        (json!({}), json!([])),
        (json!({"start": 1}), json!([range(1, 1)])),
        (json!({"start": 1410, "end": 1413}), json!([range(1, 1), range(1410, 1413)])),
    ] {
        assert_eq!(client.result("blacklistrune", params).await, json!({"blacklist": ranges}));
    }
    assert_eq!(
        client.error("checkrune", check("getinfo")).await,
        json!({"code": 1503, "message": "Not authorized: Blacklisted rune"})
    );
    let listed = client.result("showrunes", json!({"rune": rune})).await;
    assert_eq!(
        keys(&listed["runes"][0]),
        ["rune", "blacklisted", "last_used", "unique_id", "restrictions", "restrictions_as_english"]
    );
    let used = listed["runes"][0]["last_used"].as_f64().unwrap();
    assert!((used - state::since_1970().as_secs_f64()).abs() < 10.0);

    for (method, params, ranges) in [
        ("blacklistrune", json!({"start": 1, "relist": true}), json!([range(1410, 1413)])),
        ("blacklistrune", json!({"start": 1410, "end": 1413, "relist": true}), json!([])),
        ("destroyrune", json!({"start": 2410}), json!([range(2410, 2410)])),
    ] {
        assert_eq!(client.result(method, params).await, json!({"blacklist": ranges}));
    }
    for (params, message) in [
        (json!({"end": 3}), "Can not specify end without start"),
        (json!({"start": 100_000_000}), "Cannot blacklist beyond 100000000"),
    ] {
        let error = json!({"code": -32602, "message": message});
        assert_eq!(client.error("blacklistrune", params).await, error);
    }
    // One that others made is shown as such.
    shown["rune"] = RECORDED.into();
    let foreign = client.result("showrunes", json!({"rune": RECORDED})).await;
    assert_eq!(foreign["runes"][0]["restrictions"], shown["restrictions"]);
    assert_eq!(
        (&foreign["runes"][0]["stored"], &foreign["runes"][0]["our_rune"]),
        (&json!(false), &json!(false))
    );
}

/// What a fresh rune with one restriction says of a request, in the recorded words.
#[tokio::test]
async fn restrictions_are_checked() {
    let (_dir, node, mut client) = demo().await;
    let by_name = json!({"label": "l", "amount_msat": 5, "a": [1]});
    let by_position = json!(["l", 5]);
    for (restriction, params, refusal) in [
        ("per=5foo", json!({}), Some("malformed suffix")),
        ("per=99999999999999999999day", json!({}), Some("malformed per")),
        ("per=4000000000day", json!({}), Some("per overflow")),
        ("rate=x", json!({}), Some("malformed rate")),
        ("rate/5", json!({}), Some("rate operator must be =")),
        ("per/5", json!({}), Some("per operator must be =")),
        ("rate=0", json!({}), Some("malformed rate")),
        ("per=0", json!({}), Some("malformed per")),
        ("nosuch=1", json!({}), Some("nosuch not present")),
        ("nosuch!", json!({}), None),
        ("pnum=3", by_name.clone(), None),
        ("pnum=2", by_position.clone(), None),
        ("pnamelabel=l", by_name.clone(), None),
        ("pnamelabel=l", by_position.clone(), Some("parameter label not present")),
        ("pnameamountmsat<6", by_name.clone(), None),
        ("pnameamount_msat<5", by_name.clone(), Some("parameter amount_msat is greater or equal to 5")),
        ("pnamea=[1]", by_name, None),
        ("parr1>4", by_position.clone(), None),
        ("parr2!", by_position, None),
        ("time<100", json!({}), Some("time is greater or equal to 100")),
        (&format!("id={}", id(&node)), json!({}), None),
    ] {
        let rune = client.result("createrune", json!({"restrictions": [[restriction]]})).await;
        let request = json!({"rune": rune["rune"], "nodeid": id(&node), "method": "pay", "params": params});
        let reply = client.call("checkrune", request).await;
        match refusal {
            None => assert_eq!(reply["result"], json!({"valid": true}), "{restriction}: {reply}"),
            Some(refusal) => assert_eq!(
                reply["error"],
                json!({"code": 1502, "message": format!("Not permitted: {refusal}")}),
                "{restriction}"
            ),
        }
    }
}

#[tokio::test]
async fn the_recorded_rune_decodes_as_recorded() {
    let (_dir, _node, mut client) = demo().await;
    let recorded = json!({
        "type": "rune",
        "unique_id": "410",
        "string": "aa176c3b901ac7240cea457a694acf68e7a9149a50fd18492cf8852d485693f2:\
                   =410&method=getinfo|method^list&rate=60",
        "restrictions": [
            {
                "alternatives": ["method=getinfo", "method^list"],
                "summary": "method (of command) equal to 'getinfo' OR method (of command) starts with 'list'",
            },
            {"alternatives": ["rate=60"], "summary": "rate (max per minute) equal to 60"},
        ],
        "valid": true,
    });
    let decoded = client.result("decode", json!([RECORDED])).await;
    assert_eq!(decoded.to_string(), recorded.to_string());
}
