//! The `mainspring` command.

mod age;
mod alarms;
mod alert;
mod args;
mod bill;
mod client;
mod convert;
mod cost;
mod error;
mod estimate;
mod html;
mod keys;
mod lineage;
mod local;
mod model;
mod monitor;
mod monitors;
mod output;
mod performance;
mod predict;
mod query;
mod resources;
mod rollout;
mod rules;
mod sides;
mod up;
mod validate;

use args::{Cli, Cmd, Destination};
use clap::Parser;
use client::Server;
use error::CliError;
use owo_colors::OwoColorize;
use serde_json::json;
use std::process::ExitCode;

fn main() -> ExitCode {
    mainspring_process::begin();
    let cli = Cli::parse();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(e) => {
            output::note(format!("{} cannot start threads: {e}", "error:".red().bold()));
            return ExitCode::FAILURE;
        }
    };
    match runtime.block_on(run(cli)) {
        Ok(code) => code,
        Err(e) => {
            output::note(format!("{} {e}", "error:".red().bold()));
            if let Some(hint) = &e.hint {
                output::note(format!("{} {hint}", "hint:".cyan().bold()));
            }
            ExitCode::from(e.exit_code())
        }
    }
}

async fn run(cli: Cli) -> Result<ExitCode, CliError> {
    let file = match cli.output {
        Destination::Shown(_) => None,
        Destination::File(ref file) => Some(file.clone()),
    };
    let out = match (&cli.output, &cli.command) {
        (Destination::Shown(out), _) => *out,
        (
            Destination::File(_),
            Cmd::Predict(_) | Cmd::Profile { .. } | Cmd::Validate(_) | Cmd::Monitor(args::MonitorCmd::Report { .. }),
        ) => args::Output::Table,
        (Destination::File(other), _) => {
            let message = format!("--output is {other:?}; it is table or json");
            return Err(CliError::new(mainspring_core::ErrorKind::InvalidInput, message));
        }
    };
    let server = || Server::new(&cli.server, cli.api_key.clone());
    match cli.command {
        Cmd::Up(args) => return up::run(&args).await,
        Cmd::Config(args) => local::config(&args, out)?,
        Cmd::Alarms(args) => alarms::run(&server()?, &args).await?,
        Cmd::Dashboard => output::json(&mainspring_server::dashboard()),
        Cmd::Doctor(args) => local::doctor(&args, out).await?,
        Cmd::Backup { to, server } => local::backup(&to, &server).await?,
        Cmd::Restore { from, server } => local::restore(&from, &server)?,
        Cmd::Apply { files, wait } => drop(resources::apply(&server()?, &files, wait.limit(), out).await?),
        Cmd::Diff { files } => resources::diff(&server()?, &files, out).await?,
        Cmd::Get { kind, name } => resources::get(&server()?, kind.as_deref(), name.as_deref(), out).await?,
        Cmd::History { kind, name } => resources::history(&server()?, &kind, &name, out).await?,
        Cmd::Rollback { kind, name, to, wait } => {
            resources::rollback(&server()?, (&kind, &name), to, wait.limit(), out).await?;
        }
        Cmd::Delete { kind, name } => resources::delete(&server()?, &kind, &name, out).await?,
        Cmd::Schema { kind } => resources::schema(&server()?, kind.as_deref(), out).await?,
        Cmd::Convert { model, relative, absolute, rows } => {
            let asked = json!({ "model": model, "task": "convert", "relative": relative, "absolute": absolute });
            convert::run(&server()?, asked, &rows, out).await?;
        }
        Cmd::Optimize { model, agreement, closeness, label, drop, rows } => {
            let gate = json!({
                "model": model, "task": "optimize", "agreement": agreement, "closeness": closeness, "label": label,
                "drop": drop,
            });
            convert::run(&server()?, gate, &rows, out).await?;
        }
        Cmd::Monitor(command) => monitors::run(&server()?, command, (out, file)).await?,
        Cmd::Rollout(command) => rollout::run(&server()?, command, out).await?,
        Cmd::Lineage { node, up, down, depth } => {
            let way = match (up, down) {
                (true, _) => lineage::Way::Up,
                (_, true) => lineage::Way::Down,
                _ => lineage::Way::Both,
            };
            lineage::run(&server()?, &node, (way, depth), out).await?;
        }
        Cmd::Alert(command) => alert::run(&server()?, command, out).await?,
        Cmd::Query { sql } => query::run(&server()?, &sql, out).await?,
        Cmd::Purge { older_than, dry_run, yes } => {
            query::purge(&server()?, &older_than, query::Purge { dry_run, yes }, out).await?;
        }
        Cmd::Predict(args) => predict::run(&server()?, &args, file.as_deref()).await?,
        Cmd::Profile { file: table, version, threads } => {
            let with = version.map(|version| server().map(|server| (server, version))).transpose()?;
            monitor::profile(table, threads, with, (out, file)).await?;
        }
        Cmd::Cost(args) => cost::run(&server()?, &args, out).await?,
        Cmd::Performance(args) => performance::run(&server()?, &args, out).await?,
        Cmd::Rules { deployment } => rules::run(&server()?, &deployment, out).await?,
        Cmd::Validate(args) => {
            let threads = monitor::cores(args.threads);
            return validate::run(*args, threads, (out, file)).await;
        }
        Cmd::Estimate(args) => return estimate::run(&server()?, args, out).await,
        Cmd::Drift(args) => return monitor::drift(&server()?, args, out).await,
        Cmd::Model(command) => model::run(&server()?, command, out).await?,
        Cmd::Key(cmd) => keys::run(cmd, &server, out).await?,
    }
    Ok(ExitCode::SUCCESS)
}
