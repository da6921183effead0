//! Revocation: it holds for every spelling of a rune, and ends what runs.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::time::{Duration, Instant};

use runeward_tests::{Answer, Client, End, FakeNode, Gateway, Setup, client, eventually, runes};
use serde_json::{Value, json};

const REVOKED: &str = "Invalid rune: Not authorized: Blacklisted rune";

/// How often each way of revoking is measured.
const ROUNDS: usize = 100;

/// A node on which `wait` never ends, and a gateway before it that takes many connections.
async fn hanging() -> (FakeNode, Gateway, String) {
    let node = FakeNode::start().await;
    node.on("wait", Answer::Never);
    let (gateway, admin) = Gateway::with_rune(Setup::fake(&node).crowd()).await;
    (node, gateway, admin)
}

async fn mint(client: &mut Client, admin: &str) -> String {
    let params = json!({"restrictions": [["method=wait", "method=getinfo"]]});
    client.result("createrune", params, admin).await["rune"].as_str().unwrap().to_owned()
}

/// A connection on which a call under this rune runs, with id 1.
async fn calling(gateway: &Gateway, node: &FakeNode, rune: &str) -> Client {
    let before = node.calls("wait");
    let mut user = Client::connect(gateway).await;
    user.request(1, client::request(&json!(1), "wait", &json!({}), rune)).await;
    eventually("the call is under way", async || node.calls("wait") > before).await;
    user
}

/// Takes the error that ends the call; how long it took.
async fn cut(user: &mut Client, revoked: Instant) -> Duration {
    let reply = user.reply(1).await;
    let took = revoked.elapsed();
    assert_eq!(reply.code(), Some(19544), "{}", reply.text());
    assert!(reply.text().contains("outcome is unknown"), "{}", reply.text());
    took
}

fn report(how: &str, mut times: Vec<Duration>) {
    times.sort_unstable();
    let within = times.iter().filter(|time| **time < Duration::from_secs(1)).count();
    println!(
        "{how}: {within} of {} within 1 s, median {:?}, longest {:?}",
        times.len(),
        times[times.len() / 2],
        times[times.len() - 1]
    );
    assert_eq!(times.len(), ROUNDS);
}

#[tokio::test]
async fn over_the_wire_calls_in_flight_end_every_time() {
    let (node, gateway, admin) = hanging().await;
    let mut owner = Client::connect(&gateway).await;
    let mut times = Vec::new();
    for round in 0..ROUNDS {
        let rune = mint(&mut owner, &admin).await;
        let mut user = calling(&gateway, &node, &rune).await;
        let id = runes::unique_id(&rune);
        let revoked = Instant::now();
        match round % 2 {
            0 => owner.result("runeward-revoke", json!({"ids": [id]}), &admin).await,
            _ => owner.result("blacklistrune", json!({"start": id}), &admin).await,
        };
        times.push(cut(&mut user, revoked).await);
    }
    report("over the wire", times);
}

#[tokio::test]
async fn by_the_command_line_calls_in_flight_end_every_time() {
    let (node, gateway, admin) = hanging().await;
    let mut owner = Client::connect(&gateway).await;
    let mut times = Vec::new();
    for _ in 0..ROUNDS {
        let rune = mint(&mut owner, &admin).await;
        let mut user = calling(&gateway, &node, &rune).await;
        let id = runes::unique_id(&rune).to_string();
        let revoked = Instant::now();
        assert_eq!(gateway.setup().rune(&["revoke", &id]).await.code, 0);
        times.push(cut(&mut user, revoked).await);
    }
    report("by the command line, its own start included", times);
}

#[tokio::test]
async fn calls_under_a_child_of_the_revoked_rune_end_every_time() {
    let (node, gateway, admin) = hanging().await;
    let mut owner = Client::connect(&gateway).await;
    let mut times = Vec::new();
    for round in 0..ROUNDS {
        let rune = mint(&mut owner, &admin).await;
        let child = runes::narrow(&runes::narrow(&rune, "method=wait"), &format!("method#{round}"));
        let mut user = calling(&gateway, &node, &child).await;
        let revoked = Instant::now();
        let params = json!({"ids": [runes::unique_id(&rune).to_string()]});
        owner.result("runeward-revoke", params, &admin).await;
        times.push(cut(&mut user, revoked).await);
    }
    report("a child", times);
}

/// Of the calls on one connection those under other runes go on, and so does the connection.
#[tokio::test]
async fn a_connection_with_another_live_rune_stays() {
    let (node, gateway, admin) = hanging().await;
    let mut owner = Client::connect(&gateway).await;
    let (doomed, live) = (mint(&mut owner, &admin).await, mint(&mut owner, &admin).await);
    let mut user = calling(&gateway, &node, &doomed).await;
    for (id, rune) in [(2, &doomed), (3, &live)] {
        user.request(id, client::request(&json!(id), "wait", &json!({}), rune)).await;
    }
    eventually("all are under way", async || node.calls("wait") == 3).await;
    owner.result("runeward-revoke", json!({"ids": [runes::unique_id(&doomed)]}), &admin).await;
    for id in [1, 2] {
        assert_eq!(user.reply(id).await.code(), Some(19544));
    }
    user.result("getinfo", json!({}), &live).await;
    let reply = user.call("getinfo", json!({}), &doomed).await;
    assert_eq!(reply["error"]["message"], REVOKED);
    assert_eq!(user.unclaimed(), 0, "the other call goes on");
    // With the last one the connection goes, but not from under a request that is on its way.
    owner.result("runeward-revoke", json!({"ids": [runes::unique_id(&live)]}), &admin).await;
    assert_eq!(user.reply(3).await.code(), Some(19544));
    for _ in 0..20 {
        let reply = user.call("getinfo", json!({}), &live).await;
        assert_eq!(reply["error"]["message"], REVOKED);
    }
    assert_eq!(user.end().await, End::Clean);
}

/// A reply of which a part is sent can only be cut.
#[tokio::test]
async fn a_reply_already_begun_is_cut_with_its_connection() {
    let (node, gateway, admin) = hanging().await;
    let half = format!("{{\"jsonrpc\":\"2.0\",\"id\":$ID,\"result\":\"{}", "a".repeat(200_000));
    node.on("wait", Answer::Text(half));
    let mut owner = Client::connect(&gateway).await;
    let rune = mint(&mut owner, &admin).await;
    let mut user = calling(&gateway, &node, &rune).await;
    // An answered ping lets what was sent before it arrive.
    eventually("a part has come", async || {
        user.ping(0).await;
        user.pong().await;
        user.begun(1) > 0
    })
    .await;
    owner.result("runeward-revoke", json!({"ids": [runes::unique_id(&rune)]}), &admin).await;
    assert_eq!(user.next_reply().await.unwrap_err(), End::Clean, "no last part comes");
}

/// Limits and revocation go by the unique id, however a rune is spelt.
#[tokio::test]
async fn no_spelling_of_a_revoked_rune_works() {
    let (gateway, admin) = Gateway::demo().await;
    let mut client = Client::connect(&gateway).await;
    let params = json!({"restrictions": [["method=getinfo", r"pnamex=a\b"]]});
    let rune = client.result("createrune", params, &admin).await["rune"].as_str().unwrap().to_owned();
    let spellings = [
        rune.clone(),
        rune.trim_end_matches('=').to_owned(),
        runes::narrow(&rune, "method#x"),
        runes::narrow(&rune, r"method#\\x"),
        runes::narrow(&runes::narrow(&rune, "time>5"), "pnum=0"),
    ];
    for rune in &spellings {
        client.result("getinfo", json!({}), rune).await;
    }
    client.result("runeward-revoke", json!({"ids": [runes::unique_id(&rune)]}), &admin).await;
    for rune in &spellings {
        let reply = client.call("getinfo", json!({}), rune).await;
        assert_eq!(reply["error"]["message"], REVOKED);
    }
}

#[tokio::test]
async fn by_name_all_or_none() {
    let (gateway, admin) = Gateway::demo().await;
    let setup = gateway.setup();
    for name in ["kitchen", "garden"] {
        setup.rune(&["create", "--name", name, "--restrict", "method=getinfo"]).await.line();
    }
    let mut client = Client::connect(&gateway).await;
    let reply = client.call("runeward-revoke", json!({"ids": ["kitchen", "nosuch"]}), &admin).await;
    assert_eq!(reply["error"]["code"], -32602, "{reply}");
    assert!(reply["error"]["message"].as_str().unwrap().contains("no rune 'nosuch'"), "{reply}");
    setup.rune(&["revoke", "garden", "nosuch"]).await.assert_refused(1, &["no rune 'nosuch'"]);
    let grants = client.result("runeward-grants", json!({}), &admin).await;
    assert!(grants["grants"].as_array().unwrap().iter().all(|grant| grant["status"] == "live"), "{grants}");
    let revoked = client.result("runeward-revoke", json!({"ids": ["kitchen", "garden"]}), &admin).await;
    assert_eq!(revoked["revoked"].as_array().unwrap().len(), 2);
    for params in [json!({}), json!({"ids": "kitchen"}), json!({"ids": [true]}), json!({"ids": [], "x": 1})] {
        let reply = client.call("runeward-revoke", params, &admin).await;
        assert_eq!(reply["error"]["code"], -32602, "{reply}");
    }
}

#[tokio::test]
async fn all_are_revoked_but_those_that_make_runes() {
    let (gateway, admin) = Gateway::demo().await;
    let phone = gateway.rune(&["method=getinfo"]).await;
    let maker = gateway.rune(&["method=createrune|method=getinfo"]).await;
    let said = gateway.setup().rune(&["revoke", "--all"]).await;
    assert_eq!(said.code, 0, "{said:?}");
    let mut client = Client::connect(&gateway).await;
    eventually("the daemon knows", async || {
        client.call("getinfo", json!({}), &phone).await["error"]["message"] == REVOKED
    })
    .await;
    for spared in [&admin, &maker] {
        client.result("getinfo", json!({}), spared).await;
        assert!(said.stderr.contains(&runes::unique_id(spared).to_string()), "{said:?}");
    }
    gateway.setup().rune(&["revoke", "--all", "phone"]).await.assert_refused(2, &[]);
    gateway.setup().rune(&["revoke"]).await.assert_refused(2, &[]);
}

async fn rotate(setup: &Setup) {
    let state_dir = setup.state().display().to_string();
    let rotated = setup.cli(&["rotate-secret", "--yes", "--state-dir", &state_dir]).await;
    assert_eq!((rotated.code, rotated.stdout.as_str()), (0, ""), "{rotated:?}");
}

fn secrets(setup: &Setup) -> Vec<std::path::PathBuf> {
    let files = std::fs::read_dir(setup.state()).unwrap().map(|file| file.unwrap().path());
    files.filter(|path| path.to_string_lossy().contains("rune-secret")).collect()
}

#[tokio::test]
async fn with_its_secret_every_rune_dies_at_once() {
    let (node, gateway, admin) = hanging().await;
    let setup = gateway.setup();
    let mut owner = Client::connect(&gateway).await;
    let rune = mint(&mut owner, &admin).await;
    let mut user = calling(&gateway, &node, &rune).await;
    let state_dir = setup.state().display().to_string();
    let unasked = setup.cli(&["rotate-secret", "--state-dir", &state_dir]).await;
    unasked.assert_refused(2, &["--yes"]);
    owner.result("getinfo", json!({}), &admin).await;

    let begun = Instant::now();
    rotate(setup).await;
    println!("by a new secret: {:?}", cut(&mut user, begun).await);
    for dead in [&admin, &rune] {
        let reply = owner.call("getinfo", json!({}), dead).await;
        assert_eq!(reply["error"]["message"], "Invalid rune: Not authorized: Not derived from master");
    }
    let list = setup.rune(&["list", "--json"]).await;
    assert_eq!(serde_json::from_str::<Value>(&list.stdout).unwrap(), json!({"grants": []}));

    // The daemon goes on with the new one, and so does the next.
    let new = gateway.rune(&["method=getinfo"]).await;
    owner.result("getinfo", json!({}), &new).await;
    let gateway = gateway.restart().await;
    let mut owner = Client::connect(&gateway).await;
    owner.result("getinfo", json!({}), &new).await;
    assert_eq!(secrets(gateway.setup()).len(), 1);
}

/// Cut short before the database knows of it, a change of the secret is none; cut short after, it is
/// whole.
#[tokio::test]
async fn a_change_of_the_secret_cut_short_leaves_no_half() {
    let setup = Setup::demo();
    let old = setup.rune(&["create", "--restrict", "method=getinfo"]).await.line().to_owned();
    let old_secret = std::fs::read_to_string(setup.state().join("rune-secret")).unwrap();
    let check = async |rune: &str| setup.rune(&["check", rune, "--method", "getinfo"]).await;

    // Before: a secret in its file that nothing names.
    let stray = format!("rune-secret.{}", "0".repeat(32));
    let setup = setup.clone().state_file(&stray, &format!("{}\n", "ab".repeat(32)), 0o600);
    assert_eq!(check(&old).await.code, 0);
    std::fs::remove_file(setup.state().join(stray)).unwrap();

    // After: the last secret is still there.
    rotate(&setup).await;
    let setup = setup.state_file("rune-secret", &old_secret, 0o600);
    check(&old).await.assert_refused(1, &["Not derived from master"]);
    let new = setup.rune(&["create", "--restrict", "method=getinfo"]).await.line().to_owned();
    assert_eq!(check(&new).await.code, 0);

    // A secret that is lost, or another one in its place, is no licence to begin anew.
    for secret in secrets(&setup) {
        if !secret.ends_with("rune-secret") {
            std::fs::remove_file(secret).unwrap();
        }
    }
    check(&new).await.assert_refused(1, &["rune-secret", "rotate-secret"]);
    rotate(&setup).await;
    check(&new).await.assert_refused(1, &["Not derived from master"]);
}
