//! Protobuf as bytes: a message read field by field, and fields written.
//!
//! Fields that nobody here knows are kept as they are, which a parser of the whole `onnx.proto` of one release would not
//! promise for the next.

/// A field with what it holds.
#[derive(Clone, Copy)]
pub(super) struct Field<'a> {
    pub number: u64,
    pub value: Value<'a>,
    /// With its tag.
    pub whole: &'a [u8],
}

#[derive(Clone, Copy)]
pub(super) enum Value<'a> {
    Varint(u64),
    Bytes(&'a [u8]),
    Fixed,
}

impl<'a> Field<'a> {
    pub(super) fn bytes(&self) -> Option<&'a [u8]> {
        if let Value::Bytes(bytes) = self.value { Some(bytes) } else { None }
    }

    pub(super) fn text(&self) -> Option<&'a str> {
        self.bytes().and_then(|bytes| std::str::from_utf8(bytes).ok())
    }
}

/// The fields of a message; `None` when it is damaged.
pub(super) fn fields(message: &[u8]) -> Option<Vec<Field<'_>>> {
    let mut rest = message;
    let mut found = Vec::new();
    while !rest.is_empty() {
        let at = rest;
        let tag = varint(&mut rest)?;
        let value = match tag & 7 {
            0 => Value::Varint(varint(&mut rest)?),
            1 => taken(&mut rest, 8).map(|_| Value::Fixed)?,
            2 => {
                let length = usize::try_from(varint(&mut rest)?).ok()?;
                Value::Bytes(taken(&mut rest, length)?)
            }
            5 => taken(&mut rest, 4).map(|_| Value::Fixed)?,
            _ => return None,
        };
        found.push(Field { number: tag >> 3, value, whole: &at[..at.len() - rest.len()] });
    }
    Some(found)
}

/// The varints of a repeated number, packed into one field or not.
pub(super) fn numbers(field: &Field<'_>, into: &mut Vec<u64>) -> Option<()> {
    match field.value {
        Value::Varint(number) => into.push(number),
        Value::Bytes(mut packed) => {
            while !packed.is_empty() {
                into.push(varint(&mut packed)?);
            }
        }
        Value::Fixed => return None,
    }
    Some(())
}

fn taken<'a>(rest: &mut &'a [u8], length: usize) -> Option<&'a [u8]> {
    let (bytes, after) = rest.split_at_checked(length)?;
    *rest = after;
    Some(bytes)
}

fn varint(rest: &mut &[u8]) -> Option<u64> {
    let mut value = 0_u64;
    for shift in (0..70).step_by(7) {
        let (byte, after) = rest.split_first()?;
        *rest = after;
        value |= u64::from(byte & 0x7f).checked_shl(shift).unwrap_or(0);
        if *byte < 0x80 {
            return Some(value);
        }
    }
    None
}

/// Appends a field of bytes.
pub(super) fn put(into: &mut Vec<u8>, number: u64, bytes: &[u8]) {
    put_varint(into, number << 3 | 2);
    put_varint(into, bytes.len() as u64);
    into.extend_from_slice(bytes);
}

/// Appends a field of a number.
pub(super) fn put_number(into: &mut Vec<u8>, number: u64, value: u64) {
    put_varint(into, number << 3);
    put_varint(into, value);
}

fn put_varint(into: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        into.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    into.push(value as u8);
}
