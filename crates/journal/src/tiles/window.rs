//! A window of time: the merge of the tiles that begin in it.
//!
//! Thirty days are some two hundred tiles. Each column's sketches are merged at once, not one after the other, and of columns
//! in files some are read at a time, so that a window of hundreds of columns does not hold all tiles' at once.

use super::parked::{Index, Parked};
use super::{Column, Latency, MAX_COLUMNS, RequestTile, SeriesKey, Tile, Tiles};
use mainspring_core::{Tenant, Timestamp};
use mainspring_stats::{Kll, NumericProfile};
use std::collections::{BTreeMap, HashSet};
use std::path::Path;
use std::sync::Arc;

/// Columns that are read at a time: of two hundred tiles some 25 MB.
const AT_ONCE: usize = 32;

/// The merge of one version's tiles in a window.
#[derive(Debug, Clone)]
pub struct Window {
    /// The variant.
    pub variant: String,
    /// The registered model, or the file.
    pub model: String,
    /// Its version.
    pub version: String,
    /// What was seen.
    pub tile: Tile,
}

/// Which window.
#[derive(Clone, Copy)]
struct Asked<'a> {
    tenant: &'a Tenant,
    deployment: &'a str,
    since: i64,
    until: i64,
}

/// What a window has of one version, while nothing of it is merged.
struct Part {
    key: SeriesKey,
    tiles: Vec<Arc<Tile>>,
    parked: Vec<Parked>,
}

impl Part {
    /// All of it in one tile; `None` when a file cannot be read, unless this is the `last` try: then what is damaged is left
    /// out, and said to be.
    fn whole(&self, dir: Option<&Path>, last: bool) -> Option<Tile> {
        let mut indexes = Vec::with_capacity(self.parked.len());
        for (dir, parked) in dir.into_iter().flat_map(|dir| self.parked.iter().map(move |parked| (dir, parked))) {
            match Index::read(dir, parked) {
                Ok(index) => indexes.push((dir, index)),
                Err(_) if !last => return None,
                Err(error) => tracing::error!(%error, "columns are missing from a window"),
            }
        }
        let requests: Vec<&RequestTile> = self.tiles.iter().map(|tile| &tile.requests).collect();
        let mut whole = Tile { requests: RequestTile::merged(&requests), columns: BTreeMap::new() };
        for names in self.names(&indexes).chunks(AT_ONCE) {
            let (Some(from), Some(to)) = (names.first(), names.last()) else { continue };
            let mut read = Vec::with_capacity(indexes.len());
            for (dir, index) in &indexes {
                match index.between(dir, Some((from, to))) {
                    Ok(columns) => read.push(columns),
                    Err(_) if !last => return None,
                    Err(error) => tracing::error!(%error, "columns are missing from a window"),
                }
            }
            for name in names {
                let held = self.tiles.iter().filter_map(|tile| tile.columns.get(*name));
                let columns: Vec<&Column> = held.chain(read.iter().filter_map(|read| read.get(*name))).collect();
                if !columns.is_empty() {
                    whole.columns.insert((*name).to_owned(), Column::merged(&columns));
                }
            }
        }
        Some(whole)
    }

    /// The names of its columns in order; of more than a tile may have, those that came first.
    fn names<'a>(&'a self, indexes: &'a [(&Path, Index)]) -> Vec<&'a str> {
        let held = self.tiles.iter().flat_map(|tile| tile.columns.keys().map(String::as_str));
        let mut seen = HashSet::new();
        let mut names: Vec<&str> = held.chain(indexes.iter().flat_map(|(_, index)| index.names())).collect();
        names.retain(|name| seen.len() < MAX_COLUMNS && seen.insert(*name));
        names.sort_unstable();
        names
    }
}

impl Column {
    fn merged(all: &[&Self]) -> Self {
        let numeric: Vec<&NumericProfile> = all.iter().filter_map(|column| column.numeric.as_ref()).collect();
        let mut whole = Self::default();
        if !numeric.is_empty() {
            whole.numeric.get_or_insert_default().merge_all(&numeric);
        }
        for text in all.iter().filter_map(|column| column.text.as_ref()) {
            whole.text.get_or_insert_default().merge(text);
        }
        whole
    }
}

impl RequestTile {
    fn merged(all: &[&Self]) -> Self {
        let mut whole = Self::default();
        for one in all {
            whole.merge_counts(one);
        }
        let times = |of: fn(&Self) -> &Latency| {
            let sketches: Vec<&Kll> = all.iter().map(|one| &of(one).quantiles).collect();
            let sum_us = all.iter().map(|one| of(one).sum_us).sum();
            let mut latency = Latency { sum_us, ..Latency::default() };
            latency.quantiles.merge_all(&sketches);
            latency
        };
        whole.total = times(|one| &one.total);
        whole.queue = times(|one| &one.queue);
        whole.features = times(|one| &one.features);
        whole.engine = times(|one| &one.engine);
        whole.encode = times(|one| &one.encode);
        whole
    }
}

impl Tiles {
    /// The window from `since` up to but not including `until`, by variant and version. Columns of an earlier time are
    /// read from disk: blocks.
    pub fn windows(&self, tenant: &Tenant, deployment: &str, since: Timestamp, until: Timestamp) -> Vec<Window> {
        let asked = Asked { tenant, deployment, since: since.micros(), until: until.micros() };
        // A file may have been rolled up and removed between the look at the tiles and its reading: then the tiles have
        // its columns elsewhere. One that stays damaged is left out.
        for last in [false, true] {
            if let Some(found) = self.read(asked, last) {
                return found;
            }
        }
        Vec::new()
    }

    fn read(&self, asked: Asked<'_>, last: bool) -> Option<Vec<Window>> {
        let mut found = Vec::new();
        for part in self.parts(asked) {
            let tile = part.whole(self.0.dir.as_deref(), last)?;
            let SeriesKey { variant, model, version, .. } = part.key;
            found.push(Window { variant, model, version, tile });
        }
        Some(found)
    }

    fn parts(&self, asked: Asked<'_>) -> Vec<Part> {
        let all = self.0.series.lock();
        let of = all.iter().filter(|(k, _)| k.tenant == asked.tenant.as_str() && *k.deployment == *asked.deployment);
        of.filter_map(|(key, series)| {
            let held: Vec<_> = series.between(asked.since, asked.until).collect();
            (!held.is_empty()).then(|| Part {
                key: key.clone(),
                tiles: held.iter().map(|held| Arc::clone(&held.tile)).collect(),
                parked: held.iter().filter_map(|held| held.parked.clone()).collect(),
            })
        })
        .collect()
    }

    /// The same window over all variants and versions.
    pub fn merged(&self, tenant: &Tenant, deployment: &str, since: Timestamp, until: Timestamp) -> Tile {
        let mut windows = self.windows(tenant, deployment, since, until).into_iter().map(|window| window.tile);
        let mut whole = windows.next().unwrap_or_default();
        windows.for_each(|tile| whole.merge(&tile));
        whole
    }
}
