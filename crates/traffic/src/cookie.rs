//! One value of a `Cookie` header, as RFC 6265 has it in section 4.2.

/// What a line of cookies has under a name: of two with the same name the first, which by section 5.4 is the one of the longer
/// path. Quotes around a value are not part of it, as most servers read them. Nothing is percent-decoded, and names are told
/// apart by case, as in the browser.
pub(crate) fn value<'a>(line: &'a [u8], name: &str) -> Option<&'a [u8]> {
    let mut rest = line;
    loop {
        let pair = rest.trim_ascii_start();
        if let Some(after) = pair.strip_prefix(name.as_bytes()).map(<[u8]>::trim_ascii_start)
            && let Some(value) = after.strip_prefix(b"=")
        {
            let end = value.iter().position(|b| *b == b';').unwrap_or(value.len());
            return Some(unquoted(value[..end].trim_ascii()));
        }
        rest = &pair[pair.iter().position(|b| *b == b';')? + 1..];
    }
}

fn unquoted(value: &[u8]) -> &[u8] {
    value.strip_prefix(b"\"").and_then(|rest| rest.strip_suffix(b"\"")).unwrap_or(value)
}

/// Whether something can be called so: a token of RFC 9110, section 5.6.2.
pub(crate) fn is_name(name: &str) -> bool {
    let fits = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    !name.is_empty() && name.bytes().all(fits)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_cookie_is_found_among_others() {
        let of = |line: &'static str| value(line.as_bytes(), "uid").map(|v| std::str::from_utf8(v).unwrap());
        for line in [
            "uid=42",
            "theme=dark; uid=42",
            "uid=42; theme=dark",
            "a;uid=42;b",
            " uid = 42 ;",
            "uid=\"42\"",
            "xuid=7; uid=42",
        ] {
            assert_eq!(of(line), Some("42"), "{line}");
        }
        assert_eq!(of("uid=a=b=="), Some("a=b=="));
        assert_eq!(of("uid=\"a b\"; x=1"), Some("a b"));
        assert_eq!(of("uid=\""), Some("\""), "one quote is no pair of them");
        assert_eq!(of("uid=%34%32"), Some("%34%32"), "it is taken as it is sent");
        assert_eq!(of("uid=1; uid=2"), Some("1"), "the first of a name");
        assert_eq!(of("uid=; uid=2"), Some(""), "also where it is empty");
        for line in ["", "uid", "UID=42", "uid2=42", "theme=uid=42", "=42", ";;", "theme=dark"] {
            assert_eq!(of(line), None, "{line}");
        }
    }

    proptest! {
        #[test]
        fn whatever_the_bytes_what_is_found_is_part_of_them(line in prop::collection::vec(any::<u8>(), 0..60)) {
            if let Some(found) = value(&line, "a") {
                prop_assert!(found.is_empty() || line.windows(found.len()).any(|w| w == found));
                prop_assert!(!found.contains(&b';'));
            }
        }
    }
}
