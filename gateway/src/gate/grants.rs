//! Grants: what was handed out, to be shown. A grant never shows the rune itself.

use runeward_policy::Rune;

use super::object::{Object, quoted, seconds};
use crate::store::RuneRecord;

/// A rune that was issued here.
pub(crate) struct Grant {
    pub(crate) rune: Rune,
    pub(crate) record: RuneRecord,
    pub(crate) revoked: bool,
}

/// What has become of a grant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Status {
    Live,
    Expired,
    Revoked,
}

impl Grant {
    /// Whether it still allows anything at `now` (UNIX seconds).
    pub(crate) fn status(&self, now: u64) -> Status {
        match (self.revoked, self.expires_at()) {
            (true, _) => Status::Revoked,
            (false, Some(end)) if end <= now => Status::Expired,
            _ => Status::Live,
        }
    }

    /// The first UNIX second in which it allows nothing any more, by its restrictions.
    pub(crate) fn expires_at(&self) -> Option<u64> {
        self.rune.expires_at()
    }

    /// The node id of the only caller it serves, by its restrictions.
    pub(crate) fn bound_peer(&self) -> Option<&str> {
        self.rune.bound_peer()
    }

    /// Whether it can make other runes, or could before it ended.
    pub(crate) fn is_admin(&self) -> bool {
        let made_at = u64::try_from(self.record.created_at).unwrap_or(0);
        self.rune.could_allow(made_at, None, Some("createrune"))
    }

    /// JSON text. Unique ids are numbers, below 2^52; times are UNIX seconds; what is not there is
    /// `null`.
    pub(crate) fn to_json(&self, now: u64) -> String {
        let Self { rune, record, revoked } = self;
        let mut out = Object::new();
        out.raw("unique_id", &record.unique_id.to_string());
        out.optional_text("name", record.name.as_deref());
        out.optional_text("preset", record.preset.as_deref());
        out.array("restrictions", rune.restrictions().map(|it| quoted(it.as_str())));
        out.text("restrictions_as_english", &rune.english());
        out.raw("created_at", &record.created_at.to_string());
        out.optional("expires_at", self.expires_at());
        out.optional("last_used", record.last_used.map(seconds));
        out.raw("uses", &record.uses.to_string());
        out.optional_text("bound_peer", self.bound_peer());
        out.optional("offer_id", record.offer);
        out.raw("revoked", if *revoked { "true" } else { "false" });
        out.text("status", self.status(now).name());
        out.end()
    }
}

impl Status {
    /// `live`, `expired` or `revoked`.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Expired => "expired",
            Self::Revoked => "revoked",
        }
    }
}

/// `{"grants":[…]}`.
pub(crate) fn to_json(grants: &[Grant], now: u64) -> String {
    let mut out = Object::new();
    out.array("grants", grants.iter().map(|grant| grant.to_json(now)));
    out.end()
}
