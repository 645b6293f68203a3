//! All active rollouts of a process.

use crate::route::Route;
use std::borrow::Borrow;
use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;

/// The routing rows by whatever names them. Copying it copies pointers, so that a writer can make the
/// next table beside the readers of this one.
///
/// A rollout that ended leaves its last row in place, with all traffic on one variant: a row that was
/// taken out could not refuse an older one that arrives late.
#[derive(Debug, Clone)]
pub struct Table<K> {
    rows: HashMap<K, Arc<Route>>,
}

/// A row came that is not newer than the one in place.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the row of generation {offered} comes after generation {have} and differs from it; it was not taken")]
pub struct StaleRow {
    /// Its generation.
    pub offered: u64,
    /// The generation in place.
    pub have: u64,
}

impl<K> Default for Table<K> {
    fn default() -> Self {
        Self { rows: HashMap::new() }
    }
}

impl<K: Hash + Eq> Table<K> {
    /// Puts a row in place. One of the same generation is taken as a repetition when it is the same,
    /// and refused when it is not: two writers gave out one number.
    pub fn put(&mut self, key: K, route: Arc<Route>) -> Result<(), StaleRow> {
        if let Some(have) = self.rows.get(&key) {
            let repeated = have.generation() == route.generation() && **have == *route;
            if have.generation() >= route.generation() && !repeated {
                return Err(StaleRow { offered: route.generation(), have: have.generation() });
            }
        }
        self.rows.insert(key, route);
        Ok(())
    }

    /// Takes a row out: its deployment is gone.
    pub fn remove<Q: Hash + Eq + ?Sized>(&mut self, key: &Q) -> Option<Arc<Route>>
    where
        K: Borrow<Q>,
    {
        self.rows.remove(key)
    }

    /// The row of a rollout.
    #[inline]
    pub fn get<Q: Hash + Eq + ?Sized>(&self, key: &Q) -> Option<&Arc<Route>>
    where
        K: Borrow<Q>,
    {
        self.rows.get(key)
    }

    /// How many rows there are.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::route::{RouteSpec, Variant};
    use crate::share::Share;

    fn row(candidate: u32) -> Route {
        let weight = |ppm| Share::from_ppm(ppm).unwrap();
        let variants = vec![
            Variant { name: "stable".into(), weight: weight(1_000_000 - candidate) },
            Variant { name: "v8".into(), weight: weight(candidate) },
        ];
        Route::new(RouteSpec { salt: "s".into(), variants, holdout: None, layer: None }).unwrap()
    }

    #[test]
    fn a_late_row_never_undoes_a_newer_one() {
        let first = Arc::new(row(10_000));
        let second = Arc::new(first.reweighted(&[Share::ALL, Share::NONE]).unwrap());
        let mut table = Table::default();
        table.put("fraud", Arc::clone(&first)).unwrap();
        table.put("fraud", Arc::clone(&second)).unwrap();
        assert_eq!(table.put("fraud", first), Err(StaleRow { offered: 1, have: 2 }));
        assert_eq!(table.put("fraud", Arc::clone(&second)), Ok(()), "polled again");
        assert_eq!(table.get("fraud"), Some(&second));
    }

    #[test]
    fn two_rows_of_one_generation_are_refused() {
        let mut table = Table::default();
        table.put("fraud", Arc::new(row(10_000))).unwrap();
        assert!(table.put("fraud", Arc::new(row(20_000))).is_err());
    }
}
