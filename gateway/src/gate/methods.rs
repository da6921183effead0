//! What each command can do to its owner: every name a Core Lightning v26.06 node can answer, by what
//! handing it out risks. A name that is not here, every `dev-` one a later node adds among them, has
//! no class and belongs to no preset.

/// What handing out a command risks, the least first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Class {
    /// Little: what anyone may know.
    Read,
    /// Tells balances, peers, payments or preimages, and changes nothing.
    Private,
    /// Takes money in, or writes rows that fill the disk.
    Receive,
    /// Removes records.
    Erase,
    /// Looks harmless, and hands over keys, credentials or everything the node knows.
    Secret,
    /// Moves money, or ties it up.
    Spend,
    /// Gives rights, runs code, changes settings or raw state, or runs another command.
    Admin,
}

impl Class {
    /// Its name.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Private => "private",
            Self::Receive => "receive",
            Self::Erase => "erase",
            Self::Secret => "secret",
            Self::Spend => "spend",
            Self::Admin => "admin",
        }
    }
}

/// What handing out `method` risks; `None` where it is not known.
pub(crate) fn class_of(method: &str) -> Option<Class> {
    let own = OWN.iter().find(|(name, _)| *name == method).map(|(_, class)| *class);
    own.or_else(|| {
        let found = NODE.iter().find(|(_, names)| names.binary_search(&method).is_ok());
        found.map(|(class, _)| *class)
    })
}

/// The node's commands of a class, in alphabetical order.
pub(crate) fn of_class(class: Class) -> &'static [&'static str] {
    NODE.iter().find(|(known, _)| *known == class).map_or(&[], |(_, names)| names)
}

/// Whether a command changes the state of a connection to the node, which here is shared by all peers.
pub(crate) fn is_never_forwarded(method: &str) -> bool {
    ["batching", "notifications", "deprecations"].contains(&method)
}

/// Commands of class read that make the node ask somebody outside.
pub(crate) const OUTBOUND: [&str; 4] =
    ["currencyconvert", "currencyrate", "fetchbip353", "listcurrencyrates"];

/// The gateway's own methods. None belongs to a preset but where the preset names it.
const OWN: [(&str, Class); 9] = [
    // Answered to every valid rune.
    ("runeward-whoami", Class::Read),
    // Tells a caller of nobody but itself.
    ("runeward-peer", Class::Private),
    // Makes a rune, no wider than its offer says.
    ("runeward-pair", Class::Admin),
    ("runeward-create", Class::Admin),
    ("runeward-offer", Class::Admin),
    ("runeward-waitoffer", Class::Admin),
    ("runeward-grants", Class::Admin),
    ("runeward-revoke", Class::Admin),
    ("runeward-audit", Class::Admin),
];

/// The node's commands. Aliases, commands of plugins that come with it, and retired names among them.
const NODE: [(Class, &[&str]); 7] = [
    (
        Class::Read,
        &[
            "checkmessage",
            "currencyconvert",
            "currencyrate",
            "decode",
            "feerates",
            "fetchbip353",
            "getinfo",
            "getroute",
            "getroutes",
            "help",
            "listchannels",
            "listcurrencyrates",
            "listnodes",
            "listsqlschemas",
            "parsefeerate",
            "preapproveinvoice",
            "preapprovekeysend",
            "setpsbtversion",
            "waitblockheight",
        ],
    ),
    (
        Class::Private,
        &[
            "askrene-listlayers",
            "askrene-listreservations",
            "autoclean-status",
            "bkpr-channelsapy",
            "bkpr-inspect",
            "bkpr-listaccountevents",
            "bkpr-listbalances",
            "bkpr-listincome",
            "bkpr-report",
            "checkrune",
            "datastoreusage",
            "listaddresses",
            "listchainmoves",
            "listchannelmoves",
            "listclosedchannels",
            "listforwards",
            "listfunds",
            "listhtlcs",
            "listincoming",
            "listinvoicerequests",
            "listinvoices",
            "listnetworkevents",
            "listoffers",
            "listpays",
            "listpeerchannels",
            "listpeers",
            "listsendpays",
            "listtransactions",
            "paystatus",
            "ping",
            "renepaystatus",
            "wait",
            "waitanyinvoice",
            "waitinvoice",
            "waitsendpay",
        ],
    ),
    (
        Class::Secret,
        &[
            "bkpr-dumpincomecsv",
            "commando-listrunes",
            "decryptencrypteddata",
            "estimatefees",
            "exposesecret",
            "getchaininfo",
            "getemergencyrecoverdata",
            "getlog",
            "getrawblockbyheight",
            "getsharedsecret",
            "getutxout",
            "getwatchmanheight",
            "listconfigs",
            "listdatastore",
            "listwatch",
            "makesecret",
            "showrunes",
            "signmessage",
            "signmessagewithkey",
            "sql",
            "sql-template",
            "staticbackup",
        ],
    ),
    (
        Class::Receive,
        &[
            "cancelrecurringinvoice",
            "createinvoice",
            "createoffer",
            "createproof",
            "disableoffer",
            "enableoffer",
            "invoice",
            "newaddr",
            "offer",
            "sendinvoice",
            "signinvoice",
        ],
    ),
    (
        Class::Erase,
        &[
            "autoclean-once",
            "bkpr-editdescriptionbyoutpoint",
            "bkpr-editdescriptionbypaymentid",
            "delforward",
            "delinvoice",
            "delnetworkevent",
            "delpay",
        ],
    ),
    (
        Class::Spend,
        &[
            "addpsbtinput",
            "addpsbtoutput",
            "close",
            "createinvoicerequest",
            "createonion",
            "disableinvoicerequest",
            "fetchinvoice",
            "fundchannel",
            "fundchannel_cancel",
            "fundchannel_complete",
            "fundchannel_start",
            "funderupdate",
            "fundpsbt",
            "injectpaymentonion",
            "invoicerequest",
            "keysend",
            "multifundchannel",
            "multiwithdraw",
            "openchannel_abort",
            "openchannel_bump",
            "openchannel_init",
            "openchannel_signed",
            "openchannel_update",
            "pay",
            "payersign",
            "renepay",
            "reserveinputs",
            "sendamount",
            "sendonion",
            "sendpay",
            "sendpsbt",
            "sendrawtransaction",
            "setchannel",
            "setleaserates",
            "signpsbt",
            "splice_init",
            "splice_signed",
            "splice_update",
            "splicein",
            "spliceout",
            "txdiscard",
            "txprepare",
            "txsend",
            "unreserveinputs",
            "upgradewallet",
            "utxopsbt",
            "withdraw",
            "xkeysend",
            "xpay",
            "xpay-as-pay",
        ],
    ),
    (
        Class::Admin,
        &[
            "abort_channels",
            "addblockdepthwatch",
            "addgossip",
            "addoutpointwatch",
            "addscidwatch",
            "addscriptpubkeywatch",
            "askrene-age",
            "askrene-bias-channel",
            "askrene-bias-node",
            "askrene-create-channel",
            "askrene-create-layer",
            "askrene-disable-node",
            "askrene-inform-channel",
            "askrene-remove-channel-update",
            "askrene-remove-layer",
            "askrene-reserve",
            "askrene-unreserve",
            "askrene-update-channel",
            "batching",
            "blacklistrune",
            "block_processed",
            "chaininfo",
            "check",
            "clnrest-register-path",
            "commando",
            "commando-blacklist",
            "commando-rune",
            "connect",
            "createrune",
            "datastore",
            "delblockdepthwatch",
            "deldatastore",
            "deloutpointwatch",
            "delscidwatch",
            "delscriptpubkeywatch",
            "deprecations",
            "destroyrune",
            "dev",
            "dev-compact-gossip-store",
            "dev-connectd-exhaust-fds",
            "dev-fail",
            "dev-feerate",
            "dev-finalizepsbt",
            "dev-forget-channel",
            "dev-ignore-htlcs",
            "dev-listaddrs",
            "dev-memdump",
            "dev-memleak",
            "dev-peer-shachain",
            "dev-queryrates",
            "dev-quiesce",
            "dev-rawrequest",
            "dev-reenable-commit",
            "dev-report-fds",
            "dev-rescan-outputs",
            "dev-set-max-scids-encode-size",
            "dev-sign-last-tx",
            "dev-splice",
            "dev-suppress-gossip",
            "disconnect",
            "emergencyrecover",
            "graceful",
            "injectonionmessage",
            "injectutxodeposit",
            "injectutxospend",
            "invokerune",
            "lsps-listprotocols",
            "lsps-lsps2-approve",
            "lsps-lsps2-buy",
            "lsps-lsps2-getinfo",
            "lsps-lsps2-invoice",
            "notifications",
            "plugin",
            "reckless",
            "recover",
            "recoverchannel",
            "restorefrompeer",
            "revert_block_processed",
            "sendcustommsg",
            "setconfig",
            "stfu_channels",
            "stop",
            "watch_found",
            "watch_revert",
        ],
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_stands_once_and_is_found() {
        let mut seen = std::collections::HashSet::new();
        for (class, names) in NODE {
            assert!(names.is_sorted(), "{class:?}");
            for name in names {
                assert!(seen.insert(*name), "{name}");
                assert_eq!(class_of(name), Some(class));
            }
            assert_eq!(of_class(class), names);
        }
        assert_eq!(seen.len(), 228);
        assert!(OWN.iter().all(|(name, class)| seen.insert(name) && class_of(name) == Some(*class)));
        assert!(OUTBOUND.iter().all(|name| class_of(name) == Some(Class::Read)));
        for unknown in ["", "getinf", "getinfos", "dev-new", "runeward-", "Getinfo"] {
            assert_eq!(class_of(unknown), None, "{unknown}");
        }
    }
}
