//! Runes: bearer tokens that anyone can narrow and nobody can widen.
//!
//! A rune is an authcode and a list of restrictions. Its issuer makes it from a [`MasterSecret`];
//! whoever holds it can append a restriction without the secret, and none can take one back. A
//! request is allowed where every restriction holds, and a restriction holds where one of its
//! alternatives does: `method=getinfo|method^list`.
//!
//! # Layout
//!
//! - `coding`: the wire. base64url, and text to structure and back, with its bounds; `error`: what can
//!   be wrong with it.
//! - `authcode`: the SHA-256 chain that makes restrictions stick.
//! - `restriction`: conditions, alternatives and restrictions, made and read.
//! - `rune`: the two put together, and the secret.
//! - `request`: what restrictions are tested against, a [`Request`] that gives values when asked.
//! - `evaluate`: what restrictions mean; `refusal`: the words where one does not hold.
//! - `work`: how much an evaluation may read.
//! - `pace`: the two fields that mean time between uses; `quota`: the two that mean buckets.
//! - `invoice` and `bolt12`: what the fields that read an invoice find in it.
//! - `outlook`: what can be told before there is a request: when a rune ends, what it could allow.
//! - `english`: restrictions in the words of the node's `showrunes`.
//! - `explain`: restrictions in the words of people, and what minting should not let pass; `verdict`
//!   judges and words one alternative, `say` its numbers and times.
//!
//! Nothing here reads a clock, a file or a socket: the caller supplies every value.
//!
//! # Example
//!
//! ```
//! use std::borrow::Cow;
//!
//! use runeward_policy::{
//!     MasterSecret, Parameter, Request, Restriction, Rune, SinceLastUse, evaluate,
//! };
//!
//! struct Call(&'static str);
//!
//! impl Request for Call {
//!     fn time(&self) -> u64 {
//!         1_700_000_000
//!     }
//!     fn peer(&self) -> Option<Cow<'_, str>> {
//!         None
//!     }
//!     fn method(&self) -> Option<Cow<'_, str>> {
//!         Some(self.0.into())
//!     }
//!     fn parameter_count(&self) -> u64 {
//!         0
//!     }
//!     fn named(&self, _: &str) -> Parameter<'_> {
//!         Parameter::Absent
//!     }
//!     fn positional(&self, _: u64) -> Parameter<'_> {
//!         Parameter::Absent
//!     }
//!     fn since_last_use(&self) -> SinceLastUse {
//!         SinceLastUse::Never
//!     }
//! }
//!
//! // The issuer makes a rune, and a holder narrows it.
//! let secret = MasterSecret::new(&[7; 32])?;
//! let issued = secret.issue(1, &[Restriction::parse("method=getinfo|method^list")?])?;
//! let narrowed = issued.narrow(Restriction::parse("method/listpeers")?)?;
//!
//! // The gate reads it back, sees where it comes from, and tests a request.
//! let rune = Rune::decode(&narrowed.encode())?;
//! assert!(secret.derived(&rune));
//! assert_eq!(rune.numeric_id(), Some(1));
//! assert!(evaluate(&rune, &Call("getinfo")).is_ok());
//!
//! let refusal = evaluate(&rune, &Call("pay")).unwrap_err();
//! assert_eq!(
//!     refusal.to_string(),
//!     "method is not equal to getinfo AND method does not start with list",
//! );
//! # Ok::<_, Box<dyn std::error::Error>>(())
//! ```

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod authcode;
mod bolt12;
mod coding;
mod english;
mod error;
mod evaluate;
mod explain;
mod invoice;
mod outlook;
mod pace;
mod quota;
mod refusal;
mod request;
mod restriction;
mod rune;
mod say;
mod verdict;
mod work;

pub use authcode::MAX_SECRET_BYTES;
pub use coding::{MAX_ALTERNATIVES, MAX_RESTRICTIONS, MAX_RUNE_BYTES};
pub use error::{DecodeError, LimitError, ParseError};
pub use evaluate::{Pass, evaluate};
pub use quota::Quota;
pub use refusal::Refusal;
pub use request::{Parameter, Request, Room, SinceLastUse, Value};
pub use restriction::{Alternative, Condition, Restriction, RestrictionRef, parse_restrictions};
pub use rune::{MasterSecret, Rune, SecretError, UniqueId};
