//! `offer` and `listoffers`.

use bitcoin::constants::ChainHash;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::bolt12::{self, Record};
use super::params::{Args, parse_msat};
use super::rpc::{Reply, RpcError};
use super::state::{Node, from_hex, hex};

const ALREADY_EXISTS: i64 = 1000;

/// What the demo node does not do with offers.
const UNSUPPORTED: [&str; 8] = [
    "recurrence",
    "recurrence_base",
    "recurrence_paywindow",
    "recurrence_limit",
    "proportional_amount",
    "optional_recurrence",
    "fronting_nodes",
    "dev_paths",
];

/// The offers made so far, in order.
#[derive(Default, Serialize, Deserialize)]
pub(super) struct Offers(Vec<Offer>);

#[derive(Clone, Serialize, Deserialize)]
struct Offer {
    offer_id: String,
    bolt12: String,
    single_use: bool,
    label: Option<String>,
    description: Option<String>,
}

pub(super) fn offer(node: &Node, args: &Args) -> Result<Reply, RpcError> {
    if let Some(name) = UNSUPPORTED.into_iter().find(|name| args.has(name)) {
        return Err(RpcError::params(format!("{name}: not supported by the demo node")));
    }
    let label = args.label("label")?;
    let single_use = args.bool("single_use")?.unwrap_or(false);
    let description = args.string("description")?.map(str::to_owned);
    let records = records(node, args)?;
    let offer = Offer {
        offer_id: bolt12::offer_id(&records),
        bolt12: bolt12::encode(bolt12::OFFER_PREFIX, &records),
        single_use,
        label,
        description,
    };
    node.store.change(|ledger| {
        let known = ledger.offers.0.iter().find(|known| known.offer_id == offer.offer_id);
        let created = match known {
            Some(known) if known.label == offer.label && known.single_use == offer.single_use => false,
            Some(_) => {
                let message = "Offer already exists with different settings";
                return Err(RpcError::new(ALREADY_EXISTS, message));
            }
            None => true,
        };
        let mut result = offer.to_json();
        result.insert("created".into(), created.into());
        if created {
            ledger.offers.0.push(offer);
        }
        Ok(Reply::Value(Value::Object(result)))
    })
}

pub(super) fn listoffers(node: &Node, args: &Args) -> Result<Reply, RpcError> {
    let wanted = args.bytes32("offer_id")?.map(|id| hex(&id));
    // All of ours are active.
    args.bool("active_only")?;
    let ledger = node.store.ledger();
    let offers = ledger.offers.0.iter();
    let offers = offers.filter(|offer| wanted.as_ref().is_none_or(|wanted| offer.offer_id == *wanted));
    let offers: Vec<Value> = offers
        .map(|offer| {
            let mut shown = offer.to_json();
            if let Some(description) = &offer.description {
                shown.insert("description".into(), description.as_str().into());
            }
            Value::Object(shown)
        })
        .collect();
    Ok(Reply::Value(json!({"offers": offers})))
}

impl Offer {
    fn to_json(&self) -> Map<String, Value> {
        let mut fields = Map::new();
        let mut add = |name: &str, value: Value| fields.insert(name.to_owned(), value);
        add("offer_id", self.offer_id.as_str().into());
        add("active", true.into());
        add("single_use", self.single_use.into());
        add("bolt12", self.bolt12.as_str().into());
        add("force_paths", false.into());
        add("used", false.into());
        if let Some(label) = &self.label {
            add("label", label.as_str().into());
        }
        fields
    }
}

/// The records of the offer that was asked for.
fn records(node: &Node, args: &Args) -> Result<Vec<Record>, RpcError> {
    let mut records = vec![(bolt12::CHAINS, ChainHash::REGTEST.to_bytes().to_vec())];
    let amount =
        args.read("amount", "should be positive msat or 'any'", |value| match parse_msat(value) {
            _ if value == "any" => Some(None),
            Some(0) | None => None,
            Some(msat) => Some(Some(msat)),
        })?;
    let amount = Args::required("amount", amount)?;
    if let Some(msat) = amount {
        records.push((bolt12::AMOUNT, bolt12::truncated(msat)));
    }
    match args.string("description")? {
        Some(text) => records.push((bolt12::DESCRIPTION, text.as_bytes().to_vec())),
        None if amount.is_some() => {
            return Err(RpcError::params(
                "description is required for the user to know what it was they paid for",
            ));
        }
        None => {}
    }
    if let Some(expiry) = args.u64("absolute_expiry")? {
        records.push((bolt12::ABSOLUTE_EXPIRY, bolt12::truncated(expiry)));
    }
    if let Some(issuer) = args.string("issuer")? {
        records.push((bolt12::ISSUER, issuer.as_bytes().to_vec()));
    }
    if let Some(quantity) = args.u64("quantity_max")? {
        records.push((bolt12::QUANTITY_MAX, bolt12::truncated(quantity)));
    }
    records.push((bolt12::ISSUER_ID, from_hex(node.id()).unwrap_or_default()));
    Ok(records)
}
