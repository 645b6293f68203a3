//! `POST /endpoints/{name}/invocations`.

use crate::AwsState;
use crate::error::{INVOKED, Refused};
use axum::body::Body;
use axum::extract::{Path, Request, State};
use axum::response::Response;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderName, HeaderValue};
use mainspring_core::{ErrorKind, Name, Principal, Protocol};
use mainspring_http::Caller;
use mainspring_proto_mlflow::scoring::{self, Accepted, Call, Door, Media};
use mainspring_traffic::{RequestHead, named};
use std::borrow::Cow;
use std::sync::Arc;
use std::time::Instant;

const CUSTOM: HeaderName = HeaderName::from_static("x-amzn-sagemaker-custom-attributes");
const VARIANT: HeaderName = HeaderName::from_static("x-amzn-sagemaker-target-variant");
const INFERENCE_ID: HeaderName = HeaderName::from_static("x-amzn-sagemaker-inference-id");

/// The longest attributes that SageMaker takes, bytes.
const MOST_CUSTOM: usize = 1024;

/// What asks for more than a deployment does, by header.
const NOT_BUILT: [(&str, &str); 5] = [
    ("x-amzn-sagemaker-target-model", "a deployment serves one model: name the one that has it as EndpointName"),
    ("x-amzn-sagemaker-target-container-hostname", "a deployment has no containers"),
    ("x-amzn-sagemaker-enable-explanations", "answers are not explained"),
    ("x-amzn-sagemaker-inference-component", "name the deployment as EndpointName"),
    ("x-amzn-sagemaker-session-id", "requests stand alone: there are no sessions"),
];

/// What the headers say of the rows and of the answer.
pub(crate) struct Forms {
    pub media: Media,
    pub accepted: Accepted,
}

impl Forms {
    /// By `Content-Type` and `Accept`, as SageMaker's own containers understand them: CSV may come
    /// without a header line (`text/csv; header=present` and `header=absent` say whether there is one), JSON may be a
    /// bare list.
    pub(crate) fn of(headers: &HeaderMap) -> Result<Self, scoring::Refused> {
        let given = headers.get(CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or("");
        let mut pieces = given.split(';').map(|p| p.trim().to_ascii_lowercase());
        let mime = pieces.next().unwrap_or_default();
        let header = pieces.find(|p| p.starts_with("header="));
        let media = match mime.as_str() {
            "application/json" => Media::JsonRows,
            "text/csv" => match header.as_deref() {
                Some("header=present") => Media::Csv,
                Some("header=absent") => Media::CsvPlain,
                _ => Media::CsvRows,
            },
            "application/jsonlines" | "application/x-jsonlines" => Media::JsonLines,
            "application/x-npy" => Media::Npy,
            _ => {
                return Err(scoring::Refused::media_type(format!(
                    "the content type is {given:?}; application/json, text/csv, application/jsonlines and \
                     application/x-npy are understood"
                )));
            }
        };
        let accepted = Accepted::of(headers).map_err(|asked| {
            let message = format!(
                "Accept is {asked:?}; application/json, text/csv, application/jsonlines and application/x-npy can be \
                 answered"
            );
            scoring::Refused::new(ErrorKind::InvalidInput, message)
        })?;
        Ok(Self { media, accepted })
    }
}

/// Reads the rows and answers them.
pub(crate) async fn rows(call: Call, headers: &HeaderMap, body: Body) -> Result<Response, scoring::Refused> {
    let read = async {
        let Forms { media, accepted } = Forms::of(headers)?;
        let body = call.read(body, move |bytes, contract| scoring::Body::read(media, None, bytes, contract)).await?;
        Ok((body, accepted))
    };
    match read.await {
        Ok((body, accepted)) => scoring::answer(call, body, accepted).await,
        Err(why) => Err(call.refuse(why)),
    }
}

/// What a request says beside its rows; SageMaker's `TargetVariant` names the variant.
pub(crate) struct Target<'a>(pub &'a HeaderMap);

impl RequestHead for Target<'_> {
    fn header(&self, name: &str) -> Option<&[u8]> {
        self.0.get(name).map(HeaderValue::as_bytes)
    }

    fn find<'a>(&'a self, name: &str, find: &mut dyn FnMut(&'a [u8]) -> Option<&'a [u8]>) -> Option<&'a [u8]> {
        self.0.get_all(name).iter().find_map(|value| find(value.as_bytes()))
    }

    fn variant(&self) -> Option<Cow<'_, str>> {
        let target = self.0.get(&VARIANT).filter(|v| !v.is_empty());
        target.map(|v| String::from_utf8_lossy(v.as_bytes())).or_else(|| named(self))
    }
}

fn text(headers: &HeaderMap, name: &HeaderName) -> Option<String> {
    headers.get(name).and_then(|v| v.to_str().ok()).filter(|t| !t.is_empty()).map(str::to_owned)
}

pub(crate) async fn invoke(
    State(state): State<AwsState>,
    Caller(who): Caller,
    Path(name): Path<String>,
    request: Request,
) -> Result<Response, Refused> {
    let received = Instant::now();
    let (parts, body) = request.into_parts();
    let headers = &parts.headers;
    for (header, why) in NOT_BUILT {
        if headers.contains_key(header) {
            return Err(Refused::new(ErrorKind::InvalidInput, format!("{header} is not understood")).hint(why));
        }
    }
    let custom = headers.get(&CUSTOM).cloned();
    if custom.as_ref().is_some_and(|c| c.len() > MOST_CUSTOM) {
        let message = format!("CustomAttributes has over {MOST_CUSTOM} characters");
        return Err(Refused::new(ErrorKind::InvalidInput, message));
    }
    let call = open(&state, &who, &name, (received, headers))?;
    let asked = HeaderValue::from_str(&call.contract().target.variant).ok();
    let mut response = rows(call, headers, body).await.map_err(|why| Refused::model(&why))?;
    let headers = response.headers_mut();
    // Where the rows decided, it is another one; an answer of no rows was given by nobody.
    if let Some(variant) = headers.get(scoring::VARIANT).cloned().or(asked) {
        headers.insert(INVOKED, variant);
    }
    if let Some(custom) = custom {
        headers.insert(CUSTOM, custom);
    }
    Ok(response)
}

fn open(
    state: &AwsState,
    who: &Arc<Principal>,
    endpoint: &str,
    (received, headers): (Instant, &HeaderMap),
) -> Result<Call, Refused> {
    let name = Name::new(endpoint)
        .map_err(|e| Refused::new(ErrorKind::NotFound, format!("there is no endpoint {endpoint:?}: {e}")))?;
    let door = Door::new(Protocol::Sagemaker, received, headers).map_err(|e| Refused::before(&e))?;
    let door = door.client_id(text(headers, &INFERENCE_ID).map(Arc::from));
    let call = Call::open(&state.scoring, who, name, door, &Target(headers)).map_err(|e| Refused::before(&e))?;
    let serves = &call.contract().target.variant;
    match text(headers, &VARIANT) {
        Some(wanted) if *wanted != **serves => {
            let message = format!("endpoint {endpoint:?} has no variant {wanted:?}; it has {serves:?}");
            Err(Refused::new(ErrorKind::NotFound, message))
        }
        _ => Ok(call),
    }
}

pub(crate) async fn not_built() -> Refused {
    Refused::new(ErrorKind::Unimplemented, "asynchronous and streamed invocations are not built")
        .hint("call invoke_endpoint, or run whole files with `mainspring predict`")
}
