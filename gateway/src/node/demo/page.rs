//! `index`, `start` and `limit`: which part of a list was asked for.

use super::params::Args;
use super::rpc::RpcError;

/// A part of a list.
pub(super) struct Page {
    /// In the order of their last update, leaving out those that had none; else of creation.
    by_update: bool,
    start: u64,
    limit: usize,
}

impl Page {
    pub(super) fn read(args: &Args) -> Result<Self, RpcError> {
        let by_update =
            args.read("index", "should be 'created' or 'updated'", |value| match value.as_str()? {
                "created" => Some(false),
                "updated" => Some(true),
                _ => None,
            })?;
        let start = args.u64("start")?;
        let limit = args.u64("limit")?;
        for (name, given) in [("start", start), ("limit", limit)] {
            if given.is_some() && by_update.is_none() {
                let message = format!("Can only specify {{{name}}} with {{index}}");
                return Err(RpcError::params(message));
            }
        }
        Ok(Self {
            by_update: by_update.unwrap_or(false),
            start: start.unwrap_or(0),
            limit: limit.map_or(usize::MAX, |limit| limit.try_into().unwrap_or(usize::MAX)),
        })
    }

    /// Of entries with their `created_index` and `updated_index`, those on this page.
    pub(super) fn cut<T>(
        &self,
        entries: impl Iterator<Item = (u64, Option<u64>, T)>,
    ) -> impl Iterator<Item = T> {
        let mut chosen: Vec<(u64, T)> = entries
            .filter_map(|(created, updated, entry)| {
                let index = if self.by_update { updated? } else { created };
                (index >= self.start).then_some((index, entry))
            })
            .collect();
        chosen.sort_by_key(|(index, _)| *index);
        chosen.into_iter().take(self.limit).map(|(_, entry)| entry)
    }
}
