//! Configuration files as people write them.

use super::Settings;

/// A text is a configuration or an error of a few words.
pub(crate) fn config(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let settings = Settings::default();
    match settings.state.parse(text).and_then(|file| settings.complete_with(file, true)) {
        Ok(config) => assert!(!config.listen.is_empty() && config.limits.connections.most() > 0),
        Err(error) => assert!(error.to_string().len() < 2000, "{error}"),
    }
}
