//! The PROXY protocol, versions 1 and 2: a proxy tells where a connection comes from.
//! (<https://www.haproxy.org/download/2.9/doc/proxy-protocol.txt>)

use std::io;
use std::net::{IpAddr, SocketAddr};

use ipnet::IpNet;
use ppp::{v1, v2};
use tokio::io::{AsyncRead, AsyncReadExt};

/// Both versions are at least as long, and no shorter piece tells them apart.
const START: usize = 12;

/// Longest header of version 1, in bytes, its line break included.
const MAX_LINE: usize = 107;

const LINE_BREAK: &[u8] = b"\r\n";

/// Bytes of a header of version 2 up to its length, which is their last two.
const FIXED: usize = 16;

/// Longest header of version 2 that is read, in bytes: addresses and a few certificates' names.
const MAX_BINARY: usize = 4096;

/// Whether connections from this address begin with a header.
pub(super) fn is_named(proxies: &[IpNet], address: IpAddr) -> bool {
    proxies.iter().any(|proxy| proxy.contains(&address.to_canonical()))
}

/// Reads the header and nothing behind it. `None`: the proxy does not tell, or speaks for itself. Sets no deadline.
pub(super) async fn read_header<S: AsyncRead + Unpin>(stream: &mut S) -> io::Result<Option<SocketAddr>> {
    let mut header = vec![0; START];
    stream.read_exact(&mut header).await?;
    if header == v2::PROTOCOL_PREFIX {
        header.resize(FIXED, 0);
        stream.read_exact(&mut header[START..]).await?;
        let whole = FIXED + usize::from(u16::from_be_bytes([header[FIXED - 2], header[FIXED - 1]]));
        if whole > MAX_BINARY {
            return Err(invalid());
        }
        header.resize(whole, 0);
        stream.read_exact(&mut header[FIXED..]).await?;
        binary(&header)
    } else {
        // Byte by byte: what follows the line is not for us.
        while header.starts_with(v1::PROTOCOL_PREFIX.as_bytes()) && !header.ends_with(LINE_BREAK) {
            if header.len() == MAX_LINE {
                return Err(invalid());
            }
            header.push(stream.read_u8().await?);
        }
        line(&header)
    }
}

/// The source that a header of version 1 names.
fn line(header: &[u8]) -> io::Result<Option<SocketAddr>> {
    let header = v1::Header::try_from(header).map_err(|_| invalid())?;
    Ok(match header.addresses {
        v1::Addresses::Tcp4(ip) => Some((ip.source_address, ip.source_port).into()),
        v1::Addresses::Tcp6(ip) => Some((ip.source_address, ip.source_port).into()),
        v1::Addresses::Unknown => None,
    })
}

/// The source that a header of version 2 names.
fn binary(header: &[u8]) -> io::Result<Option<SocketAddr>> {
    let header = v2::Header::try_from(header).map_err(|_| invalid())?;
    Ok(match (header.command, header.protocol, header.addresses) {
        (v2::Command::Proxy, v2::Protocol::Stream, v2::Addresses::IPv4(ip)) => {
            Some((ip.source_address, ip.source_port).into())
        }
        (v2::Command::Proxy, v2::Protocol::Stream, v2::Addresses::IPv6(ip)) => {
            Some((ip.source_address, ip.source_port).into())
        }
        _ => None,
    })
}

fn invalid() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "it does not begin with a PROXY protocol header")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    const V4: [u8; 12] = [203, 0, 113, 7, 10, 0, 0, 1, 0xdd, 0xd5, 0x26, 0x08];

    fn v2(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
        let length = u16::try_from(rest.len()).unwrap().to_be_bytes();
        [v2::PROTOCOL_PREFIX, &[command, family], &length, rest].concat()
    }

    /// What comes of these bytes, and how many of them are left.
    async fn read(bytes: &[u8]) -> (io::Result<Option<SocketAddr>>, usize) {
        let mut stream = bytes;
        let read = read_header(&mut stream).await;
        (read, stream.len())
    }

    #[tokio::test]
    async fn reads_headers_and_nothing_behind_them() {
        let v6 = [&[0x20, 1, 0x0d, 0xb8][..], &[0; 11], &[1], &[0; 16], &[0, 80, 1, 187]].concat();
        let tlvs = [&V4[..], &[0x04, 0, 3, 0, 0, 0, 0x20, 0, 1, 9]].concat();
        let client = Some("203.0.113.7:56789".parse().unwrap());
        let in_v6 = Some("[2001:db8::1]:80".parse().unwrap());
        for (header, source) in [
            (b"PROXY TCP4 203.0.113.7 10.0.0.1 56789 9736\r\n".to_vec(), client),
            (b"PROXY TCP6 2001:db8::1 ::1 80 443\r\n".to_vec(), in_v6),
            (b"PROXY UNKNOWN\r\n".to_vec(), None),
            (b"PROXY UNKNOWN ffff::1 ffff::2 65535 65535\r\n".to_vec(), None),
            (v2(0x21, 0x11, &V4), client),
            (v2(0x21, 0x11, &tlvs), client),
            (v2(0x21, 0x21, &v6), in_v6),
            (v2(0x20, 0x00, &[]), None),
            (v2(0x20, 0x11, &V4), None),
            (v2(0x21, 0x00, &[7; 9]), None),
            (v2(0x21, 0x31, &[0; 216]), None),
            (v2(0x21, 0x11, &[&V4[..], &[0; MAX_BINARY - FIXED - 12]].concat()), client),
        ] {
            let (read, left) = read(&[&header, &b"\0rest"[..]].concat()).await;
            assert_eq!((read.unwrap(), left), (source, 5), "{header:02x?}");
        }
    }

    #[tokio::test]
    async fn refuses_what_is_none() {
        let long = format!("PROXY UNKNOWN {}\r\n", "x".repeat(MAX_LINE));
        for bytes in [
            b"PROXY TCP4 203.0.113.7 10.0.0.1 56789 9736\n\n\n".to_vec(),
            b"PROXY TCP4 999.0.113.7 10.0.0.1 56789 9736\r\n".to_vec(),
            b"PROXY TCP4 ::1 ::1 56789 9736\r\n".to_vec(),
            b"PROXY TCP4 1.2.3.4 1.2.3.4 1 65536\r\n".to_vec(),
            b"PROXY TCP4 1.2.3.4 1.2.3.4 1 2 3\r\n".to_vec(),
            b"PROXY \x1b[2J\r\n\r\n".to_vec(),
            long.into_bytes(),
            b"GET / HTTP/1.1\r\nHost: x\r\n\r\n".to_vec(),
            vec![0; 50],
            v2(0x31, 0x11, &V4),
            v2(0x22, 0x11, &V4),
            v2(0x21, 0x41, &V4),
            v2(0x21, 0x11, &V4[..11]),
            v2(0x21, 0x11, &[0; MAX_BINARY - FIXED + 1]),
            v2(0x21, 0x11, &V4)[..27].to_vec(),
            b"PROXY TCP4 203.0.113.7".to_vec(),
            b"PROXY".to_vec(),
        ] {
            assert!(read(&bytes).await.0.is_err(), "{bytes:02x?}");
        }
    }

    #[test]
    fn proxies_are_named_by_network() {
        let proxies = ["10.0.0.0/8".parse().unwrap(), "2001:db8::/32".parse().unwrap()];
        let is_named = |address: &str| is_named(&proxies, address.parse().unwrap());
        assert!(is_named("10.9.8.7") && is_named("::ffff:10.9.8.7") && is_named("2001:db8:1::"));
        assert!(!is_named("11.0.0.1") && !is_named("::1"));
    }

    proptest! {
        #[test]
        fn whatever_comes_is_read_or_refused(
            start in prop_oneof![Just(v2::PROTOCOL_PREFIX.to_vec()), Just(b"PROXY TCP".to_vec()), Just(vec![])],
            rest in proptest::collection::vec(any::<u8>(), 0..300),
        ) {
            let bytes = [start, rest].concat();
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            let _ = runtime.block_on(read(&bytes));
        }
    }
}
