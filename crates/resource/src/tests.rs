use crate::*;
use mainspring_core::{Authorized, Ctx, ErrorKind, Failure, Name, Tenant, Timestamp};
use mainspring_store::{Db, DbSettings};
use mainspring_testkit::may;
use parking_lot::Mutex;
use proptest::prelude::*;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Lamp {
    bulb: Bulb,
    #[serde(default = "one")]
    count: u32,
    #[serde(default)]
    tags: Vec<String>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    main: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    power: Option<Power>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
enum Power {
    Mains(u32),
    Battery(u32),
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Bulb {
    watts: u32,
}

fn one() -> u32 {
    1
}

fn lamp() -> Kind {
    let schema = json!({
        "type": "object", "additionalProperties": false,
        "properties": {
            "bulb": {"$ref": "#/$defs/Bulb"}, "count": {"type": "integer"},
            "tags": {"type": "array", "items": {"type": "string"}}, "main": {"type": "boolean"},
            "power": {"anyOf": [{"$ref": "#/$defs/Power"}, {"type": "null"}]},
        },
        "$defs": {
            "Bulb": {"type": "object", "additionalProperties": false, "properties": {"watts": {"type": "integer"}}},
            "Power": {"oneOf": [
                {"type": "object", "additionalProperties": false, "properties": {"mains": {"type": "integer"}}},
                {"type": "object", "additionalProperties": false, "properties": {"battery": {"type": "integer"}}},
            ]},
        },
    });
    Kind::of("Lamp", "gives light", schema, |_, lamp: &Lamp| {
        if lamp.bulb.watts > 100 {
            return Err(Invalid { path: "bulb.watts".into(), reason: "at most 100".into() });
        }
        Ok(())
    })
    .one_at_most("main")
}

async fn resources() -> (Resources, tempfile::TempDir) {
    let dir = tempfile::tempdir().unwrap();
    (resources_in(dir.path(), lamp()).await, dir)
}

async fn resources_in(dir: &std::path::Path, kind: Kind) -> Resources {
    let ctx = Ctx::system();
    let db = Db::open(&DbSettings::sqlite(dir.join("db")), &[MIGRATIONS], &ctx).await.unwrap();
    Resources::new(db, Kinds::new(vec![kind]), ctx)
}

fn lamp_text(name: &str, watts: u32) -> String {
    format!("apiVersion: mainspring/v1\nkind: Lamp\nname: {name}\nbulb: {{watts: {watts}}}\n")
}

async fn apply(r: &Resources, text: &str) -> Result<Vec<Applied>, ResourceError> {
    let documents = parse(text, "lamp.yaml")?;
    let authorized =
        documents.into_iter().map(|d| (may(Apply { kind: d.kind.to_lowercase(), name: d.name.to_string() }), d));
    r.apply(authorized.collect()).await
}

fn read(name: &str) -> Authorized<Read> {
    may(Read { kind: "lamp".into(), name: name.into() })
}

#[tokio::test]
async fn apply_counts_generations_and_the_same_again_is_no_change() {
    let (r, _dir) = resources().await;
    let first = apply(&r, &lamp_text("desk", 40)).await.unwrap();
    assert_eq!((first[0].generation, first[0].change), (1, Change::Created));
    // The default written out, and as JSON.
    let same = r#"{"apiVersion":"mainspring/v1","kind":"Lamp","name":"desk","count":1,"bulb":{"watts":40}}"#;
    assert_eq!(apply(&r, same).await.unwrap()[0].change, Change::Unchanged);
    assert_eq!(apply(&r, &lamp_text("desk", 60)).await.unwrap()[0].generation, 2);
    let now = r.get(&read("desk")).await.unwrap();
    assert_eq!(now.spec, json!({"bulb": {"watts": 60}, "count": 1, "tags": []}));
    assert_eq!(r.list(&read("*"), 10, None).await.unwrap().resources, [now]);
}

#[tokio::test]
async fn rollback_and_delete_append_to_the_history() {
    let (r, _dir) = resources().await;
    let back = |to| {
        let r = r.clone();
        async move { r.rollback(&may(Rollback { kind: "lamp".into(), name: "desk".into() }), to).await }
    };
    for watts in [10, 20, 30] {
        apply(&r, &lamp_text("desk", watts)).await.unwrap();
        if watts == 10 {
            let refused = back(None).await.unwrap_err();
            assert!(matches!(refused, ResourceError::NothingBefore { .. }), "{refused}");
            assert!(refused.hint().unwrap().contains("mainspring delete lamp desk"), "{:?}", refused.hint());
        }
    }
    let before = back(None).await.unwrap();
    assert_eq!((before.generation, before.restored), (4, Some(2)));
    assert_eq!(r.get(&read("desk")).await.unwrap().spec["bulb"]["watts"], 20);
    let first = back(Some(1)).await.unwrap();
    assert_eq!((first.generation, first.restored), (5, Some(1)));
    assert_eq!(back(Some(99)).await.unwrap_err().kind(), ErrorKind::NotFound);
    r.delete(&may(Delete { kind: "lamp".into(), name: "desk".into() })).await.unwrap();
    assert_eq!(r.get(&read("desk")).await.unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(back(None).await.unwrap().generation, 7);
    assert_eq!(r.get(&read("desk")).await.unwrap().spec["bulb"]["watts"], 10);
    let latest = r.history(&read("desk")).await.unwrap();
    let changed = |i: usize| latest[i].fields.iter().map(|f| (f.path.as_str(), f.after.clone())).collect::<Vec<_>>();
    assert_eq!(
        (changed(2), changed(4)),
        (vec![("bulb.watts", Some(json!(10)))], vec![("bulb.watts", Some(json!(30)))])
    );
    assert!(changed(0).is_empty() && changed(6).is_empty(), "made again as it was, and made first");
    let words: Vec<_> = r.history(&read("desk")).await.unwrap().into_iter().map(|g| g.change).collect();
    use Change::{Created, Deleted, RolledBack, Updated};
    assert_eq!(words, [RolledBack, Deleted, RolledBack, RolledBack, Updated, Updated, Created]);
}

#[tokio::test]
async fn what_only_one_may_have_is_refused_to_a_second() {
    let (r, _dir) = resources().await;
    let with = |name: &str, main: bool| format!("{}main: {main}\n", lamp_text(name, 1));
    apply(&r, &with("a", true)).await.unwrap();
    apply(&r, &with("a", true)).await.unwrap();
    let second = apply(&r, &with("b", true)).await.unwrap_err();
    assert_eq!(second.to_string(), "lamp.yaml:5:1: main: lamp \"a\" has main: true, and only one may");
    assert_eq!(second.kind(), ErrorKind::Conflict);
    assert!(second.hint().unwrap().contains("lamp \"a\" with main: false"));
    let two = apply(&r, &format!("{}---\n{}", with("c", true), with("d", true))).await.unwrap_err();
    assert!(two.to_string().contains("lamp \"a\""), "{two}");
    let names = |page: Page| page.resources.iter().map(|r| r.name.to_string()).collect::<Vec<_>>();
    assert_eq!(names(r.list(&read("*"), 10, None).await.unwrap()), ["a"]);
    // One apply hands it over, in either order of the documents.
    apply(&r, &format!("{}---\n{}", with("b", true), with("a", false))).await.unwrap();
    apply(&r, &format!("{}---\n{}", with("b", false), with("a", true))).await.unwrap();
    // Nor does going back bring a second one.
    let back = r.rollback(&may(Rollback { kind: "lamp".into(), name: "b".into() }), None).await.unwrap_err();
    assert_eq!(back.to_string(), "main: lamp \"a\" has main: true, and only one may");
    assert_eq!(r.get(&read("b")).await.unwrap().generation, 2);
    r.delete(&may(Delete { kind: "lamp".into(), name: "a".into() })).await.unwrap();
    apply(&r, &with("b", true)).await.unwrap();
}

#[tokio::test]
async fn several_documents_are_applied_together_or_not_at_all() {
    let (r, _dir) = resources().await;
    let text = format!("{}---\n{}", lamp_text("a", 1), lamp_text("b", 500));
    assert!(apply(&r, &text).await.unwrap_err().to_string().starts_with("lamp.yaml:9:8: bulb.watts: at most 100"));
    assert!(r.list(&read("*"), 10, None).await.unwrap().resources.is_empty());
    let twice = format!("{}---\n{}", lamp_text("a", 1), lamp_text("a", 2));
    assert!(apply(&r, &twice).await.unwrap_err().to_string().contains("declared twice"));
    let both = format!("{}---\n{}---\n", lamp_text("a", 1), lamp_text("b", 2));
    assert_eq!(apply(&r, &both).await.unwrap().len(), 2);
    let first = r.list(&read("*"), 1, None).await.unwrap();
    let rest = r.list(&read("*"), 1, first.next.as_deref()).await.unwrap();
    assert_eq!((first.resources[0].name.as_str(), rest.resources[0].name.as_str(), rest.next), ("a", "b", None));
}

#[tokio::test]
async fn a_diff_names_each_field_and_changes_nothing() {
    let (r, _dir) = resources().await;
    apply(&r, &lamp_text("desk", 40)).await.unwrap();
    let document = parse(&lamp_text("desk", 60), "lamp.yaml").unwrap().remove(0);
    let diff = r.diff(&read("desk"), &document).await.unwrap();
    assert_eq!(diff.change, Change::Updated);
    let expected = FieldChange { path: "bulb.watts".into(), before: Some(json!(40)), after: Some(json!(60)) };
    assert_eq!(diff.fields, [expected]);
    assert_eq!(r.get(&read("desk")).await.unwrap().generation, 1);
}

/// A controller with a switch: lamps that are on, and how often it was told something.
#[derive(Default)]
struct Switches {
    on: Mutex<BTreeMap<String, Value>>,
    told: AtomicUsize,
    since: Mutex<BTreeMap<String, Timestamp>>,
}

impl Controller for Switches {
    fn declare(&self, _: &Tenant, name: &Name, Declaration { spec, since }: Declaration<'_>) -> Result<(), String> {
        self.since.lock().insert(name.to_string(), since);
        self.told.fetch_add(1, Ordering::SeqCst);
        if spec["bulb"]["watts"] == 13 {
            return Err("thirteen is unlucky".into());
        }
        self.on.lock().insert(name.to_string(), spec["bulb"]["watts"].clone());
        Ok(())
    }

    fn withdraw(&self, _: &Tenant, name: &Name) {
        self.told.fetch_add(1, Ordering::SeqCst);
        assert!(self.on.lock().remove(name.as_str()).is_some(), "{name} was not on");
    }

    fn status(&self, _: &Tenant, name: &Name) -> Option<Value> {
        self.on.lock().get(name.as_str()).map(|watts| json!({"state": "ON", "watts": watts}))
    }
}

fn delete(name: &str) -> Authorized<Delete> {
    may(Delete { kind: "lamp".into(), name: name.into() })
}

#[tokio::test]
async fn what_is_applied_is_carried_out_before_the_answer() {
    let (dir, switches) = (tempfile::tempdir().unwrap(), Arc::new(Switches::default()));
    let r = resources_in(dir.path(), lamp().carried_by(switches.clone())).await;
    apply(&r, &lamp_text("desk", 40)).await.unwrap();
    assert_eq!(r.get(&read("desk")).await.unwrap().status, Some(json!({"state": "ON", "watts": 40})));
    apply(&r, &lamp_text("desk", 40)).await.unwrap();
    r.carry_out().await.unwrap();
    assert_eq!(switches.told.load(Ordering::SeqCst), 1, "a generation is handed over once");
    apply(&r, &lamp_text("desk", 13)).await.unwrap();
    let refused = r.list(&read("*"), 10, None).await.unwrap().resources[0].status.clone().unwrap();
    assert_eq!((&refused["state"], &refused["reason"]), (&json!("FAILED"), &json!("thirteen is unlucky")));
    r.delete(&delete("desk")).await.unwrap();
    assert!(switches.on.lock().is_empty());
}

#[tokio::test]
async fn another_process_follows_and_an_older_state_never_undoes_a_newer_one() {
    let (dir, here, there) =
        (tempfile::tempdir().unwrap(), Arc::new(Switches::default()), Arc::new(Switches::default()));
    let r = resources_in(dir.path(), lamp().carried_by(here.clone())).await;
    let other = resources_in(dir.path(), lamp().carried_by(there.clone())).await;
    for name in ["a", "b"] {
        apply(&r, &lamp_text(name, 1)).await.unwrap();
    }
    assert_eq!(other.get(&read("a")).await.unwrap().status, None, "not taken up there yet");
    other.carry_out().await.unwrap();
    assert_eq!(*there.on.lock(), BTreeMap::from([("a".into(), json!(1)), ("b".into(), json!(1))]));
    r.delete(&delete("a")).await.unwrap();
    apply(&r, &lamp_text("b", 2)).await.unwrap();
    assert_eq!(other.get(&read("b")).await.unwrap().status, None, "what runs there is of another generation");
    other.carry_out().await.unwrap();
    assert_eq!(*there.on.lock(), BTreeMap::from([("b".into(), json!(2))]));
    assert_eq!(here.since.lock()["b"], there.since.lock()["b"], "declared once, whoever hears of it when");

    // A comparison that read the rows before a deletion hands the old row over after it.
    let carrier = r.kinds().carrier("Lamp").unwrap();
    let (thing, since) = ((Tenant::default(), Name::new("a").unwrap()), Timestamp(0));
    carrier.take(&thing, 1, Some(Declaration { spec: &json!({"bulb": {"watts": 1}}), since }));
    assert!(!here.on.lock().contains_key("a"));
    carrier.forget(&thing, 2);
    carrier.take(&thing, 2, Some(Declaration { spec: &json!({"bulb": {"watts": 1}}), since }));
    assert!(!here.on.lock().contains_key("a"));
    carrier.take(&thing, 3, Some(Declaration { spec: &json!({"bulb": {"watts": 3}}), since }));
    carrier.forget(&thing, 2);
    assert!(here.on.lock().contains_key("a"));
}

#[tokio::test]
async fn each_form_of_a_key_that_has_several_is_taken() {
    let (r, _dir) = resources().await;
    for power in ["mains", "battery"] {
        let text = format!(
            "apiVersion: mainspring/v1\nkind: Lamp\nname: {power}\nbulb: {{watts: 1}}\npower: {{{power}: 3}}\n"
        );
        apply(&r, &text).await.unwrap();
    }
}

#[tokio::test]
async fn refusals_name_the_place_and_the_nearest() {
    let (r, _dir) = resources().await;
    let base = "apiVersion: mainspring/v1\nkind: Lamp\nname: desk\n";
    let cases = [
        (format!("{base}blub: {{watts: 1}}\n"), "lamp.yaml:4:1: unknown key \"blub\"; did you mean \"bulb\"?"),
        (format!("{base}bulb:\n  wats: 1\n"), "lamp.yaml:5:3: unknown key \"wats\" in bulb; did you mean \"watts\"?"),
        (format!("{base}bulb: {{watts: many}}\n"), "lamp.yaml:4:8: bulb.watts"),
        (
            format!("{base}bulb: {{watts: 1}}\npower: {{batery: 1}}\n"),
            "unknown key \"batery\" in power; did you mean \"battery\"?",
        ),
        (format!("{base}count: 3\n"), "missing field `bulb`"),
        (format!("{base}bulb: {{watts: 1}}\nbulb: {{watts: 2}}\n"), "lamp.yaml:5:1: the key \"bulb\" is given twice"),
        (base.replace("Lamp", "Lmap"), "did you mean \"Lamp\""),
        (base.replace("desk", "a/b"), "lamp.yaml:3:7"),
        (base.replace("mainspring/v1", "v1"), "lamp.yaml:1:13"),
        ("kind: Lamp\nname: x\n".into(), "apiVersion is missing"),
        ("a: &x [1]\nb: *x\n".into(), "aliases"),
        ("{".into(), "lamp.yaml:"),
        ("- 1\n".into(), "a document is a mapping"),
        ("# nothing\n".into(), "there is no document"),
        ("[".repeat(200), "deep"),
    ];
    for (text, expected) in cases {
        let e = apply(&r, &text).await.unwrap_err();
        assert_eq!(e.kind(), ErrorKind::InvalidInput, "{e}");
        assert!(e.to_string().contains(expected), "{text}\n{e}\nshould say {expected}");
    }
}

#[test]
fn plain_scalars_follow_the_core_schema() {
    let text = "apiVersion: mainspring/v1\nkind: Lamp\nname: x\na: no\nb: 0o17\nc: 1e3\nd: ~\ne: '1'\nf: 12345678901234567890\ng: 1.2.3\nh: .nan\n";
    let document = parse(text, "t").unwrap().remove(0);
    let expected = json!({"a": "no", "b": 15, "c": 1000.0, "d": null, "e": "1", "f": 12_345_678_901_234_567_890_u64, "g": "1.2.3", "h": ".nan"});
    assert_eq!(Value::Object(document.spec), expected);
}

proptest! {
    #[test]
    fn no_text_panics(text in "[-:{}\\[\\]\"'a-c0-9 \n*&!|>#,]{0,80}") {
        let _refused = parse(&text, "t");
    }

    #[test]
    fn json_reads_as_json(number in any::<i64>(), text in "\\PC{0,20}", flag in any::<bool>()) {
        let given = json!({"apiVersion": API_VERSION, "kind": "Lamp", "name": "x", "n": number, "t": text, "f": flag});
        let document = parse(&given.to_string(), "t").unwrap().remove(0);
        prop_assert_eq!(Value::Object(document.spec), json!({"n": number, "t": text, "f": flag}));
    }
}
