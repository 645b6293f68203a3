//! What the file of a model says that ONNX Runtime does not tell: the files beside it that hold its
//! weights (ONNX's external data), and the classes of its probabilities.
//!
//! A model names its weights by itself, and whoever uploads a model must not be able to have another file
//! of this machine read as weights: ONNX Runtime's releases differ in what they check. The files also say
//! how much memory the model will take. All of it is found by walking over the protobuf encoding of
//! `onnx.proto`; tensors themselves are skipped, so that a model of gigabytes costs a few reads.

use std::fs::File;
use std::io::{BufReader, Error, ErrorKind, Read, Seek};
use std::path::{Component, Path};
use std::sync::Arc;

/// Models nest graphs in the attributes of nodes; `If` in `If` in `Loop` is as deep as they get.
const MAX_DEPTH: u32 = 64;
/// Longer texts are no names.
const MAX_NAME: u64 = 4096;

/// A message of `onnx.proto`, as far as tensors hide in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Message {
    Model,
    Graph,
    Function,
    Node,
    Attribute,
    Sparse,
    Tensor,
    /// A key and a value of `external_data`.
    Entry,
}

impl Message {
    /// What the field with this number is, when tensors hide in it.
    fn field(self, number: u64) -> Option<Self> {
        Some(match (self, number) {
            (Self::Model, 7) | (Self::Attribute, 6 | 11) => Self::Graph,
            (Self::Model, 25) => Self::Function,
            (Self::Graph, 1) | (Self::Function, 7) => Self::Node,
            (Self::Graph, 5) | (Self::Attribute, 5 | 10) | (Self::Sparse, 1 | 2) => Self::Tensor,
            (Self::Graph, 15) | (Self::Attribute, 22 | 23) => Self::Sparse,
            (Self::Node, 5) | (Self::Function, 11) => Self::Attribute,
            (Self::Tensor, 13) => Self::Entry,
            _ => return None,
        })
    }
}

/// What was found.
#[derive(Debug, Default)]
pub(crate) struct Scan {
    /// Bytes of the model with the files that it names.
    pub bytes: u64,
    /// Whether it is in one file.
    pub whole: bool,
    /// By the name of an output of maps (`ZipMap`), its classes in the order of the maps: sorted.
    pub classes: Vec<(String, Arc<[Arc<str>]>)>,
}

/// Looks through the model at `path`.
///
/// # Errors
/// The reason why it cannot be loaded: it is no ONNX model, or names a file that is not in its folder.
pub(crate) fn scan(path: &Path) -> Result<Scan, String> {
    let unreadable = |e: Error| e.to_string();
    let file = File::open(path).map_err(unreadable)?;
    let length = file.metadata().map_err(unreadable)?.len();
    let mut walk =
        Walk { from: BufReader::new(file), at: 0, files: Vec::new(), node: Node::default(), classes: Vec::new() };
    walk.message(Message::Model, length, 0)
        .map_err(|e| format!("it is not an ONNX model, at byte {} of {length}: {e}", walk.at))?;
    walk.files.sort_unstable();
    walk.files.dedup();
    let folder = path.parent().unwrap_or(Path::new("."));
    let bytes =
        walk.files.iter().try_fold(length, |sum, name| Ok::<_, String>(sum.saturating_add(weights(folder, name)?)))?;
    Ok(Scan { bytes, whole: walk.files.is_empty(), classes: walk.classes })
}

/// Bytes of a file of weights.
fn weights(folder: &Path, name: &str) -> Result<u64, String> {
    let outside = || format!("it names weights in {name:?}, which is not inside the model's folder");
    let given = Path::new(name);
    let plain = given.components().all(|c| matches!(c, Component::Normal(_) | Component::CurDir));
    if !plain || name.is_empty() || name.contains(['\\', '\0']) {
        return Err(outside());
    }
    let absent =
        |e: Error| format!("it names weights in {name:?}, which cannot be read ({e}): log the file beside the model");
    // A link in the folder may lead out of it.
    let real = folder.join(given).canonicalize().map_err(absent)?;
    if !real.starts_with(folder.canonicalize().map_err(absent)?) {
        return Err(outside());
    }
    real.metadata().map(|m| m.len()).map_err(absent)
}

/// A node while it is read.
#[derive(Default)]
struct Node {
    operator: String,
    outputs: Vec<String>,
    /// Name of the attribute being read.
    attribute: String,
    texts: Vec<String>,
    numbers: Vec<i64>,
}

impl Node {
    /// Its output and the classes in it, when it makes maps.
    fn maps(mut self) -> Option<(String, Arc<[Arc<str>]>)> {
        if self.operator != "ZipMap" {
            return None;
        }
        self.texts.sort_unstable();
        self.numbers.sort_unstable();
        let numbers = self.numbers.iter().map(|n| Arc::from(n.to_string()));
        let classes: Arc<[Arc<str>]> = self.texts.iter().map(|t| Arc::from(t.as_str())).chain(numbers).collect();
        let output = self.outputs.into_iter().next()?;
        if classes.is_empty() { None } else { Some((output, classes)) }
    }
}

struct Walk<R> {
    from: BufReader<R>,
    at: u64,
    /// Files of weights named so far.
    files: Vec<String>,
    node: Node,
    classes: Vec<(String, Arc<[Arc<str>]>)>,
}

fn damaged(what: &str) -> Error {
    Error::new(ErrorKind::InvalidData, what.to_owned())
}

/// How a field is encoded.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Wire {
    Varint,
    /// This many bytes.
    Bytes(u64),
    Fixed(u64),
}

impl<R: Read + Seek> Walk<R> {
    fn message(&mut self, of: Message, end: u64, depth: u32) -> Result<(), Error> {
        if depth > MAX_DEPTH {
            return Err(damaged("it is nested too deeply"));
        }
        if of == Message::Node {
            let around = std::mem::take(&mut self.node);
            self.fields(of, end, depth)?;
            self.classes.extend(std::mem::replace(&mut self.node, around).maps());
            return Ok(());
        }
        self.fields(of, end, depth)
    }

    fn fields(&mut self, of: Message, end: u64, depth: u32) -> Result<(), Error> {
        let (mut key, mut value) = (None, None);
        while self.at < end {
            let tag = self.varint()?;
            let wire = match tag & 7 {
                0 => Wire::Varint,
                1 => Wire::Fixed(8),
                2 => Wire::Bytes(self.varint()?),
                5 => Wire::Fixed(4),
                // Groups were taken out of protobuf before ONNX began.
                _ => return Err(damaged("a field of an unknown kind")),
            };
            match (of, tag >> 3, wire) {
                (Message::Attribute, 8, Wire::Varint) if self.node.attribute == "classlabels_int64s" => {
                    let number = self.varint()?;
                    self.node.numbers.push(number.cast_signed());
                }
                (_, _, Wire::Varint) => {
                    self.varint()?;
                }
                (_, _, Wire::Fixed(length)) => self.skip_to(self.stop(length, end)?)?,
                (Message::Entry, 1, Wire::Bytes(length)) => key = self.text(self.stop(length, end)?)?,
                (Message::Entry, 2, Wire::Bytes(length)) => value = self.text(self.stop(length, end)?)?,
                (_, number, Wire::Bytes(length)) => {
                    let stop = self.stop(length, end)?;
                    match of.field(number) {
                        Some(inner) => self.message(inner, stop, depth + 1)?,
                        None => self.about_node(of, number, stop)?,
                    }
                    self.skip_to(stop)?;
                }
            }
        }
        if self.at > end {
            return Err(damaged("a field ends behind what it is in"));
        }
        if key.as_deref() == Some("location") {
            self.files.push(value.ok_or_else(|| damaged("weights in a file without a name"))?);
        }
        Ok(())
    }

    /// Keeps what tells the classes of a node of maps.
    fn about_node(&mut self, of: Message, number: u64, stop: u64) -> Result<(), Error> {
        match (of, number) {
            (Message::Node, 2) => {
                let output = self.text(stop)?;
                self.node.outputs.extend(output);
            }
            (Message::Node, 4) => self.node.operator = self.text(stop)?.unwrap_or_default(),
            (Message::Attribute, 1) => self.node.attribute = self.text(stop)?.unwrap_or_default(),
            (Message::Attribute, 9) if self.node.attribute == "classlabels_strings" => {
                let class = self.text(stop)?;
                self.node.texts.extend(class);
            }
            (Message::Attribute, 8) if self.node.attribute == "classlabels_int64s" => {
                while self.at < stop {
                    let number = self.varint()?;
                    self.node.numbers.push(number.cast_signed());
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// Where a field of this many bytes ends.
    fn stop(&self, length: u64, end: u64) -> Result<u64, Error> {
        let stop = self.at.checked_add(length).filter(|stop| *stop <= end);
        stop.ok_or_else(|| damaged("a field ends behind what it is in"))
    }

    fn varint(&mut self) -> Result<u64, Error> {
        let mut value = 0_u64;
        for shift in (0..70).step_by(7) {
            let mut byte = [0];
            self.from.read_exact(&mut byte)?;
            self.at += 1;
            value |= u64::from(byte[0] & 0x7f).checked_shl(shift).unwrap_or(0);
            if byte[0] < 0x80 {
                return Ok(value);
            }
        }
        Err(damaged("a number that does not end"))
    }

    /// A name; `None` when it is none.
    fn text(&mut self, stop: u64) -> Result<Option<String>, Error> {
        let length = stop.saturating_sub(self.at);
        if length > MAX_NAME {
            self.skip_to(stop)?;
            return Ok(None);
        }
        let mut bytes = vec![0; usize::try_from(length).unwrap_or(0)];
        self.from.read_exact(&mut bytes)?;
        self.at = stop;
        Ok(String::from_utf8(bytes).ok())
    }

    fn skip_to(&mut self, stop: u64) -> Result<(), Error> {
        // Relative, so that what is buffered already is not read again.
        let step = stop.checked_sub(self.at).and_then(|s| i64::try_from(s).ok());
        self.from.seek_relative(step.ok_or_else(|| damaged("a field ends behind what it is in"))?)?;
        self.at = stop;
        Ok(())
    }
}
