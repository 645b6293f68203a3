//! A big tensor's stand-in.

use mainspring_core::Tensor;
use twox_hash::XxHash3_128;

/// Bytes of one, about.
pub(super) const LENGTH: usize = 64;

/// `xxh3:<hex>;FP32[3,224,224]` of one row's wire bytes, or of the whole tensor when it has no row
/// dimension. It tells equal tensors from different ones; a cryptographic hash of every image would cost
/// more than the model.
pub(super) fn of(tensor: &Tensor, line: usize, row_wise: bool) -> String {
    let row = if row_wise { tensor.slice_rows(line, line + 1) } else { tensor.clone() };
    let hash = XxHash3_128::oneshot(&row.to_wire());
    let shape = &row.shape()[usize::from(row_wise)..];
    let dims = shape.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
    format!("xxh3:{hash:032x};{}[{dims}]", row.dtype())
}
