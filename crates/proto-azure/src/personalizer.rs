//! The routes of Azure Personalizer, versions 1.0 and 1.1-preview.

use crate::AzureState;
use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use mainspring_core::{ErrorKind, Failure, Name};
use mainspring_http::Caller;
use mainspring_http::problem::{json_failure, one_text};
use mainspring_personalize::{Candidate, Rank, RankRequest};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::collections::HashMap;

/// Why there is no answer.
#[derive(Debug)]
pub(crate) struct Refused {
    kind: ErrorKind,
    message: String,
}

impl<E: Failure> From<E> for Refused {
    fn from(e: E) -> Self {
        Self { kind: e.kind(), message: one_text(&e.to_string(), e.hint().as_deref()) }
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        render_error(self.kind, &self.message, None)
    }
}

/// `{"error": {"code": …, "message": …}}`.
pub fn render_error(kind: ErrorKind, message: &str, hint: Option<&str>) -> Response {
    let code = match kind {
        ErrorKind::InvalidInput => "BadRequest",
        ErrorKind::NotFound => "ResourceNotFound",
        ErrorKind::Internal => "InternalServerError",
        other => other.as_str(),
    };
    let body = json!({ "error": { "code": code, "message": one_text(message, hint) } });
    json_failure(kind, message, body.to_string().into_bytes())
}

fn bad(message: impl Into<String>) -> Refused {
    Refused { kind: ErrorKind::InvalidInput, message: message.into() }
}

fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, Refused> {
    serde_json::from_slice(body).map_err(|e| bad(format!("the body is not what this call takes: {e}")))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RankBody {
    #[serde(default)]
    context_features: Option<Value>,
    actions: Vec<ActionBody>,
    #[serde(default)]
    excluded_actions: Option<Vec<String>>,
    #[serde(default)]
    event_id: Option<String>,
    #[serde(default)]
    defer_activation: Option<bool>,
}

#[derive(Deserialize)]
struct ActionBody {
    id: String,
    #[serde(default)]
    features: Option<Value>,
}

#[derive(Deserialize)]
struct RewardBody {
    value: f64,
}

/// The personalizer of a path, and its event if the path has one.
fn named(path: &HashMap<String, String>) -> Result<(Rank, &str), Refused> {
    let part = |name: &str| path.get(name).map_or("", String::as_str);
    if !part("version").starts_with("v1.") {
        let message = format!("there is no version {:?} of this API; there is v1.0", part("version"));
        return Err(Refused { kind: ErrorKind::NotFound, message });
    }
    let name = Name::new(part("name"));
    let personalizer = name.map_err(|e| Refused {
        kind: ErrorKind::NotFound,
        message: format!("there is no personalizer {:?}: {e}", part("name")),
    })?;
    Ok((Rank { personalizer }, part("event")))
}

pub(crate) async fn rank(
    State(state): State<AzureState>,
    Caller(who): Caller,
    Path(path): Path<HashMap<String, String>>,
    body: Bytes,
) -> Result<Response, Refused> {
    let (action, _) = named(&path)?;
    let auth = state.gate.authorize(&who, action)?;
    let body: RankBody = read(&body)?;
    let candidate = |a: ActionBody| Candidate { id: a.id, features: a.features.unwrap_or_default() };
    let request = RankRequest {
        event: body.event_id.filter(|id| !id.is_empty()),
        context: body.context_features.unwrap_or_default(),
        actions: body.actions.into_iter().map(candidate).collect(),
        excluded: body.excluded_actions.unwrap_or_default(),
        deferred: body.defer_activation.unwrap_or(false),
    };
    let ranked = state.personalizers.rank(&auth, request)?;
    let ranking: Vec<Value> =
        ranked.ranking.iter().map(|(id, probability)| json!({ "id": id, "probability": probability })).collect();
    let body = json!({ "ranking": ranking, "eventId": ranked.event, "rewardActionId": ranked.action });
    Ok((StatusCode::CREATED, Json(body)).into_response())
}

pub(crate) async fn reward(
    State(state): State<AzureState>,
    Caller(who): Caller,
    Path(path): Path<HashMap<String, String>>,
    body: Bytes,
) -> Result<Response, Refused> {
    let (action, event) = named(&path)?;
    let auth = state.gate.authorize(&who, action)?;
    let RewardBody { value } = read(&body)?;
    state.personalizers.reward(&auth, event, value).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

pub(crate) async fn activate(
    State(state): State<AzureState>,
    Caller(who): Caller,
    Path(path): Path<HashMap<String, String>>,
) -> Result<Response, Refused> {
    let (action, event) = named(&path)?;
    let auth = state.gate.authorize(&who, action)?;
    state.personalizers.activate(&auth, event)?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

pub(crate) async fn multislot() -> Refused {
    let message = "several slots at once are not built; rank each slot by itself, and exclude what was chosen before";
    Refused { kind: ErrorKind::Unimplemented, message: message.into() }
}
