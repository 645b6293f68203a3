//! The first key, made in the data folder before any server may listen outside.

use crate::config::{Resolved, Settings};
use crate::error::StartError;
use crate::wiring;
use mainspring_core::{Ctx, Gate, Principal, Role, Secret, Tenant};
use mainspring_security::{CreateKey, NewKey as Request, RolePolicy, Security, SecuritySettings, Trail};
use std::sync::Arc;
use std::time::Duration;

/// A key to make.
#[derive(Debug, Clone)]
pub struct NewKey {
    /// What it is for.
    pub label: String,
    /// What it may do.
    pub role: Role,
    /// Whose data it sees.
    pub tenant: String,
    /// The groups that whoever has it is in.
    pub groups: Vec<String>,
    /// Its lifetime; for ever when `None`.
    pub expires: Option<Duration>,
}

/// A key that was made.
#[derive(Debug, Clone)]
pub struct Made {
    /// Its id.
    pub id: String,
    /// The whole key; it cannot be shown again.
    pub key: Secret,
}

/// The command that makes the first key, in the database that these settings name: what a flag said is said again, and the
/// environment and `mainspring.toml` are read again.
pub(crate) fn first_key(given: Option<&Resolved>) -> String {
    let same = given.map(|given| given.again(&["data", "database"])).unwrap_or_default();
    format!("mainspring key create first --role admin --offline{same}")
}

/// Makes a key in the metadata database of `settings`, whether or not a server runs on it. A database that an
/// older version uses is not upgraded for it.
///
/// # Errors
/// [`StartError`] when the database cannot be opened, or is older than this program; when the key is refused.
pub async fn create_key(settings: Settings, new: NewKey) -> Result<Made, StartError> {
    let ctx = Ctx::system();
    crate::data::make_private(&settings.data)
        .map_err(|source| crate::data::DataError::Io { path: settings.data.clone(), source })?;
    let pending = wiring::pending_migrations(&settings).await;
    let pending = pending.map_err(StartError::part("look at the metadata database"))?;
    if !pending.new && pending.steps > 0 {
        return Err(StartError::Part {
            doing: "make the key",
            kind: mainspring_core::ErrorKind::Conflict,
            message: format!(
                "the metadata database is {} migrations older than this program, and a server of its version may be \
                 using it",
                pending.steps
            ),
            hint: Some("start this version's server, which upgrades it; or use the program that last ran on it".into()),
        });
    }
    let db = wiring::open_database(&settings, &ctx).await?;
    let security = Security::open(db.clone(), &ctx, SecuritySettings::default())
        .await
        .map_err(StartError::part("read the keys"))?;
    let gate = Gate::new(Arc::new(RolePolicy), Trail::start(db.clone(), &ctx), Arc::clone(&ctx.clock));
    let tenant = Tenant::new(&new.tenant).map_err(|e| StartError::Part {
        doing: "make the key",
        kind: mainspring_core::ErrorKind::InvalidInput,
        message: e.to_string(),
        hint: None,
    })?;
    let operator = Arc::new(Principal { tenant: tenant.clone(), ..Principal::system() });
    let auth =
        gate.authorize(&operator, CreateKey { label: new.label.clone() }).map_err(StartError::part("make the key"))?;
    let lifetime = new.expires.map(|d| i64::try_from(d.as_micros()).unwrap_or(i64::MAX));
    let groups = mainspring_security::groups(&new.groups).map_err(StartError::part("make the key"))?;
    let request = Request {
        label: new.label,
        role: new.role,
        tenant: Some(tenant),
        groups,
        expires_at: lifetime.map(|l| ctx.now().plus_micros(l)),
    };
    let made = security.create_key(&auth, request).await.map_err(StartError::part("make the key"))?;
    let made = Made { id: made.info.id, key: made.key };
    ctx.tasks.shutdown(Duration::from_secs(5)).await;
    db.close().await;
    Ok(made)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Layers;
    use mainspring_core::Failure;
    use mainspring_store::{Db, DbSettings};
    use std::path::Path;

    #[test]
    fn the_first_key_is_made_where_the_server_looks_for_it() {
        let base = "mainspring key create first --role admin --offline";
        assert_eq!(first_key(None), base);
        let told = |flags: &[(&str, &str)]| {
            let flags = flags.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
            first_key(Some(&Layers { flags, ..Layers::default() }.resolve().unwrap()))
        };
        assert_eq!(told(&[("host", "0.0.0.0")]), base);
        assert_eq!(told(&[("data", "/srv/ms")]), format!("{base} --data /srv/ms"));
        assert_eq!(told(&[("data", "it's here")]), format!(r"{base} --data 'it'\''s here'"));
        let secret = told(&[("database", "postgres://u:pass@db/m")]);
        assert_eq!(secret, format!("{base} --database 'postgres://...' (with what you gave there)"));
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("other.toml");
        std::fs::write(&file, "data = \"/srv/other\"\n").unwrap();
        let other = Layers::default().with_file(&file).unwrap().resolve().unwrap();
        assert_eq!(first_key(Some(&other)), format!("{base} --config {}", file.display()));
        // Found again without being named.
        let usual = folder.path().join("mainspring.toml");
        std::fs::rename(&file, &usual).unwrap();
        let layers = Layers::default().with_file(&usual).unwrap();
        let layers =
            Layers { file: layers.file.map(|(_, text)| (Path::new("mainspring.toml").to_owned(), text)), ..layers };
        assert_eq!(first_key(Some(&layers.resolve().unwrap())), base);
    }

    #[tokio::test]
    async fn a_key_upgrades_no_database_that_is_in_use() {
        let folder = tempfile::tempdir().unwrap();
        let usual = Settings::from_resolved(&Layers::default().resolve().unwrap()).unwrap();
        let settings = Settings { data: folder.path().to_owned(), ..usual };
        let key = || NewKey {
            label: "x".into(),
            role: Role::Admin,
            tenant: "default".into(),
            groups: Vec::new(),
            expires: None,
        };
        // As a version that knew less left it.
        let path = DbSettings::sqlite(folder.path().join("mainspring.db"));
        Db::open(&path, &[mainspring_security::MIGRATIONS], &Ctx::system()).await.unwrap().close().await;
        let before = wiring::pending_migrations(&settings).await.unwrap();
        let refused = create_key(settings.clone(), key()).await.unwrap_err();
        assert!(refused.to_string().contains("older than this program") && refused.hint().is_some(), "{refused}");
        assert_eq!(wiring::pending_migrations(&settings).await.unwrap(), before);
        // A database that is not there yet is made.
        let fresh = Settings { data: folder.path().join("fresh"), ..settings };
        create_key(fresh.clone(), key()).await.unwrap();
        assert_eq!(wiring::pending_migrations(&fresh).await.unwrap().steps, 0);
        create_key(fresh, key()).await.unwrap();
    }
}
