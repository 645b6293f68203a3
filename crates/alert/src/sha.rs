//! Short names for many texts.

use sha2::{Digest, Sha256};

/// 32 hexadecimal digits that follow from the texts and where each ends.
pub(crate) fn short<'a>(texts: impl IntoIterator<Item = &'a str>) -> String {
    let mut hash = Sha256::new();
    for text in texts {
        hash.update((text.len() as u64).to_le_bytes());
        hash.update(text.as_bytes());
    }
    hex::encode(&hash.finalize()[..16])
}
