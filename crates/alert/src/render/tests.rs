use super::*;
use crate::machine::{Alert, Phase};
use crate::notice::{Item, Status};
use crate::signal::{Severity, Source, Subject};
use mainspring_core::{EventId, Tenant};
use serde_json::{Value, json};
use std::collections::BTreeMap;

const NOW: Timestamp = Timestamp(1_767_225_600_000_000);

fn notice(status: Status) -> Notice {
    let labels = BTreeMap::from([("deployment".to_owned(), "churn".to_owned())]);
    let subject = Subject {
        name: "SloBurn".into(),
        source: Source::Slo,
        severity: Severity::Page,
        labels: labels.clone(),
        sentence: "21 of 1000 requests failed in 1h & <more>".into(),
        numbers: json!({"burn": 21.0}),
        query: Some("SELECT count(*) FROM predictions".into()),
        runbook: Some("https://wiki.example.com/churn".into()),
        page: Some("/ui/deployments/churn".into()),
    };
    let phase = if status == Status::Resolved { Phase::Resolved } else { Phase::Firing };
    let alert =
        Alert { fingerprint: subject.fingerprint(), subject, phase, since: NOW, started: NOW, seen: NOW, sequence: 1 };
    Notice {
        id: EventId("0197f3a0-0000-7000-8000-000000000001".parse().unwrap()),
        at: NOW,
        tenant: Tenant::default(),
        channel: "oncall".into(),
        status,
        group: "00112233445566778899aabbccddeeff".into(),
        labels,
        repeated: false,
        items: vec![Item::of(&alert, "https://ml.example.com")],
        left_out: 0,
        link: "https://ml.example.com/ui/alerts".into(),
    }
}

fn channel(yaml: &str) -> ChannelSpec {
    let spec: ChannelSpec = serde_saphyr::from_str(yaml).unwrap();
    spec.validate().unwrap();
    spec
}

/// Renders with the secret `s` as this text.
fn rendered(yaml: &str, secret: &str, status: Status) -> Result<Outgoing, RenderError> {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("s"), secret).unwrap();
    let errand = render(&channel(yaml), &notice(status), &Vault::new(folder.path()), NOW)?;
    let Errand::Send(outgoing) = errand else { panic!("{errand:?}") };
    Ok(outgoing)
}

fn http(yaml: &str, secret: &str, status: Status) -> HttpRequest {
    match rendered(yaml, secret, status).unwrap() {
        Outgoing::Http(request) => request,
        Outgoing::Mail(_) => panic!("no mail is expected"),
    }
}

fn body(request: &HttpRequest) -> Value {
    serde_json::from_str(&request.body).unwrap()
}

#[test]
fn a_webhook_says_everything() {
    let request =
        http("{webhook: {url: 'https://h.example.com/x', secret: {file: s}}}", "whsec_c2VjcmV0", Status::Firing);
    let header = |name: &str| request.headers.iter().find(|(n, _)| *n == name).unwrap().1.as_str();
    assert_eq!(
        (header("webhook-id"), header("webhook-timestamp")),
        ("0197f3a0-0000-7000-8000-000000000001", "1767225600")
    );
    let body = body(&request);
    assert_eq!((&body["type"], &body["timestamp"]), (&json!("alert.firing"), &json!("2026-01-01T00:00:00Z")));
    let alert = &body["data"]["alerts"][0];
    assert_eq!(alert["link"], "https://ml.example.com/ui/deployments/churn");
    for (key, value) in
        [("status", "firing"), ("severity", "page"), ("source", "slo"), ("startsAt", "2026-01-01T00:00:00Z")]
    {
        assert_eq!(alert[key], value, "{key}");
    }
    let unsigned =
        rendered("{webhook: {url: 'https://h.example.com/', secret: {file: s}}}", "whsec_!!", Status::Firing);
    assert!(matches!(unsigned, Err(RenderError::Unsigned(_))));
    assert!(!format!("{request:?}").contains("h.example.com"), "what may be a secret is not in logs");
    assert!(request.gives_up.on(410) && !request.gives_up.on(404) && !request.gives_up.on(500));
}

#[test]
fn slack_gets_blocks_with_its_signs_escaped() {
    let request = http("{slack: {url: {file: s}}}", "https://hooks.slack.com/services/T/B/x\n", Status::Firing);
    assert_eq!(request.url.reveal(), "https://hooks.slack.com/services/T/B/x");
    let body = body(&request);
    assert_eq!(body["blocks"][0]["type"], "header");
    let text = body["blocks"][1]["text"]["text"].as_str().unwrap();
    assert!(
        text.contains("1h &amp; &lt;more&gt;") && text.contains("<https://wiki.example.com/churn|runbook>"),
        "{text}"
    );
    assert!(body["text"].as_str().unwrap().starts_with("[FIRING] churn: 21 of 1000"));
    assert_eq!(
        request.without_secrets("no route to https://hooks.slack.com/services/T/B/x: refused"),
        "no route to ***: refused"
    );
    assert!(request.gives_up.on(404) && request.gives_up.on(400));
    assert!([403, 408, 429, 500, 503].iter().all(|s| !request.gives_up.on(*s)));
    assert!(matches!(rendered("{slack: {url: {file: s}}}", "no url", Status::Firing), Err(RenderError::Form { .. })));
}

#[test]
fn slack_is_never_sent_more_than_it_takes() {
    let mut long = notice(Status::Firing);
    long.items[0].summary = "ä".repeat(5000);
    long.items = std::iter::repeat_n(long.items[0].clone(), crate::notice::MOST).collect();
    long.left_out = 3;
    let Outgoing::Http(request) = Outgoing::Http(chat::render(&long, Secret::new("https://x")).unwrap()) else {
        panic!()
    };
    let body = body(&request);
    let blocks = body["blocks"].as_array().unwrap();
    assert!(blocks.len() <= 50);
    assert!(blocks[0]["text"]["text"].as_str().unwrap().chars().count() <= 150);
    assert!(blocks[1]["text"]["text"].as_str().unwrap().chars().count() <= 3000);
    // Twenty of these are too much together, and so are five.
    assert_eq!(blocks.len(), 1 + 4 + 1);
    let more = blocks.last().unwrap()["elements"][0]["text"].as_str().unwrap();
    assert!(more.starts_with(&format!("and {} more", 3 + crate::notice::MOST - 4)), "{more}");
    assert!(body["blocks"].to_string().len() < 12_000);
}

#[test]
fn what_does_not_fit_into_slacks_message_is_left_out_whole() {
    let slack = |notice: &Notice| {
        let request = chat::render(notice, Secret::new("https://x")).unwrap();
        let text = body(&request)["blocks"].as_array().unwrap()[1..].to_vec();
        text.iter().map(|block| block["text"]["text"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let mut one = notice(Status::Firing);
    let address = format!("https://wiki.example.com/{}", "runbook/".repeat(600));
    one.items[0].runbook = Some(address);
    one.items[0].link = Some("https://ml.example.com/alerts/1".into());
    one.items[0].query = Some("SELECT 1".into());
    let said = &slack(&one)[0];
    assert!(!said.contains("|runbook>") && !said.contains("wiki"), "{said}");
    assert!(
        said.contains("\n<https://ml.example.com/alerts/1|console>\n") && said.ends_with("```SELECT 1```"),
        "{said}"
    );
    // Of many alerts the queries go first.
    one.items[0].runbook = None;
    one.items[0].query = Some("x".repeat(700));
    let twelve = Notice { items: vec![one.items[0].clone(); 12], ..one.clone() };
    let all = slack(&twelve);
    assert!(all.len() == 12 && all.iter().all(|text| text.ends_with("|console>")), "{all:?}");
    assert!(slack(&Notice { items: vec![one.items[0].clone(); 2], ..one }).iter().all(|text| text.contains("```")));
}

#[test]
fn pagerduty_opens_one_incident_a_group_and_closes_it() {
    let yaml = "{pagerduty: {routingKey: {file: s}, region: eu}}";
    let key = "0123456789abcdef0123456789abcdef";
    let request = http(yaml, key, Status::Firing);
    assert_eq!(request.url.reveal(), "https://events.eu.pagerduty.com/v2/enqueue");
    let open = body(&request);
    assert_eq!((&open["event_action"], &open["routing_key"]), (&json!("trigger"), &json!(key)));
    assert_eq!((&open["payload"]["severity"], &open["payload"]["source"]), (&json!("critical"), &json!("churn")));
    assert_eq!(open["links"][0]["href"], "https://wiki.example.com/churn");
    assert_eq!(open["payload"]["custom_details"]["alerts"][0]["numbers"]["burn"], 21.0);
    let close = body(&http(yaml, key, Status::Resolved));
    assert_eq!((&close["event_action"], &close["dedup_key"]), (&json!("resolve"), &open["dedup_key"]));
    assert!(close.get("payload").is_none());
    // What happened is not over when something else is.
    for status in [Status::Happened, Status::Test] {
        let one = body(&http(yaml, key, status));
        assert_eq!((&one["event_action"], &one["dedup_key"]), (&json!("trigger"), &json!(notice(status).id)));
    }
}

#[test]
fn a_mail_has_one_line_for_a_subject_and_an_id_of_its_own() {
    let yaml =
        "{email: {host: mx.example.com, from: m@example.com, to: [a@example.com], username: me, password: {file: s}}}";
    let Outgoing::Mail(mail) = rendered(yaml, "pw", Status::Resolved).unwrap() else { panic!("a mail is expected") };
    assert_eq!((mail.port, mail.tls), (587, MailTls::Starttls));
    assert_eq!(mail.message_id, "<0197f3a0-0000-7000-8000-000000000001@mainspring>");
    assert!(mail.subject.starts_with("[RESOLVED] churn: 21 of 1000") && !mail.subject.contains('\n'));
    for says in ["runbook: https://wiki.example.com/churn", "query: SELECT count(*)", "until: 2026-01-01T00:00:00Z"] {
        assert!(mail.body.contains(says), "{}", mail.body);
    }
    assert!(!format!("{mail:?}").contains("pw\""), "{mail:?}");
}

#[test]
fn sns_is_published_to_in_the_topics_own_region() {
    let request = http("{sns: {topic: 'arn:aws:sns:eu-west-1:123456789012:alerts.fifo'}}", "", Status::Firing);
    assert_eq!(request.url.reveal(), "https://sns.eu-west-1.amazonaws.com/");
    assert_eq!(request.sign, Some(AwsScope { region: "eu-west-1".into(), service: "sns" }));
    let form: BTreeMap<String, String> = url::form_urlencoded::parse(request.body.as_bytes()).into_owned().collect();
    assert_eq!((form["Action"].as_str(), form["Version"].as_str()), ("Publish", "2010-03-31"));
    assert_eq!(form["MessageGroupId"], "00112233445566778899aabbccddeeff");
    assert_eq!(form["MessageDeduplicationId"], "0197f3a0-0000-7000-8000-000000000001");
    assert_eq!(form["MessageAttributes.entry.3.Value.StringValue"], "page");
    assert!(form["Subject"].len() <= 99 && form["Subject"].is_ascii());
    let china = http("{sns: {topic: 'arn:aws-cn:sns:cn-north-1:123456789012:alerts'}}", "", Status::Firing);
    assert_eq!(china.url.reveal(), "https://sns.cn-north-1.amazonaws.com.cn/");
    assert!(!china.body.contains("MessageGroupId"));
    // The server's identity is nobody else's.
    let spec = channel("{sns: {topic: 'arn:aws:sns:eu-west-1:123456789012:alerts'}}");
    let foreign = Notice { tenant: Tenant::new("other").unwrap(), ..notice(Status::Firing) };
    let refused = render(&spec, &foreign, &Vault::new("/"), NOW).unwrap_err();
    assert!(matches!(refused, RenderError::ForeignIdentity(_)), "{refused}");
}
