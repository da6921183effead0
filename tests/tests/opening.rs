//! How connections begin: the header of a proxy, and the time that all of it may take.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::time::Duration;

use runeward_tests::client::{identity, tcp};
use runeward_tests::{Client, Gateway, Setup, eventually, stream, within};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const V2_SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

/// A header of version 2 from 203.0.113.`last`.
fn v2(last: u8, tlvs: &[u8]) -> Vec<u8> {
    let addresses = [203, 0, 113, last, 10, 0, 0, 1, 0xdd, 0xd5, 0x26, 0x08];
    let length = u16::try_from(addresses.len() + tlvs.len()).unwrap().to_be_bytes();
    [V2_SIGNATURE, &[0x21, 0x11], &length, &addresses, tlvs].concat()
}

fn v1(source: &str) -> Vec<u8> {
    let family = if source.contains(':') { "TCP6" } else { "TCP4" };
    let here = if source.contains(':') { "::1" } else { "10.0.0.1" };
    format!("PROXY {family} {source} {here} 56789 9736\r\n").into_bytes()
}

/// A gateway behind a proxy on this machine, with a rune.
async fn behind_a_proxy(limits: &str) -> (Gateway, String) {
    let toml = format!("proxy_protocol_from = ['127.0.0.0/8']\n[limits]\n{limits}");
    let setup = Setup::demo().env("RUST_LOG", "debug").config(&toml);
    let rune = setup.rune(&["create"]).await.line().to_owned();
    (Gateway::start(setup).await, rune)
}

async fn after(gateway: &Gateway, header: &[u8]) -> TcpStream {
    let mut stream = tcp(gateway.address()).await;
    stream.write_all(header).await.unwrap();
    stream
}

/// A client behind this header; `None` where the gateway will not have it.
async fn client_after(gateway: &Gateway, header: &[u8]) -> Option<Client> {
    let stream = after(gateway, header).await;
    let mut client = Client::try_over(stream, gateway.node_id(), &identity(), 100).await.ok()?;
    client.init().await;
    Some(client)
}

/// What comes back to the end of the connection.
async fn rest(mut stream: TcpStream) -> Vec<u8> {
    let mut rest = Vec::new();
    let _ = within("the end", stream.read_to_end(&mut rest)).await;
    rest
}

#[tokio::test]
async fn connections_of_a_proxy_count_by_the_address_they_carry() {
    let (gateway, rune) = behind_a_proxy("connections_per_address = 2\n").await;
    let mut clients = Vec::new();
    for header in [
        v1("203.0.113.7"),
        v2(7, &[0x04, 0, 3, 1, 2, 3, 0x02, 0, 4, b'h', b'o', b's', b't']),
        v2(8, &[]),
        v1("2001:db8::7"),
        v1("2001:db8::ffff:8"),
        b"PROXY UNKNOWN\r\n".to_vec(),
        [V2_SIGNATURE, &[0x20, 0, 0, 0]].concat(),
    ] {
        let mut client = client_after(&gateway, &header).await.unwrap();
        client.result("getinfo", json!({}), &rune).await;
        clients.push(client);
    }
    for header in [v2(7, &[]), v1("203.0.113.7"), v1("2001:db8::9"), b"PROXY UNKNOWN\r\n".to_vec()] {
        assert!(client_after(&gateway, &header).await.is_none(), "a third: {header:02x?}");
    }
    let stream = after(&gateway, &v2(8, &[])).await;
    let url = format!("ws://{}/", gateway.address());
    let (socket, _) = stream::websocket_over(stream, &url, stream::Frames::Of(100)).await;
    let mut client = Client::over(socket, gateway.node_id(), &identity()).await;
    client.init().await;
    client.result("getinfo", json!({}), &rune).await;
    clients.truncate(1);
    eventually("room again", async || client_after(&gateway, &v1("203.0.113.7")).await.is_some()).await;
    let log = gateway.log();
    assert!(
        log.contains("address=203.0.113.7:56789") && log.contains("address=[2001:db8::7]:56789"),
        "{log}"
    );
    assert!(log.contains("connections_per_address"), "{log}");
}

#[tokio::test]
async fn a_header_may_drip_but_not_for_ever() {
    let (gateway, rune) = behind_a_proxy("handshake_seconds = 2\n").await;
    for header in [v1("203.0.113.7"), v2(8, &[0; 40])] {
        let mut stream = tcp(gateway.address()).await;
        for byte in &header {
            stream.write_all(&[*byte]).await.unwrap();
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let mut client = Client::over(stream, gateway.node_id(), &identity()).await;
        client.init().await;
        client.result("getinfo", json!({}), &rune).await;
    }
    for cut in [&v1("203.0.113.7")[..20], &v2(7, &[])[..14], &v2(7, &[0; 400])[..300], b""] {
        assert_eq!(rest(after(&gateway, cut).await).await, b"", "{cut:02x?}");
    }
}

#[tokio::test]
async fn a_proxy_without_a_header_is_refused_and_a_header_without_a_proxy() {
    let (gateway, rune) = behind_a_proxy("").await;
    let huge = [V2_SIGNATURE, &[0x21, 0x11, 0xff, 0xff], &[0; 5000]].concat();
    let endless = [b"PROXY TCP4 ".to_vec(), vec![b'1'; 5000]].concat();
    for bytes in
        [&b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"[..], &[0; 50], b"PROXY\r\n\r\n\r\n\r\n\r\n", &huge, &endless]
    {
        let mut stream = tcp(gateway.address()).await;
        let _ = stream.write_all(bytes).await;
        assert_eq!(rest(stream).await, b"", "{:02x?}", &bytes[..12]);
    }
    client_after(&gateway, &v1("10.1.2.3")).await.unwrap().result("getinfo", json!({}), &rune).await;

    let (open, rune) = Gateway::demo().await;
    for header in [v1("203.0.113.7"), v2(7, &[])] {
        assert!(client_after(&open, &header).await.is_none(), "{header:02x?}");
        let answer = rest(after(&open, &header).await).await;
        assert!(answer.is_empty() || answer.starts_with(b"HTTP/1.1 4"), "{answer:02x?}");
    }
    Client::connect(&open).await.result("getinfo", json!({}), &rune).await;
}

#[tokio::test]
async fn handshakes_have_their_time() {
    let (gateway, rune) = Gateway::with_rune(Setup::demo().arg("--limit").arg("handshake_seconds=1")).await;
    let mut client = Client::connect(&gateway).await;
    for silence in [&b""[..], &[0; 49], b"GET / HTTP/1.1\r\nHost: "] {
        rest(after(&gateway, silence).await).await;
    }
    client.result("getinfo", json!({}), &rune).await;
}
