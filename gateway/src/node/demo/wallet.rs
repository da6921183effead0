//! `newaddr`, `feerates`, `makesecret`: what comes from the node's key or from its chain.

use bitcoin::key::{CompressedPublicKey, TapTweak};
use bitcoin::{Address, Network};
use ring::hkdf::{HKDF_SHA256, Salt};
use secp256k1::{Keypair, PublicKey, SECP256K1, SecretKey};
use serde_json::{Map, Value, json};
use zeroize::Zeroizing;

use super::params::Args;
use super::rpc::{Reply, RpcError};
use super::state::{Node, hex};

/// A kilobyte has four times the weight units.
pub(super) const PER_KB_TO_PER_KW: u64 = 4;

/// What an ordinary transaction pays here, in sat per kilobyte.
pub(super) const FEERATE_PERKB: u64 = 1012;

pub(super) fn newaddr(node: &Node, args: &Args) -> Result<Reply, RpcError> {
    let kinds =
        args.read("addresstype", "should be 'bech32', 'p2tr' or 'all'", |kind| match kind.as_str()? {
            "bech32" => Some((true, false)),
            "p2tr" => Some((false, true)),
            "all" => Some((true, true)),
            _ => None,
        })?;
    let (bech32, p2tr) = kinds.unwrap_or((true, true));
    let index = node.store.change(|ledger| {
        ledger.addresses += 1;
        Ok::<_, RpcError>(ledger.addresses)
    })?;
    let secret = Zeroizing::new(derive(&node.key, &[b"address", &index.to_be_bytes()])?);
    // Of 2^256 strings fewer than 2^129 are no key.
    let secret = SecretKey::from_slice(secret.as_slice()).map_err(RpcError::internal)?;
    let mut result = Map::new();
    if bech32 {
        let key = CompressedPublicKey(PublicKey::from_secret_key(SECP256K1, &secret));
        let address = Address::p2wpkh(&key, Network::Regtest);
        result.insert("bech32".into(), address.to_string().into());
    }
    if p2tr {
        let tweaked = Keypair::from_secret_key(SECP256K1, &secret).tap_tweak(SECP256K1, None);
        let (key, _) = tweaked.public_parts();
        let address = Address::p2tr_tweaked(key, Network::Regtest);
        result.insert("p2tr".into(), address.to_string().into());
    }
    Ok(Reply::Value(Value::Object(result)))
}

pub(super) fn feerates(_: &Node, args: &Args) -> Result<Reply, RpcError> {
    let style = args.read("style", "should be 'perkb' or 'perkw'", |style| {
        style.as_str().filter(|style| matches!(*style, "perkb" | "perkw"))
    })?;
    let style = Args::required("style", style)?;
    let per = if style == "perkw" { PER_KB_TO_PER_KW } else { 1 };
    let floor = FEERATE_PERKB / per;
    let estimate = |blocks: u64| json!({"blockcount": blocks, "feerate": floor, "smoothed_feerate": floor});
    let rates = json!({
        "opening": floor,
        "mutual_close": floor,
        "unilateral_close": floor,
        "unilateral_anchor_close": 5000 / per,
        "penalty": floor,
        "splice": 1032 / per,
        "min_acceptable": floor,
        "max_acceptable": floor * 10,
        "floor": floor,
        "estimates": [estimate(2), estimate(6), estimate(12), estimate(100)],
    });
    Ok(Reply::Value(json!({
        style: rates,
        "onchain_fee_estimates": {
            "opening_channel_satoshis": 177,
            "mutual_close_satoshis": 170,
            "unilateral_close_satoshis": 1390,
            "unilateral_close_nonanchor_satoshis": 151,
            "htlc_timeout_satoshis": 167,
            "htlc_success_satoshis": 177,
        },
    })))
}

pub(super) fn makesecret(node: &Node, args: &Args) -> Result<Reply, RpcError> {
    let info = match (args.hex("hex")?, args.string("string")?) {
        (Some(bytes), None) => bytes,
        (None, Some(text)) => text.as_bytes().to_vec(),
        (Some(_), Some(_)) => return Err(RpcError::params("Cannot have both hex and string")),
        (None, None) => return Err(RpcError::params("Must have either hex or string")),
    };
    let secret = Zeroizing::new(secret(&node.key, &info)?);
    Ok(Reply::Value(json!({"secret": hex(secret.as_slice())})))
}

/// The secret that `makesecret` gives for `info`.
pub(super) fn secret(key: &SecretKey, info: &[u8]) -> Result<[u8; 32], RpcError> {
    derive(key, &[b"makesecret", info])
}

/// HKDF (RFC 5869) with SHA-256 and no salt.
fn derive(key: &SecretKey, info: &[&[u8]]) -> Result<[u8; 32], RpcError> {
    let mut derived = [0; 32];
    let material = Zeroizing::new(key.secret_bytes());
    Salt::new(HKDF_SHA256, &[])
        .extract(material.as_slice())
        .expand(info, HKDF_SHA256)
        .and_then(|okm| okm.fill(&mut derived))
        .map_err(RpcError::internal)?;
    Ok(derived)
}
