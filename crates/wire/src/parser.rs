//! From text to request, in one pass.

use super::alike::{Form, known};
use super::cursor::Cursor;
use super::data;
use super::error::BodyError;
use super::node::Node;
use super::request::{InferBody, Wanted};
use bytes::Bytes;
use mainspring_core::tensor::Shape;
use mainspring_core::{DType, NamedTensor, Tensor};
use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;

pub(super) struct Parser<'a> {
    cursor: Cursor<'a>,
    text: &'a str,
    body: &'a Bytes,
    /// Where the next binary data begins.
    blob: usize,
}

/// Inputs that room is made for before they are read.
const MANY: usize = 1024;

/// An input while its members are being read.
#[derive(Default)]
struct Draft {
    name: Option<Arc<str>>,
    dtype: Option<DType>,
    shape: Option<Shape>,
    tensor: Option<Tensor>,
    /// Where the data stands when it came before the datatype or the shape.
    late: Option<usize>,
    binary: Option<usize>,
    /// Where name and data stand, when the text can serve as a form.
    at: (Option<Range<usize>>, Option<Range<usize>>),
}

/// How an output is wanted.
#[derive(Default)]
struct Wish {
    binary: Option<bool>,
    classes: usize,
}

fn once<T>(slot: &mut Option<T>, value: T, path: impl FnOnce() -> String) -> Result<(), BodyError> {
    if slot.is_some() {
        return Err(BodyError::Twice { path: path() });
    }
    *slot = Some(value);
    Ok(())
}

impl<'a> Parser<'a> {
    pub(super) fn new(text: &'a str, body: &'a Bytes) -> Self {
        Self { cursor: Cursor::new(text), text, body, blob: text.len() }
    }

    /// The whole request, and nothing after it.
    pub(super) fn whole(mut self) -> Result<InferBody, BodyError> {
        let request = self.request()?;
        self.cursor.end()?;
        match self.body.len() - self.blob {
            0 => Ok(request),
            left => Err(BodyError::BinaryLeft { left }),
        }
    }

    fn request(&mut self) -> Result<InferBody, BodyError> {
        let mut out = InferBody::default();
        let mut inputs = None;
        let mut more = self.open_object(|| "the request".to_owned())?;
        while more {
            match &*self.cursor.key()? {
                "id" if !self.null() => {
                    let id = Arc::from(&*self.text_at(|| "id".to_owned())?);
                    once(&mut out.id, id, || "id".to_owned())?;
                }
                "inputs" => {
                    let read = self.inputs()?;
                    once(&mut inputs, read, || "inputs".to_owned())?;
                }
                "outputs" if !self.null() => {
                    let read = self.outputs()?;
                    once(&mut out.outputs, read, || "outputs".to_owned())?;
                }
                "parameters" if !self.null() => self.parameters(&mut out)?,
                "id" | "outputs" | "parameters" => {}
                _ => self.cursor.skip()?,
            }
            more = self.cursor.more(b'}', "expected ',' or '}'")?;
        }
        out.inputs = inputs.ok_or_else(|| BodyError::Missing { path: "inputs".to_owned() })?;
        // An empty list asks for all, as in Triton.
        out.outputs = out.outputs.filter(|list| !list.is_empty());
        Ok(out)
    }

    /// Takes `null` if it is next: an optional member that says nothing.
    fn null(&mut self) -> bool {
        self.cursor.peek() == Some(b'n') && self.cursor.word("null")
    }

    /// Enters an object; false when it is empty.
    fn open_object(&mut self, path: impl FnOnce() -> String) -> Result<bool, BodyError> {
        if self.cursor.peek() != Some(b'{') {
            return Err(self.wrong(path(), "an object"));
        }
        self.cursor.bump();
        Ok(!self.cursor.eat(b'}'))
    }

    /// Enters a list; false when it is empty.
    fn open_list(&mut self, path: impl FnOnce() -> String) -> Result<bool, BodyError> {
        if self.cursor.peek() != Some(b'[') {
            return Err(self.wrong(path(), "an array"));
        }
        self.cursor.bump();
        Ok(!self.cursor.eat(b']'))
    }

    /// The error for a value of another type; what is no value at all is wrong syntax.
    fn wrong(&mut self, path: String, want: &'static str) -> BodyError {
        if let Err(syntax) = self.cursor.clone().skip() {
            return syntax;
        }
        BodyError::Type { path, want, got: self.cursor.kind().to_owned() }
    }

    fn text_at(&mut self, path: impl FnOnce() -> String) -> Result<Cow<'a, str>, BodyError> {
        if self.cursor.peek() == Some(b'"') { self.cursor.string() } else { Err(self.wrong(path(), "a string")) }
    }

    fn bool_at(&mut self, path: impl FnOnce() -> String) -> Result<bool, BodyError> {
        self.cursor.peek();
        if self.cursor.word("true") {
            Ok(true)
        } else if self.cursor.word("false") {
            Ok(false)
        } else {
            Err(self.wrong(path(), "true or false"))
        }
    }

    /// A whole number of 0 or more.
    fn count_at(&mut self, path: impl Fn() -> String) -> Result<u64, BodyError> {
        if !matches!(self.cursor.peek(), Some(b'0'..=b'9' | b'-')) {
            return Err(self.wrong(path(), "a whole number"));
        }
        let text = self.cursor.number()?;
        text.parse().map_err(|_| BodyError::Type {
            path: path(),
            want: "a whole number of 0 or more",
            got: text.to_owned(),
        })
    }

    /// A value that may only be absent, 0, false, empty or null here.
    fn must_be_nothing(&mut self, what: impl FnOnce() -> String) -> Result<(), BodyError> {
        self.cursor.peek();
        let start = self.cursor.at();
        self.cursor.skip()?;
        match self.cursor.span(start, self.cursor.at()) {
            "0" | "\"\"" | "false" | "null" => Ok(()),
            _ => Err(BodyError::Unsupported { what: what() }),
        }
    }

    /// Request parameters. Those of the protocol that would change the answer and are not built are
    /// refused; others may be the model's own and are kept.
    fn parameters(&mut self, out: &mut InferBody) -> Result<(), BodyError> {
        let mut more = self.open_object(|| "parameters".to_owned())?;
        while more {
            let key = self.cursor.key()?;
            match &*key {
                "timeout" => out.timeout_us = Some(self.count_at(|| "parameters.timeout".to_owned())?),
                "binary_data_output" => {
                    out.binary_output = self.bool_at(|| "parameters.binary_data_output".to_owned())?;
                }
                "sequence_id" => {
                    self.must_be_nothing(|| "a sequence of requests (parameters.sequence_id)".to_owned())?;
                }
                // Triton passes it over for a model without priority levels, which is every model here.
                "priority" => drop(self.count_at(|| "parameters.priority".to_owned())?),
                _ => out.params.push((Arc::from(&*key), Node::take(&mut self.cursor)?)),
            }
            more = self.cursor.more(b'}', "expected ',' or '}'")?;
        }
        Ok(())
    }

    fn inputs(&mut self) -> Result<Vec<NamedTensor>, BodyError> {
        let mut list = Vec::new();
        let mut form: Option<Form<'a>> = None;
        let mut more = self.open_list(|| "inputs".to_owned())?;
        while more {
            self.cursor.peek();
            let (i, began) = (list.len(), self.cursor.at());
            match form.as_ref().and_then(|form| form.filled(i, &mut self.cursor, self.body)) {
                Some(input) => list.push(input),
                None => {
                    let (input, like) = self.input(i)?;
                    list.push(input);
                    form = like;
                }
            }
            if list.len() == 1 {
                // As if all were as long as the first. A body may promise more than it is worth to believe.
                list.reserve((self.cursor.room() / (self.cursor.at() - began)).min(MANY));
            }
            more = self.cursor.more(b']', "expected ',' or ']'")?;
        }
        Ok(list)
    }

    /// An input, and its text as a form for the next ones.
    fn input(&mut self, i: usize) -> Result<(NamedTensor, Option<Form<'a>>), BodyError> {
        let mut draft = Draft::default();
        let began = self.cursor.at();
        let path = |member: &str| format!("inputs[{i}].{member}");
        let mut more = self.open_object(|| format!("inputs[{i}]"))?;
        while more {
            match &*self.cursor.key()? {
                "name" => {
                    let text = self.text_at(|| path("name"))?;
                    if let Cow::Borrowed(text) = text {
                        let end = self.cursor.at() - 1;
                        draft.at.0 = Some(end - text.len()..end);
                    }
                    once(&mut draft.name, known(i, &text), || path("name"))?;
                }
                "datatype" => {
                    let dtype = self.dtype(i)?;
                    once(&mut draft.dtype, dtype, || path("datatype"))?;
                }
                "shape" => {
                    let shape = self.shape(i)?;
                    once(&mut draft.shape, shape, || path("shape"))?;
                }
                "data" => self.data(i, &mut draft)?,
                "parameters" => self.input_parameters(i, &mut draft)?,
                _ => self.cursor.skip()?,
            }
            more = self.cursor.more(b'}', "expected ',' or '}'")?;
        }
        let form = match (&draft.at, draft.dtype, &draft.shape) {
            ((Some(name), Some(data)), Some(dtype), Some(shape)) if draft.binary.is_none() => {
                Form::of(self.text, [began, name.start, name.end, data.start, data.end, self.cursor.at()], dtype, shape)
            }
            _ => None,
        };
        Ok((self.finish(i, draft)?, form))
    }

    fn dtype(&mut self, i: usize) -> Result<DType, BodyError> {
        let text = self.text_at(|| format!("inputs[{i}].datatype"))?;
        DType::parse(&text).ok_or_else(|| BodyError::DType {
            path: format!("inputs[{i}].datatype"),
            nearest: mainspring_core::nearest(&text, DType::ALL.map(DType::as_str)),
            got: text.into_owned(),
        })
    }

    fn shape(&mut self, i: usize) -> Result<Shape, BodyError> {
        let mut shape = Shape::new();
        let mut more = self.open_list(|| format!("inputs[{i}].shape"))?;
        while more {
            let path = || format!("inputs[{i}].shape[{}]", shape.len());
            if !matches!(self.cursor.peek(), Some(b'0'..=b'9' | b'-')) {
                return Err(self.wrong(path(), "a whole number"));
            }
            let number = self.cursor.decimal()?;
            let dim = number
                .whole()
                .filter(|_| !number.negative)
                .ok_or_else(|| BodyError::Dimension { path: path(), got: number.text.to_owned() })?;
            shape.push(dim);
            more = self.cursor.more(b']', "expected ',' or ']' in the shape")?;
        }
        Ok(shape)
    }

    fn data(&mut self, i: usize, draft: &mut Draft) -> Result<(), BodyError> {
        if draft.tensor.is_some() || draft.late.is_some() {
            return Err(BodyError::Twice { path: format!("inputs[{i}].data") });
        }
        if self.null() {
            return Ok(());
        }
        if let (Some(dtype), Some(shape)) = (draft.dtype, &draft.shape) {
            self.cursor.peek();
            let began = self.cursor.at();
            draft.tensor = Some(data::read(&mut self.cursor, data::Spec { input: i, dtype, shape }, self.body)?);
            draft.at.1 = Some(began..self.cursor.at());
        } else {
            self.cursor.peek();
            draft.late = Some(self.cursor.at());
            self.cursor.skip()?;
        }
        Ok(())
    }

    fn input_parameters(&mut self, i: usize, draft: &mut Draft) -> Result<(), BodyError> {
        if self.null() {
            return Ok(());
        }
        let mut more = self.open_object(|| format!("inputs[{i}].parameters"))?;
        while more {
            match &*self.cursor.key()? {
                "binary_data_size" => {
                    let size = self.count_at(|| format!("inputs[{i}].parameters.binary_data_size"))?;
                    draft.binary = Some(usize::try_from(size).unwrap_or(usize::MAX));
                }
                "shared_memory_region" => {
                    self.must_be_nothing(|| format!("shared memory (inputs[{i}].parameters.shared_memory_region)"))?;
                }
                _ => self.cursor.skip()?,
            }
            more = self.cursor.more(b'}', "expected ',' or '}'")?;
        }
        Ok(())
    }

    fn finish(&mut self, i: usize, draft: Draft) -> Result<NamedTensor, BodyError> {
        let missing = |member: &str| BodyError::Missing { path: format!("inputs[{i}].{member}") };
        let name = draft.name.ok_or_else(|| missing("name"))?;
        let dtype = draft.dtype.ok_or_else(|| missing("datatype"))?;
        let shape = draft.shape.ok_or_else(|| missing("shape"))?;
        let has_data = draft.tensor.is_some() || draft.late.is_some();
        let tensor = match (draft.binary, draft.tensor, draft.late) {
            (Some(_), _, _) if has_data => {
                return Err(BodyError::Type {
                    path: format!("inputs[{i}]"),
                    want: "given either as data or as binary_data_size",
                    got: "both".to_owned(),
                });
            }
            (Some(size), _, _) => {
                let blob = self.blob(i, size)?;
                Tensor::from_wire(dtype, shape, blob)
                    .map_err(|source| BodyError::Tensor { path: format!("inputs[{i}]"), source })?
            }
            (None, Some(tensor), _) => tensor,
            (None, None, Some(at)) => {
                let mut cursor = Cursor::resume(self.text, at);
                data::read(&mut cursor, data::Spec { input: i, dtype, shape: &shape }, self.body)?
            }
            (None, None, None) => return Err(missing("data")),
        };
        Ok(NamedTensor { name, tensor })
    }

    fn blob(&mut self, i: usize, asked: usize) -> Result<Bytes, BodyError> {
        let left = self.body.len() - self.blob;
        if asked > left {
            return Err(BodyError::BinaryShort { path: format!("inputs[{i}]"), asked, left });
        }
        let blob = self.body.slice(self.blob..self.blob + asked);
        self.blob += asked;
        Ok(blob)
    }

    fn outputs(&mut self) -> Result<Vec<Wanted>, BodyError> {
        let mut list: Vec<Wanted> = Vec::new();
        let mut more = self.open_list(|| "outputs".to_owned())?;
        while more {
            let wanted = self.wanted(list.len())?;
            if list.iter().any(|other| other.name == wanted.name) {
                return Err(BodyError::DuplicateOutput { name: wanted.name.to_string() });
            }
            list.push(wanted);
            more = self.cursor.more(b']', "expected ',' or ']'")?;
        }
        Ok(list)
    }

    fn wanted(&mut self, i: usize) -> Result<Wanted, BodyError> {
        let mut name = None;
        let mut form = Wish::default();
        let mut more = self.open_object(|| format!("outputs[{i}]"))?;
        while more {
            match &*self.cursor.key()? {
                "name" => {
                    let text = Arc::from(&*self.text_at(|| format!("outputs[{i}].name"))?);
                    once(&mut name, text, || format!("outputs[{i}].name"))?;
                }
                "parameters" if !self.null() => form = self.wanted_parameters(i)?,
                "parameters" => {}
                _ => self.cursor.skip()?,
            }
            more = self.cursor.more(b'}', "expected ',' or '}'")?;
        }
        let name = name.ok_or_else(|| BodyError::Missing { path: format!("outputs[{i}].name") })?;
        Ok(Wanted { name, binary: form.binary, classes: form.classes })
    }

    fn wanted_parameters(&mut self, i: usize) -> Result<Wish, BodyError> {
        let mut form = Wish::default();
        let path = |member: &str| format!("outputs[{i}].parameters.{member}");
        let mut more = self.open_object(|| format!("outputs[{i}].parameters"))?;
        while more {
            match &*self.cursor.key()? {
                "binary_data" => form.binary = Some(self.bool_at(|| path("binary_data"))?),
                "classification" => {
                    form.classes = usize::try_from(self.count_at(|| path("classification"))?).unwrap_or(usize::MAX);
                }
                "shared_memory_region" => {
                    self.must_be_nothing(|| format!("shared memory ({})", path("shared_memory_region")))?;
                }
                _ => self.cursor.skip()?,
            }
            more = self.cursor.more(b'}', "expected ',' or '}'")?;
        }
        Ok(form)
    }
}
