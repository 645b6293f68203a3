//! API keys.

use crate::age::parse_age;
use crate::args::{KeyCmd, Output};
use crate::client::{Server, segment};
use crate::error::CliError;
use crate::output::{Mark, cell, either, line, mark, note, table, time};
use crate::up::resolve;
use mainspring_core::{ErrorKind, Role};
use serde_json::{Value, json};

/// Runs one key command.
///
/// # Errors
/// [`CliError`] when the server, or the data folder, refuses.
pub async fn run(cmd: KeyCmd, server: &impl Fn() -> Result<Server, CliError>, out: Output) -> Result<(), CliError> {
    match cmd {
        KeyCmd::Create { label, role, tenant, groups, expires, offline, settings } => {
            let expires = expires.as_deref().map(parse_age).transpose()?;
            let created = if offline {
                let role: Role = serde_json::from_value(json!(role)).map_err(|_| unknown_role(&role))?;
                let (_, settings) = resolve(&settings)?;
                let request = mainspring_server::NewKey { label, role, tenant, groups, expires };
                let made = mainspring_server::create_key(settings, request).await;
                let made = made.map_err(|e| CliError::from_failure(&e))?;
                json!({"key": made.key.reveal(), "info": {"id": made.id}})
            } else {
                let body = json!({"label": label, "role": role, "tenant": tenant, "groups": groups, "expiresInSeconds": expires.map(|e| e.as_secs())});
                server()?.post("/api/v1/keys", &body).await?
            };
            shown_once(&created, out);
        }
        KeyCmd::List => list(&server()?.get("/api/v1/keys").await?, out),
        KeyCmd::Rotate { id, grace, expires } => {
            let expires = expires.as_deref().map(parse_age).transpose()?.map(|e| e.as_secs());
            let body = json!({ "graceSeconds": parse_age(&grace)?.as_secs(), "expiresInSeconds": expires });
            let created = server()?.post(&format!("/api/v1/keys/{}/rotate", segment(&id)), &body).await?;
            shown_once(&created, out);
        }
        KeyCmd::Revoke { id } => {
            server()?.delete(&format!("/api/v1/keys/{}", segment(&id))).await?;
            either(out, &json!({"revoked": id}), || line(mark(Mark::Good, format!("key {id} is revoked"))));
        }
    }
    Ok(())
}

fn unknown_role(role: &str) -> CliError {
    CliError::new(ErrorKind::InvalidInput, format!("there is no role {role:?}; roles are infer, read, write, admin"))
}

/// The secret alone on standard output, so that `KEY=$(mainspring key create)` works.
fn shown_once(created: &Value, out: Output) {
    either(out, created, || {
        note(format!("key {} made; this is the only time it is shown:", cell(&created["info"]["id"])));
        line(cell(&created["key"]));
    });
}

fn list(answer: &Value, out: Output) {
    either(out, &answer["keys"], || {
        let keys = answer["keys"].as_array().into_iter().flatten();
        let row = |k: &Value| {
            let state = match (k["revokedAt"].as_str(), k["replacedBy"].as_str()) {
                (Some(_), _) => format!("revoked {}", time(&k["revokedAt"])),
                (None, Some(new)) => format!("replaced by {new}"),
                (None, None) => String::new(),
            };
            let plain = ["id", "label", "role", "tenant"].map(|c| cell(&k[c]));
            let times = ["createdAt", "expiresAt", "lastUsedAt"].map(|c| time(&k[c]));
            let groups = k["groups"].as_array().into_iter().flatten().map(cell).collect::<Vec<_>>().join(", ");
            [&plain[..], &[groups], &times[..], &[state]].concat()
        };
        table(&["id", "label", "role", "tenant", "groups", "made", "expires", "last used", "state"], keys.map(row));
    });
}
