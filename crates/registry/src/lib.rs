//! Experiments, runs, metrics, models, versions, aliases, lineage.
