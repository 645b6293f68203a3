//! The HTTP kit: listeners, TLS, extractors, limits, problem+json, and the one guarded client.
