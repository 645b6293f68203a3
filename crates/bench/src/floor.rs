//! Handlers that do nothing, on the stack that the server uses.

use crate::BenchError;
use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use bytes::Bytes;
use mainspring_core::Tasks;
use mainspring_http::{ServeSettings, read_body};
use mainspring_proto_oip::pb;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tonic::service::Routes;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;

/// More than any body that is measured.
const LIMIT: usize = 64 << 20;
const JSON_SIZE: &str = "inference-header-content-length";

const MODEL_INFER: &str = "/inference.GRPCInferenceService/ModelInfer";

/// A free port, which the file then names.
async fn listen(port_file: &str) -> Result<TcpListener, BenchError> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    let port = listener.local_addr()?.port();
    std::fs::write(port_file, port.to_string())
        .map_err(|source| BenchError::File { path: port_file.to_owned(), source })?;
    Ok(listener)
}

/// The gRPC method alone, on tonic's own server, until SIGTERM.
pub async fn tonic(port_file: &str) -> Result<(), BenchError> {
    let incoming = TcpIncoming::from(listen(port_file).await?).with_nodelay(Some(true));
    let routes = Routes::from(Router::new().route(MODEL_INFER, post(grpc)));
    let mut terminate = signal(SignalKind::terminate())?;
    let ended = async move {
        terminate.recv().await;
    };
    Ok(Server::builder().add_routes(routes).serve_with_incoming_shutdown(incoming, ended).await?)
}

/// Serves until SIGTERM.
pub async fn serve(answer: &str, port_file: &str) -> Result<(), BenchError> {
    let bytes = std::fs::read(answer).map_err(|source| BenchError::File { path: answer.to_owned(), source })?;
    let listener = listen(port_file).await?;
    let app = Router::new()
        .route("/v2/models/{model}/infer", post(fixed))
        .route("/echo", post(echo))
        .route(MODEL_INFER, post(grpc))
        .with_state(Bytes::from(bytes));
    let tasks = Tasks::new();
    let stop = tasks.clone();
    let mut terminate = signal(SignalKind::terminate())?;
    let _stopper = tasks.spawn_graceful(async move {
        terminate.recv().await;
        stop.cancelled().cancel();
    });
    mainspring_http::serve(listener, app, ServeSettings::default(), &tasks).await;
    Ok(())
}

async fn fixed(State(answer): State<Bytes>, body: Body) -> Response {
    match read_body(body, LIMIT).await {
        Ok(_read) => ([(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))], answer).into_response(),
        Err(_) => StatusCode::BAD_REQUEST.into_response(),
    }
}

async fn echo(headers: HeaderMap, body: Body) -> Response {
    let Ok(bytes) = read_body(body, LIMIT).await else { return StatusCode::BAD_REQUEST.into_response() };
    let mut response =
        ([(header::CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"))], bytes).into_response();
    if let Some(size) = headers.get(JSON_SIZE) {
        response.headers_mut().insert(JSON_SIZE, size.clone());
    }
    response
}

/// `ModelInfer` that decodes the request and answers the same small message each time.
#[derive(Clone)]
struct Fixed;

impl tonic::server::UnaryService<pb::ModelInferRequest> for Fixed {
    type Response = pb::ModelInferResponse;
    type Future = std::future::Ready<Result<tonic::Response<Self::Response>, tonic::Status>>;

    fn call(&mut self, request: tonic::Request<pb::ModelInferRequest>) -> Self::Future {
        let request = request.into_inner();
        let output = |name: &str, datatype: &str, shape: Vec<i64>| pb::model_infer_response::InferOutputTensor {
            name: name.to_owned(),
            datatype: datatype.to_owned(),
            shape,
            ..Default::default()
        };
        std::future::ready(Ok(tonic::Response::new(pb::ModelInferResponse {
            model_name: request.model_name,
            model_version: "1".to_owned(),
            id: request.id,
            outputs: vec![output("label", "INT64", vec![1]), output("probabilities", "FP32", vec![1, 2])],
            raw_output_contents: vec![Bytes::from_static(&[0; 8]), Bytes::from_static(&[0; 8])],
            ..Default::default()
        })))
    }
}

async fn grpc(request: axum::extract::Request) -> Response {
    let mut server = tonic::server::Grpc::new(tonic_prost::ProstCodec::default());
    server.unary(Fixed, request).await.map(Body::new)
}
