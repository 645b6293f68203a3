//! Which part of a file a request wants: `Range`, `If-Range` and `If-None-Match` (RFC 9110, 13 and 14).

use http::HeaderMap;
use http::header::{AsHeaderName, IF_NONE_MATCH, IF_RANGE, RANGE};
use std::ops::Range;

/// What to answer with.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    /// The client has it already.
    Nothing,
    /// All of it.
    Whole,
    /// These bytes.
    Part(Range<u64>),
    /// No byte that was asked for exists.
    Outside,
}

fn text(headers: &HeaderMap, name: impl AsHeaderName) -> Option<&str> {
    headers.get(name).and_then(|v| v.to_str().ok()).map(str::trim)
}

/// What a request with these headers wants of a file of `size` bytes. Several ranges at once, and
/// units that are not bytes, may be answered with the whole file, and are.
pub(super) fn wanted(headers: &HeaderMap, size: u64, etag: &str) -> Wanted {
    if let Some(known) = text(headers, IF_NONE_MATCH)
        && known.split(',').map(str::trim).any(|tag| tag == "*" || tag.trim_start_matches("W/") == etag)
    {
        return Wanted::Nothing;
    }
    if text(headers, IF_RANGE).is_some_and(|tag| tag != etag) {
        return Wanted::Whole;
    }
    match text(headers, RANGE).and_then(parse) {
        None => Wanted::Whole,
        Some(asked) => part(asked, size),
    }
}

/// `a-b`, `a-` or `-n` of `bytes=…`.
#[derive(Debug, Clone, Copy)]
enum Asked {
    From(u64, Option<u64>),
    Last(u64),
}

fn parse(header: &str) -> Option<Asked> {
    let (first, last) = header.strip_prefix("bytes=")?.split_once('-')?;
    let number = |t: &str| t.bytes().all(|b| b.is_ascii_digit()).then(|| t.parse().ok()).flatten();
    match (first.trim(), last.trim()) {
        ("", n) => number(n).map(Asked::Last),
        (a, "") => number(a).map(|a| Asked::From(a, None)),
        (a, b) => {
            let (a, b) = (number(a)?, number(b)?);
            (a <= b).then_some(Asked::From(a, Some(b)))
        }
    }
}

fn part(asked: Asked, size: u64) -> Wanted {
    let range = match asked {
        Asked::From(a, b) => a..b.map_or(size, |b| b.saturating_add(1)).min(size),
        Asked::Last(n) => size.saturating_sub(n)..size,
    };
    if range.start < range.end { Wanted::Part(range) } else { Wanted::Outside }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn of(headers: &[(&'static str, &'static str)]) -> Wanted {
        let headers = headers.iter().map(|(k, v)| (k.parse().unwrap(), HeaderValue::from_static(v))).collect();
        wanted(&headers, 10, "\"t\"")
    }

    #[test]
    fn one_range_of_bytes_is_cut_to_the_file() {
        for (range, wanted) in [
            ("bytes=0-3", Wanted::Part(0..4)),
            ("bytes=4-", Wanted::Part(4..10)),
            ("bytes=-3", Wanted::Part(7..10)),
            ("bytes=-99", Wanted::Part(0..10)),
            ("bytes=9-99", Wanted::Part(9..10)),
            ("bytes=0-18446744073709551615", Wanted::Part(0..10)),
            ("bytes=10-", Wanted::Outside),
            ("bytes=-0", Wanted::Outside),
            ("bytes=3-2", Wanted::Whole),
            ("bytes=+1-2", Wanted::Whole),
            ("bytes=0-1,3-4", Wanted::Whole),
            ("bytes=99999999999999999999-", Wanted::Whole),
            ("bytes=-", Wanted::Whole),
            ("lines=1-2", Wanted::Whole),
        ] {
            assert_eq!(of(&[("range", range)]), wanted, "{range}");
        }
        assert_eq!(wanted(&HeaderMap::new(), 0, "\"t\""), Wanted::Whole);
    }

    #[test]
    fn a_tag_decides_whether_and_which() {
        assert_eq!(of(&[("if-none-match", "\"t\"")]), Wanted::Nothing);
        assert_eq!(of(&[("if-none-match", "\"a\", W/\"t\"")]), Wanted::Nothing);
        assert_eq!(of(&[("if-none-match", "*"), ("range", "bytes=0-1")]), Wanted::Nothing);
        assert_eq!(of(&[("if-none-match", "\"other\""), ("range", "bytes=0-1")]), Wanted::Part(0..2));
        assert_eq!(of(&[("if-range", "\"t\""), ("range", "bytes=0-1")]), Wanted::Part(0..2));
        assert_eq!(of(&[("if-range", "\"other\""), ("range", "bytes=0-1")]), Wanted::Whole);
        assert_eq!(of(&[("if-range", "W/\"t\""), ("range", "bytes=0-1")]), Wanted::Whole);
    }
}
