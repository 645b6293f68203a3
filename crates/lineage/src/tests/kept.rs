use super::{House, World, id, ran, reader, thing};
use crate::*;
use mainspring_core::{Tenant, Timestamp};
use mainspring_testkit::{TempDb, may_in};
use std::collections::BTreeSet;

fn facet(name: &str, body: Option<&str>) -> Facet {
    Facet { name: name.into(), body: body.map(str::to_owned) }
}

/// Everything that both databases have to agree on.
async fn keeps(world: World) {
    let auth = reader("default");
    let start = ran("train", (1, 100, RunState::Start), &["raw"], &[]);
    assert_eq!(world.send(vec![start.clone(), start.clone()]).await, [true, false], "the same event twice");
    assert_eq!(world.send(vec![start]).await, [false]);
    // The end comes before a late word of the middle.
    world.send(vec![ran("train", (1, 300, RunState::Complete), &[], &["clean"])]).await;
    world.send(vec![ran("train", (1, 200, RunState::Running), &["raw"], &[])]).await;
    world.send(vec![ran("train", (1, 400, RunState::Other), &[], &[])]).await;
    let run = world.lineage.run(&auth, &id(1)).await.unwrap();
    assert_eq!(run.state.as_deref(), Some("COMPLETE"));
    assert_eq!((run.started, run.ended, run.updated), (Some(Timestamp(100)), Some(Timestamp(300)), Timestamp(400)));
    let job = world.lineage.thing(&auth, (ThingKind::Job, "n", "train")).await.unwrap();
    assert_eq!(job.inputs, [("n".to_owned(), "raw".to_owned())]);
    assert_eq!(job.outputs, [("n".to_owned(), "clean".to_owned())]);
    assert_eq!(job.latest.map(|r| r.id), Some(id(1)));
    let between = Between { after: Timestamp(0), before: Timestamp(350), ascending: true };
    let events = world.lineage.events(&auth, between, (2, 0)).await.unwrap();
    assert_eq!((events.total, events.items.len()), (3, 2));
    assert_eq!(events.items[0].body, "{\"at\":100}");
    let page = world.lineage.things(&auth, (ThingKind::Dataset, "n"), (1, 1)).await.unwrap();
    assert_eq!((page.total, page.items[0].name.as_str()), (2, "raw"));
    assert_eq!(world.lineage.runs(&auth, ("n", "train"), (10, 0)).await.unwrap().total, 1);
}

#[tokio::test]
async fn events_change_what_is_known_on_sqlite() {
    keeps(World::new().await).await;
}

#[tokio::test]
async fn events_change_what_is_known_on_postgres() {
    keeps(World::over(TempDb::postgres(), House::default()).await).await;
}

/// Each job of a page has what is its own.
async fn lists(world: World) {
    let auth = reader("default");
    world.send(vec![ran("a", (1, 100, RunState::Complete), &["raw", "more"], &["clean"])]).await;
    world.send(vec![ran("a", (2, 300, RunState::Fail), &[], &[])]).await;
    world.send(vec![ran("a", (3, 200, RunState::Complete), &[], &[])]).await;
    let facets = vec![facet("source", Some("{\"v\":1}")), facet("docs", Some("{\"v\":2}")), facet("gone", None)];
    let subject = Subject::Job(Thing { facets, ..thing("b") });
    world.send(vec![Event { at: Timestamp(1), subject, inputs: vec![], outputs: vec![], body: "{}".into() }]).await;
    let mut last = ran("c", (4, 50, RunState::Start), &["clean"], &["out", "a"]);
    if let Subject::Run { facets, .. } = &mut last.subject {
        facets.push(facet("parent", Some("{\"v\":3}")));
    }
    world.send(vec![last]).await;
    let page = world.lineage.things(&auth, (ThingKind::Job, "n"), (10, 0)).await.unwrap();
    let names = |of: &[(String, String)]| of.iter().map(|(_, name)| name.clone()).collect::<BTreeSet<_>>();
    let set = |of: &[&str]| of.iter().map(|name| (*name).to_owned()).collect::<BTreeSet<_>>();
    let [a, b, c] = &page.items[..] else { panic!("{page:?}") };
    assert_eq!([&a.name, &b.name, &c.name], ["a", "b", "c"]);
    assert_eq!((names(&a.inputs), names(&a.outputs)), (set(&["raw", "more"]), set(&["clean"])));
    assert_eq!((names(&b.inputs), names(&b.outputs)), (set(&[]), set(&[])));
    assert_eq!((names(&c.inputs), names(&c.outputs)), (set(&["clean"]), set(&["out", "a"])));
    assert_eq!(a.latest.as_ref().map(|r| (r.id.clone(), r.job.1.as_str())), Some((id(2), "a")));
    assert!(b.latest.is_none());
    assert_eq!(c.latest.as_ref().map(|r| r.facets.clone()), Some(vec![("parent".to_owned(), "{\"v\":3}".to_owned())]));
    let said = |name: &str, n: u8| (name.to_owned(), format!("{{\"v\":{n}}}"));
    assert_eq!((&a.facets, &b.facets), (&vec![], &vec![said("docs", 2), said("source", 1)]));
    let page = world.lineage.things(&auth, (ThingKind::Job, "n"), (1, 2)).await.unwrap();
    assert_eq!((page.total, page.items[0].name.as_str(), page.items[0].outputs.len()), (3, "c", 2));
    let runs = world.lineage.runs(&auth, ("n", "a"), (10, 0)).await.unwrap().items;
    assert_eq!(runs.iter().map(|r| r.id.clone()).collect::<Vec<_>>(), [id(2), id(3), id(1)]);
}

#[tokio::test]
async fn a_page_of_jobs_says_of_each_what_is_its_own_on_sqlite() {
    lists(World::new().await).await;
}

#[tokio::test]
async fn a_page_of_jobs_says_of_each_what_is_its_own_on_postgres() {
    lists(World::over(TempDb::postgres(), House::default()).await).await;
}

#[tokio::test]
async fn a_facet_said_last_holds_and_one_taken_away_stays_away() {
    let world = World::new().await;
    let auth = reader("default");
    let said = |at: i64, facets: Vec<Facet>| Event {
        at: Timestamp(at),
        subject: Subject::Dataset(Thing { facets, ..thing("d") }),
        inputs: vec![],
        outputs: vec![],
        body: "{}".into(),
    };
    world.send(vec![said(20, vec![facet("schema", Some("{\"v\":2}")), facet("odd", Some("{\"x\":1e400}"))])]).await;
    world.send(vec![said(10, vec![facet("schema", Some("{\"v\":1}"))])]).await;
    let facets = async || world.lineage.thing(&auth, (ThingKind::Dataset, "n", "d")).await.unwrap().facets;
    let kept = facets().await;
    assert_eq!(kept[1], ("schema".to_owned(), "{\"v\":2}".to_owned()), "the older word changes nothing");
    assert_eq!(kept[0].1, "{\"x\":1e400}", "byte by byte, even what no number can hold");
    world.send(vec![said(30, vec![facet("schema", None)])]).await;
    world.send(vec![said(25, vec![facet("schema", Some("{\"v\":3}"))])]).await;
    assert_eq!(facets().await.len(), 1);
}

#[tokio::test]
async fn tenants_do_not_see_each_other() {
    let world = World::new().await;
    world.send(vec![ran("train", (1, 100, RunState::Start), &["raw"], &["clean"])]).await;
    let other = reader("other");
    assert!(world.lineage.namespaces(&other).await.unwrap().is_empty());
    assert!(world.lineage.run(&other, &id(1)).await.is_err());
    assert!(world.lineage.thing(&other, (ThingKind::Job, "n", "train")).await.is_err());
    let ask = Ask { from: Node::dataset("n", "raw").into(), direction: Direction::Both, depth: 5 };
    assert!(matches!(world.lineage.graph(&other, &ask).await, Err(LineageError::NotFound(_))));
    assert_eq!(world.lineage.graph(&reader("default"), &ask).await.unwrap().nodes.len(), 3);
}

#[tokio::test]
async fn a_deployment_is_told_once_for_each_version() {
    let world = World::new().await;
    let tenant = mainspring_core::Tenant::default();
    for version in ["1", "1", "2", "2", "1"] {
        world.lineage.deployed(&tenant, "churn", ("churn", version)).await.unwrap();
    }
    let waiting = world.lineage.db.outbox_take(TOPIC, 10).await.unwrap();
    let versions: Vec<_> = waiting.iter().map(|e| e.body["what"]["deployed"]["version"].clone()).collect();
    assert_eq!(versions, ["1", "2", "1"]);
}

#[tokio::test]
async fn things_whose_names_join_to_the_same_text_have_events_of_their_own() {
    let world = World::new().await;
    let of = |namespace: &str, name: &str, job: bool| {
        let thing = Thing { namespace: namespace.into(), name: name.into(), facets: Vec::new() };
        let subject = if job { Subject::Job(thing) } else { Subject::Dataset(thing) };
        Event { at: Timestamp(1), subject, inputs: vec![], outputs: vec![], body: "{}".into() }
    };
    for job in [true, false] {
        assert_eq!(world.send(vec![of("s3://a/b", "c", job), of("s3://a", "b/c", job)]).await, [true, true]);
    }
}

/// What is announced is kept and told, or neither.
async fn announces(world: World) {
    let (auth, event) = (may_in(&Tenant::default(), SendLineage), ran("bulk", (1, 1, RunState::Complete), &[], &["o"]));
    for _ in 0..2 {
        world.lineage.announce(&auth, event.clone(), serde_json::json!({ "said": true })).await.unwrap();
    }
    let waiting = world.lineage.db.outbox_take(TOPIC, 10).await.unwrap();
    assert_eq!(
        waiting.iter().map(|e| &e.body["what"]["event"]).collect::<Vec<_>>(),
        [&serde_json::json!({"said": true})]
    );
    assert!(world.lineage.run(&reader("default"), &id(1)).await.is_ok());
    // The outbox takes no more: the event is not kept either.
    world
        .lineage
        .db
        .write(|c| Box::pin(async move { c.execute("ALTER TABLE outbox RENAME TO away", Vec::new()).await }))
        .await
        .unwrap();
    let next = ran("bulk", (2, 2, RunState::Complete), &[], &["o"]);
    assert!(world.lineage.announce(&auth, next, serde_json::json!({})).await.is_err());
    assert!(matches!(world.lineage.run(&reader("default"), &id(2)).await, Err(LineageError::NotFound(_))));
}

#[tokio::test]
async fn what_happened_here_is_kept_and_told_at_once_on_sqlite() {
    announces(World::new().await).await;
}

#[tokio::test]
async fn what_happened_here_is_kept_and_told_at_once_on_postgres() {
    announces(World::over(TempDb::postgres(), House::default()).await).await;
}

#[tokio::test]
async fn a_page_of_large_events_ends_early() {
    let world = World::new().await;
    let large = |n: i64| Event {
        body: format!("\"{}\"", "x".repeat(6 << 20)),
        ..ran("j", (n as u64, n, RunState::Start), &[], &[])
    };
    for n in 0..5 {
        world.send(vec![large(n)]).await;
    }
    let all = Between { after: Timestamp(0), before: Timestamp(9), ascending: true };
    let page = async |offset| world.lineage.events(&reader("default"), all, (5, offset)).await.unwrap();
    let (first, rest) = (page(0).await, page(3).await);
    assert_eq!((first.items.len(), rest.items.len(), first.total), (3, 2, 5));
}
