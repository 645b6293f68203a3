//! Opening a bucket.

use super::Remote;
use crate::cache::Cache;
use crate::error::ArtifactError;
use crate::path::ArtifactPath;
use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey};
use object_store::path::Path as Key;
use object_store::{ClientOptions, RetryConfig};
use std::path::Path;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

/// How often and for how long a request is tried again.
pub(crate) fn retry() -> RetryConfig {
    RetryConfig { max_retries: 3, retry_timeout: Duration::from_secs(20), ..RetryConfig::default() }
}

impl Remote {
    /// Opens `bucket/prefix`. Nothing is asked of the bucket yet.
    pub(crate) fn s3(rest: &str, cache: &Path, options: &[(String, String)]) -> Result<Self, ArtifactError> {
        let location = format!("s3://{rest}");
        let refuse = |reason: String| ArtifactError::Settings { url: location.clone(), reason };
        let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        if bucket.is_empty() {
            return Err(refuse("the bucket has no name".to_owned()));
        }
        let prefix = prefix.trim_end_matches('/');
        if !prefix.is_empty() {
            ArtifactPath::parse(prefix).map_err(|e| refuse(e.reason.to_owned()))?;
        }
        let prefix = Key::parse(prefix).map_err(|e| refuse(e.to_string()))?;

        let mut builder = AmazonS3Builder::from_env().with_bucket_name(bucket);
        for (name, value) in options {
            let key = AmazonS3ConfigKey::from_str(&name.to_ascii_lowercase()).map_err(|e| refuse(e.to_string()))?;
            builder = builder.with_config(key, value);
        }
        let endpoint = [AmazonS3ConfigKey::S3Endpoint, AmazonS3ConfigKey::Endpoint]
            .iter()
            .find_map(|key| builder.get_config_value(key));
        // A request reads or writes one piece, so this is ample for a slow line.
        let mut client = ClientOptions::new().with_timeout(Duration::from_secs(120));
        if let Some(endpoint) = endpoint.filter(|e| e.starts_with("http://")) {
            if !on_loopback(&endpoint) {
                return Err(refuse(format!("its endpoint {endpoint} is not on this machine and is not https")));
            }
            client = client.with_allow_http(true);
        }
        if builder.get_config_value(&AmazonS3ConfigKey::Region).is_none() {
            builder = builder.with_region("us-east-1");
        }
        // Three more tries within twenty seconds: a short trouble passes, a long one is reported.
        let store =
            builder.with_client_options(client).with_retry(retry()).build().map_err(|e| refuse(super::chain(&e)))?;
        Ok(Self { store: Arc::new(store), prefix, location, cache: Cache::new(cache), tasks: None })
    }
}

/// Whether an endpoint is on this machine, where plain HTTP can be read by nobody else.
fn on_loopback(endpoint: &str) -> bool {
    match url::Url::parse(endpoint).ok().as_ref().and_then(url::Url::host) {
        Some(url::Host::Domain(name)) => name.eq_ignore_ascii_case("localhost"),
        Some(url::Host::Ipv4(ip)) => ip.is_loopback(),
        Some(url::Host::Ipv6(ip)) => ip.is_loopback(),
        None => false,
    }
}
