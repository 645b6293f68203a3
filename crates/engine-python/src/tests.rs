mod answers;

use crate::frame;
use crate::model::PythonModel;
use crate::worker::of_status;
use crate::{PythonRuntime, PythonSettings, find};
use bytes::Bytes;
use mainspring_core::tensor::NamedTensor;
use mainspring_core::{DType, ErrorKind, Failure, Tensor};
use mainspring_engine::{AnswerForm, EngineError, Environment, LoadOptions, Model, ModelFiles, RunCx, Watch, Worker};
use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// How long a test waits for what has to happen. Only a test that fails waits as long.
const PATIENCE: Duration = Duration::from_mins(2);

/// The Python of the repository's environment, which has mlflow; `make setup` brings it.
fn python() -> PathBuf {
    let python = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.venv/bin/python");
    assert!(python.is_file(), "{} is not there: run `make setup` first", python.display());
    python
}

/// The models of `tests-data/make.py`, made once for all test processes, beside their binary.
fn models() -> &'static Path {
    static MADE: OnceLock<PathBuf> = OnceLock::new();
    MADE.get_or_init(|| {
        let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests-data");
        let mut digest = Sha256::new();
        for file in ["make.py", "behaviour.py", "plain.py", "tiny.py"] {
            digest.update(std::fs::read(data.join(file)).unwrap());
        }
        let beside = std::env::current_exe().unwrap().parent().unwrap().to_owned();
        let made = beside.join(format!("python-models-{}", hex::encode(&digest.finalize()[..8])));
        if !made.exists() {
            let folder = tempfile::tempdir_in(&beside).unwrap();
            let out = Command::new(python()).arg(data.join("make.py")).arg(folder.path()).output().unwrap();
            assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
            // Another process may have been quicker.
            let kept = folder.keep();
            if std::fs::rename(&kept, &made).is_err() {
                std::fs::remove_dir_all(kept).unwrap();
            }
        }
        made
    })
}

fn files(name: &str) -> ModelFiles {
    ModelFiles { root: models().join(name), entry: "MLmodel".into(), flavor: "python_function".into() }
}

/// An engine in a folder of its own, which must be as it was once its models are gone.
struct Rig {
    folder: TempDir,
    engine: PythonRuntime,
}

impl Rig {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let settings = PythonSettings { python: Some(python()), folder: folder.path().join("python"), allowed: true };
        Self { engine: PythonRuntime::open(settings).unwrap(), folder }
    }

    fn options() -> LoadOptions {
        let worker = Worker { environment: Environment::Shared, ..Worker::default() };
        LoadOptions { name: "under-test".into(), worker, ..LoadOptions::default() }
    }

    fn open(&self, name: &str, change: impl FnOnce(&mut LoadOptions)) -> Result<PythonModel, EngineError> {
        let mut options = Self::options();
        change(&mut options);
        self.engine.start(&files(name), &options)
    }

    fn told(&self) -> PythonModel {
        self.open("told", |_| {}).unwrap()
    }

    /// Files that workers left.
    fn left(&self) -> usize {
        std::fs::read_dir(self.folder.path().join("python/run")).unwrap().count()
    }
}

fn named(name: &str, tensor: Tensor) -> NamedTensor {
    NamedTensor { name: name.into(), tensor }
}

/// Tells the model `told` what to do.
fn tell(model: &PythonModel, order: f64) -> Result<Vec<f64>, EngineError> {
    let x = Tensor::from_vec(DType::Fp64, vec![1], vec![order]).unwrap();
    Ok(model.run(&[named("x", x)], &RunCx::default())?[0].tensor.to_vec().unwrap())
}

fn process_is_there(pid: u32) -> bool {
    Path::new("/proc").join(pid.to_string()).exists()
}

/// Processes of the group of `pid`, from the system's own table.
fn group_of(pid: u32) -> usize {
    let entries = std::fs::read_dir("/proc").unwrap().flatten();
    let stats = entries.filter_map(|e| std::fs::read_to_string(e.path().join("stat")).ok());
    // After the name in parentheses: state, parent, group.
    stats.filter(|s| s.rsplit(") ").next().and_then(|r| r.split(' ').nth(2)) == Some(&pid.to_string())).count()
}

fn until(what: &str, condition: impl Fn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < deadline, "never: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn the_engine_keeps_every_promise_of_the_port() {
    let rig = Rig::new();
    let fixtures = mainspring_engine::suite::Fixtures {
        identity: files("identity"),
        corrupt: files("corrupt"),
        options: Rig::options(),
    };
    assert_eq!(mainspring_engine::suite::check(&rig.engine, &fixtures), Ok(()));
    assert_eq!(rig.left(), 0);
}

#[test]
fn a_worker_that_is_killed_in_a_call_costs_that_call_only() {
    let rig = Rig::new();
    let model = rig.told();
    let first = model.pool.pids();
    let e = tell(&model, 1.0).unwrap_err();
    assert!(matches!(&e, EngineError::Died { reason } if reason.contains("signal 9")), "{e}");
    assert_eq!(tell(&model, 21.0).unwrap(), [42.0]);
    let second = model.pool.pids();
    assert!(first.len() == 1 && second.len() == 1 && first != second);
    assert!(!process_is_there(first[0]));
    let e = tell(&model, 8.0).unwrap_err();
    assert!(e.to_string().contains("exited with code 3"), "{e}");
    assert_eq!(tell(&model, 21.0).unwrap(), [42.0]);
    drop(model);
    assert!(!process_is_there(second[0]) && rig.left() == 0);
}

#[test]
fn a_worker_that_dies_while_idle_is_replaced_and_costs_no_call() {
    let rig = Rig::new();
    let model = rig.told();
    let first = model.pool.pids();
    crate::worker::signal("KILL", &first[0].to_string());
    until("another worker", || model.pool.pids().first().is_some_and(|p| *p != first[0]));
    assert_eq!(tell(&model, 21.0).unwrap(), [42.0]);
}

#[test]
fn an_endless_loop_is_stopped_at_the_limit_and_shows_where_it_was() {
    let rig = Rig::new();
    // Longer than a call takes that ends, on a machine that does much else.
    let model = rig.open("told", |o| o.worker.timeout = Duration::from_secs(5)).unwrap();
    let pid = model.pool.pids()[0];
    let e = tell(&model, 2.0).unwrap_err();
    assert!(e.kind() == ErrorKind::DeadlineExceeded && e.to_string().contains("5s"), "{e}");
    assert!(!process_is_there(pid));
    assert_eq!(tell(&model, 21.0).unwrap(), [42.0]);
}

#[test]
fn an_exception_shows_its_type_and_keeps_its_text_in_the_log() {
    let rig = Rig::new();
    let model = rig.told();
    let e = tell(&model, 3.0).unwrap_err();
    assert!(e.to_string().contains("RuntimeError") && !e.to_string().contains("hunter2"), "{e}");
    assert_eq!(e.kind(), ErrorKind::Internal);
    assert_eq!(tell(&model, 14.0).unwrap_err().kind(), ErrorKind::InvalidInput);
    assert!(tell(&model, 7.0).unwrap_err().to_string().contains("SystemExit"));
    assert_eq!(tell(&model, 21.0).unwrap(), [42.0]);
    let shown = rig.open("told", |o| o.worker.show_errors = true).unwrap();
    assert!(tell(&shown, 14.0).unwrap_err().to_string().contains("ValueError: the value is out of range"));
}

#[test]
fn answers_that_are_not_as_declared_are_errors_and_nan_is_not() {
    let rig = Rig::new();
    let model = rig.told();
    let e = tell(&model, 5.0).unwrap_err();
    assert!(matches!(&e, EngineError::WrongOutput { got, .. } if got == "FP64 [1, 2, 2]"), "{e}");
    assert!(matches!(tell(&model, 13.0).unwrap_err(), EngineError::WrongOutput { .. }));
    assert!(tell(&model, 6.0).unwrap()[0].is_nan());
    let large = tell(&model, 10.0).unwrap();
    assert_eq!((large.len(), large.iter().sum::<f64>()), (25_000_000, 25e6));
    assert_eq!(tell(&model, 4.0).unwrap(), [8.0]);
}

#[test]
fn what_a_model_starts_and_writes_goes_with_its_worker() {
    let rig = Rig::new();
    let model = rig.told();
    let pid = model.pool.pids()[0];
    assert_eq!(tell(&model, 9.0).unwrap(), [18.0]);
    assert!(group_of(pid) == 2 && rig.left() == 1);
    drop(model);
    until("the whole group is gone", || group_of(pid) == 0);
    assert_eq!(rig.left(), 0);
}

#[test]
fn memory_has_a_limit() {
    let rig = Rig::new();
    let model = rig.open("told", |o| o.worker.memory = Some(900 << 20)).unwrap();
    let e = tell(&model, 11.0).unwrap_err();
    assert!(e.to_string().contains("MemoryError"), "{e}");
    assert_eq!(tell(&model, 21.0).unwrap(), [42.0]);
    assert!(model.memory_bytes() > 10 << 20 && model.memory_bytes() < 900 << 20);
}

#[test]
fn another_worker_takes_the_place_of_one_that_leaks_and_no_call_is_lost() {
    const LEAK: u64 = 100 << 20;
    let rig = Rig::new();
    let open = |limit| {
        let mut options = Rig::options();
        options.worker.memory = limit;
        rig.engine.start(&file("tiny"), &options).unwrap()
    };
    let model = open(None);
    let first = of_status(model.pool.pids()[0], "VmData:");
    drop(model);
    let limit = first + (2_500 << 20);
    let model = open(Some(limit));
    // Until less than a tenth is left, and more than one leak.
    let leaks = (limit / 10 * 9 - first) / LEAK + 1;
    let pid = model.pool.pids()[0];
    for time in 1..=2 {
        for _ in 0..leaks {
            assert_eq!(tell(&model, 3.0).unwrap(), [6.0]);
        }
        until("another takes its place", || {
            assert_eq!(tell(&model, 21.0).unwrap(), [42.0]);
            model.restarts() == Some(time) && !process_is_there(pid)
        });
        assert!(model.memory_bytes() < 500 << 20 && model.pool.pids().len() == 1);
        until("its files are gone", || rig.left() == 1);
    }
}

#[test]
fn a_model_that_kills_its_worker_each_time_is_refused_for_a_while() {
    let rig = Rig::new();
    let model = rig.told();
    assert!(model.health().is_ok() && model.restarts() == Some(0));
    for _ in 0..5 {
        assert!(matches!(tell(&model, 8.0), Err(EngineError::Died { .. })));
    }
    let e = tell(&model, 21.0).unwrap_err();
    assert!(e.kind() == ErrorKind::Unavailable && e.to_string().contains("5 times in a row"), "{e}");
    assert!(e.hint().unwrap().contains("log"), "{e}");
    let health = model.health().unwrap_err();
    let again = health.retry_after().unwrap();
    assert!(again > Duration::from_secs(20) && again <= Duration::from_secs(30), "{health} {again:?}");
    assert_eq!(model.restarts(), Some(4), "one is not back yet");
}

#[test]
fn every_type_of_column_comes_as_the_signature_says() {
    let rig = Rig::new();
    let model = rig.open("every", |_| {}).unwrap();
    assert_eq!(model.answer(), AnswerForm::Frame);
    let text = |values: &[&'static [u8]]| {
        Tensor::from_strings(vec![values.len()], values.iter().map(|v| Bytes::from_static(v)).collect()).unwrap()
    };
    let mut inputs = vec![
        named("flag", Tensor::from_vec(DType::Bool, vec![2], vec![1_u8, 0]).unwrap()),
        named("small", Tensor::from_vec(DType::Int32, vec![2], vec![7, i32::MIN]).unwrap()),
        named("whole", Tensor::from_vec(DType::Int64, vec![2], vec![7, i64::MAX]).unwrap()),
        named("single", Tensor::from_vec(DType::Fp32, vec![2], vec![1.5_f32, f32::INFINITY]).unwrap()),
        named("number", Tensor::from_vec(DType::Fp64, vec![2], vec![1.5, f64::NAN]).unwrap()),
        named("text", text(&["Grüße".as_bytes(), b""])),
        named("raw", text(&[b"\x00\xff", b""])),
        named("day", text(&[b"2026-01-31T12:00:00", b"2026-02-01"])),
    ];
    assert_eq!(model.signature().accept(&mut inputs.clone()), Ok(2));
    let seen = |inputs: &[NamedTensor]| -> Vec<String> {
        let outputs = model.run(inputs, &RunCx::default()).unwrap();
        let texts = outputs.iter().flat_map(|o| o.tensor.strings().unwrap().to_vec());
        texts.map(|t| String::from_utf8(t.to_vec()).unwrap()).collect()
    };
    let got = seen(&inputs).join("; ");
    for part in [
        "bool: True; bool: False; int32: 7; int32: -2147483648; int64: 7; int64: 9223372036854775807",
        "float32: 1.5; float32: inf; float64: 1.5; float64: nan",
        ": 'Grüße'; ",
        "object: b'\\x00\\xff'; object: b''",
        "Timestamp('2026-01-31 12:00:00')",
    ] {
        assert!(got.contains(part), "{part} in {got}");
    }
    // An optional column stays out.
    inputs.remove(5);
    assert_eq!(model.signature().accept(&mut inputs.clone()), Ok(2));
    assert!(seen(&inputs).join("; ").contains("absent; absent"));
    // Not a date, not UTF-8: the caller's fault, and said so.
    inputs[6].tensor = text(&[b"soon", b"2026-02-01"]);
    let e = model.run(&inputs, &RunCx::default()).unwrap_err();
    assert!(
        e.kind() == ErrorKind::InvalidInput && e.to_string().contains("\"day\"") | e.to_string().contains("'day'"),
        "{e}"
    );
}

#[test]
fn a_model_without_a_signature_needs_an_example() {
    let rig = Rig::new();
    let model = rig.open("example", |_| {}).unwrap();
    let input = &model.signature().inputs[0];
    assert_eq!((input.dtype, &*input.shape, &*input.name), (DType::Fp64, &[-1, 3][..], "input"));
    assert_eq!(model.answer(), AnswerForm::Array);
    let e = rig.open("nothing", |_| {}).unwrap_err();
    assert!(e.to_string().contains("infer_signature") && e.to_string().contains("input_example"), "{e}");
}

#[test]
fn a_model_that_cannot_be_opened_says_why_with_its_last_lines() {
    let rig = Rig::new();
    let e = rig.open("unloadable", |_| {}).unwrap_err();
    assert!(e.to_string().contains("FileNotFoundError: weights.bin"), "{e}");
    let slow = rig.open("told", |o| o.worker.start_timeout = Duration::from_millis(150)).unwrap_err();
    assert!(slow.to_string().contains("startTimeout"), "{slow}");
    let gone = rig.open("told", |o| o.watch = Watch::new(|_| {}, || true)).unwrap_err();
    assert!(matches!(gone, EngineError::GivenUp), "{gone}");
    assert_eq!(rig.left(), 0);
}

#[test]
fn a_machine_without_python_says_where_it_looked() {
    let e = find(Some(Path::new("/no/such/python"))).unwrap_err();
    assert!(e.kind() == ErrorKind::Unavailable && e.to_string().contains("/no/such/python"), "{e}");
    let e = find(Some(Path::new("/bin/true"))).unwrap_err();
    assert!(e.to_string().contains("no Python 3"), "{e}");
}

/// How many files the process has open, its own threads and its children.
fn held() -> (usize, usize, usize) {
    let count = |folder: &str| std::fs::read_dir(folder).unwrap().count();
    let children = std::fs::read_to_string("/proc/thread-self/children").unwrap_or_default();
    (count("/proc/self/fd"), count("/proc/self/task"), children.split_whitespace().count())
}

fn file(name: &str) -> ModelFiles {
    ModelFiles { root: models().join(name), entry: "model.py".into(), flavor: "python_file".into() }
}

#[test]
fn many_restarts_leave_no_process_no_file_and_no_thread() {
    // MAINSPRING_TEST_RESTARTS=1000 is the long form: it held on two busy cores, 711 s, most of them Python's imports.
    let restarts = std::env::var("MAINSPRING_TEST_RESTARTS").ok().and_then(|n| n.parse().ok()).unwrap_or(40);
    let rig = Rig::new();
    let before = held();
    let model = rig.engine.start(&file("tiny"), &Rig::options()).unwrap();
    let mut pids = Vec::new();
    let started = Instant::now();
    for i in 0..restarts {
        pids.extend(model.pool.pids());
        assert!(tell(&model, if i % 2 == 0 { 1.0 } else { 2.0 }).is_err());
        assert_eq!(tell(&model, 21.0).unwrap(), [42.0]);
        assert_eq!(rig.left(), 1);
    }
    println!("{restarts} restarts in {:?}, {:?} each", started.elapsed(), started.elapsed() / restarts);
    pids.extend(model.pool.pids());
    assert_eq!(pids.len(), restarts as usize + 1);
    drop(model);
    until("every group is gone", || pids.iter().all(|pid| group_of(*pid) == 0));
    assert_eq!(rig.left(), 0);
    until("what was held is let go", || held() == before);
}

#[test]
fn a_model_that_is_slow_gets_a_worker_a_core_and_a_quick_one_has_one() {
    let rig = Rig::new();
    let start = |name: &str, instances: usize| {
        rig.engine.start(&file(name), &LoadOptions { instances, ..Rig::options() }).unwrap()
    };
    let cores = std::thread::available_parallelism().unwrap().get().min(8);
    let slow = start("waits", 0);
    assert_eq!(slow.instances(), cores);
    until("all of them run", || slow.pool.pids().len() == cores);
    assert_eq!(start("tiny", 0).instances(), 1);
    assert_eq!(start("waits", 1).instances(), 1);
}

#[test]
fn a_start_that_never_ends_is_stopped_at_its_limit() {
    let rig = Rig::new();
    let before = held();
    let mut options = Rig::options();
    // Python has to have begun with the file by then, on a machine that does much else.
    options.worker.start_timeout = Duration::from_secs(10);
    let e = rig.engine.start(&file("slow"), &options).unwrap_err();
    let text = e.to_string();
    assert!(
        text.contains("engine.python.startTimeout") && text.contains("still opening") && text.contains("in load"),
        "{text}"
    );
    assert!(rig.left() == 0);
    until("what was held is let go", || held() == before);
}

#[test]
fn a_server_that_is_not_told_to_trust_models_runs_none() {
    let folder = tempfile::tempdir().unwrap();
    let settings = PythonSettings { python: Some(python()), folder: folder.path().join("python"), allowed: false };
    let engine = PythonRuntime::open(settings).unwrap();
    for files in [files("told"), file("tiny")] {
        let e = engine.start(&files, &Rig::options()).unwrap_err();
        assert!(e.kind() == ErrorKind::Denied && e.to_string().contains("code of whoever logged it"), "{e}");
        assert!(e.hint().unwrap().contains("--python-models allow"));
    }
    assert_eq!(std::fs::read_dir(folder.path().join("python/run")).unwrap().count(), 0);
}

#[test]
fn a_frame_says_what_it_holds_and_garbage_is_refused() {
    let x = named("x", Tensor::from_strings(vec![2], vec![Bytes::from_static(b"a"), Bytes::new()]).unwrap());
    let y = named("y", Tensor::from_vec(DType::Fp64, vec![1], vec![0.5]).unwrap());
    let out = frame::call(&[x.clone(), y.clone()], None, false).unwrap();
    let prefix = out.head.first_chunk::<{ frame::PREFIX }>().unwrap();
    let (header, body) = frame::lengths(prefix).unwrap();
    assert!(out.parts.is_empty() && body == 24 && out.head.len() == frame::PREFIX + header + body);
    let head = Bytes::from(out.head.clone());
    let came = frame::Incoming {
        header: head.slice(frame::PREFIX..frame::PREFIX + header),
        body: head.slice(frame::PREFIX + header..),
    };
    assert_eq!(frame::tensors(&came).unwrap().unwrap(), [x, y]);
    // The body is shorter than the header says.
    let short = frame::Incoming { header: came.header, body: came.body.slice(0..23) };
    assert!(frame::tensors(&short).is_err());
    assert!(frame::lengths(b"MSW1\xff\xff\xff\xff\0\0\0\0\0\0\0\0").is_err());
    assert!(frame::lengths(b"MSW2\0\0\0\0\0\0\0\0\0\0\0\0").is_err());
}

proptest::proptest! {
    #[test]
    fn any_bytes_of_a_worker_are_read_or_refused(
        prefix in proptest::prelude::any::<[u8; frame::PREFIX]>(),
        header in "\\PC{0,80}",
        shape in proptest::collection::vec(proptest::num::u64::ANY, 0..4),
        size in proptest::num::u64::ANY,
        body in proptest::collection::vec(proptest::num::u8::ANY, 0..64),
    ) {
        let _ = frame::lengths(&prefix);
        let shaped = format!(r#"{{"tensors":[{{"name":"x","dtype":"BYTES","shape":{shape:?},"bytes":{size}}}]}}"#);
        for header in [header, shaped] {
            let came = frame::Incoming { header: header.into(), body: body.clone().into() };
            let _ = (frame::tensors(&came), frame::ready(&came));
        }
    }
}
