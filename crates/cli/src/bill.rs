//! `mainspring cost bill`: a provider's bill as a price table.

use crate::args::Output;
use crate::error::CliError;
use crate::monitor::apart;
use crate::output::{json, line, note};
use clap::Args;
use mainspring_core::{ErrorKind, Name};
use mainspring_cost::bill::{Bill, Chosen, NEEDED, READ};
use mainspring_cost::{Money, PriceSpec};
use mainspring_monitor::Table;
use serde_json::json as object;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Which bill, and of what.
#[derive(Debug, Args)]
pub struct BillArgs {
    /// The bill in FOCUS's columns (FinOps Open Cost and Usage Specification): Parquet, CSV or JSON Lines
    pub file: PathBuf,
    /// CPUs of one machine
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub cpus: u32,
    /// Machines that the bill is of
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub machines: u32,
    /// Name of the table
    #[arg(long, default_value = "bill")]
    pub name: String,
    /// Count this service's charges as machines, by its ServiceName (several times). When left out, those of the category Compute
    /// are, and of AI and Machine Learning what is consumed by the hour
    #[arg(long, value_name = "SERVICE")]
    pub service: Vec<String>,
    /// Count only charges with this tag (several times: with all of them)
    #[arg(long, value_name = "KEY=VALUE")]
    pub tag: Vec<String>,
    /// The column with what a charge costs; BilledCost is what stands on the invoice
    #[arg(long, default_value = "EffectiveCost", value_name = "COLUMN")]
    pub cost: String,
}

/// Reads the bill and prints the table, which `mainspring apply -f` declares.
///
/// # Errors
/// [`CliError`] when the file cannot be read, is no such bill, or has nothing that counts.
pub async fn run(args: &BillArgs, out: Output) -> Result<(), CliError> {
    let invalid = |message: String| CliError::new(ErrorKind::InvalidInput, message);
    let name = Name::new(&args.name).map_err(|e| invalid(format!("--name: {e}")))?;
    let tag = |text: &String| {
        let pair = text.split_once('=').map(|(key, value)| (key.to_owned(), value.to_owned()));
        pair.ok_or_else(|| invalid(format!("--tag {text:?} is not written as KEY=VALUE")))
    };
    let tags = args.tag.iter().map(tag).collect::<Result<_, _>>()?;
    let chosen = Chosen { cost: args.cost.clone(), services: args.service.clone(), tags };
    let file = args.file.clone();
    let bill = apart(move || Ok(read(&file, &chosen))).await??;
    let source = args.file.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let entries = bill.entries((args.machines, args.cpus), &source);
    told(&bill);
    let hint = "say which services are machines: --service NAME; what was left out is listed above";
    if let Some(service) = args.service.iter().find(|service| !bill.machines.contains_key(*service)) {
        return Err(invalid(format!("no charge of the service {service:?} is counted")).hint(hint));
    }
    let (Some(currency), false) = (bill.currency(), entries.is_empty()) else {
        let error = invalid(format!("no charge of {} is counted", args.file.display()));
        return Err(error.hint(hint));
    };
    let spec = PriceSpec { currency: currency.to_owned(), entries, offers: Vec::new() };
    spec.validate().map_err(|(path, reason)| {
        invalid(format!("its prices make no table: {path}: {reason}"))
            .hint("take a shorter time, such as one month's bill")
    })?;
    match out {
        Output::Json => {
            let mut table = object!({"apiVersion": "mainspring/v1", "kind": "PriceTable", "name": name.as_str()});
            let spec = serde_json::to_value(&spec).unwrap_or_default();
            if let (Some(table), Some(spec)) = (table.as_object_mut(), spec.as_object()) {
                table.extend(spec.clone());
            }
            json(&table);
        }
        Output::Table => line(written(&name, &spec)),
    }
    Ok(())
}

fn read(file: &Path, chosen: &Chosen) -> Result<Bill, CliError> {
    let table = Table::open(file).map_err(|e| CliError::from_failure(&e))?;
    let wrong = |reason: String| CliError::new(ErrorKind::InvalidInput, format!("{} {reason}", file.display()));
    let has = |name: &str| table.schema().fields().iter().any(|f| f.name() == name);
    let needed: Vec<&str> = NEEDED.into_iter().chain([chosen.cost.as_str()]).collect();
    if let Some(missing) = needed.iter().find(|name| !has(name)) {
        return Err(wrong(format!("has no column {missing}; a bill has those of FOCUS: {}", needed.join(", "))));
    }
    if !chosen.tags.is_empty() && !has("Tags") {
        return Err(wrong("has no column Tags, which --tag asks for".to_owned()));
    }
    let columns: Vec<&str> = needed.into_iter().chain(READ).collect();
    let mut bill = Bill::default();
    let read = table.cells(&columns, |cells| {
        bill.add(chosen, |name| columns.iter().position(|c| *c == name).and_then(|at| cells[at]))
    });
    read.map(|()| bill).map_err(|e| CliError::from_failure(&e))
}

/// What was counted as what, on standard error: the table itself may go into a file.
fn told(bill: &Bill) {
    let currency = bill.currency().unwrap_or_default();
    let say = |what: &str, of: &BTreeMap<String, (u64, Money)>| {
        let mut all: Vec<_> = of.iter().collect();
        all.sort_by_key(|(_, (_, sum))| std::cmp::Reverse(*sum));
        for (name, (charges, sum)) in all {
            note(format!("{what}: {name}, {sum} {currency} in {charges} charges"));
        }
    };
    say("machines", &bill.machines);
    say("storage", &bill.storage);
    say("left out", &bill.left_out);
    if bill.untagged > 0 {
        note(format!("left out: {} charges without the tags", bill.untagged));
    }
    if let Some((first, last)) = bill.days() {
        note(format!("from {first} to {last}; the last entry holds until there is a later one"));
    }
}

/// As people declare it.
fn written(name: &Name, spec: &PriceSpec) -> String {
    let mut text =
        format!("apiVersion: mainspring/v1\nkind: PriceTable\nname: {name}\ncurrency: {}\nentries:", spec.currency);
    for entry in &spec.entries {
        text.push_str(&format!("\n  - from: {}", entry.from));
        if let Some(host) = &entry.host {
            text.push_str(&format!(
                "\n    host: {{hour: \"{}\", cpus: {}, count: {}}}",
                host.hour, host.cpus, host.count
            ));
        }
        if let Some(price) = entry.storage_gb_month {
            text.push_str(&format!("\n    storageGbMonth: \"{price}\""));
        }
        if let Some(source) = &entry.source {
            // A JSON text is one of YAML, too.
            text.push_str(&format!("\n    source: {}", serde_json::Value::from(source.as_str())));
        }
    }
    text
}
