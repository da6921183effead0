//! State directories of every version that was ever released open in this one. Their keys were made for this test alone.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use runeward_tests::{Client, Gateway, Setup};
use serde_json::{Value, json};
use sqlx::{ConnectOptions, Connection};

/// A setup on a copy of a state directory that is kept, and the runes made there.
fn kept(name: &str) -> (Setup, Value) {
    let kept = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(name);
    let setup = Setup::demo();
    copy(&kept, setup.state());
    fs::remove_file(setup.state().join("runes.json")).unwrap();
    let runes = fs::read(kept.join("runes.json")).unwrap();
    (setup, serde_json::from_slice(&runes).unwrap())
}

/// Copies a directory, each file in it for its owner alone, as it was made; a checkout has other modes.
fn copy(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    fs::set_permissions(to, Permissions::from_mode(0o700)).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), &to).unwrap();
            fs::set_permissions(to, Permissions::from_mode(0o600)).unwrap();
        }
    }
}

#[tokio::test]
async fn the_state_of_0_1_0() {
    let (setup, runes) = kept("state-0.1.0");
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

/// With an audit log, and the database's fifth form.
#[tokio::test]
async fn the_state_of_migration_5() {
    let (setup, runes) = kept("state-migration-5");
    let state = setup.state().display().to_string();
    let verified = setup.cli(&["audit", "verify", "--state-dir", &state]).await;
    assert_eq!(verified.code, 0, "{verified:?}");
    let doctor =
        setup.cli(&["doctor", "--node", "demo", "--listen", "127.0.0.1:0", "--state-dir", &state]).await;
    assert_eq!(doctor.code, 0, "{doctor:?}");

    let gateway = Gateway::start(setup).await;
    let mut client = Client::connect(&gateway).await;
    let mut ask = async |name: &str| client.call("getinfo", json!({}), runes[name].as_str().unwrap()).await;
    assert!(ask("live").await["result"]["id"].is_string());
    assert_eq!(ask("gone").await["error"]["message"], "Invalid rune: Not authorized: Blacklisted rune");
}

#[tokio::test]
async fn the_state_of_a_later_version_is_refused() {
    let (setup, _) = kept("state-migration-5");
    let database = setup.state().join("runeward.db");
    let mut database = sqlx::sqlite::SqliteConnectOptions::new().filename(database).connect().await.unwrap();
    let later = "INSERT INTO _sqlx_migrations VALUES (9999, 'later', CURRENT_TIMESTAMP, TRUE, x'00', 0)";
    sqlx::query(later).execute(&mut database).await.unwrap();
    database.close().await.unwrap();
    setup
        .refused()
        .await
        .assert_refused(1, &["was written by a newer runeward", "install that version again"]);
}
