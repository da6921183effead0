//! Templates of runes, and offers: what the QR code of a pairing holds, and what becomes of it.
//!
//! The rune in the QR code allows one method, `runeward-pair`, until the second the offer dies. Whoever
//! calls it first gets a rune made from the offer's template and bound to its node id.

use std::time::Duration;

use runeward_policy::{LimitError, MasterSecret, ParseError, Restriction, Rune};

use super::fingerprint::fingerprint;
use super::grants::Grant;
use super::names;
use super::object::{Object, quoted};
use super::presets::Preset;
use super::runes::{CreateError, Runes, Wanted, random_unique_id};
use crate::store::{Claim, OfferRecord, RuneRecord, StoreError};

/// The one method that an offer's rune allows.
const PAIR: &str = "runeward-pair";

/// Longest an offer is good for, in seconds.
const MAX_LIFE: u64 = 60;

/// Longest that what became of an offer goes without another look: its time runs out by a clock that
/// may not keep in step with ours.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// Length of a node id as text.
const NODE_ID_DIGITS: usize = 66;

/// What an owner wants to hand out, now or to whoever claims it.
#[derive(Debug, Default)]
pub(crate) struct Template {
    /// With neither preset nor restrictions, `readonly`.
    pub(crate) preset: Option<Preset>,
    pub(crate) restrictions: Vec<Restriction>,
    /// What to call the rune, or the device.
    pub(crate) name: Option<String>,
    /// Seconds the rune is good for.
    pub(crate) expires_in: Option<u64>,
    /// Seconds the offer is good for: 60 at most, and unless told otherwise.
    pub(crate) good_for: Option<u64>,
}

/// An offer just made.
pub(crate) struct Made {
    pub(crate) offer_id: u64,
    /// The connection string that the QR code holds: whoever has it can claim the offer.
    pub(crate) uri: String,
    /// UNIX seconds.
    pub(crate) expires_at: u64,
    /// What a device will get, but for whom it is bound to; no gateway honours it.
    pub(crate) sample: Rune,
}

/// An offer as it stands.
pub(crate) struct Offer {
    pub(crate) record: OfferRecord,
    pub(crate) status: Status,
    /// How long it can still be claimed, by one device or another.
    pub(crate) seconds_left: u64,
}

/// What has become of an offer.
pub(crate) enum Status {
    /// Nothing yet.
    Open,
    /// A device got this rune.
    Claimed(Box<Device>),
    /// It died unclaimed.
    Expired,
    /// The owner took it back.
    Cancelled,
}

/// A device that claimed an offer, and what it got.
pub(crate) struct Device {
    /// 66 hex digits.
    pub(crate) node_id: String,
    /// The device's name.
    pub(crate) name: String,
    pub(crate) unique_id: u64,
    pub(crate) rune: Rune,
}

/// Why no rune or offer was made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OfferError {
    #[error(
        "the runes here are the node's own; pairing needs a gateway with runes of its own (--authority own)"
    )]
    NotOurs,
    #[error("the gateway has not been started yet, so nothing is known of where it is reached")]
    NotServing,
    #[error("for: an offer is good for 1 to {MAX_LIFE} seconds")]
    Life,
    #[error("a rune by the preset {0} must end: say how long it is good for, with expires_in (--expires)")]
    NeedsExpiry(&'static str),
    #[error("name: {0}")]
    Name(&'static str),
    #[error("restrictions: the rune will be bound to the device that claims it; leave the field id out")]
    Bound,
    #[error("no command could ever be allowed: {0}")]
    Impossible(String),
    #[error("restrictions: {0}")]
    Odd(String),
    #[error("restrictions: {0}")]
    Parse(#[from] ParseError),
    #[error("restrictions: {0}")]
    Limit(#[from] LimitError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why a claim was refused.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ClaimError {
    #[error("this rune is no offer's, or its offer is over")]
    NoOffer,
    #[error("Not authorized: Blacklisted rune")]
    Revoked,
    #[error("Not permitted: this offer has been claimed by another device; ask for a new one")]
    Taken,
    #[error(transparent)]
    Parse(#[from] ParseError),
    #[error(transparent)]
    Limit(#[from] LimitError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Template {
    /// The preset that counts: without a word on what to allow, the narrowest.
    fn preset(&self) -> Option<Preset> {
        self.preset.or(self.restrictions.is_empty().then_some(Preset::Readonly))
    }

    /// All restrictions of the rune to be made, with `now` in UNIX seconds; of an offer's all but the device's id.
    fn restrictions(&self, now: u64) -> Result<Vec<Restriction>, OfferError> {
        if let Some(name) = &self.name {
            names::check(name).map_err(OfferError::Name)?;
        }
        let mut all = Vec::new();
        if let Some(preset) = self.preset() {
            all.extend(preset.restrictions()?);
        }
        if let Some(why) = self.restrictions.iter().find_map(|restriction| restriction.odd(now)) {
            return Err(OfferError::Odd(why));
        }
        all.extend(self.restrictions.iter().cloned());
        if let Some(expires_in) = self.expires_in {
            all.push(Restriction::parse(&format!("time<{}", now.saturating_add(expires_in)))?);
        }
        Ok(all)
    }

    /// Whether a device's id is among the restrictions.
    fn is_bound(&self) -> bool {
        self.restrictions.iter().flat_map(Restriction::alternatives).any(|it| it.field() == "id")
    }

    /// Refuses what its author cannot have meant, in a rune of this kind at `now` (UNIX seconds).
    fn check(&self, sample: &Rune, now: u64) -> Result<(), OfferError> {
        if let Some(why) = sample.impossible(now) {
            return Err(OfferError::Impossible(why));
        }
        match self.preset().filter(|preset| preset.needs_expiry() && sample.expires_at().is_none()) {
            Some(preset) => Err(OfferError::NeedsExpiry(preset.name())),
            None => Ok(()),
        }
    }
}

impl Runes {
    /// The rune a template comes to, under a secret of nobody's: no gateway honours it.
    pub(crate) fn preview(&self, template: &Template) -> Result<Rune, OfferError> {
        let now = self.clock().seconds();
        let sample = sample(&template.restrictions(now)?)?;
        template.check(&sample, now)?;
        Ok(sample)
    }

    /// Makes a rune of a template.
    pub(crate) async fn make(&self, template: &Template) -> Result<Grant, OfferError> {
        self.preview(template)?;
        let restrictions = template.restrictions(self.clock().seconds())?;
        let (name, preset) = (template.name.as_deref(), template.preset());
        Ok(self.create(Wanted { restrictions: &restrictions, name, preset }).await?)
    }

    /// Makes an offer.
    pub(crate) async fn offer(&self, template: &Template) -> Result<Made, OfferError> {
        let now = self.clock().seconds();
        let life = template.good_for.unwrap_or(MAX_LIFE);
        if !(1..=MAX_LIFE).contains(&life) {
            return Err(OfferError::Life);
        }
        let restrictions = template.restrictions(now)?;
        if template.is_bound() {
            return Err(OfferError::Bound);
        }
        // Tried now, so that it is known to fit whoever claims it: every node id is as long as ours.
        let sample = sample(&restrictions)?;
        let serving = self.store().serving().await?.ok_or(OfferError::NotServing)?;
        sample.narrow(bound_to(&"0".repeat(NODE_ID_DIGITS))?)?;
        template.check(&sample, now)?;
        let expires_at = now + life;
        let pairing = runeward_policy::parse_restrictions(&format!("method={PAIR}&time<{expires_at}"))?;
        loop {
            let offer_id = random_unique_id()?;
            let (rune, secret) = self.issue(offer_id, &pairing)?.ok_or(OfferError::NotOurs)?;
            let offer = OfferRecord {
                offer_id,
                restrictions: sample.restrictions_text().to_owned(),
                preset: template.preset().map(|preset| preset.name().to_owned()),
                name: template.name.clone(),
                expires_at: expires_at.cast_signed(),
                ..OfferRecord::default()
            };
            let record = RuneRecord {
                unique_id: offer_id,
                restrictions: rune.restrictions_text().to_owned(),
                created_at: now.cast_signed(),
                ..RuneRecord::default()
            };
            match self.store().insert_offer(&offer, &record, &secret).await {
                Ok(true) => {
                    let uri = format!("{serving}&rune={}", rune.encode());
                    return Ok(Made { offer_id, uri, expires_at, sample });
                }
                Ok(false) => {}
                Err(StoreError::SecretChanged) => self.reload().await?,
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Claims an offer for a device, which may say what it wants to be called. The same device gets
    /// the same rune again; no other one gets any.
    pub(crate) async fn claim(
        &self,
        offer_id: u64,
        node_id: &str,
        name: Option<&str>,
    ) -> Result<Device, ClaimError> {
        let offer = self.store().offer(offer_id).await?.ok_or(ClaimError::NoOffer)?;
        let mut restrictions = runeward_policy::parse_restrictions(&offer.restrictions)?;
        restrictions.push(bound_to(node_id)?);
        let name = offer.name.as_deref().or(name).map(str::to_owned).or_else(|| fingerprint(node_id));
        loop {
            let now = self.clock().seconds().cast_signed();
            let unique_id = random_unique_id()?;
            let (rune, secret) = self.issue(unique_id, &restrictions)?.ok_or(ClaimError::NoOffer)?;
            let record = RuneRecord {
                unique_id,
                name: name.clone(),
                preset: offer.preset.clone(),
                restrictions: rune.restrictions_text().to_owned(),
                created_at: now,
                offer: Some(offer_id),
                ..RuneRecord::default()
            };
            let claim = self.store().claim(offer_id, now, node_id, record, &secret).await;
            self.tell_changed();
            match claim {
                Ok(Claim::Granted(unique_id)) => {
                    tracing::info!(offer_id, device = node_id, unique_id, "a device claimed an offer");
                    return self.device(unique_id, node_id).await?.ok_or(ClaimError::NoOffer);
                }
                Ok(Claim::Taken { told }) => {
                    if !told {
                        tracing::warn!(
                            offer_id,
                            device = node_id,
                            "this QR was used twice: another device tried to claim what one has, and was refused"
                        );
                    }
                    return Err(ClaimError::Taken);
                }
                Ok(Claim::Revoked) => return Err(ClaimError::Revoked),
                Ok(Claim::Over) => return Err(ClaimError::NoOffer),
                Ok(Claim::IdTaken) => {}
                Err(StoreError::SecretChanged) => self.reload().await?,
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// What has become of an offer; `None` where there is none with this id.
    pub(crate) async fn look(&self, offer_id: u64) -> Result<Option<Offer>, StoreError> {
        let Some(record) = self.store().offer(offer_id).await? else { return Ok(None) };
        let seconds_left = record.expires_at.cast_unsigned().saturating_sub(self.clock().seconds());
        let device = match &record.claimed {
            Some(claimed) => self.device(claimed.unique_id, &claimed.node_id).await?,
            None => None,
        };
        let status = match device {
            Some(device) => Status::Claimed(Box::new(device)),
            None if record.revoked => Status::Cancelled,
            None if seconds_left == 0 => Status::Expired,
            None => Status::Open,
        };
        Ok(Some(Offer { record, status, seconds_left }))
    }

    /// Waits until an offer is claimed, or over.
    pub(crate) async fn settled(&self, offer_id: u64) -> Result<Option<Offer>, StoreError> {
        let mut changes = self.changes();
        loop {
            match self.look(offer_id).await? {
                Some(Offer { status: Status::Open, .. }) => {}
                settled => return Ok(settled),
            }
            let _ = tokio::time::timeout(LOOK_AGAIN, changes.changed()).await;
        }
    }

    async fn device(&self, unique_id: u64, node_id: &str) -> Result<Option<Device>, StoreError> {
        let granted = self.issued(unique_id).await?;
        Ok(granted.map(|grant| Device {
            node_id: node_id.to_owned(),
            name: grant.record.name.unwrap_or_default(),
            unique_id,
            rune: grant.rune,
        }))
    }
}

impl Device {
    /// `{"rune",…}`: what the device itself is told. Unique ids are numbers; `expires_at` is in UNIX
    /// seconds, `null` where the rune has no end.
    pub(crate) fn to_json(&self) -> String {
        let mut out = Object::new();
        out.text("rune", &self.rune.encode());
        self.describe(&mut out);
        out.end()
    }

    fn describe(&self, out: &mut Object) {
        out.raw("unique_id", &self.unique_id.to_string());
        out.text("node_id", &self.node_id);
        out.text("name", &self.name);
        out.array("restrictions", self.rune.restrictions().map(|it| quoted(it.as_str())));
        out.text("restrictions_as_english", &self.rune.english());
        out.optional("expires_at", self.rune.expires_at());
    }
}

impl Made {
    /// `{"uri","expires_at","offer_id"}`.
    pub(crate) fn to_json(&self) -> String {
        let mut out = Object::new();
        out.text("uri", &self.uri);
        out.raw("expires_at", &self.expires_at.to_string());
        out.raw("offer_id", &self.offer_id.to_string());
        out.end()
    }
}

impl Offer {
    /// `{"status","offer_id"}`; of a claimed one also who has it, without its rune, and who else tried.
    pub(crate) fn to_json(&self) -> String {
        let mut out = Object::new();
        out.text("status", self.status.name());
        out.raw("offer_id", &self.record.offer_id.to_string());
        if let Status::Claimed(device) = &self.status {
            device.describe(&mut out);
            out.optional_text("fingerprint", fingerprint(&device.node_id).as_deref());
            out.raw("used_twice", if self.record.refused > 0 { "true" } else { "false" });
            out.raw("refused", &self.record.refused.to_string());
            out.optional_text("refused_node_id", self.record.last_refused.as_deref());
        }
        out.end()
    }
}

impl Status {
    fn name(&self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Claimed(_) => "claimed",
            Self::Expired => "expired",
            Self::Cancelled => "cancelled",
        }
    }
}

impl From<CreateError> for OfferError {
    fn from(error: CreateError) -> Self {
        match error {
            CreateError::Limit(error) => Self::Limit(error),
            CreateError::Store(error) => Self::Store(error),
            CreateError::NotOurs => Self::NotOurs,
        }
    }
}

/// A rune with these restrictions that no gateway honours, to be looked at.
fn sample(restrictions: &[Restriction]) -> Result<Rune, OfferError> {
    let nobody = MasterSecret::new(&[0]).map_err(|_| OfferError::NotOurs)?;
    Ok(nobody.issue(0, restrictions)?)
}

fn bound_to(node_id: &str) -> Result<Restriction, ParseError> {
    Restriction::parse(&format!("id={node_id}"))
}
