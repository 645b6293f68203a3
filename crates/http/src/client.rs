//! The one client for everything that leaves the process. An address that a user names can reach
//! public hosts only: names are resolved once, what they resolve to is checked, and exactly that
//! is connected to, so a second answer of the name server cannot redirect the request inside.

use mainspring_core::{ErrorKind, Failure};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::redirect::Policy;
use reqwest::{Method, RequestBuilder, Url};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

/// Which hosts a client may connect to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// Public addresses only: for URLs that users name.
    Public,
    /// Any address: for URLs that the operator configured, and for the command line.
    Anywhere,
}

/// How a client behaves.
#[derive(Debug, Clone)]
pub struct ClientSettings {
    /// Which hosts it may connect to.
    pub reach: Reach,
    /// Limit for a whole exchange; `None` for streams.
    pub timeout: Option<Duration>,
    /// Limit for connecting.
    pub connect_timeout: Duration,
    /// PEM certificates to trust besides the system's, e.g. a server's self-signed one.
    pub extra_roots: Vec<Vec<u8>>,
    /// Whether a redirect is followed, as a GET where the standard says so. What must arrive as it was sent follows none.
    pub redirects: bool,
}

impl Default for ClientSettings {
    fn default() -> Self {
        Self {
            reach: Reach::Public,
            timeout: Some(Duration::from_secs(30)),
            connect_timeout: Duration::from_secs(5),
            extra_roots: Vec::new(),
            redirects: true,
        }
    }
}

/// Why a request was not sent, or failed.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Not an absolute http or https URL without credentials in it.
    #[error("{url:?} cannot be called: {reason}")]
    Url {
        /// The text given.
        url: String,
        /// Why not.
        reason: String,
    },
    /// An address that is not public.
    #[error("{host} is not a public address, and this request may only leave for public ones")]
    Inside {
        /// The host, with the address it resolved to.
        host: String,
    },
    /// The client could not be made.
    #[error("the HTTP client cannot start: {0}")]
    Setup(String),
    /// The exchange failed.
    #[error("the request failed: {}", chain(.0))]
    Http(#[from] reqwest::Error),
}

/// reqwest keeps the cause (refused, name not found, certificate) in the sources.
fn chain(error: &reqwest::Error) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

impl Failure for ClientError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Url { .. } => ErrorKind::InvalidInput,
            Self::Inside { .. } => ErrorKind::Denied,
            Self::Setup(_) => ErrorKind::Internal,
            Self::Http(e) if e.is_timeout() => ErrorKind::DeadlineExceeded,
            Self::Http(_) => ErrorKind::Unavailable,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Http(e) if e.is_connect() => Some("check that the server runs and the address is right".into()),
            _ => None,
        }
    }
}

/// Whether `address` is on the public internet. Everything private, local, shared, reserved or
/// translated from such an address is not (IANA special-purpose registries).
pub fn is_public(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(a) => is_public_v4(a),
        IpAddr::V6(a) => is_public_v6(a),
    }
}

fn is_public_v4(a: Ipv4Addr) -> bool {
    let [b0, b1, b2, _] = a.octets();
    !(a.is_private()
        || a.is_loopback()
        || a.is_link_local()
        || a.is_broadcast()
        || a.is_documentation()
        || a.is_multicast()
        || b0 == 0
        || b0 >= 240
        || (b0 == 100 && (64..128).contains(&b1))
        || (b0 == 198 && (b1 == 18 || b1 == 19))
        || (b0 == 192 && b1 == 0 && b2 == 0)
        || (b0 == 192 && b1 == 88 && b2 == 99))
}

fn is_public_v6(a: Ipv6Addr) -> bool {
    let s = a.segments();
    let embedded = |hi: u16, lo: u16| Ipv4Addr::from((u32::from(hi) << 16) | u32::from(lo));
    // Only 2000::/3 is handed out; 6to4, Teredo and NAT64 carry an IPv4 address inside.
    match (s[0], s[1]) {
        (0x64, 0xff9b) => s[2..6] == [0; 4] && is_public_v4(embedded(s[6], s[7])),
        (0x2002, _) => is_public_v4(embedded(s[1], s[2])),
        (0x2001, 0..=0x1ff | 0xdb8) | (0x3fff, 0..=0xfff) => false,
        (first, _) => first & 0xe000 == 0x2000,
    }
}

/// Refuses names that resolve to anything but public addresses.
struct PublicOnly;

impl Resolve for PublicOnly {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let host = name.as_str().to_owned();
            let found: Vec<SocketAddr> = tokio::net::lookup_host((host.as_str(), 0)).await?.collect();
            if let Some(inside) = found.iter().find(|a| !is_public(a.ip())) {
                return Err(ClientError::Inside { host: format!("{host} ({})", inside.ip()) }.into());
            }
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}

/// A URL whose host is written as an address never reaches the resolver.
fn literal_is_inside(url: &Url) -> bool {
    url.host_str()
        .and_then(|h| h.trim_matches(['[', ']']).parse::<IpAddr>().ok())
        .is_some_and(|address| !is_public(address))
}

/// The first bytes of an answer's body, `most` at most, and whether that is all of it. A body that ends in an error is not.
pub async fn beginning(mut answer: reqwest::Response, most: usize) -> (Vec<u8>, bool) {
    let mut body = Vec::new();
    loop {
        match answer.chunk().await {
            Ok(Some(more)) => body.extend_from_slice(&more),
            Ok(None) => return (body, true),
            Err(_) => return (body, false),
        }
        if body.len() > most {
            body.truncate(most);
            return (body, false);
        }
    }
}

/// The guarded client. Cheap to clone; clones share connections.
#[derive(Debug, Clone)]
pub struct Client {
    inner: reqwest::Client,
    reach: Reach,
}

impl Client {
    /// A client with these settings.
    ///
    /// # Errors
    /// [`ClientError::Setup`] when TLS cannot be set up.
    pub fn new(settings: &ClientSettings) -> Result<Self, ClientError> {
        // A second installation is refused and leaves the first, which is the same.
        let _installed = tokio_rustls::rustls::crypto::ring::default_provider().install_default();
        let setup = |e: reqwest::Error| ClientError::Setup(chain(&e));
        let mut builder = reqwest::Client::builder()
            .user_agent(concat!("mainspring/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(settings.connect_timeout)
            .tcp_nodelay(true)
            .no_proxy();
        if let Some(timeout) = settings.timeout {
            builder = builder.timeout(timeout);
        }
        let mut roots = Vec::with_capacity(settings.extra_roots.len());
        for pem in &settings.extra_roots {
            roots.push(reqwest::Certificate::from_pem(pem).map_err(setup)?);
        }
        if !roots.is_empty() {
            builder = builder.tls_certs_merge(roots);
        }
        if settings.reach == Reach::Public {
            builder = builder.dns_resolver(Arc::new(PublicOnly));
        }
        builder = builder.redirect(match (settings.redirects, settings.reach) {
            (false, _) => Policy::none(),
            (true, Reach::Anywhere) => Policy::limited(5),
            (true, Reach::Public) => Policy::custom(|attempt| {
                if attempt.previous().len() > 5 {
                    attempt.error("more than 5 redirects")
                } else if literal_is_inside(attempt.url()) {
                    let host = attempt.url().host_str().unwrap_or_default().to_owned();
                    attempt.error(ClientError::Inside { host })
                } else {
                    attempt.follow()
                }
            }),
        });
        Ok(Self { inner: builder.build().map_err(setup)?, reach: settings.reach })
    }

    /// Begins a request, after the URL was checked.
    ///
    /// # Errors
    /// [`ClientError`] when the URL is not http(s), carries credentials, or names an address this
    /// client may not reach.
    pub fn request(&self, method: Method, url: &str) -> Result<RequestBuilder, ClientError> {
        let bad = |reason: String| ClientError::Url { url: url.to_owned(), reason };
        let parsed = Url::parse(url).map_err(|e| bad(e.to_string()))?;
        if !matches!(parsed.scheme(), "http" | "https") {
            return Err(bad("only http and https can be called".into()));
        }
        if !parsed.username().is_empty() || parsed.password().is_some() {
            return Err(bad("credentials do not belong into a URL; send them as a header".into()));
        }
        if self.reach == Reach::Public && literal_is_inside(&parsed) {
            return Err(ClientError::Inside { host: parsed.host_str().unwrap_or_default().to_owned() });
        }
        Ok(self.inner.request(method, parsed))
    }
}
