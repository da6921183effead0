//! Requests put together from parts, within bounds.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::time::{Duration, Instant};

use runeward_tests::client::{PART, padded};
use runeward_tests::invoices::{LIMIT, answered, before_invoices, listinvoices, refusal};
use runeward_tests::{Client, Gateway};
use serde_json::json;

#[tokio::test]
async fn parts_of_one_byte_and_empty_parts() {
    let (_node, gateway, rune) = before_invoices().await;
    let mut client = Client::connect(&gateway).await;
    let request = listinvoices("1", &rune);
    client.request_in_parts(1, &request, 1).await;
    assert_eq!(client.reply(1).await.text(), answered("1"));

    for _ in 0..3 {
        client.part(2, b"", false).await;
    }
    client.part(2, request.as_bytes(), false).await;
    client.part(2, b"", false).await;
    client.part(2, b"", true).await;
    assert_eq!(client.reply(2).await.text(), answered("1"));

    client.part(3, b"", true).await;
    assert_eq!(client.reply(3).await.text(), refusal(19536, "Invalid JSON"));
}

#[tokio::test]
async fn parts_split_inside_a_character() {
    let (_node, gateway, rune) = before_invoices().await;
    let mut client = Client::connect(&gateway).await;
    let request = listinvoices("é中😀", &rune);
    let emoji = request.find('😀').unwrap();
    for (id, at) in [emoji + 1, emoji + 2, emoji - 1].into_iter().enumerate() {
        let id = id as u64;
        let (head, tail) = request.as_bytes().split_at(at);
        client.part(id, head, false).await;
        client.part(id, tail, true).await;
        assert_eq!(client.reply(id).await.text(), answered("é中😀"));
    }
}

#[tokio::test]
async fn parts_of_several_requests_interleaved() {
    let (_node, gateway, rune) = before_invoices().await;
    let mut client = Client::connect(&gateway).await;
    let requests: Vec<String> = (0..10).map(|id| listinvoices(&format!("{id}"), &rune)).collect();
    let longest = requests.iter().map(String::len).max().unwrap();
    for at in (0..longest).step_by(20) {
        for (id, request) in requests.iter().enumerate() {
            if at < request.len() {
                let end = request.len().min(at + 20);
                let part = &request.as_bytes()[at..end];
                client.part(id as u64, part, end == request.len()).await;
            }
        }
    }
    for id in 0..10 {
        assert_eq!(client.reply(id).await.text(), answered(&format!("{id}")));
    }
}

#[tokio::test]
async fn one_mebibyte_and_not_a_byte_more() {
    let (_node, gateway, rune) = before_invoices().await;
    let mut client = Client::connect(&gateway).await;
    let request = listinvoices("1", &rune);
    for part in [PART, 65_525] {
        client.request_in_parts(6, padded(&request, LIMIT), part).await;
        assert_eq!(client.reply(6).await.text(), answered("1"));

        client.request_in_parts(6, padded(&request, LIMIT + 1), part).await;
        assert_eq!(client.reply(6).await.text(), refusal(19536, "Request too large"));

        // The id may be used again, with nothing left of what went before.
        client.request(6, &request).await;
        assert_eq!(client.reply(6).await.text(), answered("1"));
    }
}

/// One refusal for one request, however far over the limit it goes.
#[tokio::test]
async fn far_too_large_is_refused_once() {
    let (_node, gateway, rune) = before_invoices().await;
    let mut client = known(&gateway, &rune).await;
    client.request(6, vec![b' '; 4 * LIMIT]).await;
    client.request(7, listinvoices("1", &rune)).await;
    let first = client.next_reply().await.unwrap();
    assert_eq!(first.text(), refusal(19536, "Request too large"));
    assert_eq!(client.next_reply().await.unwrap().id, 7);
}

/// What would take long to read for its many values is refused before anything else is known of it, and what has as many as
/// can be is read.
#[tokio::test]
async fn no_more_values_than_can_be_meant() {
    let (_node, gateway, rune) = before_invoices().await;
    let mut client = Client::connect(&gateway).await;
    let request = |values: usize, rune: &str| {
        let params = vec!["[]"; values].join(",");
        format!(r#"{{"method":"listinvoices","params":[{params}],"id":"1","rune":"{rune}"}}"#)
    };
    // Beside them there are the request's own four.
    let most = 20_000 - 4;
    client.request(6, request(most, &rune)).await;
    assert_eq!(client.reply(6).await.text(), answered("1"));
    for rune in [&rune[..], "unknown"] {
        client.request(6, request(most + 1, rune)).await;
        let why = "Request too large: more than 20000 values";
        assert_eq!(client.reply(6).await.text(), refusal(19536, why));
    }
}

/// Partial requests draw on a pool, of which one address has an eighth: what is new is refused, what was begun is not lost.
#[tokio::test]
async fn partial_requests_are_bounded_and_never_evicted() {
    let (_node, gateway, rune) = before_invoices().await;
    let whole = padded(&listinvoices("1", &rune), LIMIT);
    let (head, tail) = whole.as_bytes().split_at(LIMIT - 1);
    let mut clients = Vec::new();
    for _ in 0..8 {
        let mut client = Client::connect(&gateway).await;
        for part in head.chunks(PART) {
            client.part(1, part, false).await;
        }
        clients.push(client);
    }
    let (mut answers, mut refusals) = (0, 0);
    for client in &mut clients {
        client.part(1, tail, true).await;
        let reply = client.reply(1).await;
        match reply.code() {
            None => answers += 1,
            Some(code) => {
                assert_eq!(code, 19542);
                let data = &reply.json()["error"]["data"];
                assert!(data["retry_after_ms"].is_u64() && data["limit"].is_string(), "{data}");
                refusals += 1;
            }
        }
    }
    assert!(answers >= 3 && refusals >= 1, "{answers} answered, {refusals} refused");
    // All has been given back.
    for client in &mut clients {
        client.request(2, &whole).await;
        assert_eq!(client.reply(2).await.text(), answered("1"));
    }
}

/// More requests begun than a connection may have: each too many is refused once, the others go on.
#[tokio::test]
async fn requests_begun_are_counted() {
    let (_node, gateway, rune) = before_invoices().await;
    let mut client = known(&gateway, &rune).await;
    let request = listinvoices("1", &rune);
    let (head, tail) = request.as_bytes().split_at(20);
    for id in 0..2000 {
        client.part(id, head, false).await;
    }
    for id in 0..2000 {
        client.part(id, tail, true).await;
    }
    client.request(5000, &request).await;
    let mut answers = vec![0; 2000];
    let mut refused = 0;
    loop {
        let reply = client.next_reply().await.unwrap();
        match reply.code() {
            None => assert_eq!(reply.text(), answered("1")),
            Some(code) => {
                assert_eq!(code, 19542, "{}", reply.text());
                refused += 1;
            }
        }
        if reply.id == 5000 {
            break;
        }
        answers[reply.id as usize] += 1;
    }
    // Those before the last are answered before it, but for the few that run beside it.
    assert!(answers.iter().all(|count| *count <= 1), "answered twice");
    assert!(answers.iter().filter(|count| **count == 1).count() >= 1980);
    assert!(refused < 1000);
}

/// Before it has shown a rune, a client's longest request comes at once, and what is more comes later.
#[tokio::test]
async fn strangers_are_read_slowly() {
    let (_node, gateway, rune) = before_invoices().await;
    let whole = padded(&listinvoices("1", &rune), LIMIT);
    let mut client = Client::connect(&gateway).await;
    let start = Instant::now();
    for id in 0..3 {
        client.request(id, whole.replace(&rune, "unknown")).await;
    }
    client.request(3, &whole).await;
    for id in 0..3 {
        assert_eq!(client.reply(id).await.text(), refusal(19536, "Invalid rune"));
    }
    assert_eq!(client.reply(3).await.text(), answered("1"));
    // Some 270 messages' worth each, of which 400 may come together and 100 a second.
    assert!(start.elapsed() > Duration::from_secs(5), "{:?}", start.elapsed());
}

/// A message too short to hold an id is ignored, and so are replies sent to us.
#[tokio::test]
async fn what_is_no_request_is_ignored() {
    let (_node, gateway, rune) = before_invoices().await;
    let mut client = Client::connect(&gateway).await;
    for message in
        [&b"\x4c\x4f"[..], b"\x4c\x4d\0\0\0\0\0\0\0", b"\x59\x4d\0\0\0\0\0\0\0\x01{}", b"", b"\x4c"]
    {
        client.send(message).await;
    }
    let reply = client.ask(listinvoices("1", &rune)).await;
    assert_eq!(reply.text(), answered("1"));
}

/// A client that has shown a good rune, so that it is read as fast as it sends.
async fn known(gateway: &Gateway, rune: &str) -> Client {
    let mut client = Client::connect(gateway).await;
    client.result("listinvoices", json!({}), rune).await;
    client
}
