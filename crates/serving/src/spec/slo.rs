//! What a deployment promises. The server counts and alerts; serving only says it.

use super::HumanDuration;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// A part of all requests, written as `99.9%`.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
pub struct Percent(f64);

impl Percent {
    /// 0 to 1: of what is written as `99.9%` exactly what `0.999` is, which a division by 100 misses by a last digit.
    pub fn share(self) -> f64 {
        format!("{}e-2", self.0).parse().unwrap_or(self.0 / 100.0)
    }
}

impl FromStr for Percent {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let number = text.trim().strip_suffix('%').and_then(|n| n.trim().parse::<f64>().ok());
        number
            .filter(|n| (0.0..=100.0).contains(n))
            .map(Self)
            .ok_or_else(|| format!("{text:?} is no percentage; write 99.9%"))
    }
}

impl fmt::Display for Percent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}%", self.0)
    }
}

impl Serialize for Percent {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Percent {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        String::deserialize(d)?.parse().map_err(serde::de::Error::custom)
    }
}

impl JsonSchema for Percent {
    fn schema_name() -> Cow<'static, str> {
        "Percent".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "pattern": r"^[0-9]+(\.[0-9]+)?\s*%$", "description": "A percentage such as 99.9%."})
    }
}

/// Service level objectives over 30 days. A budget that burns too fast is an alert.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SloSpec {
    /// Requests that are answered, of those that are not the caller's own fault: `99.9%`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub availability: Option<Percent>,
    /// Half of the requests are answered within this time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub p50: Option<HumanDuration>,
    /// 90 % are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub p90: Option<HumanDuration>,
    /// 95 % are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub p95: Option<HumanDuration>,
    /// 99 % are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub p99: Option<HumanDuration>,
    /// Requests that a window must have before it can be an alert.
    #[serde(default = "minimum")]
    pub minimum: u64,
    /// Where it says what to do, for the alert.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub runbook: Option<String>,
}

fn minimum() -> u64 {
    20
}

impl SloSpec {
    /// Each objective: its name, the share of requests that are to be good, and for a latency within which time.
    pub fn objectives(&self) -> Vec<(&'static str, f64, Option<Duration>)> {
        let available = self.availability.map(|a| ("availability", a.share(), None));
        let times = [("p50", 0.5, self.p50), ("p90", 0.9, self.p90), ("p95", 0.95, self.p95), ("p99", 0.99, self.p99)];
        let times = times.into_iter().filter_map(|(name, share, within)| Some((name, share, Some(within?.0))));
        available.into_iter().chain(times).collect()
    }

    /// The field that is out of range, what it is, and what it may be.
    pub(super) fn wrong(&self) -> Option<(&'static str, String, &'static str)> {
        let good = 0.5..1.0;
        if let Some(share) = self.availability.filter(|a| !good.contains(&a.share())) {
            return Some(("slo.availability", share.to_string(), "at least 50%, and less than 100%"));
        }
        let times = [("slo.p50", self.p50), ("slo.p90", self.p90), ("slo.p95", self.p95), ("slo.p99", self.p99)];
        if let Some((field, _)) = times.iter().find(|(_, t)| t.is_some_and(|t| t.0.is_zero())) {
            return Some((field, "0ms".to_owned(), "longer than 0ms"));
        }
        if self.objectives().is_empty() {
            return Some(("slo", "empty".to_owned(), "an availability or one of p50, p90, p95 and p99"));
        }
        if self.minimum == 0 {
            return Some(("slo.minimum", "0".to_owned(), "at least 1"));
        }
        let link = self.runbook.as_ref().filter(|r| !r.starts_with("https://") && !r.starts_with("http://"));
        link.map(|link| ("slo.runbook", format!("{link:?}"), "an http or https URL"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_what_its_percentage_says() {
        let share = |text: &str| text.parse::<Percent>().unwrap().share();
        let all = [("99.9%", 0.999), ("99.99%", 0.9999), ("97.3 %", 0.973), ("0.07%", 0.0007), ("9.95e1%", 0.995)];
        for (text, exactly) in all {
            assert_eq!(share(text).to_string(), exactly.to_string(), "{text}");
        }
        assert_eq!([share("0%"), share("50%"), share("100%")], [0.0, 0.5, 1.0]);
        assert_eq!("99.9%".parse::<Percent>().unwrap().to_string(), "99.9%");
    }
}
