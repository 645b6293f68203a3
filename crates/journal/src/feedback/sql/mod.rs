//! Statements over the journal's tables.

pub mod migrations;

/// Remembers that a piece of feedback was taken; changes nothing when it was before.
pub(crate) const INSERT_SEEN: &str = "INSERT INTO journal_feedback_seen (tenant, event_id, at) VALUES ($1, $2, $3) \
     ON CONFLICT (tenant, event_id) DO NOTHING";

/// The prediction with a caller's own id, if it was used since `$4`.
pub(crate) const FIND_CLIENT_ID: &str = "SELECT prediction_id, uses FROM journal_client_ids \
     WHERE tenant = $1 AND deployment = $2 AND client_id = $3 AND at >= $4";

/// Counts uses of callers' own ids: rows of tenant, deployment, client id, the last prediction with it,
/// when that was, and how many there were. No id twice in one statement.
pub(crate) const COUNT_CLIENT_IDS: &str =
    "INSERT INTO journal_client_ids (tenant, deployment, client_id, prediction_id, at, uses)";

/// What a use adds to earlier ones; one that is older than the window (30 days, microseconds) no longer
/// counts.
pub(crate) const ADD_USES: &str = "ON CONFLICT (tenant, deployment, client_id) DO UPDATE SET \
     uses = excluded.uses + CASE WHEN journal_client_ids.at < excluded.at - 2592000000000 THEN 0 \
                                 ELSE journal_client_ids.uses END, \
     prediction_id = excluded.prediction_id, at = excluded.at";

/// Forgets the `$2` oldest of callers' own ids last used before `$1`.
pub(crate) const PRUNE_CLIENT_IDS: &str = "DELETE FROM journal_client_ids WHERE (tenant, deployment, client_id) IN \
     (SELECT tenant, deployment, client_id FROM journal_client_ids WHERE at < $1 ORDER BY at LIMIT $2)";

/// Forgets the `$2` oldest of the feedback ids taken before `$1`.
pub(crate) const PRUNE_SEEN: &str = "DELETE FROM journal_feedback_seen WHERE (tenant, event_id) IN \
     (SELECT tenant, event_id FROM journal_feedback_seen WHERE at < $1 ORDER BY at LIMIT $2)";
