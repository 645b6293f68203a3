//! Talks to a running server over its native API.

use crate::error::CliError;
use mainspring_core::ErrorKind;
use mainspring_http::{Client, ClientError, ClientSettings, Reach};
use reqwest::{Method, RequestBuilder, Response};
use serde_json::Value;

/// A server and the key to call it with.
#[derive(Debug, Clone)]
pub struct Server {
    http: Client,
    base: String,
    key: Option<String>,
}

impl Server {
    /// The server at `base`.
    ///
    /// # Errors
    /// [`CliError`] when TLS cannot be set up on this machine.
    pub fn new(base: &str, key: Option<String>) -> Result<Self, CliError> {
        let settings = ClientSettings { reach: Reach::Anywhere, ..ClientSettings::default() };
        let http = Client::new(&settings).map_err(|e| CliError::new(ErrorKind::Internal, e.to_string()))?;
        Ok(Self { http, base: base.trim_end_matches('/').to_owned(), key })
    }

    fn request(&self, method: Method, path: &str) -> Result<RequestBuilder, CliError> {
        let url = format!("{}{path}", self.base);
        let request = self.http.request(method, &url).map_err(|e: ClientError| {
            CliError::new(ErrorKind::InvalidInput, e.to_string())
                .hint("give the address with --server http://host:port")
        })?;
        Ok(match &self.key {
            Some(key) => request.bearer_auth(key),
            None => request,
        })
    }

    /// GET `path`.
    ///
    /// # Errors
    /// [`CliError`] when the server cannot be reached or refuses.
    pub async fn get(&self, path: &str) -> Result<Value, CliError> {
        self.send(self.request(Method::GET, path)?).await
    }

    /// GET `path`, whose answer is text.
    ///
    /// # Errors
    /// [`CliError`] when the server cannot be reached or refuses.
    pub async fn text(&self, path: &str) -> Result<String, CliError> {
        let response = self.request(Method::GET, path)?.send().await.map_err(|e| self.unreachable(&e))?;
        if !response.status().is_success() {
            return Err(self.problem(response).await);
        }
        response.text().await.map_err(|e| self.unreachable(&e))
    }

    /// GET `path`, however long it takes.
    async fn long(&self, path: &str) -> Result<Response, CliError> {
        let settings = ClientSettings { reach: Reach::Anywhere, timeout: None, ..ClientSettings::default() };
        let http = Client::new(&settings).map_err(|e| CliError::new(ErrorKind::Internal, e.to_string()))?;
        let patient = Self { http, base: self.base.clone(), key: self.key.clone() };
        let response = patient.request(Method::GET, path)?.send().await.map_err(|e| self.unreachable(&e))?;
        if response.status().is_success() { Ok(response) } else { Err(self.problem(response).await) }
    }

    /// GET `path`, whose answer is bytes, however long it takes.
    ///
    /// # Errors
    /// [`CliError`] when the server cannot be reached or refuses.
    pub async fn bytes(&self, path: &str) -> Result<Vec<u8>, CliError> {
        Ok(self.long(path).await?.bytes().await.map_err(|e| self.unreachable(&e))?.to_vec())
    }

    /// GET `path` into the file `to`, however long it takes. Returns its size in bytes.
    ///
    /// # Errors
    /// [`CliError`] when the server cannot be reached or refuses, or the file cannot be written.
    pub async fn download(&self, path: &str, to: &std::path::Path) -> Result<u64, CliError> {
        let mut response = self.long(path).await?;
        let failed =
            |e: std::io::Error| CliError::new(ErrorKind::Internal, format!("cannot write {}: {e}", to.display()));
        let mut file = std::fs::File::create(to).map_err(failed)?;
        let mut size = 0;
        while let Some(piece) = response.chunk().await.map_err(|e| self.unreachable(&e))? {
            std::io::Write::write_all(&mut file, &piece).map_err(failed)?;
            size += piece.len() as u64;
        }
        Ok(size)
    }

    /// Whether the server is on this machine, by its address.
    pub fn on_this_machine(&self) -> bool {
        let host = reqwest::Url::parse(&self.base).ok().and_then(|url| url.host_str().map(str::to_owned));
        host.is_some_and(|host| {
            let bare = host.trim_matches(['[', ']']);
            bare == "localhost" || bare.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
        })
    }

    /// Where the server is.
    pub fn base(&self) -> &str {
        &self.base
    }

    /// DELETE `path`.
    ///
    /// # Errors
    /// [`CliError`] when the server cannot be reached or refuses.
    pub async fn delete(&self, path: &str) -> Result<Value, CliError> {
        self.send(self.request(Method::DELETE, path)?).await
    }

    /// POST a JSON body to `path`.
    ///
    /// # Errors
    /// [`CliError`] when the server cannot be reached or refuses.
    pub async fn post(&self, path: &str, body: &Value) -> Result<Value, CliError> {
        self.send(self.request(Method::POST, path)?.json(body)).await
    }

    /// POST documents as they are; `name` is where they came from, for error messages.
    ///
    /// # Errors
    /// [`CliError`] when the server cannot be reached or refuses.
    pub async fn post_yaml(&self, path: &str, text: String) -> Result<Value, CliError> {
        self.send(self.request(Method::POST, path)?.header("content-type", "application/yaml").body(text)).await
    }

    async fn send(&self, request: RequestBuilder) -> Result<Value, CliError> {
        let response = request.send().await.map_err(|e| self.unreachable(&e))?;
        if response.status().is_success() {
            let bytes = response.bytes().await.map_err(|e| self.unreachable(&e))?;
            if bytes.is_empty() {
                return Ok(Value::Null);
            }
            return serde_json::from_slice(&bytes).map_err(|e| {
                CliError::new(ErrorKind::Internal, format!("{} did not answer with JSON: {e}", self.base))
                    .hint("is this really a Mainspring server?")
            });
        }
        Err(self.problem(response).await)
    }

    /// What the server refuses. Its hint is for whoever writes requests; a command has a flag for the key.
    async fn problem(&self, response: Response) -> CliError {
        let said = problem(response).await;
        if said.kind == ErrorKind::Unauthenticated && self.key.is_none() {
            return said.hint("give one with --api-key, or in the variable MAINSPRING_API_KEY");
        }
        said
    }

    fn unreachable(&self, e: &reqwest::Error) -> CliError {
        if e.is_timeout() {
            return CliError::new(ErrorKind::Unavailable, format!("{} did not answer in time", self.base));
        }
        let cause = root_cause(e);
        if let Some((what, scheme)) = other_scheme(&cause) {
            let rest = self.base.split_once("://").map_or(self.base.as_str(), |(_, rest)| rest);
            return CliError::new(ErrorKind::Unavailable, format!("cannot reach {}: {what}", self.base))
                .hint(format!("name it with {scheme}: --server {scheme}://{rest}"));
        }
        let hint = if cause.contains("certificate") {
            "to trust a certificate of your own, name it: SSL_CERT_FILE=FILE.pem (--tls-self-signed keeps its own in tls/cert.pem of the data folder)"
        } else {
            "start it with `mainspring up`, or name another with --server"
        };
        CliError::new(ErrorKind::Unavailable, format!("cannot reach {}: {cause}", self.base)).hint(hint)
    }
}

/// What is wrong, and the scheme to use, where a server with TLS was asked without it or the other way round: hyper
/// and rustls say only that they cannot read what came.
fn other_scheme(cause: &str) -> Option<(&'static str, &'static str)> {
    if cause.contains("invalid HTTP version parsed") {
        return Some(("what answers there does not speak plain HTTP; it may speak TLS", "https"));
    }
    cause.contains("InvalidContentType").then_some(("what answers there does not speak TLS", "http"))
}

fn root_cause(e: &dyn std::error::Error) -> String {
    let mut cause = e;
    while let Some(next) = cause.source() {
        cause = next;
    }
    cause.to_string()
}

async fn problem(response: Response) -> CliError {
    let status = response.status();
    let body: Value = response.bytes().await.ok().and_then(|b| serde_json::from_slice(&b).ok()).unwrap_or(Value::Null);
    let kind = ErrorKind::ALL
        .into_iter()
        .find(|k| body["kind"] == k.as_str())
        .or_else(|| ErrorKind::ALL.into_iter().find(|k| k.http_status() == status.as_u16()))
        .unwrap_or(ErrorKind::Internal);
    // MLflow's API says it under `message`.
    let message = body["detail"]
        .as_str()
        .or_else(|| body["message"].as_str())
        .map_or_else(|| format!("the server answered {status}"), str::to_owned);
    CliError { kind, message, hint: body["hint"].as_str().map(str::to_owned) }
}

/// A path segment, with what is special in URLs escaped.
pub fn segment(text: &str) -> String {
    text.bytes().fold(String::new(), |mut out, b| {
        if b.is_ascii_alphanumeric() || b"-._~".contains(&b) {
            out.push(char::from(b));
        } else {
            use std::fmt::Write;
            let _infallible = write!(out, "%{b:02X}");
        }
        out
    })
}
