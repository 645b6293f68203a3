use crate::body::{ALIGNMENT, Plan, read_within};
use crate::problem::Problem;
use crate::{BodyError, body, read_body, read_body_aligned};
use axum::body::Body;
use bytes::Bytes;
use mainspring_core::{ErrorKind, Failure};
use proptest::prelude::*;
use serde::Deserialize;
use std::io;
use std::time::Duration;

fn pieces(parts: Vec<Vec<u8>>) -> Body {
    Body::from_stream(futures::stream::iter(parts.into_iter().map(|p| Ok::<_, io::Error>(Bytes::from(p)))))
}

#[derive(Debug, Deserialize)]
struct Outer {
    #[expect(dead_code, reason = "only its parsing is tested")]
    inner: Vec<Inner>,
}

#[derive(Debug, Deserialize)]
struct Inner {
    #[expect(dead_code, reason = "only its parsing is tested")]
    rows: u32,
}

#[tokio::test]
async fn a_body_that_drips_is_given_up() {
    let drops = futures::stream::unfold((), |()| async {
        tokio::time::sleep(Duration::from_millis(5)).await;
        Some((Ok::<_, io::Error>(Bytes::from_static(b" ")), ()))
    });
    // Never a pause of 40 ms, but 200 bytes a second.
    let plan = Plan { limit: 1 << 20, idle: Duration::from_millis(40), aligned_at: 0 };
    let given_up = read_within(Body::from_stream(drops), plan).await;
    assert!(matches!(given_up, Err(BodyError::Stalled)), "{given_up:?}");
}

#[test]
fn a_wrong_json_body_is_told_by_path_line_and_column() {
    let e = body::parse::<Outer>(b"{\n \"inner\": [{\"rows\": 1}, {\"rows\": \"x\"}]}").unwrap_err();
    assert_eq!(e.kind, ErrorKind::InvalidInput);
    assert!(e.message.contains("inner[1].rows"), "{}", e.message);
    assert!(e.message.contains("line 2"), "{}", e.message);
    let e = body::parse::<Outer>(b"{\"inner\": [").unwrap_err();
    assert!(e.message.contains("EOF"), "{}", e.message);
}

#[tokio::test]
async fn a_body_over_the_limit_is_refused() {
    let whole = read_body(Body::from(vec![1; 100]), 100).await.unwrap();
    assert_eq!(whole.len(), 100);
    assert!(matches!(read_body(Body::from(vec![1; 101]), 100).await, Err(BodyError::TooLarge { limit: 100 })));
    let over = pieces(vec![vec![0; 60], vec![0; 60]]);
    let refused = read_body(over, 100).await.unwrap_err();
    assert!(matches!(refused, BodyError::TooLarge { .. }));
    assert!(refused.hint().unwrap().contains("limits.body (--limits-body)"), "the setting is named");
}

#[tokio::test]
async fn a_broken_body_is_an_error() {
    let parts = vec![Ok(Bytes::from_static(b"a")), Err(io::Error::other("gone"))];
    let got = read_body(Body::from_stream(futures::stream::iter(parts)), 10).await;
    assert!(matches!(got, Err(BodyError::Broken(_))), "{got:?}");
}

#[tokio::test]
async fn a_body_that_stalls_is_given_up() {
    let never = Body::from_stream(futures::stream::pending::<io::Result<Bytes>>());
    assert!(matches!(
        read_within(never, Plan { limit: 10, idle: Duration::from_millis(5), aligned_at: 0 }).await,
        Err(BodyError::Stalled)
    ));
}

#[test]
fn every_kind_has_a_title_and_its_status() {
    for kind in ErrorKind::ALL {
        let p = Problem::new(kind, "x", None);
        assert_eq!(p.status, kind.http_status());
        assert!(!p.title.is_empty());
    }
}

proptest! {
    #[test]
    fn a_body_in_pieces_is_the_same_body(parts in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..2000), 0..12)) {
        let expected: Vec<u8> = parts.concat();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let got = runtime.block_on(read_body(pieces(parts), 1 << 20)).unwrap();
        prop_assert_eq!(&got[..], &expected[..]);
    }

    #[test]
    fn what_comes_in_pieces_is_aligned_where_asked(
        parts in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..2000), 2..12),
        at in 0..64_usize,
    ) {
        let expected: Vec<u8> = parts.concat();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let got = runtime.block_on(read_body_aligned(pieces(parts), 1 << 20, at)).unwrap();
        prop_assert_eq!(&got[..], &expected[..]);
        prop_assert_eq!((got.as_ptr() as usize + at) % ALIGNMENT, 0);
    }
}
