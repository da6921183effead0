//! What an error may quote of what it was given.

/// Longest text that is quoted, in bytes: shorter than any rune, key or preimage.
const LONGEST: usize = 40;

/// The text for an error, which may end up in a log: each stretch of it without a space or a quotation
/// mark that is long enough to be a rune, a key or an invoice is left out, and control characters are
/// escaped.
pub(crate) fn shown(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for piece in text.split_inclusive(|c: char| c.is_whitespace() || matches!(c, '"' | '\'' | '`')) {
        let word = piece.trim_end_matches(|c: char| c.is_whitespace() || matches!(c, '"' | '\'' | '`'));
        if word.len() > LONGEST {
            out.push_str(&format!("({} bytes, not shown)", word.len()));
        } else {
            out.push_str(word);
        }
        out.push_str(&piece[word.len()..]);
    }
    out.chars().flat_map(|c| if c.is_control() { c.escape_default().collect() } else { vec![c] }).collect()
}

#[cfg(test)]
mod tests {
    use super::shown;

    #[test]
    fn what_could_be_a_secret_is_left_out() {
        assert_eq!(shown("unknown field `nodes`, expected `node`"), "unknown field `nodes`, expected `node`");
        let key = "0f".repeat(32);
        assert_eq!(shown(&format!("no '{key}' here")), "no '(64 bytes, not shown)' here");
        assert_eq!(shown(&format!("h:1?rune={key}")), "(73 bytes, not shown)");
        assert_eq!(shown("a\u{1b}[2J\nb"), "a\\u{1b}[2J\\nb");
        assert_eq!(shown(""), "");
    }
}
