//! `runeward doctor`: each test breaks a set-up, is told what is wrong, follows the advice, and finds it mended.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::fs::{self, Permissions};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::path::Path;

use rcgen::{CertificateParams, KeyPair};
use runeward_tests::{CliOutput, FakeNode, Gateway, Setup, gateway};
use sqlx::{ConnectOptions, Connection};
use tokio::process::Command;

/// Runs the doctor on a setup's state dir with these further arguments.
async fn doctor(setup: &Setup, args: &[&str]) -> CliOutput {
    let state = setup.state().display().to_string();
    let mut all = vec!["doctor", "--state-dir", &state];
    all.extend(args);
    setup.cli(&all).await
}

/// Asserts that nothing is wrong.
#[track_caller]
fn healthy(output: &CliOutput) {
    assert_eq!(output.code, 0, "{output:?}");
    assert!(!output.stdout.contains("FAULT"), "{output:?}");
}

/// Asserts that one thing is wrong, and told in these words.
#[track_caller]
fn fault(output: &CliOutput, phrases: &[&str]) {
    assert_eq!((output.code, output.stderr.as_str()), (1, "runeward: 1 fault\n"), "{output:?}");
    for phrase in phrases {
        assert!(output.stdout.contains(phrase), "no `{phrase}` in:\n{}", output.stdout);
    }
}

/// A setup whose demo node has been served once, and listens nowhere now.
async fn served_once() -> Setup {
    let mut gateway = Gateway::start(Setup::demo()).await;
    gateway.terminate().await;
    assert_eq!(gateway.exited().await, 0);
    gateway.setup().clone()
}

const DEMO: [&str; 4] = ["--node", "demo", "--listen", "127.0.0.1:0"];

#[tokio::test]
async fn nothing_is_wrong() {
    let gateway = Gateway::start(Setup::demo()).await;
    let address = gateway.address().to_string();
    let args = ["--node", "demo", "--listen", &address, "--advertise", &address];
    let running = doctor(gateway.setup(), &args).await;
    healthy(&running);
    assert!(running.stdout.contains("the gateway answers on"), "{running:?}");
    assert!(running.stdout.contains("leads here"), "{running:?}");
    healthy(&doctor(&Setup::bare(), &DEMO).await);
}

#[tokio::test]
async fn lightningd_does_not_run() {
    let setup = Setup::bare();
    let socket = setup.path("lightning-rpc");
    let node = format!("cln:{}", socket.display());
    let args = ["--node", &node, "--listen", "127.0.0.1:0"];
    fault(&doctor(&setup, &args).await, &["there is no", "start lightningd"]);
    // One that has ended.
    drop(UnixListener::bind(&socket).unwrap());
    fault(&doctor(&setup, &args).await, &["nobody answers on", "start lightningd"]);
    fs::remove_file(&socket).unwrap();
    fs::write(&socket, "").unwrap();
    fault(&doctor(&setup, &args).await, &["is no socket", "lightning-rpc"]);

    let running = FakeNode::start().await;
    let node = format!("cln:{}", running.socket().display());
    healthy(&doctor(&setup, &["--node", &node, "--listen", "127.0.0.1:0"]).await);
}

#[tokio::test]
async fn the_socket_is_not_ours_to_open() {
    let node = FakeNode::start().await;
    let setup = Setup::bare();
    let choice = format!("cln:{}", node.socket().display());
    let state = setup.state().display().to_string();
    let args = ["doctor", "--node", &choice, "--listen", "127.0.0.1:0", "--state-dir", &state];
    // Root may open everything: somebody else has to try.
    let open = |path: &Path| fs::set_permissions(path, Permissions::from_mode(0o755)).unwrap();
    open(node.socket().parent().unwrap());
    // Nor may others look into a home directory, where the program may lie.
    let program = setup.path("runeward");
    fs::copy(gateway::binary(), &program).unwrap();
    let as_nobody = async || {
        let mut command = Command::new(&program);
        if rustix::process::geteuid().is_root() {
            command.uid(65_534);
        }
        let output =
            command.args(args).env("HOME", setup.path("")).env_remove("RUST_LOG").output().await.unwrap();
        CliOutput {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    };
    fs::set_permissions(node.socket(), Permissions::from_mode(0o000)).unwrap();
    open(setup.path("").as_path());
    fault(&as_nobody().await, &["may not open", "rpc-file-mode=0660", "group"]);
    fs::set_permissions(node.socket(), Permissions::from_mode(0o666)).unwrap();
    healthy(&as_nobody().await);
}

#[tokio::test]
async fn another_node_answers() {
    let node = FakeNode::start().await;
    let mut gateway = Gateway::start(Setup::fake(&node)).await;
    gateway.terminate().await;
    gateway.exited().await;
    let setup = gateway.setup();
    let other = Gateway::start(Setup::demo()).await;
    let socket = other.setup().state().join("lightning-rpc");
    let wrong = format!("cln:{}", socket.display());
    let output = doctor(setup, &["--node", &wrong, "--listen", "127.0.0.1:0"]).await;
    fault(&output, &["the state directory belongs to", "name the socket of that node"]);
    let right = format!("cln:{}", node.socket().display());
    healthy(&doctor(setup, &["--node", &right, "--listen", "127.0.0.1:0"]).await);
}

#[tokio::test]
async fn the_port_is_taken() {
    let setup = Setup::bare();
    let other = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = other.local_addr().unwrap().to_string();
    let args = ["--node", "demo", "--listen", &address];
    let port = format!("sport = :{}", other.local_addr().unwrap().port());
    fault(&doctor(&setup, &args).await, &["another program listens on", &port]);
    drop(other);
    healthy(&doctor(&setup, &args).await);
}

#[tokio::test]
async fn the_address_is_of_another_machine() {
    let setup = Setup::bare();
    // TEST-NET-1 (RFC 5737).
    let output = doctor(&setup, &["--node", "demo", "--listen", "192.0.2.1:9736"]).await;
    fault(&output, &["192.0.2.1 is no address of this machine", "ip address"]);
    healthy(&doctor(&setup, &DEMO).await);
}

#[tokio::test]
async fn others_can_read_the_state() {
    let setup = served_once().await;
    fs::set_permissions(setup.state(), Permissions::from_mode(0o755)).unwrap();
    fault(&doctor(&setup, &DEMO).await, &["others can look into", "chmod 700"]);
    fs::set_permissions(setup.state(), Permissions::from_mode(0o700)).unwrap();
    healthy(&doctor(&setup, &DEMO).await);

    let secret = setup.state().join("tls-key");
    fs::write(&secret, "").unwrap();
    fs::set_permissions(&secret, Permissions::from_mode(0o640)).unwrap();
    fault(&doctor(&setup, &DEMO).await, &["others can read", "tls-key", "chmod 600"]);
    fs::set_permissions(&secret, Permissions::from_mode(0o600)).unwrap();
    healthy(&doctor(&setup, &DEMO).await);
}

#[tokio::test]
async fn secrets_are_missing() {
    let setup = served_once().await;
    for (name, phrase) in
        [("rune-secret", "is missing or not the secret"), ("identity", "clients know the gateway by it")]
    {
        let (file, backup) = (setup.state().join(name), setup.path("backup"));
        fs::rename(&file, &backup).unwrap();
        fault(&doctor(&setup, &DEMO).await, &[phrase, "from your backup"]);
        fs::rename(&backup, &file).unwrap();
        healthy(&doctor(&setup, &DEMO).await);
    }
}

async fn sql(setup: &Setup, statement: &str) {
    let database = setup.state().join("runeward.db");
    let mut database = sqlx::sqlite::SqliteConnectOptions::new().filename(database).connect().await.unwrap();
    sqlx::query(statement).execute(&mut database).await.unwrap();
    database.close().await.unwrap();
}

#[tokio::test]
async fn a_newer_version_wrote_the_database() {
    let setup = served_once().await;
    sql(&setup, "INSERT INTO _sqlx_migrations VALUES (9999, 'later', CURRENT_TIMESTAMP, TRUE, x'00', 0)")
        .await;
    fault(&doctor(&setup, &DEMO).await, &["was written by a newer runeward", "install that version"]);
    sql(&setup, "DELETE FROM _sqlx_migrations WHERE version = 9999").await;
    healthy(&doctor(&setup, &DEMO).await);
}

#[tokio::test]
async fn the_clock_went_back() {
    let setup = served_once().await;
    sql(&setup, "UPDATE clock SET mark = mark + 3600 * 1000000000").await;
    fault(&doctor(&setup, &DEMO).await, &["seconds behind the latest time", "--reset-clock"]);
    let mut gateway = Gateway::start(setup.clone().arg("--reset-clock")).await;
    gateway.terminate().await;
    gateway.exited().await;
    healthy(&doctor(&setup, &DEMO).await);
}

/// A certificate for `name` that holds from so many days ago for so many days, and its key.
fn certificate(setup: &Setup, name: &str, from: i64, days: i64) -> [String; 2] {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new([name.to_owned()]).unwrap();
    let now = std::time::SystemTime::now();
    let day = |days: i64| match u64::try_from(days) {
        Ok(days) => now + std::time::Duration::from_secs(days * 86_400),
        Err(_) => now - std::time::Duration::from_secs(days.unsigned_abs() * 86_400),
    };
    (params.not_before, params.not_after) = (day(from).into(), day(from + days).into());
    let pem = params.self_signed(&key).unwrap().pem();
    let paths = ["cert.pem", "key.pem"].map(|name| setup.path(name));
    fs::write(&paths[0], pem).unwrap();
    fs::write(&paths[1], key.serialize_pem()).unwrap();
    fs::set_permissions(&paths[1], Permissions::from_mode(0o600)).unwrap();
    paths.map(|path| path.display().to_string())
}

#[tokio::test]
async fn the_certificate_is_no_good() {
    let setup = Setup::bare();
    let [certificate_file, key] = certificate(&setup, "node.example", -90, 80);
    let tls =
        ["--tls-cert", &certificate_file, "--tls-key", &key, "--advertise", "node.example:9736", "--local"];
    let args: Vec<&str> = DEMO.into_iter().chain(tls).collect();
    fault(&doctor(&setup, &args).await, &["does not hold now", "renew it"]);
    certificate(&setup, "other.example", -1, 90);
    fault(&doctor(&setup, &args).await, &["is not for node.example", "advertise a name that it has"]);
    certificate(&setup, "node.example", -1, 90);
    fs::set_permissions(&key, Permissions::from_mode(0o644)).unwrap();
    fault(&doctor(&setup, &args).await, &["is open to everybody", "chmod o="]);
    fs::set_permissions(&key, Permissions::from_mode(0o600)).unwrap();
    healthy(&doctor(&setup, &args).await);
}

#[tokio::test]
async fn the_advertised_address_leads_elsewhere() {
    let gateway = Gateway::start(Setup::demo()).await;
    let address = gateway.address().to_string();
    let other = Gateway::start(Setup::demo()).await;
    let elsewhere = other.address().to_string();
    let args = ["--node", "demo", "--listen", &address, "--advertise"];
    let output = doctor(gateway.setup(), &[&args[..], &[&elsewhere]].concat()).await;
    fault(&output, &["does not lead here", "router and firewall"]);
    healthy(&doctor(gateway.setup(), &[&args[..], &[&elsewhere, "--local"]].concat()).await);
    healthy(&doctor(gateway.setup(), &[&args[..], &[&address]].concat()).await);
}

#[tokio::test]
async fn too_few_files_may_be_open() {
    let setup = Setup::bare();
    let state = setup.state().display().to_string();
    let with_files = async |most: u32, config: &str| {
        let file = setup.path("runeward.toml");
        fs::write(&file, config).unwrap();
        let mut command = tokio::process::Command::new("sh");
        let line = format!("ulimit -n {most} && exec \"$0\" \"$@\"");
        command.args(["-c", &line]).arg(runeward_tests::gateway::binary()).args([
            "doctor",
            "--state-dir",
            &state,
        ]);
        command.args(DEMO).arg("--config").arg(file).env("HOME", setup.path("home"));
        let output = command.output().await.unwrap();
        CliOutput {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    };
    fault(&with_files(2000, "").await, &["2000 may be open", "LimitNOFILE=", "[limits]"]);
    healthy(&with_files(2000, "[limits]\nconnections = 500\n").await);
}

#[tokio::test]
async fn the_configuration_has_a_mistake() {
    let setup = Setup::bare();
    let file = setup.path("runeward.toml");
    fs::write(&file, "nodes = \"demo\"\n").unwrap();
    let args = ["--listen", "127.0.0.1:0", "--config", &file.display().to_string()].map(str::to_owned);
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    fault(&doctor(&setup, &args).await, &["line 1, nodes", "expected one of `node`", "serve --help"]);
    fs::write(&file, "node = \"demo\"\n").unwrap();
    healthy(&doctor(&setup, &args).await);
}

#[tokio::test]
async fn an_older_database_was_put_back() {
    let setup = served_once().await;
    let [database, old, newer] = ["state/runeward.db", "old.db", "newer.db"].map(|name| setup.path(name));
    // Opened and closed once more, so that all it knows is in the one file.
    sql(&setup, "PRAGMA wal_checkpoint(TRUNCATE)").await;
    fs::copy(&database, &old).unwrap();
    let (mut gateway, rune) = Gateway::with_rune(setup.clone()).await;
    let mut client = runeward_tests::Client::connect(&gateway).await;
    client.call("invoice", serde_json::json!(["1sat", "label", "text"]), &rune).await;
    gateway.terminate().await;
    gateway.exited().await;
    sql(&setup, "PRAGMA wal_checkpoint(TRUNCATE)").await;
    fs::rename(&database, &newer).unwrap();
    fs::rename(&old, &database).unwrap();
    fault(&doctor(&setup, &DEMO).await, &["older than its audit log", "put the newer database back"]);
    fs::rename(&newer, &database).unwrap();
    healthy(&doctor(&setup, &DEMO).await);
}
