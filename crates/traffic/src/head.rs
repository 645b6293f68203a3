//! What a request says beside its data.

use std::borrow::Cow;

/// The header, or gRPC metadata, in which answers say their variant.
pub const VARIANT_HEADER: &str = "mainspring-variant";

/// Those by which a caller names the variant that is to answer.
const ASKED: [&str; 2] = ["x-mainspring-variant", VARIANT_HEADER];

/// What a request says beside its data. Asked only where a [`crate::Row`] decides, and only for what that row
/// needs, so that nobody copies headers.
pub trait RequestHead: Sync {
    /// The first value of a header, or of gRPC metadata; `name` is in lower case.
    fn header(&self, name: &str) -> Option<&[u8]>;

    /// What `find` finds first among all values of a header, in their order; `name` is in lower case.
    fn find<'a>(&'a self, name: &str, find: &mut dyn FnMut(&'a [u8]) -> Option<&'a [u8]>) -> Option<&'a [u8]>;

    /// The value of a cookie: the first of its name. HTTP/2 may bring each in a line of its own (RFC 9113, section 8.2.3).
    fn cookie(&self, name: &str) -> Option<&[u8]> {
        self.find("cookie", &mut |line| crate::cookie::value(line, name))
    }

    /// The variant that the caller names, in the way of its protocol.
    fn variant(&self) -> Option<Cow<'_, str>> {
        named(self)
    }
}

/// The variant that a caller names in a header, whatever the protocol.
pub fn named<H: RequestHead + ?Sized>(head: &H) -> Option<Cow<'_, str>> {
    let named = |header: &&str| head.header(header).filter(|name| !name.is_empty());
    ASKED.iter().find_map(named).map(String::from_utf8_lossy)
}

/// A request that says nothing beside its data.
impl RequestHead for () {
    fn header(&self, _: &str) -> Option<&[u8]> {
        None
    }

    fn find<'a>(&'a self, _: &str, _: &mut dyn FnMut(&'a [u8]) -> Option<&'a [u8]>) -> Option<&'a [u8]> {
        None
    }
}
