//! Names of runes: what their owner lists and revokes them by.

use crate::shown::acts;
use crate::store::MAX_NAME;

/// Checks a name, which may come from a stranger and is shown to the owner.
///
/// # Errors
/// What a name has to be.
pub(crate) fn check(name: &str) -> Result<(), &'static str> {
    let fits = (1..=MAX_NAME).contains(&name.len());
    let shows = !name.chars().any(acts);
    // A number is taken for a unique id.
    match fits && shows && name.parse::<u64>().is_err() {
        true => Ok(()),
        false => Err("a name has 1 to 64 bytes, no control characters, and is no number"),
    }
}

#[cfg(test)]
mod tests {
    use super::check;

    #[test]
    fn names() {
        for good in ["a", "kitchen phone", "Ärger 2", "👩‍💻", "-1", "1.5", &"x".repeat(64)] {
            assert_eq!(check(good), Ok(()), "{good}");
        }
        for bad in ["", "5", "a\nb", "\u{1b}[2J", "a\u{7f}", "\u{202e}evil", "\u{2028}", &"x".repeat(65)] {
            assert!(check(bad).is_err(), "{bad:?}");
        }
    }
}
