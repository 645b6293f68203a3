//! A big tensor's stand-in.

use mainspring_core::Tensor;
use sha2::{Digest, Sha256};

/// `sha256:<hex>;FP32[3,224,224]` of one row's wire bytes, or of the whole tensor when it has no row
/// dimension.
pub(super) fn of(tensor: &Tensor, line: usize, per_row: usize, row_wise: bool) -> String {
    let row = if row_wise && per_row > 0 { tensor.slice_rows(line, line + 1) } else { tensor.clone() };
    let hash = Sha256::digest(row.to_wire());
    let shape = &row.shape()[usize::from(row_wise)..];
    let dims = shape.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
    format!("sha256:{};{}[{dims}]", hex::encode(hash), row.dtype())
}
