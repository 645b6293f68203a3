//! Whether a browser was led here by somebody else's page. Requests that carry no key are told
//! apart by `Host` (against DNS rebinding) and `Origin` (against cross-site requests).

use http::Request;
use http::header::{FORWARDED, HOST, HeaderName, ORIGIN};
use std::net::IpAddr;

/// Why a request without a key is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Trick {
    /// `Host` is not a name of this server.
    Host,
    /// `Origin` is another site.
    Origin,
    /// A proxy passed it on: the address seen is the proxy's, not the client's.
    Proxy,
}

impl Trick {
    pub(super) fn message(self) -> &'static str {
        match self {
            Self::Host => {
                "requests without a key must call this server as localhost, 127.0.0.1, [::1] or one of its configured names"
            }
            Self::Origin => "the request comes from a page of another site (its Origin is not this server)",
            Self::Proxy => "requests that a proxy passes on need an API key",
        }
    }
}

/// The authority the client called: `:authority` in HTTP/2, `Host` in HTTP/1.
fn authority<B>(request: &Request<B>) -> Option<&str> {
    match request.uri().authority() {
        Some(authority) => Some(authority.as_str()),
        None => request.headers().get(HOST).and_then(|v| v.to_str().ok()),
    }
}

/// The host part of `host`, `host:port`, `[v6]` or `[v6]:port`.
fn host_of(authority: &str) -> &str {
    if let Some(rest) = authority.strip_prefix('[') {
        return rest.split(']').next().unwrap_or(rest);
    }
    authority.rsplit_once(':').map_or(authority, |(host, _)| host)
}

fn is_ours(host: &str, configured: &[String]) -> bool {
    host.eq_ignore_ascii_case("localhost")
        || host.parse::<IpAddr>().is_ok_and(|a| a.is_loopback())
        || configured.iter().any(|name| name.eq_ignore_ascii_case(host))
}

/// Checks a request that is to be trusted only because it comes from this machine.
pub(super) fn check_loopback<B>(request: &Request<B>, configured: &[String]) -> Result<(), Trick> {
    const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
    if !authority(request).is_some_and(|a| is_ours(host_of(a), configured)) {
        return Err(Trick::Host);
    }
    let headers = request.headers();
    if headers.contains_key(FORWARDED_FOR) || headers.contains_key(FORWARDED) {
        return Err(Trick::Proxy);
    }
    check_origin(request)
}

/// `Origin`, when there is one, must name the authority that was called.
pub(super) fn check_origin<B>(request: &Request<B>) -> Result<(), Trick> {
    let Some(origin) = request.headers().get(ORIGIN) else { return Ok(()) };
    let from = origin.to_str().ok().and_then(|o| o.split_once("://")).map(|(_, authority)| authority);
    match (from, authority(request)) {
        (Some(from), Some(called)) if from.eq_ignore_ascii_case(called) => Ok(()),
        _ => Err(Trick::Origin),
    }
}
