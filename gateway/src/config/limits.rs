//! Limits on peers: one table, which `[limits]`, `--limit` and `--print-limits` all read.

use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::num::NonZeroU32;
use std::str::FromStr;

use clap::Args;
use ipnet::IpNet;
use serde::de::{self, Deserialize, Deserializer, Visitor};

use super::{ConfigError, File};
use crate::shown::shown;

/// What can be set on the command line or in the environment.
#[derive(Args, Clone, Debug, Default)]
pub(super) struct LimitSettings {
    /// Set one limit, such as `calls_per_connection=32` or `calls_per_class.spend=2`; `none` lifts it. May be given several times; --print-limits
    /// lists them.
    #[arg(long, value_name = "NAME=N", env = "RUNEWARD_LIMIT", value_delimiter = ',', value_parser = setting)]
    pub(super) limit: Vec<Setting>,

    /// Let the limits per address pass over connections from this machine itself.
    #[arg(long, env = "RUNEWARD_EXEMPT_LOOPBACK")]
    pub(super) exempt_loopback: bool,

    /// A proxy, by its address or network, whose connections begin with a PROXY protocol header (1 or 2) that
    /// tells where they come from; may be given several times. Nobody else's header is read.
    #[arg(long, value_name = "CIDR", env = "RUNEWARD_PROXY_PROTOCOL_FROM", value_delimiter = ',', value_parser = network)]
    pub(super) proxy_protocol_from: Vec<IpNet>,
}

/// At most so many of something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Limit(Option<NonZeroU32>);

/// A limit for each class of commands, all apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(try_from = "BTreeMap<String, Limit>")]
pub(crate) struct ByClass([Limit; CLASSES.len()]);

/// The classes of commands, by what handing one out risks; `other` are those not known here.
const CLASSES: [&str; 8] = ["read", "private", "receive", "erase", "secret", "spend", "admin", "other"];

/// What `--limit` says: a name, in which a class may stand behind a dot, and its limit.
pub(super) type Setting = (String, Limit);

/// The table: each row a name, its type and default, its unit, and what happens when it is reached.
macro_rules! limits {
    ($($name:ident: $kind:ty = $default:expr, $unit:literal, $reached:literal;)*) => {
        /// Limits on peers.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize)]
        #[serde(deny_unknown_fields, default)]
        pub(crate) struct Limits {
            $(#[doc = concat!("In ", $unit, ". Reached: ", $reached)] pub(crate) $name: $kind,)*
            /// Whether the limits per address pass over this machine itself.
            #[serde(skip)]
            pub(crate) exempt_loopback: bool,
        }

        impl Default for Limits {
            fn default() -> Self {
                Self { $($name: $default,)* exempt_loopback: false }
            }
        }

        impl Limits {
            /// The rows' names.
            pub(crate) const NAMES: &[&str] = &[$(stringify!($name)),*];

            fn set(&mut self, name: &str, limit: Limit) -> bool {
                let (name, class) = name.split_once('.').map_or((name, None), |(name, class)| (name, Some(class)));
                match name {
                    $(stringify!($name) => self.$name.set(class, limit),)*
                    _ => false,
                }
            }

            fn rows(&self) -> Vec<[String; 4]> {
                vec![$([stringify!($name).into(), self.$name.to_string(), $unit.into(), $reached.into()],)*]
            }
        }
    };
}

limits! {
    connections: Limit = Limit::at(4096), "connections", "one more is closed at once";
    connections_per_address: Limit = Limit::at(512), "connections", "one more is closed at once; an IPv6 address counts with its /64";
    handshakes_per_second: Limit = Limit::at(1000), "connections/s", "one more is closed at once; four seconds' worth may come together, here and below";
    handshakes_per_second_per_address: Limit = Limit::at(100), "connections/s", "one more is closed at once";
    handshake_seconds: Limit = Limit::at(5), "s", "a connection that is not open by then is closed";
    unacknowledged_seconds: Limit = Limit::at(120), "s", "a connection whose other end acknowledges nothing, or takes nothing of what waits for it, is closed";
    messages_per_second_per_connection: Limit = Limit::at(100), "messages/s", "pings, others without a command, and all until a rune is good are read later; a pong counts once more for each KiB, a part of a request for each 4 KiB";
    bytes_in_per_second: Limit = Limit::NONE, "bytes/s", "all connections are read later";
    bytes_in_per_second_per_connection: Limit = Limit::NONE, "bytes/s", "the connection is read later";
    bytes_out_per_second: Limit = Limit::NONE, "bytes/s", "all connections are written later";
    bytes_out_per_second_per_connection: Limit = Limit::NONE, "bytes/s", "the connection is written later";
    requests_begun_per_connection: Limit = Limit::at(1024), "requests", "one more that comes in parts: error 19542";
    request_memory: Limit = Limit::at(32 << 20), "bytes", "requests until they are answered, above 64 KiB for each connection; those where no rune was good yet have half of it: error 19542";
    request_memory_per_address: Limit = Limit::at(4 << 20), "bytes", "requests until they are answered, above 64 KiB for each connection: error 19542";
    requests_waiting_per_connection: Limit = Limit::at(4096), "requests", "one more that has to wait its turn: error 19542";
    calls_per_connection: Limit = Limit::at(16), "calls", "more wait their turn, and all but one until a rune is good; those that wait for an event count apart, here and below";
    calls_per_rune: Limit = Limit::NONE, "calls", "error 19542; all runes derived from one count as one";
    calls_per_class: ByClass = ByClass::NONE, "calls", "error 19542; set for one class, as calls_per_class.spend, or read, private, receive, erase, secret, admin, other";
    calls_at_the_node: Limit = Limit::at(64), "calls", "more wait up to 10 s, then error 19542";
    calls_per_second_per_connection: Limit = Limit::NONE, "calls/s", "error 19542";
    calls_per_second_per_rune: Limit = Limit::NONE, "calls/s", "error 19542";
    calls_per_second_per_class: ByClass = ByClass::NONE, "calls/s", "error 19542";
    waits_per_connection: Limit = Limit::at(64), "calls", "calls that wait for an event (`wait` and its kin): error 19542";
    waits_per_rune: Limit = Limit::at(256), "calls", "the same";
    waits_at_the_node: Limit = Limit::at(512), "calls", "more wait up to 10 s, then error 19542";
}

impl LimitSettings {
    /// The limits of the configuration file, but for what these settings say.
    pub(super) fn complete(&self, file: &File) -> Result<Limits, ConfigError> {
        let mut limits = file.limits;
        limits.exempt_loopback = self.exempt_loopback || file.exempt_loopback;
        match self.limit.iter().find(|(name, limit)| !limits.set(name, *limit)) {
            None => Ok(limits),
            Some((name, _)) => Err(ConfigError::Flags(format!(
                "--limit: there is no limit '{}'; --print-limits lists them",
                shown(name)
            ))),
        }
    }
}

impl Limits {
    /// What counts as the address where limits go by it: whoever has an IPv6 address has its whole /64.
    /// `None`: they pass over it.
    pub(crate) fn counted(&self, address: IpAddr) -> Option<IpAddr> {
        match address.to_canonical() {
            address if self.exempt_loopback && address.is_loopback() => None,
            IpAddr::V6(v6) => Some(IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() >> 64 << 64))),
            v4 => Some(v4),
        }
    }
}

impl fmt::Display for Limits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let head = ["limit", "value", "unit", "when it is reached"].map(str::to_owned);
        let rows: Vec<_> = std::iter::once(head).chain(self.rows()).collect();
        let width = |column: usize| rows.iter().map(|row| row[column].len()).max().unwrap_or(0);
        let widths = [width(0), width(1), width(2)];
        for [name, value, unit, reached] in &rows {
            let [wide_name, wide_value, wide_unit] = widths;
            writeln!(f, "{name:wide_name$}  {value:>wide_value$}  {unit:wide_unit$}  {reached}")?;
        }
        let loopback = if self.exempt_loopback { "pass over" } else { "count" };
        writeln!(f, "\nLimits per address {loopback} this machine itself (--exempt-loopback).")
    }
}

impl Limit {
    /// No limit.
    pub(crate) const NONE: Self = Self(None);

    const fn at(most: u32) -> Self {
        Self(NonZeroU32::new(most))
    }

    /// The limit, if there is one.
    pub(crate) fn get(self) -> Option<NonZeroU32> {
        self.0
    }

    /// This limit, or so many where that is less, and one at least.
    pub(crate) fn at_most(self, most: usize) -> Self {
        let most = u32::try_from(most).unwrap_or(u32::MAX);
        let most = NonZeroU32::new(most).unwrap_or(NonZeroU32::MIN);
        Self(Some(self.0.map_or(most, |limit| limit.min(most))))
    }

    /// The most there may be.
    pub(crate) fn most(self) -> usize {
        self.0.map_or(usize::MAX, |most| usize::try_from(most.get()).unwrap_or(usize::MAX))
    }

    fn set(&mut self, class: Option<&str>, limit: Self) -> bool {
        *self = limit;
        class.is_none()
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(most) => most.fmt(f),
            None => f.write_str("none"),
        }
    }
}

impl FromStr for Limit {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "none" => Ok(Self::NONE),
            number => number.parse().map(|most| Self(Some(most))).map_err(|_| EXPECTED),
        }
    }
}

const EXPECTED: &str = "it is a whole number from 1 to 4294967295, or none";

impl<'de> Deserialize<'de> for Limit {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct LimitVisitor;

        impl Visitor<'_> for LimitVisitor {
            type Value = Limit;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a whole number from 1 to 4294967295, or \"none\"")
            }

            fn visit_i64<E: de::Error>(self, number: i64) -> Result<Limit, E> {
                let most = u32::try_from(number).ok().and_then(NonZeroU32::new);
                most.map(|most| Limit(Some(most)))
                    .ok_or_else(|| E::invalid_value(de::Unexpected::Signed(number), &self))
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Limit, E> {
                match text {
                    "none" => Ok(Limit::NONE),
                    text => Err(E::invalid_value(de::Unexpected::Str(text), &self)),
                }
            }
        }

        deserializer.deserialize_any(LimitVisitor)
    }
}

impl ByClass {
    const NONE: Self = Self([Limit::NONE; CLASSES.len()]);

    /// Each class and its limit.
    pub(crate) fn each(self) -> impl Iterator<Item = (&'static str, Limit)> {
        CLASSES.into_iter().zip(self.0)
    }

    fn set(&mut self, class: Option<&str>, limit: Limit) -> bool {
        let at = class.and_then(|class| CLASSES.iter().position(|name| *name == class));
        at.map(|at| self.0[at] = limit).is_some()
    }
}

impl TryFrom<BTreeMap<String, Limit>> for ByClass {
    type Error = String;

    fn try_from(limits: BTreeMap<String, Limit>) -> Result<Self, String> {
        let mut by_class = Self::NONE;
        match limits.into_iter().find(|(class, limit)| !by_class.set(Some(class), *limit)) {
            None => Ok(by_class),
            Some((class, _)) => {
                Err(format!("unknown class `{class}`, expected one of {}", CLASSES.join(", ")))
            }
        }
    }
}

impl fmt::Display for ByClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let set = self.each().filter(|(_, limit)| *limit != Limit::NONE);
        let set: Vec<_> = set.map(|(class, limit)| format!("{class}={limit}")).collect();
        f.write_str(if set.is_empty() { "none" } else { "" })?;
        f.write_str(&set.join(","))
    }
}

/// A network, or one address.
pub(super) fn network(text: &str) -> Result<IpNet, &'static str> {
    let address = || text.parse::<IpAddr>().map(IpNet::from);
    text.parse::<IpNet>()
        .or_else(|_| address())
        .map_err(|_| "it is an address or a network, such as 10.0.0.7 or 10.0.0.0/8")
}

fn setting(text: &str) -> Result<Setting, &'static str> {
    let (name, limit) = text.split_once('=').ok_or("it is a name, `=` and a limit")?;
    Ok((name.trim().to_owned(), limit.trim().parse()?))
}
