//! The history of a metric.

use super::runs;
use crate::actions::ReadRun;
use crate::error::{RegistryError, Result};
use crate::points::{Point, downsample, sort_by_step, sort_by_time};
use crate::registry::Registry;
use crate::sql::chunks;
use crate::types::Page;
use mainspring_core::Authorized;
use std::collections::BTreeMap;

/// Most points of one answer that spans several runs.
pub const MAX_POINTS: usize = 25_000;

/// Which values of a metric to show in a plot.
#[derive(Debug, Clone, Copy)]
pub struct Sample {
    /// At most so many a run, evenly spread, first and last included.
    pub max: usize,
    /// Only of these steps, both ends included.
    pub within: Option<(i64, i64)>,
}

impl Registry {
    /// The points by run, unsorted.
    async fn points(
        &self,
        auth: &Authorized<ReadRun>,
        ids: &[String],
        key: &str,
        all_must_exist: bool,
    ) -> Result<BTreeMap<String, Vec<Point>>> {
        let (tenant, ids, key) = (auth.tenant().clone(), ids.to_vec(), key.to_owned());
        let owner = tenant.clone();
        let found = self
            .inner
            .db
            .read(move |c| {
                Box::pin(async move {
                    if all_must_exist {
                        for id in &ids {
                            runs::info(c, &tenant, id).await?;
                        }
                    }
                    Ok::<_, RegistryError>(chunks::history(c, &tenant, &ids, &key).await?)
                })
            })
            .await?;
        for (run, history) in &found {
            if history.small >= chunks::MANY {
                self.note_chunks(&owner, run);
            }
        }
        Ok(found.into_iter().map(|(run, history)| (run, history.points)).collect())
    }

    /// The values of a metric by time, step and value; all of them without a limit. `page` is
    /// the limit and the token of the page before.
    ///
    /// # Errors
    /// [`RegistryError::NotFound`] for the run.
    pub async fn metric_history(
        &self,
        auth: &Authorized<ReadRun>,
        run: &str,
        key: &str,
        page: (Option<u64>, Option<&str>),
    ) -> Result<Page<Point>> {
        let (max_results, page_token) = page;
        let offset = crate::page::offset(page_token)?;
        let run = run.to_owned();
        let mut found = self.points(auth, std::slice::from_ref(&run), key, true).await?;
        let mut points = found.remove(&run).unwrap_or_default();
        sort_by_time(&mut points);
        let start = usize::try_from(offset).unwrap_or(usize::MAX).min(points.len());
        points.drain(..start);
        let Some(limit) = max_results else { return Ok(Page { items: points, next: None }) };
        points.truncate(usize::try_from(limit.saturating_add(1)).unwrap_or(usize::MAX));
        Ok(crate::page::cut(points, offset, limit))
    }

    /// The values of a metric of several runs, by run and then by time, at most `max`.
    ///
    /// # Errors
    /// [`RegistryError::Store`].
    pub async fn metric_history_bulk(
        &self,
        auth: &Authorized<ReadRun>,
        runs: &[String],
        key: &str,
        max: usize,
    ) -> Result<Vec<(String, Point)>> {
        let found = self.points(auth, runs, key, false).await?;
        let mut out = Vec::new();
        for (run, mut points) in found {
            sort_by_time(&mut points);
            let room = max.saturating_sub(out.len());
            out.extend(points.into_iter().take(room).map(|p| (run.clone(), p)));
        }
        Ok(out)
    }

    /// For a plot: a sample of each run's values, by step.
    ///
    /// # Errors
    /// [`RegistryError::NotFound`] when one of the runs does not exist.
    pub async fn metric_history_sampled(
        &self,
        auth: &Authorized<ReadRun>,
        runs: &[String],
        key: &str,
        sample: Sample,
    ) -> Result<Vec<(String, Point)>> {
        let Sample { max, within } = sample;
        let mut found = self.points(auth, runs, key, true).await?;
        let mut out = Vec::new();
        for run in runs {
            let Some(mut points) = found.remove(run) else { continue };
            if let Some((first, last)) = within {
                points.retain(|p| (first..=last).contains(&p.step));
            }
            sort_by_step(&mut points);
            out.extend(downsample(&points, max).into_iter().map(|p| (run.clone(), p)));
        }
        Ok(out)
    }
}
