//! Which version was made from which: tags of the versions, and what follows from them.

/// The version that a conversion comes from, as `models:/name/3`.
pub const CONVERTED_FROM: &str = "converted_from";
/// The version that an optimisation comes from, as `models:/name/3`.
pub const OPTIMIZED_FROM: &str = "optimized_from";
/// `passed` on a version that was compared with what it comes from.
pub const PROOF: &str = "mainspring.proof";
/// The value of [`PROOF`].
pub const PASSED: &str = "passed";

/// A version, as far as it matters here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Derived {
    /// Its number.
    pub version: String,
    /// The number of the version of the same model that it was made from.
    pub from: Option<String>,
    /// Whether the proof passed.
    pub proven: bool,
}

impl Derived {
    /// A version of `model`, read from its tags.
    pub fn read<'a>(model: &str, version: String, tags: impl Iterator<Item = (&'a str, &'a str)>) -> Self {
        let (mut from, mut proven) = (None, false);
        for (key, value) in tags {
            match key {
                CONVERTED_FROM | OPTIMIZED_FROM => from = origin(model, value),
                PROOF => proven = value == PASSED,
                _ => {}
            }
        }
        Self { version, from, proven }
    }
}

/// The version in `models:/name/3`, when it is one of `model`.
fn origin(model: &str, uri: &str) -> Option<String> {
    let (name, version) = uri.strip_prefix("models:/")?.rsplit_once('/')?;
    (name == model && !version.is_empty() && version.bytes().all(|b| b.is_ascii_digit())).then(|| version.to_owned())
}

/// The newest version that was made from `of`, directly or over others, each step of it proven.
pub fn newest<'a>(versions: &'a [Derived], of: &str) -> Option<&'a str> {
    let leads = |start: &Derived| {
        let mut at = start;
        // A chain longer than there are versions is a loop that somebody tagged.
        for _ in 0..versions.len() {
            let Some(from) = at.from.as_deref().filter(|_| at.proven) else { return false };
            if from == of {
                return true;
            }
            match versions.iter().find(|v| v.version == from) {
                Some(next) => at = next,
                None => return false,
            }
        }
        false
    };
    let number = |v: &Derived| v.version.parse::<u64>().unwrap_or(0);
    versions.iter().filter(|v| leads(v)).max_by_key(|v| number(v)).map(|v| v.version.as_str())
}
