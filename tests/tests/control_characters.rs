//! Characters that end lines, move the cursor or turn text about: what strangers send of them reaches no log and no
//! terminal as it is, and an event in the log stays one line.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::process::Stdio;

use runeward_tests::client::{EMPTY_INIT, identity, tcp};
use runeward_tests::{Answer, Client, FakeNode, Gateway, Setup, http, runes, within};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};

const ACTING: [char; 16] = [
    '\n', '\r', '\x1b', '\0', '\x07', '\x08', '\x7f', '\u{85}', '\u{9b}', '\u{61c}', '\u{200f}', '\u{2028}',
    '\u{2029}', '\u{202e}', '\u{2066}', '\u{2069}',
];

/// All of them, and what could pass for a line of the log.
fn evil() -> String {
    let acting: String = ACTING.iter().collect();
    format!("evil{acting}[2J\n2026-11-21T00:00:00.000000Z  INFO forged\n{{\"level\":\"INFO\"}}")
}

fn without_breaks() -> String {
    evil().replace(['\n', '\r', '\0'], "")
}

fn assert_tame(what: &str, text: &str) {
    for line in text.split('\n') {
        let acting = line.chars().find(|c| ACTING.contains(c));
        assert_eq!(acting, None, "{what}: {line:?}");
        assert!(
            !line.starts_with("2026-11-21T00:00:00.000000Z") && !line.starts_with("{\"level\":\"INFO\"}"),
            "{line}"
        );
    }
}

/// Everything a peer can say before and after the handshake.
async fn say_all(gateway: &Gateway, rune: &str) {
    let evil = evil();
    let mut client = Client::connect(gateway).await;
    client.call(&evil, json!({}), rune).await;
    for params in [json!({"label": evil}), json!({ &evil: evil }), json!([evil]), json!(evil)] {
        for method in
            ["echo", "fails", "invoice", "createrune", "runeward-pair", "runeward-grants", "runeward-revoke"]
        {
            client.call(method, params.clone(), rune).await;
        }
    }
    for params in
        [json!({"name": evil}), json!({"ids": [evil]}), json!({"id": evil}), json!({"offer_id": evil})]
    {
        for method in
            ["runeward-offer", "runeward-pair", "runeward-revoke", "runeward-grants", "runeward-waitoffer"]
        {
            client.call(method, params.clone(), rune).await;
        }
    }
    let offer = client.result("runeward-offer", json!({"restrictions": [["method=echo"]]}), rune).await;
    let offered = offer["uri"].as_str().unwrap().split_once("&rune=").unwrap().1.to_owned();
    let refused = client.call("runeward-pair", json!({"name": evil}), &offered).await;
    assert!(refused.get("error").is_some(), "{refused}");
    for bad in [
        evil.clone(),
        format!("{rune}{evil}"),
        runes::narrow(rune, &format!("pnamelabel={}", without_breaks())),
    ] {
        client.call("echo", json!({"label": 1}), &bad).await;
    }
    client.ask(format!("{{\"method\":\"echo\",\"id\":\"{}\",\"rune\":\"{rune}\"}}", without_breaks())).await;
    client.ask(&evil).await;
    // A warning, then an error: texts that are only for us.
    for kind in [1u16, 17] {
        let text = evil.as_bytes();
        let length = u16::try_from(text.len()).unwrap().to_be_bytes();
        client.try_send(&[&kind.to_be_bytes()[..], &[0; 32], &length, text].concat()).await;
    }
    let mut client = Client::handshake(gateway, &identity()).await;
    let features = evil.as_bytes();
    let length = u16::try_from(features.len()).unwrap().to_be_bytes();
    client.try_send(&[&[0, 16, 0, 0][..], &length, features].concat()).await;
    client.try_send(&[&EMPTY_INIT[..], features].concat()).await;

    for head in [
        format!("GET /{evil} HTTP/1.1\r\nHost: x\r\n\r\n"),
        format!("{evil} / HTTP/1.1\r\n\r\n"),
        format!("GET /%0a%1b HTTP/1.1\r\nHost: {}\r\n\r\n", without_breaks()),
        format!("GET / HTTP/1.1\r\nHost: x\r\nOrigin: {}\r\nUser-Agent: {evil}\r\n\r\n", without_breaks()),
        format!(
            "GET /{} HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: {}\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: {}\r\n\r\n",
            "\u{202e}",
            http::SAMPLE_KEY,
            without_breaks().replace(['\x1b', '\x07', '\x08', '\x7f'], "")
        ),
        format!("PROXY TCP4 {evil} {evil} 1 2\r\n"),
    ] {
        let mut stream = tcp(gateway.address()).await;
        let _ = stream.write_all(head.as_bytes()).await;
        let _ = stream.shutdown().await;
        let _ = within("an answer, or the end", stream.read_to_end(&mut Vec::new())).await;
    }
}

async fn the_log_stays_in_line(format: &str) {
    let node = FakeNode::start().await;
    // A node is trusted, but the names of its commands may be a plugin's.
    node.on("help", Answer::result(json!({"help": [{"command": format!("{} [label]", without_breaks())}]})));
    node.on("echo", Answer::Echo);
    node.on("fails", Answer::Error(-1, evil()));
    let setup = Setup::fake(&node).env("RUST_LOG", "trace").arg("--log").arg(format);
    let (mut gateway, rune) = Gateway::with_rune(setup).await;
    say_all(&gateway, &rune).await;
    gateway.terminate().await;
    gateway.exited().await;
    let log = gateway.log();
    assert!(log.contains("evil"), "the node's command is told of: {log}");
    assert_tame("the log", &log);
    for line in log.lines() {
        match format {
            "json" => assert!(serde_json::from_str::<Value>(line).is_ok(), "{line}"),
            _ => assert!(line.starts_with("20") && line.contains("Z "), "{line}"),
        }
    }
    let audit = setup_audit(&gateway).await;
    assert_tame("the audit log", &audit);
}

async fn setup_audit(gateway: &Gateway) -> String {
    let state = gateway.setup().state().display().to_string();
    let told = gateway.cli(&["audit", "--state-dir", &state, "--limit", "1000"]).await;
    let lines = gateway.cli(&["audit", "--state-dir", &state, "--limit", "1000", "--json"]).await;
    assert!(told.stdout.lines().count() > 30 && lines.stdout.lines().count() > 30, "{told:?}");
    told.stdout + &lines.stdout
}

#[tokio::test]
async fn a_log_for_people_stays_in_line() {
    the_log_stays_in_line("pretty").await;
}

#[tokio::test]
async fn a_log_for_programs_stays_in_line() {
    the_log_stays_in_line("json").await;
}

/// What a proxy that is trusted says of others.
#[tokio::test]
async fn a_proxys_header_stays_in_line() {
    let setup = Setup::demo().env("RUST_LOG", "trace").arg("--proxy-protocol-from").arg("127.0.0.1");
    let gateway = Gateway::start(setup).await;
    let unknown = format!("PROXY UNKNOWN {}\r\n", without_breaks());
    for header in [format!("PROXY TCP4 {} 1.2.3.4 1 2\r\n", evil()), unknown[..100].to_owned(), evil()] {
        let mut stream = tcp(gateway.address()).await;
        stream.write_all(header.as_bytes()).await.unwrap();
        let _ = stream.shutdown().await;
        let _ = within("the end", stream.read_to_end(&mut Vec::new())).await;
    }
    let log = gateway.log();
    assert!(log.contains("connection of a proxy refused"), "{log}");
    assert_tame("the log", &log);
}

#[tokio::test]
async fn the_command_line_shows_what_strangers_wrote_escaped() {
    let (gateway, rune) = Gateway::demo().await;
    let setup = gateway.setup();
    let text = without_breaks();
    let restriction = format!("pnamelabel={text}");
    let created = setup.rune(&["create", "--name", "narrow", "--restrict", &restriction]).await;
    assert_eq!(created.code, 0, "{created:?}");
    let evil_rune = runes::narrow(&rune, &format!("pnamelabel={text}|pnamelabel^{text}"));
    let uri = gateway.uri_with(&rune);
    let mut outputs = vec![created];
    for args in [vec!["list"], vec!["create", "--name", &text], vec!["revoke", &text]] {
        outputs.push(setup.rune(&args).await);
    }
    for args in [
        vec!["rune", "show", &evil_rune],
        vec!["rune", "restrict", &rune, "--restrict", &restriction],
        vec!["rune", "show", &text],
        vec!["call", &uri, &text],
        vec!["call", &uri, "invoice", &text],
        vec!["call", &text, "getinfo"],
        vec!["serve", "--limit", &text],
        vec!["serve", "--proxy-protocol-from", &text],
        vec![&text],
    ] {
        outputs.push(setup.cli(&args).await);
    }
    let state = setup.state().display().to_string();
    for method in ["invoice", &text] {
        let args = [
            "rune",
            "check",
            &evil_rune,
            "--method",
            method,
            "--params",
            r#"{"label":"x"}"#,
            "--state-dir",
            &state,
        ];
        outputs.push(setup.cli(&args).await);
    }
    for output in &outputs {
        assert_tame("stdout", &output.stdout);
        assert_tame("stderr", &output.stderr);
    }

    let mut pairing = setup
        .command()
        .args(["pair", "--state-dir", &state, "--restrict", &restriction])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(pairing.stdout.take().unwrap()).lines();
    let uri = within("the offer", lines.next_line()).await.unwrap().unwrap();
    let offered = uri.split_once("&rune=").unwrap().1.split('&').next().unwrap().to_owned();
    let mut device = Client::connect(&gateway).await;
    let refused = device.call("runeward-pair", json!({"name": evil()}), &offered).await;
    assert!(refused.get("error").is_some(), "{refused}");
    device.result("runeward-pair", json!({"name": "phone"}), &offered).await;
    pairing.stdin.take().unwrap().write_all(b"\n").await.unwrap();
    let mut screen = String::new();
    let mut stderr = pairing.stderr.take().unwrap();
    within("the end", stderr.read_to_string(&mut screen)).await.unwrap();
    assert!(screen.contains("Paired: phone") && screen.contains("evil"), "{screen}");
    // The colours of the QR code are our own.
    let words: Vec<&str> = screen.lines().filter(|line| !line.starts_with("\x1b[38;5;")).collect();
    assert_tame("the screen", &words.join("\n"));
}
