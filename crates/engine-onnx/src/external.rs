//! Files beside a model that hold its weights (ONNX's external data).
//!
//! A model names them by itself, and whoever uploads a model must not be able to have another file of
//! this machine read as weights: ONNX Runtime's releases differ in what they check. The names also say
//! how much memory the model will take. They are found by walking over the protobuf encoding of
//! `onnx.proto`; tensors themselves are skipped, so that a model of gigabytes costs a few reads.

use std::fs::File;
use std::io::{BufReader, Error, ErrorKind, Read, Seek};
use std::path::{Component, Path};

/// Models nest graphs in the attributes of nodes; `If` in `If` in `Loop` is as deep as they get.
const MAX_DEPTH: u32 = 64;
/// No file name is longer.
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

/// Bytes of the model at `path` with the files that it names.
///
/// # Errors
/// The reason why it cannot be loaded: it is no ONNX model, or names a file that is not in its folder.
pub(crate) fn size_with_files(path: &Path) -> Result<u64, String> {
    let unreadable = |e: Error| e.to_string();
    let file = File::open(path).map_err(unreadable)?;
    let length = file.metadata().map_err(unreadable)?.len();
    let mut walk = Walk { from: BufReader::new(file), at: 0, names: Vec::new() };
    walk.message(Message::Model, length, 0)
        .map_err(|e| format!("it is not an ONNX model, at byte {} of {length}: {e}", walk.at))?;
    walk.names.sort_unstable();
    walk.names.dedup();
    let folder = path.parent().unwrap_or(Path::new("."));
    walk.names.iter().try_fold(length, |sum, name| Ok(sum.saturating_add(weights(folder, name)?)))
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

struct Walk<R> {
    from: BufReader<R>,
    at: u64,
    /// Files named so far.
    names: Vec<String>,
}

fn damaged(what: &str) -> Error {
    Error::new(ErrorKind::InvalidData, what.to_owned())
}

impl<R: Read + Seek> Walk<R> {
    fn message(&mut self, of: Message, end: u64, depth: u32) -> Result<(), Error> {
        if depth > MAX_DEPTH {
            return Err(damaged("it is nested too deeply"));
        }
        let (mut key, mut value) = (String::new(), String::new());
        while self.at < end {
            let tag = self.varint()?;
            let length = match tag & 7 {
                0 => {
                    self.varint()?;
                    continue;
                }
                1 => 8,
                2 => self.varint()?,
                5 => 4,
                // Groups were taken out of protobuf before ONNX began.
                _ => return Err(damaged("a field of an unknown kind")),
            };
            let stop = self.at.checked_add(length).filter(|stop| *stop <= end);
            let stop = stop.ok_or_else(|| damaged("a field ends behind what it is in"))?;
            match (of, tag >> 3) {
                (Message::Entry, 1) if tag & 7 == 2 => key = self.text(length)?,
                (Message::Entry, 2) if tag & 7 == 2 => value = self.text(length)?,
                (_, number) => {
                    if let Some(inner) = of.field(number).filter(|_| tag & 7 == 2) {
                        self.message(inner, stop, depth + 1)?;
                    }
                }
            }
            self.skip_to(stop)?;
        }
        if self.at > end {
            return Err(damaged("a field ends behind what it is in"));
        }
        if of == Message::Entry && key == "location" {
            self.names.push(value);
        }
        Ok(())
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

    fn text(&mut self, length: u64) -> Result<String, Error> {
        if length > MAX_NAME {
            return Err(damaged("a file name that is too long"));
        }
        let mut bytes = vec![0; usize::try_from(length).unwrap_or(0)];
        self.from.read_exact(&mut bytes)?;
        self.at += length;
        String::from_utf8(bytes).map_err(|_| damaged("a file name that is not UTF-8"))
    }

    fn skip_to(&mut self, stop: u64) -> Result<(), Error> {
        // Relative, so that what is buffered already is not read again.
        let step = i64::try_from(stop - self.at).map_err(|_| damaged("a field that is too long"))?;
        self.from.seek_relative(step)?;
        self.at = stop;
        Ok(())
    }
}
