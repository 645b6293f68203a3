//! Entities of a text out of the scores of its tokens, as the `simple` aggregation of `transformers`
//! finds them.

use crate::folder::Scores;
use crate::head::{highest, score};
use serde::Serialize;
use tokenizers::{Decoder, Encoding, Tokenizer};

/// What no entity is.
const OUTSIDE: &str = "O";

/// A part of a text that has one label.
#[derive(Debug, PartialEq, Serialize)]
pub(crate) struct Entity<'a> {
    #[serde(rename = "entity_group")]
    label: &'a str,
    /// The mean over its tokens.
    score: f32,
    /// Its tokens as a text.
    word: String,
    /// Where it begins, in characters.
    start: usize,
    /// Where it ends, in characters.
    end: usize,
}

struct Token<'a> {
    label: &'a str,
    score: f32,
    word: String,
    start: usize,
    end: usize,
}

/// The entities of one text. `values` are the raw ones of the tokens of `encoding`, `width` each.
pub(crate) fn entities<'a>(
    tokenizer: &Tokenizer,
    chars: &[char],
    encoding: &Encoding,
    values: &[f32],
    labels: &'a [String],
) -> Vec<Entity<'a>> {
    let unknown = encoding.get_tokens().iter().zip(encoding.get_offsets());
    let marks = encoding.get_special_tokens_mask();
    let mut groups: Vec<Vec<Token<'a>>> = Vec::new();
    for (place, (token, (start, end))) in unknown.enumerate() {
        if marks.get(place) != Some(&0) {
            continue;
        }
        let Some(row) = values.chunks_exact(labels.len().max(1)).nth(place) else { break };
        let mut row = row.to_vec();
        score(Scores::Softmax, &mut row);
        let best = highest(&row);
        let Some(label) = labels.get(best) else { break };
        // A token that the vocabulary does not have is shown as the text has it.
        let word = if Some(encoding.get_ids()[place]) == unknown_id(tokenizer) {
            chars.get(*start..*end).unwrap_or_default().iter().collect()
        } else {
            token.clone()
        };
        let found = Token { label, score: row[best], word, start: *start, end: *end };
        match groups.last_mut() {
            Some(group) if continues(group, label) => group.push(found),
            _ => groups.push(vec![found]),
        }
    }
    groups.into_iter().filter_map(|group| joined(tokenizer, group)).filter(|e| e.label != OUTSIDE).collect()
}

fn unknown_id(tokenizer: &Tokenizer) -> Option<u32> {
    use tokenizers::ModelWrapper as Wrapper;
    let token = match tokenizer.get_model() {
        Wrapper::WordPiece(model) => Some(model.unk_token.clone()),
        Wrapper::WordLevel(model) => Some(model.unk_token.clone()),
        Wrapper::BPE(model) => model.unk_token.clone(),
        Wrapper::Unigram(_) => None,
    };
    token.and_then(|token| tokenizer.token_to_id(&token))
}

/// Whether it begins an entity, and its label without the mark of that.
fn tag(label: &str) -> (bool, &str) {
    match label.split_at_checked(2) {
        Some(("B-", rest)) => (true, rest),
        Some(("I-", rest)) => (false, rest),
        _ => (false, label),
    }
}

fn continues(group: &[Token<'_>], label: &str) -> bool {
    let (begins, of) = tag(label);
    group.last().is_some_and(|last| !begins && tag(last.label).1 == of)
}

fn joined<'a>(tokenizer: &Tokenizer, group: Vec<Token<'a>>) -> Option<Entity<'a>> {
    let (first, last) = (group.first()?, group.last()?);
    let label = first.label.split_once('-').map_or(first.label, |(_, rest)| rest);
    let mean = group.iter().map(|t| t.score).sum::<f32>() / group.len() as f32;
    let (start, end) = (first.start, last.end);
    let words: Vec<String> = group.into_iter().map(|t| t.word).collect();
    let word = match tokenizer.get_decoder() {
        Some(decoder) => decoder.decode(words.clone()).unwrap_or_else(|_| words.join(" ")),
        None => words.join(" "),
    };
    Some(Entity { label, score: mean, word, start, end })
}
