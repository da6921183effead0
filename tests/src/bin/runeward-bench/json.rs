//! The top level of a JSON-RPC object, read as its bytes arrive.

/// Longest id or method kept; what exceeds it is cut.
const KEPT: usize = 1_024;

/// Reads one JSON object in pieces of any size and holds none of it but what a load generator asks:
/// its id, its method, and whether it carries a result or an error. It trusts the object to be
/// well formed.
#[derive(Debug, Default)]
pub struct Scanner {
    depth: u32,
    string: bool,
    escaped: bool,
    /// At depth 1: past the colon.
    in_value: bool,
    key: Vec<u8>,
    id: Vec<u8>,
    method: Vec<u8>,
    outcome: Option<Outcome>,
}

/// What a reply brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It has a `result`.
    Success,
    /// It has an `error`.
    Error,
}

/// The bytes do not start with `{`.
#[derive(Debug, PartialEq, Eq)]
pub struct NotAnObject;

impl Scanner {
    /// Reads up to the end of the object: the number of bytes that belong to it, or `None` where it
    /// goes on past `bytes`.
    pub fn feed(&mut self, bytes: &[u8]) -> Result<Option<usize>, NotAnObject> {
        for (at, &byte) in bytes.iter().enumerate() {
            if self.take(byte)? {
                return Ok(Some(at + 1));
            }
        }
        Ok(None)
    }

    /// Reads no further than the first of `result` and `error`: a huge result costs nothing.
    pub fn outcome(&mut self, bytes: &[u8]) -> Option<Outcome> {
        for &byte in bytes {
            if self.outcome.is_some() || self.take(byte).ok()? {
                break;
            }
        }
        self.outcome
    }

    /// The value of `id` as it was written; empty where none was met yet.
    pub fn id(&self) -> &[u8] {
        &self.id
    }

    /// The value of `method` as it was written, quotes included; empty where none was met yet.
    pub fn method(&self) -> &[u8] {
        &self.method
    }

    /// Makes ready for another object, keeping the allocations.
    pub fn reset(&mut self) {
        self.key.clear();
        self.id.clear();
        self.method.clear();
        *self = Self {
            key: std::mem::take(&mut self.key),
            id: std::mem::take(&mut self.id),
            method: std::mem::take(&mut self.method),
            ..Self::default()
        };
    }

    /// Takes one byte: whether it ends the object.
    fn take(&mut self, byte: u8) -> Result<bool, NotAnObject> {
        if self.string {
            if self.escaped {
                self.escaped = false;
            } else if byte == b'\\' {
                self.escaped = true;
            } else if byte == b'"' {
                self.string = false;
            }
            self.keep(byte);
            return Ok(false);
        }
        match byte {
            b' ' | b'\t' | b'\r' | b'\n' => return Ok(false),
            b'{' if self.depth == 0 => {
                self.depth = 1;
                return Ok(false);
            }
            _ if self.depth == 0 => return Err(NotAnObject),
            b':' if self.depth == 1 => {
                self.in_value = true;
                match self.key.as_slice() {
                    b"\"result\"" => self.outcome = Some(Outcome::Success),
                    b"\"error\"" => self.outcome = Some(Outcome::Error),
                    _ => {}
                }
                return Ok(false);
            }
            b',' if self.depth == 1 => {
                self.in_value = false;
                self.key.clear();
                return Ok(false);
            }
            b'{' | b'[' => self.depth += 1,
            b'}' | b']' => self.depth -= 1,
            b'"' => self.string = true,
            _ => {}
        }
        self.keep(byte);
        Ok(self.depth == 0)
    }

    /// Puts a byte where it belongs: into the key, or into a value that is asked for.
    fn keep(&mut self, byte: u8) {
        let place = if !self.in_value {
            &mut self.key
        } else {
            match self.key.as_slice() {
                b"\"id\"" => &mut self.id,
                b"\"method\"" => &mut self.method,
                _ => return,
            }
        };
        if self.depth > 0 && place.len() < KEPT {
            place.push(byte);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REQUEST: &str = " \n{\"jsonrpc\":\"2.0\", \"params\" : [{\"id\":7,\"method\":\"no\"},\"}\\\"{\"],\
                           \"method\":\"list\\\"x\",\"id\" : \"a,}b\\\\\" }\n\n{";

    #[test]
    fn a_request_is_read_alike_however_it_is_cut() {
        let end = REQUEST.len() - 3;
        for cut in 0..end {
            let (head, tail) = REQUEST.as_bytes().split_at(cut);
            let mut scanner = Scanner::default();
            assert_eq!(scanner.feed(head), Ok(None), "{cut}");
            assert_eq!(scanner.feed(tail), Ok(Some(end - cut)), "{cut}");
            assert_eq!(scanner.id(), br#""a,}b\\""#);
            assert_eq!(scanner.method(), br#""list\"x""#);
        }
    }

    #[test]
    fn what_is_no_object_is_said_to_be_none() {
        assert_eq!(Scanner::default().feed(b" ["), Err(NotAnObject));
        assert_eq!(Scanner::default().feed(b"}"), Err(NotAnObject));
        assert_eq!(Scanner::default().outcome(b"x"), None);
    }

    #[test]
    fn an_outcome_is_known_at_its_key() {
        let mut scanner = Scanner::default();
        assert_eq!(scanner.outcome(br#"{"jsonrpc":"2.0","id":12,"resul"#), None);
        assert_eq!(scanner.id(), b"12");
        assert_eq!(scanner.outcome(br#"t":{"#), Some(Outcome::Success));
        assert_eq!(scanner.outcome(br#""error":1}}"#), Some(Outcome::Success));
        scanner.reset();
        assert_eq!(scanner.outcome(br#"{"x":{"result":1},"error":{"code":-1}}"#), Some(Outcome::Error));
        scanner.reset();
        assert_eq!(scanner.outcome(br#"{"id":"result"}"#), None);
    }
}
