//! Bad input of all kinds: an error that says what to do, and the right exit status.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use runeward_tests::fake_node::getinfo;
use runeward_tests::{Answer, Client, FakeNode, Gateway, Setup, client};
use serde_json::json;

/// Refused at start: by what was given (2), or by the machine (1).
const USAGE: i32 = 2;
const REFUSED: i32 = 1;

#[tokio::test]
async fn configurations() {
    for (toml, phrases) in [
        ("nosuch = 1\n", &["nosuch"][..]),
        ("[limits]\nconections = 5\n", &["conections"]),
        ("[limit]\nconnections = 5\n", &["limit"]),
        ("[limits]\nconnections = \"many\"\n", &["connections"]),
        ("[limits]\nconnections = -1\n", &["connections"]),
        ("authority = \"both\"\n", &["authority"]),
        ("node = \"clnn:/x\"\n", &["node"]),
        ("listen = [\"nowhere\"]\n", &["listen"]),
        ("log = \"loud\"\n", &["log"]),
        ("state_dir = 5\n", &["state_dir"]),
        ("node = \n", &["runeward.toml"]),
    ] {
        let output = Setup::demo().config(toml).refused().await;
        output.assert_refused(USAGE, phrases);
        output.assert_refused(USAGE, &["runeward.toml"]);
    }
    let missing = Setup::demo().arg("--config").arg("/nonexistent/runeward.toml");
    missing.refused().await.assert_refused(USAGE, &["/nonexistent/runeward.toml"]);
}

#[tokio::test]
async fn a_configuration_that_is_right() {
    let node = FakeNode::start().await;
    let setup = Setup::bare();
    let toml = format!(
        "node = \"cln:{}\"\nauthority = \"own\"\nadvertise = \"example.org:9736\"\nlog = \"pretty\"\n\
         [limits]\nconnections = 50\nconnections_per_address = 40\nhandshakes_per_second = 30\n\
         handshakes_per_second_per_address = 20\ncalls_per_connection = 4\n",
        node.socket().display()
    );
    let (gateway, rune) = Gateway::with_rune(setup.config(&toml)).await;
    assert!(gateway.ready.uri.contains("//example.org:9736?"));
    let mut client = Client::connect(&gateway).await;
    client.result("getinfo", json!({}), &rune).await;
    assert_eq!(node.calls("getinfo"), 2, "once to know the node, once for the client");
}

#[tokio::test]
async fn flags() {
    for (args, phrases) in [
        (&["--nosuch"][..], &["--nosuch"][..]),
        (&["--node", "ftp:/x"], &["--node"]),
        (&["--node", "cln:"], &["--node"]),
        (&["--listen", "127.0.0.1"], &["--listen"]),
        (&["--listen", "127.0.0.1:99999"], &["--listen"]),
        (&["--authority", "mine"], &["--authority"]),
        (&["--log", "loud"], &["--log"]),
        (&["surplus"], &["surplus"]),
    ] {
        let mut setup = Setup::bare();
        for arg in args {
            setup = setup.arg(*arg);
        }
        setup.refused().await.assert_refused(USAGE, phrases);
    }
    for address in ["", "host", "host:", ":1", "host:99999", "a b:1", "ws://host:1"] {
        let setup = Setup::demo().arg("--advertise").arg(address);
        setup.refused().await.assert_refused(USAGE, &["--advertise"]);
    }
}

#[tokio::test]
async fn rune_texts() {
    let setup = Setup::demo();
    let good = setup.rune(&["create", "--restrict", "method=getinfo"]).await;
    let good = good.line();
    for bad in ["", "x", "AAAA", "not a rune", &good[1..], &format!("{good}=")] {
        for args in [
            &["rune", "show", bad][..],
            &["rune", "check", bad, "--method", "getinfo"],
            &["rune", "restrict", bad, "--restrict", "method=getinfo"],
        ] {
            setup.cli(args).await.assert_refused(USAGE, &["no rune"]);
        }
    }
    for bad in ["", "method", "method@x", "=5", "method=a|", "method=a\\"] {
        let args = ["create", "--restrict", bad];
        setup.rune(&args).await.assert_refused(USAGE, &["restrict"]);
        let args = ["rune", "restrict", good, "--restrict", bad];
        setup.cli(&args).await.assert_refused(USAGE, &["restrict"]);
    }
    let args = ["check", good, "--method", "getinfo", "--params", "{"];
    setup.rune(&args).await.assert_refused(USAGE, &["params"]);
    let args = ["check", good, "--method", "getinfo", "--peer", "02"];
    setup.rune(&args).await.assert_refused(USAGE, &["peer"]);
    let args = ["create", "--restrict", "method=a", "--expires", "soon"];
    setup.rune(&args).await.assert_refused(USAGE, &["expires"]);
    for unknown in ["nobody", "12345"] {
        setup.rune(&["revoke", unknown]).await.assert_refused(REFUSED, &[unknown]);
    }
    setup.rune(&["revoke"]).await.assert_refused(USAGE, &[]);
}

#[tokio::test]
async fn state_dirs_that_cannot_be_written() {
    let setup = Setup::demo();
    // Below a file, and in a file system that takes no files, not even root's.
    let file = setup.path("file");
    std::fs::write(&file, "").unwrap();
    for dir in [file.join("state"), file, "/proc/runeward".into()] {
        let text = dir.display().to_string();
        let setup = Setup::demo().state_dir(&dir);
        setup.refused().await.assert_refused(REFUSED, &[&text, "--state-dir"]);
        let made = setup.rune(&["create", "--restrict", "method=getinfo"]).await;
        made.assert_refused(REFUSED, &[&text, "--state-dir"]);
    }
}

#[tokio::test]
async fn a_state_dir_of_another_node() {
    let node = FakeNode::start().await;
    let mut gateway = Gateway::start(Setup::fake(&node)).await;
    let state = gateway.setup().state().to_owned();
    gateway.kill().await;

    let demo = Setup::demo().state_dir(&state);
    demo.refused().await.assert_refused(REFUSED, &["belongs to", "--state-dir"]);

    let other = FakeNode::start().await;
    let id = client::identity().node_id().to_string();
    other.on("getinfo", Answer::result(getinfo(&id)));
    let setup = Setup::fake(&other).state_dir(&state);
    let refused = setup.refused().await;
    refused.assert_refused(REFUSED, &["belongs to", &id, "--state-dir"]);

    // The same node by another way is the same node.
    let moved = FakeNode::start().await;
    Gateway::start(Setup::fake(&moved).state_dir(&state)).await;
}

/// Its runes are for one node: another that takes its place gets none of their commands.
#[tokio::test]
async fn a_node_that_becomes_another() {
    let mut node = FakeNode::start().await;
    let (gateway, rune) = Gateway::before(&node).await;
    let mut client = Client::connect(&gateway).await;
    client.result("getinfo", json!({}), &rune).await;
    node.stop().await;
    let id = client::identity().node_id().to_string();
    node.on("getinfo", Answer::result(getinfo(&id)));
    node.on("echo", Answer::Echo);
    node.restart().await;
    for _ in 0..5 {
        let reply = client.call("echo", json!({}), &rune).await;
        assert_eq!(reply["error"]["code"], 19540, "{reply}");
    }
    assert_eq!(node.calls("echo"), 0);
}

#[tokio::test]
async fn a_state_dir_of_another_authority() {
    let node = FakeNode::start().await;
    let mut gateway = Gateway::start(Setup::fake(&node)).await;
    let state = gateway.setup().state().to_owned();
    gateway.kill().await;
    let setup = Setup::fake(&node).state_dir(&state).arg("--authority").arg("node");
    let refused = setup.refused().await;
    assert!(refused.stderr.to_lowercase().contains("authority"), "{refused:?}");
}

#[tokio::test]
async fn a_port_that_is_taken() {
    let (gateway, _) = Gateway::demo().await;
    let address = gateway.address().to_string();
    let setup = Setup::demo().listen(&address);
    setup.refused().await.assert_refused(REFUSED, &[&address, "--listen"]);
    // No address of this machine.
    let setup = Setup::demo().listen("192.0.2.1:9736");
    setup.refused().await.assert_refused(REFUSED, &["192.0.2.1:9736", "--listen"]);
}

#[tokio::test]
async fn a_socket_that_is_missing() {
    let setup = Setup::bare();
    let socket = setup.path("nowhere/lightning-rpc");
    let gateway = Gateway::start(Setup::cln(&socket)).await;
    assert_eq!(gateway.ready.node, "down");
    assert!(gateway.log().contains("lightning-rpc"), "{}", gateway.log());
    // A file that is no socket is as good as none.
    let file = setup.path("file");
    std::fs::write(&file, "").unwrap();
    let gateway = Gateway::start(Setup::cln(&file)).await;
    assert_eq!(gateway.ready.node, "down");
    // With no node named and none in the usual places.
    let refused = Setup::bare().refused().await;
    refused.assert_refused(USAGE, &["runeward demo", "--node", ".lightning"]);
}

#[tokio::test]
async fn a_node_in_a_usual_place() {
    let setup = Setup::bare();
    let dir = setup.path("home/.lightning/regtest");
    std::fs::create_dir_all(&dir).unwrap();
    let node = FakeNode::start().await;
    std::os::unix::fs::symlink(node.socket(), dir.join("lightning-rpc")).unwrap();
    let gateway = Gateway::start(setup).await;
    assert_eq!(gateway.ready.node, "up");
}

#[tokio::test]
async fn key_files() {
    let hex = "11".repeat(32) + "\n";
    for name in ["identity", "rune-secret"] {
        for mode in [0o644, 0o640, 0o604, 0o666] {
            let setup = Setup::demo().state_file(name, &hex, mode);
            let refused = setup.refused().await;
            refused.assert_refused(REFUSED, &[name, "chmod 600"]);
        }
        for text in ["", "\n", "11", "zz", &"zz".repeat(32), &"11".repeat(33)] {
            let setup = Setup::demo().state_file(name, text, 0o600);
            setup.refused().await.assert_refused(REFUSED, &[name, "64 hex"]);
        }
        // As it should be, with and without a newline.
        for text in [&hex, hex.trim_end()] {
            let gateway = Gateway::start(Setup::demo().state_file(name, text, 0o600)).await;
            if name == "identity" {
                let me = runeward_noise::Identity::from_secret(&[0x11; 32]).unwrap();
                assert_eq!(gateway.node_id(), me.node_id().to_string());
            }
        }
    }
    // Zero is no secret key.
    let setup = Setup::demo().state_file("identity", &"00".repeat(32), 0o600);
    setup.refused().await.assert_refused(REFUSED, &["identity"]);
}

/// Key files are made for their owner alone, whatever the umask.
#[tokio::test]
async fn key_files_are_made_private() {
    use std::os::unix::fs::PermissionsExt;
    let setup = Setup::demo();
    let gateway = Gateway::start(setup.clone()).await;
    let mode = |name: &str| {
        let path = setup.state().join(name);
        std::fs::metadata(path).unwrap().permissions().mode() & 0o777
    };
    assert_eq!(mode(""), 0o700);
    for name in ["identity", "rune-secret", "runeward.db"] {
        assert_eq!(mode(name), 0o600, "{name}");
    }
    drop(gateway);
}

#[tokio::test]
async fn a_database_that_is_none() {
    let setup =
        Setup::demo().state_file("runeward.db", "not a database, but long enough to be read as one", 0o600);
    let refused = setup.refused().await;
    assert_ne!(refused.code, 101, "{refused:?}");
    assert!(refused.stderr.contains("database"), "{refused:?}");
}
