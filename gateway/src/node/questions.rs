//! What the gateway itself asks the node. These few questions, and no others, go without a permit.

use std::io::{self, ErrorKind};

use serde::de::DeserializeOwned;
use tokio::io::AsyncWriteExt;
use zeroize::{Zeroize, Zeroizing};

use super::Socket;
use super::scanner::Scanner;

/// Longest answer, in bytes.
const MAX_ANSWER: usize = 4 * 1024 * 1024;

/// More bytes than the answer that holds a secret.
const SHORT_ANSWER: usize = 4096;

/// What a node says of itself.
#[derive(serde::Deserialize)]
pub(super) struct Info {
    /// 66 hex digits.
    pub(super) id: String,
    /// Such as `bitcoin` or `regtest`.
    pub(super) network: String,
}

impl Socket {
    /// Who the node is.
    pub(super) async fn ask_info(&mut self) -> io::Result<Info> {
        self.ask("getinfo", "{}").await
    }

    /// Its commands with their parameters, a line each.
    pub(super) async fn ask_help(&mut self) -> io::Result<Vec<String>> {
        #[derive(serde::Deserialize)]
        struct Help {
            help: Vec<Command>,
        }
        #[derive(serde::Deserialize)]
        struct Command {
            command: String,
        }
        Ok(self.ask::<Help>("help", "{}").await?.help.into_iter().map(|line| line.command).collect())
    }

    /// What its runes are derived from.
    pub(super) async fn ask_rune_secret(&mut self) -> io::Result<Zeroizing<Vec<u8>>> {
        #[derive(serde::Deserialize)]
        struct Secret {
            secret: Zeroizing<String>,
        }
        let secret = self.ask::<Secret>("makesecret", "{\"string\":\"commando\"}").await?.secret;
        let digit = |digit: u8| char::from(digit).to_digit(16);
        let byte = |pair: &[u8]| u8::try_from(digit(*pair.first()?)? * 16 + digit(*pair.get(1)?)?).ok();
        let mut bytes = Zeroizing::new(Vec::with_capacity(secret.len()));
        for pair in secret.as_bytes().chunks(2) {
            bytes.push(byte(pair).ok_or_else(|| unexpected("makesecret"))?);
        }
        Ok(bytes)
    }

    /// The unique ids of the runes it has revoked, as inclusive ranges.
    pub(super) async fn ask_revoked(&mut self) -> io::Result<Vec<(u64, u64)>> {
        #[derive(serde::Deserialize)]
        struct Revoked {
            blacklist: Vec<Range>,
        }
        #[derive(serde::Deserialize)]
        struct Range {
            start: u64,
            end: u64,
        }
        let revoked = self.ask::<Revoked>("blacklistrune", "{}").await?;
        Ok(revoked.blacklist.into_iter().map(|range| (range.start, range.end)).collect())
    }

    /// Asks. After an error the socket is of no more use: part of the answer may still be coming.
    async fn ask<T: DeserializeOwned>(&mut self, method: &str, params: &str) -> io::Result<T> {
        #[derive(serde::Deserialize)]
        struct Envelope<T> {
            result: T,
        }
        let id = "\"rw#question\"".to_owned();
        let request =
            format!("{{\"jsonrpc\":\"2.0\",\"id\":{id},\"method\":\"{method}\",\"params\":{params}}}");
        self.stream.write_all(request.as_bytes()).await?;
        let mut scanner = Scanner::new(id.clone(), id);
        // Some answers are secrets, and those are short: growing leaves copies behind.
        let mut answer = Zeroizing::new(Vec::with_capacity(SHORT_ANSWER));
        while !self.read(&mut scanner, &mut answer).await? {
            if answer.len() > MAX_ANSWER {
                return Err(unexpected(method));
            }
        }
        let envelope = serde_json::from_slice::<Envelope<T>>(&answer).map_err(|_| unexpected(method));
        self.buffer.zeroize();
        Ok(envelope?.result)
    }
}

fn unexpected(method: &str) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, format!("it answers {method} in no way a lightningd does"))
}
