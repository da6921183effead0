//! Pairing: an offer becomes one rune, of the first device to claim it, and nothing else.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use runeward_noise::Identity;
use runeward_policy::Rune;
use runeward_tests::client::{identity, request};
use runeward_tests::{Client, End, Gateway, Setup, eventually, runes};
use serde_json::{Value, json};

/// The owner's own connection.
struct Owner {
    client: Client,
    admin: String,
}

struct Offer {
    id: u64,
    expires_at: u64,
    rune: String,
}

impl Owner {
    async fn of(gateway: &Gateway, admin: &str) -> Self {
        Self { client: Client::connect(gateway).await, admin: admin.to_owned() }
    }

    async fn call(&mut self, method: &str, params: Value) -> Value {
        self.client.result(method, params, &self.admin).await
    }

    async fn offer(&mut self, params: Value) -> Offer {
        let offer = self.call("runeward-offer", params).await;
        let (_, rune) = offer["uri"].as_str().unwrap().split_once("&rune=").unwrap();
        let whole = |member: &str| offer[member].as_u64().unwrap();
        Offer { id: whole("offer_id"), expires_at: whole("expires_at"), rune: rune.to_owned() }
    }

    async fn wait(&mut self, offer: &Offer) -> Value {
        self.call("runeward-waitoffer", json!({"offer_id": offer.id})).await
    }

    /// Unique ids of the runes there are, those of offers aside.
    async fn runes(&mut self) -> Vec<u64> {
        let grants = self.call("runeward-grants", json!({})).await;
        let grants = grants["grants"].as_array().unwrap();
        grants.iter().map(|grant| grant["unique_id"].as_u64().unwrap()).collect()
    }
}

async fn claim(phone: &mut Client, offer: &Offer) -> Value {
    phone.call("runeward-pair", json!({}), &offer.rune).await
}

fn refused(reply: &Value, why: &str) {
    assert_eq!(reply["error"]["code"], 19537, "{reply}");
    let message = reply["error"]["message"].as_str().unwrap();
    assert!(message.starts_with("Invalid rune: ") && message.contains(why), "{message}");
}

fn text<'a>(value: &'a Value, member: &str) -> &'a str {
    value[member].as_str().unwrap_or_else(|| panic!("no text {member} in {value}"))
}

async fn until(unix_seconds: u64) {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    tokio::time::sleep(Duration::from_secs(unix_seconds).saturating_sub(now)).await;
}

fn alerts(gateway: &Gateway) -> usize {
    gateway.log().lines().filter(|line| line.contains("used twice")).count()
}

/// Two phones scan one QR code at the same time, a thousand times over.
#[tokio::test]
async fn of_two_phones_one_gets_it() {
    let (gateway, admin) = Gateway::demo().await;
    let mut owner = Owner::of(&gateway, &admin).await;
    let ids = [identity(), identity()];
    let mut phones =
        [Client::connect_as(&gateway, &ids[0]).await, Client::connect_as(&gateway, &ids[1]).await];
    for race in 0..1000 {
        let offer = owner.offer(json!({})).await;
        let [first, second] = &mut phones;
        let replies = tokio::join!(claim(first, &offer), claim(second, &offer));
        let replies = [replies.0, replies.1];
        let winner = replies.iter().position(|reply| reply.get("result").is_some());
        let winner = winner.unwrap_or_else(|| panic!("nobody got it in race {race}: {replies:?}"));
        refused(&replies[1 - winner], "claimed by another device");
        let rune = text(&replies[winner]["result"], "rune");
        let id = ids[winner].node_id().to_string();
        assert!(Rune::decode(rune).unwrap().restrictions_text().ends_with(&format!("&id={id}")), "{rune}");
        let seen = owner.wait(&offer).await;
        assert_eq!((text(&seen, "status"), text(&seen, "node_id")), ("claimed", id.as_str()));
        assert_eq!(seen["used_twice"], true);
        assert_eq!(seen["refused"], 1);
    }
    eventually("each race is logged", async || alerts(&gateway) == 1000).await;
}

/// What was got works, for the key that got it and for no other.
#[tokio::test]
async fn a_claimed_rune_serves_its_phone_alone() {
    let (gateway, admin) = Gateway::demo().await;
    let mut owner = Owner::of(&gateway, &admin).await;
    let offer = owner.offer(json!({"restrictions": [["method=getinfo"]], "name": "phone"})).await;
    let key = identity();
    let id = key.node_id().to_string();
    let mut phone = Client::connect_as(&gateway, &key).await;
    let got = claim(&mut phone, &offer).await["result"].take();
    let rune = text(&got, "rune");
    assert_eq!(got["unique_id"], runes::unique_id(rune));
    assert_eq!(Rune::decode(rune).unwrap().restrictions_text(), format!("method=getinfo&id={id}"));
    assert_eq!(got["restrictions_as_english"], format!("method equal to getinfo AND id equal to {id}"));
    assert_eq!(got["restrictions"], json!(["method=getinfo", format!("id={id}")]));
    assert_eq!((text(&got, "node_id"), text(&got, "name")), (id.as_str(), "phone"));
    assert_eq!(got["expires_at"], Value::Null);

    phone.result("getinfo", json!({}), rune).await;
    refused(&phone.call("listpeers", json!({}), rune).await, "method is not equal to getinfo");
    let mut thief = Client::connect(&gateway).await;
    refused(&thief.call("getinfo", json!({}), rune).await, "id is not equal to");
    let child = runes::narrow(rune, "pnum=0");
    refused(&thief.call("getinfo", json!({}), &child).await, "id is not equal to");
    phone.result("getinfo", json!({}), &child).await;

    // The owner knows it, and can take it back.
    let grants = owner.call("runeward-grants", json!({"id": got["unique_id"]})).await;
    let grant = &grants["grants"][0];
    assert_eq!((text(grant, "name"), text(grant, "bound_peer")), ("phone", id.as_str()));
    assert_eq!(grant["offer_id"], offer.id);
    owner.call("runeward-revoke", json!({"ids": ["phone"]})).await;
    refused(&phone.call("getinfo", json!({}), rune).await, "Blacklisted");
    // Nor is it handed out again.
    refused(&claim(&mut phone, &offer).await, "Blacklisted");
}

/// Someone photographed the QR code over the owner's shoulder.
#[tokio::test]
async fn a_copied_qr_is_refused_and_told() {
    let (gateway, admin) = Gateway::demo().await;
    let mut owner = Owner::of(&gateway, &admin).await;
    let offer = owner.offer(json!({})).await;
    let mut phone = Client::connect(&gateway).await;
    let got = claim(&mut phone, &offer).await;
    let seen = owner.wait(&offer).await;
    assert_eq!((&seen["used_twice"], &seen["refused"]), (&json!(false), &json!(0)));
    assert_eq!(alerts(&gateway), 0);

    let thief_key = identity();
    let mut thief = Client::connect_as(&gateway, &thief_key).await;
    for _ in 0..3 {
        refused(&claim(&mut thief, &offer).await, "claimed by another device");
    }
    let seen = owner.wait(&offer).await;
    assert_eq!((&seen["used_twice"], &seen["refused"]), (&json!(true), &json!(1)));
    assert_eq!(text(&seen, "refused_node_id"), thief_key.node_id().to_string());
    assert_eq!(seen["unique_id"], got["result"]["unique_id"]);
    eventually("it is logged", async || alerts(&gateway) == 1).await;
    assert_eq!(owner.runes().await.len(), 2, "the owner's and the phone's");
}

/// A phone that is too slow, and an owner who waits for it: from the second it says, the offer is dead.
#[tokio::test]
async fn an_offer_dies_in_its_time() {
    let (gateway, admin) = Gateway::demo().await;
    let mut owner = Owner::of(&gateway, &admin).await;
    let offer = owner.offer(json!({"for": 2})).await;
    let seen = owner.wait(&offer).await;
    assert_eq!(text(&seen, "status"), "expired");
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    assert!(now.as_secs() >= offer.expires_at, "{now:?}");
    let mut phone = Client::connect(&gateway).await;
    refused(&claim(&mut phone, &offer).await, "time is greater or equal to");
    assert_eq!(owner.runes().await.len(), 1);
}

/// The offer outlives a restart, and its end does not.
#[tokio::test]
async fn a_restart_changes_nothing() {
    let (gateway, admin) = Gateway::demo().await;
    let mut owner = Owner::of(&gateway, &admin).await;
    let long = owner.offer(json!({})).await;
    let short = owner.offer(json!({"for": 1})).await;
    let gateway = gateway.restart().await;
    until(short.expires_at).await;
    let key = identity();
    let mut phone = Client::connect_as(&gateway, &key).await;
    refused(&claim(&mut phone, &short).await, "time is greater or equal to");
    let got = claim(&mut phone, &long).await["result"].take();
    let rune = text(&got, "rune").to_owned();
    phone.result("getinfo", json!({}), &rune).await;

    // Spent, it stays spent; and who has it gets it again.
    let gateway = gateway.restart().await;
    let mut other = Client::connect(&gateway).await;
    refused(&claim(&mut other, &long).await, "claimed by another device");
    let mut phone = Client::connect_as(&gateway, &key).await;
    assert_eq!(claim(&mut phone, &long).await["result"]["rune"], rune);
    phone.result("getinfo", json!({}), &rune).await;
}

/// The connection breaks after the claim and before the answer: the phone asks again.
#[tokio::test]
async fn a_lost_answer_is_given_again() {
    let (gateway, admin) = Gateway::demo().await;
    let mut owner = Owner::of(&gateway, &admin).await;
    let offer = owner.offer(json!({})).await;
    let key = identity();
    let mut phone = Client::connect_as(&gateway, &key).await;
    phone.request(7, request(&json!(7), "runeward-pair", &json!({"name": "phone"}), &offer.rune)).await;
    let seen = owner.wait(&offer).await;
    drop(phone);
    let mut phone = Client::connect_as(&gateway, &key).await;
    let got = phone.result("runeward-pair", json!({"name": "another"}), &offer.rune).await;
    assert_eq!((&got["unique_id"], text(&got, "name")), (&seen["unique_id"], "phone"));
    phone.result("getinfo", json!({}), text(&got, "rune")).await;
    assert_eq!(owner.runes().await.len(), 2, "no second one was made");
    assert_eq!(seen["used_twice"], false);
}

/// A pairing rune does one thing: it becomes what its offer says.
#[tokio::test]
async fn a_pairing_rune_does_nothing_else() {
    let (gateway, admin) = Gateway::demo().await;
    let mut owner = Owner::of(&gateway, &admin).await;
    let offer = owner.offer(json!({"restrictions": [["method=getinfo"]]})).await;
    let mut phone = Client::connect(&gateway).await;
    let methods = [
        "createrune",
        "invokerune",
        "showrunes",
        "checkrune",
        "blacklistrune",
        "destroyrune",
        "runeward-create",
        "runeward-offer",
        "runeward-waitoffer",
        "runeward-grants",
        "runeward-revoke",
        "runeward-peer",
        "getinfo",
        "help",
        "pay",
        "commando",
        "check",
        "sql",
        "runeward-pairing",
        "runeward",
        "",
    ];
    for method in methods {
        refused(&phone.call(method, json!({}), &offer.rune).await, "method is not equal to runeward-pair");
    }
    // What else it is asked for does not change what it gives.
    for params in [
        json!({"name": "x", "restrictions": []}),
        json!({"preset": "admin"}),
        json!(["x", "admin"]),
        json!({"name": ["x"]}),
    ] {
        let reply = phone.call("runeward-pair", params, &offer.rune).await;
        assert_eq!(reply["error"]["code"], -32602, "{reply}");
    }
    // Whoever has the rune can narrow it, which widens nothing.
    let narrowed = runes::narrow(&offer.rune, "method=runeward-pair|method=getinfo");
    refused(&phone.call("getinfo", json!({}), &narrowed).await, "method is not equal to runeward-pair");
    let got = phone.result("runeward-pair", json!({}), &narrowed).await;
    assert!(text(&got, "restrictions_as_english").starts_with("method equal to getinfo AND id equal to "));
    assert_eq!(owner.runes().await.len(), 2);
    // And a rune that may do anything is no offer's.
    let reply = phone.call("runeward-pair", json!({}), &admin).await;
    assert_eq!(reply["error"]["code"], -32602, "{reply}");
}

/// The owner takes the offer back, from wherever: it ends at once, for the phone and for who waits.
#[tokio::test]
async fn an_offer_taken_back_is_dead_at_once() {
    let (gateway, admin) = Gateway::demo().await;
    let mut owner = Owner::of(&gateway, &admin).await;
    let mut waiting = Owner::of(&gateway, &admin).await;
    let mut phone = Client::connect(&gateway).await;
    for by_command in [false, true] {
        let offer = owner.offer(json!({})).await;
        let begun = std::time::Instant::now();
        let take_back = async {
            tokio::time::sleep(Duration::from_millis(100)).await;
            match by_command {
                true => assert_eq!(gateway.setup().rune(&["revoke", &offer.id.to_string()]).await.code, 0),
                false => drop(owner.call("runeward-revoke", json!({"ids": [offer.id]})).await),
            }
        };
        let (seen, ()) = tokio::join!(waiting.wait(&offer), take_back);
        assert_eq!(text(&seen, "status"), "cancelled");
        assert!(begun.elapsed() < Duration::from_secs(30), "long before it would have ended");
        refused(&claim(&mut phone, &offer).await, "Blacklisted");
    }
    assert_eq!(owner.runes().await.len(), 1);
}

#[tokio::test]
async fn names() {
    let (gateway, admin) = Gateway::demo().await;
    let mut owner = Owner::of(&gateway, &admin).await;
    let mut phone = Client::connect(&gateway).await;
    let mut paired = async |name: Value, claim: Value| {
        let offer = owner.offer(json!({"name": name})).await;
        let got = phone.result("runeward-pair", json!({"name": claim}), &offer.rune).await;
        text(&got, "name").to_owned()
    };
    assert_eq!(paired(json!("kitchen"), json!("mine")).await, "kitchen", "the owner's wins");
    assert_eq!(paired(json!("kitchen"), json!(null)).await, "kitchen (2)");
    assert_eq!(paired(json!(null), json!("kitchen")).await, "kitchen (3)");
    let long = "é".repeat(32);
    assert_eq!(paired(json!(null), json!(long)).await, long);
    assert_eq!(paired(json!(null), json!(long)).await, format!("{} (2)", "é".repeat(30)));
    let words = paired(json!(null), json!(null)).await;
    assert_eq!(words.split(' ').count(), 3, "its fingerprint: {words}");
    for bad in ["", "a\nb", "\u{1b}[2J", "123", &"x".repeat(65), "a\u{202e}b"] {
        let offer = owner.offer(json!({})).await;
        let reply = phone.call("runeward-pair", json!({"name": bad}), &offer.rune).await;
        assert_eq!(reply["error"]["code"], -32602, "{bad:?}: {reply}");
        let reply = owner.client.call("runeward-offer", json!({"name": bad}), &admin).await;
        assert_eq!(reply["error"]["code"], -32602, "{bad:?}: {reply}");
        // A bad name spends nothing.
        assert!(claim(&mut phone, &offer).await.get("result").is_some());
    }
}

/// Nothing said is narrow; and what makes no sense is not offered.
#[tokio::test]
async fn what_is_offered() {
    let (gateway, admin) = Gateway::demo().await;
    let mut owner = Owner::of(&gateway, &admin).await;
    let mut phone = Client::connect(&gateway).await;
    let offer = owner.offer(json!({})).await;
    let left = offer.expires_at - SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    assert!((50..=60).contains(&left), "{left} s");
    let got = claim(&mut phone, &offer).await["result"].take();
    let rune = text(&got, "rune");
    phone.result("getinfo", json!({}), rune).await;
    for method in ["pay", "invoice", "listfunds", "createrune", "runeward-offer"] {
        refused(&phone.call(method, json!({}), rune).await, "method is not equal to");
    }
    let offer = owner.offer(json!({"preset": "pay", "expires_in": 3600, "restrictions": [["pnum<3"]]})).await;
    let got = claim(&mut phone, &offer).await["result"].take();
    let end = got["expires_at"].as_u64().unwrap();
    assert!((3500..=3700).contains(&(end - offer.expires_at + 60)), "{got}");
    for (params, why) in [
        (json!({"preset": "pay"}), "expires_in"),
        (json!({"preset": "nosuch"}), "preset"),
        (json!({"restrictions": [["id=02"]]}), "id"),
        (json!({"restrictions": [["time<5"]]}), "never hold"),
        (json!({"restrictions": [["nosuch!"]]}), "nosuch"),
        (json!({"restrictions": "x"}), "restriction"),
        (json!({"for": 61}), "60"),
        (json!({"for": 0}), "60"),
        (json!({"expires_in": -1}), "expires_in"),
        (json!({"nosuch": 1}), "nosuch"),
    ] {
        let reply = owner.client.call("runeward-offer", params.clone(), &admin).await;
        assert_eq!(reply["error"]["code"], -32602, "{params}: {reply}");
        assert!(text(&reply["error"], "message").contains(why), "{params}: {reply}");
    }
    let reply = owner.client.call("runeward-waitoffer", json!({"offer_id": 5}), &admin).await;
    assert_eq!(reply["error"]["code"], -32602, "{reply}");
}

/// A rune made over the wire, as `runeward rune create` makes it, and what it would be before it is.
#[tokio::test]
async fn a_rune_is_made_as_on_the_command_line() {
    let (gateway, admin) = Gateway::demo().await;
    let mut owner = Owner::of(&gateway, &admin).await;
    let wanted = json!({"preset": "receive", "restrictions": [["pnum<4", "pnum=9"]], "name": "till", "expires_in": 3600});
    let mut looked = wanted.clone();
    looked["preview"] = json!(true);
    let preview = owner.call("runeward-create", looked).await;
    assert_eq!((&preview["rune"], &preview["unique_id"]), (&Value::Null, &Value::Null));
    assert!(
        preview["explained"][0].as_str().unwrap().starts_with("Only the 10 commands of the preset receive"),
        "{preview}"
    );
    assert!(
        preview["warnings"][0].as_str().unwrap().starts_with("can fill the node's disk with records"),
        "{preview}"
    );
    assert_eq!(preview["restrictions"][2], "pnum<4|pnum=9");
    assert_eq!(owner.runes().await.len(), 1, "none but the owner's was made");

    let made = owner.call("runeward-create", wanted).await;
    let mut till = Client::connect(&gateway).await;
    till.result("getinfo", json!({}), text(&made, "rune")).await;
    refused(&till.call("pay", json!({}), text(&made, "rune")).await, "method is not equal to");
    let grants = owner.call("runeward-grants", json!({"id": "till"})).await;
    let grant = &grants["grants"][0];
    assert_eq!((&grant["unique_id"], &grant["preset"]), (&made["unique_id"], &json!("receive")));
    assert!(
        (0..=3).contains(&(made["expires_at"].as_i64().unwrap() - preview["expires_at"].as_i64().unwrap()))
    );

    // Nothing said is narrow here too; everything is a preset of its own.
    let made = owner.call("runeward-create", json!({})).await;
    assert_eq!(made["warnings"], json!([]));
    let made = owner.call("runeward-create", json!({"preset": "admin"})).await;
    assert!(made["warnings"][0].as_str().unwrap().contains("spend everything"), "{made}");
    let bound = json!({"restrictions": [[format!("id={}", "02".repeat(33))]]});
    let made = owner.call("runeward-create", bound).await;
    refused(&till.call("getinfo", json!({}), text(&made, "rune")).await, "id is not equal to");
    for (params, why) in [
        (json!({"preset": "pay"}), "expires_in"),
        (json!({"restrictions": [["time<5"]]}), "never hold"),
        (json!({"restrictions": [["nosuch!"]]}), "nosuch"),
        (json!({"name": ""}), "name"),
        (json!({"preview": 1}), "preview"),
        (json!({"for": 5}), "for"),
    ] {
        let reply = owner.client.call("runeward-create", params.clone(), &admin).await;
        assert_eq!(reply["error"]["code"], -32602, "{params}: {reply}");
        assert!(text(&reply["error"], "message").contains(why), "{params}: {reply}");
    }
}

/// Who waits for an offer is told, at the end of the gateway too.
#[tokio::test]
async fn waiting_ends_with_the_gateway() {
    let (gateway, admin) = Gateway::demo().await;
    let mut owner = Owner::of(&gateway, &admin).await;
    let offer = owner.offer(json!({})).await;
    let params = json!({"offer_id": offer.id});
    owner.client.request(1, request(&json!(1), "runeward-waitoffer", &params, &admin)).await;
    // It waits, and holds up nothing.
    owner.call("getinfo", json!({})).await;
    gateway.terminate().await;
    assert_eq!(owner.client.reply(1).await.code(), Some(19543));
    assert_eq!(owner.client.end().await, End::Clean);
}

/// And when the rune that lets it wait is revoked.
#[tokio::test]
async fn waiting_ends_with_its_rune() {
    let (gateway, admin) = Gateway::demo().await;
    let mut owner = Owner::of(&gateway, &admin).await;
    let offer = owner.offer(json!({})).await;
    let helper = gateway.rune(&["method=runeward-waitoffer|method=getinfo"]).await;
    let mut waiting = Client::connect(&gateway).await;
    let params = json!({"offer_id": offer.id});
    waiting.request(1, request(&json!(1), "runeward-waitoffer", &params, &helper)).await;
    waiting.result("getinfo", json!({}), &helper).await;
    owner.call("runeward-revoke", json!({"ids": [runes::unique_id(&helper)]})).await;
    assert_eq!(waiting.reply(1).await.code(), Some(19544));
}

/// Nothing of an offer stands in the log but that it was used.
#[tokio::test]
async fn logs_hold_no_pairing_rune() {
    let (gateway, admin) = Gateway::with_rune(Setup::demo().env("RUST_LOG", "trace")).await;
    let mut owner = Owner::of(&gateway, &admin).await;
    let offer = owner.offer(json!({})).await;
    let key: Identity = identity();
    let mut phone = Client::connect_as(&gateway, &key).await;
    let got = claim(&mut phone, &offer).await["result"].take();
    claim(&mut Client::connect(&gateway).await, &offer).await;
    eventually("it is logged", async || alerts(&gateway) == 1).await;
    let log = gateway.log();
    assert!(!log.contains(&offer.rune[..40]) && !log.contains(&text(&got, "rune")[..40]));
    assert!(log.contains(&key.node_id().to_string()), "who claimed it");
}
