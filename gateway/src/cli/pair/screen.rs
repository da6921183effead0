//! What an owner sees of a pairing: words and a QR code on stderr; on stdout what that says, or with `--json` a line
//! for each thing that happens.

use std::io::{self, IsTerminal};
use std::net::IpAddr;

use super::super::rune::{now, printable};
use super::super::{Failed, print};
use crate::client::{Link, Uri, link};
use crate::gate::{Device, Made, Offer, explain, fingerprint, risks, summary};
use crate::qr;

/// Goes back to the start of the line and clears it.
const CLEAR_LINE: &str = "\r\x1b[K";

/// Where a pairing is told.
pub(super) struct Screen {
    json: bool,
    /// Whether the QR code holds the bare connection string.
    bare: bool,
    /// Whether the countdown may write over itself.
    is_terminal: bool,
    /// Whether the countdown stands in the last line.
    counting: bool,
}

impl Screen {
    pub(super) fn new(json: bool, bare: bool) -> Self {
        Self { json, bare, is_terminal: io::stderr().is_terminal(), counting: false }
    }

    /// The QR code, and what it gives.
    pub(super) fn offer(&mut self, made: &Made) -> Result<(), Failed> {
        for risk in risks(&made.sample, now()) {
            eprintln!("runeward: warning: the rune offered {risk}");
        }
        if self.json {
            return print(&format!("{}\n", made.to_json()));
        }
        let link = if self.bare { None } else { link(Link::Pair, &made.uri) };
        let text = link.as_ref().unwrap_or(&made.uri);
        let drawn = qr::draw(text).map_err(|error| {
            Failed::Refused(format!("what to scan fits no QR code ({error}): use --json"))
        })?;
        eprintln!("The first device to scan this gets a rune for itself alone. What it may do:");
        for sentence in explain(&made.sample, now()) {
            eprintln!("- {}", printable(&sentence));
        }
        eprint!("{drawn}");
        print(&format!("{text}\n"))?;
        if let Some(host) = unreachable_host(&made.uri) {
            eprintln!(
                "runeward: warning: a phone cannot reach {host}; start the gateway with --listen 0.0.0.0:9736 and \
                 with --advertise HOST:PORT, where HOST is how phones reach this machine"
            );
        }
        Ok(())
    }

    /// How much longer it is good for.
    pub(super) fn count(&mut self, seconds_left: u64) {
        let line = format!("Good for {seconds_left} s more. Ctrl-C takes it back.");
        match (self.json, self.is_terminal) {
            (true, _) => {}
            (false, true) => eprint!("{CLEAR_LINE}{line}"),
            (false, false) if !self.counting => eprintln!("{line}"),
            (false, false) => {}
        }
        self.counting = true;
    }

    /// Who has it, and what that one may do.
    pub(super) fn claimed(&mut self, offer: &Offer, device: &Device) -> Result<(), Failed> {
        if self.json {
            return print(&format!("{}\n", offer.to_json()));
        }
        self.end_count();
        eprintln!("Paired: {}", printable(&device.name));
        eprintln!("  node id   {}", device.node_id);
        eprintln!("  words     {}   (the device shows the same)", words(&device.node_id));
        eprintln!("  unique id {}", device.unique_id);
        eprintln!("  may do    {}", printable(&summary(&device.rune, now())));
        Ok(())
    }

    /// The one question there is.
    pub(super) fn ask(&self) {
        if !self.json {
            eprintln!("Enter keeps it. If it is not yours, r and Enter revoke it at once.");
        }
    }

    /// The alert that another device tried too.
    pub(super) fn used_twice(&self, offer: &Offer) -> Result<(), Failed> {
        if self.json {
            return print(&format!("{}\n", offer.to_json()));
        }
        let other = offer.record.last_refused.as_deref().unwrap_or_default();
        eprintln!(
            "\nALERT: this QR was used twice. Another device tried to claim it and was refused:\n  node id   {other}\n  \
             words     {}\nSomebody else has seen the code: make sure that the device paired is yours.",
            words(other)
        );
        Ok(())
    }

    /// It stays as it is.
    pub(super) fn kept(&self, device: &Device) -> Result<(), Failed> {
        if !self.json {
            // By its id: a stranger may have chosen the name, and this is there to be pasted.
            eprintln!("Kept. To take it back: runeward rune revoke {}", device.unique_id);
        }
        Ok(())
    }

    /// The device's rune is dead.
    pub(super) fn revoked(&self, device: &Device) -> Result<(), Failed> {
        if self.json {
            print(&format!("{{\"status\":\"revoked\",\"unique_id\":{}}}\n", device.unique_id))?;
        }
        Err(Failed::Refused(format!("revoked {} and all that was derived from it", device.unique_id)))
    }

    /// No device got it.
    pub(super) fn over(&mut self, offer: &Offer, why: &str) -> Result<(), Failed> {
        if self.json {
            print(&format!("{}\n", offer.to_json()))?;
        }
        self.end_count();
        Err(Failed::Refused(why.to_owned()))
    }

    fn end_count(&mut self) {
        if self.counting && self.is_terminal && !self.json {
            eprint!("{CLEAR_LINE}");
        }
        self.counting = false;
    }
}

fn words(node_id: &str) -> String {
    fingerprint(node_id).unwrap_or_default()
}

/// The host that a connection string names, where only this machine reaches it.
fn unreachable_host(uri: &str) -> Option<String> {
    let host = uri.parse::<Uri>().ok()?.host;
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    let is_here = address.map_or(host == "localhost", |it| it.is_loopback() || it.is_unspecified());
    is_here.then_some(host)
}
