//! Offers: each becomes one rune, of whoever claims it first.

use sqlx::sqlite::SqliteRow;
use sqlx::{FromRow, Row, SqliteConnection};

use super::records::{insert, is_revoked};
use super::{RuneRecord, Store, StoreError};

/// An offer's record.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct OfferRecord {
    /// The unique id of the rune that claims it.
    pub(crate) offer_id: u64,
    /// Encoded restrictions of the rune that it becomes, joined by `&`, but for the claimant's `id`.
    pub(crate) restrictions: String,
    /// The preset they come from.
    pub(crate) preset: Option<String>,
    /// What the owner calls the device.
    pub(crate) name: Option<String>,
    /// UNIX seconds; from then on it is dead.
    pub(crate) expires_at: i64,
    /// Whether the owner has taken it back.
    pub(crate) revoked: bool,
    /// Who claimed it.
    pub(crate) claimed: Option<Claimed>,
    /// How often another device tried to claim it after that; one that tries again and again counts
    /// once.
    pub(crate) refused: u64,
    /// The node id of the last of them.
    pub(crate) last_refused: Option<String>,
}

/// A claim that was granted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Claimed {
    /// The claimant, 66 hex digits.
    pub(crate) node_id: String,
    /// The unique id of the rune it got.
    pub(crate) unique_id: u64,
}

/// What comes of a claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Claim {
    /// The rune with this unique id is the claimant's, made now or on an earlier claim of its own.
    Granted(u64),
    /// The unique id of the rune is taken: make another.
    IdTaken,
    /// Another device was quicker. `told`: this one has just been told so.
    Taken { told: bool },
    /// The offer has been taken back, or the rune that it became.
    Revoked,
    /// It is no offer, or no longer one.
    Over,
}

const OFFER: &str =
    "SELECT *, EXISTS (SELECT 1 FROM revoked WHERE offer_id BETWEEN first AND last) AS revoked
     FROM offers WHERE offer_id = ?";

impl Store {
    /// Makes an offer and registers the rune that claims it; `false` where its id is taken. `secret`:
    /// see [`Store::insert`].
    pub(crate) async fn insert_offer(
        &self,
        offer: &OfferRecord,
        pairing: &RuneRecord,
        secret: &str,
    ) -> Result<bool, StoreError> {
        let mut transaction = self.pool.begin_with("BEGIN IMMEDIATE").await?;
        if !insert(&mut transaction, pairing, secret).await? {
            return Ok(false);
        }
        sqlx::query(
            "INSERT INTO offers (offer_id, restrictions, preset, name, expires_at) VALUES (?, ?, ?, ?, ?)",
        )
        .bind(offer.offer_id.cast_signed())
        .bind(&offer.restrictions)
        .bind(&offer.preset)
        .bind(&offer.name)
        .bind(offer.expires_at)
        .execute(&mut *transaction)
        .await?;
        transaction.commit().await?;
        Ok(true)
    }

    /// The offer with this id.
    pub(crate) async fn offer(&self, offer_id: u64) -> Result<Option<OfferRecord>, StoreError> {
        Ok(sqlx::query_as(OFFER).bind(offer_id.cast_signed()).fetch_optional(&self.pool).await?)
    }

    /// Claims an offer at `time` (UNIX seconds) for `node_id`, which is to get `rune`: one claimant
    /// gets it, whatever else happens meanwhile, here or in another process. The rune's name is a
    /// wish: where it is taken, a number goes behind it. On disk on return.
    pub(crate) async fn claim(
        &self,
        offer_id: u64,
        time: i64,
        node_id: &str,
        rune: RuneRecord,
        secret: &str,
    ) -> Result<Claim, StoreError> {
        let mut transaction = self.pool.begin_with("BEGIN IMMEDIATE").await?;
        let found = sqlx::query_as(OFFER).bind(offer_id.cast_signed());
        let offer: Option<OfferRecord> = found.fetch_optional(&mut *transaction).await?;
        let Some(offer) = offer.filter(|offer| time < offer.expires_at) else { return Ok(Claim::Over) };
        let claim = match &offer.claimed {
            _ if offer.revoked => Claim::Revoked,
            Some(claimed) if is_revoked(&mut transaction, claimed.unique_id).await? => Claim::Revoked,
            Some(claimed) if claimed.node_id == node_id => Claim::Granted(claimed.unique_id),
            Some(_) if offer.last_refused.as_deref() == Some(node_id) => Claim::Taken { told: true },
            Some(_) => refuse(&mut transaction, offer_id, node_id).await?,
            None => grant(&mut transaction, offer_id, node_id, rune, secret).await?,
        };
        transaction.commit().await?;
        Ok(claim)
    }

    /// Says where the daemon is reached, a connection string without a rune; `None`: not yet.
    pub(crate) async fn set_serving(&self, uri: Option<&str>) -> Result<(), StoreError> {
        let set = match uri {
            Some(uri) => sqlx::query("INSERT OR REPLACE INTO serving (only, uri) VALUES (1, ?)").bind(uri),
            None => sqlx::query("DELETE FROM serving"),
        };
        set.execute(&self.pool).await?;
        Ok(())
    }

    /// Where the daemon is reached, or was when it last ran.
    pub(crate) async fn serving(&self) -> Result<Option<String>, StoreError> {
        Ok(sqlx::query_scalar("SELECT uri FROM serving").fetch_optional(&self.pool).await?)
    }
}

impl FromRow<'_, SqliteRow> for OfferRecord {
    fn from_row(row: &SqliteRow) -> Result<Self, sqlx::Error> {
        let claimed_by: Option<String> = row.try_get("claimed_by")?;
        let unique_id: Option<i64> = row.try_get("unique_id")?;
        Ok(Self {
            offer_id: row.try_get::<i64, _>("offer_id")?.cast_unsigned(),
            restrictions: row.try_get("restrictions")?,
            preset: row.try_get("preset")?,
            name: row.try_get("name")?,
            expires_at: row.try_get("expires_at")?,
            revoked: row.try_get("revoked")?,
            claimed: claimed_by
                .zip(unique_id)
                .map(|(node_id, unique_id)| Claimed { node_id, unique_id: unique_id.cast_unsigned() }),
            refused: row.try_get::<i64, _>("refused")?.cast_unsigned(),
            last_refused: row.try_get("last_refused")?,
        })
    }
}

async fn grant(
    connection: &mut SqliteConnection,
    offer_id: u64,
    node_id: &str,
    mut rune: RuneRecord,
    secret: &str,
) -> Result<Claim, StoreError> {
    if let Some(wish) = rune.name.take() {
        rune.name = Some(free_name(connection, &wish).await?);
    }
    if !insert(connection, &rune, secret).await? {
        return Ok(Claim::IdTaken);
    }
    sqlx::query("UPDATE offers SET claimed_by = ?, unique_id = ? WHERE offer_id = ?")
        .bind(node_id)
        .bind(rune.unique_id.cast_signed())
        .bind(offer_id.cast_signed())
        .execute(connection)
        .await?;
    Ok(Claim::Granted(rune.unique_id))
}

async fn refuse(
    connection: &mut SqliteConnection,
    offer_id: u64,
    node_id: &str,
) -> Result<Claim, StoreError> {
    sqlx::query("UPDATE offers SET refused = refused + 1, last_refused = ? WHERE offer_id = ?")
        .bind(node_id)
        .bind(offer_id.cast_signed())
        .execute(connection)
        .await?;
    Ok(Claim::Taken { told: false })
}

/// The name itself, or `phone (2)`, `phone (3)` and so on where it is taken.
async fn free_name(connection: &mut SqliteConnection, wish: &str) -> Result<String, StoreError> {
    let mut name = wish.to_owned();
    let mut number = 1u64;
    loop {
        let taken = sqlx::query("SELECT 1 FROM runes WHERE name = ?").bind(&name);
        if taken.fetch_optional(&mut *connection).await?.is_none() {
            return Ok(name);
        }
        number += 1;
        let suffix = format!(" ({number})");
        let room = wish.floor_char_boundary(super::MAX_NAME - suffix.len());
        name = format!("{}{suffix}", wish[..room].trim_end());
    }
}
