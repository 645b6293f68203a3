//! What stands in front of every route: who is asking, and whether a browser was tricked into it.

mod layer;
mod origin;
mod parse;

pub use layer::{Finish, Guarded};
pub use parse::session_token;

use crate::problem::{ApiError, Render};
use axum::Router;
use axum::extract::FromRequestParts;
use http::Extensions;
use http::request::Parts;
use mainspring_core::{ErrorKind, Failure, Principal};
use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tower::Layer as _;

/// The name of the console's session cookie.
pub const SESSION_COOKIE: &str = "mainspring_session";

/// The header in which the console repeats its CSRF token on anything but GET and HEAD.
pub const CSRF_HEADER: &str = "x-csrf-token";

/// What a request brought along to say who it is from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Credential<'a> {
    /// An API key: from `Authorization: Bearer`, from Basic (as password, or as user with an empty
    /// password), from `x-api-key` or Azure's `Ocp-Apim-Subscription-Key`, or from the session token of an AWS client.
    Key(&'a str),
    /// The console's session.
    Session {
        /// The cookie's value.
        token: &'a str,
        /// The CSRF header's value.
        csrf: Option<&'a str>,
        /// Whether the method changes nothing (GET, HEAD), so that no CSRF token is needed.
        safe: bool,
    },
}

/// Why a credential was not accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AuthFailure {
    /// Nobody knows the key; it may have been revoked.
    #[error("the API key is not known here; it may have been revoked")]
    UnknownKey,
    /// The key is past its expiry.
    #[error("the API key has expired")]
    ExpiredKey,
    /// The session is not known, or too old.
    #[error("the session has ended")]
    SessionEnded,
    /// The session's CSRF token is missing or wrong.
    #[error("the {CSRF_HEADER} header is missing or does not belong to this session")]
    Csrf,
    /// Too many wrong credentials from this address.
    #[error("too many wrong credentials from this address; wait {} s", .0.as_secs().max(1))]
    Throttled(Duration),
    /// The `Authorization` header is of a scheme, or has a form, that is not understood.
    #[error("the Authorization header is not understood: {0}")]
    Malformed(&'static str),
}

impl Failure for AuthFailure {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Csrf => ErrorKind::Denied,
            Self::Throttled(_) => ErrorKind::Overloaded,
            _ => ErrorKind::Unauthenticated,
        }
    }

    fn hint(&self) -> Option<String> {
        Some(
            match self {
                Self::UnknownKey | Self::ExpiredKey => "make a key on the server: mainspring key create --role read",
                Self::SessionEnded => "log in again",
                Self::Csrf => "reload the page",
                Self::Throttled(_) => "check the key that your client sends",
                Self::Malformed(_) => "send the key as 'Authorization: Bearer KEY' or 'x-api-key: KEY'",
            }
            .into(),
        )
    }
}

/// The port by which the guard asks who somebody is. Called on every request: it must not block.
pub trait Authenticator: Send + Sync + 'static {
    /// Who this credential, coming from `from`, belongs to.
    ///
    /// # Errors
    /// [`AuthFailure`] when it is not accepted.
    fn authenticate(&self, credential: Credential<'_>, from: IpAddr) -> Result<Arc<Principal>, AuthFailure>;

    /// Who a request without credentials from this machine itself is; `None` when even that needs
    /// a key.
    fn loopback(&self) -> Option<Arc<Principal>>;

    /// Names, besides `localhost` and loopback addresses, by which requests without credentials
    /// may call this server (its `Host`).
    fn hosts(&self) -> &[String] {
        &[]
    }
}

/// The connection a request came over and who was found to be asking. `serve` puts one into each
/// request; the guard fills in the principal.
#[derive(Debug, Clone)]
pub struct Peer {
    address: SocketAddr,
    tls: bool,
    caller: Option<Arc<Principal>>,
}

impl Peer {
    /// A connection from `address`.
    pub fn new(address: SocketAddr, tls: bool) -> Self {
        Self { address, tls, caller: None }
    }

    /// The other end.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Whether the connection is encrypted.
    pub fn tls(&self) -> bool {
        self.tls
    }
}

/// Who is asking. As an extractor it refuses with 401 on a route that no guard protects.
#[derive(Debug, Clone)]
pub struct Caller(pub Arc<Principal>);

impl Caller {
    /// The caller of a request with these extensions, e.g. of a tonic request.
    pub fn of(extensions: &Extensions) -> Option<Arc<Principal>> {
        extensions.get::<Peer>().and_then(|p| p.caller.clone())
    }

    /// Sets the caller, as the guard does; for servers that authenticate by other means.
    pub fn put(extensions: &mut Extensions, who: Arc<Principal>) {
        if let Some(peer) = extensions.get_mut::<Peer>() {
            peer.caller = Some(who);
        } else {
            let peer = Peer { caller: Some(who), ..Peer::new(SocketAddr::from(([0, 0, 0, 0], 0)), false) };
            extensions.insert(peer);
        }
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Caller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, ApiError> {
        Self::of(&parts.extensions)
            .map(Self)
            .ok_or_else(|| ApiError::new(ErrorKind::Unauthenticated, "this needs credentials"))
    }
}

/// Who is asking, if anybody known: for routes that answer everybody.
#[derive(Debug, Clone)]
pub struct MaybeCaller(pub Option<Arc<Principal>>);

impl<S: Send + Sync> FromRequestParts<S> for MaybeCaller {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Infallible> {
        Ok(Self(Caller::of(&parts.extensions)))
    }
}

/// Puts an authenticator in front of routers, each with the error shape of its protocol.
#[derive(Clone)]
pub struct Guard {
    authenticator: Arc<dyn Authenticator>,
}

impl std::fmt::Debug for Guard {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Guard")
    }
}

impl Guard {
    /// A guard that asks `authenticator`.
    pub fn new(authenticator: Arc<dyn Authenticator>) -> Self {
        Self { authenticator }
    }

    /// Refuses whoever is not known, before any handler runs.
    pub fn protect(&self, router: Router, render: Render) -> Router {
        router.layer(layer::GuardLayer::new(self.clone(), render, true))
    }

    /// As [`protect`](Self::protect), a service that is no router.
    pub fn protect_service<S>(&self, service: S, render: Render) -> Guarded<S> {
        layer::GuardLayer::new(self.clone(), render, true).layer(service)
    }

    /// Lets everybody in and says who they are where that is known: health, login, the console's
    /// own files.
    pub fn open(&self, router: Router, render: Render) -> Router {
        router.layer(layer::GuardLayer::new(self.clone(), render, false))
    }
}
