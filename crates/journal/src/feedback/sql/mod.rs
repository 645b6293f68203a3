//! Statements over the journal's tables.

pub mod migrations;

/// Remembers that a piece of feedback was taken; changes nothing when it was before.
pub(crate) const INSERT_SEEN: &str = "INSERT INTO journal_feedback_seen (tenant, event_id, at) VALUES ($1, $2, $3) \
     ON CONFLICT (tenant, event_id) DO NOTHING";

/// The prediction with a caller's own id, if it was used since `$4`.
pub(crate) const FIND_CLIENT_ID: &str = "SELECT prediction_id, uses FROM journal_client_ids \
     WHERE tenant = $1 AND deployment = $2 AND client_id = $3 AND at >= $4";

/// Counts uses of a caller's own id: `$6` predictions, the last of them `$4` at `$5`. A use before `$7`
/// no longer counts.
pub(crate) const UPSERT_CLIENT_ID: &str = "INSERT INTO journal_client_ids \
     (tenant, deployment, client_id, prediction_id, at, uses) VALUES ($1, $2, $3, $4, $5, $6) \
     ON CONFLICT (tenant, deployment, client_id) DO UPDATE SET \
     uses = CASE WHEN journal_client_ids.at < $7 THEN excluded.uses ELSE journal_client_ids.uses + excluded.uses END, \
     prediction_id = excluded.prediction_id, at = excluded.at";

/// Forgets callers' own ids last used before `$1`.
pub(crate) const PRUNE_CLIENT_IDS: &str = "DELETE FROM journal_client_ids WHERE at < $1";

/// Forgets feedback ids taken before `$1`.
pub(crate) const PRUNE_SEEN: &str = "DELETE FROM journal_feedback_seen WHERE at < $1";
