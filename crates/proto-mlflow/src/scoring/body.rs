//! The body of a scoring request: MLflow's forms, or a v2 inference request.

use super::bare;
use super::csv;
use super::error::InputError;
use super::input::{self, Input};
use super::rows;
use bytes::Bytes;
use mainspring_serving::Contract;
use mainspring_wire::{InferBody, Node};

/// What a body is written in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Media {
    /// `application/json`.
    Json,
    /// `text/csv` with a header line.
    Csv,
    /// `application/json`, where a bare list is rows.
    JsonRows,
    /// `text/csv` whose header line may be missing; it has one where it has names that the model knows.
    CsvRows,
    /// `text/csv` as MLflow's clients send it, with a header line, or as SageMaker's do, without.
    CsvEither,
    /// `text/csv` without a header line.
    CsvPlain,
    /// `application/jsonlines`: a row a line.
    JsonLines,
    /// `application/x-npy`: one array.
    Npy,
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
        let scored = match media {
            Media::Csv => {
                let declared = contract.mlflow().and_then(|s| s.inputs.as_ref());
                Some(input::read_table(&csv::table(bytes, declared)?, contract)?)
            }
            Media::CsvRows => Some(bare::csv_rows(bytes, contract)?),
            Media::CsvEither => Some(bare::csv_either(bytes, contract)?),
            Media::CsvPlain => Some(bare::csv_plain(bytes, contract)?),
            Media::JsonLines => Some(rows::lines(bytes, contract)?),
            Media::Npy => Some(rows::array(bytes, contract)?),
            Media::Json | Media::JsonRows => None,
        };
        if let Some(input) = scored {
            return Ok(Self::Scoring(input));
        }
        if let Some(header) = header {
            return Ok(Self::V2(InferBody::parse(bytes, header)?));
        }
        let node = Node::parse(bytes)?;
        if input::is_v2(&node) {
            return Ok(Self::V2(InferBody::parse(bytes, bytes.len())?));
        }
        match node {
            list @ Node::List(_) if media == Media::JsonRows => Ok(Self::Scoring(bare::list(list, contract)?)),
            node => Ok(Self::Scoring(input::read(node, contract)?)),
        }
    }
}
