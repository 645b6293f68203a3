//! `mainspring cost`: what answers cost, what they brought, and what stands idle.

use crate::age::parse_age;
use crate::args::Output;
use crate::bill::{self, BillArgs};
use crate::client::{Server, segment};
use crate::error::CliError;
use crate::output::{cell, either, line, note, size, table, time};
use clap::{Args, Subcommand};
use serde_json::Value;

/// What of cost to look at.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct CostArgs {
    #[command(subcommand)]
    pub command: Option<CostCmd>,
    #[command(flatten)]
    pub report: ReportArgs,
}

/// Further looks. Price tables, budgets and values of outcomes are declared: `mainspring apply -f`, with `kind: PriceTable`,
/// `kind: Budget` and `kind: OutcomeValue`.
#[derive(Debug, Subcommand)]
pub enum CostCmd {
    /// Tell what a deployment's predictions brought, beside what they cost
    Roi {
        /// Deployment
        deployment: String,
        #[command(flatten)]
        window: WindowArgs,
    },
    /// Tell what measured demand says about instances, machines and declared offers
    Hints {
        #[command(flatten)]
        window: WindowArgs,
    },
    /// List budgets and how much of each is spent
    Budgets,
    /// Make a price table of a provider's bill: what machines cost by the day, as FOCUS has it
    Bill(BillArgs),
}

/// The last so long, when nothing is said.
const SINCE: &str = "7d";

/// Which time.
#[derive(Debug, Args)]
pub struct TimeArgs {
    /// The last so long; `7d` when nothing is said
    #[arg(long, value_name = "AGE", conflicts_with = "from")]
    pub since: Option<String>,
    /// From then on: a day, which begins at midnight UTC, or a time such as 2026-11-25T08:00:00Z
    #[arg(long, value_name = "TIME")]
    pub from: Option<String>,
    /// Before then; now when left out
    #[arg(long, value_name = "TIME")]
    pub until: Option<String>,
}

impl TimeArgs {
    fn query(&self) -> Result<String, CliError> {
        let day = |text: &str| text.len() == 10 && text.bytes().all(|b| b.is_ascii_digit() || b == b'-');
        let at = |text: &String| if day(text) { format!("{text}T00:00:00Z") } else { text.clone() };
        let mut query = match &self.from {
            Some(from) => format!("from={}", segment(&at(from))),
            None => format!("lastSeconds={}", parse_age(self.since.as_deref().unwrap_or(SINCE))?.as_secs()),
        };
        if let Some(until) = &self.until {
            query.push_str(&format!("&until={}", segment(&at(until))));
        }
        Ok(query)
    }
}

/// Which time, by which prices.
#[derive(Debug, Args)]
pub struct WindowArgs {
    #[command(flatten)]
    pub time: TimeArgs,
    /// Price table; the only one, or the one called `default`, when left out
    #[arg(long, value_name = "NAME")]
    pub prices: Option<String>,
}

impl WindowArgs {
    fn query(&self) -> Result<String, CliError> {
        let prices = self.prices.as_ref().map(|p| format!("&prices={}", segment(p))).unwrap_or_default();
        Ok(format!("{}{prices}", self.time.query()?))
    }
}

/// Which answers, and how they are told apart.
#[derive(Debug, Args)]
pub struct ReportArgs {
    /// Told apart by: `deployment`, `version`, `variant`, `tenant`, `key`, `outcome`, `error`, `day`, `hour`
    #[arg(long, value_delimiter = ',', default_value = "deployment", value_name = "A,B")]
    pub by: Vec<String>,
    #[command(flatten)]
    pub time: TimeArgs,
    /// Only of this deployment
    #[arg(long, value_name = "NAME")]
    pub deployment: Option<String>,
    /// Price table; the only one, or the one called `default`, when left out
    #[arg(long, value_name = "NAME")]
    pub prices: Option<String>,
}

/// Asks the server and prints what it says.
///
/// # Errors
/// [`CliError`] when an argument is wrong or the server refuses.
pub async fn run(server: &Server, args: &CostArgs, out: Output) -> Result<(), CliError> {
    match &args.command {
        Some(CostCmd::Roi { deployment, window }) => {
            let path = format!("/api/v1/cost/roi/{}?{}", segment(deployment), window.query()?);
            let found = server.get(&path).await?;
            either(out, &found, || roi(&found));
        }
        Some(CostCmd::Hints { window }) => {
            let found = server.get(&format!("/api/v1/cost/hints?{}", window.query()?)).await?;
            either(out, &found, || hints(&found));
        }
        Some(CostCmd::Bill(args)) => bill::run(args, out).await?,
        Some(CostCmd::Budgets) => {
            let found = server.get("/api/v1/cost/budgets").await?;
            either(out, &found, || budgets(&found));
        }
        None => return report(server, &args.report, out).await,
    }
    Ok(())
}

async fn report(server: &Server, asked: &ReportArgs, out: Output) -> Result<(), CliError> {
    let mut path = format!("/api/v1/cost?by={}&{}", segment(&asked.by.join(",")), asked.time.query()?);
    for (key, value) in [("deployment", &asked.deployment), ("prices", &asked.prices)] {
        if let Some(value) = value {
            path.push_str(&format!("&{key}={}", segment(value)));
        }
    }
    let report = server.get(&path).await?;
    either(out, &report, || people(&report));
    Ok(())
}

fn rows<'a>(of: &'a Value, key: &str) -> Vec<&'a Value> {
    of[key].as_array().into_iter().flatten().collect()
}

fn people(report: &Value) {
    let by: Vec<String> = rows(report, "by").iter().map(|b| cell(b)).collect();
    let currency = report["currency"].as_str();
    let mut head: Vec<&str> = by.iter().map(String::as_str).collect();
    head.extend(["answers", "rows", "compute", "share"]);
    let total = &report["total"];
    let counts_tokens = ["tokensIn", "tokensOut"].iter().any(|key| total[key].as_u64().unwrap_or(0) > 0);
    if counts_tokens {
        head.extend(["tokens in", "out"]);
    }
    head.extend(currency);
    let all = report["total"]["computeNanos"].as_f64().unwrap_or_default();
    let shown = |of: &Value, names: Vec<String>| {
        let share = of["computeNanos"].as_f64().unwrap_or_default() / all.max(1.0);
        let mut row = names;
        row.extend([
            cell(&of["answers"]),
            cell(&of["rows"]),
            span(of["computeSeconds"].as_f64().unwrap_or_default()),
            format!("{:.1} %", share * 100.0),
        ]);
        if counts_tokens {
            row.extend([cell(&of["tokensIn"]), cell(&of["tokensOut"])]);
        }
        row.extend(currency.map(|_| amount(&of["cost"]["total"])));
        row
    };
    let lines = rows(report, "lines").into_iter().map(|l| shown(l, by.iter().map(|b| cell(&l["by"][b])).collect()));
    let total = (!by.is_empty()).then(|| {
        let names = by.iter().enumerate().map(|(i, _)| if i == 0 { "all".to_owned() } else { String::new() });
        shown(total, names.collect())
    });
    let lines: Vec<Vec<String>> = lines.chain(total).collect();
    table(&head, lines);
    saved(&report["total"]["saved"], currency.unwrap_or_default());
    idle(report, currency.unwrap_or_default());
    kept(report, currency.unwrap_or_default());
    for text in rows(report, "notes") {
        note(cell(text));
    }
    line(format!("answers from {} to {}", time(&report["from"]), time(&report["until"])));
}

fn saved(saved: &Value, currency: &str) {
    let Some(answers) = saved["answers"].as_u64() else { return };
    let count = |key: &str| saved[key].as_u64().unwrap_or(0);
    let tokens = count("tokensIn") + count("tokensOut");
    let tokens = if tokens > 0 { format!(" and {tokens} tokens") } else { String::new() };
    let cost = saved["cost"].as_str().map(|_| format!(", {} {currency}", amount(&saved["cost"])));
    line(format!(
        "saved: {answers} answers were kept and given again, which would have taken {}{tokens}{}",
        span(saved["computeSeconds"].as_f64().unwrap_or_default()),
        cost.unwrap_or_default()
    ));
}

fn idle(report: &Value, currency: &str) {
    let host = &report["host"];
    let (Some(all), Some(used)) = (host["cpuSeconds"].as_f64(), host["usedSeconds"].as_f64()) else { return };
    line(format!(
        "machines: {} {currency} paid, {} {currency} of it for the compute of these answers, {} {currency} for none of them ({} of {} CPU time, {:.2} % busy)",
        amount(&host["paid"]),
        amount(&host["used"]),
        amount(&host["unallocated"]),
        span((all - used).max(0.0)),
        span(all),
        used / all.max(1e-9) * 100.0
    ));
}

fn kept(report: &Value, currency: &str) {
    let all = rows(report, "storage");
    for what in ["model", "journal"] {
        let of: Vec<&&Value> = all.iter().filter(|s| s["what"] == what).collect();
        let bytes: u64 = of.iter().filter_map(|s| s["bytes"].as_u64()).sum();
        if of.is_empty() {
            continue;
        }
        let mut largest: Vec<&&&Value> = of.iter().collect();
        largest.sort_by_key(|s| std::cmp::Reverse(s["bytes"].as_u64()));
        let named = largest.iter().take(3).map(|s| {
            let cost = s["cost"].as_str().map(|_| format!(", {} {currency}", amount(&s["cost"]))).unwrap_or_default();
            let of = s["of"].as_str().filter(|of| !of.is_empty()).unwrap_or("no deployment");
            format!("{of} {}{cost}", size(s["bytes"].as_u64().unwrap_or(0)))
        });
        let named: Vec<String> = named.collect();
        let called = if what == "model" { "model versions" } else { "journal" };
        line(format!("kept: {called} {} ({})", size(bytes), named.join("; ")));
    }
}

fn roi(found: &Value) {
    let currency = cell(&found["currency"]);
    let groups = rows(found, "groups");
    let named = |g: &Value| vec![cell(&g["variant"]), cell(&g["version"])];
    let shown = |g: &Value, names: Vec<String>| {
        let mean = &g["mean"];
        let interval = match (mean["low"].as_f64(), mean["high"].as_f64()) {
            (Some(low), Some(high)) => format!(" ({low:.4} to {high:.4})"),
            _ => String::new(),
        };
        let per = mean["value"].as_f64().map(|v| format!("{v:.4}{interval}")).unwrap_or_default();
        let mut row = names;
        row.extend([
            cell(&g["predictions"]),
            cell(&g["known"]),
            cell(&g["successes"]),
            amount(&g["value"]),
            per,
            amount(&g["cost"]),
            amount(&g["costPerSuccess"]),
            amount(&g["net"]),
        ]);
        row
    };
    let head =
        ["variant", "version", "predictions", "known", "successes", "value", "each", "cost", "per success", "net"];
    let lines: Vec<Vec<String>> = groups
        .iter()
        .map(|g| shown(g, named(g)))
        .chain([shown(&found["overall"], vec!["all".to_owned(), String::new()])])
        .collect();
    table(&head, lines);
    let parts = found["overall"]["parts"].as_object().into_iter().flatten();
    let parts: Vec<String> = parts
        .map(|(name, part)| {
            let cost = part["cost"].as_str().map(|_| format!(", {} {currency}", amount(&part["cost"])));
            let seconds = span(part["computeSeconds"].as_f64().unwrap_or_default());
            format!("{name} {} ({seconds}{})", cell(&part["answers"]), cost.unwrap_or_default())
        })
        .collect();
    line(format!("answers: {}", parts.join("; ")));
    for text in rows(found, "notes") {
        note(cell(text));
    }
    line(format!("in {currency}, predictions from {} to {}", time(&found["from"]), time(&found["until"])));
}

fn hints(found: &Value) {
    let all = rows(found, "hints");
    for hint in &all {
        line(cell(&hint["sentence"]));
    }
    for text in rows(found, "notes") {
        note(cell(text));
    }
    if all.is_empty() {
        line(format!("no hint from {} to {}", time(&found["from"]), time(&found["until"])));
    }
}

fn budgets(found: &Value) {
    let percent = |of: &Value| of.as_f64().map(|p| format!("{p:.1} %")).unwrap_or_default();
    let of = |b: &Value| {
        let named = [("deployment", &b["deployment"]), ("key", &b["key"])];
        let named: Vec<String> = named.iter().filter_map(|(_, v)| v.as_str().map(str::to_owned)).collect();
        if named.is_empty() { "everything".to_owned() } else { named.join(" ") }
    };
    let limit = |b: &Value| match b["amount"].as_str() {
        Some(_) => format!("{} {}", amount(&b["amount"]), cell(&b["currency"])).trim_end().to_owned(),
        None => format!("{} s", cell(&b["mayComputeSeconds"])),
    };
    let spent = |b: &Value| match b["amount"].as_str() {
        Some(_) => amount(&b["spent"]),
        None => span(b["computeSeconds"].as_f64().unwrap_or_default()),
    };
    let lines = rows(found, "budgets").into_iter().map(|b| {
        vec![
            cell(&b["name"]),
            of(b),
            limit(b),
            cell(&b["per"]),
            spent(b),
            percent(&b["percent"]),
            percent(&b["forecastPercent"]),
            time(&b["until"]),
        ]
    });
    let lines: Vec<Vec<String>> = lines.collect();
    if lines.is_empty() {
        line("no budget is declared, or none was looked at yet: mainspring apply -f, with kind: Budget");
        return;
    }
    table(&["budget", "of", "limit", "per", "spent", "share", "forecast", "until"], lines);
    for budget in rows(found, "budgets") {
        if let Some(problem) = budget["problem"].as_str() {
            note(format!("{}: {problem}", cell(&budget["name"])));
        }
    }
}

/// An exact amount, rounded to the digits that people read: four behind the point, or the first three that are not zero.
fn amount(exact: &Value) -> String {
    let text = cell(exact);
    let Some((whole, rest)) = text.split_once('.') else { return text };
    let zeros = rest.len() - rest.trim_start_matches('0').len();
    let digits = if whole.trim_start_matches('-') == "0" { (zeros + 3).max(4) } else { 4 };
    let Some(shown) = rest.get(..digits) else { return text };
    // The number without its point, one more where what is cut off is half or more.
    let sign = if whole.starts_with('-') { "-" } else { "" };
    let Ok(number) = format!("{}{shown}", whole.trim_start_matches('-')).parse::<u128>() else { return text };
    let up = rest.as_bytes().get(digits).is_some_and(|next| *next >= b'5');
    let number = format!("{:0>1$}", number + u128::from(up), digits + 1);
    let (whole, rest) = number.split_at(number.len() - digits);
    format!("{sign}{whole}.{rest}").trim_end_matches('0').trim_end_matches('.').to_owned()
}

fn span(seconds: f64) -> String {
    match seconds {
        s if s < 1.0 => format!("{:.2} ms", s * 1e3),
        s if s < 600.0 => format!("{s:.1} s"),
        s if s < 36_000.0 => format!("{:.1} min", s / 60.0),
        s => format!("{:.1} h", s / 3_600.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn amounts_have_the_digits_that_people_read() {
        for (exact, shown) in [
            ("12", "12"),
            ("12.345678", "12.3457"),
            ("67.1999971", "67.2"),
            ("0.99999", "1"),
            ("0.000000416", "0.000000416"),
            ("0.00000041666", "0.000000417"),
            ("0.0009996", "0.001"),
            ("-0.5", "-0.5"),
            ("-1.00005", "-1.0001"),
            ("3.000012", "3"),
            ("1000000000.99999", "1000000001"),
        ] {
            assert_eq!(amount(&json!(exact)), shown, "{exact}");
        }
    }
}
