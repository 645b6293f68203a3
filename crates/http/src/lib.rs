//! The HTTP kit: listeners, TLS, the guard in front of every route, bodies and their limits,
//! problem+json, server-sent events, embedded files, and the one guarded client for everything
//! that leaves the process. It knows no domain.

pub mod assets;
pub mod body;
pub mod client;
pub mod coding;
mod gather;
pub mod guard;
mod head;
pub mod problem;
pub mod serve;
pub mod sse;
pub mod tls;

pub use body::{BodyError, Json, Limit, read_body, read_body_aligned, stream_body};
pub use client::{Client, ClientError, ClientSettings, Reach};
pub use coding::{Coding, CodingError};
pub use guard::{AuthFailure, Authenticator, Caller, Credential, Guard, Guarded, MaybeCaller, Peer};
pub use head::Head;
pub use problem::{ApiError, Problem, Render, problem};
pub use serve::{App, ServeSettings, apart, serve};
pub use sse::sse;
pub use tls::{TlsError, TlsSettings};

#[cfg(test)]
mod tests;
