use super::Stranger;

/// As a TLS client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tls {
    /// A record that says it is a hello, and is none.
    Garbage,
    /// A hello a byte at a time.
    Drip,
    /// Half of a hello, then silence.
    Half,
    /// A record longer than a record may be.
    LongRecord,
    /// A hello cut into records of one byte.
    Fragments,
    /// A hello of SSL 3.
    OldVersion,
}

impl Tls {
    pub(super) const ALL: &[Self] =
        &[Self::Garbage, Self::Drip, Self::Half, Self::LongRecord, Self::Fragments, Self::OldVersion];

    pub(super) async fn mount(self, stranger: &Stranger) {
        let hello = hello();
        let heard = match self {
            Self::Garbage => stranger.says(&record(&[0xa5; 512])).await,
            Self::Drip => stranger.drips(&record(&hello)).await,
            Self::Half => stranger.says(&record(&hello)[..20]).await,
            Self::LongRecord => stranger.says(&[&[0x16, 3, 1, 0xff, 0xff][..], &[1; 0xffff]].concat()).await,
            Self::Fragments => {
                let pieces: Vec<u8> = hello.chunks(1).flat_map(record).collect();
                stranger.says(&pieces).await
            }
            Self::OldVersion => stranger.says(&[&[0x16, 3, 0, 0, 4][..], &[1, 0, 0, 0]].concat()).await,
        };
        // At most an alert.
        assert!(heard.is_empty() || (heard[0] == 0x15 && heard.len() <= 14), "{heard:02x?}");
    }
}

fn record(bytes: &[u8]) -> Vec<u8> {
    [&[0x16, 3, 1][..], &(bytes.len() as u16).to_be_bytes(), bytes].concat()
}

/// A hello that offers one cipher suite and nothing that TLS 1.2 or 1.3 would need beside it.
fn hello() -> Vec<u8> {
    let body = [&[3, 3][..], &[7; 32], &[0], &[0, 2, 0x13, 0x01], &[1, 0], &[0, 0]].concat();
    [&[1, 0, 0, body.len() as u8][..], &body].concat()
}
