//! `POST /ofrep/v1/evaluate/flags[/{key}]`.

use crate::FlagsState;
use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use http::header::{CONTENT_TYPE, ETAG, IF_NONE_MATCH};
use http::{HeaderMap, HeaderValue, StatusCode};
use mainspring_core::{ErrorKind, Failure, Name, Principal};
use mainspring_http::problem::{json_failure, one_text};
use mainspring_http::{Caller, Head};
use mainspring_serving::{Assigned, Describe, Infer};
use mainspring_traffic::{UnitFrom, Why};
use serde_json::{Map, Value, json};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

/// Why a flag has no value.
#[derive(Debug)]
pub(crate) struct Refused {
    key: Option<String>,
    kind: ErrorKind,
    code: &'static str,
    details: String,
}

impl Refused {
    fn bad(code: &'static str, details: impl Into<String>) -> Self {
        Self { key: None, kind: ErrorKind::InvalidInput, code, details: details.into() }
    }

    fn of(key: &str) -> impl FnOnce(Self) -> Self {
        let key = key.to_owned();
        move |why| Self { key: Some(key), ..why }
    }

    fn body(&self) -> Value {
        match &self.key {
            Some(key) => json!({ "key": key, "errorCode": self.code, "errorDetails": self.details }),
            None => json!({ "errorCode": self.code, "errorDetails": self.details }),
        }
    }
}

impl<E: Failure> From<E> for Refused {
    fn from(e: E) -> Self {
        let code = if e.kind() == ErrorKind::NotFound { "FLAG_NOT_FOUND" } else { "GENERAL" };
        Self { key: None, kind: e.kind(), code, details: one_text(&e.to_string(), e.hint().as_deref()) }
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        json_failure(self.kind, &self.details, self.body().to_string().into_bytes())
    }
}

/// What the guard in front says, in the protocol's words.
pub fn render_error(kind: ErrorKind, message: &str, hint: Option<&str>) -> Response {
    Refused { key: None, kind, code: "GENERAL", details: one_text(message, hint) }.into_response()
}

/// The context's targeting key, and what is said beside it; an SDK leaves out a key that is not set.
struct Context<'a> {
    unit: Option<String>,
    head: Head<'a>,
}

impl<'a> Context<'a> {
    fn read(headers: &'a HeaderMap, body: &[u8]) -> Result<Self, Refused> {
        let head = Head(headers);
        if body.is_empty() {
            return Ok(Self { unit: None, head });
        }
        let body: Value = serde_json::from_slice(body)
            .map_err(|e| Refused::bad("PARSE_ERROR", format!("the body is not JSON: {e}")))?;
        let wrong = |what: &str| Refused::bad("INVALID_CONTEXT", what.to_owned());
        let Value::Object(body) = body else { return Err(wrong("the body must be an object with a context")) };
        let unit = match body.get("context") {
            None | Some(Value::Null) => None,
            Some(Value::Object(context)) => match context.get("targetingKey") {
                None | Some(Value::Null) => None,
                Some(Value::String(unit)) if unit.is_empty() => None,
                Some(Value::String(unit)) => Some(unit.clone()),
                Some(other) => return Err(wrong(&format!("targetingKey is {other}; it must be a text"))),
            },
            Some(_) => return Err(wrong("context must be an object")),
        };
        Ok(Self { unit, head })
    }
}

pub(crate) async fn one(
    State(state): State<FlagsState>,
    Caller(who): Caller,
    Path(key): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Refused> {
    let flag = Context::read(&headers, &body).and_then(|context| evaluate(&state, &who, &key, &context));
    Ok(Json(flag.map_err(Refused::of(&key))?).into_response())
}

/// Every deployment that the caller may use, with an entity tag: SDKs in browsers ask again and again.
pub(crate) async fn all(
    State(state): State<FlagsState>,
    Caller(who): Caller,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Refused> {
    let context = Context::read(&headers, &body)?;
    let views = state.serving.list(&state.gate.authorize(&who, Describe { deployment: None })?);
    let flag = |key: &str| evaluate(&state, &who, key, &context).unwrap_or_else(|why| Refused::of(key)(why).body());
    let body = json!({ "flags": views.iter().map(|v| flag(v.name.as_str())).collect::<Vec<_>>() }).to_string();
    let mut hasher = DefaultHasher::new();
    body.hash(&mut hasher);
    let tag = format!("\"{:016x}\"", hasher.finish());
    let known = headers.get_all(IF_NONE_MATCH).iter().filter_map(|v| v.to_str().ok());
    let same = known
        .flat_map(|v| v.split(','))
        .any(|v| matches!(v.trim().trim_start_matches("W/"), t if t == tag || t == "*"));
    let mut response = if same {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        ([(CONTENT_TYPE, HeaderValue::from_static("application/json"))], body).into_response()
    };
    response.headers_mut().insert(ETAG, HeaderValue::from_str(&tag).map_err(|_| Refused::bad("GENERAL", "no tag"))?);
    Ok(response)
}

/// A flag's value for a unit.
fn evaluate(state: &FlagsState, who: &Arc<Principal>, key: &str, context: &Context<'_>) -> Result<Value, Refused> {
    let (deployment, asked) = match key.split_once(':') {
        Some((deployment, variant)) => (deployment, Some(variant)),
        None => (key, None),
    };
    let unknown = |e: &dyn std::fmt::Display| Refused {
        kind: ErrorKind::NotFound,
        ..Refused::bad("FLAG_NOT_FOUND", format!("there is no deployment {deployment:?}: {e}"))
    };
    let deployment = Name::new(deployment).map_err(|e| unknown(&e))?;
    let auth = state.gate.authorize(who, Infer { deployment })?;
    let assigned = state.serving.assigned(&auth, context.unit.as_deref().map(str::as_bytes), &context.head)?;
    if let Some(unit) = &assigned.unit_is_missing {
        return Err(unassigned(unit));
    }
    if assigned.by_inputs {
        let why = "a contextual bandit chooses by what each request carries, which a flag is not told; ask the deployment, and \
                   read the header mainspring-variant of its answer";
        return Err(Refused::bad("GENERAL", why));
    }
    if let Some(asked) = asked
        && !assigned.variants.iter().any(|v| v == asked)
    {
        let have = assigned.variants.join(", ");
        let why = format!(
            "deployment {:?} has no variant {asked:?} now; there are: {have}",
            auth.action().deployment.as_str()
        );
        return Err(Refused { kind: ErrorKind::NotFound, ..Refused::bad("FLAG_NOT_FOUND", why) });
    }
    let value = asked.map_or_else(|| json!(assigned.variant), |asked| json!(*asked == *assigned.variant));
    Ok(json!({
        "key": key,
        "value": value,
        "variant": assigned.variant,
        "reason": reason(&assigned),
        "metadata": metadata(&assigned),
    }))
}

/// Why it cannot be said which variant answers.
fn unassigned(unit: &UnitFrom) -> Refused {
    let (code, details) = match unit {
        UnitFrom::Header(_) | UnitFrom::Field(_) => (
            "TARGETING_KEY_MISSING",
            "the rollout assigns by unit; set the context's targetingKey to the same one that requests carry",
        ),
        UnitFrom::Cookie(_) => (
            "TARGETING_KEY_MISSING",
            "the rollout assigns by a cookie; set the context's targetingKey to its value, or send the cookie",
        ),
        UnitFrom::Key => (
            "TARGETING_KEY_MISSING",
            "the rollout assigns by the caller's API key; ask with the one that requests carry",
        ),
        UnitFrom::Request => (
            "GENERAL",
            "the rollout assigns each request by itself, so nobody has one variant; let its assignment.unit be a header \
             or a field",
        ),
    };
    Refused::bad(code, details)
}

fn reason(assigned: &Assigned) -> &'static str {
    match assigned.why {
        None => "STATIC",
        Some(Why::Assigned) => "SPLIT",
        Some(Why::Forced) => "TARGETING_MATCH",
        // What a unit gets that the rollout does not reach, or whose variant cannot answer.
        Some(Why::HeldOut | Why::OtherPlace | Why::NotReady) => "DEFAULT",
    }
}

/// OpenFeature allows texts, numbers and truth values, one level deep.
fn metadata(assigned: &Assigned) -> Map<String, Value> {
    let mut all = Map::new();
    all.insert("version".into(), json!(assigned.version));
    if let Some(rollout) = &assigned.rollout {
        all.insert("rollout".into(), json!(rollout));
        all.insert("generation".into(), json!(assigned.generation));
        all.insert("propensity".into(), json!(assigned.propensity));
    }
    all
}
