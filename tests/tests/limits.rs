//! The gateway's limits, each reached over the wire: what it answers, that a neighbour is not touched, that it recovers.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::time::{Duration, Instant};

use runeward_tests::client::{identity, request, tcp};
use runeward_tests::{Answer, Client, FakeNode, Gateway, Setup, eventually};
use serde_json::{Value, json};

#[tokio::test]
async fn loopback_is_exempt_where_told() {
    let setup = Setup::demo().crowd().arg("--limit").arg("connections_per_address=2");
    let counted = Gateway::start(setup.clone()).await;
    let _open = [Client::connect(&counted).await, Client::connect(&counted).await];
    let third = Client::try_over(tcp(counted.address()).await, counted.node_id(), &identity(), 100).await;
    assert!(third.is_err(), "a third");
    let setup = setup.state_dir(counted.setup().path("other")).arg("--exempt-loopback");
    let exempt = Gateway::start(setup.arg("--limit").arg("connections=5")).await;
    let mut open = Vec::new();
    for _ in 0..5 {
        open.push(Client::connect(&exempt).await);
    }
    let sixth = Client::try_over(tcp(exempt.address()).await, exempt.node_id(), &identity(), 100).await;
    assert!(sixth.is_err(), "a sixth: the limit in all holds");
}

/// What is over a limit on bytes is read and written later, and nobody else waits for it.
#[tokio::test]
async fn bytes_come_later() {
    for (limit, bytes_in, bytes_out) in [
        ("bytes_in_per_second_per_connection=50000", 300_000, 10),
        ("bytes_out_per_second_per_connection=50000", 10, 300_000),
        ("bytes_in_per_second=50000", 300_000, 10),
        ("bytes_out_per_second=50000", 10, 300_000),
    ] {
        let node = FakeNode::start().await;
        node.on("echo", Answer::Huge(bytes_out));
        let (gateway, rune) = Gateway::with_rune(Setup::fake(&node).arg("--limit").arg(limit)).await;
        let (mut greedy, mut neighbour) = (Client::connect(&gateway).await, Client::connect(&gateway).await);
        let begun = Instant::now();
        let text = "x".repeat(bytes_in);
        let asking = greedy.call("echo", json!([text]), &rune);
        let beside = async {
            if limit.contains("per_connection") {
                for _ in 0..20 {
                    neighbour.result("getinfo", json!({}), &rune).await;
                }
            }
            begun.elapsed()
        };
        let (reply, beside) = tokio::join!(asking, beside);
        assert_eq!(reply["result"].as_str().map(str::len), Some(bytes_out), "{limit}");
        let took = begun.elapsed();
        // Four seconds' worth at once, then two seconds more.
        assert!(took > Duration::from_millis(1200), "{limit}: {took:?}");
        assert!(beside < took, "{limit}: the neighbour took {beside:?} of {took:?}");
    }
}

#[tokio::test]
async fn limits_are_printed_as_they_are_set() {
    let setup = Setup::bare();
    let printed = setup.cli(&["serve", "--print-limits"]).await;
    assert_eq!((printed.code, printed.stderr.as_str()), (0, ""), "{printed:?}");
    let readme = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../README.md")).unwrap();
    for line in printed.stdout.lines().filter(|line| !line.is_empty()) {
        assert!(readme.contains(line), "not in the README: {line}");
    }

    let file = setup.path("limits.toml");
    std::fs::write(
        &file,
        "exempt_loopback = true\n[limits]\nconnections = 7\nbytes_in_per_second = 1000\n\
         calls_per_class.spend = 2\ncalls_per_class.other = 9\n",
    )
    .unwrap();
    let file = file.display().to_string();
    let args = [
        "serve",
        "--print-limits",
        "--config",
        &file,
        "--limit",
        "connections=9,handshake_seconds=none,calls_per_second_per_class.admin=3",
    ];
    let printed = setup.cli_with(&args, None, &[]).await;
    assert_eq!(printed.code, 0, "{printed:?}");
    let value = |name: &str| {
        let line = printed.stdout.lines().find(|line| line.split_whitespace().next() == Some(name)).unwrap();
        line.split_whitespace().nth(1).unwrap().to_owned()
    };
    assert_eq!(
        [
            "connections",
            "bytes_in_per_second",
            "handshake_seconds",
            "calls_per_connection",
            "calls_per_class",
            "calls_per_second_per_class"
        ]
        .map(value),
        ["9", "1000", "none", "16", "spend=2,other=9", "admin=3"]
    );
    assert!(printed.stdout.contains("pass over this machine itself"), "{printed:?}");
    let printed =
        setup.cli_with(&["serve", "--print-limits"], None, &[("RUNEWARD_LIMIT", "connections=3")]).await;
    assert!(printed.stdout.contains("\nconnections                                 3 "), "{printed:?}");
}

#[tokio::test]
async fn limits_that_make_no_sense() {
    for (toml, phrases) in [
        ("[limits]\nconnections = 0\n", &["connections", "1 to 4294967295"][..]),
        ("[limits]\nconnections = 4294967296\n", &["connections", "1 to 4294967295"]),
        ("[limits]\nconnections = 'many'\n", &["connections", "none"]),
        ("[limits]\ncalls_per_class.spent = 1\n", &["spent", "spend"]),
        ("[limits]\ncalls_per_class = 1\n", &["calls_per_class"]),
        ("[limits]\nexempt_loopback = true\n", &["exempt_loopback"]),
        ("proxy_protocol_from = ['10.0.0.0/33']\n", &["proxy_protocol_from", "network"]),
    ] {
        Setup::demo().config(toml).refused().await.assert_refused(2, phrases);
    }
    for (flag, value, phrases) in [
        ("--limit", "connections", &["--limit"][..]),
        ("--limit", "connections=0", &["--limit", "1 to 4294967295"]),
        ("--limit", "conections=1", &["--limit", "conections", "--print-limits"]),
        ("--limit", "calls_per_class=1", &["--limit", "calls_per_class"]),
        ("--limit", "calls_per_class.spent=1", &["--limit", "calls_per_class.spent"]),
        ("--limit", "connections.spend=1", &["--limit", "connections.spend"]),
        ("--proxy-protocol-from", "proxy.example", &["--proxy-protocol-from", "network"]),
    ] {
        Setup::demo().arg(flag).arg(value).refused().await.assert_refused(2, phrases);
    }
}

const OVER: i64 = 19542;

fn get(id: u64, method: &str, rune: &str) -> String {
    request(&json!(id), method, &json!({}), rune)
}

/// The limit a reply says it is over, and when to come back, in milliseconds.
fn over(reply: &Value) -> (String, u64) {
    assert_eq!(reply["error"]["code"], OVER, "{reply}");
    let data = &reply["error"]["data"];
    (data["limit"].as_str().unwrap().to_owned(), data["retry_after_ms"].as_u64().unwrap())
}

/// Before a scripted node on which `slow` never ends, nor do waits, and `echo` and the rest answer at once.
async fn limited(limits: &[&str]) -> (FakeNode, Gateway, String) {
    let node = FakeNode::start().await;
    for method in ["slow", "waitanyinvoice", "waitinvoice", "pay"] {
        node.on(method, Answer::Never);
    }
    node.otherwise(Answer::Echo);
    let setup = limits.iter().fold(Setup::fake(&node), |setup, limit| setup.arg("--limit").arg(*limit));
    let (gateway, rune) = Gateway::with_rune(setup).await;
    (node, gateway, rune)
}

/// Calls until one is refused: how many were answered, and that refusal.
async fn until_refused(client: &mut Client, method: &str, rune: &str) -> (usize, Value) {
    for answered in 0..1000 {
        let reply = client.call(method, json!({}), rune).await;
        if reply.get("error").is_some() {
            return (answered, reply);
        }
    }
    panic!("never refused");
}

#[tokio::test]
async fn calls_a_second() {
    for (limit, method, beside) in [
        ("calls_per_second_per_connection=2", "getinfo", "the same rune on another connection"),
        ("calls_per_second_per_rune=2", "getinfo", "another rune"),
        ("calls_per_second_per_class.private=2", "listfunds", "another class"),
        ("calls_per_second_per_class.other=2", "nobodyknows", "another class"),
    ] {
        // What asks for the rune until it is known counts as well.
        let (_node, gateway, rune) = limited(&[limit]).await;
        let name = limit.split_once('=').unwrap().0;
        let other = if name.ends_with("rune") { gateway.rune(&[]).await } else { rune.clone() };
        let (mut client, mut neighbour) = (Client::connect(&gateway).await, Client::connect(&gateway).await);
        let (answered, refusal) = until_refused(&mut client, method, &rune).await;
        assert!((1..100).contains(&answered), "{limit}: {answered}");
        let (over_what, wait) = over(&refusal);
        assert_eq!(over_what, name);
        assert!((1..=500).contains(&wait), "{limit}: {wait}");
        neighbour.result("getinfo", json!({}), &other).await;
        eventually(beside, async || {
            tokio::time::sleep(Duration::from_millis(wait)).await;
            client.call(method, json!({}), &rune).await.get("result").is_some()
        })
        .await;
    }
}

#[tokio::test]
async fn calls_under_way() {
    for (limit, method, other_method) in [
        ("calls_per_rune=3", "slow", "getinfo"),
        ("calls_per_class.spend=3", "pay", "getinfo"),
        ("waits_per_rune=3", "waitanyinvoice", "getinfo"),
        ("waits_per_connection=3", "waitanyinvoice", "getinfo"),
    ] {
        let (node, gateway, rune) = limited(&[limit]).await;
        let name = limit.split_once('=').unwrap().0;
        let other = gateway.rune(&[]).await;
        let (mut first, mut second) = (Client::connect(&gateway).await, Client::connect(&gateway).await);
        for id in 0..3 {
            first.request(id, get(id, method, &rune)).await;
        }
        eventually("three run", async || node.calls(method) == 3).await;
        // All connections share the limits of a rune and of a class.
        let asking = if name.ends_with("connection") { &mut first } else { &mut second };
        let (over_what, wait) = over(&asking.call(method, json!({}), &rune).await);
        assert_eq!((over_what.as_str(), wait), (name, 1000));
        assert_eq!(node.calls(method), 3, "what is refused does not run");
        let (allowed, beside) =
            if name == "calls_per_rune" { (&other, "another rune") } else { (&rune, "another kind") };
        assert!(
            second.call(other_method, json!({}), allowed).await.get("result").is_some(),
            "{limit}: {beside}"
        );
        drop(first);
        let mut third = Client::connect(&gateway).await;
        eventually("room again", async || {
            third.request(9, get(9, method, &rune)).await;
            third.ping(0).await;
            third.pong().await;
            node.calls(method) > 3
        })
        .await;
    }
}

/// What waits for an event takes no room of what does not: neither on a connection, nor under a rune, nor at the node.
#[tokio::test]
async fn long_polls_never_starve_short_calls() {
    let (node, gateway, rune) =
        limited(&["calls_per_connection=2", "calls_per_rune=2", "calls_at_the_node=1"]).await;
    let mut client = Client::connect(&gateway).await;
    for id in 0..600 {
        client.request(id, get(id, if id % 2 == 0 { "waitanyinvoice" } else { "waitinvoice" }, &rune)).await;
    }
    for _ in 0..50 {
        client.result("getinfo", json!({}), &rune).await;
    }
    client.ping(5).await;
    assert_eq!(client.pong().await, 5);
    let under_way = || node.calls("waitanyinvoice") + node.calls("waitinvoice");
    eventually("as many as may run", async || under_way() == 64).await;
    let mut refused = 0;
    while client.unclaimed() > 0 || refused < 600 - 64 {
        let reply = client.next_reply().await.unwrap().json();
        assert_eq!(over(&reply), ("waits_per_connection".to_owned(), 1000));
        refused += 1;
    }
    // Over many connections the rune's own share is the end of it.
    let mut clients = Vec::new();
    for _ in 0..5 {
        let mut client = Client::connect(&gateway).await;
        for id in 0..64 {
            client.request(id, get(id, "waitanyinvoice", &rune)).await;
        }
        clients.push(client);
    }
    eventually("as many as the rune may", async || under_way() == 256).await;
    let mut late = Client::connect(&gateway).await;
    assert_eq!(over(&late.call("waitanyinvoice", json!({}), &rune).await).0, "waits_per_rune");
    client.result("getinfo", json!({}), &rune).await;
    let other = gateway.rune(&[]).await;
    late.request(1000, get(1, "waitinvoice", &other)).await;
    eventually("another rune's waits run", async || under_way() == 257).await;
}

/// What may be under way at the node: what is over it waits, and calls of the other kind do not.
#[tokio::test]
async fn calls_at_the_node_wait_for_each_other() {
    let (node, gateway, rune) = limited(&["calls_at_the_node=1", "waits_at_the_node=1"]).await;
    let mut client = Client::connect(&gateway).await;
    client.request(1, get(1, "waitanyinvoice", &rune)).await;
    client.request(2, get(2, "waitanyinvoice", &rune)).await;
    client.result("getinfo", json!({}), &rune).await;
    client.request(3, get(3, "slow", &rune)).await;
    eventually("both run", async || node.calls("slow") + node.calls("waitanyinvoice") == 2).await;
    client.request(4, get(4, "getinfo", &rune)).await;
    for _ in 0..2 {
        let reply = client.next_reply().await.unwrap();
        let limit = if reply.id == 4 { "calls_at_the_node" } else { "waits_at_the_node" };
        assert_eq!(over(&reply.json()).0, limit);
    }
}

#[tokio::test]
async fn requests_that_wait_or_have_begun() {
    let (_node, gateway, rune) = limited(&[
        "calls_per_connection=1",
        "requests_waiting_per_connection=2",
        "requests_begun_per_connection=2",
        "request_memory_per_address=100000",
    ])
    .await;
    let (mut client, mut neighbour) = (Client::connect(&gateway).await, Client::connect(&gateway).await);
    for id in 0..4 {
        client.request(id, get(id, "slow", &rune)).await;
    }
    let (limit, wait) = over(&client.reply(3).await.json());
    assert_eq!((limit.as_str(), wait), ("requests_waiting_per_connection", 1000));
    neighbour.result("getinfo", json!({}), &rune).await;

    let mut client = Client::connect(&gateway).await;
    for id in 0..3 {
        client.part(id, b"{", false).await;
    }
    client.part(2, b"}", true).await;
    assert_eq!(over(&client.reply(2).await.json()).0, "requests_begun_per_connection");
    client.part(1, b"}", true).await;
    assert_eq!(client.reply(1).await.code(), Some(19536), "what was begun before goes on");

    let mut client = Client::connect(&gateway).await;
    let long = request(&json!(1), "echo", &json!(["x".repeat(300_000)]), &rune);
    client.request(1, &long).await;
    assert_eq!(over(&client.reply(1).await.json()).0, "request_memory_per_address");
    client.result("getinfo", json!({}), &rune).await;
    neighbour.result("getinfo", json!({}), &rune).await;
}

/// Those that wait for the node hold memory like those that come in, until they are answered or their connection is gone.
#[tokio::test]
async fn requests_under_way_hold_their_memory() {
    let (node, gateway, rune) = limited(&["request_memory_per_address=1000000"]).await;
    node.on("hangs", Answer::Never);
    let (mut client, mut neighbour) = (Client::connect(&gateway).await, Client::connect(&gateway).await);
    let long = |method| request(&json!(1), method, &json!(["x".repeat(400_000)]), &rune);
    for id in [1, 2] {
        client.request(id, long("hangs")).await;
    }
    eventually("both are under way", async || node.calls("hangs") == 2).await;
    for who in [&mut client, &mut neighbour] {
        who.request(3, long("echo")).await;
        assert_eq!(over(&who.reply(3).await.json()).0, "request_memory_per_address");
        who.result("getinfo", json!({}), &rune).await;
    }
    drop(client);
    eventually("there is room again", async || {
        neighbour.request(4, long("echo")).await;
        neighbour.reply(4).await.code().is_none()
    })
    .await;
}

/// Pings, whatever they ask for, are answered no faster than may be; nobody else waits for that, nor do calls of a
/// connection that has asked for few.
#[tokio::test]
async fn a_ping_flood() {
    let (_node, gateway, rune) = limited(&["messages_per_second_per_connection=20"]).await;
    for (size, pings) in [(0, 100), (65_531, 3), (1, 100)] {
        let (mut flood, mut neighbour) = (Client::connect(&gateway).await, Client::connect(&gateway).await);
        let begun = Instant::now();
        let flooding = async {
            for _ in 0..pings {
                flood.ping(size).await;
            }
            for _ in 0..pings {
                assert_eq!(flood.pong().await, usize::from(size));
            }
            begun.elapsed()
        };
        let beside = async {
            for _ in 0..20 {
                neighbour.result("getinfo", json!({}), &rune).await;
                neighbour.ping(1).await;
                neighbour.pong().await;
            }
            begun.elapsed()
        };
        let (flooding, beside) = tokio::join!(flooding, beside);
        // 80 at once; then 20 in a second, or five seconds for two large ones.
        assert!(flooding > Duration::from_millis(700), "{size}: {flooding:?}");
        assert!(beside < flooding, "{size}: {beside:?} beside {flooding:?}");
        flood.result("getinfo", json!({}), &rune).await;
    }
}

/// Whoever has shown no good rune is heard no faster than whoever pings.
#[tokio::test]
async fn strangers_are_heard_slowly() {
    let (_node, gateway, rune) = limited(&["messages_per_second_per_connection=1"]).await;
    let mut stranger = Client::connect(&gateway).await;
    let begun = Instant::now();
    for id in 0..6 {
        stranger.request(id, get(id, "getinfo", "AAAA")).await;
    }
    for id in 0..6 {
        assert!(stranger.reply(id).await.code().is_some());
    }
    assert!(begun.elapsed() > Duration::from_millis(700), "{:?}", begun.elapsed());
    let mut known = Client::connect(&gateway).await;
    let begun = Instant::now();
    for _ in 0..200 {
        known.result("getinfo", json!({}), &rune).await;
    }
    assert!(begun.elapsed() < Duration::from_secs(150), "as a stranger it would take 196 s");
}
