//! What commands about files and rows take.

use super::ServerArgs;
use clap::Args;
use mainspring_resource::{ByteSize, HumanDuration};
use std::path::PathBuf;

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
    /// How long one call of a Python model may take, such as 5m; 1m when left out
    #[arg(long, value_name = "DURATION")]
    pub timeout: Option<HumanDuration>,
    /// How long a Python model may take to start and open; 2m when left out
    #[arg(long, value_name = "DURATION")]
    pub start_timeout: Option<HumanDuration>,
    /// Memory that each process of a Python model may allocate, such as 4GiB; no limit when left out
    #[arg(long, value_name = "SIZE")]
    pub memory: Option<ByteSize>,
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
    /// profile (`models:/NAME@alias`), or live rows (`deployment:NAME?last=24h&variant=stable`), of a segment too
    /// (`deployment:NAME?in.plan=gold`), and from one time until another (`from=2026-11-20T00:00:00Z&until=…`)
    pub reference: String,
    /// What they look like now: the same
    pub current: String,
    /// Whose choice of tests and thresholds: `sequential` is our own, which reads rows in their order, and the default
    /// for two files; `evidently` is the default for the sketches of profiles and windows
    #[arg(long, value_parser = ["sequential", "evidently", "nannyml", "whylogs"], value_name = "NAME")]
    pub profile: Option<String>,
    /// For `sequential`, probability of a false alarm in any column [default: 0.05]
    #[arg(long, value_name = "SHARE")]
    pub level: Option<f64>,
    /// The test of each column of numbers, where the profile is not to choose; of `evidently` (its `num_stattest`): ks,
    /// wasserstein, anderson, cramer_von_mises, es, t_test, mannw, ed, psi, kl_div, jensenshannon, hellinger; of `nannyml` (its
    /// `continuous_methods`): jensen_shannon, kolmogorov_smirnov, wasserstein, hellinger
    #[arg(long, value_name = "TEST")]
    pub test: Option<String>,
    /// From which p-value or distance of that test on it is drift, where the tool is not to say
    #[arg(long, requires = "test", value_name = "NUMBER")]
    pub threshold: Option<f64>,
    /// The test of each column of texts and truth values; of `evidently` (its `cat_stattest`): chisquare, g_test, fisher_exact,
    /// z, TVD, psi, kl_div, jensenshannon, hellinger; of `nannyml` (its `categorical_methods`): jensen_shannon, chi2, l_infinity,
    /// hellinger
    #[arg(long, value_name = "TEST")]
    pub text_test: Option<String>,
    /// As --threshold, of that test
    #[arg(long, requires = "text_test", value_name = "NUMBER")]
    pub text_threshold: Option<f64>,
    /// Compare these columns alone
    #[arg(long, value_delimiter = ',', value_name = "NAME,...")]
    pub columns: Vec<String>,
    /// Leave these columns out, such as ids and times
    #[arg(long, value_delimiter = ',', conflicts_with = "columns", value_name = "NAME,...")]
    pub ignore: Vec<String>,
    /// Beginning of the names of columns that are a vector together; may be repeated
    #[arg(long, value_name = "PREFIX")]
    pub vector: Vec<String>,
    /// How vectors are compared: by a classifier (`model`, when left out), maximum mean discrepancy, share of drifted components,
    /// or distance of the means
    #[arg(long, value_parser = ["model", "mmd", "ratio", "euclidean", "cosine", "cityblock", "chebyshev"], value_name = "TEST")]
    pub vectors: Option<String>,
    /// Read a window's rows, the newest 100,000, where its sketches would do: texts are then compared by their words, and
    /// vectors at all
    #[arg(long)]
    pub rows: bool,
    /// Write a report into one HTML file too
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,
    /// Exit with 1 when the table has drifted, or a column is gone, empty or of another kind
    #[arg(long)]
    pub fail_on_drift: bool,
    /// Columns at a time; one a core when left out
    #[arg(long, value_name = "N")]
    pub threads: Option<usize>,
}

/// Which rows and columns to estimate from.
#[derive(Debug, Args)]
pub struct EstimateArgs {
    /// Predictions with labels, in the order in which they came: a file (CSV, JSON lines, Arrow, Parquet), for live rows the
    /// file that a version names (`models:/NAME@alias`), or live rows (`deployment:NAME?last=30d`), those of them that are labelled
    pub reference: String,
    /// Predictions without: a file, or live rows (`deployment:NAME?last=24h&variant=v8&in.plan=gold`)
    pub current: String,
    /// Column of the reference with what was true, and name of the feedback
    #[arg(long, default_value = "label", value_name = "COLUMN")]
    pub label: String,
    /// Column with the prediction: `prediction` of a file, found out of live rows; `NAME=OUTPUT` where a file's column is called
    /// otherwise than the output
    #[arg(long, value_name = "COLUMN")]
    pub prediction: Option<String>,
    /// Columns with probabilities: of two classes that of the positive one, else one for each class in their order;
    /// without them it is a regression. Of live rows they are found out; `list[1]` is an element of an output
    #[arg(long, value_delimiter = ',', value_name = "A,B")]
    pub score: Vec<String>,
    /// Of two classes the one that is looked for; the second in order when left out
    #[arg(long, value_name = "CLASS")]
    pub positive: Option<String>,
    /// For a regression, columns of inputs; all others when left out
    #[arg(long, value_delimiter = ',', value_name = "A,B", conflicts_with = "score")]
    pub features: Vec<String>,
    /// Parts that each file is cut into; those of live rows are as long as the reference's
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
    /// Group by: `version`, `variant`, `caller`, `hour`, `day`, an input or an output; numbers with many values are cut
    /// into quarters
    #[arg(long, value_delimiter = ',', value_name = "A,B")]
    pub by: Vec<String>,
    /// Only predictions with this value in this column, e.g. `in.plan=gold`; may be repeated
    #[arg(long, value_name = "COLUMN=VALUE")]
    pub segment: Vec<String>,
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
