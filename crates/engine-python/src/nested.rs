//! Nested values on their way between server and worker: JSON text outside, Python's `marshal` format
//! (version 2) on the socket, which its own C code reads and writes. Of that format there are `N`, `T`, `F`, `i`
//! (32 bits), `l` (digits of 15 bits), `g` (a double), `u` (text), `[`, `(` and `{`, all little-endian.

use bytes::Bytes;
use mainspring_core::Tensor;
use mainspring_core::tensor::TensorError;
use mainspring_wire::Node;
use std::sync::Arc;

/// How deep values may be nested.
const MAX_DEPTH: u32 = 64;
const DIGIT: u32 = 15;

/// Why a tensor cannot cross.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NestedError {
    /// An element of a request that is not JSON.
    #[error("element {element} is not JSON: {reason}")]
    Json { element: usize, reason: String },
    /// An element of an answer that makes no sense.
    #[error("element {element} cannot be read: {what}, at byte {at}")]
    Marshal { element: usize, what: &'static str, at: usize },
    /// Elements that do not make a tensor.
    #[error(transparent)]
    Tensor(#[from] TensorError),
}

/// A tensor of JSON texts as one that the worker reads.
pub(crate) fn outgoing(tensor: &Tensor) -> Result<Tensor, NestedError> {
    each(tensor, |element, text| {
        let node = Node::parse(text).map_err(|e| NestedError::Json { element, reason: e.to_string() })?;
        let mut out = Vec::with_capacity(text.len() + 16);
        pack(&node, &mut out);
        Ok(out.into())
    })
}

/// A tensor that a worker wrote as one of JSON texts.
pub(crate) fn incoming(tensor: &Tensor) -> Result<Tensor, NestedError> {
    each(tensor, |element, bytes| {
        let mut reader = Reader { bytes, at: 0 };
        let read = reader.value(0).and_then(|node| match node {
            Some(node) if reader.at == bytes.len() => Ok(node),
            _ => Err("it does not end where it should"),
        });
        let node = read.map_err(|what| NestedError::Marshal { element, what, at: reader.at })?;
        Ok(node.to_json())
    })
}

fn each(tensor: &Tensor, turn: impl Fn(usize, &Bytes) -> Result<Bytes, NestedError>) -> Result<Tensor, NestedError> {
    let elements = tensor.strings().unwrap_or_default();
    let turned: Vec<Bytes> = elements.iter().enumerate().map(|(i, e)| turn(i, e)).collect::<Result<_, _>>()?;
    Ok(Tensor::from_strings(tensor.shape().to_vec(), turned)?)
}

fn pack(node: &Node, out: &mut Vec<u8>) {
    let sized = |out: &mut Vec<u8>, code: u8, len: usize| {
        out.push(code);
        out.extend_from_slice(&(len as u32).to_le_bytes());
    };
    let text = |out: &mut Vec<u8>, text: &[u8]| {
        sized(out, b'u', text.len());
        out.extend_from_slice(text);
    };
    match node {
        Node::Null => out.push(b'N'),
        Node::Bool(b) => out.push(if *b { b'T' } else { b'F' }),
        Node::Int(n) => whole(*n, out),
        Node::Float(x) => {
            out.push(b'g');
            out.extend_from_slice(&x.to_le_bytes());
        }
        Node::Text(t) => text(out, t),
        Node::List(items) => {
            sized(out, b'[', items.len());
            items.iter().for_each(|item| pack(item, out));
        }
        Node::Map(members) => {
            out.push(b'{');
            for (name, value) in members {
                text(out, name.as_bytes());
                pack(value, out);
            }
            out.push(b'0');
        }
    }
}

fn whole(n: i64, out: &mut Vec<u8>) {
    if let Ok(small) = i32::try_from(n) {
        out.push(b'i');
        out.extend_from_slice(&small.to_le_bytes());
        return;
    }
    let mut left = n.unsigned_abs();
    let mut digits = Vec::with_capacity(5);
    while left > 0 {
        digits.push((left & ((1 << DIGIT) - 1)) as u16);
        left >>= DIGIT;
    }
    let count = digits.len() as i32;
    out.push(b'l');
    out.extend_from_slice(&(if n < 0 { -count } else { count }).to_le_bytes());
    digits.iter().for_each(|d| out.extend_from_slice(&d.to_le_bytes()));
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Reader<'_> {
    fn take<const N: usize>(&mut self) -> Result<[u8; N], &'static str> {
        let found = self.bytes.get(self.at..).and_then(|b| b.first_chunk::<N>()).ok_or("it ends too early")?;
        self.at += N;
        Ok(*found)
    }

    fn length(&mut self) -> Result<usize, &'static str> {
        let len = i32::from_le_bytes(self.take()?);
        usize::try_from(len).map_err(|_| "a length below zero")
    }

    /// A value; `None` is the end of a dictionary.
    fn value(&mut self, depth: u32) -> Result<Option<Node>, &'static str> {
        if depth > MAX_DEPTH {
            return Err("it is nested too deeply");
        }
        let [code] = self.take()?;
        Ok(Some(match code {
            b'0' => return Ok(None),
            b'N' => Node::Null,
            b'T' => Node::Bool(true),
            b'F' => Node::Bool(false),
            b'i' => Node::Int(i64::from(i32::from_le_bytes(self.take()?))),
            b'l' => self.long()?,
            b'g' => Node::Float(f64::from_le_bytes(self.take()?)),
            b'u' => Node::Text(self.text()?),
            b'[' | b'(' => {
                let len = self.length()?;
                let mut items = Vec::with_capacity(len.min(self.bytes.len() - self.at));
                for _ in 0..len {
                    items.push(self.value(depth + 1)?.ok_or("a list ends too early")?);
                }
                Node::List(items)
            }
            b'{' => {
                let mut members = Vec::new();
                while let Some(key) = self.value(depth + 1)? {
                    let Node::Text(key) = key else { return Err("a name is no text") };
                    let value = self.value(depth + 1)?.ok_or("a dictionary ends too early")?;
                    members.push((Arc::from(String::from_utf8_lossy(&key)), value));
                }
                Node::Map(members)
            }
            _ => return Err("a value of another type than JSON has"),
        }))
    }

    fn text(&mut self) -> Result<Bytes, &'static str> {
        let len = self.length()?;
        let text = self.bytes.get(self.at..).and_then(|b| b.get(..len)).ok_or("it ends too early")?;
        self.at += len;
        // Half a surrogate pair is text in Python and not in UTF-8.
        Ok(Bytes::from(String::from_utf8_lossy(text).into_owned()))
    }

    fn long(&mut self) -> Result<Node, &'static str> {
        let count = i32::from_le_bytes(self.take()?);
        let (mut value, mut scale) = (0_i128, 0_u32);
        let mut large = 0_f64;
        for _ in 0..count.unsigned_abs() {
            let digit = u16::from_le_bytes(self.take()?);
            large += f64::from(digit) * f64::from(scale).exp2();
            if scale <= 4 * DIGIT {
                value |= i128::from(digit) << scale;
            }
            scale = scale.saturating_add(DIGIT);
        }
        let negative = count < 0;
        let exact = if scale <= 5 * DIGIT { i64::try_from(if negative { -value } else { value }).ok() } else { None };
        Ok(exact.map_or(Node::Float(if negative { -large } else { large }), Node::Int))
    }
}
