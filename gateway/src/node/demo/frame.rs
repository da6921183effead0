//! Requests lie back to back on a connection, with no length in front: they are cut apart by the
//! braces. Values keep the text the client wrote, for an `id` goes back byte for byte.

use serde::de::IgnoredAny;

/// The longest request taken, in bytes.
pub(super) const MAX_REQUEST: usize = 4 << 20;

/// An unfinished request up to this size is looked over for mistakes at every read, so that
/// garbage is refused at once; a longer one only when its last brace is there.
const EAGER_CHECK: usize = 64 << 10;

/// Bytes read and not answered yet.
#[derive(Default)]
pub(super) struct Unread {
    pub(super) bytes: Vec<u8>,
    scan: Scan,
}

/// What the unread bytes begin with.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Frame {
    /// One valid JSON object or array, now removed from the unread bytes.
    Complete(String),
    /// More must be read.
    Incomplete,
    /// No continuation makes this JSON. The unread bytes stay, to be shown.
    Invalid,
    /// A request longer than `MAX_REQUEST`.
    TooLong,
}

impl Unread {
    /// Takes the first request off the unread bytes.
    pub(super) fn next_frame(&mut self) -> Frame {
        if self.scan.at == 0 {
            let blank = self.bytes.iter().take_while(|byte| byte.is_ascii_whitespace());
            let blank = blank.count();
            self.bytes.drain(..blank);
            match self.bytes.first() {
                None => return Frame::Incomplete,
                Some(b'{' | b'[') => {}
                Some(_) => return Frame::Invalid,
            }
        }
        match self.scan.advance(&self.bytes) {
            Some(end) if end <= MAX_REQUEST => self.take(end),
            None if self.bytes.len() <= MAX_REQUEST => self.check_unfinished(),
            _ => Frame::TooLong,
        }
    }

    fn take(&mut self, end: usize) -> Frame {
        let frame = match str::from_utf8(&self.bytes[..end]) {
            Ok(text) if serde_json::from_str::<IgnoredAny>(text).is_ok() => text.to_owned(),
            _ => return Frame::Invalid,
        };
        self.bytes.drain(..end);
        self.scan = Scan::default();
        Frame::Complete(frame)
    }

    fn check_unfinished(&self) -> Frame {
        if self.bytes.len() > EAGER_CHECK {
            return Frame::Incomplete;
        }
        match serde_json::from_slice::<IgnoredAny>(&self.bytes) {
            Err(error) if !error.is_eof() => Frame::Invalid,
            _ => Frame::Incomplete,
        }
    }
}

/// The text of member `name` of a valid JSON object, the first where it is there twice.
pub(super) fn member<'a>(object: &'a str, name: &str) -> Option<&'a str> {
    let mut rest = object.trim().strip_prefix('{')?;
    loop {
        let key = rest.trim_start();
        let key_end = value_end(key);
        let value = key[key_end..].trim_start().strip_prefix(':')?.trim_start();
        let end = value_end(value);
        if key[..key_end].trim_matches('"') == name {
            return Some(&value[..end]);
        }
        rest = value[end..].trim_start().strip_prefix(',')?;
    }
}

/// How far the scan has come, so that a request read in pieces is scanned once.
#[derive(Debug, Default)]
struct Scan {
    at: usize,
    depth: usize,
    in_string: bool,
    escaped: bool,
}

impl Scan {
    /// Where the value at the beginning of `bytes` ends, once it does.
    fn advance(&mut self, bytes: &[u8]) -> Option<usize> {
        while let Some(&byte) = bytes.get(self.at) {
            self.at += 1;
            if self.in_string {
                match byte {
                    _ if self.escaped => self.escaped = false,
                    b'\\' => self.escaped = true,
                    b'"' => self.in_string = false,
                    _ => {}
                }
            } else {
                match byte {
                    b'"' => self.in_string = true,
                    b'{' | b'[' => self.depth += 1,
                    b'}' | b']' => self.depth = self.depth.saturating_sub(1),
                    _ => {}
                }
            }
            let closing = matches!(byte, b'}' | b']' | b'"');
            if closing && self.depth == 0 && !self.in_string {
                return Some(self.at);
            }
        }
        None
    }
}

/// The length of the JSON value `text` begins with.
fn value_end(text: &str) -> usize {
    match text.as_bytes().first() {
        Some(b'{' | b'[' | b'"') => Scan::default().advance(text.as_bytes()).unwrap_or(text.len()),
        _ => {
            text.find(|c: char| c.is_ascii_whitespace() || matches!(c, ',' | '}' | ']')).unwrap_or(text.len())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unread(text: &str) -> Unread {
        Unread { bytes: text.as_bytes().to_vec(), scan: Scan::default() }
    }

    #[test]
    fn frames_are_cut_at_their_braces() {
        let mut unread = unread(" {\"a\":\"}\\\"{\"}\n\n[{}]{\"b\"");
        assert_eq!(unread.next_frame(), Frame::Complete("{\"a\":\"}\\\"{\"}".into()));
        assert_eq!(unread.next_frame(), Frame::Complete("[{}]".into()));
        assert_eq!(unread.next_frame(), Frame::Incomplete);
        unread.bytes.extend(b":1}");
        assert_eq!(unread.next_frame(), Frame::Complete("{\"b\":1}".into()));
        assert_eq!(unread.next_frame(), Frame::Incomplete);
    }

    #[test]
    fn garbage_is_refused_before_its_last_brace() {
        for text in ["}", "x", "5", "{nonsense", "{\"a\":1]", "{\"a\" 1}"] {
            assert_eq!(unread(text).next_frame(), Frame::Invalid, "{text}");
        }
    }

    #[test]
    fn a_request_has_a_longest_length() {
        let mut unread = unread("{\"a\":\"");
        unread.bytes.resize(MAX_REQUEST + 1, b'x');
        assert_eq!(unread.next_frame(), Frame::TooLong);
    }

    #[test]
    fn members_keep_their_text() {
        let object = r#"{ "id" : 1.50 ,"s":"a\"\u00e9", "o":{"id":[1,"}"]} ,"id":2, "t":true}"#;
        assert_eq!(member(object, "id"), Some("1.50"));
        assert_eq!(member(object, "s"), Some(r#""a\"\u00e9""#));
        assert_eq!(member(object, "o"), Some(r#"{"id":[1,"}"]}"#));
        assert_eq!(member(object, "t"), Some("true"));
        assert_eq!(member(object, "x"), None);
        assert_eq!(member("{}", "x"), None);
    }
}
