//! The one table of settings. Flags, environment names, the file's keys, `mainspring config` and
//! the documentation are all made from it.

/// What a setting's text must parse as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Any text.
    Text,
    /// A path; relative ones are taken from the working folder.
    Path,
    /// A whole number.
    Count,
    /// `true` or `false`.
    Switch,
    /// `250ms`, `30s`, `10m`, `2h`, `7d`.
    Duration,
    /// `64MiB`, `10GiB`, or a number of bytes.
    Bytes,
    /// Comma-separated texts.
    List,
    /// One of these words.
    OneOf(&'static [&'static str]),
}

/// One setting.
#[derive(Debug, Clone, Copy)]
pub struct Key {
    /// Dotted name in the file: `journal.sync`.
    pub name: &'static str,
    /// What it must parse as.
    pub kind: Kind,
    /// Default as text; empty means "not set".
    pub default: &'static str,
    /// Never printed.
    pub secret: bool,
    /// One line for `--help` and the documentation.
    pub help: &'static str,
}

impl Key {
    /// `MAINSPRING_JOURNAL_SYNC`.
    pub fn env(&self) -> String {
        format!("MAINSPRING_{}", self.name.replace(['.', '-'], "_").to_uppercase())
    }

    /// `journal-sync`, without the dashes in front.
    pub fn flag(&self) -> String {
        self.name.replace(['.', '_'], "-")
    }
}

const fn key(name: &'static str, kind: Kind, default: &'static str, help: &'static str) -> Key {
    Key { name, kind, default, secret: false, help }
}

const fn secret(name: &'static str, kind: Kind, default: &'static str, help: &'static str) -> Key {
    Key { name, kind, default, secret: true, help }
}

/// Every setting there is.
pub const KEYS: &[Key] = &[
    key("host", Kind::Text, "127.0.0.1", "address to listen on; anything but loopback needs a key to exist first"),
    key("port", Kind::Count, "8080", "port to listen on; 0 takes a free one"),
    key("port-file", Kind::Path, "", "write the port that was taken into this file"),
    key("data", Kind::Path, "mainspring-data", "folder for everything that is kept on this machine"),
    secret("database", Kind::Text, "", "postgres://… for metadata; SQLite in the data folder when not set"),
    key("artifacts", Kind::Text, "", "s3://bucket/prefix for artifacts; a folder in the data folder when not set"),
    key("hostnames", Kind::List, "", "further host names by which clients may call a loopback server"),
    key(
        "require-key",
        Kind::Switch,
        "false",
        "want a key from this machine too; set it when a proxy on this machine passes requests on",
    ),
    key("tls.cert", Kind::Path, "", "PEM certificate chain; turns TLS on"),
    key("tls.key", Kind::Path, "", "PEM private key of the certificate"),
    key("tls.self-signed", Kind::Switch, "false", "make a certificate in the data folder; for trying TLS out"),
    key(
        "onnxruntime",
        Kind::Path,
        "",
        "ONNX Runtime's shared library; found in .venv, beside the binary or on the system when not set",
    ),
    key(
        "python",
        Kind::Path,
        "",
        "Python for models that are not ONNX; .venv/bin/python of the working folder or python3 on the PATH when not set",
    ),
    key(
        "python-models",
        Kind::OneOf(&["auto", "allow", "refuse"]),
        "auto",
        "whether models that run in Python may run: they are code of whoever logged them; auto allows them while only this machine is served",
    ),
    key("engine.threads", Kind::Count, "0", "threads of the CPU pool that runs heavy models; 0 takes one a core"),
    key("limits.body", Kind::Bytes, "64MiB", "largest request body, artifacts apart"),
    key("limits.connections", Kind::Count, "10000", "connections open at once"),
    key(
        "journal.sync",
        Kind::OneOf(&["interval", "always"]),
        "interval",
        "when the journal reaches the disk: in groups, or before each answer",
    ),
    key("journal.interval", Kind::Duration, "50ms", "longest time before a group of journal events reaches the disk"),
    key("journal.seal-after", Kind::Duration, "5m", "age at which journal events are sealed into Parquet"),
    key("journal.keep", Kind::Duration, "90d", "age at which journal files are deleted"),
    key(
        "journal.keep-bytes",
        Kind::Bytes,
        "20GiB",
        "size over which the oldest journal files of a deployment are deleted",
    ),
    key(
        "journal.memory",
        Kind::Bytes,
        "64MiB",
        "memory for events on their way to the disk; payloads are dropped and counted beyond it",
    ),
    key(
        "artifacts-keep",
        Kind::Duration,
        "30d",
        "age at which deleted runs are purged with their artifacts; 0s keeps them until `mainspring purge`",
    ),
    key(
        "artifacts-cache",
        Kind::Bytes,
        "10GiB",
        "size over which the local copies of a bucket's files go that were used longest ago",
    ),
    key(
        "public-url",
        Kind::Text,
        "",
        "address by which people reach the server, for links in alerts; where it listens when not set",
    ),
    key(
        "secrets",
        Kind::Path,
        "/run/secrets/mainspring",
        "folder of files that alert channels may name as secrets, and so send anywhere, and that webhooks of rollouts may be signed with; environment variables that begin with MAINSPRING_SECRET_ are the other way",
    ),
    key(
        "alerts.reach",
        Kind::OneOf(&["public", "anywhere"]),
        "public",
        "where alerts and the questions of rollouts may be sent: public addresses, or also inside this network",
    ),
    key("log.level", Kind::Text, "info", "log filter, e.g. `info,mainspring_serving=debug`"),
    key("log.format", Kind::OneOf(&["text", "json"]), "text", "log lines for people or for machines"),
    key("otlp.endpoint", Kind::Text, "", "OTLP gRPC endpoint for traces and metrics, e.g. http://127.0.0.1:4317"),
    key("otlp.interval", Kind::Duration, "60s", "how often metrics are sent there; 0s sends traces only"),
    key("otlp.sample", Kind::Text, "0.01", "share of requests traced, 0 to 1"),
    key(
        "cloudwatch.region",
        Kind::Text,
        "",
        "region of Amazon CloudWatch that metrics are put to, e.g. eu-central-1; credentials come from the environment, a file or the role",
    ),
    key(
        "cloudwatch.endpoint",
        Kind::Text,
        "",
        "address of CloudWatch where it is not Amazon's own, e.g. a VPC endpoint",
    ),
    key(
        "cloudwatch.emf",
        Kind::Text,
        "",
        "where metrics go as documents of CloudWatch's Embedded Metric Format: stdout, tcp://HOST:PORT of its agent, or a file",
    ),
    key("cloudwatch.namespace", Kind::Text, "Mainspring", "namespace of the metrics there"),
    key("cloudwatch.interval", Kind::Duration, "60s", "how often CloudWatch is told"),
    key(
        "cloudwatch.metrics",
        Kind::List,
        "Requests,Errors,Latency,Ready",
        "what it is told, and charges for; also CallerErrors, Rows, InFlight, Memory, BudgetLeft, BurnRate, BudgetSpent, BudgetForecast, Drifting, DriftedColumns, AlertsFiring, JournalLost",
    ),
    key(
        "cloudwatch.by",
        Kind::OneOf(&["deployment", "variant", "version"]),
        "deployment",
        "dimensions of requests there: each deployment, and beside that each variant, or each variant and version",
    ),
    key("cloudwatch.most", Kind::Count, "500", "series that it is told of at most"),
    key(
        "lineage.url",
        Kind::Text,
        "",
        "OpenLineage collector that is told of runs, conversions, deployments and predictions over files, e.g. http://127.0.0.1:5000",
    ),
    secret("lineage.key", Kind::Text, "", "API key for that collector, sent as a bearer token"),
    key("shutdown-grace", Kind::Duration, "20s", "longest time that running requests get at shutdown"),
];
