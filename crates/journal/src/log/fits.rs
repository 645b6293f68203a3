//! Whether a batch of rows is what its schema says, before Arrow reads it: Arrow panics where a buffer ends too soon or
//! lies askew.

use arrow::datatypes::DataType;
use arrow::ipc::{Buffer, FieldNode, RecordBatch};

/// What every buffer's offset is a multiple of, by the format.
const ALIGNED: i64 = 8;

/// Whether every buffer lies within the `available` bytes and as a writer aligns it, and every column has as many bits
/// of validity as rows.
pub(super) fn fits<'a>(
    rows: &RecordBatch<'_>,
    available: usize,
    columns: impl IntoIterator<Item = &'a DataType>,
) -> Option<()> {
    let inside = |b: &Buffer| {
        let end = usize::try_from(b.offset()).ok()?.checked_add(usize::try_from(b.length()).ok()?)?;
        (end <= available && b.offset() % ALIGNED == 0).then_some(())
    };
    let (nodes, buffers) = (rows.nodes()?, rows.buffers()?);
    buffers.iter().try_for_each(inside)?;
    let (mut nodes, mut buffers) = (nodes.iter(), buffers.iter());
    columns.into_iter().try_for_each(|column| one(column, &mut nodes, &mut buffers))
}

fn one<'a>(
    column: &DataType,
    nodes: &mut impl Iterator<Item = &'a FieldNode>,
    buffers: &mut impl Iterator<Item = &'a Buffer>,
) -> Option<()> {
    let (node, validity) = (nodes.next()?, buffers.next()?);
    let bytes = u64::try_from(node.length()).ok()?.div_ceil(8);
    if node.null_count() != 0 && u64::try_from(validity.length()).ok()? < bytes {
        return None;
    }
    let second = buffers.next()?;
    let offsets = || (second.length() % 4 == 0).then_some(());
    match column {
        DataType::Utf8 | DataType::Binary => offsets().and_then(|()| buffers.next()).map(|_| ()),
        DataType::List(item) => offsets().and_then(|()| one(item.data_type(), nodes, buffers)),
        DataType::Boolean => Some(()),
        // No other type is ever written.
        other => other.is_primitive().then_some(()),
    }
}
