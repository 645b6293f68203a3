//! Traffic second by second, from the counters that every answer adds to.

use crate::convert::deployments::{quantiles, since};
use crate::dto::deployments::{LiveTick, LiveVersion, Parts, Traffic};
use futures::Stream;
use mainspring_core::{Authorized, Ctx, Target};
use mainspring_serving::{HistogramView, ReadStats, Serving, VersionStats};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Interval, MissedTickBehavior, interval};

const EVERY: Duration = Duration::from_secs(1);

struct Watch {
    serving: Serving,
    auth: Authorized<ReadStats>,
    ctx: Ctx,
    interval: Interval,
    before: HashMap<Arc<Target>, VersionStats>,
}

fn read(serving: &Serving, auth: &Authorized<ReadStats>) -> HashMap<Arc<Target>, VersionStats> {
    let all = serving.stats(auth).into_iter().flat_map(|d| d.versions);
    all.map(|v| (Arc::clone(&v.target), v)).collect()
}

/// What one version did between two readings.
fn moved(now: &VersionStats, before: Option<&VersionStats>) -> LiveVersion {
    let target = &now.target;
    let delta = |now: u64, before: Option<u64>| now.saturating_sub(before.unwrap_or(0));
    let during = |part: fn(&VersionStats) -> &HistogramView| match before {
        Some(before) => quantiles(&since(part(now), part(before))),
        None => quantiles(part(now)),
    };
    LiveVersion {
        deployment: target.deployment.to_string(),
        version: target.version.to_string(),
        variant: target.variant.to_string(),
        traffic: Traffic {
            answered: delta(now.success.count, before.map(|b| b.success.count)),
            failed: delta(now.fail.count, before.map(|b| b.fail.count)),
            rows: delta(now.inference_count, before.map(|b| b.inference_count)),
            latency: during(|v| &v.total),
        },
        parts: Parts { queue: during(|v| &v.queue), engine: during(|v| &v.engine), encode: during(|v| &v.encode) },
    }
}

impl Watch {
    async fn tick(&mut self) -> LiveTick {
        self.interval.tick().await;
        let now = read(&self.serving, &self.auth);
        let mut versions: Vec<LiveVersion> = now
            .iter()
            .map(|(target, stats)| (stats.current, moved(stats, self.before.get(target))))
            .filter(|(current, v)| *current || v.traffic.answered + v.traffic.failed > 0)
            .map(|(_, v)| v)
            .collect();
        versions.sort_by(|a, b| (&a.deployment, &a.version).cmp(&(&b.deployment, &b.version)));
        self.before = now;
        LiveTick { at_ms: self.ctx.now().millis(), versions }
    }
}

/// One tick a second, each with what happened since the one before.
pub(crate) fn ticks(
    serving: Serving,
    auth: Authorized<ReadStats>,
    ctx: Ctx,
) -> impl Stream<Item = (&'static str, LiveTick)> + Send + 'static {
    let mut interval = interval(EVERY);
    // A slow reader gets fewer ticks, each with all that happened, not a burst of old ones.
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    interval.reset();
    let before = read(&serving, &auth);
    futures::stream::unfold(Watch { serving, auth, ctx, interval, before }, |mut watch| async move {
        let tick = watch.tick().await;
        Some((("tick", tick), watch))
    })
}
