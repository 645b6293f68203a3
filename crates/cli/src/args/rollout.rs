//! Rollouts, and waiting.

use clap::{Args, Subcommand};
use std::path::PathBuf;
use std::time::Duration;

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
    /// Show a rollout as it goes, until it ends; fails when it was rolled back or aborted
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
        #[command(flatten)]
        why: Why,
    },
    /// Go on, past the signal that stopped it until that is calm
    Resume {
        /// Name
        name: String,
        #[command(flatten)]
        why: Why,
    },
    /// Give the candidate all the traffic, whatever the evidence says
    Promote {
        /// Name
        name: String,
        /// Which candidate, where there are several; the one that leads when left out
        #[arg(long, value_name = "NAME")]
        candidate: Option<String>,
        #[command(flatten)]
        why: Why,
    },
    /// Give stable all the traffic
    Abort {
        /// Name
        name: String,
        #[command(flatten)]
        why: Why,
    },
    /// Go on to the next step, whatever the evidence says
    Skip {
        /// Name
        name: String,
        #[command(flatten)]
        why: Why,
    },
    /// Agree to what waits for an approval
    Approve {
        /// Name
        name: String,
        #[command(flatten)]
        why: Why,
    },
    /// Show the effect of each metric and its range as they stood over time
    Course {
        /// Name
        name: String,
        /// Which run; the last one when left out
        #[arg(long, value_name = "N")]
        run: Option<i64>,
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

/// Why somebody orders something.
#[derive(Debug, Args)]
pub struct Why {
    /// Why, in a sentence: it stands in the log of decisions
    #[arg(long, value_name = "TEXT")]
    pub reason: Option<String>,
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
    /// Different units; as the journal says when left out, and each request one of its own where it does not
    #[arg(long, value_name = "N")]
    pub population: Option<u64>,
    /// What labels, and outputs as output:NAME, are like now, whatever the journal says: NAME=MEAN of zeros and ones, or
    /// NAME=MEAN:DEVIATION
    #[arg(long, value_name = "NAME=MEAN[:DEVIATION]")]
    pub baseline: Vec<String>,
    /// Rollouts to simulate, of each kind of candidate
    #[arg(long, default_value_t = 200, value_name = "N")]
    pub runs: u64,
    /// What is assumed
    #[command(flatten)]
    pub assume: crate::rollout::Assume,
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
