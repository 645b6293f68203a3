//! Language models in the layout of Hugging Face: texts in, labels, entities or embeddings out.
//!
//! A folder that holds `tokenizer.json` and `config.json` beside its graph is served as
//! `transformers` and `sentence-transformers` would serve it, without Python: this crate splits texts
//! into tokens, an engine of tensors runs the graph, and what comes of it is read as the model's
//! configuration says. Every other model goes to that engine as it is.

mod folder;
mod head;
mod model;
mod runtime;
mod split;
mod tags;
#[cfg(test)]
mod tests;

pub use runtime::TextRuntime;
