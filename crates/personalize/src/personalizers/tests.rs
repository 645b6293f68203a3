use super::*;
use crate::ports::PortError;
use crate::{MIGRATIONS, Past};
use futures::future::BoxFuture;
use mainspring_core::{ErrorKind, Failure, ManualClock, Principal};
use mainspring_store::DbSettings;
use mainspring_testkit::{fake_ctx, may};

/// A log in memory.
#[derive(Default)]
struct Kept {
    choices: Mutex<Vec<Prediction>>,
    rewards: Mutex<Vec<(Result<EventId, String>, f64)>>,
    broken: Mutex<bool>,
}

fn text(tensors: &[NamedTensor], name: &str) -> String {
    let tensor = &tensors.iter().find(|t| &*t.name == name).unwrap().tensor;
    String::from_utf8(tensor.strings().unwrap()[0].to_vec()).unwrap()
}

impl Log for Kept {
    fn append(&self, choice: Prediction) {
        self.choices.lock().push(choice);
    }

    fn reward<'a>(
        &'a self,
        _: &'a Arc<Principal>,
        (_, of): (&'a str, Result<EventId, String>),
        value: f64,
    ) -> BoxFuture<'a, Result<(), PortError>> {
        let kind = ErrorKind::Unavailable;
        let kept = if *self.broken.lock() {
            Err(PortError { kind, message: "the disk is full".into(), hint: None })
        } else {
            self.rewards.lock().push((of, value));
            Ok(())
        };
        Box::pin(async move { kept })
    }

    fn since<'a>(&'a self, _: &'a Tenant, _: &'a str, at: Timestamp) -> BoxFuture<'a, Result<Vec<Past>, PortError>> {
        let past = |p: &Prediction| {
            let chosen = text(&p.outputs, "action");
            let actions: Vec<Value> = serde_json::from_str(&text(&p.inputs, "actions")).unwrap();
            let features = actions.iter().find(|a| a["id"] == json!(chosen)).unwrap()["features"].clone();
            Past {
                id: p.id,
                at: p.at,
                client_id: p.client_id.as_deref().map(str::to_owned),
                context: serde_json::from_str(&text(&p.inputs, "context")).unwrap(),
                action: (chosen, features),
                rewards: self.rewards.lock().iter().filter(|(of, _)| *of == Ok(p.id)).map(|(_, v)| *v).collect(),
            }
        };
        let all = self.choices.lock().iter().filter(|p| p.at >= at).map(past).collect();
        Box::pin(async move { Ok(all) })
    }
}

struct World {
    all: Personalizers,
    log: Arc<Kept>,
    ctx: Ctx,
    clock: ManualClock,
    db: Db,
}

fn name() -> Name {
    Name::new("front-page").unwrap()
}

fn rank() -> Authorized<Rank> {
    may(Rank { personalizer: name() })
}

async fn open(path: &std::path::Path, log: Arc<Kept>, seed: u64, spec: PersonalizerSpec) -> World {
    let (ctx, clock) = fake_ctx(seed);
    let db = Db::open(&DbSettings::sqlite(path.join("meta.db")), &[MIGRATIONS], &ctx).await.unwrap();
    let all = Personalizers::new(log.clone(), db.clone(), ctx.clone());
    all.declare(&Tenant::default(), &name(), spec).unwrap();
    let world = World { all, log, ctx, clock, db };
    let deadline = Instant::now() + mainspring_testkit::PATIENCE;
    while !world.view().ready {
        assert!(Instant::now() < deadline, "{:?}", world.view());
        tokio::task::yield_now().await;
    }
    world
}

impl World {
    fn view(&self) -> View {
        self.all.view(&may(Inspect { personalizer: name() })).unwrap()
    }

    fn tick(&self) {
        let one = self.all.find(&Tenant::default(), &name()).unwrap();
        self.all.0.tick(&one);
    }

    /// As the server stops.
    async fn stop(self) {
        assert!(self.ctx.tasks.shutdown(mainspring_testkit::PATIENCE).await);
        self.db.close().await;
    }
}

fn ask(user: &str) -> RankRequest {
    let action = |id: &str| Candidate { id: id.into(), features: json!({ "topic": id }) };
    let actions = ["sport", "politics", "music"].map(action).to_vec();
    RankRequest { context: json!({ "user": user }), actions, ..RankRequest::default() }
}

#[tokio::test]
async fn who_wants_what_is_learnt_and_every_choice_is_on_record_with_its_probability() {
    let dir = tempfile::tempdir().unwrap();
    let world = open(dir.path(), Arc::default(), 3, PersonalizerSpec::default()).await;
    let wants = [("ann", "sport"), ("bob", "music")];
    let mut late = 0.0;
    for round in 0..1_500 {
        let (user, wanted) = wants[round % 2];
        let ranked = world.all.rank(&rank(), ask(user)).unwrap();
        assert!((ranked.ranking.iter().map(|(_, p)| p).sum::<f64>() - 1.0).abs() < 1e-9);
        let reward = f64::from(u8::from(ranked.action == wanted));
        world.all.reward(&rank(), &ranked.event, reward).await.unwrap();
        late += if round >= 1_300 { reward / 200.0 } else { 0.0 };
        let kept = world.log.choices.lock().last().unwrap().clone();
        assert_eq!(text(&kept.outputs, "action"), ranked.action);
        assert!((f64::from(kept.assignment.propensity) - ranked.ranking[0].1).abs() < 1e-6);
    }
    assert!(late > 0.85, "{late}");
    let view = world.view();
    assert_eq!((view.learnt, view.rewarded, view.unrewarded), (1_500, 1_500, 0));
    world.stop().await;
}

#[tokio::test]
async fn a_restart_forgets_neither_what_was_learnt_nor_what_is_waited_for() {
    let dir = tempfile::tempdir().unwrap();
    let log: Arc<Kept> = Arc::default();
    let world = open(dir.path(), Arc::clone(&log), 5, PersonalizerSpec::default()).await;
    for _ in 0..50 {
        let ranked = world.all.rank(&rank(), ask("ann")).unwrap();
        world.all.reward(&rank(), &ranked.event, 1.0).await.unwrap();
    }
    let waiting = world.all.rank(&rank(), RankRequest { event: Some("mine".into()), ..ask("bob") }).unwrap();
    assert_eq!(waiting.event, "mine");
    let again = RankRequest { event: Some("mine".into()), ..ask("somebody else") };
    assert_eq!(world.all.rank(&rank(), again).unwrap(), waiting, "a retry is the same choice");
    assert_eq!(log.choices.lock().len(), 51);
    world.stop().await;
    let world = open(dir.path(), Arc::clone(&log), 6, PersonalizerSpec::default()).await;
    assert_eq!((world.view().learnt, world.view().waiting), (50, 1));
    world.all.reward(&rank(), "mine", 1.0).await.unwrap();
    assert_eq!((world.view().learnt, world.view().waiting), (51, 0));
    // A model of another size begins anew.
    let spec = PersonalizerSpec { model: crate::spec::ModelSpec { bits: 10 }, ..PersonalizerSpec::default() };
    world.stop().await;
    let world = open(dir.path(), log, 7, spec).await;
    assert_eq!(world.view().learnt, 0);
    world.all.withdraw(&Tenant::default(), &name());
    assert!(matches!(world.all.rank(&rank(), ask("ann")), Err(PersonalizeError::Unknown(_))));
    world.stop().await;
}

#[tokio::test]
async fn what_brings_nothing_in_time_counts_as_nothing_and_what_was_not_shown_not_at_all() {
    let dir = tempfile::tempdir().unwrap();
    let world = open(dir.path(), Arc::default(), 9, PersonalizerSpec::default()).await;
    world.all.rank(&rank(), ask("ann")).unwrap();
    let held = RankRequest { event: Some("held".into()), deferred: true, ..ask("ann") };
    world.all.rank(&rank(), held.clone()).unwrap();
    let shown = RankRequest { event: Some("shown".into()), ..held };
    world.all.rank(&rank(), shown).unwrap();
    world.all.activate(&rank(), "shown").unwrap();
    world.clock.advance(599_000_000);
    world.tick();
    assert_eq!((world.view().unrewarded, world.view().waiting), (0, 3));
    world.clock.advance(2_000_000);
    world.tick();
    assert_eq!((world.view().unrewarded, world.view().waiting), (2, 1), "the one that was held back says nothing");
    assert!(matches!(world.all.activate(&rank(), "shown"), Err(PersonalizeError::NotWaiting(_))));
    // Too late to learn from, and kept all the same.
    world.all.reward(&rank(), "shown", 1.0).await.unwrap();
    assert_eq!(world.log.rewards.lock().last(), Some(&(Err("shown".to_owned()), 1.0)));
    world.stop().await;
}

#[tokio::test]
async fn what_cannot_be_kept_is_not_learnt_from() {
    let dir = tempfile::tempdir().unwrap();
    let world = open(dir.path(), Arc::default(), 11, PersonalizerSpec::default()).await;
    let ranked = world.all.rank(&rank(), ask("ann")).unwrap();
    *world.log.broken.lock() = true;
    let refused = world.all.reward(&rank(), &ranked.event, 1.0).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Unavailable);
    assert_eq!(world.view().learnt, 0);
    *world.log.broken.lock() = false;
    world.all.reward(&rank(), &ranked.event, 1.0).await.unwrap();
    assert_eq!(world.view().learnt, 1);
    world.stop().await;
}

#[tokio::test]
async fn excluded_actions_keep_their_place_and_senseless_requests_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let world = open(dir.path(), Arc::default(), 13, PersonalizerSpec::default()).await;
    let excluded = vec!["sport".to_owned(), "music".to_owned()];
    let ranked = world.all.rank(&rank(), RankRequest { excluded, ..ask("ann") }).unwrap();
    assert_eq!(ranked.ranking, [("sport".into(), 0.0), ("politics".into(), 1.0), ("music".into(), 0.0)]);
    let all = ["sport", "politics", "music"].map(str::to_owned).to_vec();
    for (why, request) in [
        ("no actions", RankRequest { actions: vec![], ..ask("ann") }),
        ("twice", RankRequest { actions: [ask("a").actions, ask("a").actions].concat(), ..ask("ann") }),
        ("every action is excluded", RankRequest { excluded: all, ..ask("ann") }),
        ("not among the actions", RankRequest { excluded: vec!["x".into()], ..ask("ann") }),
        ("1 to 1024 bytes", RankRequest { event: Some(String::new()), ..ask("ann") }),
        (
            "over 256 features",
            RankRequest { context: json!((0..300).map(|n| n.to_string()).collect::<Vec<_>>()), ..ask("a") },
        ),
    ] {
        let refused = world.all.rank(&rank(), request).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::InvalidInput, "{refused}");
        assert!(refused.to_string().contains(why), "{refused}");
    }
    assert_eq!(world.log.choices.lock().len(), 1, "refused requests make no choice");
    let refused = world.all.reward(&rank(), &ranked.event, f64::NAN).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::InvalidInput);
    world.stop().await;
}

#[tokio::test]
async fn who_sends_a_choice_twice_at_once_gets_one() {
    let folder = tempfile::tempdir().unwrap();
    let log = Arc::new(Kept::default());
    let world = open(folder.path(), Arc::clone(&log), 5, PersonalizerSpec::default()).await;
    let told = Mutex::new(HashMap::<String, String>::new());
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for n in 0..200 {
                    let event = format!("choice-{n}");
                    let ranked =
                        world.all.rank(&rank(), RankRequest { event: Some(event.clone()), ..ask("ann") }).unwrap();
                    let first = told.lock().entry(event).or_insert_with(|| ranked.action.clone()).clone();
                    assert_eq!(ranked.action, first);
                }
            });
        }
    });
    assert_eq!((log.choices.lock().len(), world.view().waiting), (200, 200));
}
