//! When the evidence is looked at.

use super::Stratum;
use mainspring_core::Timestamp;

const SECOND: i64 = 1_000_000;

/// The look after `last`, which depends on the times of the strata alone: so a controller that was restarted, and a
/// replay, look at the same evidence as the one that decided.
///
/// One second after a change of weights at first, then ever more rarely, one percent of the stratum's age but at most
/// ten minutes: what takes a day to see need not be asked for every second. Each stratum begins with a look.
pub(crate) fn next(strata: &[Stratum], last: Timestamp) -> Option<Timestamp> {
    let at = strata.iter().rposition(|s| s.start <= last);
    let upcoming = strata.get(at.map_or(0, |i| i + 1)).map(|s| s.start);
    let Some(at) = at else { return upcoming };
    let age = last.micros() - strata[at].start.micros();
    let next = last.plus_micros((age / 100 / SECOND * SECOND).clamp(SECOND, 600 * SECOND));
    Some(upcoming.map_or(next, |start| start.min(next)))
}
