//! Headers, for what a routing row asks of a request.

use http::HeaderMap;
use mainspring_traffic::RequestHead;

/// What a request says in its headers.
#[derive(Debug, Clone, Copy)]
pub struct Head<'a>(pub &'a HeaderMap);

impl RequestHead for Head<'_> {
    fn header(&self, name: &str) -> Option<&[u8]> {
        self.0.get(name).map(http::HeaderValue::as_bytes)
    }

    fn find<'a>(&'a self, name: &str, find: &mut dyn FnMut(&'a [u8]) -> Option<&'a [u8]>) -> Option<&'a [u8]> {
        self.0.get_all(name).iter().find_map(|value| find(value.as_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cookie_is_found_in_whichever_line_it_stands() {
        let mut headers = HeaderMap::new();
        for line in ["theme=dark; lang=de", "uid=42", "uid=43; other=1"] {
            headers.append(http::header::COOKIE, line.parse().unwrap());
        }
        let head = Head(&headers);
        assert_eq!(head.cookie("lang"), Some(&b"de"[..]));
        assert_eq!(head.cookie("uid"), Some(&b"42"[..]), "the first wins");
        assert_eq!(head.cookie("other"), Some(&b"1"[..]));
        assert_eq!(head.cookie("nobody"), None);
        assert_eq!("cookie:uid".parse::<mainspring_traffic::UnitFrom>().unwrap().beside(&head), Some(&b"42"[..]));
    }
}
