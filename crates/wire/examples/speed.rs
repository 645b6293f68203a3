//! How long it takes to read and write a body of 30 numbers, in one input and in thirty: `cargo run --release -p mainspring-wire
//! --example speed`.
#![allow(clippy::print_stdout, clippy::unwrap_used)]

use bytes::Bytes;
use mainspring_core::{DType, NamedTensor, Tensor};
use mainspring_wire::{Classes, InferBody, Reply, Selection, render};
use std::hint::black_box;
use std::time::Instant;

const ROUNDS: u32 = 200_000;

/// The best of eleven runs, nanoseconds a call: the others had company on the machine.
fn measure(mut work: impl FnMut()) -> f64 {
    let mut runs: Vec<f64> = (0..11)
        .map(|_| {
            let start = Instant::now();
            for _ in 0..ROUNDS {
                work();
            }
            start.elapsed().as_nanos() as f64 / f64::from(ROUNDS)
        })
        .collect();
    runs.sort_by(f64::total_cmp);
    runs[0]
}

fn body(values: &[String]) -> Bytes {
    let data = values.join(", ");
    let text = format!(r#"{{"inputs": [{{"name": "X", "shape": [1, 30], "datatype": "FP32", "data": [[{data}]]}}]}}"#);
    Bytes::from(text)
}

/// An input for each number, as for a model of a table.
fn columns(values: &[String]) -> Bytes {
    let one = |(i, value)| {
        format!(r#"{{"name": "mean of measure {i}", "datatype": "FP32", "shape": [1, 1], "data": [{value}]}}"#)
    };
    let inputs: Vec<String> = values.iter().enumerate().map(one).collect();
    Bytes::from(format!(r#"{{"inputs": [{}]}}"#, inputs.join(", ")))
}

fn main() {
    let numbers: Vec<f32> = (0..30_u8).map(|i| (f32::from(i) * 0.731_7).sin() * 1000.0).collect();
    let single = body(&numbers.iter().map(ToString::to_string).collect::<Vec<_>>());
    let table = columns(&numbers.iter().map(ToString::to_string).collect::<Vec<_>>());
    let double = body(&numbers.iter().map(|n| f64::from(*n).to_string()).collect::<Vec<_>>());
    for (name, body) in [("shortest digits", &single), ("Python's digits", &double), ("an input each", &table)] {
        let ns = measure(|| {
            black_box(InferBody::parse(black_box(body), body.len()).unwrap());
        });
        println!("parse  30 FP32, {name}, {} bytes: {ns:.0} ns", body.len());
    }
    let tensor = Tensor::from_vec(DType::Fp32, vec![1, 30], numbers).unwrap();
    let outputs = [NamedTensor { name: "y".into(), tensor }];
    let reply = Reply {
        model: "churn",
        version: "3",
        id: Some("42"),
        variant: None,
        flags: None,
        prediction: None,
        outputs: &outputs,
        classes: Classes::default(),
    };
    for binary in [false, true] {
        let ns = measure(|| {
            black_box(render(black_box(reply), Selection { wanted: None, binary }).unwrap());
        });
        println!("render 30 FP32, binary {binary}: {ns:.0} ns");
    }
}
