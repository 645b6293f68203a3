//! The settings as typed values, checked against each other.

use super::resolve::{ConfigError, Resolved};
use crate::export::{By, CloudWatch};
use mainspring_core::Secret;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

/// When the journal reaches the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JournalSync {
    /// In groups, at most this long after the event.
    Interval(Duration),
    /// Before the answer goes out.
    Always,
}

/// For whom log lines are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// People.
    Text,
    /// Machines: one JSON object a line.
    Json,
}

/// Everything `mainspring up` needs to know.
#[derive(Debug, Clone)]
#[allow(missing_docs, reason = "each field is the setting of the same name in KEYS, which documents it")]
pub struct Settings {
    pub host: IpAddr,
    pub port: u16,
    pub port_file: Option<PathBuf>,
    pub data: PathBuf,
    pub database: Option<Secret>,
    pub artifacts: Option<String>,
    pub hostnames: Vec<String>,
    pub require_key: bool,
    pub tls: Option<(PathBuf, PathBuf)>,
    pub tls_self_signed: bool,
    pub onnxruntime: Option<PathBuf>,
    pub python: Option<PathBuf>,
    pub python_models: bool,
    pub engine_threads: usize,
    pub body_limit: usize,
    pub connections: usize,
    pub journal_sync: JournalSync,
    pub journal_seal_after: Duration,
    pub journal_keep: Duration,
    pub journal_keep_bytes: u64,
    pub journal_memory: usize,
    pub artifacts_keep: Option<Duration>,
    pub artifacts_cache: u64,
    pub public_url: Option<String>,
    pub secrets: PathBuf,
    pub alerts_anywhere: bool,
    pub log_level: String,
    pub log_format: LogFormat,
    pub otlp_endpoint: Option<String>,
    pub otlp_interval: Option<Duration>,
    pub otlp_sample: f64,
    pub cloudwatch: CloudWatch,
    pub lineage_url: Option<String>,
    pub lineage_key: Option<Secret>,
    pub shutdown_grace: Duration,
}

impl Settings {
    /// Whether requests from this machine itself need no key.
    pub fn open_on_loopback(&self) -> bool {
        self.host.is_loopback() && !self.require_key
    }

    /// Typed settings from resolved texts.
    ///
    /// # Errors
    /// [`ConfigError::Value`] when values are wrong by themselves or do not fit together.
    pub fn from_resolved(r: &Resolved) -> Result<Self, ConfigError> {
        let bad = |key: &'static str, reason: &str| ConfigError::Value {
            key,
            value: r.shown(key),
            origin: r.origin(key),
            reason: reason.to_owned(),
        };
        let host = match r.text("host").unwrap_or("127.0.0.1") {
            "localhost" => IpAddr::from([127, 0, 0, 1]),
            text => text.parse().map_err(|_| bad("host", "expected an IP address, e.g. 127.0.0.1 or 0.0.0.0"))?,
        };
        let postgres = |url: &str| url.starts_with("postgres://") || url.starts_with("postgresql://");
        if r.text("database").is_some_and(|url| !postgres(url)) {
            return Err(bad("database", "expected postgres://USER:PASSWORD@HOST/DATABASE"));
        }
        let port = u16::try_from(r.count("port")).map_err(|_| bad("port", "ports go from 0 to 65535"))?;
        let tls = match (r.path("tls.cert"), r.path("tls.key")) {
            (Some(cert), Some(key)) => Some((cert, key)),
            (None, None) => None,
            (Some(_), None) => return Err(bad("tls.key", "tls.cert is set, so the key is needed too")),
            (None, Some(_)) => return Err(bad("tls.cert", "tls.key is set, so the certificate is needed too")),
        };
        let sample: f64 = r
            .text("otlp.sample")
            .unwrap_or("0")
            .parse()
            .map_err(|_| bad("otlp.sample", "expected a number from 0 to 1"))?;
        if !(0.0..=1.0).contains(&sample) {
            return Err(bad("otlp.sample", "expected a number from 0 to 1"));
        }
        let interval = r.duration("otlp.interval");
        if !interval.is_zero() && interval < Duration::from_secs(1) {
            return Err(bad("otlp.interval", "expected 0s or at least 1s"));
        }
        if r.text("otlp.endpoint").is_some_and(|url| url.contains('@')) {
            // Not said again: it would stand in the log, and no collector is asked with it.
            let reason =
                "there is a user or a password in it; a collector is given OTEL_EXPORTER_OTLP_HEADERS".to_owned();
            return Err(ConfigError::Value {
                key: "otlp.endpoint",
                value: "***".to_owned(),
                origin: r.origin("otlp.endpoint"),
                reason,
            });
        }
        if r.text("otlp.endpoint").is_some_and(|url| !is_collector(url)) {
            let reason = "expected http://HOST:PORT of a collector that takes OTLP over gRPC without TLS, \
                          e.g. http://127.0.0.1:4317";
            return Err(bad("otlp.endpoint", reason));
        }
        if r.bytes("limits.body") == 0 {
            return Err(bad("limits.body", "no request would be taken; expected more, e.g. 64MiB"));
        }
        let link = |url: &str| url.starts_with("https://") || url.starts_with("http://");
        if r.text("public-url").is_some_and(|url| !link(url)) {
            return Err(bad("public-url", "expected an http or https URL, e.g. https://ml.example.com"));
        }
        let python_models = match r.text("python-models") {
            Some("allow") => true,
            Some("refuse") => false,
            _ => host.is_loopback() && !r.switch("require-key"),
        };
        Ok(Self {
            host,
            port,
            port_file: r.path("port-file"),
            data: r.path("data").unwrap_or_else(|| PathBuf::from("mainspring-data")),
            database: r.text("database").map(Secret::new),
            artifacts: r.text("artifacts").map(str::to_owned),
            hostnames: r.list("hostnames"),
            require_key: r.switch("require-key"),
            tls,
            tls_self_signed: r.switch("tls.self-signed"),
            onnxruntime: r.path("onnxruntime"),
            python: r.path("python"),
            python_models,
            engine_threads: r.count("engine.threads") as usize,
            body_limit: usize::try_from(r.bytes("limits.body")).unwrap_or(usize::MAX),
            connections: r.count("limits.connections").max(1) as usize,
            journal_sync: match r.text("journal.sync") {
                Some("always") => JournalSync::Always,
                _ => JournalSync::Interval(r.duration("journal.interval")),
            },
            journal_seal_after: r.duration("journal.seal-after"),
            journal_keep: r.duration("journal.keep"),
            journal_keep_bytes: r.bytes("journal.keep-bytes"),
            journal_memory: usize::try_from(r.bytes("journal.memory")).unwrap_or(usize::MAX),
            artifacts_keep: Some(r.duration("artifacts-keep")).filter(|d| !d.is_zero()),
            artifacts_cache: r.bytes("artifacts-cache"),
            public_url: r.text("public-url").map(|url| url.trim_end_matches('/').to_owned()),
            secrets: r.path("secrets").unwrap_or_else(|| PathBuf::from("/run/secrets/mainspring")),
            alerts_anywhere: r.text("alerts.reach") == Some("anywhere"),
            log_level: r.text("log.level").unwrap_or("info").to_owned(),
            log_format: if r.text("log.format") == Some("json") { LogFormat::Json } else { LogFormat::Text },
            otlp_endpoint: r.text("otlp.endpoint").map(str::to_owned),
            otlp_interval: Some(interval).filter(|d| !d.is_zero()),
            otlp_sample: sample,
            cloudwatch: cloudwatch(r, &bad)?,
            lineage_url: r.text("lineage.url").map(str::to_owned),
            lineage_key: r.text("lineage.key").map(Secret::new),
            shutdown_grace: r.duration("shutdown-grace"),
        })
    }
}

/// Whether it is the address of a collector that the exporter can reach: it has no TLS.
fn is_collector(url: &str) -> bool {
    let uri: Option<http::Uri> = url.parse().ok();
    uri.is_some_and(|uri| uri.scheme_str() == Some("http") && uri.host().is_some_and(|host| !host.is_empty()))
}

fn cloudwatch(r: &Resolved, bad: &dyn Fn(&'static str, &str) -> ConfigError) -> Result<CloudWatch, ConfigError> {
    let region = r.text("cloudwatch.region").map(str::to_owned);
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if region.as_ref().is_some_and(|region| !region.chars().all(plain)) {
        return Err(bad("cloudwatch.region", "expected a region of AWS, e.g. eu-central-1"));
    }
    let endpoint = r.text("cloudwatch.endpoint").map(str::to_owned);
    if endpoint.as_ref().is_some_and(|url| !url.starts_with("https://") && !url.starts_with("http://")) {
        return Err(bad("cloudwatch.endpoint", "expected an http or https URL"));
    }
    if endpoint.is_some() && region.is_none() {
        return Err(bad("cloudwatch.region", "cloudwatch.endpoint is set, so the region is needed too"));
    }
    let namespace = r.text("cloudwatch.namespace").unwrap_or("Mainspring").to_owned();
    let fits = |c: char| c.is_ascii_alphanumeric() || ".-_/#:".contains(c);
    if namespace.is_empty() || namespace.len() > 255 || namespace.starts_with("AWS/") || !namespace.chars().all(fits) {
        return Err(bad(
            "cloudwatch.namespace",
            "expected up to 255 of A-Z a-z 0-9 . - _ / # :, not beginning with AWS/",
        ));
    }
    let interval = r.duration("cloudwatch.interval");
    if interval < Duration::from_secs(1) {
        return Err(bad("cloudwatch.interval", "expected at least 1s"));
    }
    let emf = r.text("cloudwatch.emf").map(str::parse).transpose();
    let metrics = r.list("cloudwatch.metrics").iter().map(|name| name.parse()).collect::<Result<_, String>>();
    Ok(CloudWatch {
        emf: emf.map_err(|reason: String| bad("cloudwatch.emf", &reason))?,
        region,
        endpoint,
        namespace,
        interval,
        metrics: metrics.map_err(|reason| bad("cloudwatch.metrics", &reason))?,
        by: match r.text("cloudwatch.by") {
            Some("variant") => By::Variant,
            Some("version") => By::Version,
            _ => By::Deployment,
        },
        most: r.count("cloudwatch.most") as usize,
    })
}
