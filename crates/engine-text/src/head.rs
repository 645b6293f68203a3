//! What is made of a graph's values, as `transformers` and `sentence-transformers` make it.

use crate::folder::{Pooling, Scores};
use half::{bf16, f16};
use mainspring_core::{DType, Tensor};
use mainspring_engine::EngineError;

/// The values of an output as FP32.
///
/// # Errors
/// [`EngineError::Run`] when they are no floating-point numbers.
pub(crate) fn floats(tensor: &Tensor) -> Result<Vec<f32>, EngineError> {
    let found = match tensor.dtype() {
        DType::Fp32 => tensor.to_vec::<f32>(),
        DType::Fp16 => tensor.to_vec::<f16>().map(|v| v.into_iter().map(f16::to_f32).collect()),
        DType::Bf16 => tensor.to_vec::<bf16>().map(|v| v.into_iter().map(bf16::to_f32).collect()),
        DType::Fp64 => tensor.to_vec::<f64>().map(|v| v.into_iter().map(|x| x as f32).collect()),
        _ => None,
    };
    found.ok_or_else(|| EngineError::Run {
        reason: format!("its graph answered with {} where floating-point numbers are expected", tensor.dtype()),
        bad_input: false,
    })
}

/// Turns one row of raw values into scores.
pub(crate) fn score(how: Scores, row: &mut [f32]) {
    match how {
        Scores::Raw => {}
        Scores::Sigmoid => sigmoid(row),
        Scores::ByWidth if row.len() == 1 => sigmoid(row),
        Scores::Softmax | Scores::ByWidth => softmax(row),
    }
}

fn sigmoid(row: &mut [f32]) {
    for value in row {
        *value = 1.0 / (1.0 + (-*value).exp());
    }
}

fn softmax(row: &mut [f32]) {
    let highest = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let mut sum = 0.0;
    for value in row.iter_mut() {
        *value = (*value - highest).exp();
        sum += *value;
    }
    for value in row {
        *value /= sum;
    }
}

/// The place of the highest value, the first one of several; 0 of none.
pub(crate) fn highest(row: &[f32]) -> usize {
    let mut best = 0;
    for (place, value) in row.iter().enumerate() {
        if *value > row[best] {
            best = place;
        }
    }
    best
}

/// One vector of `width` values out of those of a row's tokens; `mask` is 1 where there is a token.
pub(crate) fn pool(how: Pooling, tokens: &[f32], mask: &[i64], width: usize) -> Vec<f32> {
    let there = || tokens.chunks_exact(width.max(1)).zip(mask).filter(|(_, on)| **on != 0).map(|(token, _)| token);
    let sum = || {
        let mut sum = vec![0.0; width];
        for token in there() {
            sum.iter_mut().zip(token).for_each(|(into, value)| *into += value);
        }
        sum
    };
    let count = mask.iter().filter(|on| **on != 0).count() as f32;
    let divided = |by: f32| sum().into_iter().map(|value| value / by.max(1e-9)).collect();
    match how {
        Pooling::Mean => divided(count),
        Pooling::MeanSqrt => divided(count.sqrt()),
        Pooling::Cls => there().next().map_or_else(|| vec![0.0; width], <[f32]>::to_vec),
        Pooling::LastToken => there().next_back().map_or_else(|| vec![0.0; width], <[f32]>::to_vec),
        Pooling::Max => {
            let mut most = vec![f32::NEG_INFINITY; width];
            for token in there() {
                most.iter_mut().zip(token).for_each(|(into, value)| *into = into.max(*value));
            }
            most
        }
    }
}

/// Brings a vector to length 1.
pub(crate) fn normalize(vector: &mut [f32]) {
    let length = vector.iter().map(|v| v * v).sum::<f32>().sqrt().max(1e-12);
    for value in vector {
        *value /= length;
    }
}
