//! `runeward pair`.

mod screen;

use std::io::{self, BufRead};
use std::time::Duration;

use clap::Args;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;

use super::Failed;
use super::rune::{Restrictions, open, parse_duration};
use crate::config::StateSettings;
use crate::gate::{Gate, OfferError, OfferStatus, Preset, Template};
use crate::store::StateDir;
use screen::Screen;

/// How often the countdown moves on.
const TICK: Duration = Duration::from_secs(1);

/// Hand out a rune by a QR code: the first device to scan it gets one that serves that device alone.
#[derive(Args)]
#[command(after_help = "Without --preset and --restrict the device may do what the preset readonly allows.

Exit status: 0 a device has its rune, 1 it has none, 2 usage, 3 no gateway is running.")]
pub(super) struct Pair {
    #[command(flatten)]
    state: StateSettings,

    /// What the device may do.
    #[arg(long, value_enum, value_name = "NAME")]
    preset: Option<Preset>,

    #[command(flatten)]
    restrictions: Restrictions,

    /// Name to list and revoke the device by; without it the device may say one itself.
    #[arg(long)]
    name: Option<String>,

    /// How long the device's rune is good for, such as 12h, 30d or 1w.
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    expires: Option<Duration>,

    /// How long the QR code is good for: 60s at most, and unless told otherwise.
    #[arg(long = "for", value_name = "TIME", value_parser = parse_duration)]
    good_for: Option<Duration>,

    /// Put the bare connection string into the QR code, for apps, in place of a link that a phone's own camera opens
    /// in the dashboard.
    #[arg(long)]
    uri: bool,

    /// Print a line of JSON for each thing that happens, and no QR code.
    #[arg(long)]
    json: bool,
}

impl Pair {
    pub(super) async fn run(self) -> Result<(), Failed> {
        let dir = self.state.dir()?;
        if !StateDir::open(&dir)?.is_served()? {
            return Err(Failed::NoConnection(format!(
                "no gateway is running on {}, so there is nothing to pair with; start `runeward serve`, or name \
                 the directory of one that runs with --state-dir",
                dir.display()
            )));
        }
        let gate = open(&self.state).await?;
        let paired = tokio::select! {
            paired = self.pair(&gate) => paired,
            // Never ends: it brings what the daemon writes.
            () = gate.runes().watch() => Ok(()),
        };
        gate.runes().close().await;
        paired
    }

    async fn pair(self, gate: &Gate) -> Result<(), Failed> {
        let template = Template {
            preset: self.preset,
            restrictions: self.restrictions.parse()?,
            name: self.name,
            expires_in: self.expires.map(|expires| expires.as_secs()),
            good_for: self.good_for.map(|good_for| good_for.as_secs()),
        };
        // From here on nothing ends this process before it has taken back what it offers.
        let mut stop =
            Stop::new().map_err(|error| Failed::Refused(format!("cannot wait for signals: {error}")))?;
        let made = gate.runes().offer(&template).await?;
        let mut screen = Screen::new(self.json, self.uri);
        screen.offer(&made)?;
        follow(gate, made.offer_id, &mut screen, &mut stop).await
    }
}

/// Tells what becomes of the offer, until nothing more can become of it or its owner has heard enough.
async fn follow(gate: &Gate, offer_id: u64, screen: &mut Screen, stop: &mut Stop) -> Result<(), Failed> {
    let runes = gate.runes();
    let mut changes = runes.changes();
    let mut ticks = tokio::time::interval(TICK);
    let mut answers = answers();
    let (mut is_claimed, mut listens, mut refused) = (false, true, 0);
    loop {
        let Some(offer) = runes.look(offer_id).await? else {
            return Err(Failed::Refused("the offer is gone: all runes were changed meanwhile".to_owned()));
        };
        let device = match &offer.status {
            OfferStatus::Open => {
                screen.count(offer.seconds_left);
                None
            }
            OfferStatus::Expired => return screen.over(&offer, "no device claimed it in time"),
            OfferStatus::Cancelled => return screen.over(&offer, "the offer is taken back"),
            OfferStatus::Claimed(device) => Some(device),
        };
        if let Some(device) = device {
            if !is_claimed {
                screen.claimed(&offer, device)?;
            }
            let alerts = offer.record.refused > refused;
            if alerts {
                refused = offer.record.refused;
                screen.used_twice(&offer)?;
            }
            // After its time nobody else can try; and where nobody listens, nobody is asked.
            if !listens || offer.seconds_left == 0 {
                return screen.kept(device);
            }
            if alerts || !is_claimed {
                is_claimed = true;
                screen.ask();
            }
        }
        let leaves = tokio::select! {
            _ = ticks.tick() => false,
            _ = changes.changed() => false,
            () = stop.asked() => true,
            answer = answers.recv(), if listens => match (answer.as_deref(), device) {
                (None, _) => {
                    listens = false;
                    false
                }
                (Some("r"), Some(device)) => {
                    runes.revoke(&[device.unique_id]).await?;
                    return screen.revoked(device);
                }
                (Some(""), Some(_)) => true,
                (Some(_), Some(_)) => {
                    screen.ask();
                    false
                }
                // Typed before there was a question.
                (Some(_), None) => false,
            }
        };
        match (leaves, device) {
            (true, Some(device)) => return screen.kept(device),
            // Seen at the next look, unless a device was quicker.
            (true, None) => runes.revoke(&[offer_id]).await?,
            (false, _) => {}
        }
    }
}

/// The lines typed on stdin, trimmed. A thread reads them, which the end of the process ends.
fn answers() -> mpsc::Receiver<String> {
    let (sender, answers) = mpsc::channel(1);
    std::thread::spawn(move || {
        for line in io::stdin().lock().lines().map_while(Result::ok) {
            if sender.blocking_send(line.trim().to_owned()).is_err() {
                return;
            }
        }
    });
    answers
}

/// Ctrl-C and its kin.
struct Stop {
    interrupt: Signal,
    terminate: Signal,
}

impl Stop {
    fn new() -> io::Result<Self> {
        Ok(Self { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }

    /// Returns once the process is asked to end. Cancel-safe.
    async fn asked(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

impl From<OfferError> for Failed {
    fn from(error: OfferError) -> Self {
        match error {
            OfferError::Store(error) => error.into(),
            OfferError::NotOurs | OfferError::NotServing => Self::Refused(error.to_string()),
            error => Self::Usage(error.to_string()),
        }
    }
}
