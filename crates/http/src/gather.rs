//! The pieces of a body, put together.

use crate::body::ALIGNMENT;
use bytes::{Bytes, BytesMut};

/// Up to so many bytes are reserved because a length was declared; beyond, only as much as has come.
const AT_ONCE: usize = 4 << 20;
/// The first block of a body of unknown length, bytes.
const FIRST: usize = 8 << 10;

/// A body in blocks. One whose declared length is not too large comes into one block of its size; another
/// one's blocks grow with it and are joined once, so that no byte is copied more than twice and what is not
/// there yet takes no memory.
pub(crate) struct Gathered {
    /// Bytes before the body, for its alignment.
    pad: usize,
    /// Bytes with the padding when all is there, if that is known.
    expected: Option<usize>,
    blocks: Vec<BytesMut>,
    /// Bytes with the padding so far.
    len: usize,
}

impl Gathered {
    /// The body's byte `aligned_at` will stand at a multiple of [`ALIGNMENT`].
    pub(crate) fn new(declared: Option<u64>, aligned_at: usize) -> Self {
        let pad = (ALIGNMENT - aligned_at % ALIGNMENT) % ALIGNMENT;
        let expected = declared.and_then(|n| usize::try_from(n).ok()).map(|n| n.saturating_add(pad));
        Self { pad, expected, blocks: Vec::new(), len: 0 }
    }

    /// Bytes of the body so far.
    pub(crate) fn len(&self) -> usize {
        self.len.saturating_sub(self.pad)
    }

    pub(crate) fn push(&mut self, data: &[u8]) {
        if self.blocks.is_empty() {
            let size = self.expected.map_or(FIRST, |n| n.min(AT_ONCE)).max(self.pad + data.len());
            let mut first = BytesMut::with_capacity(size);
            first.resize(self.pad, 0);
            self.blocks.push(first);
            self.len = self.pad;
        }
        let mut rest = data;
        while !rest.is_empty() {
            let room = self.blocks.last().map_or(0, |b| b.capacity() - b.len());
            if room == 0 {
                let left = self.expected.map_or(usize::MAX, |n| n.saturating_sub(self.len));
                let size = self.len.clamp(FIRST, AT_ONCE * 4).min(left).max(rest.len());
                self.blocks.push(BytesMut::with_capacity(size));
            }
            let Some(block) = self.blocks.last_mut() else { return };
            let (now, later) = rest.split_at(rest.len().min(block.capacity() - block.len()));
            block.extend_from_slice(now);
            self.len += now.len();
            rest = later;
        }
    }

    /// The whole body.
    pub(crate) fn finish(mut self) -> Bytes {
        let whole = match self.blocks.len() {
            0 => return Bytes::new(),
            1 => self.blocks.swap_remove(0),
            _ => {
                let mut whole = BytesMut::with_capacity(self.len);
                // Each block goes as soon as it is copied.
                self.blocks.drain(..).for_each(|block| whole.extend_from_slice(&block));
                whole
            }
        };
        whole.freeze().slice(self.pad..)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_declared_body_is_one_block_of_its_size() {
        let mut body = Gathered::new(Some(1 << 20), 3);
        (0..64).for_each(|_| body.push(&[7; 16 << 10]));
        assert_eq!((body.blocks.len(), body.len()), (1, 1 << 20));
        let whole = body.finish();
        assert_eq!((whole.len(), (whole.as_ptr() as usize + 3) % ALIGNMENT), (1 << 20, 0));
    }

    #[test]
    fn memory_is_bounded_by_what_came() {
        for declared in [None, Some(1 << 40)] {
            let mut body = Gathered::new(declared, 0);
            for n in 0..300_000_u32 {
                body.push(&n.to_le_bytes());
                let held: usize = body.blocks.iter().map(BytesMut::capacity).sum();
                assert!(held <= (2 * body.len()).max(AT_ONCE), "{held} bytes for {}", body.len());
            }
            let whole = body.finish();
            assert!(whole.chunks(4).zip(0_u32..).all(|(c, n)| c == n.to_le_bytes()));
        }
    }
}
