//! What the engine port costs: nanoseconds for one row through a 100-tree model, raw `ort` beside
//! `Model::run`, then the memory of the process over 100 loads and unloads.
//!
//! `cargo run --release -p mainspring-engine-onnx --example engine_overhead` in the repository's root.
#![expect(clippy::print_stdout, reason = "it prints its figures")]

use mainspring_core::{DType, NamedTensor, Tensor};
use mainspring_engine::{Engine, LoadOptions, ModelFiles, RunCx};
use mainspring_engine_onnx::OnnxRuntime;
use ort::session::Session;
use ort::value::TensorRef;
use std::error::Error;
use std::path::Path;
use std::time::Instant;

const CALLS: u32 = 500;
const RUNS: u32 = 400;

fn main() -> Result<(), Box<dyn Error>> {
    let row: Vec<f32> = (0..30_u8).map(f32::from).collect();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests-data");
    if std::env::args().nth(1).as_deref() == Some("raw") {
        return raw(&root.join("trees100.onnx"), &row);
    }
    let engine = OnnxRuntime::open(None, 0);
    let library = engine.library().map_err(Clone::clone)?.clone();
    println!("{library}");
    let files = ModelFiles { root, entry: "trees100.onnx".into(), flavor: "onnx".into() };
    let model = engine.load(&files, &LoadOptions::default())?;
    let inputs = [NamedTensor { name: "X".into(), tensor: Tensor::from_vec(DType::Fp32, vec![1, 30], row)? }];
    for _ in 1..=3 {
        // A process has one environment of ONNX Runtime, so the raw calls have a process of their own.
        let own = std::process::Command::new(std::env::current_exe()?)
            .arg("raw")
            .env("ORT_DYLIB_PATH", &library.path)
            .output()?;
        print!("{}", String::from_utf8_lossy(&own.stdout));
        let port = per_call(|| {
            std::hint::black_box(model.run(&inputs, &RunCx::default())?);
            Ok(())
        })?;
        println!("engine port {port:.0} ns");
    }

    drop(model);
    let mut first = 0.0;
    for load in 0..=120 {
        let model = engine.load(&files, &LoadOptions::default())?;
        model.run(&inputs, &RunCx::default())?;
        drop(model);
        // The first twenty fill the allocator's own pools.
        if load == 20 {
            first = resident_mb()?;
        }
    }
    let last = resident_mb()?;
    println!("resident after 20 loads {first:.1} MB, after 120 {last:.1} MB, {:+.1} %", (last / first - 1.0) * 100.0);
    Ok(())
}

fn raw(path: &Path, row: &[f32]) -> Result<(), Box<dyn Error>> {
    let environment = ort::init().with_telemetry(false).build()?;
    let builder = Session::builder(&environment)?.with_intra_threads(1).map_err(|e| e.to_string())?;
    let mut session = { builder }.commit_from_file(path)?;
    let ns = per_call(|| {
        let outputs = session.run(ort::inputs![TensorRef::from_array_view(([1_usize, 30], row))?])?;
        let (_, values) = outputs[1].try_extract_tensor::<f32>()?;
        std::hint::black_box(values[0]);
        Ok(())
    })?;
    println!("raw ort {ns:.0} ns");
    Ok(())
}

/// The best of many short runs: what the call costs when nobody else has the core.
fn per_call(mut call: impl FnMut() -> Result<(), Box<dyn Error>>) -> Result<f64, Box<dyn Error>> {
    let mut best = f64::INFINITY;
    for _ in 0..RUNS {
        let started = Instant::now();
        for _ in 0..CALLS {
            call()?;
        }
        best = best.min(started.elapsed().as_secs_f64() * 1e9 / f64::from(CALLS));
    }
    Ok(best)
}

/// The process's resident memory, from `/proc/self/statm`.
fn resident_mb() -> Result<f64, Box<dyn Error>> {
    let statm = std::fs::read_to_string("/proc/self/statm")?;
    let pages: f64 = statm.split_whitespace().nth(1).ok_or("statm has no second field")?.parse()?;
    Ok(pages * 4096.0 / 1e6)
}
