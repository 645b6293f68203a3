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
    let label = Label { at: Timestamp(until), about: id, row: 0, name: Arc::from("liked"), value: 1.0, truth: true };
    let events = vec![Event::Exposure(exposure)];
    let labels = vec![Said { tenant: "default".into(), labels: vec![label] }];
    let candidate = Readiness::Failed("no such file".into());
    let tripped = Some(Tripped { variant: "v2".into(), why: "50 %".into() });
    let standing = Standing { of: of.clone(), rollout: "r".into(), generation: 3, candidate, tripped };
    Bulletin {
        until: Timestamp(until),
        traffic: vec![Traffic { of, events }],
        labels,
        standings: vec![standing],
        gap: until > 10,
    }
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
        let both = Told { bulletins: vec![numbered("a", 2), numbered("a", 3)], last: Some(3) };
        assert_eq!(news.after("a", 1).await.unwrap(), both);
        assert_eq!(news.after("a", 3).await.unwrap(), Told::default());
        news.forget("a", Timestamp(30)).await.unwrap();
        assert_eq!(news.after("a", 0).await.unwrap().bulletins, [numbered("a", 3)]);
        news.forget_all(Timestamp(125)).await.unwrap();
        assert_eq!(news.heads("c").await.unwrap(), [("b".to_owned(), 13)]);
    }
}

/// A model may answer with anything, also where it is measured.
#[tokio::test]
async fn numbers_that_are_not_finite_are_told_in_their_places_and_nonsense_is_skipped() {
    for database in [TempDb::sqlite(), TempDb::postgres()] {
        let db = database.open_with(&[NEWS_MIGRATIONS]).await;
        let news = News::new(db.clone());
        let mut odd = bulletin(10);
        let Event::Exposure(exposure) = &mut odd.traffic[0].events[0] else { panic!("an exposure comes first") };
        let score = || Arc::<str>::from("score");
        exposure.outputs = vec![(score(), f64::NAN), (score(), 0.5), (score(), f64::INFINITY)];
        exposure.inputs = vec![(score(), f64::NEG_INFINITY)];
        for (seq, bulletin) in [(1, odd), (3, bulletin(30))] {
            news.tell(&Numbered { process: "a".into(), seq, at: Timestamp(seq), bulletin }).await.unwrap();
        }
        let nonsense = |seq: i64| {
            db.write(move |c| {
                async move { sql::tell(c, ("a", seq), (Timestamp(seq), Timestamp(seq)), b"nonsense".to_vec()).await }
                    .boxed()
            })
        };
        nonsense(2).await.unwrap();
        nonsense(4).await.unwrap();
        let Told { bulletins, last } = news.after("a", 0).await.unwrap();
        assert_eq!((bulletins.iter().map(|b| b.seq).collect::<Vec<_>>(), last), (vec![1, 3], Some(4)));
        let Event::Exposure(read) = &bulletins[0].bulletin.traffic[0].events[0] else {
            panic!("an exposure comes first")
        };
        let finite: Vec<Option<f64>> = read.outputs.iter().map(|(_, v)| Some(*v).filter(|v| v.is_finite())).collect();
        assert_eq!(finite, [None, Some(0.5), None], "rows are compared by their places");
        assert!(!read.inputs[0].1.is_finite());
        assert_eq!(news.after("a", 3).await.unwrap(), Told { bulletins: Vec::new(), last: Some(4) });
    }
}
