use super::*;
use proptest::prelude::*;

fn parse(yaml: &str) -> Result<ChannelSpec, String> {
    let spec: ChannelSpec = serde_saphyr::from_str(yaml).map_err(|e| e.to_string())?;
    spec.validate().map_err(|e| e.to_string())?;
    Ok(spec)
}

#[test]
fn a_channel_has_exactly_one_way() {
    let spec = parse("{slack: {url: {env: MAINSPRING_SECRET_SLACK}}}").unwrap();
    assert_eq!(spec.way().unwrap().as_str(), "slack");
    assert_eq!(
        (spec.group_by.as_slice(), spec.repeat.to_string().as_str()),
        (["deployment".to_owned()].as_slice(), "4h")
    );
    assert!(parse("{severity: page}").unwrap_err().contains("exactly one"));
    let two = "{slack: {url: {file: a}}, sns: {topic: 'arn:aws:sns:eu-west-1:1:t'}}";
    assert!(parse(two).unwrap_err().contains("this one has 2"));
    // As it is written again it is the same.
    let again: ChannelSpec = serde_json::from_value(serde_json::to_value(&spec).unwrap()).unwrap();
    assert_eq!(again, spec);
}

#[test]
fn a_channel_that_freezes_says_only_what_it_does() {
    let spec = parse("{on: [slo, drift], severity: page, matching: ['deployment=churn'], freeze: {}}").unwrap();
    assert_eq!(spec.way().unwrap().as_str(), "freeze");
    for (yaml, why) in [
        ("{on: [quality], freeze: {}}", "on: an alert of quality is about no version"),
        ("{on: [drift, rollout], freeze: {}}", "on: an alert of rollout"),
        ("{groupWait: 5s, freeze: {}}", "groupWait: a version is frozen at once"),
        ("{repeat: 1h, freeze: {}}", "repeat: "),
        ("{groupBy: [monitor], freeze: {}}", "groupBy: "),
        ("{freeze: {}, slack: {url: {file: a}}}", "this one has 2"),
        ("{freeze: {version: '8'}}", "version"),
    ] {
        let refused = parse(yaml).unwrap_err();
        assert!(refused.contains(why), "{yaml}: {refused}");
    }
}

#[test]
fn only_variables_and_files_meant_for_it_are_secrets() {
    for (reference, good) in [
        ("{env: MAINSPRING_SECRET_A1}", true),
        ("{env: AWS_SECRET_ACCESS_KEY}", false),
        ("{env: MAINSPRING_SECRET_}", false),
        ("{env: MAINSPRING_DATABASE}", false),
        ("{file: slack-url}", true),
        ("{file: ../../etc/passwd}", false),
        ("{file: /etc/passwd}", false),
        ("{file: .hidden}", false),
        ("{file: ''}", false),
        ("{file: a\u{0}}", false),
    ] {
        assert_eq!(parse(&format!("{{slack: {{url: {reference}}}}}")).is_ok(), good, "{reference}");
    }
    assert!(parse("{slack: {url: 'https://hooks.slack.com/services/x'}}").is_err(), "a secret is not written down");
}

#[test]
fn what_is_wrong_is_named() {
    let check = |yaml: &str| parse(yaml).unwrap_err();
    assert!(check("{webhook: {url: 'ftp://x', secret: {file: a}}}").contains("webhook.url"));
    assert!(check("{webhook: {url: 'https://a:b@x', secret: {file: a}}}").contains("without a password"));
    assert!(check("{sns: {topic: alerts}}").contains("sns.topic"));
    assert!(
        check("{sns: {topic: 'arn:aws:sns:evil.com/:1:t'}}").contains("sns.topic"),
        "a region is part of a host name"
    );
    let mail = |more: &str| {
        format!("{{email: {{host: mx.example.com, from: 'M <m@example.com>', to: [a@example.com]{more}}}}}")
    };
    assert_eq!(parse(&mail("")).unwrap().email.unwrap().port(), 587);
    assert!(check(&mail(", username: me")).contains("email.password"));
    assert!(check(&mail(", tls: never, username: me, password: {file: p}")).contains("email.tls"));
    assert!(check("{email: {host: mx, from: me, to: [a@b]}}").contains("email.from"));
    assert!(check("{email: {host: mx, from: a@b, to: [\"a@b\\r\\nBcc: c@d\"]}}").contains("email.to[0]"));
    assert!(check("{email: {host: mx, from: a@b, to: []}}").contains("email.to"));
    assert!(check("{repeat: 1s, slack: {url: {file: a}}}").contains("repeat"));
    assert!(check("{matching: ['deployment'], slack: {url: {file: a}}}").contains("LABEL=VALUE"));
    assert!(check("{matching: ['deployment=~('], slack: {url: {file: a}}}").contains("regular expression"));
}

#[test]
fn matchers_read_labels_as_people_write_them() {
    let labels = std::collections::BTreeMap::from([("deployment".to_owned(), "eu-churn".to_owned())]);
    for (text, holds) in [
        ("deployment=eu-churn", true),
        ("deployment = \"eu-churn\"", true),
        ("deployment=churn", false),
        ("deployment!=churn", true),
        ("deployment=~eu-.*", true),
        ("deployment=~eu", false),
        ("deployment!~us-.*|eu-x", true),
        ("variant=", true),
        ("variant!=", false),
    ] {
        let matcher: Matcher = text.parse().unwrap();
        assert_eq!(matcher.matches(&labels), holds, "{text}");
        assert_eq!(matcher.to_string().parse::<Matcher>().unwrap(), matcher, "{text}");
    }
    for text in ["", "=x", "a b=c", "deployment", "deployment!churn", "a=~[", "a=~(?:\\w{9}){99}"] {
        assert!(text.parse::<Matcher>().is_err(), "{text}");
    }
    assert!(format!("a={}", "x".repeat(1025)).parse::<Matcher>().is_err());
    // What looks like another sign, and what is at the edge.
    let is = |value: &str| std::collections::BTreeMap::from([("a".to_owned(), value.to_owned())]);
    for (text, value) in [("a=\"~[\"", "~["), ("a=\" x\"", " x"), ("a=\"\"x\"\"", "\"x\""), ("a=\"", "\"")] {
        let matcher: Matcher = text.parse().unwrap();
        assert!(matcher.matches(&is(value)), "{text}");
        assert_eq!(matcher.to_string().parse::<Matcher>().unwrap(), matcher, "{text}");
    }
}

proptest! {
    /// What was taken can be written down and read again.
    #[test]
    fn a_matcher_is_read_as_it_was_written(sign in "=|!=|=~|!~", value in "[ \"~!=x.*\\[]{0,4}", quoted: bool) {
        let quote = if quoted { "\"" } else { "" };
        let text = format!("a{sign}{quote}{value}{quote}");
        if let Ok(matcher) = text.parse::<Matcher>() {
            prop_assert_eq!(matcher.to_string().parse::<Matcher>(), Ok(matcher));
        }
    }
}
