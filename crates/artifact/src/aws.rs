//! Requests to other services of AWS, signed with the credentials that the store uses: the environment, a file, the role
//! of the machine, the container or the pod.

use crate::error::ArtifactError;
use crate::remote::retry;
use object_store::aws::{AmazonS3, AmazonS3Builder, AmazonS3ConfigKey, AwsAuthorizer};
use std::str::FromStr;

/// Signs requests (AWS Signature Version 4).
#[derive(Debug)]
pub struct AwsSigner {
    store: AmazonS3,
}

fn refuse(reason: String) -> ArtifactError {
    ArtifactError::Settings { url: "aws".to_owned(), reason }
}

impl AwsSigner {
    /// With the credentials of this process; `options` go before its environment, by the same names (`AWS_…`). Nothing is
    /// asked yet.
    ///
    /// # Errors
    /// [`ArtifactError::Settings`] when the settings of AWS cannot be read.
    pub fn new(options: &[(String, String)]) -> Result<Self, ArtifactError> {
        // Only its credentials are used; a bucket and a region are what it cannot be without.
        let mut builder = AmazonS3Builder::from_env().with_bucket_name("none");
        for (name, value) in options {
            let key = AmazonS3ConfigKey::from_str(&name.to_ascii_lowercase()).map_err(|e| refuse(e.to_string()))?;
            builder = builder.with_config(key, value);
        }
        if builder.get_config_value(&AmazonS3ConfigKey::Region).is_none() {
            builder = builder.with_region("us-east-1");
        }
        let store = builder.with_allow_http(true).with_retry(retry()).build();
        Ok(Self { store: store.map_err(|e| refuse(e.to_string()))? })
    }

    /// The headers that a POST of `body` to `url` needs beside `content_type`, in the region of the service.
    ///
    /// # Errors
    /// [`ArtifactError::Unavailable`] when there are no credentials; [`ArtifactError::Settings`] for a URL that is none.
    pub async fn sign(
        &self,
        (service, region): (&str, &str),
        url: &str,
        content_type: &str,
        body: &str,
    ) -> Result<Vec<(String, String)>, ArtifactError> {
        url::Url::parse(url).map_err(|e| refuse(format!("{url:?}: {e}")))?;
        let credential = self.store.credentials().get_credential().await;
        let credential = credential.map_err(|e| ArtifactError::Unavailable {
            store: "AWS".to_owned(),
            reason: format!("there are no credentials: {e}"),
        })?;
        let request = http::Request::post(url).header("content-type", content_type).body(body.to_owned().into());
        let mut request = request.map_err(|e| refuse(e.to_string()))?;
        AwsAuthorizer::new(&credential, service, region).authorize(&mut request, None);
        let text = |(name, value): (&http::HeaderName, &http::HeaderValue)| {
            Some((name.as_str().to_owned(), value.to_str().ok()?.to_owned()))
        };
        // The client writes the host itself, as it is here.
        Ok(request.headers().iter().filter(|(name, _)| *name != http::header::HOST).filter_map(text).collect())
    }
}
