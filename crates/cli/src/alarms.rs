//! `mainspring alarms`: CloudWatch's alarms on what the server tells it, as code.

use crate::client::Server;
use crate::error::CliError;
use crate::output::{cell, json, note};
use clap::Args;
use mainspring_core::{ErrorKind, Tenant};
use serde_json::{Map, Value, json as object};
use std::collections::HashSet;

/// Which alarms, and in which form.
#[derive(Debug, Args)]
pub struct AlarmArgs {
    /// For whom they are written
    #[arg(long, default_value = "cloudformation", value_parser = ["cloudformation", "terraform-json"], value_name = "FORM")]
    pub format: String,
    /// Namespace of the metrics, as `cloudwatch.namespace` has it
    #[arg(long, default_value = "Mainspring", value_name = "TEXT")]
    pub namespace: String,
    /// ARN of what is told, such as a topic of SNS; may be repeated
    #[arg(long, value_name = "ARN")]
    pub topic: Vec<String>,
    /// Share of failed requests above which a deployment is wrong, whatever it promises
    #[arg(long, default_value_t = 0.05, value_parser = share, value_name = "SHARE")]
    pub error_rate: f64,
}

fn share(text: &str) -> Result<f64, String> {
    let share = text.parse().ok().filter(|share| *share > 0.0 && *share < 1.0);
    share.ok_or_else(|| "expected a number between 0 and 1".to_owned())
}

/// Requests of a window below which nothing is burnt: one failure of two is no outage.
const FEWEST: u64 = 20;
/// Resources of a template of CloudFormation.
const RESOURCES: usize = 500;

/// A pair of windows, seconds, and how fast both must burn. CloudWatch's longest period is a day, so that the pages are
/// here, and the tickets of days are not.
struct Pace {
    name: &'static str,
    factor: f64,
    long: u32,
    short: u32,
}

const PACES: [Pace; 2] = [
    Pace { name: "fast", factor: 14.4, long: 3_600, short: 300 },
    Pace { name: "slow", factor: 6.0, long: 21_600, short: 1_800 },
];

/// Asks the server what it promises and prints alarms that watch it.
///
/// # Errors
/// [`CliError`] when the server refuses, or there is nothing to watch.
pub async fn run(server: &Server, args: &AlarmArgs) -> Result<(), CliError> {
    let deployments = server.get("/api/v1/deployments").await?;
    let slos = server.get("/api/v1/slos").await?;
    let names: Vec<String> = rows(&deployments, "deployments").map(|d| cell(&d["name"])).collect();
    if names.is_empty() {
        return Err(CliError::new(ErrorKind::NotFound, "there is no deployment to watch"));
    }
    let tenant = cell(&server.get("/api/v1/session").await?["tenant"]);
    let alarms = alarms((&tenant, &names), rows(&slos, "slos"), args);
    if rows(&slos, "slos").next().is_none() {
        note(
            "no deployment has an slo, so that no burn rate is watched; write one: slo: {availability: 99.9%, p99: 20ms}",
        );
    }
    if args.format == "cloudformation" && alarms.len() > RESOURCES {
        let message =
            format!("{} alarms are more than a template of CloudFormation may have ({RESOURCES})", alarms.len());
        return Err(CliError::new(ErrorKind::TooLarge, message).hint("use --format terraform-json"));
    }
    json(&if args.format == "cloudformation" { cloudformation(&alarms) } else { terraform(&alarms) });
    Ok(())
}

fn rows<'a>(all: &'a Value, key: &str) -> impl Iterator<Item = &'a Value> {
    all[key].as_array().into_iter().flatten()
}

/// An alarm; `watches` as `PutMetricAlarm` takes it.
struct Alarm {
    id: String,
    name: String,
    says: String,
    actions: Vec<String>,
    watches: Watches,
}

enum Watches {
    /// A threshold on the last of these metrics, for so many of so many periods.
    Metrics { metrics: Vec<Value>, threshold: f64, periods: [u32; 2] },
    /// Other alarms, by name and id: all of them.
    All(Vec<(String, String)>),
}

struct Making<'a> {
    /// Whose deployments; nothing of the tenant whose series have no dimension for it.
    tenant: Option<&'a str>,
    args: &'a AlarmArgs,
    ids: HashSet<String>,
    made: Vec<Alarm>,
}

fn alarms<'a>(
    (tenant, deployments): (&str, &[String]),
    slos: impl Iterator<Item = &'a Value>,
    args: &AlarmArgs,
) -> Vec<Alarm> {
    let tenant = Some(tenant).filter(|tenant| *tenant != Tenant::default().as_str());
    let mut making = Making { tenant, args, ids: HashSet::new(), made: Vec::new() };
    for deployment in deployments {
        making.errors(deployment);
    }
    for slo in slos {
        making.objective(slo);
    }
    making.made
}

impl Making<'_> {
    fn add(&mut self, words: &[&str], says: String, told: bool, watches: Watches) -> (String, String) {
        let part = |word: &&str| {
            let mut rest = word.chars().filter(char::is_ascii_alphanumeric);
            rest.next().map(|first| first.to_ascii_uppercase()).into_iter().chain(rest).collect::<String>()
        };
        let words: Vec<&str> = self.tenant.into_iter().chain(words.iter().copied()).collect();
        // Terraform's names begin with a letter.
        let first = words.first().filter(|word| word.starts_with(|c: char| c.is_ascii_digit()));
        let words_with = first.map(|_| "deployment").into_iter().chain(words.iter().copied());
        let plain: String = words_with.flat_map(|w| w.split(['-', '_', '.'])).map(|w| part(&w)).collect();
        // `a-b` and `ab` are not one.
        let numbered = (2..).map(|n| format!("{plain}N{n}"));
        let id = std::iter::once(plain.clone()).chain(numbered).find(|id| !self.ids.contains(id)).unwrap_or_default();
        self.ids.insert(id.clone());
        let name =
            std::iter::once(self.args.namespace.as_str()).chain(words.iter().copied()).collect::<Vec<_>>().join("-");
        let actions = if told { self.args.topic.clone() } else { Vec::new() };
        self.made.push(Alarm { id: id.clone(), name: name.clone(), says, actions, watches });
        (name, id)
    }

    fn metric(&self, id: &str, (metric, stat): (&str, &str), deployment: &str, period: u32) -> Value {
        let tenant = self.tenant.map(|tenant| object!({"Name": "Tenant", "Value": tenant}));
        let dimensions: Vec<Value> =
            tenant.into_iter().chain([object!({"Name": "Deployment", "Value": deployment})]).collect();
        object!({
            "Id": id,
            "MetricStat": {
                "Metric": {
                    "Namespace": self.args.namespace, "MetricName": metric,
                    "Dimensions": dimensions,
                },
                "Period": period, "Stat": stat,
            },
            "ReturnData": false,
        })
    }

    /// The share of failed requests over five minutes, three times of five.
    fn errors(&mut self, deployment: &str) {
        let share = self.args.error_rate;
        let metrics = vec![
            self.metric("errors", ("Errors", "Sum"), deployment, 300),
            self.metric("requests", ("Requests", "Sum"), deployment, 300),
            expression(format!("IF(requests >= {FEWEST}, FILL(errors, 0) / requests, 0)"), "share of failed requests"),
        ];
        let says = format!("more than {} % of the requests to {deployment} fail", (share * 1e6).round() / 1e4);
        let watches = Watches::Metrics { metrics, threshold: share, periods: [3, 5] };
        self.add(&[deployment, "error-rate"], says, true, watches);
    }

    /// Two paces of burning, and for a latency the quantile itself.
    fn objective(&mut self, slo: &Value) {
        let (deployment, objective) = (cell(&slo["deployment"]), cell(&slo["objective"]));
        let allowed = 1.0 - slo["target"].as_f64().unwrap_or(1.0);
        if allowed <= 0.0 {
            return;
        }
        let within = slo["withinMs"].as_f64();
        for pace in &PACES {
            let windows = [("long", pace.long), ("short", pace.short)].map(|(which, window)| {
                let says =
                    format!("{deployment} burns {objective}'s budget {} times too fast over {window} s", pace.factor);
                let metrics = self.burn((&deployment, within), allowed, window);
                let watches = Watches::Metrics { metrics, threshold: pace.factor, periods: [1, 1] };
                self.add(&[&deployment, &objective, pace.name, which], says, false, watches)
            });
            let says = format!(
                "{deployment} burns {objective}'s budget {} times too fast, over {} s and still over {} s",
                pace.factor, pace.long, pace.short
            );
            self.add(&[&deployment, &objective, pace.name, "burn"], says, true, Watches::All(windows.into()));
        }
        if let Some(ms) = within {
            let metrics = vec![
                self.metric("latency", ("Latency", &objective), &deployment, 300),
                self.metric("requests", ("Requests", "Sum"), &deployment, 300),
                expression(format!("IF(requests >= {FEWEST}, latency, 0)"), &format!("{objective}, ms")),
            ];
            let says = format!("{objective} of {deployment} is above {ms} ms");
            let watches = Watches::Metrics { metrics, threshold: ms, periods: [3, 5] };
            self.add(&[&deployment, &objective, "latency"], says, true, watches);
        }
    }

    /// Bad requests for each one that is allowed.
    fn burn(&self, (deployment, within): (&str, Option<f64>), allowed: f64, window: u32) -> Vec<Value> {
        let requests = self.metric("requests", ("Requests", "Sum"), deployment, window);
        let (bad, share) = match within {
            None => {
                (self.metric("errors", ("Errors", "Sum"), deployment, window), "FILL(errors, 0) / requests".to_owned())
            }
            // The share of values up to there, per cent.
            Some(ms) => {
                let quick = self.metric("quick", ("Latency", &format!("PR(:{ms})")), deployment, window);
                (quick, "(100 - quick) / 100".to_owned())
            }
        };
        // As it was written: 1 - 0.999 is not 0.001 to a computer.
        let allowed = (allowed * 1e9).round() / 1e9;
        let burn = expression(format!("IF(requests >= {FEWEST}, ({share}) / {allowed}, 0)"), "burn rate");
        vec![bad, requests, burn]
    }
}

fn expression(expression: String, label: &str) -> Value {
    object!({"Id": "watched", "Expression": expression, "Label": label, "ReturnData": true})
}

fn rule(all: &[(String, String)]) -> String {
    all.iter().map(|(name, _)| format!("ALARM(\"{name}\")")).collect::<Vec<_>>().join(" AND ")
}

fn cloudformation(alarms: &[Alarm]) -> Value {
    let mut resources = Map::new();
    for alarm in alarms {
        let mut properties = object!({"AlarmName": alarm.name, "AlarmDescription": alarm.says});
        if !alarm.actions.is_empty() {
            properties["AlarmActions"] = object!(alarm.actions);
            properties["OKActions"] = object!(alarm.actions);
        }
        let resource = match &alarm.watches {
            Watches::Metrics { metrics, threshold, periods: [most, of] } => {
                properties["ComparisonOperator"] = object!("GreaterThanThreshold");
                properties["Threshold"] = object!(threshold);
                properties["DatapointsToAlarm"] = object!(most);
                properties["EvaluationPeriods"] = object!(of);
                properties["TreatMissingData"] = object!("notBreaching");
                properties["Metrics"] = object!(metrics);
                object!({"Type": "AWS::CloudWatch::Alarm", "Properties": properties})
            }
            Watches::All(all) => {
                properties["AlarmRule"] = object!(rule(all));
                let after: Vec<&String> = all.iter().map(|(_, id)| id).collect();
                object!({"Type": "AWS::CloudWatch::CompositeAlarm", "Properties": properties, "DependsOn": after})
            }
        };
        resources.insert(alarm.id.clone(), resource);
    }
    object!({
        "AWSTemplateFormatVersion": "2010-09-09",
        "Description": "Alarms on what Mainspring tells CloudWatch",
        "Resources": resources,
    })
}

fn terraform(alarms: &[Alarm]) -> Value {
    let (mut simple, mut composite) = (Map::new(), Map::new());
    for alarm in alarms {
        let mut body = object!({"alarm_name": alarm.name, "alarm_description": alarm.says});
        if !alarm.actions.is_empty() {
            body["alarm_actions"] = object!(alarm.actions);
            body["ok_actions"] = object!(alarm.actions);
        }
        match &alarm.watches {
            Watches::Metrics { metrics, threshold, periods: [most, of] } => {
                body["comparison_operator"] = object!("GreaterThanThreshold");
                body["threshold"] = object!(threshold);
                body["datapoints_to_alarm"] = object!(most);
                body["evaluation_periods"] = object!(of);
                body["treat_missing_data"] = object!("notBreaching");
                body["metric_query"] = metrics.iter().map(query).collect();
                simple.insert(alarm.id.clone(), body);
            }
            Watches::All(all) => {
                body["alarm_rule"] = object!(rule(all));
                let after = all.iter().map(|(_, id)| format!("aws_cloudwatch_metric_alarm.{id}"));
                body["depends_on"] = after.map(Value::from).collect();
                composite.insert(alarm.id.clone(), body);
            }
        }
    }
    let mut resource = object!({"aws_cloudwatch_metric_alarm": simple});
    if !composite.is_empty() {
        resource["aws_cloudwatch_composite_alarm"] = Value::Object(composite);
    }
    object!({"resource": resource})
}

fn query(metric: &Value) -> Value {
    if metric["Expression"].is_string() {
        return object!({
            "id": metric["Id"], "expression": metric["Expression"], "label": metric["Label"], "return_data": true,
        });
    }
    let of = &metric["MetricStat"];
    let dimensions: Map<String, Value> =
        rows(&of["Metric"], "Dimensions").map(|d| (cell(&d["Name"]), d["Value"].clone())).collect();
    object!({
        "id": metric["Id"], "return_data": false,
        "metric": {
            "namespace": of["Metric"]["Namespace"], "metric_name": of["Metric"]["MetricName"],
            "dimensions": dimensions, "period": of["Period"], "stat": of["Stat"],
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made() -> Vec<Alarm> {
        of_tenant("default")
    }

    fn of_tenant(tenant: &str) -> Vec<Alarm> {
        let args = AlarmArgs {
            format: "cloudformation".into(),
            namespace: "Mainspring".into(),
            topic: vec!["arn:aws:sns:eu-west-1:123456789012:oncall".into()],
            error_rate: 0.05,
        };
        let slos = [
            object!({"deployment": "a-b", "objective": "availability", "target": 0.999}),
            object!({"deployment": "ab", "objective": "p99", "target": 0.99, "withinMs": 20.0}),
            object!({"deployment": "ab", "objective": "all", "target": 1.0}),
        ];
        alarms((tenant, &["a-b".into(), "aB".into(), "1st".into()]), slos.iter(), &args)
    }

    #[test]
    fn alarms_of_another_tenant_watch_its_series_and_have_names_of_their_own() {
        let template = cloudformation(&of_tenant("acme"));
        let first = &template["Resources"]["AcmeABErrorRate"]["Properties"];
        assert_eq!(first["AlarmName"], "Mainspring-acme-a-b-error-rate");
        let dimensions = object!([{"Name": "Tenant", "Value": "acme"}, {"Name": "Deployment", "Value": "a-b"}]);
        assert_eq!(first["Metrics"][0]["MetricStat"]["Metric"]["Dimensions"], dimensions);
    }

    #[test]
    fn each_pace_watches_two_windows_and_only_what_both_say_is_told() {
        let template = cloudformation(&made());
        let of = |id: &str| &template["Resources"][id];
        let burn = &of("ABAvailabilityFastBurn")["Properties"];
        let rule =
            "ALARM(\"Mainspring-a-b-availability-fast-long\") AND ALARM(\"Mainspring-a-b-availability-fast-short\")";
        assert_eq!(burn["AlarmRule"], rule);
        assert_eq!(burn["AlarmActions"], object!(["arn:aws:sns:eu-west-1:123456789012:oncall"]));
        let long = &of("ABAvailabilityFastLong")["Properties"];
        assert!(long["AlarmActions"].is_null() && long["Threshold"] == 14.4);
        assert_eq!(long["Metrics"][0]["MetricStat"]["Period"], 3_600);
        let expression = "IF(requests >= 20, (FILL(errors, 0) / requests) / 0.001, 0)";
        assert_eq!(long["Metrics"][2]["Expression"], expression);
        assert_eq!(of("ABAvailabilitySlowShort")["Properties"]["Threshold"], 6.0);
        let quick = of("AbP99SlowLong")["Properties"]["Metrics"][0]["MetricStat"].clone();
        assert_eq!((&quick["Stat"], &quick["Period"]), (&object!("PR(:20)"), &object!(21_600)));
    }

    #[test]
    fn names_that_look_alike_are_not_one_resource() {
        let all = made();
        let ids: HashSet<&String> = all.iter().map(|a| &a.id).collect();
        assert_eq!(ids.len(), all.len());
        assert!(ids.iter().all(|id| id.chars().all(|c| c.is_ascii_alphanumeric())), "{ids:?}");
        assert!(ids.iter().all(|id| id.starts_with(|c: char| c.is_ascii_alphabetic())), "{ids:?}");
        // Three error rates, two paces of three alarms for two objectives, and one latency.
        assert_eq!(all.len(), 3 + 2 * 6 + 1);
    }

    #[test]
    fn terraform_has_the_same_alarms() {
        let all = made();
        let resource = terraform(&all)["resource"].clone();
        let count = |kind: &str| resource[kind].as_object().unwrap().len();
        assert_eq!(count("aws_cloudwatch_metric_alarm") + count("aws_cloudwatch_composite_alarm"), all.len());
        let burn = &resource["aws_cloudwatch_composite_alarm"]["AbP99FastBurn"];
        assert_eq!(burn["depends_on"][0], "aws_cloudwatch_metric_alarm.AbP99FastLong");
        let query = &resource["aws_cloudwatch_metric_alarm"]["AbP99FastLong"]["metric_query"][0];
        assert_eq!(query["metric"]["dimensions"], object!({"Deployment": "ab"}));
    }
}
