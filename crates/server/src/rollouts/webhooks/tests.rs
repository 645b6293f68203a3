//! Against a receiver that answers, refuses, echoes and hangs.

use super::*;
use axum::Router;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use mainspring_core::{Name, Tenant};
use mainspring_resource::HumanDuration;
use mainspring_rollout::spec::WebhookSpec;
use mainspring_webhook::SecretRef;
use parking_lot::Mutex;
use std::sync::Arc;
use tokio::net::TcpListener;

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

type Got = Arc<Mutex<Vec<(HeaderMap, String)>>>;

/// A receiver that answers with this status and body, the last one after a pause; its address and what it got.
async fn receiver(status: u16, body: &'static str, pause: Duration) -> (String, Got) {
    let got = Got::default();
    let kept = Arc::clone(&got);
    let answer = move |headers: HeaderMap, asked: String| async move {
        kept.lock().push((headers, asked));
        tokio::time::sleep(pause).await;
        (StatusCode::from_u16(status).unwrap(), [("retry-after", "7"), ("location", "/other")], body)
    };
    let app = Router::new().route("/gate", post(answer));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/gate", listener.local_addr().unwrap());
    #[expect(clippy::disallowed_methods, reason = "it ends with the test's runtime")]
    tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
    (url, got)
}

async fn asked(url: &str, reach: Reach, secret: Option<&str>) -> Answer {
    let folder = tempfile::tempdir().unwrap();
    if let Some(secret) = secret {
        std::fs::write(folder.path().join("gate"), secret).unwrap();
    }
    let asker = Asker::new(reach, Vault::new(folder.path()), Ctx::system()).unwrap();
    let webhook = WebhookSpec {
        name: Name::new("board").unwrap(),
        url: url.to_owned(),
        secret: SecretRef::File("gate".into()),
        timeout: HumanDuration(Duration::from_millis(500)),
    };
    asker.ask(Question { tenant: Tenant::default(), webhook, id: "q-1".into(), body: "{\"a\":1}".into() }).await
}

#[tokio::test]
async fn a_question_is_signed_and_any_answer_of_200_agrees() {
    let (url, got) = receiver(204, "", Duration::ZERO).await;
    let answer = asked(&url, Reach::Anywhere, Some(SECRET)).await;
    assert_eq!(answer.said, Said::Yes("answered 204".into()));
    let (headers, body) = got.lock()[0].clone();
    let text = |name: &str| headers[name].to_str().unwrap().to_owned();
    let at = mainspring_core::Timestamp(text("webhook-timestamp").parse::<i64>().unwrap() * 1_000_000);
    let expected = mainspring_webhook::headers(&Secret::new(SECRET), "q-1", at, &body).unwrap();
    for (name, value) in expected {
        assert_eq!(text(name), value, "{name}");
    }
    assert_eq!(body, "{\"a\":1}");
}

#[tokio::test]
async fn every_other_answer_says_why_without_the_secret() {
    let echo = "\n not before Monday, says whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\u{7}\nand a second line";
    let why = |status: u16| format!("answered {status}: not before Monday, says *** ");
    for (status, said) in [
        (403, Said::No(why(403))),
        (404, Said::No(why(404))),
        // Where else it goes is no answer.
        (307, Said::No(why(307))),
        (429, Said::Nothing(why(429))),
        (503, Said::Nothing(why(503))),
    ] {
        let (url, got) = receiver(status, echo, Duration::ZERO).await;
        let answer = asked(&url, Reach::Anywhere, Some(SECRET)).await;
        assert_eq!((answer.said, answer.after), (said, Some(Duration::from_secs(7))));
        assert_eq!(got.lock().len(), 1);
    }
}

#[tokio::test]
async fn who_does_not_answer_in_time_or_cannot_be_asked_has_not_agreed() {
    let (url, got) = receiver(200, "", Duration::from_secs(30)).await;
    let answer = asked(&url, Reach::Anywhere, Some(SECRET)).await;
    assert_eq!(answer.said, Said::Nothing("did not answer within 500ms".into()));
    assert_eq!(got.lock().len(), 1);
    let said = |answer: Answer| match answer.said {
        Said::Nothing(why) => why,
        said => panic!("{said:?}"),
    };
    let inside = said(asked(&url, Reach::Public, Some(SECRET)).await);
    assert!(inside.contains("not a public address") && inside.contains("alerts.reach"), "{inside}");
    let unset = said(asked(&url, Reach::Anywhere, None).await);
    assert!(unset.contains("cannot be asked: the secret \"gate\" cannot be read"), "{unset}");
    let wrong = said(asked(&url, Reach::Anywhere, Some("whsec_!!")).await);
    assert!(wrong.contains("not base 64") && !wrong.contains("!!"), "{wrong}");
    assert_eq!(got.lock().len(), 1, "nobody else was asked");
    let gone = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let refused = said(asked(&format!("http://{gone}/gate?token=abc"), Reach::Anywhere, Some(SECRET)).await);
    assert!(refused.starts_with("did not answer: ") && !refused.contains("abc"), "{refused}");
}
