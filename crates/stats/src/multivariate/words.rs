//! Texts: their form in numbers, and the words by which two sides can be told apart.

use super::Weighted;
use super::classifier::{Apart, Sparse, apart};
use crate::hash::fnv1a;
use crate::twosample::NoTest;
use std::collections::HashMap;

/// Words are told apart by these bits of their hash.
const BITS: u32 = 18;
/// A word in more than this share of the texts says nothing, as with Evidently.
const COMMON: f64 = 0.5;
/// A word in fewer texts cannot be learnt and tried, and would only make the others weigh less.
const RARE: f64 = 3.0;
/// Different words of a text that are looked at.
const WORDS: usize = 1_024;

/// The form of a text, as Evidently's descriptors `TextLength`, `WordCount`, `SentenceCount` and
/// `NonLetterCharacterPercentage` give it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Form {
    /// Characters.
    pub length: f64,
    /// Words: what white space parts, as far as it has a letter in it.
    pub words: f64,
    /// Sentences: white space after a full stop or question mark, not after an abbreviation such as `e.g.` or `Mr.`, and one.
    pub sentences: f64,
    /// Characters that are neither letters nor spaces, in a hundred.
    pub non_letters: f64,
}

impl Form {
    /// The names of [`Form::numbers`].
    pub const NAMES: [&'static str; 4] = ["length", "words", "sentences", "non-letters %"];

    /// Of a text.
    pub fn of(text: &str) -> Self {
        let length = text.chars().count() as f64;
        let others = text.chars().filter(|c| !c.is_alphabetic() && *c != ' ').count() as f64;
        let non_letters = if length > 0.0 { 100.0 * others / length } else { 0.0 };
        let words = text.split_whitespace().filter(|part| part.chars().any(char::is_alphabetic)).count() as f64;
        Self { length, words, sentences: sentences(text), non_letters }
    }

    /// All of them, in the order of [`Form::NAMES`].
    pub fn numbers(self) -> [f64; 4] {
        [self.length, self.words, self.sentences, self.non_letters]
    }
}

fn sentences(text: &str) -> f64 {
    let mut last = [' '; 4];
    let mut ends = 0;
    for c in text.chars() {
        let [a, b, d, end] = last;
        let joins = |c: char| c.is_alphanumeric() || c == '_';
        let short = joins(a) && b == '.' && joins(d) || b.is_ascii_uppercase() && d.is_ascii_lowercase() && end == '.';
        if c.is_whitespace() && matches!(end, '.' | '?') && !short {
            ends += 1;
        }
        last = [b, d, end, c];
    }
    f64::from(ends) + 1.0
}

/// Tells texts apart by their words: hashed, weighted by how rare they are (the logarithm of how often they are in the
/// text, times that of how few texts have them), each text of length 1. With the words that weigh most, `shown` at most:
/// above 0 those of the current texts.
///
/// # Errors
/// [`NoTest::TooFew`] when a side has fewer than eight texts.
pub fn texts_apart(
    reference: &[&str],
    current: &[&str],
    shown: usize,
    seed: u64,
) -> Result<(Apart, Vec<Weighted>), NoTest> {
    let texts: Vec<HashMap<u32, f32>> = reference.iter().chain(current).map(|text| counted(text)).collect();
    let mut spread: HashMap<u32, usize> = HashMap::new();
    for text in &texts {
        for word in text.keys() {
            *spread.entry(*word).or_default() += 1;
        }
    }
    let total = texts.len() as f64;
    let rarity = |word: u32| {
        let having = spread.get(&word).map_or(0.0, |n| *n as f64);
        if having > COMMON * total || having < RARE { 0.0 } else { ((1.0 + total) / (1.0 + having)).ln() + 1.0 }
    };
    let mut rows = Sparse::new(1 << BITS);
    for text in &texts {
        let mut row: Vec<(u32, f32)> =
            text.iter().map(|(word, n)| (*word, (1.0 + n.ln()) * rarity(*word) as f32)).collect();
        row.sort_unstable_by_key(|(word, _)| *word);
        let length = row.iter().map(|(_, x)| x * x).sum::<f32>().sqrt().max(f32::MIN_POSITIVE);
        rows.push(row.into_iter().filter(|(_, x)| *x > 0.0).map(|(word, x)| (word, x / length)));
    }
    let found = apart(&rows, [reference.len(), current.len()], seed)?;
    let words = heaviest(&found.weights, reference.iter().chain(current), shown);
    Ok((found, words))
}

fn counted(text: &str) -> HashMap<u32, f32> {
    let mut counts = HashMap::new();
    each_word(text, |word| {
        if counts.len() < WORDS {
            *counts.entry(hash(word)).or_insert(0.0) += 1.0;
        }
    });
    counts
}

/// The words behind the greatest weights, as they stand in the texts.
fn heaviest<'a>(weights: &[f64], texts: impl Iterator<Item = &'a &'a str>, shown: usize) -> Vec<Weighted> {
    let mut places: Vec<u32> = (0..weights.len() as u32).filter(|at| weights[*at as usize] != 0.0).collect();
    places.sort_by(|a, b| weights[*b as usize].abs().total_cmp(&weights[*a as usize].abs()).then(a.cmp(b)));
    places.truncate(shown);
    let mut names: HashMap<u32, HashMap<String, u64>> = places.iter().map(|at| (*at, HashMap::new())).collect();
    for text in texts {
        each_word(text, |word| {
            if let Some(names) = names.get_mut(&hash(word)) {
                *names.entry(word.to_owned()).or_default() += 1;
            }
        });
    }
    let named = |at: u32| {
        let best = names.get(&at)?.iter().max_by(|a, b| a.1.cmp(b.1).then(b.0.cmp(a.0)))?;
        Some(Weighted { name: best.0.clone(), weight: weights[at as usize] })
    };
    places.into_iter().filter_map(named).collect()
}

/// Runs of two or more letters, digits and `_` in lower case; in scripts that do not part words each letter.
fn each_word(text: &str, mut f: impl FnMut(&str)) {
    let text = text.to_lowercase();
    let joins = |c: char| (c.is_alphanumeric() || c == '_') && !unparted(c);
    let (mut from, mut letters) = (0, 0);
    for (at, c) in text.char_indices().chain([(text.len(), ' ')]) {
        if joins(c) {
            letters += 1;
            continue;
        }
        if letters > 1 {
            f(&text[from..at]);
        }
        if unparted(c) {
            f(&text[at..at + c.len_utf8()]);
        }
        (from, letters) = ((at + c.len_utf8()).min(text.len()), 0);
    }
}

/// Thai to Khmer, kana, Chinese characters.
fn unparted(c: char) -> bool {
    matches!(c, '\u{e00}'..='\u{eff}' | '\u{1000}'..='\u{109f}' | '\u{1780}'..='\u{17ff}' | '\u{3040}'..='\u{30ff}'
        | '\u{3400}'..='\u{9fff}' | '\u{f900}'..='\u{faff}' | '\u{20000}'..='\u{3ffff}')
}

/// Folded to so many bits.
fn hash(word: &str) -> u32 {
    let all = fnv1a(word);
    ((all ^ (all >> 32)) as u32) & ((1 << BITS) - 1)
}
