//! Free text, watched by its form: each such column becomes four columns of numbers, `in.comment:words` and so on. Its values
//! hardly come twice, so that their frequencies say nothing.

use super::rows::Cells;
use mainspring_stats::multivariate::Form;

/// What the columns of a text are called.
pub(super) fn names(column: &str) -> impl Iterator<Item = String> {
    Form::NAMES.into_iter().map(move |form| format!("{column}:{form}"))
}

/// The text whose form a column is, by its name.
pub(super) fn text_of(column: &str) -> Option<&str> {
    let (text, form) = column.rsplit_once(':')?;
    Form::NAMES.contains(&form).then_some(text)
}

/// The form of texts; missing where a text is.
pub(super) fn columns(name: &str, texts: &[Option<Box<str>>]) -> Vec<(String, Cells)> {
    let forms: Vec<[f64; 4]> =
        texts.iter().map(|text| text.as_deref().map_or([f64::NAN; 4], |text| Form::of(text).numbers())).collect();
    let column = |(at, name)| (name, Cells::Numbers(forms.iter().map(|form| form[at]).collect()));
    names(name).enumerate().map(column).collect()
}
