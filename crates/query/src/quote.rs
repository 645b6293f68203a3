//! Names and texts as SQL has them, for those who write queries.

/// A text: in quotes, those in it doubled.
pub fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// The name of a column: in double quotes, those in it doubled.
pub fn identifier(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}
