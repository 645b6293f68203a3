//! What needs no database.

use crate::points::{Point, downsample, later, pack, sanitise, sort_by_step, sort_by_time, unpack};
use crate::uri::{self, ModelUri};
use crate::{page, validate};
use proptest::prelude::*;

fn p(step: i64, timestamp: i64, value: f64) -> Point {
    Point { step, timestamp, value }
}

#[test]
fn the_latest_point_is_by_step_then_time_then_value() {
    assert!(later(&p(2, 0, 0.0), &p(1, 9, 9.0)));
    assert!(later(&p(1, 2, 0.0), &p(1, 1, 9.0)));
    assert!(later(&p(1, 1, 2.0), &p(1, 1, 1.0)));
    assert!(!later(&p(1, 1, 1.0), &p(1, 1, 1.0)));
    // NaN counts as 0, as in MLflow's SQL store.
    assert!(later(&p(1, 1, f64::NAN), &p(1, 1, -1.0)));
    assert!(!later(&p(1, 1, f64::NAN), &p(1, 1, 1.0)));
}

#[test]
fn infinities_become_the_largest_doubles_and_nan_stays() {
    assert_eq!(sanitise(f64::INFINITY).to_bits(), f64::MAX.to_bits());
    assert_eq!(sanitise(f64::NEG_INFINITY).to_bits(), f64::MIN.to_bits());
    assert!(sanitise(f64::NAN).is_nan());
}

#[test]
fn a_sample_keeps_both_ends() {
    let points: Vec<Point> = (0..10).map(|i| p(i, i, 0.0)).collect();
    let steps = |max| downsample(&points, max).iter().map(|p| p.step).collect::<Vec<_>>();
    assert_eq!(steps(4), [0, 3, 6, 9]);
    assert_eq!(steps(1), [9]);
    assert_eq!(steps(0), [9]);
    assert_eq!(steps(10), (0..10).collect::<Vec<_>>());
    assert_eq!(downsample(&[], 3), []);
}

#[test]
fn repetitions_are_dropped() {
    let mut points = vec![p(1, 1, f64::NAN), p(1, 1, f64::NAN), p(1, 1, 0.0), p(0, 2, 1.0), p(0, 2, 1.0)];
    sort_by_time(&mut points);
    assert_eq!(points.len(), 3);
    assert!(points[1].value.is_nan() && points[2].step == 0);
    sort_by_step(&mut points);
    assert_eq!(points[0].step, 0);
}

#[test]
fn page_tokens_are_mlflows() {
    assert_eq!(page::token(10), "eyJvZmZzZXQiOiAxMH0=");
    assert_eq!(page::offset(Some("eyJvZmZzZXQiOiAxMH0=")).unwrap(), 10);
    assert_eq!(page::offset(None).unwrap(), 0);
    for bad in ["!", "e30=", "MTI=", "eyJvZmZzZXQiOiAtMX0="] {
        assert!(page::offset(Some(bad)).is_err(), "{bad}");
    }
    let cut = page::cut(vec![1, 2, 3], 4, 2);
    assert_eq!((cut.items, cut.next), (vec![1, 2], Some(page::token(6))));
    assert_eq!(page::cut(vec![1, 2], 4, 2).next, None);
}

#[test]
fn model_uris() {
    let parse = |t: &str| t.parse::<ModelUri>();
    assert_eq!(parse("models:/a b/12").unwrap(), ModelUri::Version { name: "a b".into(), version: 12 });
    assert_eq!(parse("models:/a@b@c").unwrap(), ModelUri::Alias { name: "a@b".into(), alias: "c".into() });
    assert_eq!(parse("models:/a/LATEST").unwrap(), ModelUri::Latest { name: "a".into() });
    assert_eq!(parse("models:/a/staging").unwrap(), ModelUri::Stage { name: "a".into(), stage: "Staging" });
    assert_eq!(parse("models:/m-1").unwrap(), ModelUri::Logged { id: "m-1".into() });
    assert_eq!(parse("runs:/r/a/b").unwrap(), ModelUri::Run { id: "r".into(), path: "a/b".into() });
    for bad in ["", "models:", "models:/", "models:/a/", "models:/a/1/2", "models:/a@", "runs:/r", "runs://", "x:/a/1"]
    {
        assert!(parse(bad).is_err(), "{bad}");
    }
    for text in ["models:/a/1", "models:/a@b", "models:/a/latest", "models:/m-1", "runs:/r/p"] {
        assert_eq!(parse(text).unwrap().to_string(), text);
    }
}

#[test]
fn paths_that_leave_are_refused() {
    for bad in ["..", "a/..", "%2e%2e", "%252e%252e/x", "/a", "a\\b", "C:/x", "a\0", "a#b", "file:x", "a/%2E%2E/b"] {
        assert!(uri::safe(bad).is_err(), "{bad}");
    }
    for good in ["", "a/b.c", "a..b", "ü x/100%", "...", "%zz"] {
        assert!(uri::safe(good).is_ok(), "{good}");
    }
    assert_eq!(uri::proxied("mlflow-artifacts:/1/a"), Some("1/a"));
    assert_eq!(uri::proxied("mlflow-artifacts://host:80/1/a"), Some("1/a"));
    assert_eq!(uri::proxied("http://h/api/2.0/mlflow-artifacts/artifacts/1"), Some("1"));
    assert_eq!(uri::proxied("s3://b/1"), None);
}

#[test]
fn names_and_limits() {
    for good in ["a", "a/b", "a b.c-d:e_1", "ünïcode"] {
        assert!(validate::key(good, "key").is_ok(), "{good}");
    }
    for bad in ["", "a\tb", "..", "a//b", "/a", "a/", "./a", "a/../b", "a,b"] {
        assert!(validate::key(bad, "key").is_err(), "{bad:?}");
    }
    for bad in ["latest", "Latest", "v1", "V22"] {
        assert!(validate::alias_not_reserved(bad).is_err(), "{bad}");
    }
    for good in ["v", "v1a", "champion"] {
        assert!(validate::alias_not_reserved(good).is_ok(), "{good}");
    }
    assert_eq!(validate::stage("PRODUCTION").unwrap(), "Production");
    assert!(validate::max_results(0, 10).is_err() && validate::max_results(11, 10).is_err());
}

proptest! {
    #[test]
    fn points_come_back_from_their_chunk(all in prop::collection::vec((any::<i64>(), any::<i64>(), any::<f64>()), 0..50)) {
        let points: Vec<Point> = all.into_iter().map(|(s, t, v)| p(s, t, v)).collect();
        let mut back = Vec::new();
        unpack(&pack(&points), &mut back);
        prop_assert_eq!(points.len(), back.len());
        for (a, b) in points.iter().zip(&back) {
            prop_assert_eq!((a.step, a.timestamp, a.value.to_bits()), (b.step, b.timestamp, b.value.to_bits()));
        }
    }

    #[test]
    fn torn_chunks_do_not_panic(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
        let mut out = Vec::new();
        unpack(&bytes, &mut out);
        prop_assert_eq!(out.len(), bytes.len() / 24);
    }

    #[test]
    fn uris_and_paths_do_not_panic(text in "\\PC{0,40}") {
        let _ = text.parse::<ModelUri>();
        let _ = format!("models:/{text}").parse::<ModelUri>();
        let _ = uri::safe(&text);
        let _ = page::offset(Some(&text));
        let _ = validate::key(&text, "key");
    }

    #[test]
    fn samples_are_within_their_limit(n in 0_usize..300, max in 1_usize..50) {
        let points: Vec<Point> = (0..n).map(|i| p(i as i64, 0, 0.0)).collect();
        let got = downsample(&points, max);
        prop_assert_eq!(got.len(), n.min(max));
        prop_assert!(got.windows(2).all(|w| w[0].step < w[1].step));
    }
}
