//! Texts as rows of token numbers.

use crate::folder::{Folder, Pad, Side};
use bytes::Bytes;
use mainspring_engine::EngineError;
use tokenizers::{Encoding, Tokenizer, TruncationDirection, TruncationParams, TruncationStrategy};

/// A text is read up to this many bytes a token that the model takes: what comes behind them would be
/// cut, but would be split into tokens first.
const BYTES_A_TOKEN: usize = 1024;

/// Splits texts as the model was taught.
#[derive(Debug)]
pub(crate) struct Splitter {
    tokenizer: Tokenizer,
    pad: Pad,
    cut: Side,
    longest: usize,
}

/// Rows of one length.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Rows {
    /// How many.
    pub count: usize,
    /// Tokens of each.
    pub length: usize,
    pub ids: Vec<i64>,
    pub mask: Vec<i64>,
    pub types: Vec<i64>,
}

impl Splitter {
    /// # Errors
    /// When the model takes fewer tokens than mark a text's ends.
    pub fn new(folder: &Folder, longest: usize) -> Result<Self, String> {
        let mut tokenizer = folder.tokenizer.clone();
        // Its own may pad to a length of its training's.
        tokenizer.with_padding(None);
        let direction = match folder.cut {
            Side::Left => TruncationDirection::Left,
            Side::Right => TruncationDirection::Right,
        };
        let ends = tokenizer.encode("", true).map_err(|e| format!("its tokenizer does not work: {e}"))?.len();
        if longest <= ends {
            return Err(format!("it takes texts of {longest} tokens, of which {ends} mark their ends"));
        }
        let params =
            TruncationParams { direction, max_length: longest, strategy: TruncationStrategy::LongestFirst, stride: 0 };
        tokenizer.with_truncation(Some(params)).map_err(|e| format!("its tokenizer does not cut texts: {e}"))?;
        Ok(Self { tokenizer, pad: folder.pad, cut: folder.cut, longest })
    }

    pub fn tokenizer(&self) -> &Tokenizer {
        &self.tokenizer
    }

    /// The tokens of each text, offsets in characters.
    ///
    /// # Errors
    /// [`EngineError::Run`] naming the text that is not UTF-8.
    pub fn split(&self, texts: &[Bytes]) -> Result<Vec<Encoding>, EngineError> {
        let refused = |reason: String| EngineError::Run { reason, bad_input: true };
        let one = |(i, text): (usize, &Bytes)| {
            let text = std::str::from_utf8(text).map_err(|_| refused(format!("text {i} is not UTF-8")))?;
            let text = match self.cut {
                Side::Right => &text[..text.floor_char_boundary(self.longest * BYTES_A_TOKEN)],
                Side::Left => text,
            };
            self.tokenizer.encode_char_offsets(text, true).map_err(|e| refused(format!("text {i}: {e}")))
        };
        texts.iter().enumerate().map(one).collect()
    }

    /// These texts side by side, each filled up to `length` tokens, or to the longest of them.
    pub fn rows(&self, encodings: &[&Encoding], length: Option<usize>) -> Rows {
        let length = length.unwrap_or_else(|| encodings.iter().map(|e| e.len()).max().unwrap_or(0));
        let mut rows = Rows { count: encodings.len(), length, ..Rows::default() };
        for encoding in encodings {
            let missing = length.saturating_sub(encoding.len());
            self.column(&mut rows.ids, encoding.get_ids(), missing, self.pad.id);
            self.column(&mut rows.mask, encoding.get_attention_mask(), missing, 0);
            self.column(&mut rows.types, encoding.get_type_ids(), missing, self.pad.type_id);
        }
        rows
    }

    fn column(&self, out: &mut Vec<i64>, values: &[u32], missing: usize, with: u32) {
        let fill = std::iter::repeat_n(i64::from(with), missing);
        let values = values.iter().map(|v| i64::from(*v));
        match self.pad.side {
            Side::Right => out.extend(values.chain(fill)),
            Side::Left => out.extend(fill.chain(values)),
        }
    }
}
