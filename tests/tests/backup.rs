//! `runeward backup` beside a running daemon, and `restore`, which revives nothing silently.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;

use runeward_tests::{Client, Gateway, Setup};
use serde_json::json;

/// A gateway with runes named `kept` and `gone`; the latter is revoked after the backup was made.
async fn backed_up() -> (Gateway, String, String, String) {
    let gateway = Gateway::start(Setup::demo()).await;
    let kept = gateway.rune(&["method=getinfo"]).await;
    let gone = gateway.rune(&["method=getinfo", "method/listpeers"]).await;
    let file = gateway.setup().path("backup").display().to_string();
    let state = gateway.setup().state().display().to_string();
    let made = gateway.cli(&["backup", &file, "--state-dir", &state]).await;
    assert_eq!(made.code, 0, "{made:?}");
    let id = gateway.setup().rune(&["list", "--json"]).await.stdout;
    let id: serde_json::Value = serde_json::from_str(&id).unwrap();
    let grants = id["grants"].as_array().unwrap();
    let of_gone =
        grants.iter().find(|grant| grant["restrictions"].to_string().contains("listpeers")).unwrap();
    let revoked = gateway.setup().rune(&["revoke", &of_gone["unique_id"].to_string()]).await;
    assert_eq!(revoked.code, 0, "{revoked:?}");
    (gateway, kept, gone, file)
}

fn restored(gateway: &Gateway) -> Setup {
    let dir = gateway.setup().path("restored");
    Setup::demo().state_dir(dir)
}

async fn restore(setup: &Setup, args: &[&str]) -> runeward_tests::CliOutput {
    let state = setup.state().display().to_string();
    let mut all = vec!["restore", "--state-dir", &state];
    all.extend(args);
    setup.cli(&all).await
}

async fn answer(gateway: &Gateway, rune: &str) -> String {
    let reply = Client::connect(gateway).await.call("getinfo", json!({}), rune).await;
    reply["error"]["message"].as_str().map_or_else(|| "done".to_owned(), str::to_owned)
}

#[tokio::test]
async fn a_restored_gateway_serves_only_once_that_is_accepted() {
    let (gateway, kept, gone, file) = backed_up().await;
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let setup = restored(&gateway);
    assert_eq!(restore(&setup, &[&file]).await.code, 0);
    for entry in fs::read_dir(setup.state()).unwrap() {
        let entry = entry.unwrap();
        let mode = entry.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "{entry:?}");
    }
    setup.refused().await.assert_refused(1, &["restored from a backup", "rotate-secret", "restore --accept"]);

    let accepted = restore(&setup, &["--accept"]).await;
    assert_eq!(accepted.code, 0, "{accepted:?}");
    let before = gateway;
    let gateway = Gateway::start(setup).await;
    assert_eq!(gateway.node_id(), before.node_id());
    assert_eq!(answer(&gateway, &kept).await, "done");
    // What was said to be so: that none was revoked since.
    assert_eq!(answer(&gateway, &gone).await, "done");
}

#[tokio::test]
async fn or_once_every_rune_is_void() {
    let (gateway, kept, gone, file) = backed_up().await;
    let setup = restored(&gateway);
    assert_eq!(restore(&setup, &[&file]).await.code, 0);
    let state = setup.state().display().to_string();
    assert_eq!(setup.cli(&["rotate-secret", "--yes", "--state-dir", &state]).await.code, 0);
    let _before = gateway;
    let gateway = Gateway::start(setup).await;
    for rune in [kept, gone] {
        assert_eq!(answer(&gateway, &rune).await, "Invalid rune: Not authorized: Not derived from master");
    }
}

#[tokio::test]
async fn nothing_is_written_over_and_nothing_else_is_read() {
    let (gateway, _, _, file) = backed_up().await;
    let state = gateway.setup().state().display().to_string();
    let again = gateway.cli(&["backup", &file, "--state-dir", &state]).await;
    again.assert_refused(1, &["cannot make", "a backup is written to a new file"]);
    restore(gateway.setup(), &[&file]).await.assert_refused(1, &["is not empty", "--state-dir"]);

    let setup = restored(&gateway);
    fs::set_permissions(&file, Permissions::from_mode(0o644)).unwrap();
    restore(&setup, &[&file]).await.assert_refused(1, &["can be read by others", "chmod 600"]);
    let database = gateway.setup().state().join("runeward.db");
    restore(&setup, &[&database.display().to_string()]).await.assert_refused(1, &["is no backup"]);
    fs::write(&file, "text").unwrap();
    fs::set_permissions(&file, Permissions::from_mode(0o600)).unwrap();
    restore(&setup, &[&file]).await.assert_refused(1, &["is no backup"]);
    assert!(!setup.state().exists());
    let nowhere = gateway.setup().path("nowhere").display().to_string();
    let none = gateway.cli(&["backup", "unmade", "--state-dir", &nowhere]).await;
    none.assert_refused(1, &["no state directory"]);
    restore(&setup, &[]).await.assert_refused(2, &["FILE", "--accept"]);
}
