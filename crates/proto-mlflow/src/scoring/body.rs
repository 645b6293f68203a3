//! The body of a scoring request: MLflow's forms, or a v2 inference request.

use super::csv;
use super::error::InputError;
use super::input::{self, Input};
use bytes::Bytes;
use mainspring_serving::Contract;
use mainspring_wire::{InferBody, Node};

/// What a body is written in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Media {
    /// `application/json`.
    Json,
    /// `text/csv`.
    Csv,
}

/// A body that has been read.
#[derive(Debug, Clone, PartialEq)]
pub enum Body {
    /// One of MLflow's forms.
    Scoring(Input),
    /// A v2 inference request.
    V2(InferBody),
}

impl Body {
    /// Reads a body for this model. `header` is the length of the JSON part of a v2 body with binary
    /// data, bytes.
    ///
    /// # Errors
    /// [`InputError`] naming the place, the field, the column or the input at fault.
    pub fn read(media: Media, header: Option<usize>, bytes: &Bytes, contract: &Contract) -> Result<Self, InputError> {
        if media == Media::Csv {
            let declared = contract.mlflow().and_then(|s| s.inputs.as_ref());
            return Ok(Self::Scoring(input::read_table(&csv::table(bytes, declared)?, contract)?));
        }
        if let Some(header) = header {
            return Ok(Self::V2(InferBody::parse(bytes, header)?));
        }
        let node = Node::parse(bytes)?;
        if input::is_v2(&node) {
            return Ok(Self::V2(InferBody::parse(bytes, bytes.len())?));
        }
        Ok(Self::Scoring(input::read(node, contract)?))
    }
}
