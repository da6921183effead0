//! The parameters of each of the node's commands, in order, as its `help` tells them.

use std::collections::HashMap;

/// Parameter names by command; `None` where they are not known.
#[derive(Clone, Debug, Default)]
pub(crate) struct Signatures(HashMap<String, Option<Vec<String>>>);

/// Stands in `help` behind the name of a command that is to go.
const DEPRECATED: &str = "(DEPRECATED!)";

impl Signatures {
    /// Reads lines such as `pay bolt11 [amount_msat] [label]`. A command whose line says more than
    /// names has parameters that are not known.
    pub(crate) fn read<'a>(help: impl IntoIterator<Item = &'a str>) -> Self {
        let signature = |line: &'a str| {
            let mut words = line.split_ascii_whitespace().filter(|word| *word != DEPRECATED);
            let command = words.next()?.to_owned();
            let names = words.map(|word| {
                let name = word.strip_prefix('[').and_then(|word| word.strip_suffix(']')).unwrap_or(word);
                let plain = name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
                plain.then(|| name.to_owned())
            });
            Some((command, names.collect()))
        };
        Self(help.into_iter().filter_map(signature).collect())
    }

    /// The command's parameters in order; `None` where they are not known.
    pub(crate) fn of(&self, command: &str) -> Option<&[String]> {
        self.0.get(command)?.as_deref()
    }

    /// Every command, in no order.
    pub(crate) fn commands(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::Signatures;

    #[test]
    fn reads_help_as_nodes_write_it() {
        let signatures = Signatures::read([
            "getinfo ",
            "invoice amount_msat label [dev-routes]",
            "keysend (DEPRECATED!) destination [label]",
            "plugin subcommand=start|stop",
            "",
        ]);
        let of = |command: &str| signatures.of(command).map(<[String]>::to_vec);
        assert_eq!(of("getinfo"), Some(vec![]));
        assert_eq!(of("invoice"), Some(vec!["amount_msat".into(), "label".into(), "dev-routes".into()]));
        assert_eq!(of("keysend"), Some(vec!["destination".into(), "label".into()]));
        assert_eq!(of("plugin"), None);
        assert_eq!(of("nosuch"), None);
    }
}
