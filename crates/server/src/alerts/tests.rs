//! Each way against a receiver that speaks its protocol.

use super::Sender;
use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use mainspring_alert::render::{AwsScope, GivesUp, HttpRequest, Mail, Outgoing};
use mainspring_alert::spec::MailTls;
use mainspring_alert::{Courier, Refused};
use mainspring_artifact::AwsSigner;
use mainspring_core::Secret;
use mainspring_http::{Client, ClientSettings, Reach};
use parking_lot::Mutex;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;

fn sender(reach: Reach) -> Sender {
    let options = [("AWS_ACCESS_KEY_ID", "test"), ("AWS_SECRET_ACCESS_KEY", "test")];
    let aws = AwsSigner::new(&options.map(|(k, v)| (k.to_owned(), v.to_owned()))).unwrap();
    Sender::new(reach, aws).unwrap()
}

fn request(url: &str) -> HttpRequest {
    HttpRequest {
        url: Secret::new(url),
        headers: vec![("content-type", "application/json".into()), ("webhook-id", "1".into())],
        body: "{\"key\":\"s3cret\"}".into(),
        sign: None,
        gives_up: GivesUp::OnClientErrors,
        hide: vec![Secret::new("s3cret"), Secret::new(url)],
    }
}

type Got = Arc<Mutex<Vec<(HeaderMap, String)>>>;

/// Listens; its URL.
async fn listening(app: Router) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/hook/T/s3cret", listener.local_addr().unwrap());
    #[expect(clippy::disallowed_methods, reason = "it ends with the test's runtime")]
    tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
    url
}

/// A receiver that answers so; what it got.
async fn receiver(status: u16, headers: &'static [(&'static str, &'static str)]) -> (String, Got) {
    let got = Got::default();
    let answer = move |State(got): State<Got>, head: HeaderMap, body: String| async move {
        let echo = format!("you said {body}");
        got.lock().push((head, body));
        let mut answer = HeaderMap::new();
        for (name, value) in headers {
            answer.insert(*name, value.parse().unwrap());
        }
        (StatusCode::from_u16(status).unwrap(), answer, echo)
    };
    let app = Router::new().route("/hook/T/s3cret", post(answer)).with_state(Arc::clone(&got));
    (listening(app).await, got)
}

async fn sent(to: Outgoing) -> Result<(), Refused> {
    sender(Reach::Anywhere).send(to).await
}

#[tokio::test]
async fn a_request_arrives_as_it_is() {
    let (url, got) = receiver(202, &[]).await;
    sent(Outgoing::Http(request(&url))).await.unwrap();
    let got = got.lock();
    assert_eq!((got[0].0["webhook-id"].to_str().unwrap(), got[0].1.as_str()), ("1", "{\"key\":\"s3cret\"}"));
}

#[tokio::test]
async fn a_refusal_says_what_was_said_but_no_secret() {
    let (url, _) = receiver(400, &[]).await;
    let refused = sent(Outgoing::Http(request(&url))).await.unwrap_err();
    assert!(refused.for_good);
    assert_eq!(refused.reason, "it answered 400: you said {\"key\":\"***\"}");
    let (url, _) = receiver(429, &[("retry-after", "17")]).await;
    let refused = sent(Outgoing::Http(request(&url))).await.unwrap_err();
    assert_eq!((refused.for_good, refused.after), (false, Some(Duration::from_secs(17))));
    // Whoever only says where else it goes has not taken it.
    let (url, got) = receiver(302, &[("location", "/hook/T/s3cret")]).await;
    let refused = sent(Outgoing::Http(request(&url))).await.unwrap_err();
    assert!(!refused.for_good && refused.reason.starts_with("it answered 302"), "{}", refused.reason);
    assert_eq!(got.lock().len(), 1);
    // Nobody listens there.
    let gone = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    for url in [format!("http://{gone}/hook/s3cret"), "no url s3cret".to_owned()] {
        let refused = sent(Outgoing::Http(request(&url))).await.unwrap_err();
        assert!(!refused.for_good && !refused.reason.contains("s3cret"), "{}", refused.reason);
    }
}

#[tokio::test]
async fn of_a_refusal_only_the_beginning_is_read_and_no_part_of_a_secret_is_in_it() {
    // It never ends, and says a secret at every place where one could stop reading.
    let endless = || async {
        let secrets = futures::stream::repeat_with(|| Ok::<_, std::convert::Infallible>("s3cret".repeat(100)));
        (StatusCode::BAD_GATEWAY, axum::body::Body::from_stream(secrets))
    };
    let url = listening(Router::new().route("/hook/T/s3cret", post(endless))).await;
    for (secret, says) in [("s3cret".to_owned(), 300), ("s3cret".repeat(50), 0)] {
        let request = HttpRequest { hide: vec![Secret::new(secret)], ..request(&url) };
        let refused = sent(Outgoing::Http(request)).await.unwrap_err();
        let said = refused.reason.trim_start_matches("it answered 502").trim_start_matches(": ");
        assert_eq!(said, "*".repeat(says));
    }
}

/// Takes connections and says nothing; its address.
async fn silent() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    #[expect(clippy::disallowed_methods, reason = "it ends with the test's runtime")]
    tokio::spawn(async move {
        let mut held = Vec::new();
        while let Ok((stream, _)) = listener.accept().await {
            held.push(stream);
        }
    });
    address
}

#[tokio::test]
async fn whoever_has_no_credentials_for_it_does_not_wait_long_for_them() {
    let options = [("AWS_METADATA_ENDPOINT".to_owned(), silent().await)];
    let aws = AwsSigner::new(&options).unwrap();
    let mut sender = Sender::new(Reach::Anywhere, aws).unwrap();
    sender.patience = Duration::from_millis(100);
    let sign = Some(AwsScope { region: "us-east-1".into(), service: "sns" });
    let refused =
        sender.send(Outgoing::Http(HttpRequest { sign, ..request("http://localhost:1/") })).await.unwrap_err();
    assert_eq!((refused.for_good, refused.reason.as_str()), (false, "it was not sent within 0.1 s"));
}

#[tokio::test]
async fn credentials_of_aws_are_not_sent_in_plain_text() {
    let sign = Some(AwsScope { region: "us-east-1".into(), service: "sns" });
    let request = HttpRequest { sign, ..request("http://sns.example.com/") };
    let refused = sender(Reach::Public).send(Outgoing::Http(request)).await.unwrap_err();
    assert!(refused.for_good && refused.reason.contains("https only"), "{}", refused.reason);
}

#[tokio::test]
async fn without_leave_nothing_is_sent_inside() {
    let (url, got) = receiver(200, &[]).await;
    let refused = sender(Reach::Public).send(Outgoing::Http(request(&url))).await.unwrap_err();
    assert!(refused.reason.contains("not a public address"), "{}", refused.reason);
    assert!(got.lock().is_empty());
    let (port, heard) = mail_server(MailServer::default()).await;
    let refused = sender(Reach::Public).send(Outgoing::Mail(mail(port, MailTls::Never))).await.unwrap_err();
    assert!(refused.reason.contains("alerts.reach"), "{}", refused.reason);
    assert!(heard.lock().is_empty());
}

/// What a mail server says where it matters.
#[derive(Clone, Copy)]
struct MailServer {
    extensions: &'static str,
    to_receiver: &'static str,
}

impl Default for MailServer {
    fn default() -> Self {
        Self { extensions: "250-test\r\n250 AUTH PLAIN LOGIN\r\n", to_receiver: "250 ok\r\n" }
    }
}

/// Its port, and the lines that it heard.
async fn mail_server(says: MailServer) -> (u16, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let heard: Arc<Mutex<Vec<String>>> = Arc::default();
    let into = Arc::clone(&heard);
    #[expect(clippy::disallowed_methods, reason = "it ends with the test's runtime")]
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let (read, mut write) = stream.split();
            let mut lines = BufReader::new(read).lines();
            write.write_all(b"220 test\r\n").await.unwrap();
            let mut in_mail = false;
            while let Ok(Some(line)) = lines.next_line().await {
                let answer = match line.split([' ', ':']).next().unwrap_or_default() {
                    "." => {
                        in_mail = false;
                        "250 queued\r\n"
                    }
                    _ if in_mail => "",
                    "EHLO" => says.extensions,
                    "AUTH" => "235 welcome\r\n",
                    "RCPT" => says.to_receiver,
                    "DATA" => {
                        in_mail = true;
                        "354 go on\r\n"
                    }
                    "QUIT" => "221 bye\r\n",
                    _ => "250 ok\r\n",
                };
                into.lock().push(line);
                if write.write_all(answer.as_bytes()).await.is_err() {
                    break;
                }
            }
        }
    });
    (port, heard)
}

fn mail(port: u16, tls: MailTls) -> Mail {
    Mail {
        host: "localhost".into(),
        port,
        tls,
        login: None,
        from: "Mainspring <m@example.com>".into(),
        to: vec!["a@example.com".into(), "B <b@example.com>".into()],
        message_id: "<42@mainspring>".into(),
        subject: "[FIRING] churn: größer".into(),
        body: "one\n.\ntwo\n".into(),
    }
}

#[tokio::test]
async fn a_mail_arrives_whole_and_once_for_all_of_its_receivers() {
    let (port, heard) = mail_server(MailServer::default()).await;
    let login = Some(("me".to_owned(), Secret::new("pw")));
    sent(Outgoing::Mail(Mail { login, ..mail(port, MailTls::Never) })).await.unwrap();
    let heard = heard.lock().join("\n");
    for line in [
        "AUTH PLAIN AG1lAHB3",
        "MAIL FROM:<m@example.com>",
        "RCPT TO:<a@example.com>",
        "RCPT TO:<b@example.com>",
        "Message-ID: <42@mainspring>",
        "Subject: [FIRING] churn: =?utf-8?b?",
        "one\n..\ntwo",
    ] {
        assert!(heard.contains(line), "{line:?} is not in\n{heard}");
    }
}

#[tokio::test]
async fn a_mail_server_without_tls_gets_neither_mail_nor_password() {
    let (port, heard) = mail_server(MailServer::default()).await;
    let login = Some(("me".to_owned(), Secret::new("pw")));
    let refused = sent(Outgoing::Mail(Mail { login, ..mail(port, MailTls::Starttls) })).await.unwrap_err();
    assert!(!refused.for_good, "{}", refused.reason);
    let heard = heard.lock();
    assert!(heard.iter().all(|line| !line.starts_with("AUTH") && !line.starts_with("MAIL")), "{heard:?}");
}

#[tokio::test]
async fn what_a_mail_server_refuses_for_now_is_tried_again_and_for_good_is_not() {
    for (to_receiver, for_good) in [("550 no such person\r\n", true), ("451 busy\r\n", false)] {
        let (port, _) = mail_server(MailServer { to_receiver, ..MailServer::default() }).await;
        let refused = sent(Outgoing::Mail(mail(port, MailTls::Never))).await.unwrap_err();
        assert_eq!(refused.for_good, for_good, "{}", refused.reason);
        assert!(refused.reason.contains(to_receiver[4..].trim()), "{}", refused.reason);
    }
    let wrong = Mail { from: "nobody".into(), ..mail(1, MailTls::Never) };
    assert!(sent(Outgoing::Mail(wrong)).await.unwrap_err().for_good);
}

/// A call of moto's own, unsigned: it tells services apart by the credential's scope.
async fn aws(endpoint: &str, service: &str, form: &str) -> String {
    let client = Client::new(&ClientSettings { reach: Reach::Anywhere, ..ClientSettings::default() }).unwrap();
    let scope = format!(
        "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/{service}/aws4_request, SignedHeaders=host, Signature=0"
    );
    let request = client.request(http::Method::POST, endpoint).unwrap();
    let request = request.header("authorization", scope).header("content-type", "application/x-www-form-urlencoded");
    request.body(form.to_owned()).send().await.unwrap().text().await.unwrap()
}

fn between<'a>(text: &'a str, tag: &str) -> &'a str {
    let (open, close) = (format!("<{tag}>"), format!("</{tag}>"));
    let rest = text.split_once(&open).unwrap_or_else(|| panic!("no {tag} in {text}")).1;
    rest.split_once(&close).unwrap().0
}

#[tokio::test]
async fn a_message_to_a_topic_reaches_who_subscribed() {
    let endpoint = mainspring_testkit::s3::place().endpoint;
    let topic = aws(&endpoint, "sns", "Action=CreateTopic&Version=2010-03-31&Name=alerts").await;
    let arn = between(&topic, "TopicArn").to_owned();
    let queue = aws(&endpoint, "sqs", "Action=CreateQueue&Version=2012-11-05&QueueName=alerts").await;
    let queue = between(&queue, "QueueUrl").to_owned();
    let subscribe = format!(
        "Action=Subscribe&Version=2010-03-31&TopicArn={arn}&Protocol=sqs&Endpoint=arn:aws:sqs:us-east-1:123456789012:alerts"
    );
    aws(&endpoint, "sns", &subscribe).await;
    let form = format!("Action=Publish&Version=2010-03-31&TopicArn={arn}&Subject=S&Message=it%20burns");
    let request = |body: &str| HttpRequest {
        url: Secret::new(format!("{endpoint}/")),
        headers: vec![("content-type", "application/x-www-form-urlencoded; charset=utf-8".into())],
        body: body.to_owned(),
        sign: Some(AwsScope { region: "us-east-1".into(), service: "sns" }),
        gives_up: GivesUp::OnClientErrors,
        hide: Vec::new(),
    };
    sent(Outgoing::Http(request(&form))).await.unwrap();
    let receive = format!("Action=ReceiveMessage&Version=2012-11-05&QueueUrl={queue}");
    let message = aws(&endpoint, "sqs", &receive).await;
    assert!(message.contains("it burns"), "{message}");
    // A topic that is not there refuses for good.
    let refused = sent(Outgoing::Http(request(&form.replace(":alerts", ":nobody")))).await.unwrap_err();
    assert!(refused.for_good && refused.reason.contains("404"), "{}", refused.reason);
}
