//! Kinds that domains registered, and the check of a spec against them.

use crate::carry::{Carrier, Controller};
use crate::document::Document;
use crate::error::ResourceError;
use mainspring_core::{Name, Tenant, in_plain_words, nearest};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use std::sync::Arc;

/// Why a spec is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invalid {
    /// Path of the value at fault: `engine.batch.maxRows`; empty for the whole.
    pub path: String,
    /// What is wrong with it.
    pub reason: String,
}

type ForTenant = Arc<dyn Fn(&Tenant, &Name, &Value) -> Result<(), Invalid> + Send + Sync>;
type Check = Arc<dyn Fn(&Name, Map<String, Value>) -> Result<Value, Invalid> + Send + Sync>;

/// One kind of declared thing.
#[derive(Clone)]
pub struct Kind {
    /// Its name: `Deployment`.
    pub name: &'static str,
    /// One line for people.
    pub description: &'static str,
    /// The JSON Schema of its spec.
    pub schema: Value,
    check: Check,
    for_tenant: Option<ForTenant>,
    /// A truth value at the top of the spec that one thing of the kind at most may set, in each tenant.
    pub(crate) exclusive: Option<&'static str>,
    pub(crate) carrier: Option<Arc<Carrier>>,
}

impl std::fmt::Debug for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Kind").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Kind {
    /// A kind whose spec is the serde type `S`. `validate` checks what the type cannot say. What is
    /// kept is the spec as `S` writes it again, so that defaults are filled in and two ways of
    /// writing the same are no change.
    pub fn of<S, V>(name: &'static str, description: &'static str, schema: Value, validate: V) -> Self
    where
        S: DeserializeOwned + Serialize,
        V: Fn(&Name, &S) -> Result<(), Invalid> + Send + Sync + 'static,
    {
        let check = move |thing: &Name, spec: Map<String, Value>| {
            let spec: S = serde_path_to_error::deserialize(Value::Object(spec)).map_err(|e| {
                let path = e.path().to_string();
                let path = if path == "." { String::new() } else { path };
                Invalid { path, reason: in_plain_words(&e.into_inner().to_string()) }
            })?;
            validate(thing, &spec)?;
            serde_json::to_value(&spec).map_err(|e| Invalid { path: String::new(), reason: e.to_string() })
        };
        Self { name, description, schema, check: Arc::new(check), for_tenant: None, exclusive: None, carrier: None }
    }

    /// Also asks whether this tenant may declare such a spec under a name.
    pub fn allowed_by<V>(mut self, allows: V) -> Self
    where
        V: Fn(&Tenant, &Name, &Value) -> Result<(), Invalid> + Send + Sync + 'static,
    {
        self.for_tenant = Some(Arc::new(allows));
        self
    }

    /// Of all things of the kind that a tenant has, one at most may have `key: true`.
    pub fn one_at_most(mut self, key: &'static str) -> Self {
        self.exclusive = Some(key);
        self
    }

    /// Carried out by `controller`; without one a declaration is only kept.
    pub fn carried_by(mut self, controller: Arc<dyn Controller>) -> Self {
        self.carrier = Some(Arc::new(Carrier::new(controller)));
        self
    }

    /// Checks a document's spec and returns it with defaults filled in.
    ///
    /// # Errors
    /// [`ResourceError::UnknownKey`] or [`ResourceError::Invalid`] with the place in the file.
    pub fn check(&self, document: &Document) -> Result<Value, ResourceError> {
        let spec = Value::Object(document.spec.clone());
        self.known_keys(document, &spec, &self.schema, "")?;
        (self.check)(&document.name, document.spec.clone()).map_err(|invalid| self.invalid(document, invalid))
    }

    /// The same, where `tenant` declares it.
    ///
    /// # Errors
    /// As [`Kind::check`].
    pub fn check_for(&self, tenant: &Tenant, document: &Document) -> Result<Value, ResourceError> {
        let spec = self.check(document)?;
        let allowed = self.for_tenant.as_ref().map_or(Ok(()), |allows| allows(tenant, &document.name, &spec));
        allowed.map_err(|invalid| self.invalid(document, invalid))?;
        Ok(spec)
    }

    fn invalid(&self, document: &Document, invalid: Invalid) -> ResourceError {
        ResourceError::Invalid {
            at: document.at(&invalid.path),
            kind: self.name,
            path: if invalid.path.is_empty() { document.name.to_string() } else { invalid.path },
            reason: invalid.reason,
        }
    }

    /// Walks the value beside its schema and refuses keys that the schema does not have.
    fn known_keys(&self, document: &Document, value: &Value, schema: &Value, path: &str) -> Result<(), ResourceError> {
        match value {
            Value::Object(map) => {
                let Some((known, closed)) = self.properties(schema) else { return Ok(()) };
                for (key, inner) in map {
                    let at = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                    match known.iter().find(|(name, _)| *name == key) {
                        Some((_, inner_schema)) => self.known_keys(document, inner, inner_schema, &at)?,
                        None if closed => {
                            return Err(ResourceError::UnknownKey {
                                at: document.at(&at),
                                kind: self.name,
                                key: key.clone(),
                                within: (!path.is_empty()).then(|| path.to_owned()),
                                nearest: nearest(key, known.iter().map(|(n, _)| n.as_str())).map(str::to_owned),
                            });
                        }
                        None => {}
                    }
                }
                Ok(())
            }
            Value::Array(items) => {
                let Some(inner) = self.resolved(schema).get("items") else { return Ok(()) };
                items
                    .iter()
                    .enumerate()
                    .try_for_each(|(i, item)| self.known_keys(document, item, inner, &format!("{path}[{i}]")))
            }
            _ => Ok(()),
        }
    }

    /// The properties of an object schema, through `$ref`, `anyOf` and `allOf`, and whether other
    /// keys are refused. `None` when the schema says nothing about keys.
    fn properties<'a>(&'a self, schema: &'a Value) -> Option<(Vec<(&'a String, &'a Value)>, bool)> {
        let schema = self.resolved(schema);
        if let Some(properties) = schema.get("properties").and_then(Value::as_object) {
            let closed = schema.get("additionalProperties") == Some(&Value::Bool(false));
            return Some((properties.iter().collect(), closed));
        }
        let several = ["anyOf", "oneOf", "allOf"].into_iter().find_map(|k| schema.get(k)?.as_array())?;
        // Which of several is meant is for the check of the spec to say.
        let each: Vec<_> = several.iter().filter_map(|one| self.properties(one)).collect();
        let closed = each.iter().all(|(_, closed)| *closed);
        (!each.is_empty()).then(|| (each.into_iter().flat_map(|(known, _)| known).collect(), closed))
    }

    fn resolved<'a>(&'a self, schema: &'a Value) -> &'a Value {
        let target = schema.get("$ref").and_then(Value::as_str).and_then(|r| r.strip_prefix('#'));
        target.and_then(|pointer| self.schema.pointer(pointer)).unwrap_or(schema)
    }
}

/// Every registered kind.
#[derive(Debug, Clone, Default)]
pub struct Kinds(Vec<Kind>);

impl Kinds {
    /// These kinds.
    pub fn new(kinds: Vec<Kind>) -> Self {
        Self(kinds)
    }

    /// Every kind.
    pub fn all(&self) -> &[Kind] {
        &self.0
    }

    /// Who carries out the kind registered under exactly this name.
    pub(crate) fn carrier(&self, name: &str) -> Option<&Carrier> {
        self.0.iter().find(|k| k.name == name)?.carrier.as_deref()
    }

    /// The kind of a document.
    ///
    /// # Errors
    /// [`ResourceError::UnknownKind`] with the place in the file.
    pub(crate) fn of_document(&self, document: &Document) -> Result<&Kind, ResourceError> {
        self.find(&document.kind).map_err(|e| match e {
            ResourceError::UnknownKind { kind, nearest, known, .. } => {
                ResourceError::UnknownKind { at: Some(document.at("kind")), kind, nearest, known }
            }
            other => other,
        })
    }

    /// The kind with this name, in any case and in the plural too: `Deployment`, `deployments`.
    ///
    /// # Errors
    /// [`ResourceError::UnknownKind`] naming the nearest.
    pub fn find(&self, name: &str) -> Result<&Kind, ResourceError> {
        let wanted = name.to_lowercase();
        let same = |kind: &&Kind| {
            let own = kind.name.to_lowercase();
            own == wanted || wanted.strip_suffix('s') == Some(own.as_str())
        };
        self.0.iter().find(same).ok_or_else(|| ResourceError::UnknownKind {
            at: None,
            kind: name.to_owned(),
            nearest: nearest(name, self.0.iter().map(|k| k.name)).map(str::to_owned),
            known: self.0.iter().map(|k| k.name).collect::<Vec<_>>().join(", "),
        })
    }
}
