//! The rune commands a node has, answered here for the runes this gateway issues.

use runeward_policy::{Alternative, Restriction, Rune};

use super::check::Check;
use super::json::Json;
use super::object::{Object, seconds};
use super::presets::Preset;
use super::reply::Failure;
use super::runes::{Count, CreateError, Denied, MAX_UNIQUE_ID, Runes, Wanted};
use super::signatures::Signatures;
use crate::store::{RuneRecord, StoreError};

const UNRESTRICTED: &str = "WARNING: This rune has no restrictions! Anyone who has access to this rune could \
     drain funds from your node. Be careful when giving this to apps that you don't trust. Consider using the \
     restrictions parameter to only allow access to specific rpc methods.";

const NOT_A_RESTRICTION: &str = "not a valid restriction (should be array)";
const NOT_A_RUNE: &str = "should be base64 string";

/// A rune command: its method's name decides.
#[derive(Clone, Copy)]
pub(crate) enum RuneMethod {
    Create,
    Show,
    Check,
    Blacklist,
}

impl RuneMethod {
    /// The rune command of this name.
    pub(crate) fn named(method: &str) -> Option<Self> {
        Some(match method {
            "createrune" | "invokerune" => Self::Create,
            "showrunes" => Self::Show,
            "checkrune" => Self::Check,
            "blacklistrune" | "destroyrune" => Self::Blacklist,
            _ => return None,
        })
    }

    /// Runs the command; the result is JSON text, always an object.
    pub(crate) async fn run(
        self,
        runes: &Runes,
        params: &Json<'_>,
        time: u64,
        signatures: &Signatures,
    ) -> Result<String, Failure> {
        match self {
            Self::Create => create(runes, arguments(params, ["rune", "restrictions"], 0)?).await,
            Self::Show => show(runes, arguments(params, ["rune"], 0)?).await,
            Self::Check => {
                check(runes, arguments(params, ["rune", "nodeid", "method", "params"], 1)?, time, signatures)
                    .await
            }
            Self::Blacklist => blacklist(runes, arguments(params, ["start", "end", "relist"], 0)?).await,
        }
    }
}

async fn create(runes: &Runes, [rune, restrictions]: [Option<&Json<'_>>; 2]) -> Result<String, Failure> {
    let (restrictions, preset) = restrictions.map_or(Ok((Vec::new(), None)), parse_restrictions)?;
    let rune = match rune {
        Some(rune) => narrow(&parse_rune(rune)?, &restrictions)?,
        None => {
            let wanted = Wanted { restrictions: &restrictions, preset, ..Wanted::default() };
            runes.create(wanted).await?.rune
        }
    };
    let mut out = Object::new();
    out.text("rune", &rune.encode());
    out.text("unique_id", rune.unique_id().map_or("", |unique_id| unique_id.id));
    if rune.restrictions().next().is_none() {
        out.text("warning_unrestricted_rune", UNRESTRICTED);
    }
    Ok(out.end())
}

fn narrow(rune: &Rune, restrictions: &[Restriction]) -> Result<Rune, Failure> {
    let mut rune = rune.clone();
    for restriction in restrictions {
        rune =
            rune.narrow(restriction.clone()).map_err(|error| invalid("restrictions", &error.to_string()))?;
    }
    Ok(rune)
}

async fn show(runes: &Runes, [rune]: [Option<&Json<'_>>; 1]) -> Result<String, Failure> {
    let mut shown = Vec::new();
    if let Some(rune) = rune {
        let rune = parse_rune(rune)?;
        let issued = match rune.numeric_id().filter(|_| runes.is_ours(&rune)) {
            Some(unique_id) => runes.issued(unique_id).await?,
            None => None,
        };
        shown.push(describe(runes, &rune, issued.as_ref().map(|grant| &grant.record)));
    } else {
        let grants = runes.list().await?;
        shown.extend(grants.iter().map(|grant| describe(runes, &grant.rune, Some(&grant.record))));
    }
    let mut out = Object::new();
    out.array("runes", shown.into_iter());
    Ok(out.end())
}

/// One rune in the node's shape, with its record where it was issued here.
fn describe(runes: &Runes, rune: &Rune, record: Option<&RuneRecord>) -> String {
    let mut out = Object::new();
    out.text("rune", &rune.encode());
    match record {
        None => out.raw("stored", "false"),
        Some(record) => {
            if let Some(name) = &record.name {
                out.text("name", name);
            }
        }
    }
    if rune.numeric_id().is_some_and(|unique_id| runes.is_revoked(unique_id)) {
        out.raw("blacklisted", "true");
    }
    if let Some(last_used) = record.and_then(|record| record.last_used) {
        out.raw("last_used", &seconds(last_used));
    }
    if !runes.is_ours(rune) {
        out.raw("our_rune", "false");
    }
    out.text("unique_id", rune.unique_id().map_or("", |unique_id| unique_id.id));
    out.array(
        "restrictions",
        rune.restrictions().map(|restriction| {
            let mut out = Object::new();
            out.array(
                "alternatives",
                restriction.alternatives().map(|alternative| {
                    let mut out = Object::new();
                    out.text("fieldname", alternative.field());
                    out.text("value", alternative.value());
                    out.text("condition", alternative.condition().symbol().encode_utf8(&mut [0; 4]));
                    out.text("english", &alternative.english());
                    out.end()
                }),
            );
            out.text("english", &restriction.english());
            out.end()
        }),
    );
    out.text("restrictions_as_english", &rune.english());
    out.end()
}

async fn check(
    runes: &Runes,
    [rune, nodeid, method, params]: [Option<&Json<'_>>; 4],
    time: u64,
    signatures: &Signatures,
) -> Result<String, Failure> {
    let rune = parse_rune(rune.unwrap_or(&Json::Null))?;
    let none = Json::Object(Vec::new());
    let params = match params {
        None => &none,
        Some(params @ (Json::Array(_) | Json::Object(_))) => params,
        Some(_) => return Err(invalid("params", "should be an object or array")),
    };
    let nodeid = nodeid.map(|value| text("nodeid", value)).transpose()?;
    let method = method.map(|value| text("method", value)).transpose()?;
    let signature = method.and_then(|method| signatures.of(method));
    let check = Check::new(time, nodeid, method, params).with_signature(signature);
    match runes.check(&rune, check, Count::Time).await {
        Ok(_) => Ok("{\"valid\":true}".to_owned()),
        Err(Denied::NotRecorded) => Err(Failure::not_recorded()),
        Err(denied) => Err(match denied {
            Denied::NoUniqueId => Failure::invalid_params(denied.reason()),
            Denied::Blacklisted => Failure::new(1503, denied.reason()),
            Denied::NotPermitted(_) | Denied::UsedUp { .. } => Failure::new(1502, denied.reason()),
            _ => Failure::new(1501, denied.reason()),
        }),
    }
}

async fn blacklist(runes: &Runes, [start, end, relist]: [Option<&Json<'_>>; 3]) -> Result<String, Failure> {
    let start = start.map(|value| unique_id("start", value)).transpose()?;
    let end = end.map(|value| unique_id("end", value)).transpose()?;
    let relist = match relist {
        None => false,
        Some(Json::Bool(relist)) => *relist,
        Some(_) => return Err(invalid("relist", "should be 'true' or 'false'")),
    };
    let revoked = match (start, end) {
        (None, Some(_)) => return Err(Failure::invalid_params("Can not specify end without start")),
        (None, None) => runes.revoked(),
        (Some(first), end) => {
            let last = end.unwrap_or(first);
            if last < first {
                return Err(invalid("end", "should not be less than start"));
            }
            let change = |revoked: &mut crate::store::Ranges| match relist {
                true => revoked.remove(first, last),
                false => revoked.insert(first, last),
            };
            runes.change_revoked(change).await?
        }
    };
    let mut out = Object::new();
    out.array("blacklist", revoked.iter().map(|(start, end)| format!("{{\"start\":{start},\"end\":{end}}}")));
    Ok(out.end())
}

pub(super) fn text<'a>(name: &str, value: &'a Json<'_>) -> Result<&'a str, Failure> {
    value.as_str().ok_or_else(|| invalid(name, "should be a string"))
}

/// Refuses a range of unique ids that ends before it begins: a node does not survive being asked.
pub(crate) fn check_range(params: &Json<'_>) -> Result<(), Failure> {
    let [start, end, _] = arguments(params, ["start", "end", "relist"], 0)?;
    match (start.and_then(whole_number), end.map(whole_number)) {
        (Some(first), Some(Some(last))) if first <= last => Ok(()),
        (_, None) => Ok(()),
        _ => Err(invalid("end", "should be a number and not less than start")),
    }
}

/// A unique id as a number or, since ids here outgrow what some clients' numbers hold, a string.
fn unique_id(name: &str, value: &Json<'_>) -> Result<u64, Failure> {
    match whole_number(value) {
        None => Err(invalid(name, "should be an unsigned 64 bit integer")),
        Some(id) if id > MAX_UNIQUE_ID => {
            Err(Failure::invalid_params(format!("Cannot blacklist beyond {MAX_UNIQUE_ID}")))
        }
        Some(id) => Ok(id),
    }
}

pub(super) fn whole_number(value: &Json<'_>) -> Option<u64> {
    match value {
        Json::Number(text) => text.parse().ok(),
        Json::String(text) => text.parse().ok(),
        _ => None,
    }
}

fn parse_rune(value: &Json<'_>) -> Result<Rune, Failure> {
    value.as_str().and_then(|text| Rune::decode(text).ok()).ok_or_else(|| invalid("rune", NOT_A_RUNE))
}

/// `"readonly"`, or an array of restrictions, each an array of alternatives such as `"method=getinfo"`.
pub(super) fn parse_restrictions(value: &Json<'_>) -> Result<(Vec<Restriction>, Option<Preset>), Failure> {
    match value {
        Json::String(name) => {
            let preset = Preset::named(name).filter(|preset| *preset == Preset::Readonly);
            preset.and_then(|preset| Some((preset.restrictions().ok()?, Some(preset))))
        }
        Json::Array(restrictions) => {
            let restrictions: Option<Vec<_>> = restrictions.iter().map(parse_restriction).collect();
            restrictions.map(|restrictions| (restrictions, None))
        }
        _ => None,
    }
    .ok_or_else(|| invalid("restrictions", NOT_A_RESTRICTION))
}

fn parse_restriction(value: &Json<'_>) -> Option<Restriction> {
    let Json::Array(alternatives) = value else { return None };
    let alternatives = alternatives.iter().map(|text| Alternative::parse_raw(text.as_str()?).ok());
    Restriction::new(alternatives.collect::<Option<Vec<_>>>()?).ok()
}

/// The values of the named parameters, given by position or by name; the first `required` must be there.
pub(super) fn arguments<'p, const N: usize>(
    params: &'p Json<'p>,
    names: [&str; N],
    required: usize,
) -> Result<[Option<&'p Json<'p>>; N], Failure> {
    let mut values = [None; N];
    match params {
        Json::Array(items) if items.len() > N => {
            let given = items.len();
            return Err(Failure::invalid_params(format!("too many parameters: got {given}, expected {N}")));
        }
        Json::Array(items) => items.iter().zip(&mut values).for_each(|(item, value)| *value = Some(item)),
        Json::Object(members) => {
            for (name, item) in members {
                let at = names.iter().position(|known| known == name).ok_or_else(|| {
                    Failure::invalid_params(format!(
                        "unknown parameter: {name}, this may be caused by a failure to autodetect key=value-style \
                         parameters. Please try using the -k flag and explicit key=value pairs of parameters."
                    ))
                })?;
                values[at] = Some(item);
            }
        }
        _ => {}
    }
    // As on the node, `null` is as good as absent.
    let values = values.map(|value| value.filter(|value| **value != Json::Null));
    match names.iter().zip(&values).take(required).find(|(_, value)| value.is_none()) {
        Some((name, _)) => Err(Failure::invalid_params(format!("missing required parameter: {name}"))),
        None => Ok(values),
    }
}

pub(super) fn invalid(name: &str, what: &str) -> Failure {
    Failure::invalid_params(format!("{name}: {what}: invalid token (see logs for details)"))
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        tracing::error!(%error, "the runes cannot be changed");
        Failure::not_recorded()
    }
}

impl From<CreateError> for Failure {
    fn from(error: CreateError) -> Self {
        match error {
            CreateError::Limit(error) => invalid("restrictions", &error.to_string()),
            CreateError::Store(error) => error.into(),
            CreateError::NotOurs => Failure::invalid_params(error.to_string()),
        }
    }
}
