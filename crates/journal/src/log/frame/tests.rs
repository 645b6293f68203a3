use super::*;
use crate::layout::{Layout, fingerprint};
use crate::snapshot::Kind;
use arrow::array::StringArray;
use arrow::datatypes::{DataType, Field};
use proptest::prelude::*;

fn batch(texts: &[&str]) -> RecordBatch {
    let schema = Schema::new(vec![Field::new("event_id", DataType::Utf8, false)]);
    RecordBatch::try_new(Arc::new(schema), vec![Arc::new(StringArray::from(texts.to_vec()))]).unwrap()
}

fn header(deployment: &str) -> StreamHeader {
    let fingerprint = fingerprint(&Layout::default().schema());
    StreamHeader { tenant: "default".into(), kind: Kind::Prediction, deployment: Some(deployment.into()), fingerprint }
}

/// A segment with two streams and three row frames, and where each frame ends.
fn segment() -> (Vec<u8>, Vec<usize>) {
    let mut out = MAGIC.to_vec();
    let mut ends = vec![out.len()];
    push_stream(&mut out, 0, &header("a"), &batch(&[]).schema()).unwrap();
    ends.push(out.len());
    push_rows(&mut out, 0, &batch(&["one", "two"])).unwrap();
    ends.push(out.len());
    push_stream(&mut out, 1, &header("b"), &batch(&[]).schema()).unwrap();
    ends.push(out.len());
    push_rows(&mut out, 1, &batch(&["three"])).unwrap();
    ends.push(out.len());
    push_rows(&mut out, 0, &batch(&["four"])).unwrap();
    ends.push(out.len());
    (out, ends)
}

fn read(bytes: &[u8]) -> (Vec<Rows>, u64, Option<&'static str>) {
    let mut reader = FrameReader::new(bytes);
    let rows = std::iter::from_fn(|| reader.next_rows()).collect();
    (rows, reader.good(), reader.torn())
}

#[test]
fn frames_come_back_as_they_were_written() {
    let (bytes, _) = segment();
    let (rows, good, torn) = read(&bytes);
    assert_eq!((good, torn), (bytes.len() as u64, None));
    let seen: Vec<_> = rows.iter().map(|r| (r.header.deployment.as_deref().unwrap(), r.batch.clone())).collect();
    assert_eq!(seen, [("a", batch(&["one", "two"])), ("b", batch(&["three"])), ("a", batch(&["four"]))]);
}

#[test]
fn cut_anywhere_everything_up_to_the_last_whole_frame_is_read() {
    let (bytes, ends) = segment();
    for len in 0..bytes.len() {
        let (rows, good, torn) = read(&bytes[..len]);
        let whole = ends.iter().copied().filter(|e| *e <= len).max().unwrap_or(0);
        assert_eq!(good, whole as u64, "cut at {len}");
        assert_eq!(torn.is_none(), len == whole && whole > 0, "cut at {len}: {torn:?}");
        let expected = [2, 4, 5].iter().filter(|i| ends[**i] <= len).count();
        assert_eq!(rows.len(), expected, "cut at {len}");
    }
}

#[test]
fn any_flipped_bit_of_the_last_frame_is_noticed() {
    let (bytes, ends) = segment();
    let (start, end) = (ends[4], ends[5]);
    // Header, body and the padding behind it.
    for at in start..end {
        for bit in 0..8 {
            let mut damaged = bytes.clone();
            damaged[at] ^= 1 << bit;
            let (rows, good, torn) = read(&damaged);
            assert_eq!((rows.len(), good), (2, start as u64), "byte {at} bit {bit}");
            assert!(torn.is_some());
        }
    }
}

/// Puts the right checksum before a body that was changed.
fn sealed(kind: u32, key: u32, body: &[u8]) -> Vec<u8> {
    let mut out = vec![0; HEADER];
    out.extend_from_slice(body);
    close(&mut out, 0, kind, key);
    out
}

#[test]
fn a_column_that_reaches_behind_its_frame_is_where_reading_stops() {
    let (whole, ends) = segment();
    let body = &whole[ends[3] + HEADER..ends[4]];
    // The frame is cut short inside its columns, and sealed anew.
    for length in (0..body.len()).step_by(8) {
        let mut bytes = whole[..ends[3]].to_vec();
        bytes.extend(sealed(ROWS, 1, &body[..length]));
        let (rows, good, torn) = read(&bytes);
        assert_eq!((rows.len(), good), (1, ends[3] as u64), "cut at {length}");
        assert!(torn.is_some(), "cut at {length}");
    }
}

/// Somebody who knows how to make a checksum changed one byte of what says how the columns lie.
#[test]
fn a_frame_that_lies_about_its_columns_is_read_or_is_where_reading_stops() {
    let (whole, ends) = segment();
    let body = &whole[ends[3] + HEADER..ends[4]];
    for at in 0..body.len() {
        for to in [0, 1, 2, 0x0a, 0x21, 0x3b, 0x7f, 0x80, 0xff] {
            let mut forged = body.to_vec();
            forged[at] = to;
            let mut bytes = whole[..ends[3]].to_vec();
            bytes.extend(sealed(ROWS, 1, &forged));
            let (rows, good, torn) = read(&bytes);
            let end = if torn.is_some() { ends[3] } else { bytes.len() };
            assert_eq!((rows.len(), good), (1 + usize::from(torn.is_none()), end as u64), "byte {at} to {to}");
        }
    }
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..400), magic in any::<bool>()) {
        let mut input = if magic { MAGIC.to_vec() } else { Vec::new() };
        input.extend(bytes);
        read(&input);
    }

    /// A frame whose checksum was made to match: only the decoder stands between it and a panic.
    #[test]
    fn well_framed_nonsense_never_panics(
        body in prop::collection::vec(any::<u8>(), 1..200),
        kind in 0_u32..4,
        known in any::<bool>(),
    ) {
        let mut input = MAGIC.to_vec();
        if known {
            push_stream(&mut input, 0, &header("a"), &batch(&[]).schema()).unwrap();
        }
        let at = input.len();
        input.resize(at + HEADER, 0);
        input.extend(body);
        close(&mut input, at, kind, 0);
        read(&input);
    }
}
