//! Grants: what was handed out can be read, by people and by programs, however much it is.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::time::{Duration, Instant};

use runeward_tests::{Client, Gateway, Setup, client, eventually, runes};
use serde_json::{Value, json};
use sqlx::{Connection, SqliteConnection};

async fn listed(setup: &Setup) -> Value {
    let list = setup.rune(&["list", "--json"]).await;
    serde_json::from_str(list.line()).unwrap()
}

fn find<'a>(grants: &'a Value, name: &str) -> &'a Value {
    let grants = grants["grants"].as_array().unwrap();
    grants.iter().find(|grant| grant["name"] == name).unwrap_or_else(|| panic!("no {name} in {grants:?}"))
}

#[tokio::test]
async fn a_grant_tells_all_but_the_rune() {
    let (gateway, admin) = Gateway::demo().await;
    let setup = gateway.setup();
    let peer = client::identity();
    let bound = format!("id={}", peer.node_id());
    let args =
        ["create", "--preset", "readonly", "--name", "phone", "--restrict", &bound, "--expires", "30d"];
    let rune = setup.rune(&args).await.line().to_owned();
    let mut phone = Client::connect_as(&gateway, &peer).await;
    let mut owner = Client::connect(&gateway).await;
    eventually("it works", async || phone.call("getinfo", json!({}), &rune).await.get("result").is_some())
        .await;
    for _ in 0..4 {
        phone.result("getinfo", json!({}), &runes::narrow(&rune, "pnum=0")).await;
    }
    phone.call("pay", json!({}), &rune).await;

    let grants = owner.result("runeward-grants", json!({}), &admin).await;
    let grant = find(&grants, "phone");
    let id = runes::unique_id(&rune);
    assert_eq!(grant["unique_id"], id);
    assert_eq!(grant["preset"], "readonly");
    let restrictions = grant["restrictions"].as_array().unwrap();
    assert_eq!(restrictions.len(), 3);
    assert!(restrictions[0].as_str().unwrap().starts_with("method=checkmessage|method=decode|"));
    assert_eq!(restrictions[1], json!(bound));
    assert!(grant["restrictions_as_english"].as_str().unwrap().contains("method equal to getinfo OR "));
    let (made, end) = (grant["created_at"].as_u64().unwrap(), grant["expires_at"].as_u64().unwrap());
    assert!((made + 30 * 86_400..made + 30 * 86_400 + 60).contains(&end), "{grant}");
    assert!(grant["last_used"].as_f64().unwrap() >= made as f64);
    assert_eq!(grant["uses"], 5, "refusals are no uses");
    assert_eq!(grant["bound_peer"], json!(peer.node_id().to_string()));
    assert_eq!(grant["offer_id"], Value::Null);
    assert_eq!((&grant["revoked"], &grant["status"]), (&json!(false), &json!("live")));
    let text = grants.to_string();
    assert!(!text.contains(&rune[..40]) && !text.contains(&admin[..40]));

    // One alone, and the command line says the same.
    for wanted in [json!(id), json!(id.to_string()), json!("phone")] {
        let one = owner.result("runeward-grants", json!({ "id": wanted }), &admin).await;
        assert_eq!(one, json!({"grants": [grant]}));
    }
    assert_eq!(find(&listed(setup).await, "phone"), grant);
    let unknown = owner.call("runeward-grants", json!({"id": 5}), &admin).await;
    assert_eq!(unknown["error"]["code"], -32602, "{unknown}");

    // It is checked like any method, and a revoked grant stays listed.
    let refused = phone.call("runeward-grants", json!({}), &rune).await;
    assert_eq!(refused["error"]["code"], 19537);
    owner.result("runeward-revoke", json!({"ids": ["phone"]}), &admin).await;
    let grants = owner.result("runeward-grants", json!({"id": "phone"}), &admin).await;
    assert_eq!(grants["grants"][0]["status"], "revoked");
    assert_eq!(grants["grants"][0]["revoked"], true);
}

#[tokio::test]
async fn what_has_expired_is_listed_so() {
    let setup = Setup::demo();
    setup
        .rune(&["create", "--name", "brief", "--expires", "1s", "--restrict", "method=getinfo"])
        .await
        .line();
    eventually("it expires", async || find(&listed(&setup).await, "brief")["status"] == "expired").await;
    let table = setup.rune(&["list"]).await.stdout;
    assert!(table.lines().any(|line| line.contains("brief") && line.contains("expired")), "{table}");
}

/// 100 columns, whatever the names and restrictions are.
#[tokio::test]
async fn the_table_stays_narrow() {
    let setup = Setup::demo();
    let long = format!("pnamedescription={}", "wide ".repeat(40));
    let many: Vec<String> = (0..100).map(|i| format!("method=command-number-{i}")).collect();
    let peer = format!("id={}", client::identity().node_id());
    let name = "n".repeat(64);
    for args in [
        &["--name", &name, "--restrict", &many.join("|"), "--expires", "30d"][..],
        &["--name", "wide", "--restrict", &long, "--restrict", &peer],
        &["--preset", "watch", "--restrict", "rate=10"],
        &[],
    ] {
        let all: Vec<&str> = ["create"].iter().chain(args).copied().collect();
        setup.rune(&all).await.line();
    }
    let table = setup.rune(&["list"]).await.stdout;
    for line in table.lines() {
        assert!(line.chars().count() <= 100, "{line}");
    }
    assert_eq!(table.lines().count(), 9, "a head, and two lines each:\n{table}");
    assert!(table.contains("Preset watch. At most 10 times a minute"), "{table}");
}

/// Neither start nor memory grows with what was handed out, and each of it works and can be revoked.
#[tokio::test]
async fn many_runes_cost_nothing_until_they_are_used() {
    const MANY: i64 = 300_000;
    let (mut gateway, admin) = Gateway::demo().await;
    let setup = gateway.setup().clone();
    let few = gateway.rune(&["method=getinfo"]).await;
    gateway = gateway.restart().await;
    let started = Instant::now();
    gateway = gateway.restart().await;
    let (start_with_few, memory_with_few) = (started.elapsed(), gateway.memory());
    gateway.terminate().await;
    gateway.exited().await;

    let path = setup.state().join("runeward.db");
    let mut database = SqliteConnection::connect(&format!("sqlite://{}", path.display())).await.unwrap();
    for fill in [
        "INSERT INTO runes (unique_id, name, restrictions, created_at)
         WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?1)
         SELECT 4503599627370495 - i, 'rune ' || i, 'method=getinfo|method=listpeers&rate=1000', 1800000000 FROM n",
        "INSERT INTO uses (unique_id, last_used, uses)
         SELECT unique_id, 1700000000000000000, 3 FROM runes WHERE created_at = 1800000000 LIMIT ?1",
    ] {
        sqlx::query(fill).bind(MANY).execute(&mut database).await.unwrap();
    }
    database.close().await.unwrap();

    let started = Instant::now();
    let gateway = gateway.restart().await;
    let (start_with_many, memory_with_many) = (started.elapsed(), gateway.memory());
    println!(
        "start: {start_with_few:?} with 2 runes, {start_with_many:?} with {MANY}; \
         memory: {memory_with_few} and {memory_with_many} bytes"
    );
    assert!(memory_with_many < memory_with_few + 16 * 1024 * 1024, "{memory_with_few}, {memory_with_many}");
    assert!(start_with_many < start_with_few + Duration::from_secs(10));

    let mut client = Client::connect(&gateway).await;
    client.result("getinfo", json!({}), &few).await;
    let one = client.result("showrunes", json!({"rune": few}), &admin).await;
    assert_eq!(one["runes"].as_array().unwrap().len(), 1);
    // Another process changes something: the daemon follows as fast as ever.
    assert_eq!(setup.rune(&["revoke", "rune 77"]).await.code, 0);
    let id = runes::unique_id(&few).to_string();
    assert_eq!(setup.rune(&["revoke", &id]).await.code, 0);
    let revoked = Instant::now();
    eventually("the daemon knows", async || {
        client.call("getinfo", json!({}), &few).await["error"]["code"] == 19537
    })
    .await;
    assert!(revoked.elapsed() < Duration::from_secs(1));
    let grant = client.result("runeward-grants", json!({"id": "rune 77"}), &admin).await;
    assert_eq!(grant["grants"][0]["uses"], 3);
    assert_eq!(grant["grants"][0]["status"], "revoked");
}
