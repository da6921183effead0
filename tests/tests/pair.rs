//! `runeward pair` and `runeward call --pair`: the two ends of a pairing, as people and scripts meet them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::process::Stdio;

use runeward_policy::Rune;
use runeward_tests::client::identity;
use runeward_tests::{CliOutput, Client, Gateway, Setup, eventually, runes, within};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command};

/// `runeward pair`, with its owner at the keyboard.
struct Pairing {
    child: Child,
    keyboard: Option<ChildStdin>,
    out: Lines<BufReader<ChildStdout>>,
    err: ChildStderr,
    /// What it has said on stderr so far.
    said: Vec<u8>,
}

impl Pairing {
    fn start(setup: &Setup, args: &[&str]) -> Self {
        let mut child = setup
            .command()
            .args(["pair", "--state-dir"])
            .arg(setup.state())
            .args(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let keyboard = child.stdin.take();
        let out = BufReader::new(child.stdout.take().unwrap()).lines();
        let err = child.stderr.take().unwrap();
        Self { child, keyboard, out, err, said: Vec::new() }
    }

    async fn line(&mut self) -> String {
        within("a line on stdout", self.out.next_line())
            .await
            .unwrap()
            .expect("a line on stdout, not its end")
    }

    async fn json(&mut self) -> Value {
        let line = self.line().await;
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"))
    }

    /// Waits until it says this on stderr.
    async fn says(&mut self, phrase: &str) {
        within(phrase, async {
            while !String::from_utf8_lossy(&self.said).contains(phrase) {
                assert_ne!(self.err.read_buf(&mut self.said).await.unwrap(), 0, "it ended");
            }
        })
        .await;
    }

    async fn types(&mut self, text: &str) {
        self.keyboard.as_mut().unwrap().write_all(text.as_bytes()).await.unwrap();
    }

    async fn interrupt(&self) {
        let kill = format!("kill -INT {}", self.child.id().unwrap());
        assert!(Command::new("sh").args(["-c", &kill]).status().await.unwrap().success());
    }

    /// How it ended: what was on stdout and not read, and all of stderr.
    async fn end(mut self) -> CliOutput {
        within("it ends", self.err.read_to_end(&mut self.said)).await.unwrap();
        let (mut stdout, stderr) = (String::new(), String::from_utf8(self.said).unwrap());
        while let Some(line) = self.out.next_line().await.unwrap() {
            stdout.push_str(&line);
            stdout.push('\n');
        }
        let code = self.child.wait().await.unwrap().code().unwrap_or(-1);
        CliOutput { code, stdout, stderr }
    }
}

/// The device's side: claims with the key in this file.
async fn claim(gateway: &Gateway, uri: &str, key: &str) -> CliOutput {
    let key = gateway.setup().path(key).display().to_string();
    gateway.cli(&["call", "--pair", uri, "--key", &key, "--name", "kitchen phone"]).await
}

async fn call(gateway: &Gateway, rune: &str, key: &str) -> CliOutput {
    let key = gateway.setup().path(key).display().to_string();
    gateway.cli(&["call", &gateway.uri_with(rune), "getinfo", "--key", &key]).await
}

/// What a camera reads off the screen.
fn scanned(screen: &str) -> String {
    let rows: Vec<Vec<(bool, bool)>> = screen
        .lines()
        .filter_map(|line| line.strip_prefix("\u{1b}[38;5;16;48;5;231m")?.strip_suffix("\u{1b}[0m"))
        .map(|line| {
            let dark = |half: char| match half {
                ' ' => (false, false),
                '▀' => (true, false),
                '▄' => (false, true),
                '█' => (true, true),
                other => panic!("{other:?} in the QR code"),
            };
            line.chars().map(dark).collect()
        })
        .collect();
    assert!(!rows.is_empty() && rows.iter().all(|row| row.len() == rows[0].len()), "{screen}");
    const SCALE: usize = 4;
    let (width, height) = (rows[0].len() * SCALE, rows.len() * 2 * SCALE);
    let mut image = rqrr::PreparedImage::prepare_from_greyscale(width, height, |x, y| {
        let (upper, lower) = rows[y / SCALE / 2][x / SCALE];
        let dark = if (y / SCALE).is_multiple_of(2) { upper } else { lower };
        if dark { 0 } else { 255 }
    });
    let grids = image.detect_grids();
    assert_eq!(grids.len(), 1, "one QR code on the screen");
    grids[0].decode().unwrap().1
}

#[tokio::test]
async fn a_device_is_paired_at_the_terminal() {
    let (gateway, _) = Gateway::demo().await;
    let mut pairing = Pairing::start(gateway.setup(), &["--restrict", "method=getinfo"]);
    // A link, which is taken like the connection string in it.
    let uri = pairing.line().await;
    assert!(uri.starts_with(&format!("http://{}/#pair=commando+ws://", gateway.address())), "{uri}");
    let claimed = claim(&gateway, &uri, "phone").await;
    let rune = claimed.line();
    assert!(claimed.stderr.contains("Paired as kitchen phone"), "{claimed:?}");
    assert_eq!(call(&gateway, rune, "phone").await.code, 0);
    call(&gateway, rune, "another").await.assert_refused(1, &["19537", "id is not equal to"]);
    // The connection lost, it asks again.
    assert_eq!(claim(&gateway, &uri, "phone").await.line(), rune);

    // What is typed before it asks is no answer.
    pairing.says("Paired: ").await;
    pairing.types("\n").await;
    let end = pairing.end().await;
    assert_eq!((end.code, end.stdout.as_str()), (0, ""), "{end:?}");
    assert_eq!(scanned(&end.stderr), uri, "the QR code says what stands below it");
    let key = Rune::decode(rune).unwrap();
    for phrase in [
        "- Only the command getinfo.",
        "a phone cannot reach 127.0.0.1",
        "--advertise",
        "Good for ",
        "Paired: kitchen phone",
        key.bound_peer().unwrap(),
        "Kept.",
    ] {
        assert!(end.stderr.contains(phrase), "no `{phrase}` in {}", end.stderr);
    }
    // Both screens show the same words.
    let words = claimed.stderr.split_once("words are: ").unwrap().1.split('.').next().unwrap();
    assert_eq!(words.split(' ').count(), 3);
    assert!(end.stderr.contains(words), "{words}: {}", end.stderr);
    assert_eq!(call(&gateway, rune, "phone").await.code, 0, "it was kept");
    let list = gateway.setup().rune(&["list"]).await;
    assert!(list.stdout.contains("kitchen phone"), "{list:?}");
}

#[tokio::test]
async fn a_stranger_is_revoked_at_once() {
    let (gateway, _) = Gateway::demo().await;
    let mut pairing = Pairing::start(gateway.setup(), &["--json"]);
    let uri = pairing.json().await["uri"].as_str().unwrap().to_owned();
    let rune = claim(&gateway, &uri, "stranger").await.line().to_owned();
    assert_eq!(call(&gateway, &rune, "stranger").await.code, 0);
    assert_eq!(pairing.json().await["status"], "claimed");
    pairing.types("what?\nr\n").await;
    assert_eq!(pairing.json().await, json!({"status": "revoked", "unique_id": runes::unique_id(&rune)}));
    assert_eq!(pairing.end().await.code, 1);
    eventually("the rune is dead", async || call(&gateway, &rune, "stranger").await.code == 1).await;
    claim(&gateway, &uri, "stranger").await.assert_refused(1, &["19537", "Blacklisted"]);
}

#[tokio::test]
async fn a_second_device_raises_an_alert() {
    let (gateway, _) = Gateway::demo().await;
    let mut pairing = Pairing::start(gateway.setup(), &[]);
    let uri = pairing.line().await;
    let mut watched = Pairing::start(gateway.setup(), &["--json"]);
    let watched_uri = watched.json().await["uri"].as_str().unwrap().to_owned();
    for uri in [&uri, &watched_uri] {
        claim(&gateway, uri, "phone").await.line();
        claim(&gateway, uri, "thief").await.assert_refused(1, &["19537", "claimed by another device"]);
    }
    let first = watched.json().await;
    let second = if first["used_twice"] == true { first } else { watched.json().await };
    assert_eq!((&second["used_twice"], &second["refused"]), (&json!(true), &json!(1)));
    watched.types("\n").await;
    assert_eq!(watched.end().await.code, 0);
    // The alert is on the screen before the owner is asked for the last time.
    drop(pairing.keyboard.take());
    let end = pairing.end().await;
    assert_eq!(end.code, 0);
    assert!(end.stderr.contains("ALERT: this QR was used twice"), "{}", end.stderr);
}

#[tokio::test]
async fn an_offer_is_taken_back_by_an_interrupt() {
    let (gateway, _) = Gateway::demo().await;
    let mut pairing = Pairing::start(gateway.setup(), &["--json"]);
    let uri = pairing.json().await["uri"].as_str().unwrap().to_owned();
    pairing.interrupt().await;
    assert_eq!(pairing.json().await["status"], "cancelled");
    let end = pairing.end().await;
    assert_eq!(end.code, 1, "{end:?}");
    claim(&gateway, &uri, "phone").await.assert_refused(1, &["19537", "Blacklisted"]);
    // Once a device has it, to leave is to keep it.
    let mut pairing = Pairing::start(gateway.setup(), &["--json"]);
    let uri = pairing.json().await["uri"].as_str().unwrap().to_owned();
    let rune = claim(&gateway, &uri, "phone").await.line().to_owned();
    assert_eq!(pairing.json().await["status"], "claimed");
    pairing.interrupt().await;
    assert_eq!(pairing.end().await.code, 0);
    assert_eq!(call(&gateway, &rune, "phone").await.code, 0);
}

#[tokio::test]
async fn how_a_pairing_ends_for_a_script() {
    let (gateway, _) = Gateway::demo().await;
    let state = gateway.setup().state().display().to_string();
    // With nothing on stdin it ends as soon as there is something to tell.
    let unclaimed = gateway.cli(&["pair", "--for", "1s", "--json", "--state-dir", &state]).await;
    assert_eq!(unclaimed.code, 1, "{unclaimed:?}");
    let lines: Vec<Value> =
        unclaimed.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((lines.len(), &lines[1]["status"]), (2, &json!("expired")));
    assert_eq!(lines[0]["offer_id"], lines[1]["offer_id"]);
    let mut claimed = Pairing::start(gateway.setup(), &["--json", "--name", "till", "--expires", "1h"]);
    drop(claimed.keyboard.take());
    let uri = claimed.json().await["uri"].as_str().unwrap().to_owned();
    let rune = claim(&gateway, &uri, "phone").await.line().to_owned();
    let told = claimed.json().await;
    assert_eq!((&told["status"], &told["name"]), (&json!("claimed"), &json!("till")));
    assert_eq!(told["unique_id"], runes::unique_id(&rune));
    assert!(told["expires_at"].is_u64() && told["fingerprint"].is_string(), "{told}");
    assert!(!told.to_string().contains(&rune), "the rune is the device's");
    assert_eq!(claimed.end().await.code, 0);
    for usage in [
        &["--preset", "pay"][..],
        &["--preset", "nosuch"],
        &["--restrict", "time<5"],
        &["--restrict", "id=02"],
        &["--for", "61s"],
        &["--name", "5"],
    ] {
        let all = [&["pair", "--state-dir", &state], usage].concat();
        gateway.cli(&all).await.assert_refused(2, &[]);
    }
}

#[tokio::test]
async fn without_a_gateway_there_is_no_pairing() {
    let setup = Setup::demo();
    let state = setup.state().display().to_string();
    let pair = ["pair", "--state-dir", &state];
    setup.cli(&pair).await.assert_refused(3, &["no gateway is running", &state]);
    let (mut gateway, _) = Gateway::with_rune(setup).await;
    gateway.kill().await;
    gateway.cli(&pair).await.assert_refused(3, &["no gateway is running"]);
}

#[tokio::test]
async fn the_nodes_own_runes_are_not_paired() {
    let gateway = Gateway::start(Setup::demo().arg("--authority").arg("node")).await;
    let state = gateway.setup().state().display().to_string();
    gateway.cli(&["pair", "--state-dir", &state]).await.assert_refused(1, &["the node's own"]);
}

/// What phones reach is what the QR code says, and then nothing is warned of.
#[tokio::test]
async fn the_advertised_address_is_in_the_qr_code() {
    let gateway = Gateway::start(Setup::demo().arg("--advertise").arg("node.example:9736")).await;
    let bare = format!("commando+ws://node.example:9736?pubkey={}&rune=", gateway.node_id());
    let link = format!("http://node.example:9736/#pair={bare}");
    for (args, start) in [(&["--for", "1s"][..], &link), (&["--for", "1s", "--uri"], &bare)] {
        let mut pairing = Pairing::start(gateway.setup(), args);
        let text = pairing.line().await;
        assert!(text.starts_with(start), "{text}");
        let end = pairing.end().await;
        assert_eq!((end.code, scanned(&end.stderr)), (1, text));
        assert!(!end.stderr.contains("cannot reach"), "{}", end.stderr);
    }
}

#[tokio::test]
async fn the_devices_side_of_the_command_line() {
    let (gateway, admin) = Gateway::demo().await;
    let mut pairing = Pairing::start(gateway.setup(), &["--json"]);
    let uri = pairing.json().await["uri"].as_str().unwrap().to_owned();
    gateway.cli(&["call", "--pair", &uri]).await.assert_refused(2, &["--key"]);
    let key = gateway.setup().path("phone").display().to_string();
    gateway.cli(&["call", "--pair", &uri, "getinfo", "--key", &key]).await.assert_refused(2, &[]);
    gateway.cli(&["call", &uri, "getinfo", "--name", "x"]).await.assert_refused(2, &["--name"]);
    gateway.cli(&["call", "--pair", &gateway.ready.uri, "--key", &key]).await.assert_refused(2, &["rune"]);
    // A rune that is no offer's, and one that allows no claim.
    let no_offer = gateway.uri_with(&admin);
    gateway.cli(&["call", "--pair", &no_offer, "--key", &key]).await.assert_refused(1, &["no offer"]);
    let narrow = gateway.uri_with(&gateway.rune(&["method=getinfo"]).await);
    gateway.cli(&["call", "--pair", &narrow, "--key", &key]).await.assert_refused(1, &["19537"]);
    // All of that spent nothing; and the daemon knows at once what another process offers.
    let mut phone = Client::connect_as(&gateway, &identity()).await;
    let rune = uri.split_once("&rune=").unwrap().1;
    phone.result("runeward-pair", json!({}), rune).await;
    assert_eq!(pairing.json().await["status"], "claimed");
}
