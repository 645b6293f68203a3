//! Mergeable sketches and moments: pure mathematics.
