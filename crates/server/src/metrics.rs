//! What is measured: our own names, and Triton's `nv_inference_*` for dashboards that have them. It is collected once,
//! into [`Families`], and each way out renders these: Prometheus here, OTLP and CloudWatch in `export`.

use mainspring_alert::slo::Standing;
use mainspring_core::Tokens;
use mainspring_journal::JournalStats;
use mainspring_proto_native::dto::system::Health;
use mainspring_rollout::View;
use mainspring_serving::{CacheStats, DeploymentStats, DeploymentView, HistogramView, RuleView, State, VersionStats};
use std::collections::BTreeMap;
use std::time::Duration;

mod budgets;
mod dashboard;
mod family;
mod firing;
mod monitors;
mod objectives;
mod prometheus;
mod rollouts;
mod source;
#[cfg(test)]
mod tests;
#[cfg(test)]
pub use tests::reading;

pub use dashboard::dashboard;
pub use family::{Families, Family, Kind, Measured, Named, Point, TENANT};
pub use source::{Everything, Source};

/// Upper bounds of the duration buckets, microseconds.
pub const BOUNDS_US: [u64; 16] = [
    50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 2_500_000,
    10_000_000,
];

/// Upper bounds of the duration buckets.
pub fn buckets() -> Vec<Duration> {
    BOUNDS_US.map(Duration::from_micros).into()
}

/// Everything that is measured, read at one moment.
#[derive(Debug)]
pub struct Reading {
    /// Counters of each deployment.
    pub deployments: Vec<DeploymentStats>,
    /// State of each deployment.
    pub views: Vec<DeploymentView>,
    /// The last run of each rollout.
    pub rollouts: Vec<View>,
    /// Objectives and their budgets.
    pub standings: Vec<Standing>,
    /// Alerts that fire; `None` while nobody knows.
    pub firing: Option<firing::Counts>,
    /// Monitors, and what they see.
    pub monitors: Vec<mainspring_monitor::live::View>,
    /// Budgets, and what is spent of them.
    pub budgets: Vec<mainspring_cost::Standing>,
    /// Counters of the journal.
    pub journal: JournalStats,
    /// Whether requests are welcome, and which parts work.
    pub health: Health,
    /// Seconds since the start.
    pub uptime: Duration,
    /// Resident memory, bytes, where the system says it.
    pub resident: Option<u64>,
}

/// A family of figures of each version.
type OfVersion = (&'static str, Kind, &'static str, fn(&VersionStats) -> f64);

impl Reading {
    /// The page that Prometheus reads.
    pub fn render(&self) -> String {
        prometheus::page(&self.families())
    }

    /// All that is measured.
    pub fn families(&self) -> Families {
        let mut page = Families::default();
        self.process(&mut page);
        self.journal(&mut page);
        self.tenants_own(&mut page);
        page
    }

    /// What is of a tenant, and not of the process.
    fn tenants_own(&self, page: &mut Families) {
        self.requests(page);
        self.cache(page);
        self.rules(page);
        self.durations(page);
        self.states(page);
        self.rollouts(page);
        self.triton(page);
        self.objectives(page);
        self.alerts(page);
        self.monitors(page);
        self.budgets(page);
    }

    fn process(&self, page: &mut Families) {
        page.family("mainspring_build_info", Kind::Gauge, "version of the binary");
        page.sample(&[("version", crate::VERSION)], 1.0);
        page.family("mainspring_uptime_seconds", Kind::Gauge, "time since the start");
        page.sample(&[], self.uptime.as_secs_f64());
        page.family("mainspring_ready", Kind::Gauge, "1 while the server takes requests");
        page.sample(&[], f64::from(u8::from(self.health.ready)));
        page.family("mainspring_check", Kind::Gauge, "1 while a part of the server works");
        for check in &self.health.checks {
            page.sample(&[("check", &check.name)], f64::from(u8::from(check.ok)));
        }
        if let Some(bytes) = self.resident {
            page.family("process_resident_memory_bytes", Kind::Gauge, "resident memory");
            page.sample(&[], bytes as f64);
        }
    }

    fn versions(&self) -> impl Iterator<Item = (&DeploymentStats, &VersionStats)> {
        self.deployments.iter().flat_map(|d| d.versions.iter().map(move |v| (d, v)))
    }

    fn each(&self, page: &mut Families, value: impl Fn(&VersionStats) -> f64) {
        for (_, v) in self.versions() {
            page.sample(&labels(v), value(v));
        }
    }

    fn requests(&self, page: &mut Families) {
        page.family("mainspring_inference_requests_total", Kind::Counter, "requests by outcome");
        for (_, v) in self.versions() {
            let mut all = labels(v).to_vec();
            all.push(("outcome", "ok"));
            page.sample(&all, v.success.count as f64);
            for failure in &v.failures {
                let last = all.len() - 1;
                all[last] = ("outcome", failure.kind.as_str());
                page.sample(&all, failure.count as f64);
            }
        }
        page.family("mainspring_inference_rows_total", Kind::Counter, "rows answered");
        self.each(page, |v| v.inference_count as f64);
        page.family("mainspring_inference_executions_total", Kind::Counter, "calls of the engine");
        self.each(page, |v| v.execution_count as f64);
        page.family("mainspring_inference_nan_outputs_total", Kind::Counter, "output values that were NaN");
        self.each(page, |v| v.nan_outputs as f64);
        page.family("mainspring_inference_unserved_total", Kind::Counter, "requests that no version could answer");
        for d in &self.deployments {
            for failure in &d.unserved {
                let labels = [("deployment", d.name.as_str()), ("outcome", failure.kind.as_str())];
                page.sample(&labels, failure.count as f64);
            }
        }
        page.family("mainspring_inference_in_flight", Kind::Gauge, "requests in flight");
        for d in &self.deployments {
            page.sample(&[("deployment", d.name.as_str())], d.in_flight as f64);
        }
    }

    /// Answers that are kept, and tokens: of versions that have them.
    fn cache(&self, page: &mut Families) {
        let kept: [OfVersion; 4] = [
            ("mainspring_cache_hits_total", Kind::Counter, "requests whose answer was kept", |v| {
                v.cache.hits.count as f64
            }),
            ("mainspring_cache_misses_total", Kind::Counter, "requests whose answer was not", |v| {
                v.cache.misses.count as f64
            }),
            ("mainspring_cache_entries", Kind::Gauge, "answers that are kept", |v| v.cache.entries as f64),
            ("mainspring_cache_bytes", Kind::Gauge, "memory of answers that are kept", |v| v.cache.bytes as f64),
        ];
        self.some(page, &kept, |v| v.cache != CacheStats::default());
        let tokens: [OfVersion; 2] = [
            ("mainspring_tokens_input_total", Kind::Counter, "tokens read, not those of kept answers", |v| {
                v.tokens.input as f64
            }),
            ("mainspring_tokens_output_total", Kind::Counter, "tokens written, not those of kept answers", |v| {
                v.tokens.output as f64
            }),
        ];
        self.some(page, &tokens, |v| v.tokens != Tokens::default());
    }

    /// Families of the versions that have something of it; none where there is no such version.
    fn some(&self, page: &mut Families, families: &[OfVersion], has: impl Fn(&VersionStats) -> bool) {
        let all: Vec<&VersionStats> = self.versions().map(|(_, v)| v).filter(|v| has(v)).collect();
        for (name, kind, help, value) in families.iter().filter(|_| !all.is_empty()) {
            page.family(name, *kind, help);
            for v in &all {
                page.sample(&labels(v), value(v));
            }
        }
    }

    fn rules(&self, page: &mut Families) {
        type Value = fn(&RuleView) -> u64;
        let names: [(&str, &str, Value); 3] = [
            ("mainspring_rule_rows_total", "rows that a rule was about", |r| r.looked),
            ("mainspring_rule_broken_total", "rows that broke a rule", |r| r.broken),
            ("mainspring_rule_requests_total", "requests with a row that broke a rule", |r| r.requests),
        ];
        if self.deployments.iter().all(|d| d.rules.is_empty()) {
            return;
        }
        for (name, help, value) in names {
            page.family(name, Kind::Counter, help);
            for (d, rule) in self.deployments.iter().flat_map(|d| d.rules.iter().map(move |rule| (d, rule))) {
                let labels =
                    [("deployment", d.name.as_str()), ("rule", rule.name.as_str()), ("action", rule.action.as_str())];
                page.sample(&labels, value(rule) as f64);
            }
        }
    }

    fn durations(&self, page: &mut Families) {
        type Part = fn(&VersionStats) -> &HistogramView;
        let parts: [(&str, &str, Part); 4] = [
            ("mainspring_inference_duration_seconds", "from arrival to the encoded answer", |v| &v.total),
            ("mainspring_inference_queue_seconds", "waiting before the engine", |v| &v.queue),
            ("mainspring_inference_engine_seconds", "in the engine", |v| &v.engine),
            ("mainspring_inference_encode_seconds", "encoding the answer", |v| &v.encode),
        ];
        for (name, help, part) in parts {
            page.family(name, Kind::Histogram, help);
            for (_, v) in self.versions() {
                page.times(&labels(v), part(v));
            }
        }
    }

    fn states(&self, page: &mut Families) {
        page.family("mainspring_deployment_ready", Kind::Gauge, "1 while a version answers");
        for view in &self.views {
            let ready = if view.state == State::Ready { 1.0 } else { 0.0 };
            page.sample(&[("deployment", view.name.as_str())], ready);
        }
        page.family("mainspring_model_memory_bytes", Kind::Gauge, "memory held by a loaded version");
        self.each(page, |v| v.memory_bytes as f64);
        if self.versions().any(|(_, v)| v.restarts.is_some()) {
            let restarts = "mainspring_worker_restarts_total";
            page.family(restarts, Kind::Counter, "workers started in place of one that ended");
            for (v, restarts) in self.versions().filter_map(|(_, v)| Some((v, v.restarts?))) {
                page.sample(&labels(v), restarts as f64);
            }
        }
        page.family("mainspring_version_changes_failed_total", Kind::Counter, "version changes that failed");
        for d in &self.deployments {
            let labels = [("deployment", d.name.as_str())];
            page.sample(&labels, d.failed_loads as f64);
        }
    }

    fn journal(&self, page: &mut Families) {
        let j = &self.journal;
        let counters = [
            ("mainspring_journal_appended_total", "predictions handed to the journal", j.appended),
            (
                "mainspring_journal_payloads_dropped_total",
                "payloads dropped because memory was full",
                j.payloads_dropped,
            ),
            ("mainspring_journal_events_dropped_total", "events counted but not stored", j.events_dropped),
            ("mainspring_journal_rows_lost_total", "rows lost because the disk stayed full", j.rows_lost),
            ("mainspring_journal_rows_total", "rows written to the log", j.rows),
            ("mainspring_journal_bytes_total", "bytes written to the log", j.bytes),
            ("mainspring_journal_syncs_total", "times the log was forced to disk", j.syncs),
            ("mainspring_journal_write_errors_total", "failed writes to the log", j.write_errors),
            ("mainspring_journal_seal_errors_total", "failed attempts to seal a segment", j.seal_errors),
            ("mainspring_journal_feedback_total", "pieces of feedback taken", j.feedback),
        ];
        for (name, help, value) in counters {
            page.family(name, Kind::Counter, help);
            page.sample(&[], value as f64);
        }
        let spent = "mainspring_journal_seconds_total";
        page.family(spent, Kind::Counter, "time of the journal's own threads by stage, waiting for the disk included");
        for (stage, ns) in j.spent.stages() {
            page.sample(&[("stage", stage)], ns as f64 / 1e9);
        }
        page.family("mainspring_journal_segments_open", Kind::Gauge, "segments not sealed yet");
        page.sample(&[], j.segments_open as f64);
        page.family("mainspring_journal_degraded", Kind::Gauge, "1 while the log takes no writes");
        page.sample(&[], if j.degraded { 1.0 } else { 0.0 });
    }

    fn triton(&self, page: &mut Families) {
        type Value = fn(&VersionStats) -> f64;
        let names: [(&str, &str, Value); 13] = [
            ("nv_inference_request_success", "requests answered", |v| v.success.count as f64),
            ("nv_inference_request_failure", "requests failed", |v| v.fail.count as f64),
            ("nv_inference_count", "rows answered by the engine, not those of kept answers", |v| {
                v.inference_count.saturating_sub(v.kept_count) as f64
            }),
            ("nv_inference_exec_count", "calls of the engine", |v| v.execution_count as f64),
            ("nv_inference_request_duration_us", "time of answered requests", |v| v.success.ns as f64 / 1e3),
            ("nv_inference_queue_duration_us", "time waiting", |v| v.queue.sum_ns as f64 / 1e3),
            // Inputs are read in place: Triton's statistics over v2 say the same.
            ("nv_inference_compute_input_duration_us", "time to make inputs ready, always 0", |_| 0.0),
            ("nv_inference_compute_infer_duration_us", "time in the engine", |v| v.engine.sum_ns as f64 / 1e3),
            ("nv_inference_compute_output_duration_us", "time to encode answers", |v| v.encode.sum_ns as f64 / 1e3),
            ("nv_cache_num_hits_per_model", "requests whose answer was kept", |v| v.cache.hits.count as f64),
            ("nv_cache_num_misses_per_model", "requests whose answer was not", |v| v.cache.misses.count as f64),
            ("nv_cache_hit_duration_per_model", "time to find answers, µs", |v| v.cache.hits.ns as f64 / 1e3),
            ("nv_cache_miss_duration_per_model", "time to look in vain, µs", |v| v.cache.misses.ns as f64 / 1e3),
        ];
        for (name, help, value) in names {
            page.family(name, Kind::Counter, help);
            // Triton knows no variants: one version may have been several of them, before and after a promotion.
            let mut sums: BTreeMap<(&str, &str), f64> = BTreeMap::new();
            for (_, v) in self.versions() {
                *sums.entry((&v.target.deployment, &v.target.version)).or_default() += value(v);
            }
            for ((model, version), sum) in sums {
                page.sample(&[("model", model), ("version", version)], sum);
            }
        }
        page.family("nv_inference_pending_request_count", Kind::Gauge, "requests in flight");
        for d in &self.deployments {
            page.sample(&[("model", d.name.as_str())], d.in_flight as f64);
        }
    }
}

fn labels(v: &VersionStats) -> [(&'static str, &str); 4] {
    let t = &v.target;
    [("deployment", &t.deployment), ("variant", &t.variant), ("model", &t.model), ("version", &t.version)]
}

/// Resident memory by `/proc`, bytes.
pub fn resident() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = text.lines().find_map(|l| l.strip_prefix("VmRSS:"))?;
    let kib: u64 = line.trim().trim_end_matches("kB").trim().parse().ok()?;
    Some(kib * 1024)
}
