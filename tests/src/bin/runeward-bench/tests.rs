//! Whole runs, against a peer that answers as each test wants it.

use std::net::SocketAddr;
use std::time::Duration;

use clap::{CommandFactory, Parser};
use runeward_noise::{Identity, Reader, Sealer};
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::accept_async;
use tokio_tungstenite::tungstenite::Message;

use crate::calls::{self, Plan, Tally};
use crate::load::{self, Request};
use crate::uri::Target;
use crate::{handshakes, idle};

const PLAN: Plan = Plan {
    connections: 3,
    in_flight: 4,
    duration: Duration::from_secs(60),
    calls: Some(300),
    rate: None,
    patience: Duration::from_secs(20),
    threads: 2,
};

#[test]
fn calls_are_answered_over_tcp_and_websocket() {
    for websocket in [false, true] {
        let tally = run(&PLAN, websocket, "getinfo", "[]");
        assert_eq!((tally.latencies.total(), tally.errors), (300, 0), "{tally:?}");
        assert!(tally.elapsed < Duration::from_secs(20));
    }
}

/// More than 1,000 messages each way on one connection: the keys rotate.
#[test]
fn many_calls_go_over_one_connection() {
    let plan = Plan { connections: 1, in_flight: 64, calls: Some(5_000), ..PLAN };
    let tally = run(&plan, true, "getinfo", "[]");
    assert_eq!((tally.latencies.total(), tally.errors), (5_000, 0), "{tally:?}");
}

#[test]
fn answers_may_come_in_any_order() {
    let plan = Plan { connections: 1, ..PLAN };
    let tally = run(&plan, false, "reversed", "[]");
    assert_eq!((tally.latencies.total(), tally.errors), (300, 0), "{tally:?}");
}

#[test]
fn a_reply_in_parts_is_one_answer_and_its_bytes_are_counted() {
    for websocket in [false, true] {
        let plan = Plan { connections: 1, in_flight: 2, calls: Some(4), ..PLAN };
        let tally = run(&plan, websocket, "large", "[]");
        assert_eq!((tally.latencies.total(), tally.errors), (4, 0), "{tally:?}");
        let envelope = r#"{"jsonrpc":"2.0","id":0,"result":""}"#.len();
        assert_eq!(tally.reply_bytes, 4 * (LARGE + envelope) as u64);
    }
}

#[test]
fn a_request_in_parts_arrives_whole() {
    let plan = Plan { calls: Some(12), ..PLAN };
    let params = format!("[\"{}\"]", "y".repeat(200_000));
    let tally = run(&plan, true, "getinfo", &params);
    assert_eq!((tally.latencies.total(), tally.errors), (12, 0), "{tally:?}");
}

#[test]
fn an_error_reply_is_an_error() {
    let tally = run(&PLAN, false, "refused", "[]");
    assert_eq!((tally.latencies.total(), tally.errors, tally.lost_connections), (0, 300, 0));
    assert_eq!(tally.first_error.unwrap(), REFUSAL);
}

#[test]
fn an_answer_with_another_calls_id_is_an_error() {
    let tally = run(&PLAN, false, "mixed", "[]");
    assert_eq!((tally.latencies.total(), tally.errors), (0, 300));
}

#[test]
fn pings_are_answered_while_calls_wait() {
    let tally = run(&Plan { calls: Some(12), ..PLAN }, true, "pinged", "[]");
    assert_eq!((tally.latencies.total(), tally.errors), (12, 0), "{tally:?}");
}

#[test]
fn a_lost_connection_fails_the_calls_in_flight() {
    let tally = run(&PLAN, false, "closed", "[]");
    assert_eq!((tally.latencies.total(), tally.errors, tally.lost_connections), (0, 12, 3));
    assert!(tally.first_loss.unwrap().contains("closed"));

    let tally = run(&PLAN, true, "warned", "[]");
    assert_eq!((tally.errors, tally.lost_connections), (12, 3));
    assert!(tally.first_loss.unwrap().contains("No common network"));
}

#[test]
fn silence_ends() {
    let plan = Plan { patience: Duration::from_millis(200), ..PLAN };
    let tally = run(&plan, false, "ignored", "[]");
    assert_eq!((tally.errors, tally.lost_connections), (12, 3));
    assert!(tally.first_loss.unwrap().contains("no bytes"));
}

#[test]
fn time_ends_a_run() {
    let plan = Plan { duration: Duration::from_millis(300), calls: None, ..PLAN };
    let tally = run(&plan, false, "getinfo", "[]");
    assert_eq!(tally.errors, 0);
    assert!(tally.latencies.total() > 0 && tally.elapsed < Duration::from_secs(5), "{tally:?}");
}

/// Two calls of each connection at 0, 1/3 and 2/3 of an interval, whatever is still in flight.
#[test]
fn calls_keep_a_pace() {
    let plan = Plan { duration: Duration::from_millis(1_900), calls: None, rate: Some(1.0), ..PLAN };
    let plan = Plan { threads: 1, ..plan };
    let tally = run(&plan, false, "getinfo", "[]");
    assert_eq!((tally.latencies.total(), tally.errors), (6, 0), "{tally:?}");
    assert!(tally.elapsed >= Duration::from_millis(1_600), "{tally:?}");
}

#[test]
fn handshakes_are_counted() {
    for websocket in [false, true] {
        let target = serve(websocket);
        let (tally, ()) = handshakes::run(&target, 3, Duration::from_millis(300), || Ok(())).unwrap();
        assert!(tally.latencies.total() >= 3 && tally.errors == 0, "{tally:?}");
    }
}

#[test]
fn idle_connections_are_kept() {
    let report = idle::run(&serve(true), 5, Duration::from_millis(100), Some(std::process::id())).unwrap();
    let json: Value = serde_json::from_str(&report.json().unwrap()).unwrap();
    assert_eq!((json["connections"].as_u64(), json["lost_connections"].as_u64()), (Some(5), Some(0)));
    assert!(json["bytes_per_connection"].is_number());
}

#[test]
fn a_peer_that_is_another_node_is_not_loaded() {
    let mut target = serve(false);
    target.node_id = Identity::generate().unwrap().node_id();
    let request = request("getinfo", "[]");
    let why = calls::run(&PLAN, || load::open(&target, &request), || Ok(())).unwrap_err();
    assert!(why.to_string().contains("is its node id"), "{why}");
}

#[test]
fn arguments_are_checked() {
    crate::Cli::command().debug_assert();
    let taken = |args: &str| crate::Cli::try_parse_from(args.split(' ')).is_ok();
    assert!(taken("runeward-bench load URI --rune -x --rate 0.5 --connections 1000 --server-pid 1 --json"));
    assert!(taken("runeward-bench stream URI --bytes 1000 --in-flight 2 --calls 3"));
    assert!(taken("runeward-bench idle URI --connections 10000 --seconds 65"));
    assert!(taken("runeward-bench floors handshake rune_3 --turns 11 --json"));
    for refused in [
        "load URI --rate 0",
        "load URI --connections 0",
        "stream URI --bytes 1",
        "idle URI --in-flight 2",
        "handshakes URI --seconds 0",
    ] {
        assert!(!taken(&format!("runeward-bench {refused}")), "{refused}");
    }
}

fn run(plan: &Plan, websocket: bool, method: &str, params: &str) -> Tally {
    let (target, request) = (serve(websocket), request(method, params));
    calls::run(plan, || load::open(&target, &request), || Ok(())).unwrap().0
}

fn request(method: &str, params: &str) -> Request {
    Request::new(method, params, RUNE)
}

const RUNE: &str = "a-rune=";
const REFUSAL: &str = r#"{"error":{"code":19537,"message":"Invalid rune: Not permitted: too soon"}}"#;
const LARGE: usize = 200_000;

/// Starts a peer on a port of its own; it lives as long as the test process.
fn serve(websocket: bool) -> Target {
    let identity = Identity::generate().unwrap();
    let node_id = identity.node_id();
    let (tell, told) = std::sync::mpsc::channel::<SocketAddr>();
    std::thread::spawn(move || {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            tell.send(listener.local_addr().unwrap()).unwrap();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let identity = identity.clone();
                if websocket {
                    let (ours, theirs) = tokio::io::duplex(1 << 20);
                    tokio::spawn(frame(stream, theirs));
                    tokio::spawn(peer(ours, identity));
                } else {
                    tokio::spawn(peer(stream, identity));
                }
            }
        });
    });
    Target { address: told.recv().unwrap().to_string(), websocket, node_id, rune: None }
}

/// Carries bytes between a WebSocket and `inner`, in frames of 1,000 bytes to cut where it hurts.
async fn frame(stream: TcpStream, inner: impl AsyncRead + AsyncWrite) {
    use futures_util::{SinkExt, StreamExt};
    let (mut out, mut frames) = accept_async(stream).await.unwrap().split();
    let (mut reader, mut writer) = tokio::io::split(inner);
    let inward = async {
        while let Some(Ok(message)) = frames.next().await {
            if writer.write_all(&message.into_data()).await.is_err() {
                break;
            }
        }
    };
    let outward = async {
        let mut buffer = [0; 1_000];
        while let Ok(filled @ 1..) = reader.read(&mut buffer).await {
            if out.send(Message::binary(buffer[..filled].to_vec())).await.is_err() {
                break;
            }
        }
        let _ = out.close().await;
    };
    tokio::join!(inward, outward);
}

/// Answers commando requests by the name of their method.
async fn peer(mut stream: impl AsyncRead + AsyncWrite + Unpin, identity: Identity) {
    let Ok((_, transport)) = runeward_noise::accept(&mut stream, &identity).await else {
        return;
    };
    let (reader, mut writer) = tokio::io::split(stream);
    let (mut reader, mut sealer) = (Reader::new(reader, transport.opener), transport.sealer);
    let mut out = Vec::new();
    // An odd message nobody knows, then init with a TLV.
    sealer.seal(&[&[0x80, 1, 9]], &mut out).unwrap();
    sealer.seal(&[&[0, 16, 0, 0, 0, 1, 8, 3, 2, 1, 1]], &mut out).unwrap();

    let mut request = Vec::new();
    let mut waiting: Vec<([u8; 8], Value)> = Vec::new();
    loop {
        if writer.write_all(&out).await.is_err() {
            return;
        }
        out.clear();
        let Ok(Some(message)) = reader.next().await else {
            return;
        };
        match message {
            [0, 16, ..] => continue,
            // The pong that the ping of "pinged" asked for.
            [0, 19, 0, 5, 0, 0, 0, 0, 0] => {
                let (id, call) = waiting.remove(0);
                reply(&mut sealer, &mut out, id, &success(&call["id"], "pong"));
                continue;
            }
            [0x4c, 0x4d | 0x4f, rest @ ..] => request.extend_from_slice(&rest[8..]),
            _ => panic!("unexpected message {message:?}"),
        }
        let id: [u8; 8] = message[2..10].try_into().unwrap();
        if message[1] == 0x4d {
            continue;
        }
        let call: Value = serde_json::from_slice(&request).unwrap();
        request.clear();
        assert_eq!(call["rune"], RUNE);
        match call["method"].as_str().unwrap() {
            "getinfo" => reply(&mut sealer, &mut out, id, &success(&call["id"], "fine")),
            "large" => {
                reply(&mut sealer, &mut out, id, &success(&call["id"], &"z".repeat(LARGE)));
            }
            "refused" => reply(&mut sealer, &mut out, id, REFUSAL),
            "mixed" => reply(&mut sealer, &mut out, id, &success(&Value::from(1u64 << 40), "other")),
            "pinged" => {
                waiting.push((id, call));
                sealer.seal(&[&[0, 18, 0, 5, 0, 0]], &mut out).unwrap();
            }
            "reversed" => {
                // In batches of all the calls that are in flight.
                waiting.push((id, call));
                if waiting.len() == PLAN.in_flight {
                    for (id, call) in waiting.drain(..).rev() {
                        reply(&mut sealer, &mut out, id, &success(&call["id"], "late"));
                    }
                }
            }
            "closed" => return,
            "warned" => {
                let warning: [&[u8]; 3] = [&[0, 1], &[0; 34], b"No common network"];
                sealer.seal(&warning, &mut out).unwrap();
                writer.write_all(&out).await.unwrap();
                return;
            }
            "ignored" => {}
            other => panic!("unexpected method {other}"),
        }
    }
}

fn success(id: &Value, text: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":{id},"result":"{text}"}}"#)
}

fn reply(sealer: &mut Sealer, out: &mut Vec<u8>, id: [u8; 8], json: &str) {
    let mut parts = json.as_bytes().chunks(65_000).peekable();
    while let Some(part) = parts.next() {
        let kind = if parts.peek().is_some() { [0x59, 0x4b] } else { [0x59, 0x4d] };
        sealer.seal(&[&kind, &id, part], out).unwrap();
    }
}
