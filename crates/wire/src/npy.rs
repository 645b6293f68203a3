//! Arrays as NumPy writes them to a file: the format `.npy`, versions 1 to 3
//! (`numpy/lib/format.py`), of numbers and truth values in C order, little-endian.

use crate::error::BodyError;
use bytes::Bytes;
use mainspring_core::{DType, Tensor};

const MAGIC: &[u8] = b"\x93NUMPY";
/// What comes before the header: the magic, the version, and in version 1 the header's length.
const PREFIX: usize = 10;
/// NumPy aligns the data to this many bytes.
const ALIGN: usize = 64;
/// The longest header that is read, bytes; NumPy itself refuses longer ones.
const MOST: usize = 10_000;
/// Dimensions of an array at most, as in NumPy 2.
const DIMENSIONS: usize = 64;

fn wrong(why: impl Into<String>) -> BodyError {
    BodyError::Npy { why: why.into() }
}

/// Reads an array. The values share `body`.
///
/// # Errors
/// [`BodyError::Npy`] saying what is wrong with it; [`BodyError::Tensor`] when the values do not fill its
/// shape.
pub fn read(body: &Bytes) -> Result<Tensor, BodyError> {
    let Some(rest) = body.strip_prefix(MAGIC) else { return Err(wrong("it does not begin with NumPy's magic")) };
    let cut = || wrong("it ends in its header");
    let (start, length) = match rest {
        [1, _, a, b, ..] => (PREFIX, usize::from(u16::from_le_bytes([*a, *b]))),
        [2 | 3, _, a, b, c, d, ..] => (PREFIX + 2, u32::from_le_bytes([*a, *b, *c, *d]) as usize),
        [version, _, ..] => return Err(wrong(format!("version {version} of the format is not known"))),
        _ => return Err(cut()),
    };
    if length > MOST {
        return Err(wrong(format!("its header has {length} bytes; {MOST} are read")));
    }
    let header = body.get(start..start + length).ok_or_else(cut)?;
    let header = std::str::from_utf8(header).map_err(|_| wrong("its header is not text"))?;
    let (dtype, shape) = parse(header)?;
    let data = body.slice(start + length..);
    Tensor::from_raw(dtype, shape, data).map_err(|source| BodyError::Tensor { path: "the array".into(), source })
}

/// `{'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }`.
fn parse(header: &str) -> Result<(DType, Vec<usize>), BodyError> {
    let member = |name: &str| {
        let (_, rest) = header.split_once(&format!("'{name}':"))?;
        Some(rest.trim_start())
    };
    let missing = |name: &str| wrong(format!("its header has no {name}"));
    let descr = member("descr").ok_or_else(|| missing("descr"))?;
    let Some(descr) = descr.strip_prefix('\'').and_then(|d| d.split_once('\'')).map(|(d, _)| d) else {
        return Err(wrong("it is a structured array; send plain numbers"));
    };
    let dtype = dtype(descr)?;
    let shape = member("shape").and_then(|s| s.strip_prefix('(')).and_then(|s| s.split_once(')'));
    let shape = shape.ok_or_else(|| missing("shape"))?.0;
    let dimension = |text: &str| text.parse().map_err(|_| wrong(format!("{text:?} is no dimension")));
    let shape: Vec<usize> =
        shape.split(',').map(str::trim).filter(|d| !d.is_empty()).map(dimension).collect::<Result<_, _>>()?;
    if shape.len() > DIMENSIONS {
        return Err(wrong(format!("it has {} dimensions; {DIMENSIONS} are read", shape.len())));
    }
    let fortran = member("fortran_order").ok_or_else(|| missing("fortran_order"))?;
    if fortran.starts_with("True") && shape.iter().filter(|d| **d != 1).count() > 1 {
        return Err(wrong("its values are in Fortran's order; send numpy.ascontiguousarray(array)"));
    }
    Ok((dtype, shape))
}

fn dtype(descr: &str) -> Result<DType, BodyError> {
    Ok(match descr {
        "|b1" | "?" => DType::Bool,
        "|u1" | "<u1" => DType::Uint8,
        "<u2" => DType::Uint16,
        "<u4" => DType::Uint32,
        "<u8" => DType::Uint64,
        "|i1" | "<i1" => DType::Int8,
        "<i2" => DType::Int16,
        "<i4" => DType::Int32,
        "<i8" => DType::Int64,
        "<f2" => DType::Fp16,
        "<f4" => DType::Fp32,
        "<f8" => DType::Fp64,
        big if big.starts_with('>') => return Err(wrong(format!("{big} is big-endian; send little-endian numbers"))),
        other => return Err(wrong(format!("values of type {other} are not read; send numbers"))),
    })
}

/// Writes an array; `None` for text. BF16, which NumPy has not, goes as FP32.
pub fn write(tensor: &Tensor) -> Option<Vec<u8>> {
    let widened;
    let (descr, data) = match tensor.dtype() {
        DType::Bool => ("|b1", tensor.to_wire()),
        DType::Uint8 => ("|u1", tensor.to_wire()),
        DType::Uint16 => ("<u2", tensor.to_wire()),
        DType::Uint32 => ("<u4", tensor.to_wire()),
        DType::Uint64 => ("<u8", tensor.to_wire()),
        DType::Int8 => ("|i1", tensor.to_wire()),
        DType::Int16 => ("<i2", tensor.to_wire()),
        DType::Int32 => ("<i4", tensor.to_wire()),
        DType::Int64 => ("<i8", tensor.to_wire()),
        DType::Fp16 => ("<f2", tensor.to_wire()),
        DType::Fp32 => ("<f4", tensor.to_wire()),
        DType::Fp64 => ("<f8", tensor.to_wire()),
        DType::Bf16 => {
            let wide: Vec<f32> = tensor.to_vec::<half::bf16>()?.into_iter().map(half::bf16::to_f32).collect();
            widened = Tensor::from_vec(DType::Fp32, tensor.shape().to_vec(), wide).ok()?;
            ("<f4", widened.to_wire())
        }
        DType::Bytes => return None,
    };
    let shape: Vec<String> = tensor.shape().iter().map(usize::to_string).collect();
    let shape = if shape.len() == 1 { format!("({},)", shape.join("")) } else { format!("({})", shape.join(", ")) };
    let mut header = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}");
    let used = PREFIX + header.len() + 1;
    header.push_str(&" ".repeat(used.next_multiple_of(ALIGN) - used));
    header.push('\n');
    let mut out = Vec::with_capacity(PREFIX + header.len() + data.len());
    out.extend_from_slice(MAGIC);
    out.extend_from_slice(&[1, 0]);
    out.extend_from_slice(&u16::try_from(header.len()).ok()?.to_le_bytes());
    out.extend_from_slice(header.as_bytes());
    out.extend_from_slice(&data);
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// What `numpy.save` writes for `numpy.array([[1.5, -2], [0, 4]], numpy.float32)`.
    fn saved() -> Vec<u8> {
        let mut text = b"\x93NUMPY\x01\x00\x76\x00{'descr': '<f4', 'fortran_order': False, 'shape': (2, 2), }".to_vec();
        text.resize(127, b' ');
        text.push(b'\n');
        for value in [1.5_f32, -2.0, 0.0, 4.0] {
            text.extend_from_slice(&value.to_le_bytes());
        }
        text
    }

    #[test]
    fn an_array_is_read_and_written_as_numpy_does() {
        let tensor = read(&saved().into()).unwrap();
        assert_eq!((tensor.dtype(), tensor.shape()), (DType::Fp32, &[2, 2][..]));
        assert_eq!(tensor.to_vec::<f32>().unwrap(), [1.5, -2.0, 0.0, 4.0]);
        assert_eq!(write(&tensor).unwrap(), saved());
    }

    #[test]
    fn what_is_not_understood_is_said() {
        let with = |from: &str, to: &str| {
            let text: Vec<u8> = saved();
            let header = String::from_utf8_lossy(&text[10..128]).replace(from, to);
            let mut out = text[..8].to_vec();
            out.extend_from_slice(&u16::try_from(header.len()).unwrap().to_le_bytes());
            out.extend_from_slice(header.as_bytes());
            out.extend_from_slice(&text[128..]);
            read(&out.into()).unwrap_err().to_string()
        };
        assert!(with("<f4", ">f4").contains("big-endian"));
        assert!(with("'<f4'", "'|O'").contains("values of type |O"));
        assert!(with("'<f4'", "[('a', '<f4')]").contains("structured"));
        assert!(with("False", "True").contains("Fortran"));
        assert!(with("(2, 2)", "(2, 3)").contains("needs 24 bytes, got 16"));
        assert!(with("(2, 2)", "(2, -2)").contains("no dimension"));
        assert!(with("'shape'", "'shapes'").contains("no shape"));
        assert!(read(&Bytes::from_static(b"PK\x03\x04")).unwrap_err().to_string().contains("magic"));
        assert!(
            read(&Bytes::from_static(b"\x93NUMPY\x01\x00\xff\x00{"))
                .unwrap_err()
                .to_string()
                .contains("ends in its header")
        );
    }

    proptest! {
        #[test]
        fn any_bytes_are_refused_or_read(tail in proptest::collection::vec(any::<u8>(), 0..80), at in 0_usize..144) {
            let mut body = saved();
            let at = at.min(body.len());
            for (to, from) in body[at..].iter_mut().zip(tail) {
                *to = from;
            }
            if let Ok(tensor) = read(&body.into()) {
                let again = read(&write(&tensor).unwrap().into()).unwrap();
                prop_assert_eq!(again, tensor);
            }
        }
    }
}
