use super::*;
use proptest::prelude::*;

fn numeric(words: &[i32]) -> Vec<u8> {
    words.iter().flat_map(|w| (*w as u16).to_be_bytes()).collect()
}

#[test]
fn numerics() {
    // count, weight, sign, scale, then groups of four decimal digits
    let cases: [(&[i32], Value); 9] = [
        (&[0, 0, 0, 0], Value::Int(0)),
        (&[1, 0, 0, 0, 12], Value::Int(12)),
        (&[1, 1, 0, 0, 1], Value::Int(10_000)),
        (&[2, 1, 0x4000, 0, 1, 2345], Value::Int(-12_345)),
        (&[2, 0, 0, 2, 1, 2500], Value::Real(1.25)),
        (&[1, -1, 0, 4, 5000], Value::Real(0.5)),
        (&[1, -2, 0, 8, 1], Value::Real(1e-8)),
        (&[2, 0, 0, 2, 3, 0], Value::Int(3)),
        (&[1, 9, 0, 0, 1], Value::Real(1e36)),
    ];
    for (words, expected) in cases {
        assert_eq!(decode_numeric(&numeric(words)), Some(expected), "{words:?}");
    }
    for bad in [&[0, 0, 0xC000, 0][..], &[1, 0, 0xD000, 0], &[2, 0, 0, 0, 1], &[1, 0, 0, 0, 10_000], &[1, 0]] {
        assert_eq!(decode_numeric(&numeric(bad)), None, "{bad:?}");
    }
}

proptest! {
    #[test]
    fn integers_survive_numeric(value: i64) {
        let mut buf = Vec::new();
        encode_numeric(value, &mut buf);
        prop_assert_eq!(decode_numeric(&buf), Some(Value::Int(value)));
    }

    /// Bytes from a server, right or wrong, never panic.
    #[test]
    fn any_bytes_decode_or_are_refused(bytes in proptest::collection::vec(any::<u8>(), 0..40), ty in 0..18_usize) {
        let types = ["INT8", "INT4", "INT2", "OID", "FLOAT8", "FLOAT4", "BOOL", "NUMERIC", "TEXT", "VARCHAR", "CHAR",
            "NAME", "JSON", "JSONB", "BYTEA", "UUID", "VOID", "POINT"];
        let decoded = decode_bytes(types[ty], &bytes);
        prop_assert!(types[ty] != "POINT" || decoded.is_err());
    }
}
