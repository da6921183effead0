//! State directories of every version that was ever released open in this one. Their keys were made for this test alone.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use runeward_tests::{Client, Gateway, Setup};
use serde_json::{Value, json};

#[tokio::test]
async fn the_state_of_0_1_0() {
    let kept = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/state-0.1.0");
    let mut setup = Setup::demo();
    for name in ["identity", "rune-secret", "demo-node-key"] {
        setup = setup.state_file(name, &fs::read_to_string(kept.join(name)).unwrap(), 0o600);
    }
    let database = setup.state().join("runeward.db");
    fs::copy(kept.join("runeward.db"), &database).unwrap();
    // As it was made; a checkout has another mode.
    fs::set_permissions(database, Permissions::from_mode(0o600)).unwrap();
    let runes: Value = serde_json::from_slice(&fs::read(kept.join("runes.json")).unwrap()).unwrap();

    let gateway = Gateway::start(setup).await;
    let mut client = Client::connect(&gateway).await;
    let mut ask = async |name: &str| client.call("getinfo", json!({}), runes[name].as_str().unwrap()).await;
    assert!(ask("live").await["result"]["id"].is_string());
    let message = |reply: Value| reply["error"]["message"].as_str().unwrap().to_owned();
    assert_eq!(message(ask("once").await), "Invalid rune: Not permitted: too soon");
    assert_eq!(message(ask("gone").await), "Invalid rune: Not authorized: Blacklisted rune");

    let list = gateway.setup().rune(&["list"]).await.stdout;
    for (name, status) in [("live", "live"), ("once", "live"), ("gone", "revoked")] {
        assert!(list.lines().any(|line| line.contains(name) && line.contains(status)), "{list}");
    }
    let grants = gateway.setup().rune(&["list", "--json"]).await;
    let grants: Value = serde_json::from_str(&grants.stdout).unwrap();
    let grants = grants["grants"].as_array().unwrap();
    let grant = |name: &str| grants.iter().find(|grant| grant["name"] == name).unwrap();
    // Nobody counted until now: what had been used was so at least once.
    assert_eq!(grant("once")["uses"], 1);
    assert_eq!((&grant("live")["preset"], &grant("live")["offer_id"]), (&Value::Null, &Value::Null));
    assert!(grant("once")["last_used"].is_number());
}
