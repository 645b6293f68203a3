//! Server-sent events (WHATWG HTML §9.2).

use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures::{Stream, StreamExt};
use http::HeaderValue;
use serde::Serialize;
use std::convert::Infallible;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// A live stream of JSON values, each under the event name that comes with it. A comment is sent
/// every 15 s so that proxies keep the connection; the stream ends at shutdown, so that draining
/// does not wait for it.
pub fn sse<T, S>(events: S, stop: CancellationToken) -> Response
where
    T: Serialize,
    S: Stream<Item = (&'static str, T)> + Send + 'static,
{
    let events = events
        .take_until(stop.cancelled_owned())
        .filter_map(|(name, value)| std::future::ready(Event::default().event(name).json_data(value).ok()))
        .map(Ok::<_, Infallible>);
    let mut response = Sse::new(events).keep_alive(KeepAlive::new().interval(Duration::from_secs(15))).into_response();
    response.headers_mut().insert("x-accel-buffering", HeaderValue::from_static("no"));
    response
}
