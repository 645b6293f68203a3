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
}
