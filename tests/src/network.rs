//! A cable between clients and a gateway, each in a network namespace of its own: what no proxy can imitate. Packets go astray
//! in silence, so that neither end is told, and a client's address changes under its connections.
//!
//! It takes `ip`, `tc`, `nft`, `unshare` and `nsenter`, and leave to make namespaces: root has it, and on most systems
//! anybody.

use std::process::{Command, Output, Stdio};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::process::{Child, Command as Process};

use crate::{Client, Gateway, Setup, client, within};

/// Set where the test already is in a network of its own.
const ALONE: &str = "RUNEWARD_TESTS_ALONE";

/// What is missing where a test cannot be alone, and how to come by it.
const NEEDED: &str = "this test needs network namespaces: install iproute2, nftables and util-linux, and run it as root or \
                      let users make namespaces (sysctl kernel.apparmor_restrict_unprivileged_userns=0, or \
                      kernel.unprivileged_userns_clone=1)";

/// The gateway's end.
const GATEWAY: &str = "10.73.0.1";

/// Runs the body of the test of this name in a network of its own, with a cable in it: in another process, which runs this
/// one test again.
pub fn alone(test: &str, body: impl AsyncFnOnce(Cable)) {
    if std::env::var_os(ALONE).is_some() {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
        return runtime.unwrap().block_on(async { body(Cable::new().await).await });
    }
    let user = if rustix::process::geteuid().is_root() { None } else { Some("--map-root-user") };
    let possible = Command::new("unshare").args(user).args(["--net", "nft", "list", "tables"]).output();
    assert!(possible.as_ref().is_ok_and(|output| output.status.success()), "{NEEDED}: {possible:?}");
    let this = std::env::current_exe().unwrap();
    let output = Command::new("unshare")
        .args(user)
        .arg("--net")
        .arg(this)
        .args(["--exact", test, "--nocapture"])
        .env(ALONE, "1")
        .output()
        .unwrap();
    let [said, told] = [&output.stdout, &output.stderr].map(|text| String::from_utf8_lossy(text));
    println!("{said}{told}");
    assert!(output.status.success() && said.contains(" 1 passed"), "the test failed in its own network");
}

/// A cable. Its near end is in the test's network.
pub struct Cable {
    /// Holds the gateway's network for as long as it runs.
    holder: Child,
    /// The near end's address.
    near: String,
}

impl Cable {
    async fn new() -> Self {
        let mut holder = Process::new("unshare")
            .args(["--net", "cat"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        // It echoes once the network is there.
        holder.stdin.as_mut().unwrap().write_u8(b'\n').await.unwrap();
        within("another network", holder.stdout.as_mut().unwrap().read_u8()).await.unwrap();
        let pid = holder.id().unwrap().to_string();
        let mut cable = Self { holder, near: String::new() };
        run(&["ip", "link", "add", "near", "type", "veth", "peer", "name", "far", "netns", &pid]);
        cable.there(&["ip", "address", "add", &format!("{GATEWAY}/24"), "dev", "far"]);
        // Packets as they are on a wire: each is lost by itself.
        cable.there(&["ip", "link", "set", "far", "gso_max_segs", "1", "up"]);
        run(&["ip", "link", "set", "near", "gso_max_segs", "1", "up"]);
        cable.at_both_ends(&["nft", "add table inet astray"]);
        cable.at_both_ends(&["nft", "add chain inet astray here { type filter hook input priority 0; }"]);
        cable.move_to("10.73.0.2");
        cable
    }

    /// A gateway at the far end, with a rune that allows everything.
    pub async fn gateway(&self, setup: Setup) -> (Gateway, String) {
        let pid = self.holder.id().unwrap().to_string();
        let setup = setup.listen(&format!("{GATEWAY}:0")).through(&["nsenter", "--target", &pid, "--net"]);
        Gateway::with_rune(setup).await
    }

    /// The near end has this address and no other from now on; what was begun from the last one is heard of no more.
    pub fn move_to(&mut self, address: &str) {
        run(&["ip", "address", "flush", "dev", "near"]);
        run(&["ip", "address", "add", &format!("{address}/24"), "dev", "near"]);
        self.near = address.to_owned();
    }

    /// From now on nothing comes through, and nobody is told.
    pub fn cut(&self) {
        self.astray("drop");
    }

    /// From now on so many packets of a hundred are lost, each way; less than all.
    pub fn lose(&self, percent: u8) {
        self.astray(&format!("numgen random mod 100 < {percent} drop"));
    }

    /// From now on everything comes through.
    pub fn heal(&self) {
        self.at_both_ends(&["nft", "flush chain inet astray here"]);
    }

    /// From now on so many kilobits pass in a second, each way, up to a quarter of a second late; what is more is lost.
    pub fn narrow(&self, kilobits: u32) {
        let rate = format!("{kilobits}kbit");
        let how = ["root", "tbf", "rate", &rate, "burst", "4kb", "latency", "250ms"];
        run(&[&["tc", "qdisc", "replace", "dev", "near"], &how[..]].concat());
        self.there(&[&["tc", "qdisc", "replace", "dev", "far"], &how[..]].concat());
    }

    /// A client at the near end, ready for requests; `None` where the gateway will not have it.
    pub async fn client(&self, gateway: &Gateway) -> Option<Client> {
        let stream = self.stream(gateway).await?;
        let me = client::identity();
        let mut client = Client::try_over(stream, gateway.node_id(), &me, 100).await.ok()?;
        client.init().await;
        Some(client)
    }

    async fn stream(&self, gateway: &Gateway) -> Option<TcpStream> {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(format!("{}:0", self.near).parse().unwrap()).unwrap();
        let connecting = tokio::time::timeout(Duration::from_secs(10), socket.connect(gateway.address()));
        let stream = connecting.await.ok()?.ok()?;
        stream.set_nodelay(true).unwrap();
        Some(stream)
    }

    /// What comes in at either end goes this way.
    fn astray(&self, rule: &str) {
        self.heal();
        self.at_both_ends(&["nft", &format!("add rule inet astray here {rule}")]);
    }

    fn at_both_ends(&self, words: &[&str]) {
        run(words);
        self.there(words);
    }

    /// Runs a command at the far end.
    fn there(&self, words: &[&str]) {
        let pid = self.holder.id().unwrap().to_string();
        run(&[&["nsenter", "--target", &pid, "--net"], words].concat());
    }
}

fn run(words: &[&str]) {
    let output = Command::new(words[0]).args(&words[1..]).output();
    let done = output.as_ref().is_ok_and(|Output { status, .. }| status.success());
    assert!(done, "{}: {output:?}. {NEEDED}", words.join(" "));
}
