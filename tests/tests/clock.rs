//! Time never goes back: a rune that has expired stays expired, whatever the clock does.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use runeward_tests::{Client, Gateway, Setup, eventually};
use serde_json::{Value, json};
use sqlx::{Connection, Row, SqliteConnection};

const HOUR: i64 = 3_600_000_000_000;

fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos().try_into().unwrap()
}

async fn database(setup: &Setup) -> SqliteConnection {
    let path = setup.state().join("runeward.db");
    SqliteConnection::connect(&format!("sqlite://{}", path.display())).await.unwrap()
}

/// The latest time the gateway went by, in nanoseconds since 1970.
async fn mark(setup: &Setup) -> i64 {
    let mut database = database(setup).await;
    let mark = sqlx::query("SELECT mark FROM clock").fetch_one(&mut database).await.unwrap().get(0);
    database.close().await.unwrap();
    mark
}

/// As if the clock had been at this time, and had then stepped back.
async fn set_mark(setup: &Setup, at: i64) {
    let mut database = database(setup).await;
    sqlx::query("UPDATE clock SET mark = ?").bind(at).execute(&mut database).await.unwrap();
    database.close().await.unwrap();
}

async fn stop(gateway: &mut Gateway) {
    gateway.terminate().await;
    gateway.exited().await;
}

fn refused(reply: &Value) -> bool {
    let message = reply["error"]["message"].as_str().unwrap_or_default();
    message.starts_with("Invalid rune: Not permitted: time is greater or equal to")
}

async fn mint(setup: &Setup, expires: &str) -> String {
    let args = ["create", "--restrict", "method=getinfo", "--expires", expires];
    setup.rune(&args).await.line().to_owned()
}

/// The clock ran on by two hours, a rune of one hour expired, the clock stepped back.
#[tokio::test]
async fn an_expired_rune_stays_expired_when_the_clock_steps_back() {
    let mut gateway = Gateway::start(Setup::demo()).await;
    let setup = gateway.setup().clone();
    let rune = mint(&setup, "1h").await;
    let mut client = Client::connect(&gateway).await;
    client.result("getinfo", json!({}), &rune).await;
    stop(&mut gateway).await;
    set_mark(&setup, now() + 2 * HOUR).await;

    for _ in 0..2 {
        gateway = gateway.restart().await;
        assert!(gateway.log().contains("--reset-clock"), "a start so far behind is told of");
        let mut client = Client::connect(&gateway).await;
        let reply = client.call("getinfo", json!({}), &rune).await;
        assert!(refused(&reply), "{reply}");
        stop(&mut gateway).await;
    }
    setup.rune(&["check", &rune, "--method", "getinfo"]).await.assert_refused(1, &["time is greater"]);
    // What is made now lasts from the time that runes are checked by.
    let later = mint(&setup, "1h").await;
    assert_eq!(setup.rune(&["check", &later, "--method", "getinfo"]).await.code, 0);
    assert!(mark(&setup).await > now() + HOUR);

    // The owner says that the clock is right now.
    let gateway = Gateway::start(setup.clone().arg("--reset-clock")).await;
    let mut client = Client::connect(&gateway).await;
    client.result("getinfo", json!({}), &rune).await;
    assert!(mark(&setup).await <= now());
}

/// A little behind, as clocks are that are set by others: no word of it.
#[tokio::test]
async fn a_clock_that_is_put_right_by_seconds_is_not_told_of() {
    let setup = Setup::demo();
    mint(&setup, "1h").await;
    set_mark(&setup, now() + 20_000_000_000).await;
    let gateway = Gateway::start(setup).await;
    assert!(!gateway.log().contains("--reset-clock"), "{}", gateway.log());
}

/// What was once refused for the time is so after a crash too: the time is on disk before the refusal
/// is heard.
#[tokio::test]
async fn a_refusal_for_the_time_outlives_a_crash() {
    let mut gateway = Gateway::start(Setup::demo()).await;
    let setup = gateway.setup().clone();
    let rune = mint(&setup, "2s").await;
    let end = runeward_policy::Rune::decode(&rune).unwrap().expires_at().unwrap();
    let mut client = Client::connect(&gateway).await;
    eventually("it expires", async || refused(&client.call("getinfo", json!({}), &rune).await)).await;
    gateway.kill().await;
    assert!(mark(&setup).await >= i64::try_from(end).unwrap() * 1_000_000_000);
}

/// So is the last use of any rune, by which limits go.
#[tokio::test]
async fn the_last_use_is_never_ahead_of_the_time() {
    let mut gateway = Gateway::start(Setup::demo()).await;
    let setup = gateway.setup().clone();
    let rune = setup.rune(&["create", "--restrict", "per=1hour"]).await.line().to_owned();
    let mut client = Client::connect(&gateway).await;
    let before = now();
    client.result("getinfo", json!({}), &rune).await;
    gateway.kill().await;
    assert!(mark(&setup).await >= before);

    // A use that lies in the future, as a clock that had jumped ahead leaves behind, is taken back too:
    // an hour from now the rune is good again, and not before.
    let mut database = database(&setup).await;
    sqlx::query("UPDATE uses SET last_used = ?")
        .bind(before + 99 * HOUR)
        .execute(&mut database)
        .await
        .unwrap();
    database.close().await.unwrap();
    let gateway = Gateway::start(setup.clone().arg("--reset-clock")).await;
    let mut client = Client::connect(&gateway).await;
    let reply = client.call("getinfo", json!({}), &rune).await;
    assert_eq!(reply["error"]["message"], "Invalid rune: Not permitted: too soon");
    let list = setup.rune(&["list", "--json"]).await.stdout;
    let list: Value = serde_json::from_str(&list).unwrap();
    let last_used = list["grants"][0]["last_used"].as_f64().unwrap();
    let age = Duration::from_nanos(now().try_into().unwrap()).as_secs_f64() - last_used;
    assert!((0.0..600.0).contains(&age), "{age}");
}

/// A bucket that was emptied while the clock was ahead is empty, and no more than that.
#[tokio::test]
async fn buckets_come_back_with_the_time() {
    let mut gateway = Gateway::start(Setup::demo()).await;
    let setup = gateway.setup().clone();
    stop(&mut gateway).await;
    let rune = setup.rune(&["create", "--restrict", "quota=2/day"]).await.line().to_owned();
    set_mark(&setup, now() + 99 * HOUR).await;
    gateway = gateway.restart().await;
    let mut client = Client::connect(&gateway).await;
    for _ in 0..2 {
        client.result("getinfo", json!({}), &rune).await;
    }
    gateway.kill().await;
    let gateway = Gateway::start(setup.clone().arg("--reset-clock")).await;
    let mut client = Client::connect(&gateway).await;
    let reply = client.call("getinfo", json!({}), &rune).await;
    let retry_after = reply["error"]["data"]["retry_after_ms"].as_u64().expect("over the limit");
    assert!((11 * 3_600_000..=12 * 3_600_000).contains(&retry_after), "{reply}");
}
