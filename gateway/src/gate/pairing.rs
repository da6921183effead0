//! `runeward-create`, and `runeward-offer`, `runeward-waitoffer` and `runeward-pair`: handing out, as methods.

use std::sync::Arc;

use super::json::Json;
use super::limits::Leave;
use super::names;
use super::object::{Object, quoted};
use super::offers::{ClaimError, OfferError, Template};
use super::own_methods::Caller;
use super::presets::{Preset, explain};
use super::reply::{self, Failure, Refusal};
use super::risks::risks;
use super::rune_methods::{arguments, invalid, parse_restrictions, text, whole_number};
use super::runes::Runes;

/// Longest a rune may be told to last, in seconds: some thirty thousand years.
const MAX_EXPIRY: u64 = 1 << 40;

/// A call that waits for what becomes of an offer.
#[derive(Debug)]
pub(crate) struct Wait {
    id: String,
    offer_id: u64,
    leave: Arc<Leave>,
}

impl Wait {
    /// `{offer_id}`, asked for by the request with this id token; `leave` allows it.
    pub(super) fn new(params: &Json<'_>, id: &str, leave: Arc<Leave>) -> Result<Self, Failure> {
        let [offer_id] = arguments(params, ["offer_id"], 1)?;
        let offer_id = offer_id
            .and_then(whole_number)
            .ok_or_else(|| invalid("offer_id", "should be an unsigned 64 bit integer"))?;
        Ok(Self { id: id.to_owned(), offer_id, leave })
    }

    /// The client's id token.
    pub(crate) fn id(&self) -> &str {
        &self.id
    }

    /// Returns once the rune that allows the call is revoked. Cancel-safe.
    pub(crate) async fn revoked(&self) {
        self.leave.revoked().await;
    }

    /// Waits until the offer is claimed, or over; the whole reply. Cancel-safe.
    pub(super) async fn reply(&self, runes: &Runes) -> Result<Vec<u8>, Failure> {
        let offer = runes.settled(self.offer_id).await?;
        let unknown = || Failure::invalid_params(format!("offer_id: there is no offer {}", self.offer_id));
        Ok(reply::success(&self.id, &offer.ok_or_else(unknown)?.to_json()))
    }
}

/// `{name?}` → the device's own rune. The offer is the one whose rune the caller presents.
pub(super) async fn pair(
    runes: &Runes,
    params: &Json<'_>,
    caller: &Caller<'_>,
) -> Result<Result<String, Refusal>, Failure> {
    let [name] = arguments(params, ["name"], 0)?;
    let name = name.map(|name| text("name", name)).transpose()?;
    name.map_or(Ok(()), names::check).map_err(|why| Failure::invalid_params(format!("name: {why}")))?;
    let offer_id = caller.rune.numeric_id().unwrap_or_default();
    match runes.claim(offer_id, caller.peer, name).await {
        Ok(device) => Ok(Ok(device.to_json())),
        Err(refused @ (ClaimError::Taken | ClaimError::Revoked)) => {
            Ok(Err(Refusal::rune(&refused.to_string())))
        }
        Err(ClaimError::Store(error)) => Err(error.into()),
        Err(error @ (ClaimError::NoOffer | ClaimError::Limit(_) | ClaimError::Parse(_))) => {
            Err(Failure::invalid_params(error.to_string()))
        }
    }
}

/// `{preset?, restrictions?, name?, expires_in?, preview?}` → `{"rune","unique_id","restrictions",…,"warnings"}`: as
/// `runeward rune create` makes it, or with `preview` only what would be made, without a rune and a unique id.
pub(super) async fn create(runes: &Runes, params: &Json<'_>, now: u64) -> Result<String, Failure> {
    let [preset, restrictions, name, expires_in, preview] =
        arguments(params, ["preset", "restrictions", "name", "expires_in", "preview"], 0)?;
    let template = template(preset, restrictions, name, expires_in)?;
    let mut out = Object::new();
    let rune = match preview {
        None | Some(Json::Bool(false)) => {
            let made = runes.make(&template).await?;
            out.text("rune", &made.rune.encode());
            out.raw("unique_id", &made.record.unique_id.to_string());
            made.rune
        }
        Some(Json::Bool(true)) => runes.preview(&template)?,
        Some(_) => return Err(invalid("preview", "should be 'true' or 'false'")),
    };
    out.array("restrictions", rune.restrictions().map(|it| quoted(it.as_str())));
    out.array("explained", explain(&rune, now).iter().map(|sentence| quoted(sentence)));
    out.array("warnings", risks(&rune, now).iter().map(|risk| quoted(risk)));
    out.optional("expires_at", rune.expires_at());
    Ok(out.end())
}

/// `{preset?, restrictions?, name?, expires_in?, for?}` → `{"uri","expires_at","offer_id"}`. Restrictions
/// are written as for `createrune`; `expires_in` is how long the device's rune is good for, `for` how
/// long the offer is, both in seconds.
pub(super) async fn offer(runes: &Runes, params: &Json<'_>) -> Result<String, Failure> {
    let [preset, restrictions, name, expires_in, good_for] =
        arguments(params, ["preset", "restrictions", "name", "expires_in", "for"], 0)?;
    let good_for = good_for.map(|value| seconds("for", value)).transpose()?;
    let template = Template { good_for, ..template(preset, restrictions, name, expires_in)? };
    Ok(runes.offer(&template).await?.to_json())
}

fn template(
    preset: Option<&Json<'_>>,
    restrictions: Option<&Json<'_>>,
    name: Option<&Json<'_>>,
    expires_in: Option<&Json<'_>>,
) -> Result<Template, Failure> {
    let preset = preset.map(parse_preset).transpose()?;
    let (restrictions, by_name) = restrictions.map(parse_restrictions).transpose()?.unwrap_or_default();
    Ok(Template {
        preset: preset.or(by_name),
        restrictions: if by_name.is_some() { Vec::new() } else { restrictions },
        name: name.map(|name| text("name", name).map(str::to_owned)).transpose()?,
        expires_in: expires_in.map(|value| seconds("expires_in", value)).transpose()?,
        good_for: None,
    })
}

fn parse_preset(value: &Json<'_>) -> Result<Preset, Failure> {
    let known = || invalid("preset", "should be readonly, watch, receive, pay, public or admin");
    Preset::named(text("preset", value)?).ok_or_else(known)
}

fn seconds(name: &str, value: &Json<'_>) -> Result<u64, Failure> {
    let seconds = whole_number(value).filter(|seconds| *seconds < MAX_EXPIRY);
    seconds.ok_or_else(|| invalid(name, "should be a whole number of seconds"))
}

impl From<OfferError> for Failure {
    fn from(error: OfferError) -> Self {
        match error {
            OfferError::Store(error) => error.into(),
            error => Self::invalid_params(error.to_string()),
        }
    }
}
