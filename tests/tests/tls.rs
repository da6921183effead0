//! TLS on the same port: what a browser demands of it, what it carries, and its certificate's life.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use runeward_tests::client::{identity, tcp};
use runeward_tests::stream::{Frames, Stream, websocket_over};
use runeward_tests::{Client, End, Gateway, Setup, eventually, within};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, RootCertStore, SupportedProtocolVersion};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

const VERSIONS: [&SupportedProtocolVersion; 2] = [&TLS13, &TLS12];

/// A certificate authority that lives as long as its test.
struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    /// A certificate for this name and its key, in PEM.
    fn issue(&self, name: &str) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new([name.to_owned()]).unwrap();
        (params.signed_by(&key, &self.0).unwrap().pem(), key.serialize_pem())
    }

    fn root(&self) -> CertificateDer<'static> {
        self.0.der().clone()
    }
}

/// Writes certificate and key where `setup` finds them.
fn place(setup: &Setup, (certificate, key): &(String, String)) {
    fs::write(setup.path("cert.pem"), certificate).unwrap();
    fs::write(setup.path("key.pem"), key).unwrap();
    fs::set_permissions(setup.path("key.pem"), fs::Permissions::from_mode(0o640)).unwrap();
}

fn with_files(setup: Setup) -> Setup {
    let (certificate, key) = (setup.path("cert.pem"), setup.path("key.pem"));
    setup
        .arg("--tls-cert")
        .arg(certificate.display().to_string())
        .arg("--tls-key")
        .arg(key.display().to_string())
}

fn self_signed() -> Setup {
    Setup::demo().arg("--tls").arg("self-signed")
}

/// TLS to the gateway, as strict as a browser that trusts `root` alone.
async fn try_tls(
    gateway: &Gateway,
    root: CertificateDer<'static>,
    name: &str,
    version: &'static SupportedProtocolVersion,
) -> std::io::Result<TlsStream<TcpStream>> {
    let mut roots = RootCertStore::empty();
    roots.add(root).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[version])
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let name = ServerName::try_from(name.to_owned()).unwrap();
    let connecting = TlsConnector::from(Arc::new(config)).connect(name, tcp(gateway.address()).await);
    within("the TLS handshake", connecting).await
}

async fn tls(gateway: &Gateway, root: CertificateDer<'static>, name: &str) -> TlsStream<TcpStream> {
    try_tls(gateway, root, name, &TLS13).await.expect("the TLS handshake")
}

fn own_certificate(gateway: &Gateway) -> CertificateDer<'static> {
    CertificateDer::from_pem_file(gateway.setup().state().join("tls-cert.pem")).unwrap()
}

async fn runs_getinfo(gateway: &Gateway, stream: impl Stream + 'static, rune: &str) -> Client {
    let mut client = Client::over(stream, gateway.node_id(), &identity()).await;
    client.init().await;
    client.result("getinfo", json!({}), rune).await;
    client
}

#[tokio::test]
async fn carries_websockets_and_plain_bolt_8() {
    let (gateway, rune) = Gateway::with_rune(self_signed()).await;
    let root = own_certificate(&gateway);
    for version in VERSIONS {
        let stream = try_tls(&gateway, root.clone(), "localhost", version).await.unwrap();
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"http/1.1"[..]));
        let (socket, _) = websocket_over(stream, "wss://localhost/any/path", Frames::Of(65_000)).await;
        runs_getinfo(&gateway, socket, &rune).await;

        let stream = try_tls(&gateway, root.clone(), "127.0.0.1", version).await.unwrap();
        runs_getinfo(&gateway, stream, &rune).await;
    }
    // And without TLS all is as ever.
    runs_getinfo(&gateway, tcp(gateway.address()).await, &rune).await;
    let mut client = Client::websocket(&gateway).await;
    client.result("getinfo", json!({}), &rune).await;
}

#[tokio::test]
async fn a_long_reply_and_an_orderly_end() {
    let setup = self_signed().arg("--demo-channels").arg("2000");
    let (gateway, rune) = Gateway::with_rune(setup).await;
    let stream = tls(&gateway, own_certificate(&gateway), "localhost").await;
    let mut client = runs_getinfo(&gateway, stream, &rune).await;
    let channels = client.result("listchannels", json!({}), &rune).await;
    assert_eq!(channels["channels"].as_array().unwrap().len(), 4000);
    gateway.terminate().await;
    assert_eq!(client.end().await, End::Clean, "TLS says that it ends");
}

#[tokio::test]
async fn http_is_answered_inside() {
    let gateway = Gateway::start(self_signed()).await;
    for (host, status) in [("localhost", "200"), ("evil.example", "421")] {
        let mut stream = tls(&gateway, own_certificate(&gateway), "localhost").await;
        let request = format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        within("the answer and its end", stream.read_to_string(&mut answer)).await.unwrap();
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{answer}");
    }
}

/// A page on https opens no `ws://`; and a certificate that no browser knows is no help to a phone.
#[tokio::test]
async fn devices_are_paired_by_tls_where_browsers_know_the_certificate() {
    let files = with_files(Setup::demo());
    place(&files, &Authority::new().issue("localhost"));
    for (setup, scheme) in [(files, "wss"), (self_signed(), "ws")] {
        let (gateway, admin) = Gateway::with_rune(setup).await;
        let mut client = Client::connect(&gateway).await;
        let offer = client.result("runeward-offer", json!({}), &admin).await;
        let uri = offer["uri"].as_str().unwrap();
        assert!(uri.starts_with(&format!("commando+{scheme}://{}?", gateway.address())), "{uri}");
    }
}

#[tokio::test]
async fn the_ready_line_says_how_to_come_by_https() {
    let gateway = Gateway::start(self_signed().arg("--advertise").arg("node.example:443")).await;
    let query = format!("node.example:443?pubkey={}", gateway.node_id());
    assert_eq!(gateway.ready.uri, format!("commando+ws://{query}"));
    assert_eq!(gateway.ready.uri_wss, Some(format!("commando+wss://{query}")));
    let plain = Gateway::start(Setup::demo()).await;
    assert_eq!((&plain.ready.uri_wss, &plain.ready.tls_sha256), (&None, &None));
}

#[tokio::test]
async fn the_self_signed_certificate_is_kept() {
    let first = Gateway::start(self_signed()).await;
    let fingerprint = first.ready.tls_sha256.clone().unwrap();
    assert!(fingerprint.len() == 95 && fingerprint.split(':').count() == 32, "{fingerprint}");
    let setup = first.setup().clone();
    let mode = |name: &str| fs::metadata(setup.state().join(name)).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode("tls-key"), 0o600);

    let mut second = first.restart().await;
    assert_eq!(second.ready.tls_sha256.as_ref(), Some(&fingerprint));
    second.kill().await;

    // Advertised under a name it does not cover, it is made anew.
    let mut third = Gateway::start(setup.clone().arg("--advertise").arg("Node.Example:443")).await;
    assert_ne!(third.ready.tls_sha256.as_ref(), Some(&fingerprint));
    let root = own_certificate(&third);
    for name in ["node.example", "localhost", "::1"] {
        tls(&third, root.clone(), name).await;
    }
    let error = try_tls(&third, root, "other.example", &TLS13).await.unwrap_err().to_string();
    assert!(error.contains("certificate"), "{error}");
    third.kill().await;

    fs::set_permissions(setup.state().join("tls-key"), fs::Permissions::from_mode(0o640)).unwrap();
    setup.refused().await.assert_refused(1, &["tls-key", "chmod 600"]);
}

#[tokio::test]
async fn certificate_files_are_read_again_when_they_change() {
    let authority = Authority::new();
    let setup = with_files(Setup::demo());
    place(&setup, &authority.issue("one.example"));
    let (gateway, rune) = Gateway::with_rune(setup.clone()).await;
    let serves = async |name: &str| try_tls(&gateway, authority.root(), name, &TLS13).await.is_ok();
    assert!(serves("one.example").await && !serves("two.example").await);
    let stream = tls(&gateway, authority.root(), "one.example").await;
    let mut old = runs_getinfo(&gateway, stream, &rune).await;

    place(&setup, &authority.issue("two.example"));
    eventually("the new certificate", async || serves("two.example").await).await;
    assert!(!serves("one.example").await);
    // Whoever was connected stays so.
    old.result("getinfo", json!({}), &rune).await;

    // A key of another certificate, then no certificate at all: the last good one stays, and what is wrong is said.
    let third = authority.issue("three.example");
    place(&setup, &(third.0.clone(), authority.issue("x.example").1));
    eventually("the complaint", async || gateway.log().contains("is not the key of the certificate")).await;
    fs::write(setup.path("cert.pem"), "half a fi").unwrap();
    eventually("the complaint", async || gateway.log().contains("cert.pem holds no certificate")).await;
    fs::remove_file(setup.path("cert.pem")).unwrap();
    eventually("the complaint", async || gateway.log().contains("cannot read")).await;
    assert!(serves("two.example").await);

    place(&setup, &third);
    eventually("the mended certificate", async || serves("three.example").await).await;
    assert_eq!(gateway.log().matches("the old one stays").count(), 3);
}

#[tokio::test]
async fn bad_files_are_told_at_the_start() {
    let authority = Authority::new();
    let good = authority.issue("node.example");
    let other = authority.issue("node.example");
    let encrypted = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nMA==\n-----END ENCRYPTED PRIVATE KEY-----\n";
    let not_der = |label: &str| format!("-----BEGIN {label}-----\nAAAA\n-----END {label}-----\n");
    for (certificate, key, phrases) in [
        ("", good.1.as_str(), &["cert.pem holds no certificate", "--tls-cert"][..]),
        (&good.1, &good.1, &["cert.pem holds no certificate"]),
        (&not_der("CERTIFICATE"), &good.1, &["the certificate in", "cert.pem cannot be used"]),
        (&good.0, &good.0, &["key.pem holds no private key", "--tls-key"]),
        (&good.0, encrypted, &["encrypted", "openssl pkey"]),
        (&good.0, &not_der("PRIVATE KEY"), &["the key in", "key.pem cannot be used"]),
        (&good.0, &other.1, &["key.pem is not the key of the certificate in", "cert.pem"]),
    ] {
        let setup = with_files(Setup::demo());
        place(&setup, &(certificate.to_owned(), key.to_owned()));
        setup.refused().await.assert_refused(1, phrases);
    }
    let setup = with_files(Setup::demo());
    setup.refused().await.assert_refused(1, &["cannot read", "cert.pem"]);
    place(&setup, &good);
    fs::set_permissions(setup.path("key.pem"), fs::Permissions::from_mode(0o644)).unwrap();
    setup.refused().await.assert_refused(1, &["key.pem is open to everybody", "chmod o= "]);
}

#[tokio::test]
async fn settings_that_do_not_go_together() {
    let cert_alone = Setup::demo().arg("--tls-cert").arg("cert.pem");
    cert_alone.refused().await.assert_refused(2, &["--tls-cert and --tls-key go together"]);
    let both = with_files(self_signed());
    both.refused().await.assert_refused(2, &["give one or the other"]);
    let in_file = Setup::demo().config("tls_key = 'key.pem'\n");
    in_file.refused().await.assert_refused(2, &["runeward.toml", "go together"]);
    for origin in ["https://wallet.example/", "wallet.example", "*"] {
        let setup = Setup::demo().arg("--allow-origin").arg(origin);
        setup.refused().await.assert_refused(2, &["https://wallet.example"]);
    }
    let setup = Setup::demo().config("allow_host = ['node.example:443']\n");
    setup.refused().await.assert_refused(2, &["allow_host", "without a port"]);
}

/// From the file and from the environment; a flag wins over the file.
#[tokio::test]
async fn set_elsewhere() {
    let gateway = Gateway::start(Setup::demo().config("tls = 'self-signed'\n")).await;
    tls(&gateway, own_certificate(&gateway), "localhost").await;
    let gateway = Gateway::start(Setup::demo().env("RUNEWARD_TLS", "self-signed")).await;
    tls(&gateway, own_certificate(&gateway), "localhost").await;
    let config = "tls_cert = '/nowhere'\ntls_key = '/nowhere'\n";
    let gateway = Gateway::start(self_signed().config(config)).await;
    tls(&gateway, own_certificate(&gateway), "localhost").await;
}

/// Slow or silent at every step: all are hung up on, and nobody else notices.
#[tokio::test]
async fn the_deadline_holds_for_tls_too() {
    let (gateway, rune) = Gateway::with_rune(self_signed()).await;
    let root = own_certificate(&gateway);
    let mut only_a_byte = tcp(gateway.address()).await;
    only_a_byte.write_all(b"\x16").await.unwrap();
    let trickle = async {
        let mut stream = tcp(gateway.address()).await;
        // A record of 512 bytes that holds a hello of 508.
        let hello = [&[0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3][..], &[0; 500]].concat();
        for byte in hello {
            if stream.write_all(&[byte]).await.is_err() {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        }
        panic!("a hello of 50 s was heard to its end");
    };
    let mut silent_inside = tls(&gateway, root.clone(), "localhost").await;
    let mut half_a_head = tls(&gateway, root.clone(), "localhost").await;
    half_a_head.write_all(b"GET / HTTP/1.1\r\n").await.unwrap();
    let mut half_an_act = tls(&gateway, root.clone(), "localhost").await;
    half_an_act.write_all(&[0; 20]).await.unwrap();

    let (mut buffer, mut others) = (Vec::new(), [Vec::new(), Vec::new(), Vec::new()]);
    let [a, b, c] = &mut others;
    let serving = async {
        let stream = tls(&gateway, root.clone(), "localhost").await;
        runs_getinfo(&gateway, stream, &rune).await;
    };
    within("all ends", async {
        // An end without a word from TLS is one too.
        let _ = tokio::join!(
            only_a_byte.read_to_end(&mut buffer),
            silent_inside.read_to_end(a),
            half_a_head.read_to_end(b),
            half_an_act.read_to_end(c),
            trickle,
            serving,
        );
    })
    .await;
    assert_eq!(buffer, b"");
}

#[tokio::test]
async fn what_is_neither_inside_is_closed() {
    let (gateway, rune) = Gateway::with_rune(self_signed()).await;
    let root = own_certificate(&gateway);
    for bytes in [&b"\x16\x03\x01\x02\x00"[..], b"\x01", b"\xff\xff", b"\n"] {
        let mut stream = tls(&gateway, root.clone(), "localhost").await;
        stream.write_all(bytes).await.unwrap();
        let mut answer = Vec::new();
        let _ = within("the end", stream.read_to_end(&mut answer)).await;
        assert_eq!(answer, b"", "{bytes:02x?}");
    }
    // No TLS behind a first byte that promises it: at most an alert comes back.
    for junk in [vec![0x16; 600], b"\x16\x03\x01\x00\x00".to_vec(), b"\x16\x03\x01\xff\xff".repeat(5000)] {
        let mut stream = tcp(gateway.address()).await;
        let _ = stream.write_all(&junk).await;
        let mut answer = Vec::new();
        let _ = within("the end", stream.read_to_end(&mut answer)).await;
        assert!(answer.is_empty() || answer.len() == 7 && answer[0] == 0x15, "{answer:02x?}");
    }
    runs_getinfo(&gateway, tls(&gateway, root, "localhost").await, &rune).await;
}

/// The node is known by its key, so the command line takes whatever certificate there is.
#[tokio::test]
async fn call_over_wss() {
    let authority = Authority::new();
    let setup = with_files(Setup::demo());
    place(&setup, &authority.issue("another.example"));
    let (gateway, rune) = Gateway::with_rune(setup).await;
    let uri = format!("{}&rune={rune}", gateway.ready.uri_wss.clone().unwrap());
    let called = gateway.cli(&["call", &uri, "getinfo"]).await;
    assert_eq!(called.code, 0, "{called:?}");
    assert!(called.stdout.contains("\"alias\""));

    // Somebody else under that certificate would not do.
    let stranger = Gateway::start(Setup::demo()).await;
    let wrong = uri.replace(gateway.node_id(), stranger.node_id());
    gateway.cli(&["call", &wrong, "getinfo"]).await.assert_refused(3, &["it is not node"]);

    let plain = stranger.ready.uri.replace("+ws:", "+wss:");
    let uri = format!("{plain}&rune={rune}");
    stranger.cli(&["call", &uri, "getinfo"]).await.assert_refused(3, &["cannot speak TLS", "commando+ws"]);
}
