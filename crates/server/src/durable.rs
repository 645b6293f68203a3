//! `journal.sync: always`: an answer that carries a prediction leaves only once the journal has it
//! on disk. Answers that wait together share one `fsync`. Messages of a WebSocket or of a gRPC stream
//! follow their connection's first answer and do not wait one by one.

use axum::Router;
use axum::extract::Request;
use axum::middleware::{Next, from_fn};
use axum::response::Response;
use http::Method;
use mainspring_core::Failure;
use mainspring_http::Render;
use mainspring_journal::Journal;

/// Makes answers of `routes` wait, when the journal is set to: those to a POST on a path by which
/// `predicts`.
pub fn layer(routes: Router, journal: &Journal, render: Render, predicts: fn(&str) -> bool) -> Router {
    if !journal.is_durable() {
        return routes;
    }
    let journal = journal.clone();
    routes.layer(from_fn(move |request: Request, next: Next| {
        let journal = journal.clone();
        async move {
            let predicts = request.method() == Method::POST && predicts(request.uri().path());
            let response: Response = next.run(request).await;
            if !predicts {
                return response;
            }
            match journal.settled().await {
                Ok(()) => response,
                Err(e) => render(e.kind(), &e.to_string(), e.hint().as_deref()),
            }
        }
    }))
}
