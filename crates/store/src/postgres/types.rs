//! Values in Postgres's binary format, by the type that the server wants or sends. The formats are
//! those of the `*send` and `*recv` functions in `src/backend/utils/adt`.

use crate::value::Value;
use sqlx::encode::{Encode, IsNull};
use sqlx::error::BoxDynError;
use sqlx::postgres::{PgArgumentBuffer, PgTypeInfo, PgValueFormat, PgValueRef, Postgres};
use sqlx::{Type, TypeInfo, ValueRef};

/// A value and the type of the parameter that it is for.
pub(super) struct Param<'a> {
    pub(super) value: &'a Value,
    pub(super) ty: PgTypeInfo,
}

impl Type<Postgres> for Param<'_> {
    fn type_info() -> PgTypeInfo {
        <String as Type<Postgres>>::type_info()
    }
}

impl<'q> Encode<'q, Postgres> for Param<'_> {
    fn encode_by_ref(&self, buf: &mut PgArgumentBuffer) -> Result<IsNull, BoxDynError> {
        if matches!(self.value, Value::Null) {
            return Ok(IsNull::Yes);
        }
        encode(self.value, self.ty.name(), buf)?;
        Ok(IsNull::No)
    }

    fn produces(&self) -> Option<PgTypeInfo> {
        Some(self.ty.clone())
    }
}

fn encode(value: &Value, ty: &str, buf: &mut Vec<u8>) -> Result<(), BoxDynError> {
    let int = match value {
        Value::Int(i) => Some(*i),
        Value::Bool(b) => Some((*b).into()),
        _ => None,
    };
    let narrow = |i: i64| format!("is {i}, too large for {ty}; write CAST($n AS BIGINT) in the statement");
    match (ty, value) {
        ("INT8", Value::Int(_) | Value::Bool(_)) => buf.extend(int.unwrap_or_default().to_be_bytes()),
        ("INT4", Value::Int(i)) => buf.extend(i32::try_from(*i).map_err(|_| narrow(*i))?.to_be_bytes()),
        ("INT2", Value::Int(i)) => buf.extend(i16::try_from(*i).map_err(|_| narrow(*i))?.to_be_bytes()),
        ("INT4", Value::Bool(b)) => buf.extend(i32::from(*b).to_be_bytes()),
        ("INT2", Value::Bool(b)) => buf.extend(i16::from(*b).to_be_bytes()),
        ("FLOAT8", Value::Real(r)) => buf.extend(r.to_be_bytes()),
        ("FLOAT8", Value::Int(i)) => buf.extend((*i as f64).to_be_bytes()),
        ("FLOAT4", Value::Real(r)) => buf.extend((*r as f32).to_be_bytes()),
        ("FLOAT4", Value::Int(i)) => buf.extend((*i as f32).to_be_bytes()),
        ("NUMERIC", Value::Int(i)) => encode_numeric(*i, buf),
        ("BOOL", Value::Bool(b)) => buf.push((*b).into()),
        ("BOOL", Value::Int(i @ (0 | 1))) => buf.push(*i as u8),
        ("TEXT" | "VARCHAR" | "CHAR" | "NAME" | "JSON" | "unknown", Value::Text(t)) => {
            if t.contains('\0') {
                return Err("contains a NUL character, which Postgres cannot store in text".into());
            }
            buf.extend(t.as_bytes());
        }
        ("JSONB", Value::Text(t)) => {
            // The version of the format, then the text.
            buf.push(1);
            buf.extend(t.as_bytes());
        }
        ("BYTEA", Value::Blob(b)) => buf.extend(b),
        ("UUID", Value::Blob(b)) if b.len() == 16 => buf.extend(b),
        _ => return Err(format!("is {}, but the statement wants {ty}", value.type_name()).into()),
    }
    Ok(())
}

/// `numeric` holds digits to the base 10,000, the highest first, with the weight of the first.
fn encode_numeric(value: i64, buf: &mut Vec<u8>) {
    let mut digits = Vec::new();
    let mut rest = value.unsigned_abs();
    while rest > 0 {
        digits.push((rest % 10_000) as u16);
        rest /= 10_000;
    }
    let weight = (digits.len() as i16 - 1).max(0);
    let sign: u16 = if value < 0 { 0x4000 } else { 0 };
    for word in [digits.len() as u16, weight as u16, sign, 0].into_iter().chain(digits.into_iter().rev()) {
        buf.extend(word.to_be_bytes());
    }
}

/// A column's value. The error says what was found.
pub(super) fn decode(raw: &PgValueRef<'_>) -> Result<Value, String> {
    if raw.is_null() {
        return Ok(Value::Null);
    }
    let ty = raw.type_info();
    let name = ty.name().to_owned();
    if raw.format() != PgValueFormat::Binary {
        return Err(format!("{name} in text format"));
    }
    let bytes = raw.as_bytes().map_err(|e| e.to_string())?;
    decode_bytes(&name, bytes)
}

fn decode_bytes(ty: &str, bytes: &[u8]) -> Result<Value, String> {
    let size = || format!("{ty} of {} bytes", bytes.len());
    Ok(match ty {
        "INT8" => Value::Int(i64::from_be_bytes(fixed(bytes).ok_or_else(size)?)),
        "INT4" => Value::Int(i32::from_be_bytes(fixed(bytes).ok_or_else(size)?).into()),
        "INT2" => Value::Int(i16::from_be_bytes(fixed(bytes).ok_or_else(size)?).into()),
        "OID" => Value::Int(u32::from_be_bytes(fixed(bytes).ok_or_else(size)?).into()),
        "FLOAT8" => Value::Real(f64::from_be_bytes(fixed(bytes).ok_or_else(size)?)),
        "FLOAT4" => Value::Real(f32::from_be_bytes(fixed(bytes).ok_or_else(size)?).into()),
        "BOOL" => Value::Bool(fixed::<1>(bytes).ok_or_else(size)?[0] != 0),
        "NUMERIC" => decode_numeric(bytes).ok_or_else(|| "a NUMERIC that is not a number".to_owned())?,
        "TEXT" | "VARCHAR" | "CHAR" | "NAME" | "JSON" | "unknown" => text(bytes, ty)?,
        "JSONB" => text(bytes.get(1..).unwrap_or_default(), ty)?,
        "BYTEA" | "UUID" => Value::Blob(bytes.to_vec()),
        "VOID" => Value::Null,
        other => return Err(format!("the type {other}, which is not supported; cast it in the statement")),
    })
}

fn fixed<const N: usize>(bytes: &[u8]) -> Option<[u8; N]> {
    bytes.try_into().ok()
}

fn text(bytes: &[u8], ty: &str) -> Result<Value, String> {
    std::str::from_utf8(bytes).map(|t| Value::Text(t.to_owned())).map_err(|_| format!("{ty} that is not UTF-8"))
}

/// `SUM` of a `BIGINT` column is a `numeric`. One without a fraction that fits reads as an integer,
/// any other as the nearest float; NaN and the infinities of `numeric` are refused.
fn decode_numeric(bytes: &[u8]) -> Option<Value> {
    let mut words = bytes.chunks_exact(2).map(|c| u16::from_be_bytes([c[0], c[1]]));
    let count = usize::from(words.next()?);
    let weight = i32::from(words.next()? as i16);
    let sign = words.next()?;
    let _scale = words.next()?;
    let digits: Vec<u16> = words.take(count).collect();
    let negative = match sign {
        0 => false,
        0x4000 => true,
        _ => return None,
    };
    if digits.len() != count || digits.iter().any(|d| *d > 9999) {
        return None;
    }
    // One integer digit group for each weight down to 0, then the fraction.
    let mut whole: Option<i128> = Some(0);
    let mut text = String::from(if negative { "-" } else { "" });
    for place in 0..=weight.max(0) {
        // Groups before the first digit's weight do not exist; those after the last are zero.
        let group = if weight < 0 { 0 } else { digits.get(place as usize).copied().unwrap_or(0) };
        whole = whole.and_then(|w| w.checked_mul(10_000)?.checked_add(group.into()));
        text.push_str(&format!("{group:04}"));
    }
    let fraction = digits.iter().skip(usize::try_from(weight + 1).unwrap_or(0));
    text.push('.');
    (weight + 1..0).for_each(|_| text.push_str("0000"));
    fraction.clone().for_each(|group| text.push_str(&format!("{group:04}")));
    let integral = fraction.clone().all(|d| *d == 0);
    let signed = whole.map(|w| if negative { -w } else { w }).and_then(|w| i64::try_from(w).ok());
    match signed {
        Some(i) if integral => Some(Value::Int(i)),
        _ => text.parse().ok().map(Value::Real),
    }
}

#[cfg(test)]
mod tests;
