//! Our own REST API, for the console, the CLI and scripts.
