//! SQL over the journal: DataFusion in process.
