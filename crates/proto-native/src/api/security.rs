//! Keys, sessions and the audit trail.

use super::{Failures, Reply};
use crate::dto::security::{
    AuditPage, CreateKeyRequest, CreatedKey, KeyList, LoginRequest, RotateKeyRequest, SessionView,
};
use crate::dto::system::PageQuery;
use crate::extract::{Params, Seg, page_size};
use crate::state::NativeState;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use http::header::{CONTENT_TYPE, SET_COOKIE};
use http::{HeaderMap, StatusCode};
use mainspring_core::{ErrorKind, Principal, Tenant};
use mainspring_http::guard::{SESSION_COOKIE, session_token};
use mainspring_http::{ApiError, Caller, Json as JsonBody, Peer};
use mainspring_security::{
    CloseSession, CreateKey, ListKeys, NewKey, OpenSession, ReadAudit, RevokeKey, RotateKey, csrf_of,
};
use std::time::Duration;

/// How long an old key works beside the new one when nobody says.
const GRACE: Duration = Duration::from_hours(1);

/// Whether the browser's own connection is encrypted, here or by a proxy in front. Whoever claims it
/// falsely only keeps his own browser from sending the cookie.
fn encrypted(peer: &Peer, headers: &HeaderMap) -> bool {
    peer.tls() || headers.get("x-forwarded-proto").is_some_and(|p| p == "https")
}

/// `Secure` is left out only over clear text, where the browser would not send it back.
fn set_cookie(token: &str, max_age: i64, encrypted: bool) -> String {
    let secure = if encrypted { "; Secure" } else { "" };
    format!("{SESSION_COOKIE}={token}; Path=/; HttpOnly; SameSite=Strict; Max-Age={max_age}{secure}")
}

fn session_view(who: &Principal) -> SessionView {
    SessionView {
        subject: who.subject.to_string(),
        tenant: who.tenant.to_string(),
        role: who.role.into(),
        csrf_token: None,
        expires_at: None,
    }
}

/// Another site can make a browser post a form or plain text here, but not JSON: that needs a
/// preflight, which nothing here answers.
fn require_json(headers: &HeaderMap) -> Result<(), ApiError> {
    let json = headers
        .get(CONTENT_TYPE)
        .and_then(|v| v.to_str().ok())
        .is_some_and(|t| t.split(';').next().is_some_and(|t| t.trim().eq_ignore_ascii_case("application/json")));
    if json { Ok(()) } else { Err(ApiError::new(ErrorKind::InvalidInput, "a login is sent as application/json")) }
}

#[utoipa::path(post, path = "/api/v1/session", operation_id = "login", tag = "security",
    request_body = LoginRequest,
    responses((status = 200, description = "The session; its cookie is set", body = SessionView), Failures))]
pub(crate) async fn login(
    State(s): State<NativeState>,
    Extension(peer): Extension<Peer>,
    headers: HeaderMap,
    JsonBody(request): JsonBody<LoginRequest>,
) -> Result<Response, ApiError> {
    require_json(&headers)?;
    let who = s.security.authenticate_key(request.key.trim(), peer.address().ip())?;
    let session = s.security.login(&s.may(&who, OpenSession)?, request.key.trim()).await?;
    let seconds = (session.expires_at.micros() - s.ctx.now().micros()) / 1_000_000;
    let cookie = set_cookie(session.token.reveal(), seconds, encrypted(&peer, &headers));
    let view = SessionView {
        csrf_token: Some(session.csrf),
        expires_at: Some(session.expires_at.into()),
        ..session_view(&session.who)
    };
    Ok(([(SET_COOKIE, cookie)], Json(view)).into_response())
}

#[utoipa::path(get, path = "/api/v1/session", operation_id = "getSession", tag = "security",
    responses((status = 200, description = "Who is asking", body = SessionView), Failures))]
pub(crate) async fn get_session(
    State(s): State<NativeState>,
    Caller(who): Caller,
    headers: HeaderMap,
) -> Reply<SessionView> {
    let mut view = session_view(&who);
    if let Some(token) = session_token(&headers)
        && s.security.authenticate_session(token, None).is_ok_and(|owner| owner == who)
    {
        view.csrf_token = Some(csrf_of(token));
        view.expires_at = s.security.session_expiry(token).map(Into::into);
    }
    Ok(Json(view))
}

#[utoipa::path(delete, path = "/api/v1/session", operation_id = "logout", tag = "security",
    responses((status = 204, description = "The session has ended"), Failures))]
pub(crate) async fn logout(
    State(s): State<NativeState>,
    Caller(who): Caller,
    Extension(peer): Extension<Peer>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    if let Some(token) = session_token(&headers) {
        s.security.logout(&s.may(&who, CloseSession)?, token).await?;
    }
    Ok((StatusCode::NO_CONTENT, [(SET_COOKIE, set_cookie("", 0, encrypted(&peer, &headers)))]).into_response())
}

#[utoipa::path(get, path = "/api/v1/keys", operation_id = "listKeys", tag = "security",
    responses((status = 200, description = "Every key, without secrets", body = KeyList), Failures))]
pub(crate) async fn list_keys(State(s): State<NativeState>, Caller(who): Caller) -> Reply<KeyList> {
    let keys = s.security.list_keys(&s.may(&who, ListKeys)?).await?;
    Ok(Json(KeyList { keys: keys.into_iter().map(Into::into).collect() }))
}

#[utoipa::path(post, path = "/api/v1/keys", operation_id = "createKey", tag = "security",
    request_body = CreateKeyRequest,
    responses((status = 201, description = "The key; it is shown once", body = CreatedKey), Failures))]
pub(crate) async fn create_key(
    State(s): State<NativeState>,
    Caller(who): Caller,
    JsonBody(request): JsonBody<CreateKeyRequest>,
) -> Result<(StatusCode, Json<CreatedKey>), ApiError> {
    let auth = s.may(&who, CreateKey { label: request.label.clone() })?;
    let tenant = request.tenant.as_deref().map(Tenant::new).transpose();
    let tenant = tenant.map_err(|e| ApiError::new(ErrorKind::InvalidInput, format!("tenant: {e}")))?;
    let lasts = request.expires_in_seconds.map(|n| i64::try_from(n).unwrap_or(i64::MAX).saturating_mul(1_000_000));
    let expires_at = lasts.map(|micros| s.ctx.now().plus_micros(micros));
    let groups = mainspring_security::groups(&request.groups)?;
    let new = NewKey { label: request.label, role: request.role.into(), tenant, groups, expires_at };
    let created = s.security.create_key(&auth, new).await?;
    Ok((StatusCode::CREATED, Json(created.into())))
}

#[utoipa::path(post, path = "/api/v1/keys/{id}/rotate", operation_id = "rotateKey", tag = "security",
    params(("id" = String, Path, description = "Id")),
    request_body = RotateKeyRequest,
    responses((status = 200, description = "The key that takes its place; it is shown once", body = CreatedKey), Failures))]
pub(crate) async fn rotate_key(
    State(s): State<NativeState>,
    Caller(who): Caller,
    Seg(id): Seg<String>,
    JsonBody(request): JsonBody<RotateKeyRequest>,
) -> Reply<CreatedKey> {
    let grace = request.grace_seconds.map_or(GRACE, Duration::from_secs);
    let lasts = request.expires_in_seconds.map(Duration::from_secs);
    let created = s.security.rotate_key(&s.may(&who, RotateKey { id })?, grace, lasts).await?;
    Ok(Json(created.into()))
}

#[utoipa::path(delete, path = "/api/v1/keys/{id}", operation_id = "revokeKey", tag = "security",
    params(("id" = String, Path, description = "Id")),
    responses((status = 204, description = "The key stopped working"), Failures))]
pub(crate) async fn revoke_key(
    State(s): State<NativeState>,
    Caller(who): Caller,
    Seg(id): Seg<String>,
) -> Result<StatusCode, ApiError> {
    s.security.revoke_key(&s.may(&who, RevokeKey { id })?).await?;
    Ok(StatusCode::NO_CONTENT)
}

#[utoipa::path(get, path = "/api/v1/audit", operation_id = "listAudit", tag = "security",
    params(PageQuery),
    responses((status = 200, description = "A page of the audit trail", body = AuditPage), Failures))]
pub(crate) async fn list_audit(
    State(s): State<NativeState>,
    Caller(who): Caller,
    Params(query): Params<PageQuery>,
) -> Reply<AuditPage> {
    let auth = s.may(&who, ReadAudit)?;
    let limit = page_size(query.limit, 100)?;
    let before = query.page_token.as_deref().map(str::parse::<i64>).transpose();
    let before = before.map_err(|_| ApiError::new(ErrorKind::InvalidInput, "pageToken is none of this list's"))?;
    let entries = s.security.audit(&auth, before, limit).await?;
    let full = entries.len() == limit as usize;
    let next_page_token = entries.last().filter(|_| full).map(|e| e.seq.to_string());
    Ok(Json(AuditPage { entries: entries.into_iter().map(Into::into).collect(), next_page_token }))
}
