//! What an error, a log and a terminal may show of what was given.

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
    printable(&out)
}

/// Text that may come from strangers, safe on a terminal and in a line.
pub(crate) fn printable(text: &str) -> String {
    text.chars().flat_map(|c| if acts(c) { c.escape_default().collect() } else { vec![c] }).collect()
}

/// JSON text, without white space between its tokens, that means the same and is as safe.
pub(crate) fn printable_json(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    text.chars().for_each(|c| push_json(c, &mut out));
    out
}

/// Appends a character of a string in JSON text: as it is, or as JSON escapes it.
pub(crate) fn push_json(c: char, out: &mut String) {
    match acts(c) {
        false => out.push(c),
        // None of them has more than four digits.
        true => out.push_str(&format!("\\u{:04x}", u32::from(c))),
    }
}

/// Whether a character shows nothing itself but ends lines, moves the cursor or turns what is around it
/// about.
pub(crate) fn acts(c: char) -> bool {
    let turns =
        matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    turns || c.is_control()
}

#[cfg(test)]
mod tests {
    use super::{printable_json, shown};

    #[test]
    fn what_could_be_a_secret_is_left_out() {
        assert_eq!(shown("unknown field `nodes`, expected `node`"), "unknown field `nodes`, expected `node`");
        let key = "0f".repeat(32);
        assert_eq!(shown(&format!("no '{key}' here")), "no '(64 bytes, not shown)' here");
        assert_eq!(shown(&format!("h:1?rune={key}")), "(73 bytes, not shown)");
        assert_eq!(shown("a\u{1b}[2J\nb\u{202e}"), "a\\u{1b}[2J\\nb\\u{202e}");
        assert_eq!(shown(""), "");
        assert_eq!(printable_json("\"a\u{7f}\u{202e}ä\""), r#""a\u007f\u202eä""#);
    }
}
