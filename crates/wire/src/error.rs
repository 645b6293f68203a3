//! What can be wrong with a request body.

use mainspring_core::tensor::TensorError;
use mainspring_core::{DType, ErrorKind, Failure};

/// Why a body is not an inference request. Every message names the member at fault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BodyError {
    /// Not JSON.
    #[error("the body is not JSON: {what}, at byte {at}")]
    Syntax {
        /// Byte offset in the JSON part.
        at: usize,
        /// What was expected there.
        what: &'static str,
    },
    /// Not an array as NumPy writes it.
    #[error("the body is not a NumPy array: {why}")]
    Npy {
        /// What is wrong, or not understood.
        why: String,
    },
    /// Not UTF-8.
    #[error("the JSON part of the body is not UTF-8 text, at byte {at}")]
    Utf8 {
        /// Offset of the first byte that is not text.
        at: usize,
    },
    /// A member that has to be there.
    #[error("{path} is missing")]
    Missing {
        /// Which one: `inputs[0].shape`.
        path: String,
    },
    /// The same member twice.
    #[error("{path} is given twice")]
    Twice {
        /// Which one.
        path: String,
    },
    /// A value of another JSON type.
    #[error("{path} must be {want}, got {got}")]
    Type {
        /// Which member.
        path: String,
        /// What it has to be.
        want: &'static str,
        /// What it is.
        got: String,
    },
    /// No such element type.
    #[error("{path} is {got:?}, which is not a v2 datatype{}", .nearest.map(|n| format!(", did you mean {n}?")).unwrap_or_default())]
    DType {
        /// Which member.
        path: String,
        /// What was given.
        got: String,
        /// The nearest type there is.
        nearest: Option<&'static str>,
    },
    /// A dimension that no tensor can have.
    #[error("{path} is {got}: a dimension of a request is 0 or more")]
    Dimension {
        /// Which dimension: `inputs[0].shape[1]`.
        path: String,
        /// What was given.
        got: String,
    },
    /// A number that the element type cannot hold.
    #[error("{path}: {value} does not fit {dtype}")]
    Range {
        /// Which element.
        path: String,
        /// The number as it was written.
        value: String,
        /// The type.
        dtype: DType,
    },
    /// Nested lists of different lengths or depths.
    #[error("{path} is ragged: {what}")]
    Ragged {
        /// Which data.
        path: String,
        /// Where the lists differ.
        what: String,
    },
    /// Nested lists whose lengths are not the shape.
    #[error("{path} is nested as {nested:?}, but the shape is {shape:?}")]
    Nesting {
        /// Which data.
        path: String,
        /// Lengths found, outermost first.
        nested: Vec<usize>,
        /// Shape given.
        shape: Vec<usize>,
    },
    /// A tensor that its values do not fill.
    #[error("{path}: {source}")]
    Tensor {
        /// Which input.
        path: String,
        /// What does not match.
        source: TensorError,
    },
    /// A type that JSON has no form for.
    #[error("{path} is {dtype}, which cannot be sent as JSON: send it as binary data (binary_data_size)")]
    BinaryOnly {
        /// Which input.
        path: String,
        /// Its type.
        dtype: DType,
    },
    /// The header says that the JSON part is longer than the body.
    #[error("Inference-Header-Content-Length is {given}, but the body has {body} bytes")]
    HeaderLength {
        /// Value of the header.
        given: usize,
        /// Bytes of the body.
        body: usize,
    },
    /// The header is not a number.
    #[error("Inference-Header-Content-Length is {given:?}, which is not a number of bytes")]
    HeaderValue {
        /// Value of the header.
        given: String,
    },
    /// A blob that ends after the body.
    #[error("{path}.parameters.binary_data_size is {asked}, but only {left} bytes of binary data are left")]
    BinaryShort {
        /// Which input.
        path: String,
        /// Bytes it asks for.
        asked: usize,
        /// Bytes there are.
        left: usize,
    },
    /// Bytes that no input takes.
    #[error("{left} bytes of binary data are left over: the binary_data_size of the inputs do not add up to the body")]
    BinaryLeft {
        /// How many.
        left: usize,
    },
    /// Something the protocol has and this server has not.
    #[error("{what} is not supported by this server")]
    Unsupported {
        /// What was asked for.
        what: String,
    },
    /// A raw body for a model that it does not say enough about.
    #[error("a body without JSON (Inference-Header-Content-Length: 0) cannot be used here: {why}")]
    RawBody {
        /// Why the shape cannot be known.
        why: String,
    },
    /// An output that the model does not have.
    #[error("unexpected output {name:?}{}; the model has {expected}", .nearest.as_ref().map(|n| format!(" (did you mean {n:?}?)")).unwrap_or_default())]
    UnknownOutput {
        /// Name given.
        name: String,
        /// The nearest there is.
        nearest: Option<String>,
        /// Names the model has.
        expected: String,
    },
    /// An output asked for twice.
    #[error("output {name:?} is requested twice")]
    DuplicateOutput {
        /// Its name.
        name: String,
    },
    /// Classes of an output that has none.
    #[error("output {name:?} holds texts, which have no classes: ask for it without classification")]
    NoClasses {
        /// Its name.
        name: String,
    },
    /// Bytes in an output that are not text, asked for as JSON.
    #[error(
        "output {name:?} holds bytes that are not UTF-8 text, which JSON cannot carry: ask for it with binary_data"
    )]
    OutputNotText {
        /// Its name.
        name: String,
    },
}

impl Failure for BodyError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Unsupported { .. } => ErrorKind::Unimplemented,
            _ => ErrorKind::InvalidInput,
        }
    }
}
