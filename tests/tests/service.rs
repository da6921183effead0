//! What `make install` puts where, and what systemd is told.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use runeward_tests::{DEADLINE, Gateway, Setup, gateway};

fn files(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => found.extend(files(&path)),
            false => found.push(path),
        }
    }
    found
}

fn make(target: &str, to: &Path) {
    let output = Command::new("make")
        .arg("-s")
        .arg("-C")
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join(".."))
        .args([target, "PREFIX=/usr", &format!("DESTDIR={}", to.display())])
        .arg(format!("BINARY={}", gateway::binary().display()))
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
}

#[test]
fn installed_and_uninstalled() {
    let root = tempfile::tempdir().unwrap();
    make("install", root.path());
    let read = |path: &str| {
        fs::read_to_string(root.path().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
    };
    let unit = read("usr/lib/systemd/system/runeward.service");
    assert!(
        unit.contains("ExecStart=/usr/bin/runeward serve --config /etc/runeward/runeward.toml\n"),
        "{unit}"
    );
    assert!(!unit.contains('@') || !unit.contains("@BINDIR@"), "{unit}");
    let mode = fs::metadata(root.path().join("usr/bin/runeward")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o755);
    assert!(read("usr/share/bash-completion/completions/runeward").contains("rotate-secret"));
    assert!(read("usr/share/zsh/site-functions/_runeward").starts_with("#compdef runeward"));
    assert!(read("usr/share/fish/vendor_completions.d/runeward.fish").contains("complete -c runeward"));
    for page in ["runeward", "runeward-serve", "runeward-doctor", "runeward-rune-create", "runeward-backup"] {
        let text = read(&format!("usr/share/man/man1/{page}.1"));
        assert!(text.contains(".SH NAME") && text.contains(".SH OPTIONS"), "{page}: {text}");
    }
    assert!(read("usr/lib/sysusers.d/runeward.conf").starts_with("u runeward "));

    // What the owner wrote is not written over, and not removed.
    let config = root.path().join("etc/runeward/runeward.toml");
    fs::write(&config, "node = \"demo\"\n").unwrap();
    make("install", root.path());
    make("uninstall", root.path());
    assert_eq!(files(root.path()), std::slice::from_ref(&config));
    assert_eq!(fs::read_to_string(config).unwrap(), "node = \"demo\"\n");
}

/// Each key of the example file, uncommented, is one the gateway knows.
#[tokio::test]
async fn the_example_configuration_is_one() {
    let example = include_str!("../../gateway/service/runeward.toml");
    let keys = example.lines().filter_map(|line| line.strip_prefix("# "));
    let keys: Vec<_> =
        keys.filter(|line| line.split_once(" = ").is_some_and(|(key, _)| !key.contains(' '))).collect();
    assert!(keys.len() >= 6, "{keys:?}");
    let setup = Setup::bare();
    let file = setup.path("runeward.toml");
    fs::write(&file, keys.join("\n")).unwrap();
    let output = setup.cli(&["doctor", "--local", "--config", file.to_str().unwrap()]).await;
    assert!(output.stdout.contains("ok     settings"), "{output:?}");
}

#[tokio::test]
async fn systemd_is_told_when_it_is_ready_and_when_it_ends() {
    let setup = Setup::demo();
    let socket = setup.path("notify");
    let systemd = UnixDatagram::bind(&socket).unwrap();
    systemd.set_read_timeout(Some(DEADLINE)).unwrap();
    let hear = || {
        let mut said = [0; 64];
        let length = systemd.recv(&mut said).unwrap();
        String::from_utf8(said[..length].to_vec()).unwrap()
    };
    let mut gateway = Gateway::start(setup.env("NOTIFY_SOCKET", socket.to_str().unwrap())).await;
    assert_eq!(hear(), "READY=1");
    systemd.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
    assert!(systemd.recv(&mut [0; 64]).is_err(), "it says nothing more while it serves");
    systemd.set_read_timeout(Some(DEADLINE)).unwrap();
    gateway.terminate().await;
    assert_eq!(hear(), "STOPPING=1");
    assert_eq!(gateway.exited().await, 0);
}
