//! The decision: a request becomes a [`Permit`], or a reply that says why not.
//!
//! # Layout
//! - `json`, `request`: one strict parse into what is checked and what the node gets.
//! - `check`: what a rune's conditions read of a request; `expiry`: what is filled in before.
//! - `runes`: the runes honoured here, issued and revoked; `in_use`: what of them is in memory;
//!   `quotas`: the buckets of each; `uses`: the record of their use; `clock`: the time decisions are
//!   made by.
//! - `grants`: what was handed out, to be shown.
//! - `limits`: the gateway's own, whatever the rune says.
//! - `audit`: every decision a line, and the lines found again.
//! - `methods`, `presets`, `risks`: what each command risks, what is usually handed out, and what to
//!   know of it before.
//! - `rune_methods`: `createrune` and its kin, answered here; `own_methods`: the gateway's own.
//! - `offers`: what may be claimed once; `pairing`: the methods that offer and claim, with `names` and
//!   `fingerprint` for who did.
//! - `whoami`, `look`: what a caller is told of its rune, and of its own channels.
//! - `signatures`: which parameters the node's commands have.
//! - `filter`: the form of a reply filter.
//! - `permit`: leave to run one command; a node call takes one.
//! - `reply`, `object`: the replies the gateway makes itself.
//! - `bench`, `fuzzing`: what the bench times and the fuzz targets ask; the latter built for them alone.

pub(crate) mod audit;
pub mod bench;
mod check;
mod clock;
mod expiry;
mod filter;
mod fingerprint;
#[cfg(any(test, fuzzing))]
pub mod fuzzing;
mod grants;
mod in_use;
mod json;
mod limits;
mod look;
mod methods;
mod names;
mod object;
mod offers;
mod own_methods;
mod pairing;
mod permit;
mod presets;
mod quotas;
mod reply;
mod request;
mod risks;
mod rune_methods;
mod runes;
mod signatures;
mod uses;
mod whoami;

use std::net::IpAddr;
use std::sync::{Arc, PoisonError, RwLock};

use runeward_policy::Rune;
use zeroize::Zeroizing;

use crate::config::{self, Authority};
use crate::store::{Ranges, StateDir, StoreError};
use audit::{Audit, AuditError, Fingerprints, Record, Subject};
use check::Check;
use limits::{Leave, Limits};
use methods::Class;
use own_methods::{Caller, OwnMethod};
use request::Request;
use rune_methods::RuneMethod;
use runes::Count;
use signatures::Signatures;
use whoami::Here;

pub(crate) use fingerprint::fingerprint;
pub(crate) use grants::{Grant, Status, to_json as grants_to_json};
pub(crate) use in_use::Accepted;
pub(crate) use look::Look;
pub(crate) use names::check as check_name;
pub(crate) use offers::{Device, Made, Offer, OfferError, Status as OfferStatus, Template};
pub(crate) use pairing::Wait;
pub(crate) use permit::Permit;
pub(crate) use presets::{Preset, explain, summary};
pub(crate) use reply::{Failure, Refusal};
pub(crate) use risks::risks;
pub(crate) use runes::{CreateError, Denied, ResolveError, Runes, Wanted};

/// The one place where commands are allowed.
#[derive(Debug)]
pub(crate) struct Gate {
    runes: Runes,
    signatures: RwLock<Arc<Signatures>>,
    /// The node's network, empty until it has been met.
    network: RwLock<String>,
    limits: Limits,
    audit: Audit,
}

/// What the node tells about itself that decisions depend on.
pub(crate) enum Fact {
    /// Its network, such as `regtest`.
    Network(String),
    /// The lines of its `help`.
    Help(Vec<String>),
    /// What its runes are derived from.
    RuneSecret(Zeroizing<Vec<u8>>),
    /// The unique ids it has revoked, as inclusive ranges.
    Revoked(Vec<(u64, u64)>),
}

/// What is to be done about a request.
pub(crate) enum Decision {
    /// Ask the node.
    Forward(Permit),
    /// Send this reply.
    Answer(Vec<u8>),
    /// Send what [`Gate::wait`] returns; until then other calls go on.
    Wait(Wait),
    /// Ask the node several things and send what is put together from them.
    Look(Look),
}

impl Decision {
    /// Whether the reply comes only when something happens.
    fn waits(&self) -> bool {
        match self {
            Self::Forward(permit) => permit.waits(),
            Self::Wait(_) => true,
            Self::Answer(_) | Self::Look(_) => false,
        }
    }
}

impl Gate {
    /// Opens the gate of a state directory, to look and to hand out runes: it lets no command through.
    pub(crate) async fn open(dir: &StateDir, authority: Authority) -> Result<Self, StoreError> {
        let (signatures, network) = Default::default();
        let runes = Runes::open(dir, authority).await?;
        let limits = Limits::new(config::Limits::default());
        Ok(Self { runes, signatures, network, limits, audit: Audit::closed() })
    }

    /// Opens the gate of a state directory to serve, within limits and with the audit log, of which so many
    /// files are kept, or all.
    pub(crate) async fn serve(
        dir: &StateDir,
        authority: Authority,
        limits: config::Limits,
        audit_files: Option<usize>,
    ) -> Result<Self, AuditError> {
        let gate = Self::open(dir, authority).await?;
        if gate.runes.store().restored().await?.is_some() {
            return Err(StoreError::Restored(dir.path().to_owned()).into());
        }
        let audit = Audit::open(dir, gate.runes.store(), audit_files).await?;
        Ok(Self { limits: Limits::new(limits), audit, ..gate })
    }

    /// Writes what is still to be written and closes the store, all of it in one file.
    pub(crate) async fn close(&self) {
        self.audit.close().await;
        self.runes.flush().await;
        if let Err(error) = self.runes.store().gather().await {
            tracing::warn!(%error, "the database is not in one file");
        }
        self.runes.close().await;
    }

    /// Takes over what the node tells. Its runes matter only where they are honoured.
    pub(crate) fn learn(&self, fact: Fact) {
        match fact {
            Fact::Network(network) => {
                *self.network.write().unwrap_or_else(PoisonError::into_inner) = network;
            }
            Fact::Help(lines) => {
                log_unknown(&lines);
                let signatures = Arc::new(Signatures::read(lines.iter().map(String::as_str)));
                *self.signatures.write().unwrap_or_else(PoisonError::into_inner) = signatures;
            }
            Fact::RuneSecret(secret) => self.runes.learn_secret(&secret),
            Fact::Revoked(ranges) => {
                let mut revoked = Ranges::default();
                ranges.into_iter().for_each(|(first, last)| revoked.insert(first, last));
                self.runes.learn_revoked(revoked);
            }
        }
    }

    /// The runes it stands for.
    pub(crate) fn runes(&self) -> &Runes {
        &self.runes
    }

    /// The node the state directory belongs to.
    pub(crate) async fn node(&self) -> Result<Option<String>, StoreError> {
        self.runes.store().bound("node").await
    }

    /// Says where it is reached, a connection string without a rune; `None`: not yet.
    pub(crate) async fn serve_at(&self, uri: Option<&str>) -> Result<(), StoreError> {
        self.runes.store().set_serving(uri).await
    }

    /// Binds the state directory to this node, or says that it belongs to another.
    pub(crate) async fn bind_node(&self, node_id: &str) -> Result<(), StoreError> {
        self.runes.store().bind("node", node_id).await
    }

    /// Decides on one request, and begins to record it. `peer`: the node id of whoever sent it, 66 hex
    /// digits, from this address. `accepted`: where it is noted which runes were good on the connection.
    pub(crate) async fn decide(
        &self,
        bytes: &[u8],
        peer: &str,
        address: IpAddr,
        accepted: &Accepted,
    ) -> (Decision, Record) {
        let mut subject = Subject::of(peer, address);
        let mut request = match Request::parse(bytes) {
            Ok(request) => request,
            Err(refusal) => {
                let record = self.audit.refuse(&subject, refusal.code(), "malformed", true);
                return (Decision::Answer(refusal.reply()), record);
            }
        };
        expiry::fill_in(&request.rune, &request.method, &mut request.params);
        let signatures = self.signatures();
        subject.class = methods::class_of(&request.method).map(Class::name);
        let is_known = subject.class.is_some() || signatures.of(&request.method).is_some();
        subject.method = Some(request.method.as_ref()).filter(|_| is_known);
        let span = tracing::Span::current();
        span.record("method", subject.method.unwrap_or("unknown"));

        let time = self.runes.clock().seconds();
        let leave = match self.leave(&request, peer, time, &signatures).await {
            Ok(leave) => leave,
            Err(denied) => return self.refuse(&request, &denied, subject),
        };
        let in_use = &leave.rune;
        accepted.note(in_use);
        span.record("rune", in_use.unique_id);
        (subject.rune, subject.name) = (Some(in_use.unique_id), in_use.name.as_deref());
        subject.params = self.audit.fingerprints(&request.params, (!is_known).then_some(&*request.method));
        let announced = request.receipt == Some(true) || request.has_method_name() && is_announced(&request);
        let Some(mut record) = self.audit.begin(&subject, announced).await else {
            let failure = Failure::not_audited();
            let record = self.audit.refuse(&subject, failure.code(), "not recorded", false);
            return (Decision::Answer(failure.reply(request.id)), record);
        };
        if in_use.is_revoked() {
            // While its intent was written.
            let refusal = Refusal::rune(&Denied::Blacklisted.reason());
            return (Decision::Answer(refusal.reply()), record);
        }
        let id = match record.receipt().filter(|_| request.receipt == Some(true)) {
            Some(receipt) => format!("{},\"receipt\":\"{receipt}\"", request.id),
            None => request.id.to_owned(),
        };
        let request = request.with_id(&id);
        let caller = Caller { peer, rune: &request.rune, time };
        let decided = self.dispatch(&request, &caller, Arc::clone(&leave), &signatures).await;
        if decided.as_ref().is_ok_and(Decision::waits) {
            record.waits();
        }
        (decided.unwrap_or_else(|failure| Decision::Answer(failure.reply(request.id))), record)
    }

    /// Leave for a request, where its rune and the gateway's own limits allow it.
    async fn leave(
        &self,
        request: &Request<'_>,
        peer: &str,
        time: u64,
        signatures: &Signatures,
    ) -> Result<Arc<Leave>, Denied> {
        let rune = &request.rune;
        let leave = self.limits.enter(self.runes.find(rune).await?, &request.method)?;
        match OwnMethod::named(&request.method) {
            Some(OwnMethod::Whoami) => self.runes.recognise(rune, peer, time).await?,
            _ => {
                let check = Check::new(time, Some(peer), Some(&request.method), &request.params)
                    .with_signature(signatures.of(&request.method));
                self.runes.allow(&leave.rune, rune, check, Count::Use).await?;
            }
        }
        Ok(leave)
    }

    /// Refuses a request whose rune does not allow it. Of a rune that is not ours nothing is recorded:
    /// what it says of itself may not be so.
    fn refuse(&self, request: &Request<'_>, denied: &Denied, subject: Subject<'_>) -> (Decision, Record) {
        let unique_id = request.rune.numeric_id().filter(|_| self.runes.is_ours(&request.rune));
        let in_use = unique_id.and_then(|unique_id| self.runes.in_use(unique_id));
        let name = in_use.as_ref().and_then(|in_use| in_use.name.as_deref());
        let params = match unique_id {
            Some(_) => self.audit.fingerprints(&request.params, None),
            None => Fingerprints::default(),
        };
        let subject = Subject { rune: unique_id, name, params, ..subject };
        let failure = match denied {
            Denied::NotRecorded => Some(Failure::not_recorded()),
            Denied::NoSecret => Some(Failure::unreachable("its rune secret is not known yet")),
            Denied::UsedUp { quota, retry_after, .. } => {
                Some(Failure::busy(&quota.to_string(), *retry_after))
            }
            Denied::Busy { limit, wait } => Some(Failure::over_rate(limit, *wait)),
            _ => None,
        };
        let (code, reply) = match failure {
            Some(failure) => (failure.code(), failure.reply(request.id)),
            None => {
                let refusal = Refusal::rune(&denied.reason());
                (refusal.code(), refusal.reply())
            }
        };
        let record = self.audit.refuse(&subject, code, denied.in_a_word(), unique_id.is_none());
        (Decision::Answer(reply), record)
    }

    /// What becomes of a request that its rune allows.
    async fn dispatch(
        &self,
        request: &Request<'_>,
        caller: &Caller<'_>,
        leave: Arc<Leave>,
        signatures: &Signatures,
    ) -> Result<Decision, Failure> {
        let method = request.method.as_ref();
        if !request.has_method_name() {
            return Err(Failure::unknown_command(method));
        }
        if own_methods::is_own(method) {
            let own = OwnMethod::named(method).ok_or_else(|| Failure::unknown_command(method))?;
            return own.run(self, request, caller, leave).await;
        }
        if methods::is_never_forwarded(method) {
            return Err(Failure::never_forwarded(method));
        }
        request.filter.as_ref().map_or(Ok(()), filter::check)?;
        expiry::check(&request.rune, method, &request.params)?;
        request.receipt.ok_or_else(|| Failure::invalid_params("receipt: value must be true or false"))?;
        let rune_method = RuneMethod::named(method);
        match (rune_method, self.runes.authority()) {
            (Some(rune_method), Authority::Own) => {
                let result = rune_method.run(&self.runes, &request.params, caller.time, signatures).await?;
                Ok(Decision::Answer(reply::success(request.id, &result)))
            }
            _ => {
                if let Some(RuneMethod::Blacklist) = rune_method {
                    rune_methods::check_range(&request.params)?;
                }
                let waits = limits::waits(method);
                let changes_runes = matches!(rune_method, Some(RuneMethod::Blacklist));
                let permit = Permit::new(request.id, request.command(), waits, changes_runes, leave);
                Ok(Decision::Forward(permit))
            }
        }
    }

    /// The reply to a call that waits. Cancel-safe.
    pub(crate) async fn wait(&self, wait: &Wait) -> Result<Vec<u8>, Failure> {
        wait.reply(&self.runes).await
    }

    /// The result of `runeward-whoami`. `name`: the rune's, from memory: who may always ask must not keep the store from
    /// those whose commands have to be on record.
    fn whoami(&self, caller: &Caller<'_>, name: Option<&str>) -> String {
        let network = self.network.read().unwrap_or_else(PoisonError::into_inner).clone();
        let (authority, signatures) = (self.runes.authority(), self.signatures());
        let here = Here { authority, signatures: &signatures, network: &network };
        whoami::tell(caller, name, &here)
    }

    fn signatures(&self) -> Arc<Signatures> {
        Arc::clone(&self.signatures.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Whether `rune` would allow this command now; nothing is recorded. `params` is JSON text.
    pub(crate) async fn dry_run(
        &self,
        rune: &Rune,
        peer: Option<&str>,
        method: &str,
        params: &str,
    ) -> Result<(), DryRunError> {
        let mut params = json::parse(params).map_err(|_| DryRunError::Params)?;
        if !matches!(params, json::Json::Array(_) | json::Json::Object(_)) {
            return Err(DryRunError::Params);
        }
        expiry::fill_in(rune, method, &mut params);
        let check = Check::new(self.runes.clock().seconds(), peer, Some(method), &params);
        let checked = self.runes.check(rune, check, Count::DryRun).await;
        checked.map_err(DryRunError::Denied)
    }
}

/// Whether a command is sent only once it is on record: all but those that change nothing and hand over
/// no secret.
fn is_announced(request: &Request<'_>) -> bool {
    !matches!(methods::class_of(&request.method), Some(Class::Read | Class::Private))
}

/// The reply to a request that fails, whatever it asks, for this reason.
pub(crate) fn fail(request: &[u8], failure: &Failure) -> Vec<u8> {
    match Request::parse(request) {
        Ok(request) => failure.reply(request.id),
        Err(refusal) => refusal.reply(),
    }
}

/// Why a dry run found no leave.
pub(crate) enum DryRunError {
    /// The params are no strict JSON object or array.
    Params,
    Denied(Denied),
}

/// Says which of the node's commands are not known, so that whoever relies on presets knows.
fn log_unknown(help: &[String]) {
    let names = help.iter().filter_map(|line| line.split_ascii_whitespace().next());
    let is_new = |name: &&str| methods::class_of(name).is_none() && !name.starts_with("dev-");
    let unknown: Vec<_> = names.filter(is_new).collect();
    if !unknown.is_empty() {
        let commands = unknown.join(" ");
        tracing::warn!(commands, "the node has commands not known here: no preset but admin allows them");
    }
}
