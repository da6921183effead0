//! A QR code in the terminal.

use qrcode::render::unicode::Dense1x2;
use qrcode::types::QrError;
use qrcode::{EcLevel, QrCode};

/// Black on white out of the 256 colours, which no theme changes: a camera reads dark on light best,
/// and a terminal may be either.
const BLACK_ON_WHITE: &str = "\x1b[38;5;16;48;5;231m";
const PLAIN: &str = "\x1b[0m";

/// The text as lines of half blocks, two modules high each, with the margin a camera needs.
///
/// # Errors
/// Where the text is over 2,953 bytes long.
pub(crate) fn draw(text: &str) -> Result<String, QrError> {
    // The least redundancy: nothing wears off a screen, and fewer modules are larger ones.
    let code = QrCode::with_error_correction_level(text, EcLevel::L)?;
    let image = code.render::<Dense1x2>().build();
    Ok(image.lines().map(|line| format!("{BLACK_ON_WHITE}{line}{PLAIN}\n")).collect())
}
