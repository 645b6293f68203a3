//! `mainspring alert`: look, silence, try a channel, write Prometheus' rules.

use crate::args::{AlertCmd, Output};
use crate::client::{Server, segment};
use crate::error::CliError;
use crate::output::{Mark, cell, either, json, line, mark, table, time};
use serde_json::{Value, json as object};

const ALERTS: &str = "/api/v1/alerts";

/// Carries a command out.
///
/// # Errors
/// [`CliError`] when the server refuses it.
pub async fn run(server: &Server, command: AlertCmd, out: Output) -> Result<(), CliError> {
    match command {
        AlertCmd::List { limit } => {
            let all = server.get(&format!("{ALERTS}?limit={limit}")).await?;
            either(out, &all, || list(&all));
        }
        AlertCmd::Silence { matching, length, reason } => {
            let asked = object!({"matching": matching, "for": length, "reason": reason});
            let made = server.post(&format!("{ALERTS}/silences"), &asked).await?;
            either(out, &made, || {
                let (id, until) = (cell(&made["id"]), time(&made["until"]));
                line(mark(Mark::Good, format!("silent until {until}; end it with: mainspring alert unsilence {id}")));
            });
        }
        AlertCmd::Silences => {
            let all = server.get(&format!("{ALERTS}/silences")).await?;
            either(out, &all, || silences(&all));
        }
        AlertCmd::Unsilence { id } => {
            server.delete(&format!("{ALERTS}/silences/{}", segment(&id))).await?;
            either(out, &object!({"id": id}), || line(mark(Mark::Good, format!("the silence {id} has ended"))));
        }
        AlertCmd::Channels => {
            // The table shows the last one.
            let limit = if out == Output::Table { "?limit=1" } else { "" };
            let all = server.get(&format!("{ALERTS}/channels{limit}")).await?;
            either(out, &all, || channels(&all));
        }
        AlertCmd::Test { channel } => {
            let told = server.post(&format!("{ALERTS}/channels/{}/test", segment(&channel)), &object!({})).await?;
            let id = cell(&told["id"]);
            either(out, &told, || line(mark(Mark::Good, format!("{channel} took a test notice, {id}"))));
        }
        AlertCmd::Slo => {
            let all = server.get("/api/v1/slos").await?;
            either(out, &all, || objectives(&all));
        }
        AlertCmd::Rules => {
            let rules = server.text(&format!("{ALERTS}/rules")).await?;
            match out {
                Output::Json => json(&object!({ "rules": rules })),
                Output::Table => line(rules.trim_end()),
            }
        }
    }
    Ok(())
}

fn rows<'a>(all: &'a Value, key: &str) -> impl Iterator<Item = &'a Value> {
    all[key].as_array().into_iter().flatten()
}

fn labels(of: &Value) -> String {
    let all = of.as_object().into_iter().flatten();
    all.map(|(key, value)| format!("{key}={}", cell(value))).collect::<Vec<_>>().join(" ")
}

fn list(all: &Value) {
    let shown: Vec<Vec<String>> = rows(all, "alerts")
        .map(|a| {
            let phase = if a["silencedBy"].is_string() {
                format!("{}, silenced", cell(&a["phase"]))
            } else {
                cell(&a["phase"])
            };
            vec![
                cell(&a["name"]),
                phase,
                cell(&a["severity"]),
                time(&a["since"]),
                labels(&a["labels"]),
                cell(&a["summary"]),
            ]
        })
        .collect();
    if shown.is_empty() {
        return line("no alerts; declare an slo on a deployment, and who is told: kind AlertChannel");
    }
    table(&["alert", "phase", "severity", "since", "labels", "says"], shown);
}

fn silences(all: &Value) {
    let shown: Vec<Vec<String>> = rows(all, "silences")
        .map(|s| {
            let matching: Vec<String> = rows(s, "matching").map(cell).collect();
            vec![cell(&s["id"]), matching.join(" "), time(&s["until"]), cell(&s["by"]), cell(&s["reason"])]
        })
        .collect();
    if shown.is_empty() {
        return line("nothing is silenced");
    }
    table(&["id", "matching", "until", "by", "reason"], shown);
}

fn channels(all: &Value) {
    let shown: Vec<Vec<String>> = rows(all, "channels")
        .map(|c| {
            let on: Vec<String> = rows(c, "on").map(cell).collect();
            let on = if on.is_empty() { "everything".to_owned() } else { on.join(", ") };
            let last = &c["deliveries"][0];
            let state = match (last["state"].as_str(), last["error"].as_str()) {
                (None, _) => "nothing yet".to_owned(),
                (Some(state), None) => format!("{state} {}", time(&last["at"])),
                (Some(state), Some(error)) => format!("{state} after {} tries: {error}", cell(&last["attempts"])),
            };
            vec![cell(&c["name"]), cell(&c["way"]), on, cell(&c["severity"]), state]
        })
        .collect();
    if shown.is_empty() {
        return line("there are no alert channels; declare one: mainspring apply -f, with kind: AlertChannel");
    }
    table(&["channel", "way", "told of", "from", "last notice"], shown);
}

fn objectives(all: &Value) {
    let window = |slo: &Value, seconds: u64| {
        let found = rows(slo, "windows").find(|w| w["seconds"].as_u64() == Some(seconds));
        found.and_then(|w| w["burnRate"].as_f64()).map(|rate| format!("{rate:.2}")).unwrap_or_default()
    };
    let percent = |value: &Value| value.as_f64().map(|v| format!("{:.2} %", v * 100.0)).unwrap_or_default();
    let shown: Vec<Vec<String>> = rows(all, "slos")
        .map(|s| {
            // As it was written: 99.999 % is not 100 %.
            let target = s["target"].as_f64().map(|v| format!("{} %", (v * 1e6).round() / 1e4)).unwrap_or_default();
            let target = match s["withinMs"].as_f64() {
                Some(ms) => format!("{target} in {ms} ms"),
                None => target,
            };
            let state = s["severity"].as_str().unwrap_or("ok").to_owned();
            let left = percent(&s["budgetLeft"]);
            let rates = [3600, 6 * 3600, 3 * 86_400].map(|seconds| window(s, seconds));
            [vec![cell(&s["deployment"]), cell(&s["objective"]), target, left], rates.to_vec(), vec![state]].concat()
        })
        .collect();
    if shown.is_empty() {
        return line("no deployment has an slo; write one into its file: slo: {availability: 99.9%, p99: 20ms}");
    }
    table(&["deployment", "objective", "target", "budget left", "burn 1h", "burn 6h", "burn 3d", "state"], shown);
}
