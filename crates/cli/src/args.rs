//! The command line. Flags of settings are made from the server's one table of settings.

use clap::{ArgMatches, Args, Command, FromArgMatches, Parser, Subcommand};
use mainspring_server::config::{KEYS, Key, Kind};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

const CLIENT: &str = "Commands that talk to a server";

/// Takes a trained model from a training run to a production service.
#[derive(Debug, Parser)]
#[command(
    name = "mainspring",
    version,
    max_term_width = 100,
    after_help = "\
Start here:
  mainspring up                      start the server (http://127.0.0.1:8080)
  mainspring doctor                  what is missing on this machine
  mainspring apply -f churn.yaml     deploy a model

Exit codes:
  0  done
  1  failed, or there is no such thing
  2  wrong usage or input
  3  the server cannot be reached, or cannot do this now
  4  not allowed"
)]
pub struct Cli {
    /// Address of the server that the command talks to
    #[arg(
        long,
        global = true,
        env = "MAINSPRING_SERVER",
        default_value = "http://127.0.0.1:8080",
        value_name = "URL",
        help_heading = CLIENT
    )]
    pub server: String,
    /// API key for the server; not needed on loopback
    #[arg(
        long,
        global = true,
        env = "MAINSPRING_API_KEY",
        hide_env_values = true,
        value_name = "KEY",
        help_heading = CLIENT
    )]
    pub api_key: Option<String>,
    /// `table` for people, `json` for machines; for `predict`, `profile`, `monitor report` and
    /// `validate --infer` the file to write
    #[arg(long, short, global = true, default_value = "table", value_name = "FORMAT|FILE")]
    pub output: Destination,
    /// What to do
    #[command(subcommand)]
    pub command: Cmd,
}

/// Where the output goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Destination {
    /// To standard output.
    Shown(Output),
    /// Into a file.
    File(String),
}

impl std::str::FromStr for Destination {
    type Err = std::convert::Infallible;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(match text {
            "table" => Self::Shown(Output::Table),
            "json" => Self::Shown(Output::Json),
            file => Self::File(file.to_owned()),
        })
    }
}

/// For whom the output is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Output {
    /// Tables and sentences.
    Table,
    /// One JSON document.
    Json,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Cmd {
    /// Start the server: every protocol and the console on one port
    Up(ServerArgs),
    /// Create or change what the files declare
    Apply {
        /// YAML or JSON file with one or more documents; `-` reads standard input
        #[arg(short, long = "file", required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
        #[command(flatten)]
        wait: Wait,
    },
    /// Show what the files would change
    Diff {
        /// YAML or JSON file; `-` reads standard input
        #[arg(short, long = "file", required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
    },
    /// List what is declared, or show one thing
    Get {
        /// Kind, e.g. `deployment`; everything when left out
        kind: Option<String>,
        /// Name; all of the kind when left out
        name: Option<String>,
    },
    /// Show every generation of one thing
    History {
        /// Kind, e.g. `deployment`
        kind: String,
        /// Name
        name: String,
    },
    /// Bring an earlier generation back, as a new one
    Rollback {
        /// Kind, e.g. `deployment`
        kind: String,
        /// Name
        name: String,
        /// Generation to bring back; the one before the current when left out
        #[arg(long, value_name = "GENERATION")]
        to: Option<i64>,
        #[command(flatten)]
        wait: Wait,
    },
    /// Delete one thing
    Delete {
        /// Kind, e.g. `deployment`
        kind: String,
        /// Name
        name: String,
    },
    /// Print the JSON Schema of a kind, for editors
    Schema {
        /// Kind, e.g. `Deployment`; lists the kinds when left out
        kind: Option<String>,
    },
    /// Export a model to ONNX, prove that it answers the same, and register it as a new version
    Convert {
        /// The model: NAME@alias or NAME/VERSION
        model: String,
        /// How far numbers may be apart, as a share of the model's own [default: 1e-4]
        #[arg(long, value_name = "SHARE")]
        relative: Option<f64>,
        /// How far they may be apart beside that [default: 1e-5]
        #[arg(long, value_name = "NUMBER")]
        absolute: Option<f64>,
        #[command(flatten)]
        rows: RowArgs,
    },
    /// Make an ONNX model faster (graph optimisation, int8, fp16) and register the fastest that passes
    Optimize {
        /// The model: NAME@alias or NAME/VERSION; for one in Python, its newest conversion is taken
        model: String,
        /// Share of rows that must get the same answer [default: 0.99]
        #[arg(long, value_name = "SHARE", conflicts_with = "label")]
        agreement: Option<f64>,
        /// How far numbers may be apart and count as the same, as a share of them [default: 0.01]
        #[arg(long, value_name = "SHARE", conflicts_with = "label")]
        closeness: Option<f64>,
        /// Column of the rows with the true answers; then the accuracy decides
        #[arg(long, value_name = "COLUMN")]
        label: Option<String>,
        /// Accuracy that may be lost [default: 0.005]
        #[arg(long, value_name = "SHARE", requires = "label")]
        drop: Option<f64>,
        #[command(flatten)]
        rows: RowArgs,
    },
    /// Compare a candidate with what is deployed, step by step, and let the evidence decide
    #[command(subcommand)]
    Rollout(RolloutCmd),
    /// Watch a deployment's rows beside their reference: what has drifted, and since when
    #[command(subcommand)]
    Monitor(MonitorCmd),
    /// What is wrong, who is told of it, and the error budgets of deployments
    #[command(subcommand)]
    Alert(AlertCmd),
    /// Ask the journal in SQL: `predictions`, `feedback`, `labeled`, …
    Query {
        /// A SELECT
        sql: String,
    },
    /// Show what something was made from, and what was made from it
    Lineage {
        /// NAME/VERSION or NAME@alias of a model, NAME of a deployment, or `run:ID`, `dataset:NAMESPACE:NAME`,
        /// `job:NAMESPACE:NAME`, `predictions:DEPLOYMENT/MODEL/VERSION`
        node: String,
        /// Only what it was made from
        #[arg(long, conflicts_with = "down")]
        up: bool,
        /// Only what was made from it
        #[arg(long)]
        down: bool,
        /// Steps at most
        #[arg(long, default_value_t = 10, value_name = "N")]
        depth: u32,
    },
    /// Run a model over a whole file, on this machine: CSV, JSON lines, Arrow, Parquet, local or in S3
    Predict(Box<PredictArgs>),
    /// Describe the columns of a file: CSV, JSON lines, Arrow, Parquet; `-o profile.json` writes the whole profile
    Profile {
        /// The file
        file: PathBuf,
        /// Save the profile with a registered version, for monitors to compare with: `NAME@alias` or `NAME/version`
        #[arg(long, value_name = "VERSION")]
        version: Option<String>,
        /// Threads; one a core when left out
        #[arg(long, value_name = "N")]
        threads: Option<usize>,
    },
    /// Compare the columns of two files, of saved profiles, or of live rows
    Drift(DriftArgs),
    /// Estimate how good predictions are before there are labels, from a file that has them
    Estimate(EstimateArgs),
    /// Check a file against rules, or make rules of it: CSV, JSON lines, Arrow, Parquet
    Validate(Box<ValidateArgs>),
    /// Show the rules that the rows of a deployment's requests must keep, and how many broke them
    Rules {
        /// Deployment
        deployment: String,
    },
    /// Measure a deployment's predictions against the labels that came for them
    Performance(Box<PerformanceArgs>),
    /// Tell what answers cost, what they brought, and what stands idle
    Cost(Box<crate::cost::CostArgs>),
    /// Create, list, rotate and revoke API keys
    #[command(subcommand)]
    Key(KeyCmd),
    /// Free the artifacts of deleted runs and experiments for good
    Purge {
        /// Only what was deleted at least this long ago, e.g. `30d`; `0s` is everything deleted
        #[arg(long, default_value = "30d", value_name = "AGE")]
        older_than: String,
        /// Say what would be freed and free nothing
        #[arg(long, conflicts_with = "yes")]
        dry_run: bool,
        /// Do it; without this nothing happens
        #[arg(long)]
        yes: bool,
    },
    /// Show every setting and where its value comes from
    Config(ServerArgs),
    /// Print alarms for Amazon CloudWatch, as code: error rates, latencies, and how fast error budgets burn
    Alarms(crate::alarms::AlarmArgs),
    /// Print a dashboard of the server's metrics for Grafana to import
    Dashboard,
    /// Say what is missing on this machine and how to mend it
    Doctor(ServerArgs),
    /// Save the data folder (SQLite and local artifacts) into one folder, while the server runs or not
    Backup {
        /// Folder to make; must not exist
        to: PathBuf,
        #[command(flatten)]
        server: ServerArgs,
    },
    /// Bring a backup into an empty data folder
    Restore {
        /// Folder that `mainspring backup` made
        from: PathBuf,
        #[command(flatten)]
        server: ServerArgs,
    },
}

/// On which rows models are compared, and with which packages.
#[derive(Debug, Clone, Args)]
pub struct RowArgs {
    /// Rows to compare on (CSV, Parquet, JSON, JSON Lines, npy, npz); else a dataset of the model's run,
    /// else its input example
    #[arg(long, value_name = "FILE")]
    pub data: Option<PathBuf>,
    /// Where the model's packages come from: `auto` builds what it asks for, `shared` takes the server's
    /// Python
    #[arg(long, default_value = "auto", value_parser = ["auto", "shared"])]
    pub env: String,
}

/// What to run over what. The server is asked for the model and told of the run; the work is done here.
#[derive(Debug, Args)]
pub struct PredictArgs {
    /// Model: `NAME@alias` or `NAME/version`, as `models:/…` too
    pub model: String,
    /// File with the rows: a path or `s3://bucket/key`
    pub input: String,
    /// Format of the input, where its name does not say it
    #[arg(long, value_parser = FORMATS, value_name = "FORMAT")]
    pub input_format: Option<String>,
    /// Format of the output, where its name does not say it
    #[arg(long, value_parser = FORMATS, value_name = "FORMAT")]
    pub output_format: Option<String>,
    /// Columns that the model takes, in its order, where it has no signature that names them
    #[arg(long, value_delimiter = ',', value_name = "A,B")]
    pub columns: Option<Vec<String>>,
    /// Text before the names of the columns that are added
    #[arg(long, default_value = "", hide_default_value = true, value_name = "TEXT")]
    pub prefix: String,
    /// Threads; one a core when left out
    #[arg(long, value_name = "N")]
    pub threads: Option<usize>,
    /// Rows a call of the model; measured when left out
    #[arg(long, value_name = "N")]
    pub batch_rows: Option<usize>,
    /// Packages of a Python model: what it asks for itself, or what this machine's Python has
    #[arg(long, default_value = "own", value_parser = ["own", "shared"], value_name = "WHICH")]
    pub environment: String,
    /// What becomes of a row that does not fit the model, or that it refuses: `fail` ends the run, `skip` leaves it
    /// out and tells of it in OUTPUT.errors.jsonl, `keep` leaves its answer empty and says why in a column
    #[arg(long, default_value = "fail", value_parser = ["fail", "skip", "keep"], value_name = "WORD")]
    pub on_error: String,
    /// How many rows may fail before the run does; any number when left out
    #[arg(long, value_name = "N")]
    pub max_errors: Option<u64>,
    /// Replace an output that is there
    #[arg(long)]
    pub overwrite: bool,
    /// Forget what an unfinished run has done
    #[arg(long)]
    pub restart: bool,
    /// ONNX Runtime's shared library; found in .venv, beside the binary or on the system when left out
    #[arg(long, value_name = "PATH")]
    pub onnxruntime: Option<String>,
    /// Python for models that are not ONNX; .venv/bin/python or python3 when left out
    #[arg(long, value_name = "PATH")]
    pub python: Option<String>,
    /// Whether models in Python, which are code of whoever logged them, may run: `allow`, `refuse`, or `auto`,
    /// when the server is this machine
    #[arg(long, value_parser = ["auto", "allow", "refuse"], value_name = "WORD", hide_possible_values = true)]
    pub python_models: Option<String>,
}

impl PredictArgs {
    /// The settings that the engines heed. Others come from the environment and the settings file.
    pub fn settings(&self) -> ServerArgs {
        let given =
            [("onnxruntime", &self.onnxruntime), ("python", &self.python), ("python-models", &self.python_models)];
        let flags = given.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value.clone()?)));
        ServerArgs { flags: flags.collect(), config: None }
    }
}

/// Which files to compare, and how.
#[derive(Debug, Args)]
pub struct DriftArgs {
    /// What the columns should look like: a file (Parquet, CSV, JSON Lines, Arrow), a profile (profile.json), a version's
    /// profile (`models:/NAME@alias`), or live rows (`deployment:NAME?last=24h&variant=stable`)
    pub reference: String,
    /// What they look like now: the same
    pub current: String,
    /// Whose choice of tests and thresholds: `sequential` is our own, which reads rows in their order, and the default
    /// for two files; `evidently` is the default where only sketches are there
    #[arg(long, value_parser = ["sequential", "evidently", "nannyml", "whylogs"], value_name = "NAME")]
    pub profile: Option<String>,
    /// For `sequential`, probability of a false alarm in any column [default: 0.05]
    #[arg(long, value_name = "SHARE")]
    pub level: Option<f64>,
    /// For `evidently` and two files, the test of each column of numbers, where the profile is not to choose (its
    /// `num_stattest`)
    #[arg(long, value_parser = ["ks", "wasserstein"], value_name = "TEST")]
    pub test: Option<String>,
    /// Beginning of the names of columns that are a vector together; may be repeated
    #[arg(long, value_name = "PREFIX")]
    pub vector: Vec<String>,
    /// How vectors are compared: by a classifier, maximum mean discrepancy, share of drifted components, or distance of the means
    #[arg(long, default_value = "model", value_parser = ["model", "mmd", "ratio", "euclidean", "cosine", "cityblock", "chebyshev"], value_name = "TEST")]
    pub vectors: String,
    /// Write a report into one HTML file too
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,
    /// Exit with 1 when the table has drifted
    #[arg(long)]
    pub fail_on_drift: bool,
    /// Columns at a time; one a core when left out
    #[arg(long, value_name = "N")]
    pub threads: Option<usize>,
}

/// Which files and columns to estimate from.
#[derive(Debug, Args)]
pub struct EstimateArgs {
    /// Predictions with labels, in the order in which they came: CSV, JSON lines, Arrow, Parquet
    pub reference: PathBuf,
    /// Predictions without
    pub current: PathBuf,
    /// Column of the reference with what was true
    #[arg(long, default_value = "label", value_name = "COLUMN")]
    pub label: String,
    /// Column with the prediction
    #[arg(long, default_value = "prediction", value_name = "COLUMN")]
    pub prediction: String,
    /// Columns with probabilities: of two classes that of the positive one, else one for each class in their order;
    /// without them it is a regression
    #[arg(long, value_delimiter = ',', value_name = "A,B")]
    pub score: Vec<String>,
    /// Of two classes the one that is looked for; the second in order when left out
    #[arg(long, value_name = "CLASS", requires = "score")]
    pub positive: Option<String>,
    /// For a regression, columns of inputs; all others when left out
    #[arg(long, value_delimiter = ',', value_name = "A,B", conflicts_with = "score")]
    pub features: Vec<String>,
    /// Parts that each file is cut into
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=10_000), value_name = "N")]
    pub chunks: u32,
    /// Exit with 1 when an estimate is beyond the thresholds that the reference sets
    #[arg(long)]
    pub fail_on_alert: bool,
}

/// What to check, and against what.
#[derive(Debug, Args)]
pub struct ValidateArgs {
    /// The file
    pub file: PathBuf,
    /// Expectations: YAML or JSON, by hand or by Great Expectations
    #[arg(long, value_name = "FILE", conflicts_with = "profile")]
    pub suite: Option<PathBuf>,
    /// A profile, from which expectations are inferred
    #[arg(long, value_name = "FILE")]
    pub profile: Option<PathBuf>,
    /// Make expectations of the file, which is right: to standard output, or with `-o suite.yaml` into a file
    #[arg(long, conflicts_with_all = ["suite", "profile"])]
    pub infer: bool,
    /// Write a report into one HTML file too
    #[arg(long, value_name = "FILE", conflicts_with = "infer")]
    pub html: Option<PathBuf>,
    /// Threads with --infer; one a core when left out
    #[arg(long, value_name = "N")]
    pub threads: Option<usize>,
}

/// Which predictions to measure, and how.
#[derive(Debug, Args)]
pub struct PerformanceArgs {
    /// Deployment
    pub deployment: String,
    /// Predictions of the last so long
    #[arg(long, default_value = "24h", value_name = "AGE")]
    pub last: String,
    /// Predictions from then on, e.g. `2026-11-25T08:00:00Z`
    #[arg(long, value_name = "TIME", conflicts_with = "last")]
    pub from: Option<String>,
    /// Predictions before then; now when left out
    #[arg(long, value_name = "TIME")]
    pub until: Option<String>,
    /// Name of the feedback that says what was true
    #[arg(long, default_value = "label", value_name = "NAME")]
    pub label: String,
    /// Output with the prediction; found out when left out
    #[arg(long, value_name = "OUTPUT")]
    pub prediction: Option<String>,
    /// Output with the probability or probabilities; found out when left out
    #[arg(long, value_name = "OUTPUT")]
    pub score: Option<String>,
    /// What the model does; found out when left out
    #[arg(long, value_parser = ["classification", "regression", "ranking"], value_name = "TASK")]
    pub task: Option<String>,
    /// Group by: `version`, `variant`, `hour`, `day`, an input or an output; numbers with many values are cut into
    /// quarters
    #[arg(long, value_delimiter = ',', value_name = "A,B")]
    pub by: Vec<String>,
    /// Of two classes the one that is looked for; the second in order when left out
    #[arg(long, value_name = "CLASS")]
    pub positive: Option<String>,
    /// Of an order, how many items count
    #[arg(long, default_value_t = 10, value_name = "N")]
    pub k: usize,
    /// What a row is worth, by its true and its predicted class; what is left out is worth nothing
    #[arg(long, value_name = "TRUTH:PREDICTED=NUMBER")]
    pub worth: Vec<String>,
    /// Write a report into one HTML file too
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,
    /// How often intervals hold what is true
    #[arg(long, default_value_t = 0.95, value_name = "SHARE")]
    pub confidence: f64,
}

const FORMATS: [&str; 4] = ["parquet", "csv", "jsonl", "arrow"];

/// What to do with monitors. They are declared: `mainspring apply -f`, with `kind: Monitor`.
#[derive(Debug, Subcommand)]
pub enum MonitorCmd {
    /// List them, each with what has drifted
    List,
    /// Show what one sees of each column
    Show {
        /// Name
        name: String,
    },
    /// Show one as it goes
    Watch {
        /// Name
        name: String,
    },
    /// Say why one drifts: which columns, since when, what it does to the answers, and what to do
    Why {
        /// Name
        name: String,
    },
    /// Show how far its columns had moved, look by look
    History {
        /// Name
        name: String,
        /// Of this column alone, e.g. `in.age`
        #[arg(long, value_name = "COLUMN")]
        column: Option<String>,
        /// Of these rows of it, e.g. `in.plan = gold`
        #[arg(long, requires = "column", value_name = "SEGMENT")]
        segment: Option<String>,
        /// How far back
        #[arg(long, default_value = "24h", value_name = "AGE")]
        last: String,
    },
    /// Write a report of one, with distributions: `-o report.html`, or `--output json`
    Report {
        /// Name
        name: String,
    },
    /// Show what one has told, and why
    Events {
        /// Name
        name: String,
        /// How many of the newest
        #[arg(long, default_value_t = 50, value_name = "N")]
        limit: u32,
    },
}

/// What to do about alerts.
#[derive(Debug, Subcommand)]
pub enum AlertCmd {
    /// Show alerts: those that fire first
    List {
        /// How many at most
        #[arg(long, default_value_t = 50, value_name = "N")]
        limit: u32,
    },
    /// Let nobody hear of some alerts for a while
    Silence {
        /// What must hold for them: deployment=churn, severity!=page, deployment=~eu-.*
        #[arg(required = true, value_name = "LABEL=VALUE")]
        matching: Vec<String>,
        /// For how long, e.g. `2h`
        #[arg(long = "for", value_name = "AGE")]
        length: String,
        /// Why
        #[arg(long, default_value = "", value_name = "TEXT")]
        reason: String,
    },
    /// Show what is silenced
    Silences,
    /// End a silence
    Unsilence {
        /// Its id
        id: String,
    },
    /// Show the channels, and what became of their last notices
    Channels,
    /// Send a test notice, and wait for the receiver's answer
    Test {
        /// The channel
        channel: String,
    },
    /// Show objectives with their budgets and how fast they burn
    Slo,
    /// Print recording and alert rules for Prometheus
    Rules,
}

/// What to do with rollouts.
#[derive(Debug, Subcommand)]
pub enum RolloutCmd {
    /// Begin what a file declares, or the next run of what was declared
    Start {
        /// Name of a rollout that has ended, to begin its next run
        #[arg(required_unless_present = "files")]
        name: Option<String>,
        /// YAML or JSON file; `-` reads standard input
        #[arg(short, long = "file", value_name = "FILE", conflicts_with = "name")]
        files: Vec<PathBuf>,
    },
    /// Show a rollout with its evidence, or list all
    Status {
        /// Name; all when left out
        name: Option<String>,
    },
    /// Show a rollout as it goes, until it ends
    Watch {
        /// Name
        name: String,
    },
    /// Show what was decided, and why
    Decisions {
        /// Name
        name: String,
        /// How many of the newest
        #[arg(long, default_value_t = 50, value_name = "N")]
        limit: u32,
    },
    /// Stop where it is; guardrails are watched on
    Pause {
        /// Name
        name: String,
    },
    /// Go on
    Resume {
        /// Name
        name: String,
    },
    /// Give the candidate all the traffic, whatever the evidence says
    Promote {
        /// Name
        name: String,
    },
    /// Give stable all the traffic
    Abort {
        /// Name
        name: String,
    },
    /// Go on to the next step, whatever the evidence says
    Skip {
        /// Name
        name: String,
    },
    /// Agree to what waits for an approval
    Approve {
        /// Name
        name: String,
    },
    /// Decide again from the journal, and say whether the same comes out
    Replay {
        /// Name
        name: String,
        /// Which run; the last one when left out
        #[arg(long, value_name = "N")]
        run: Option<i64>,
    },
    /// Say how long a rollout would take and how often it would be right, before it begins
    Simulate(SimulateArgs),
}

/// A rollout that is not begun.
#[derive(Debug, Args)]
pub struct SimulateArgs {
    /// YAML or JSON file with a Rollout
    #[arg(short, long, value_name = "FILE")]
    pub file: PathBuf,
    /// Requests an hour; as the journal says when left out
    #[arg(long, value_name = "N")]
    pub per_hour: Option<f64>,
    /// Different units; each request is one of its own when left out
    #[arg(long, value_name = "N")]
    pub population: Option<u64>,
    /// What labels are like now, where the journal does not know: NAME=MEAN of zeros and ones, or NAME=MEAN:DEVIATION
    #[arg(long, value_name = "NAME=MEAN[:DEVIATION]")]
    pub baseline: Vec<String>,
    /// Rollouts to simulate, with the effect and without
    #[arg(long, default_value_t = 200, value_name = "N")]
    pub runs: u64,
}

/// How long a command waits for deployments.
#[derive(Debug, Clone, Copy, Args)]
pub struct Wait {
    /// Return at once instead of waiting until deployments are ready
    #[arg(long)]
    no_wait: bool,
    /// How long to wait for a deployment that is not ready and says nothing new, seconds
    #[arg(long, default_value_t = 120, value_name = "SECONDS")]
    timeout: u64,
}

impl Wait {
    /// Not at all.
    pub fn none() -> Self {
        Self { no_wait: true, timeout: 0 }
    }

    /// The longest wait; `None` is not at all.
    pub fn limit(self) -> Option<Duration> {
        (!self.no_wait).then(|| Duration::from_secs(self.timeout))
    }
}

/// What to do with keys. These work on the data folder directly when the server is not running, so
/// that the first key can be made before it listens anywhere but on loopback.
#[derive(Debug, Subcommand)]
pub enum KeyCmd {
    /// Make a key; it is shown once
    Create {
        /// What the key is for
        label: String,
        /// What it may do, each including the ones before it
        #[arg(long, default_value = "infer", value_parser = ["infer", "read", "write", "admin"])]
        role: String,
        /// Tenant whose data it sees
        #[arg(long, default_value = "default")]
        tenant: String,
        /// Group that whoever has it is in, for what a group must approve; once for each
        #[arg(long = "group", value_name = "NAME")]
        groups: Vec<String>,
        /// Lifetime, e.g. `90d`; for ever when left out
        #[arg(long, value_name = "AGE")]
        expires: Option<String>,
        /// Write to the data folder instead of asking the server
        #[arg(long)]
        offline: bool,
        #[command(flatten)]
        settings: ServerArgs,
    },
    /// List keys, never their secrets
    List,
    /// Replace a key's secret; the old one stays valid for a while
    Rotate {
        /// Key id
        id: String,
        /// How long the old secret stays valid
        #[arg(long, default_value = "1h", value_name = "AGE")]
        grace: String,
    },
    /// End a key at once
    Revoke {
        /// Key id
        id: String,
    },
}

/// Settings of the server, given as flags.
#[derive(Debug, Clone, Default)]
pub struct ServerArgs {
    /// Texts by setting name.
    pub flags: BTreeMap<String, String>,
    /// The file to read; `mainspring.toml` when it exists.
    pub config: Option<PathBuf>,
}

fn placeholder(key: &Key) -> &'static str {
    match key.kind {
        Kind::Text => "TEXT",
        Kind::Path => "PATH",
        Kind::Count => "N",
        Kind::Switch => "BOOL",
        Kind::Duration => "DURATION",
        Kind::Bytes => "SIZE",
        Kind::List => "A,B",
        Kind::OneOf(_) => "WORD",
    }
}

fn flag(key: &'static Key) -> clap::Arg {
    let mut help = key.help.to_owned();
    if let Kind::OneOf(words) = key.kind {
        help = format!("{help} ({})", words.join(", "));
    }
    if !key.default.is_empty() {
        help = format!("{help} [default: {}]", key.default);
    }
    let arg =
        clap::Arg::new(key.name).long(key.flag()).value_name(placeholder(key)).help(help).help_heading("Settings");
    // A switch may stand alone: `--tls-self-signed`.
    if key.kind == Kind::Switch { arg.num_args(0..=1).default_missing_value("true") } else { arg }
}

impl Args for ServerArgs {
    fn augment_args(cmd: Command) -> Command {
        let config = clap::Arg::new("config")
            .long("config")
            .env("MAINSPRING_CONFIG")
            .value_name("FILE")
            .value_parser(clap::value_parser!(PathBuf))
            .help("Settings file; ./mainspring.toml when it exists");
        KEYS.iter().fold(cmd.arg(config), |cmd, key| cmd.arg(flag(key)))
    }

    fn augment_args_for_update(cmd: Command) -> Command {
        Self::augment_args(cmd)
    }
}

impl FromArgMatches for ServerArgs {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let mut args = Self::default();
        args.update_from_arg_matches(matches)?;
        Ok(args)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        for key in KEYS {
            if let Some(text) = matches.get_one::<String>(key.name) {
                self.flags.insert(key.name.to_owned(), text.clone());
            }
        }
        self.config = matches.get_one::<PathBuf>("config").cloned();
        Ok(())
    }
}
