//! The search language of MLflow: `metrics.loss < 0.1 AND tags.team = 'a'`, ordered by
//! `metrics.loss DESC`. [`lexer`] and [`parser`] know the syntax; [`Vocabulary`] knows what each
//! search may name and compare; the SQL is made in [`crate::sql`].

pub mod lexer;
pub mod parser;
mod typed;

#[cfg(test)]
mod tests;

pub use parser::{Comparison, Name, Op, Raw};
pub use typed::{Clause, Field, Kind, Operand, Order, Vocabulary};
pub use typed::{EXPERIMENTS, LOGGED_MODELS, MODELS, RUNS, VERSIONS};
