//! Requests as MLflow reads them: JSON bodies, or query strings whose repeated fields repeat.
//!
//! Fields that nobody knows are ignored. Numbers may be written as text, because protobuf's JSON
//! form writes 64-bit integers so. A field may be spelled `run_id` or `runId`, but not both.

use super::error::Failed;
use axum::body::Body;
use axum::extract::{FromRequest, Request};
use bytes::Bytes;
use http::Method;
use http::header::CONTENT_TYPE;
use mainspring_registry::Pair;
use serde_json::{Map, Value};

/// Largest JSON body. A dataset's profile alone may have 16 MiB.
const BODY_LIMIT: usize = 64 << 20;

const SEE_DOCS: &str = "See the API docs for more information about request parameters.";

/// The fields of a request.
#[derive(Debug, Default)]
pub(super) struct Fields(Map<String, Value>);

fn camel(name: &str) -> String {
    let mut up = false;
    let mut out = String::with_capacity(name.len());
    for c in name.chars() {
        match c {
            '_' => up = true,
            c if up => {
                out.extend(c.to_uppercase());
                up = false;
            }
            c => out.push(c),
        }
    }
    out
}

fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "NoneType",
        Value::Bool(_) => "bool",
        Value::Number(n) if n.is_f64() => "float",
        Value::Number(_) => "int",
        Value::String(_) => "str",
        Value::Array(_) => "list",
        Value::Object(_) => "dict",
    }
}

fn wrong(name: &str, value: &Value) -> Failed {
    Failed::invalid(format!(
        "Invalid value {value} for parameter '{name}' supplied:  Hint: Value was of type '{}'. {SEE_DOCS}",
        type_name(value)
    ))
}

fn missing(name: &str) -> Failed {
    Failed::invalid(format!("Missing value for required parameter '{name}'. {SEE_DOCS}"))
}

fn as_int(value: &Value) -> Option<i64> {
    match value {
        Value::Number(n) => {
            n.as_i64().or_else(|| n.as_f64().filter(|f| f.fract() == 0.0 && f.abs() < 9.0e15).map(|f| f as i64))
        }
        Value::String(s) => s.trim().parse().ok(),
        _ => None,
    }
}

fn as_float(value: &Value) -> Option<f64> {
    match value {
        Value::Number(n) => n.as_f64(),
        Value::String(s) => match s.trim() {
            "NaN" => Some(f64::NAN),
            "Infinity" => Some(f64::INFINITY),
            "-Infinity" => Some(f64::NEG_INFINITY),
            other => other.parse().ok(),
        },
        _ => None,
    }
}

impl Fields {
    pub fn from_query(query: &str) -> Self {
        let mut map: Map<String, Value> = Map::new();
        for (name, value) in form(query) {
            match map.get_mut(&name) {
                Some(Value::Array(all)) => all.push(value.into()),
                Some(one) => *one = Value::Array(vec![one.take(), value.into()]),
                None => {
                    map.insert(name, value.into());
                }
            }
        }
        Self(map)
    }

    pub fn from_json(bytes: &[u8]) -> Result<Self, Failed> {
        if bytes.iter().all(u8::is_ascii_whitespace) {
            return Ok(Self::default());
        }
        let unreadable = |e: serde_json::Error| Failed::bad_request(format!("the request body is not JSON: {e}"));
        let value: Value = serde_json::from_slice(bytes).map_err(unreadable)?;
        match value {
            Value::Object(map) => Ok(Self(map)),
            // Old clients encode twice.
            Value::String(inner) => serde_json::from_str(&inner).map(Self).map_err(unreadable),
            Value::Null => Ok(Self::default()),
            other => {
                Err(Failed::bad_request(format!("the request body is a JSON {}, not an object", type_name(&other))))
            }
        }
    }

    fn value(&self, name: &str) -> Result<Option<&Value>, Failed> {
        let present = |v: &&Value| !v.is_null();
        let snake = self.0.get(name).filter(present);
        if !name.contains('_') {
            return Ok(snake);
        }
        let other = camel(name);
        match (snake, self.0.get(&other).filter(present)) {
            (Some(_), Some(_)) => Err(Failed::invalid(format!(
                "Request specifies both '{name}' and '{other}'; provide only one of them."
            ))),
            (one, two) => Ok(one.or(two)),
        }
    }

    fn take(&mut self, name: &str) -> Result<Option<Value>, Failed> {
        self.value(name)?;
        let found = self.0.remove(name).filter(|v| !v.is_null());
        Ok(found.or_else(|| self.0.remove(&camel(name)).filter(|v| !v.is_null())))
    }

    pub fn has(&self, name: &str) -> Result<bool, Failed> {
        Ok(self.value(name)?.is_some())
    }

    /// Text; `None` when it is absent.
    pub fn text(&self, name: &str) -> Result<Option<String>, Failed> {
        match self.value(name)? {
            None => Ok(None),
            Some(Value::String(s)) => Ok(Some(s.clone())),
            Some(other) => Err(wrong(name, other)),
        }
    }

    /// Text; empty when it is absent.
    pub fn text_or_empty(&self, name: &str) -> Result<String, Failed> {
        Ok(self.text(name)?.unwrap_or_default())
    }

    /// Text that must be there and not be empty.
    pub fn required(&self, name: &str) -> Result<String, Failed> {
        self.text(name)?.filter(|t| !t.is_empty()).ok_or_else(|| missing(name))
    }

    /// The run, under its new or its old name.
    pub fn run_id(&self) -> Result<String, Failed> {
        match self.text("run_id")?.filter(|t| !t.is_empty()) {
            Some(id) => Ok(id),
            None => self.text("run_uuid")?.filter(|t| !t.is_empty()).ok_or_else(|| missing("run_id")),
        }
    }

    pub fn int(&self, name: &str) -> Result<Option<i64>, Failed> {
        match self.value(name)? {
            None => Ok(None),
            Some(v) => as_int(v).map(Some).ok_or_else(|| wrong(name, v)),
        }
    }

    pub fn float(&self, name: &str) -> Result<Option<f64>, Failed> {
        match self.value(name)? {
            None => Ok(None),
            Some(v) => as_float(v).map(Some).ok_or_else(|| wrong(name, v)),
        }
    }

    pub fn flag(&self, name: &str) -> Result<Option<bool>, Failed> {
        match self.value(name)? {
            None => Ok(None),
            Some(Value::Bool(b)) => Ok(Some(*b)),
            Some(Value::String(s)) if s.eq_ignore_ascii_case("true") => Ok(Some(true)),
            Some(Value::String(s)) if s.eq_ignore_ascii_case("false") => Ok(Some(false)),
            Some(other) => Err(Failed::invalid(format!("Invalid boolean value: {other}, must be 'true' or 'false'."))),
        }
    }

    /// A list of texts; a query with one value is a list of one.
    pub fn texts(&self, name: &str) -> Result<Vec<String>, Failed> {
        match self.value(name)? {
            None => Ok(Vec::new()),
            Some(Value::String(s)) => Ok(vec![s.clone()]),
            Some(Value::Array(all)) => all
                .iter()
                .map(|v| v.as_str().map(str::to_owned).ok_or_else(|| wrong(name, &Value::Array(all.clone()))))
                .collect(),
            Some(other) => Err(wrong(name, other)),
        }
    }

    /// A list of objects, taken out of the request.
    pub fn objects(&mut self, name: &str) -> Result<Vec<Self>, Failed> {
        match self.take(name)? {
            None => Ok(Vec::new()),
            Some(Value::Array(all)) => all
                .into_iter()
                .map(|v| match v {
                    Value::Object(map) => Ok(Self(map)),
                    other => Err(wrong(name, &other)),
                })
                .collect(),
            Some(other) => Err(wrong(name, &other)),
        }
    }

    /// One object, taken out of the request.
    pub fn object(&mut self, name: &str) -> Result<Option<Self>, Failed> {
        match self.take(name)? {
            None => Ok(None),
            Some(Value::Object(map)) => Ok(Some(Self(map))),
            Some(other) => Err(wrong(name, &other)),
        }
    }

    /// Keys and values, e.g. tags; a key must be there.
    pub fn pairs(&mut self, name: &str) -> Result<Vec<Pair>, Failed> {
        let all = self.objects(name)?;
        all.into_iter()
            .enumerate()
            .map(|(i, mut o)| {
                let key = o.take_text("key")?.filter(|k| !k.is_empty());
                let key = key.ok_or_else(|| missing(&format!("{name}[{i}].key")))?;
                Ok(Pair { key, value: o.take_text("value")?.unwrap_or_default() })
            })
            .collect()
    }

    /// Text, taken out without a copy.
    pub fn take_text(&mut self, name: &str) -> Result<Option<String>, Failed> {
        match self.take(name)? {
            None => Ok(None),
            Some(Value::String(s)) => Ok(Some(s)),
            Some(other) => Err(wrong(name, &other)),
        }
    }

    /// One of an enumeration, by its name or its number.
    pub fn choice<T: Copy>(&self, name: &str, all: &[(T, &str, i64)]) -> Result<Option<T>, Failed> {
        let Some(value) = self.value(name)? else { return Ok(None) };
        let found = all.iter().find(|(_, text, n)| value.as_str() == Some(text) || as_int(value) == Some(*n));
        found.map(|(t, ..)| Some(*t)).ok_or_else(|| wrong(name, value))
    }

    pub fn missing(name: &str) -> Failed {
        missing(name)
    }
}

/// The names and values of a query string.
fn form(query: &str) -> impl Iterator<Item = (String, String)> {
    let decode = |text: &str| {
        let text = text.replace('+', " ");
        percent_encoding::percent_decode_str(&text).decode_utf8_lossy().into_owned()
    };
    query.split('&').filter(|p| !p.is_empty()).map(move |part| {
        let (name, value) = part.split_once('=').unwrap_or((part, ""));
        (decode(name), decode(value))
    })
}

/// A JSON body as it came, its content type checked.
#[derive(Debug)]
pub(super) struct JsonBody(pub Bytes);

impl<S: Send + Sync> FromRequest<S> for JsonBody {
    type Rejection = Failed;

    async fn from_request(request: Request<Body>, _state: &S) -> Result<Self, Failed> {
        let (parts, body) = request.into_parts();
        let bytes = mainspring_http::read_body(body, BODY_LIMIT).await?;
        if matches!(parts.method, Method::POST | Method::PUT) && !bytes.is_empty() {
            // Also what keeps a form on a foreign web page from posting here.
            let kind = parts.headers.get(CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or_default();
            if !kind.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case("application/json") {
                return Err(Failed::invalid("Bad Request. Content-Type must be one of ['application/json']."));
            }
        }
        Ok(Self(bytes))
    }
}

impl<S: Send + Sync> FromRequest<S> for Fields {
    type Rejection = Failed;

    async fn from_request(request: Request<Body>, state: &S) -> Result<Self, Failed> {
        if request.method() == Method::GET
            && let Some(query) = request.uri().query().filter(|q| !q.is_empty())
        {
            return Ok(Self::from_query(query));
        }
        let JsonBody(bytes) = JsonBody::from_request(request, state).await?;
        Self::from_json(&bytes)
    }
}
