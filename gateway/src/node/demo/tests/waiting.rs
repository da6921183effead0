use std::time::{Duration, Instant};

use bitcoin::hashes::{Hash, sha256};

use super::*;

#[tokio::test]
async fn waitanyinvoice_waits_and_times_out() {
    let (_dir, node, mut client) = demo().await;
    let before = Instant::now();
    assert_eq!(
        client.error("waitanyinvoice", json!({"timeout": 1})).await,
        json!({"code": 904, "message": "Timed out while waiting for invoice to be paid"})
    );
    assert!(before.elapsed() >= Duration::from_secs(1));

    let made = client.result("invoice", json!([5000, "wait", "d"])).await;
    let mut waiter = Client::new(&node).await;
    let waiting = waiter.result("waitanyinvoice", json!([]));
    let paying = async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        assert!(client.peer_pays("wait").await);
    };
    let (paid, ()) = tokio::join!(waiting, paying);
    assert_eq!(paid["status"], "paid");
    assert_eq!(paid["pay_index"], 1);
    assert_eq!(paid["amount_received_msat"], 5000);
    let preimage: Vec<u8> = (0..32)
        .map(|i| &paid["payment_preimage"].as_str().unwrap()[2 * i..2 * i + 2])
        .map(|byte| u8::from_str_radix(byte, 16).unwrap())
        .collect();
    assert_eq!(made["payment_hash"], sha256::Hash::hash(&preimage).to_string());
    // Asked for what is past, it answers at once; after the last payment it waits.
    assert_eq!(client.result("waitanyinvoice", json!([0])).await, paid);
    assert_eq!(client.error("waitanyinvoice", json!([1, 0])).await["code"], 904);
}

#[tokio::test]
async fn waitinvoice_tells_what_became_of_it() {
    let (_dir, node, mut client) = demo().await;
    assert_eq!(
        client.error("waitinvoice", json!(["nosuch"])).await,
        json!({"code": -1, "message": "Label not found"})
    );
    client.result("invoice", json!([5000, "paid", "d"])).await;
    client.result("invoice", json!([5000, "deleted", "d"])).await;
    client.result("invoice", json!([5000, "expired", "d", 1])).await;

    let (mut first, mut second, mut third) =
        (Client::new(&node).await, Client::new(&node).await, Client::new(&node).await);
    let happening = async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        assert!(client.peer_pays("paid").await);
        client.result("delinvoice", json!(["deleted", "unpaid"])).await;
    };
    let (paid, deleted, expired, ()) = tokio::join!(
        first.result("waitinvoice", json!(["paid"])),
        second.error("waitinvoice", json!(["deleted"])),
        third.error("waitinvoice", json!(["expired"])),
        happening,
    );
    assert_eq!(paid["status"], "paid");
    assert_eq!(paid["pay_index"], 1);
    assert_eq!(deleted, json!({"code": -1, "message": "invoice deleted during wait"}));
    assert_eq!((expired["code"].as_i64(), &expired["data"]["status"]), (Some(903), &json!("expired")));
    assert_eq!(client.result("waitinvoice", json!(["paid"])).await, paid);
    assert_eq!(client.error("waitinvoice", json!(["expired"])).await["code"], 903);
}

#[tokio::test]
async fn wait_counts_what_happens() {
    let (_dir, node, mut client) = demo().await;
    let invoices =
        |index: &str, next: u64| json!({"subsystem": "invoices", "indexname": index, "nextvalue": next});
    assert_eq!(
        client.result("wait", invoices("created", 0)).await,
        json!({"subsystem": "invoices", "created": 0})
    );
    for (index, method, params, status) in [
        ("created", "invoice", json!([5000, "l", "d"]), "unpaid"),
        ("updated", "dev-peerpays", json!(["l"]), "paid"),
        ("deleted", "delinvoice", json!(["l", "paid"]), "paid"),
    ] {
        let mut waiter = Client::new(&node).await;
        let waiting = waiter.result("wait", invoices(index, 1));
        let happening = async {
            tokio::time::sleep(Duration::from_millis(50)).await;
            client.result(method, params).await;
        };
        let (told, ()) = tokio::join!(waiting, happening);
        assert_eq!(keys(&told), ["subsystem", index, "invoices"]);
        assert_eq!(told[index], 1);
        assert_eq!(told["invoices"]["label"], "l");
        assert_eq!(told["invoices"]["status"], status);
    }
    let mut waiter = Client::new(&node).await;
    let waiting = waiter.result("wait", json!(["sendpays", "updated", 1]));
    let paying = async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        let made = client.result("dev-peerinvoice", json!([1000])).await;
        client.result("pay", json!([made["bolt11"]])).await;
    };
    let (told, ()) = tokio::join!(waiting, paying);
    assert_eq!(told["sendpays"]["status"], "complete");

    for (params, name) in [
        (json!(["nosuch", "created", 1]), "subsystem"),
        (json!(["invoices", "nosuch", 1]), "indexname"),
        (json!(["invoices", "created", -1]), "nextvalue"),
    ] {
        let error = client.error("wait", params).await;
        assert_eq!(error["code"], -32602);
        assert!(error["message"].as_str().unwrap().starts_with(name), "{error}");
    }
}

#[tokio::test]
async fn peers_pay_three_in_four() {
    let dir = TempDir::new().unwrap();
    let node = DemoNode::start(Options { payers: true, ..options(&dir, 8) }).await.unwrap();
    let mut client = Client::new(&node).await;
    let made_at = super::state::now();
    for label in 0..200 {
        client.result("invoice", json!([1000, label, "d"])).await;
    }
    // Made half a minute earlier, they are all due by now.
    node.node.store.ledger().invoices.backdate(40);
    let index = json!(["invoices", "updated", 100]);
    tokio::time::timeout(Duration::from_secs(10), client.result("wait", index)).await.unwrap();
    tokio::time::sleep(Duration::from_millis(500)).await;
    let listed = client.result("listinvoices", json!({"index": "updated"})).await;
    let paid = listed["invoices"].as_array().unwrap();
    assert!((120..=180).contains(&paid.len()), "{}", paid.len());
    assert!(paid.iter().all(|invoice| invoice["paid_at"].as_u64().unwrap() >= made_at));
}
