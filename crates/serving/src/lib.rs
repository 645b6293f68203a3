//! Deployments: routing, batching, admission, warm-up, version change.
