//! The tokens that a model says it took: an output `usage`, as MLflow's chat models and OpenAI's answers have it, with
//! `prompt_tokens` and `completion_tokens`; `input_tokens` and `output_tokens` are the same.

use mainspring_core::tensor::NamedTensor;
use mainspring_core::{DType, Tokens};
use mainspring_engine::{Content, Part, Signature};
use serde::Deserialize;
use std::ops::Add;

const OUTPUT: &str = "usage";

#[derive(Deserialize)]
struct Usage {
    #[serde(alias = "prompt_tokens")]
    input_tokens: Option<u64>,
    #[serde(alias = "completion_tokens")]
    output_tokens: Option<u64>,
}

impl Usage {
    fn tokens(self) -> Option<Tokens> {
        let Self { input_tokens, output_tokens } = self;
        (input_tokens.is_some() || output_tokens.is_some())
            .then(|| Tokens { input: input_tokens.unwrap_or(0), output: output_tokens.unwrap_or(0) })
    }
}

/// Whether a model says what it takes.
pub(crate) fn is_said(signature: &Signature) -> bool {
    signature.outputs.iter().any(|o| &*o.name == OUTPUT && o.dtype == DType::Bytes && o.content == Content::Json)
}

/// Of all rows of a whole answer.
pub(crate) fn of(outputs: &[NamedTensor]) -> Option<Tokens> {
    let said = outputs.iter().find(|o| &*o.name == OUTPUT)?.tensor.strings()?;
    let rows = said.iter().filter_map(|row| serde_json::from_slice::<Option<Usage>>(row).ok()??.tokens());
    rows.reduce(Tokens::add)
}

/// Of an answer so far, where this part of it says so: an output of its own, or a field of a chunk.
pub(crate) fn of_part(part: &Part) -> Option<Tokens> {
    #[derive(Deserialize)]
    struct Chunk {
        usage: Option<Usage>,
    }
    let chunk = |(output, content): (&NamedTensor, &Content)| {
        let text = output.tensor.strings()?.first().filter(|_| *content == Content::Json)?;
        serde_json::from_slice::<Chunk>(text).ok()?.usage?.tokens()
    };
    of(&part.outputs).or_else(|| part.outputs.iter().zip(&part.contents).find_map(chunk))
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use mainspring_core::Tensor;

    fn texts(name: &str, rows: &[&str]) -> NamedTensor {
        let rows = rows.iter().map(|r| Bytes::copy_from_slice(r.as_bytes())).collect::<Vec<_>>();
        NamedTensor { name: name.into(), tensor: Tensor::from_strings(vec![rows.len()], rows).unwrap() }
    }

    #[test]
    fn what_a_model_says_of_its_tokens_is_added_up_over_rows() {
        let rows = [
            r#"{"prompt_tokens": 12, "completion_tokens": 3, "total_tokens": 15}"#,
            r#"{"input_tokens": 1, "output_tokens": 2, "cache_read_input_tokens": 9}"#,
            "null",
            "7",
        ];
        assert_eq!(of(&[texts("x", &["1"]), texts("usage", &rows)]), Some(Tokens { input: 13, output: 5 }));
        assert_eq!(of(&[texts("usage", &[r#"{"prompt_tokens": null}"#])]), None, "it says nothing");
        assert_eq!(of(&[texts("used", &rows)]), None);
    }

    #[test]
    fn a_chunk_of_an_answer_may_say_it() {
        let part = |text: &str, content| Part { outputs: vec![texts("output", &[text])], contents: vec![content] };
        let last = r#"{"choices": [], "usage": {"prompt_tokens": 5, "completion_tokens": 8}}"#;
        assert_eq!(of_part(&part(last, Content::Json)), Some(Tokens { input: 5, output: 8 }));
        assert_eq!(of_part(&part(last, Content::Text)), None, "a text that reads so is what the model wrote");
        assert_eq!(of_part(&part(r#"{"choices": [], "usage": null}"#, Content::Json)), None);
    }
}
