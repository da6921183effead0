//! Presets: what each allows is what the table says, command by command, and never more.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeMap;

use runeward_policy::{Condition, Rune};
use runeward_tests::{Answer, Client, FakeNode, Gateway, Setup, client, recorded};
use serde::Deserialize;
use serde_json::{Value, json};

const PRESETS: [&str; 6] = ["readonly", "watch", "receive", "pay", "public", "admin"];

/// `conformance/presets.json`.
#[derive(Deserialize)]
struct Golden {
    limits: BTreeMap<String, Vec<String>>,
    allowed: BTreeMap<String, Vec<String>>,
}

async fn mint(setup: &Setup, preset: &str) -> String {
    setup.rune(&["create", "--preset", preset, "--expires", "30d"]).await.line().to_owned()
}

/// Every name × every preset.
#[tokio::test]
async fn each_preset_allows_what_the_table_says_and_nothing_else() {
    let golden: Golden = recorded::read("presets.json");
    let setup = Setup::demo();
    let (mut lines, mut expected) = (String::new(), Vec::new());
    let peer = client::identity().node_id().to_string();
    for preset in PRESETS {
        let rune = mint(&setup, preset).await;
        for (method, allowed) in &golden.allowed {
            lines += &format!("{}\n", json!({"rune": rune, "method": method, "peer": peer}));
            expected.push((preset, method, allowed.iter().any(|name| name == preset)));
        }
    }
    assert!(expected.len() > 1_500);
    let state_dir = setup.state().display().to_string();
    let args = ["rune", "check", "--batch", "--state-dir", &state_dir];
    let checked = setup.cli_with(&args, Some(&lines), &[]).await;
    assert_eq!(checked.stdout.lines().count(), expected.len(), "{}", checked.stderr);
    for (line, (preset, method, allowed)) in checked.stdout.lines().zip(expected) {
        let answer: Value = serde_json::from_str(line).unwrap();
        assert_eq!(answer["allowed"], json!(allowed), "{preset}: {method}");
    }
}

/// What stands in a rune behind its commands.
#[tokio::test]
async fn each_preset_allows_as_much_as_the_table_says() {
    let golden: Golden = recorded::read("presets.json");
    let setup = Setup::demo();
    for preset in PRESETS {
        let rune = Rune::decode(&mint(&setup, preset).await).unwrap();
        let mut restrictions: Vec<_> = rune.restrictions().map(|it| it.as_str().to_owned()).collect();
        assert!(restrictions.pop().unwrap().starts_with("time<"));
        if preset != "admin" {
            assert!(restrictions.remove(0).starts_with("method="));
        }
        assert_eq!(restrictions, golden.limits[preset], "{preset}");
    }
}

/// Commands that run others, change settings, or only look like ones that are allowed: over the wire,
/// and none reaches the node.
#[tokio::test]
async fn no_preset_lets_a_command_in_by_another_door() {
    let node = FakeNode::start().await;
    node.otherwise(Answer::Echo);
    let gateway = Gateway::start(Setup::fake(&node)).await;
    let mut client = Client::connect(&gateway).await;
    let doors = [
        ("sql", json!({"query": "SELECT * FROM peers"})),
        ("check", json!({"command_to_check": "pay"})),
        ("commando", json!({"peer_id": "02", "method": "getinfo"})),
        ("batching", json!({"enable": true})),
        ("plugin", json!({"subcommand": "start", "plugin": "x"})),
        ("setconfig", json!({"config": "min-capacity-sat", "val": "1"})),
        ("reckless", json!({})),
        ("dev", json!({})),
        ("dev-memdump", json!({})),
        ("createrune", json!({})),
        ("runeward-grants", json!({})),
        ("runeward-revoke", json!({"ids": [1]})),
        ("getinfos", json!({})),
        ("getinf", json!({})),
        ("listsecrets", json!({})),
    ];
    for preset in &PRESETS[..5] {
        let rune = mint(gateway.setup(), preset).await;
        client.result("getinfo", json!({}), &rune).await;
        for (method, params) in &doors {
            let reply = client.call(method, params.clone(), &rune).await;
            assert_eq!(reply["error"]["code"], 19537, "{preset}: {method}: {reply}");
        }
    }
    for (method, _) in doors {
        assert_eq!(node.calls(method), 0, "{method}");
    }
}

/// `readonly` and `watch` say no more than `method=` so that whoever checks runes understands them.
#[tokio::test]
async fn what_only_looks_is_written_in_plain_methods() {
    let setup = Setup::demo();
    for preset in ["readonly", "watch"] {
        let made = setup.rune(&["create", "--preset", preset]).await;
        let rune = Rune::decode(made.line()).unwrap();
        assert_eq!(rune.restrictions().count(), 1);
        let mut alternatives = rune.restrictions().flat_map(|restriction| restriction.alternatives());
        assert!(alternatives.all(|it| it.field() == "method" && it.condition() == Condition::Equal));
    }
}

#[tokio::test]
async fn minting_says_what_is_risky_and_nothing_of_what_is_not() {
    let setup = Setup::demo();
    for (preset, words) in [
        ("readonly", &[][..]),
        ("public", &[]),
        ("watch", &["see balances"]),
        ("receive", &["fill the node's disk", "see balances"]),
        ("pay", &["spend the node's money: pay", "fill the node's disk", "see balances"]),
        ("admin", &["spend everything"]),
    ] {
        let made = setup.rune(&["create", "--preset", preset, "--expires", "1h"]).await;
        made.line();
        // An end is a restriction: `admin` with one is told class by class.
        let words =
            if preset == "admin" { &["make runes", "spend", "read keys", "remove"][..] } else { words };
        for word in words {
            assert!(made.stderr.contains(word), "{preset}: {}", made.stderr);
        }
        assert_eq!(made.stderr.is_empty(), words.is_empty(), "{preset}: {}", made.stderr);
    }
    let endless = setup.rune(&["create", "--preset", "pay"]).await;
    endless.assert_refused(2, &["--expires 30d"]);
}

#[tokio::test]
async fn a_preset_is_shown_by_its_name() {
    let setup = Setup::demo();
    for (preset, count, limit) in [
        ("readonly", 15, ""),
        ("watch", 50, ""),
        ("receive", 10, "- At most 1,000 new records a day."),
        ("pay", 16, "- At most 1,000 new records a day.\n- At most 600 commands an hour."),
        ("public", 2, "- At most 60 commands an hour for each device."),
    ] {
        let rune = mint(&setup, preset).await;
        let shown = setup.cli(&["rune", "show", &rune]).await.stdout;
        let words = format!("- Only the {count} commands of the preset {preset}: they ");
        assert!(shown.contains(&words), "{shown}");
        assert!(shown.contains(limit), "{shown}");
        assert!(shown.contains("- Until "), "{shown}");
    }
}

/// A command the node has that is in no table is in no preset, and the log says so.
#[tokio::test]
async fn commands_that_are_new_are_told_of_and_in_no_preset() {
    let node = FakeNode::start().await;
    let help =
        json!({"help": [{"command": "getinfo"}, {"command": "getbrandnew [a]"}, {"command": "pay x"}]});
    node.on("help", Answer::result(help));
    let gateway = Gateway::start(Setup::fake(&node)).await;
    let log = gateway.log();
    let line = log.lines().find(|line| line.contains("getbrandnew")).expect("a line of the log");
    assert!(!line.contains("getinfo") && !line.contains("pay"), "{line}");
    let mut client = Client::connect(&gateway).await;
    for preset in &PRESETS[..5] {
        let rune = mint(gateway.setup(), preset).await;
        let reply = client.call("getbrandnew", json!({}), &rune).await;
        assert_eq!(reply["error"]["code"], 19537, "{preset}: {reply}");
    }
}
