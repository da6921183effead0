//! What the check of a rune costs in memory.

#![allow(clippy::unwrap_used, clippy::panic)]

mod common;

use allocation_counter::measure;
use common::Call;
use runeward_policy::{MasterSecret, Rune, evaluate, parse_restrictions};

#[test]
fn checking_a_rune_allocates_its_decoded_text_alone() {
    let peer = "02d4bdc177c74c7c0dd16bda40b69c04b7d6db511a99a14249315ac36f14d986bf";
    let secret = MasterSecret::new(&[7; 32]).unwrap();
    for restrictions in [
        String::new(),
        format!("id={peer}&method^get|method=pay&time<4000000000"),
        "method=getinfo|method^list&method/listdatastore&time<4000000000&rate=10&pnum<5".to_owned(),
    ] {
        let rune = secret.issue(1, &parse_restrictions(&restrictions).unwrap()).unwrap();
        let encoded = rune.encode();
        let call = Call { peer: Some(peer.to_owned()), ..Call::method("getinfo") };
        let allocations = measure(|| {
            let rune = Rune::decode(&encoded).unwrap();
            assert!(secret.derived(&rune));
            assert!(evaluate(&rune, &call).is_ok());
        });
        assert_eq!(allocations.count_total, 1, "{restrictions}");
        let text = if restrictions.is_empty() { "=1".to_owned() } else { format!("=1&{restrictions}") };
        assert_eq!(allocations.bytes_max, text.len() as u64);
    }
}
