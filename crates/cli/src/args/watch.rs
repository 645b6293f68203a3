//! Monitors and alerts.

use clap::Subcommand;

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
