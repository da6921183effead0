//! `signmessage` and `checkmessage`: texts signed with the node's key, for people to copy.

use bitcoin::hashes::{Hash, sha256d};
use secp256k1::ecdsa::{RecoverableSignature, RecoveryId};
use secp256k1::{Message, PublicKey, SECP256K1};
use serde_json::json;

use super::base32::{self, ZBASE32};
use super::params::Args;
use super::rpc::{Reply, RpcError};
use super::state::{Node, hex};

const KEY_NOT_FOUND: i64 = 1301;

const PREFIX: &str = "Lightning Signed Message:";
/// The first byte is the recovery id and this.
const RECOVERY_BASE: u8 = 31;
const MAX_MESSAGE: usize = 65_535;

pub(super) fn signmessage(node: &Node, args: &Args) -> Result<Reply, RpcError> {
    let message = Args::required("message", args.string("message")?)?;
    if message.len() > MAX_MESSAGE {
        return Err(RpcError::params("Message must be < 64k"));
    }
    let signed = SECP256K1.sign_ecdsa_recoverable(&digest(message), &node.key);
    let (recovery, signature) = signed.serialize_compact();
    let recovery = recovery.to_i32() as u8;
    let mut bytes = vec![RECOVERY_BASE + recovery];
    bytes.extend(signature);
    Ok(Reply::Value(json!({
        "signature": hex(&signature),
        "recid": hex(&[recovery]),
        "zbase": base32::encode(&bytes, ZBASE32),
    })))
}

/// Without a key to compare with, the signer must be a node of the graph.
pub(super) fn checkmessage(node: &Node, args: &Args) -> Result<Reply, RpcError> {
    let message = Args::required("message", args.string("message")?)?;
    let zbase = Args::required("zbase", args.string("zbase")?)?;
    let wanted = args.node_id("pubkey")?;
    let signer = signer(message, zbase)
        .ok_or_else(|| RpcError::bad_param("zbase", "is not valid zbase32 of a signature"))?
        .to_string();
    match wanted {
        Some(wanted) => {
            let verified = wanted.eq_ignore_ascii_case(&signer);
            Ok(Reply::Value(json!({"pubkey": wanted.to_ascii_lowercase(), "verified": verified})))
        }
        None if node.graph.node_index(&signer).is_some() => {
            Ok(Reply::Value(json!({"pubkey": signer, "verified": true})))
        }
        None => Err(RpcError::new(KEY_NOT_FOUND, "pubkey not found in the graph")
            .with(json!({"claimed_key": signer}))),
    }
}

/// Whose key signed the message, if this is a signature of anything.
fn signer(message: &str, zbase: &str) -> Option<PublicKey> {
    let bytes = base32::decode(zbase, ZBASE32)?;
    let (first, signature) = bytes.split_first()?;
    let recovery = RecoveryId::from_i32(i32::from(first.checked_sub(RECOVERY_BASE)?)).ok()?;
    let signature = RecoverableSignature::from_compact(signature, recovery).ok()?;
    SECP256K1.recover_ecdsa(&digest(message), &signature).ok()
}

fn digest(message: &str) -> Message {
    let hash = sha256d::Hash::hash(format!("{PREFIX}{message}").as_bytes());
    Message::from_digest(hash.to_byte_array())
}
