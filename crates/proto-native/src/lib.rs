//! Our own REST API under `/api/v1`, for the console, the command line and scripts. Handlers
//! authorise, call one domain method, and turn its answer into a DTO; errors are problem+json.

mod api;
mod convert;
pub mod dto;
mod extract;
mod live;
mod openapi;
mod predict;
mod routes;
mod state;

pub use openapi::openapi;
pub use routes::{open_routes, routes};
pub use state::{NativeState, Views};

#[cfg(test)]
mod tests;
