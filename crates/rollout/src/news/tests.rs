use super::*;
use crate::NEWS_MIGRATIONS;
use crate::event::{Exposure, Label};
use mainspring_core::{ErrorKind, EventId};
use mainspring_testkit::TempDb;
use std::sync::Arc;

fn bulletin(until: i64) -> Bulletin {
    let of = Place::new(&Tenant::default(), &Name::new("churn").unwrap());
    let id: EventId = "01890a5d-ac96-774b-bcce-b302099a8057".parse().unwrap();
    let exposure = serde_json::json!({
        "at": until - 1, "id": id, "unit": u64::MAX, "variant": "v2", "generation": 3, "failed": ErrorKind::Internal,
        "latency_ns": 1_234_567, "outputs": [["score", 0.1]],
    });
    let exposure: Exposure = serde_json::from_value(exposure).unwrap();
    let label = Label { at: Timestamp(until), about: id, row: 0, name: Arc::from("liked"), value: 1.0 };
    let events = vec![Event::Exposure(exposure), Event::Label(label)];
    let candidate = Readiness::Failed("no such file".into());
    let tripped = Some(Tripped { variant: "v2".into(), why: "50 %".into() });
    let standing = Standing { of: of.clone(), rollout: "r".into(), generation: 3, candidate, tripped };
    Bulletin { until: Timestamp(until), traffic: vec![Traffic { of, events }], standings: vec![standing] }
}

/// On SQLite and, where there is one, on Postgres.
#[tokio::test]
async fn bulletins_are_read_once_each_in_their_order_and_forgotten() {
    for database in [TempDb::sqlite(), TempDb::postgres()] {
        let news = News::new(database.open_with(&[NEWS_MIGRATIONS]).await);
        let numbered = |process: &str, seq: i64| Numbered {
            process: process.into(),
            seq,
            at: Timestamp(seq * 10),
            bulletin: bulletin(seq * 10),
        };
        for seq in 1..=3 {
            news.tell(&numbered("a", seq)).await.unwrap();
            news.tell(&numbered("b", seq + 10)).await.unwrap();
        }
        // The answer was lost, and it is written once more.
        news.tell(&numbered("a", 3)).await.unwrap();
        assert_eq!(news.heads("a").await.unwrap(), [("b".to_owned(), 13)]);
        assert_eq!(news.heads("c").await.unwrap(), [("a".to_owned(), 3), ("b".to_owned(), 13)]);
        assert_eq!(news.after("a", 1).await.unwrap(), [numbered("a", 2), numbered("a", 3)]);
        assert_eq!(news.after("a", 3).await.unwrap(), []);
        news.forget("a", Timestamp(30)).await.unwrap();
        assert_eq!(news.after("a", 0).await.unwrap(), [numbered("a", 3)]);
        news.forget_all(Timestamp(125)).await.unwrap();
        assert_eq!(news.heads("c").await.unwrap(), [("b".to_owned(), 13)]);
    }
}
