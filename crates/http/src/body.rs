//! Request bodies: read whole under a limit and an idle timeout, streamed, or parsed as JSON.

use crate::gather::Gathered;
use crate::problem::ApiError;
use axum::body::Body;
use axum::extract::{FromRequest, Request};
use bytes::Bytes;
use futures::Stream;
use http_body::Body as _;
use http_body_util::BodyExt;
use mainspring_core::{ErrorKind, Failure, in_plain_words};
use serde::de::DeserializeOwned;
use std::io;
use std::time::{Duration, Instant};

/// How long a client may pause in the middle of a body.
const IDLE: Duration = Duration::from_secs(30);

/// The slowest that a body may come once it has taken longer than [`IDLE`], bytes a second. Without
/// it a client that sends a byte now and then would hold its memory and its connection for days.
const SLOWEST: u64 = 1024;

/// The limit that [`Json`] reads under when the router sets none.
const DEFAULT_LIMIT: usize = 64 << 20;

/// The largest body that [`Json`] reads, bytes; set it with `axum::Extension(Limit(n))`.
#[derive(Debug, Clone, Copy)]
pub struct Limit(pub usize);

/// Why a body could not be read.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    /// Over the limit.
    #[error("the body is over the limit of {limit} bytes")]
    TooLarge {
        /// The limit, bytes.
        limit: usize,
    },
    /// Nothing came for a while, or too little.
    #[error("the body came too slowly: nothing for {} s, or under {SLOWEST} bytes a second", IDLE.as_secs())]
    Stalled,
    /// The connection broke.
    #[error("the body ended early: {0}")]
    Broken(String),
}

impl Failure for BodyError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::TooLarge { .. } => ErrorKind::TooLarge,
            Self::Stalled => ErrorKind::DeadlineExceeded,
            Self::Broken(_) => ErrorKind::Cancelled,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::TooLarge { .. } => Some(
                "send fewer rows a request, or start the server with a larger limits.body (--limits-body) where that is its limit"
                    .into(),
            ),
            _ => None,
        }
    }
}

/// Reads a whole body of at most `limit` bytes. A body that arrives in one piece is not copied. A
/// declared length over the limit is refused before anything is read.
///
/// # Errors
/// [`BodyError`] when it is too large, stalls or breaks off.
pub async fn read_body(body: Body, limit: usize) -> Result<Bytes, BodyError> {
    read_within(body, Plan { limit, idle: IDLE, aligned_at: 0 }).await
}

/// As [`read_body`]. A body that comes in several pieces is put together so that its byte `at` stands
/// at a multiple of [`ALIGNMENT`] in memory: the numbers that begin there can be used as they are.
///
/// # Errors
/// As [`read_body`].
pub async fn read_body_aligned(body: Body, limit: usize, at: usize) -> Result<Bytes, BodyError> {
    read_within(body, Plan { limit, idle: IDLE, aligned_at: at }).await
}

/// What allocators give to any block that is at least this long, and as much as any element type needs.
pub const ALIGNMENT: usize = 16;

/// How a body is read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plan {
    pub limit: usize,
    pub idle: Duration,
    pub aligned_at: usize,
}

pub(crate) async fn read_within(mut body: Body, plan: Plan) -> Result<Bytes, BodyError> {
    let Plan { limit, idle, aligned_at } = plan;
    let declared = body.size_hint().exact();
    if declared.is_some_and(|n| n > limit as u64) {
        return Err(BodyError::TooLarge { limit });
    }
    let mut pace = Pace::new(idle);
    let Some(first) = next_data(&mut body, &mut pace).await? else { return Ok(Bytes::new()) };
    if first.len() > limit {
        return Err(BodyError::TooLarge { limit });
    }
    if body.is_end_stream() || declared == Some(first.len() as u64) {
        return Ok(first);
    }
    let mut whole = Gathered::new(declared, aligned_at);
    whole.push(&first);
    drop(first);
    while let Some(data) = next_data(&mut body, &mut pace).await? {
        if whole.len() + data.len() > limit {
            return Err(BodyError::TooLarge { limit });
        }
        whole.push(&data);
    }
    Ok(whole.finish())
}

/// How fast a body came so far. The clock is looked at only when data has to be waited for.
struct Pace {
    idle: Duration,
    waited_since: Option<Instant>,
    had: u64,
}

impl Pace {
    fn new(idle: Duration) -> Self {
        Self { idle, waited_since: None, had: 0 }
    }

    /// How long the next piece may take.
    fn patience(&mut self) -> Duration {
        let now = Instant::now();
        let since = *self.waited_since.get_or_insert(now);
        let whole = self.idle + Duration::from_millis(self.had * 1000 / SLOWEST);
        self.idle.min((since + whole).saturating_duration_since(now))
    }
}

async fn next_data(body: &mut Body, pace: &mut Pace) -> Result<Option<Bytes>, BodyError> {
    loop {
        // The timer is made only when the data is not here yet.
        let frame = match futures::poll!(body.frame()) {
            std::task::Poll::Ready(frame) => frame,
            std::task::Poll::Pending => {
                tokio::time::timeout(pace.patience(), body.frame()).await.map_err(|_| BodyError::Stalled)?
            }
        };
        match frame {
            None => return Ok(None),
            Some(Err(e)) => return Err(BodyError::Broken(e.to_string())),
            Some(Ok(frame)) => {
                if let Ok(data) = frame.into_data() {
                    pace.had += data.len() as u64;
                    return Ok(Some(data));
                }
            }
        }
    }
}

/// A body as a stream without a size limit, for artifacts. It ends with an error when the client is
/// too slow, as in [`read_body`].
pub fn stream_body(body: Body) -> impl Stream<Item = io::Result<Bytes>> + Send + 'static {
    futures::stream::unfold(Some((body, Pace::new(IDLE))), |state| async move {
        let (mut body, mut pace) = state?;
        match next_data(&mut body, &mut pace).await {
            Ok(None) => None,
            Ok(Some(bytes)) => Some((Ok(bytes), Some((body, pace)))),
            Err(e) => {
                let kind = match &e {
                    BodyError::Stalled => io::ErrorKind::TimedOut,
                    _ => io::ErrorKind::UnexpectedEof,
                };
                Some((Err(io::Error::new(kind, e)), None))
            }
        }
    })
}

/// A JSON body. Its refusal names line, column and path. An empty body is read as `{}`, so that a
/// request whose fields are all optional needs none.
#[derive(Debug)]
pub struct Json<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Json<T> {
    type Rejection = ApiError;

    async fn from_request(req: Request, _state: &S) -> Result<Self, ApiError> {
        let limit = req.extensions().get::<Limit>().map_or(DEFAULT_LIMIT, |l| l.0);
        let bytes = read_body(req.into_body(), limit).await?;
        parse(if bytes.is_empty() { b"{}" } else { &bytes }).map(Self)
    }
}

/// Parses JSON; the error names the path, the line and the column.
///
/// # Errors
/// [`ApiError`] of kind `InvalidInput`.
pub fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, ApiError> {
    match serde_json::from_slice(bytes) {
        Ok(value) => Ok(value),
        Err(fast) => Err(explain::<T>(bytes, &fast)),
    }
}

/// The second, slower reading that finds the path; only on the way to a refusal.
fn explain<T: DeserializeOwned>(bytes: &[u8], fast: &serde_json::Error) -> ApiError {
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let path = serde_path_to_error::deserialize::<_, T>(&mut reader).err().map(|e| e.path().to_string());
    let fast = in_plain_words(&fast.to_string());
    let message = match path.as_deref() {
        Some(path) if path != "." && !path.is_empty() => format!("the JSON body is wrong at {path}: {fast}"),
        _ => format!("the JSON body is wrong: {fast}"),
    };
    ApiError::new(ErrorKind::InvalidInput, message)
}
