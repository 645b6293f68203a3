//! The command line. Flags of settings are made from the server's one table of settings.

mod files;
mod key;
mod model;
mod rollout;
mod server;
mod watch;

pub use files::{DriftArgs, EstimateArgs, PerformanceArgs, PredictArgs, RowArgs, ValidateArgs};
pub use key::KeyCmd;
pub use model::ModelCmd;
pub use rollout::{RolloutCmd, SimulateArgs, Wait};
pub use server::ServerArgs;
pub use watch::{AlertCmd, MonitorCmd};

use clap::{Parser, Subcommand};
use std::path::PathBuf;

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
    /// Freeze a model version, so that nothing new may take it, and end that
    #[command(subcommand)]
    Model(ModelCmd),
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
    /// Save the data folder and local artifacts into one folder, while the server runs or not
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
