//! Strangers that misbehave at every layer, and beside them honest clients of whose calls none is lost, doubled or answered
//! with another's reply. `cargo test --test hostile -- --nocapture` shows what each attack costs.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::time::Duration;

use runeward_tests::client::{self, Client};
use runeward_tests::hostile::honest::{Honest, Ledger, Work};
use runeward_tests::hostile::{
    Acts, Attack, Frames, Http, Json, Messages, Parts, Plan, Runes, Tcp, Tls, WebSocket, beside,
};
use runeward_tests::{Answer, FakeNode, Gateway, Setup};
use serde_json::json;
use tokio::net::TcpSocket;

/// What the gateway may hold at most, whatever is done to it here, in bytes.
const MEMORY: u64 = 256 << 20;

/// How long honest clients work alone, to be compared with.
const QUIET: Duration = Duration::from_millis(700);

async fn withstood(attack: Attack, count: usize, at_once: usize) {
    let node = FakeNode::start().await;
    let ledger = Ledger::of(&node);
    let setup = Setup::fake(&node).arg("--tls").arg("self-signed");
    let (gateway, rune) = Gateway::with_rune(setup).await;
    let row = beside(&gateway, &ledger, &rune, Plan { attack, count, at_once, quiet: QUIET }).await;
    assert!(row.peak < MEMORY, "{} bytes at the peak", row.peak);
}

/// Every attack is a test: its name, how often, how many at once.
macro_rules! attacks {
    ($($layer:ident { $($test:ident = $attack:ident: $count:literal, $at_once:literal;)* })*) => {
        $($(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $test() {
                withstood(Attack::$layer($layer::$attack), $count, $at_once).await;
            }
        )*)*

        #[test]
        fn every_attack_is_a_test() {
            let tested = [$($(Attack::$layer($layer::$attack)),*),*];
            assert_eq!(tested.to_vec(), Attack::all());
        }
    };
}

attacks! {
    Tcp {
        tcp_silent = Silent: 400, 400;
        tcp_drip = Drip: 200, 200;
        tcp_reset = Reset: 2000, 50;
        tcp_half_close = HalfClose: 1000, 50;
        tcp_vanish = Vanish: 500, 50;
        tcp_garbage = Garbage: 2000, 50;
    }
    Http {
        http_slow_head = SlowHead: 200, 200;
        http_giant_header = GiantHeader: 300, 20;
        http_many_headers = ManyHeaders: 300, 20;
        http_giant_path = GiantPath: 300, 20;
        http_smuggled = Smuggled: 300, 20;
        http_pipelined = Pipelined: 300, 20;
        http_endless_body = EndlessBody: 200, 100;
        http_other_host = OtherHost: 500, 20;
        http_other_origin = OtherOrigin: 500, 20;
        http_verbs = Verbs: 500, 20;
        http_other_upgrade = OtherUpgrade: 500, 20;
        http_two_upgrades = TwoUpgrades: 100, 100;
    }
    WebSocket {
        websocket_unmasked = Unmasked: 300, 20;
        websocket_giant_length = GiantLength: 300, 20;
        websocket_giant_frame = GiantFrame: 100, 20;
        websocket_endless_message = EndlessMessage: 100, 20;
        websocket_empty_fragments = EmptyFragments: 40, 40;
        websocket_text = Text: 40, 40;
        websocket_pings = Pings: 40, 40;
        websocket_pongs = Pongs: 40, 40;
        websocket_long_ping = LongPing: 300, 20;
        websocket_reserved = Reserved: 300, 20;
        websocket_compressed = Compressed: 300, 20;
        websocket_continuation = Continuation: 300, 20;
        websocket_after_close = AfterClose: 300, 20;
        websocket_silent = Silent: 200, 200;
        websocket_drip = Drip: 100, 100;
    }
    Tls {
        tls_garbage = Garbage: 500, 20;
        tls_drip = Drip: 200, 200;
        tls_half = Half: 200, 200;
        tls_long_record = LongRecord: 300, 20;
        tls_fragments = Fragments: 200, 100;
        tls_old_version = OldVersion: 500, 20;
    }
    Acts {
        acts_wrong_version = WrongVersion: 1000, 50;
        acts_no_point = NoPoint: 1000, 50;
        acts_bad_tag = BadTag: 1000, 50;
        acts_other_node = OtherNode: 1000, 50;
        acts_one_only = OneOnly: 400, 400;
        acts_bad_three = BadThree: 1000, 50;
        acts_wrong_version_three = WrongVersionThree: 1000, 50;
        acts_drip_three = DripThree: 100, 100;
        acts_replay = Replay: 500, 50;
    }
    Frames {
        frames_bad_length = BadLength: 300, 20;
        frames_bad_body = BadBody: 300, 20;
        frames_empty = Empty: 40, 10;
        frames_longest = Longest: 100, 20;
        frames_cut_length = CutLength: 300, 20;
        frames_cut_body = CutBody: 300, 20;
        frames_replayed = Replayed: 300, 20;
        frames_swapped = Swapped: 300, 20;
        frames_unsealed = Unsealed: 300, 20;
    }
    Messages {
        messages_no_init = NoInit: 200, 200;
        messages_second_init = SecondInit: 300, 20;
        messages_even_field = EvenField: 300, 20;
        messages_cut_init = CutInit: 300, 20;
        messages_long_init = LongInit: 300, 20;
        messages_request_first = RequestFirst: 300, 20;
        messages_even_message = EvenMessage: 300, 20;
        messages_odd = OddMessages: 40, 10;
        messages_cut_ping = CutPing: 300, 20;
        messages_pings = Pings: 100, 100;
        messages_error = Error: 300, 20;
        messages_replies = Replies: 100, 20;
    }
    Parts {
        parts_never_ended = NeverEnded: 1000, 500;
        parts_drip = Drip: 500, 500;
        parts_hoard = Hoard: 64, 64;
        parts_thousands = Thousands: 30, 10;
        parts_interleaved = Interleaved: 100, 20;
        parts_same_id = SameId: 100, 20;
        parts_wrong_order = WrongOrder: 100, 20;
        parts_empty = Empty: 20, 10;
        parts_too_large = TooLarge: 30, 10;
        parts_unread = Unread: 50, 50;
        parts_short = Short: 200, 20;
    }
    Json {
        json_deep = Deep: 30, 10;
        json_repeated_keys = RepeatedKeys: 200, 20;
        json_no_utf8 = NoUtf8: 200, 20;
        json_numbers = Numbers: 100, 20;
        json_long_string = LongString: 30, 10;
        json_wide = Wide: 30, 10;
        json_many_keys = ManyKeys: 30, 10;
        json_trailing = Trailing: 200, 20;
        json_filter = Filter: 200, 20;
        json_meta_methods = MetaMethods: 200, 20;
        json_injected = Injected: 200, 20;
        json_long_id = LongId: 30, 10;
    }
    Runes {
        runes_garbage = Garbage: 200, 20;
        runes_giant = Giant: 100, 20;
        runes_alternatives = Alternatives: 50, 10;
        runes_restrictions = Restrictions: 50, 10;
        runes_spellings = Spellings: 200, 20;
        runes_foreign = Foreign: 200, 20;
        runes_tampered = Tampered: 50, 20;
        runes_widened = Widened: 200, 20;
    }
}

/// Who may ask for what is long and does not read it holds up nobody else's calls, and has little of it held for him.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_readers() {
    const READERS: usize = 100;
    let node = FakeNode::start().await;
    let ledger = Ledger::of(&node);
    node.on("listchannels", Answer::Huge(40 << 20));
    let (gateway, rune) = Gateway::with_rune(Setup::fake(&node).crowd()).await;
    let long = gateway.rune(&["method=listchannels"]).await;
    let mut readers = Vec::new();
    for _ in 0..READERS {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(4096).unwrap();
        let stream = socket.connect(gateway.address()).await.unwrap();
        let mut reader = Client::over_with(stream, gateway.node_id(), &client::identity(), 1).await;
        reader.init().await;
        reader.request(1, client::request(&json!(1), "listchannels", &json!({}), &long)).await;
        readers.push(reader);
    }
    let before = gateway.memory();
    let honest = Honest::begin(&gateway, &rune, &ledger, &Work::ALL).await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    let tally = honest.done().await;
    let held = gateway.peak_memory().saturating_sub(before) / READERS as u64;
    println!("{} calls, p99 {:?}, {held} bytes a reader", tally.calls, tally.p99(&Work::ALL));
    tally.assert_whole();
    assert_eq!(tally.told_to_wait, 0);
    assert!(held <= 256 << 10, "{held} bytes are held for each reader");
    // They go on where they stopped.
    for reader in readers.iter_mut().take(3) {
        reader.message().await;
    }
}
