//! The inference request: `POST /v2/models/{model}/infer`, and the messages of the WebSocket.

use super::cursor::Cursor;
use super::error::BodyError;
use super::node::Node;
use super::parser::Parser;
use bytes::Bytes;
use mainspring_core::NamedTensor;
use std::sync::Arc;

/// A parsed request.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct InferBody {
    /// The caller's own id, to be echoed untouched.
    pub id: Option<Arc<str>>,
    /// The inputs in the order of the request.
    pub inputs: Vec<NamedTensor>,
    /// The outputs asked for, in that order; `None` asks for all.
    pub outputs: Option<Vec<Wanted>>,
    /// `parameters.timeout`, microseconds.
    pub timeout_us: Option<u64>,
    /// Further `parameters`, which may be the model's own.
    pub params: Vec<(Arc<str>, Node)>,
    /// `parameters.binary_data_output`: outputs that do not say otherwise come as binary data.
    pub binary_output: bool,
}

/// One requested output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// Its name.
    pub name: Arc<str>,
    /// `parameters.binary_data`, when given.
    pub binary: Option<bool>,
    /// `parameters.classification`: how many of its top classes to give in place of its values; 0 gives
    /// the values.
    pub classes: usize,
}

impl InferBody {
    /// Reads a body whose first `header` bytes are JSON and whose rest is the binary data of its
    /// inputs, in their order (the binary tensor data extension). Numbers are copied out of the
    /// JSON; binary data and plain strings share `body`.
    ///
    /// # Errors
    /// [`BodyError`] naming the member at fault.
    pub fn parse(body: &Bytes, header: usize) -> Result<Self, BodyError> {
        let json = body.get(..header).ok_or(BodyError::HeaderLength { given: header, body: body.len() })?;
        let text = std::str::from_utf8(json).map_err(|e| BodyError::Utf8 { at: e.valid_up_to() })?;
        Parser::new(text, body).whole()
    }
}

impl InferBody {
    /// Bytes of a body that [`InferBody::parse`] has to look at: the JSON, and the binary data when
    /// strings may be among it. Numbers in binary data are taken as they are.
    pub fn work(body: &Bytes, header: usize) -> usize {
        let Some((json, binary)) = body.split_at_checked(header) else { return 0 };
        let strings = !binary.is_empty() && json.windows(7).any(|w| w == b"\"BYTES\"");
        if strings { body.len() } else { json.len() }
    }

    /// The `id` of a body that may be wrong elsewhere, so that its refusal can be told apart.
    pub fn id_of(body: &Bytes, header: usize) -> Option<Arc<str>> {
        let mut cursor = Cursor::new(std::str::from_utf8(body.get(..header)?).ok()?);
        if !cursor.eat(b'{') {
            return None;
        }
        loop {
            let key = cursor.key().ok()?;
            if key == "id" {
                return cursor.string().ok().map(|id| Arc::from(&*id));
            }
            cursor.skip().ok()?;
            if !cursor.more(b'}', "").ok()? {
                return None;
            }
        }
    }
}
