//! Whether a score is that of the class that was predicted.

use mainspring_stats::performance::{Level, Scored};

/// Share of pairs of a row that was predicted to be of the class and one that was not in which the first must have the
/// higher score; where all were predicted the same, share of the rows whose score must be on its side of one half.
const AGREES: f64 = 0.9;

/// Whether a class's probability can be what `rows` have: of each the score, and whether the class was predicted. A
/// model's confidence in whatever it predicts is as high where it predicts the other class.
///
/// # Errors
/// What is seen instead.
pub(crate) fn follows(rows: impl Iterator<Item = (f64, bool)>) -> Result<(), String> {
    let mut scored = Scored::default();
    rows.for_each(|(score, said)| {
        scored.push(score, said);
    });
    if let Some(area) = scored.roc_auc(Level::default()) {
        return if area.value >= AGREES {
            Ok(())
        } else {
            let share = 100.0 * area.value;
            Err(format!("rows predicted to be of it score higher than others in {share:.0} % of pairs only"))
        };
    }
    let (mut all, mut right) = (0_u64, 0_u64);
    for (score, said) in scored.rows() {
        all += 1;
        right += u64::from((score >= 0.5) == said);
    }
    if right as f64 >= AGREES * all as f64 {
        return Ok(());
    }
    let share = 100.0 * right as f64 / all as f64;
    Err(format!("all rows are predicted the same, and only {share:.0} % of them score on its side of one half"))
}
