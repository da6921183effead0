//! The channel graph: made up, but the same at every look, and never held as a whole.

use std::sync::Arc;

use bitcoin::hashes::{Hash, sha256};
use secp256k1::{PublicKey, SECP256K1, SecretKey};
use serde::Serialize;

use super::params::Args;
use super::rpc::{Reply, RpcError};
use super::state::Node;

/// The node itself has this many channels, if the graph has.
const OWN_CHANNELS: usize = 4;
/// Nodes are few so that a large graph starts at once.
const MAX_NODES: usize = 2000;
/// The first channels are in this block.
const FIRST_BLOCK: usize = 103;
const CHANNELS_PER_BLOCK: usize = 64;
/// The latest `last_update`; others are up to two weeks older.
pub(super) const UPDATED: u64 = 1_795_000_000;

pub(super) fn listchannels(node: &Node, args: &Args) -> Result<Reply, RpcError> {
    let scid = args.scid("short_channel_id")?;
    let source = args.node_id("source")?;
    let destination = args.node_id("destination")?;
    let graph = node.graph.clone();
    let entries: Box<dyn Iterator<Item = String> + Send> = match (scid, source, destination) {
        (None, None, None) => Box::new(graph.entries(|_| true)),
        (Some(scid), None, None) => match graph.find(scid) {
            Some(channel) => Box::new(graph.entries_of(channel).into_iter()),
            None => Box::new(std::iter::empty()),
        },
        (None, Some(id), None) => {
            let index = graph.node_index(id);
            Box::new(graph.entries(move |half| Some(half.source) == index))
        }
        (None, None, Some(id)) => {
            let index = graph.node_index(id);
            Box::new(graph.entries(move |half| Some(half.destination) == index))
        }
        _ => {
            return Err(RpcError::params(
                "Can only specify one of `short_channel_id`, `source` or `destination`",
            ));
        }
    };
    Ok(Reply::Stream { name: "channels", entries })
}

/// The channels between the demo node, its peers and everybody else.
#[derive(Clone, Debug)]
pub(super) struct Graph {
    /// Node ids in hex; the first is our own, the next are our peers.
    nodes: Arc<[String]>,
    channels: usize,
}

/// A channel, all of it drawn from its place in the graph.
#[derive(Clone, Copy, Debug)]
pub(super) struct Channel {
    index: usize,
    /// Places of the two ends in `Graph::nodes`.
    ends: [usize; 2],
    noise: u64,
}

impl Graph {
    /// A graph of `channels` channels, the first few of them those of node `id`.
    pub(super) fn new(id: String, channels: usize) -> Self {
        let others = (channels / 3).clamp(OWN_CHANNELS + 2, MAX_NODES);
        let nodes = std::iter::once(id).chain((1..=others).filter_map(made_up_node_id));
        Self { nodes: nodes.collect(), channels }
    }

    /// Our own channels.
    pub(super) fn own_channels(&self) -> impl Iterator<Item = Channel> {
        (0..self.channels.min(OWN_CHANNELS)).map(|index| self.channel(index))
    }

    /// The id of the peer at the far end of one of our own channels.
    pub(super) fn peer(&self, own: Channel) -> &str {
        &self.nodes[own.ends[1]]
    }

    /// Every node's id in hex; the first is our own.
    pub(super) fn nodes(&self) -> Arc<[String]> {
        Arc::clone(&self.nodes)
    }

    /// What we ask for sending through one of our own channels.
    pub(super) fn own_terms(&self, own: Channel) -> Terms {
        let [low, high] = self.halves(own.index);
        if low.source == 0 { low.terms() } else { high.terms() }
    }

    /// What the far end of one of our own channels asks for.
    pub(super) fn peer_terms(&self, own: Channel) -> Terms {
        let [low, high] = self.halves(own.index);
        if low.source == 0 { high.terms() } else { low.terms() }
    }

    /// The secret key of another node of the graph, as its id's lower-case hex.
    pub(super) fn secret_of(&self, id: &str) -> Option<SecretKey> {
        let index = self.node_index(id).filter(|index| *index > 0)?;
        made_up_secret(index).filter(|secret| PublicKey::from_secret_key(SECP256K1, secret).to_string() == id)
    }

    /// A height at which every channel is six blocks deep.
    pub(super) fn blockheight(&self) -> usize {
        FIRST_BLOCK + self.channels / CHANNELS_PER_BLOCK + 6
    }

    fn channel(&self, index: usize) -> Channel {
        let noise = mix(index as u64);
        let ends = if index < OWN_CHANNELS {
            [0, index + 1]
        } else {
            // Any two of the others: from the first, go on by less than a full turn.
            let others = self.nodes.len() - 1;
            let first = (noise >> 32) as usize % others;
            let step = 1 + (noise & 0xffff_ffff) as usize % (others - 1);
            [1 + first, 1 + (first + step) % others]
        };
        Channel { index, ends, noise }
    }

    fn find(&self, (block, transaction, output): (usize, usize, usize)) -> Option<Channel> {
        let index = block
            .checked_sub(FIRST_BLOCK)?
            .checked_mul(CHANNELS_PER_BLOCK)?
            .checked_add(transaction.checked_sub(1)?)?;
        let channel = (index < self.channels).then(|| self.channel(index))?;
        (channel.scid() == (block, transaction, output)).then_some(channel)
    }

    pub(super) fn node_index(&self, id: &str) -> Option<usize> {
        self.nodes.iter().position(|node| node.eq_ignore_ascii_case(id))
    }

    /// Both directions of every channel, where `wanted`, as JSON text made on the way.
    fn entries(self, wanted: impl Fn(&Half) -> bool + Send + 'static) -> impl Iterator<Item = String> + Send {
        (0..self.channels).flat_map(move |index| {
            let graph = self.clone();
            let wanted = graph.halves(index).map(|half| wanted(&half).then_some(half));
            wanted.into_iter().flatten().map(move |half| graph.entry(half))
        })
    }

    fn entries_of(&self, channel: Channel) -> [String; 2] {
        self.halves(channel.index).map(|half| self.entry(half))
    }

    fn halves(&self, index: usize) -> [Half; 2] {
        let channel = self.channel(index);
        let [a, b] = channel.ends;
        // BOLT 7: direction 0 is from the lesser node id.
        let (low, high) = if self.nodes[a] < self.nodes[b] { (a, b) } else { (b, a) };
        [(0, low, high), (1, high, low)].map(|(direction, source, destination)| Half {
            channel,
            direction,
            source,
            destination,
        })
    }

    fn entry(&self, half: Half) -> String {
        let Half { channel, direction, .. } = half;
        let terms = half.terms();
        let amount_msat = channel.capacity_msat();
        let entry = Entry {
            source: &self.nodes[half.source],
            destination: &self.nodes[half.destination],
            short_channel_id: channel.short_channel_id(),
            direction,
            public: true,
            amount_msat,
            message_flags: 1,
            channel_flags: direction,
            active: true,
            last_update: terms.last_update,
            base_fee_millisatoshi: terms.fee_base_msat,
            fee_per_millionth: terms.fee_proportional_millionths,
            delay: terms.delay,
            htlc_minimum_msat: 1,
            htlc_maximum_msat: terms.htlc_maximum_msat,
            features: "",
        };
        // Strings and numbers under fixed names: there is nothing in it that could fail.
        serde_json::to_string(&entry).unwrap_or_default()
    }
}

impl Channel {
    pub(super) fn capacity_msat(&self) -> u64 {
        (100_000 + self.noise % 16_000_000) * 1000
    }

    pub(super) fn short_channel_id(&self) -> String {
        let (block, transaction, output) = self.scid();
        format!("{block}x{transaction}x{output}")
    }

    /// Which output of its funding transaction.
    pub(super) fn output(&self) -> usize {
        self.index % 2
    }

    /// Whether we opened this channel of our own.
    pub(super) fn is_ours(&self) -> bool {
        self.index.is_multiple_of(2)
    }

    /// A number that looks random and is always the same.
    pub(super) fn noise(&self) -> u64 {
        self.noise
    }

    /// Block, transaction, output.
    pub(super) fn scid(&self) -> (usize, usize, usize) {
        (FIRST_BLOCK + self.index / CHANNELS_PER_BLOCK, 1 + self.index % CHANNELS_PER_BLOCK, self.output())
    }
}

/// One direction of a channel.
struct Half {
    channel: Channel,
    direction: u8,
    source: usize,
    destination: usize,
}

impl Half {
    fn terms(&self) -> Terms {
        // Each direction sets its own.
        let noise = mix(self.channel.noise ^ u64::from(self.direction));
        Terms {
            direction: self.direction,
            last_update: UPDATED - noise % (14 * 24 * 3600),
            fee_base_msat: [0, 1000][(noise >> 20) as usize % 2],
            fee_proportional_millionths: 1 + (noise >> 24) % 1000,
            delay: [34, 40, 80, 144][(noise >> 40) as usize % 4],
            htlc_maximum_msat: self.channel.capacity_msat() / 100 * 99,
        }
    }
}

/// What a node asks for sending through a channel.
pub(super) struct Terms {
    pub(super) direction: u8,
    /// Seconds since 1970.
    last_update: u64,
    pub(super) fee_base_msat: u64,
    pub(super) fee_proportional_millionths: u64,
    /// In blocks.
    pub(super) delay: u64,
    pub(super) htlc_maximum_msat: u64,
}

#[derive(Serialize)]
struct Entry<'a> {
    source: &'a str,
    destination: &'a str,
    short_channel_id: String,
    direction: u8,
    public: bool,
    amount_msat: u64,
    message_flags: u8,
    channel_flags: u8,
    active: bool,
    last_update: u64,
    base_fee_millisatoshi: u64,
    fee_per_millionth: u64,
    delay: u64,
    htlc_minimum_msat: u64,
    htlc_maximum_msat: u64,
    features: &'a str,
}

/// A public key: clients may check that an id is a point.
fn made_up_node_id(number: usize) -> Option<String> {
    let secret = made_up_secret(number)?;
    Some(PublicKey::from_secret_key(SECP256K1, &secret).to_string())
}

fn made_up_secret(number: usize) -> Option<SecretKey> {
    let secret = sha256::Hash::hash(format!("runeward demo peer {number}").as_bytes());
    SecretKey::from_slice(secret.as_byte_array()).ok()
}

/// The finaliser of SplitMix64: neighbouring numbers come out unlike each other.
fn mix(number: u64) -> u64 {
    let mut z = number.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
