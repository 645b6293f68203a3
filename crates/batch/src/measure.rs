//! How many rows a call should hold: what gives most rows a second here.

use crate::error::BatchError;
use crate::work::Work;
use arrow::array::RecordBatch;
use std::time::{Duration, Instant};

/// Rows that are tried, in this order.
const TRIED: [usize; 6] = [64, 256, 1024, 4096, 16_384, 65_536];
/// Bytes of one call's inputs at most.
const BYTES: usize = 32 << 20;
/// Time for all of it, as far as single calls allow.
const BUDGET: Duration = Duration::from_secs(2);
/// Larger calls must be worth it by this factor: they cost memory, and leave threads idle at the end.
const WORTH: f64 = 0.95;

/// Rows a call, measured over the first rows of the input.
pub(crate) fn batch_rows(work: &Work, rows: &RecordBatch) -> Result<usize, BatchError> {
    let began = Instant::now();
    let mut best: Option<(usize, f64)> = None;
    for size in TRIED {
        let have = rows.num_rows().min(size);
        if best.is_some() && (have < size || began.elapsed() > BUDGET) {
            break;
        }
        let inputs = work.inputs(&rows.slice(0, have), 0)?;
        if best.is_some() && inputs.iter().map(|i| i.tensor.byte_len()).sum::<usize>() > BYTES {
            break;
        }
        // The first call of a size may allocate.
        let mut time = f64::INFINITY;
        for _ in 0..2 {
            let call = Instant::now();
            work.call(&inputs, have, 0)?;
            time = time.min(call.elapsed().as_secs_f64());
        }
        let a_row = time / have.max(1) as f64;
        match best {
            Some((_, before)) if a_row > before * WORTH => break,
            _ => best = Some((size, a_row)),
        }
    }
    Ok(best.map_or(TRIED[0], |(size, _)| size))
}
